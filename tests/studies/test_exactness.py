"""Training from kept activations is, to the last bit, training without them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.features import cached_activations
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.data.folds import Fold
from hep2lib.studies.activations import CachedActivations, DrawnActivations, LiveActivations
from hep2lib.studies.execution import single_thread
from hep2lib.studies.training import train
from hep2lib.studies.trial import FineTuningTrial

FOLD = Fold(np.arange(0, 6), np.arange(6, 9), np.arange(9, 12))
LABELS = torch.arange(12) % 2


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8, generator=generator)


def trial(freeze: int, rotations: int) -> FineTuningTrial:
    return FineTuningTrial(
        freeze=freeze, batch_size=3, learning_rate=0.01, epochs=2, fold=0, seed=1, rotations=rotations
    )


@pytest.mark.parametrize("rotations", [1, 3])
@pytest.mark.parametrize("freeze", [0, 11, 110, 139])
def test_training_from_the_cache_is_bit_for_bit_training_without(images, freeze, rotations):
    this = trial(freeze, rotations)
    cached, live = GoogLeNet("torchvision"), GoogLeNet("torchvision")
    before = live.split(freeze).prefix.state_digest()
    with single_thread():
        kept = cached_activations(cached, freeze, images, views=this.angles)
        first = list(train(cached, CachedActivations(kept), LABELS, FOLD, this))
        source = LiveActivations(live, live.prefix(freeze), images, this.angles)
        second = list(train(live, source, LABELS, FOLD, this))
    assert cached.state_digest() == live.state_digest()
    assert [epoch.loss for epoch in first] == [epoch.loss for epoch in second]
    assert all((a.test == b.test).all() for a, b in zip(first, second, strict=True))
    assert live.split(freeze).prefix.state_digest() == before
    assert live.state_digest() != GoogLeNet("torchvision").state_digest()


def test_drawing_few_views_trains_as_keeping_all_of_them(images):
    this = replace(trial(11, 3), views_per_epoch=1)
    kept, drawn = GoogLeNet("torchvision"), GoogLeNet("torchvision")
    with single_thread():
        every = CachedActivations(cached_activations(kept, 11, images, views=this.angles))
        still = CachedActivations(cached_activations(drawn, 11, images))
        turned = LiveActivations(drawn, drawn.prefix(11), images, this.angles)
        list(train(kept, every, LABELS, FOLD, this))
        list(train(drawn, DrawnActivations(still, turned), LABELS, FOLD, this))
    assert kept.state_digest() == drawn.state_digest()
