"""Activation maps: exact, and by the network that was tested on the image."""

import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.evaluation.activation_maps import (
    CLASSIFIER,
    MapError,
    class_activation_maps,
    maps_of_tested,
    on_fields,
)


@pytest.fixture(scope="module")
def images():
    return torch.randint(
        0, 256, (3, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def network(seed=0):
    made = GoogLeNet("torchvision").eval()
    with torch.no_grad():  # a classifier that leans, so that log odds differ from zero
        made[CLASSIFIER].weight.normal_(generator=torch.Generator().manual_seed(seed))
        made[CLASSIFIER].bias.copy_(torch.tensor([0.3, -0.4]))
    return made


def log_odds(made, images):
    with torch.no_grad():
        logits = made(made.preprocess(images))
    return logits[:, 1] - logits[:, 0]


def test_the_mean_of_the_map_is_the_log_odds(images):
    made = network()
    maps = class_activation_maps(made, images)
    assert maps.shape == (3, 3, 3)
    torch.testing.assert_close(maps.mean(dim=(1, 2)), log_odds(made, images), rtol=1e-4, atol=1e-5)
    assert maps.std() > 0


def test_each_image_is_explained_by_the_network_that_was_tested_on_it(images):
    networks = [network(0), network(1)]
    maps = maps_of_tested(networks, images, np.array([2, 0]), np.array([1, 0]))
    torch.testing.assert_close(maps[0], class_activation_maps(networks[1], images[2:])[0])
    torch.testing.assert_close(maps[1], class_activation_maps(networks[0], images[:1])[0])


def test_stretched_maps_keep_their_mean():
    maps = torch.arange(8.0).view(2, 2, 2)
    wide = on_fields(maps, (8, 6))
    assert wide.shape == (2, 8, 6)
    torch.testing.assert_close(wide.mean(dim=(1, 2)), maps.mean(dim=(1, 2)))


def test_log_odds_are_of_two_classes(images):
    with pytest.raises(MapError, match="3 classes"):
        class_activation_maps(GoogLeNet("torchvision", classes=3).eval(), images)
