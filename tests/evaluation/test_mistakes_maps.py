"""Activation maps: exact where they say so, captum's against gradients written out, the right network."""

import sys

import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.evaluation.mistakes import (
    CLASSIFIER,
    LAST_MAP,
    MapError,
    class_activation_maps,
    gradient_maps,
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


def test_at_the_last_block_gradients_give_the_closed_form(images):
    made = network()
    exact = class_activation_maps(made, images)
    bias = -0.4 - 0.3  # of positive minus of negative
    by_gradient = gradient_maps(made, images, LAST_MAP)
    torch.testing.assert_close(by_gradient * 9 + bias, exact, rtol=1e-4, atol=1e-6)


def test_an_earlier_layer_by_hand(images):
    made = network()
    layer = "inception_4e-output"
    value = made.activations(made.preprocess(images), (layer,))[layer].detach().requires_grad_()
    # pool4 to the classifier, from that value on
    after = made.split(110).suffix.eval()
    pooled = torch.nn.functional.max_pool2d(value, 2, 2, ceil_mode=True)
    logits = after(pooled)
    (logits[:, 1] - logits[:, 0]).sum().backward()
    expected = (value.grad.mean(dim=(2, 3), keepdim=True) * value).sum(dim=1)
    torch.testing.assert_close(gradient_maps(made, images, layer), expected.detach(), rtol=1e-4, atol=1e-7)


def test_a_map_does_not_depend_on_its_batch_and_changes_no_network(images):
    made = network()
    before = made.state_digest()
    alone = gradient_maps(made, images[:1], "inception_3a-output")
    torch.testing.assert_close(gradient_maps(made, images, "inception_3a-output")[:1], alone)
    assert made.state_digest() == before
    assert all(parameter.grad is None for parameter in made.parameters())


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


@pytest.mark.parametrize("layer", ["inception_4e-3x3", "prob", "inception_9z-output"])
def test_no_map_where_no_single_tensor_flows(images, layer):
    with pytest.raises(MapError, match=f"no activation map of layer '{layer}'"):
        gradient_maps(network(), images, layer)


def test_log_odds_are_of_two_classes(images):
    with pytest.raises(MapError, match="3 classes"):
        class_activation_maps(GoogLeNet("torchvision", classes=3).eval(), images)


def test_without_captum_it_is_said_what_is_missing(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MapError, match="layers' maps need captum: `pip install -e"):
        gradient_maps(network(), images, "inception_4e-output")
