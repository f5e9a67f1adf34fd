"""A study small enough for a test: twenty images of noise whose brightness says something of their label."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.data.folds import Fold
from hep2lib.studies.inputs import StudyInputs

COUNT = 20


def part(*rows: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


# Rows 16 to 19 are tested in both folds, and in no other part of either.
FOLDS = (
    Fold(part(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), part(10, 11, 12, 13, 14, 15), part(16, 17, 18, 19)),
    Fold(part(6, 7, 8, 9, 10, 11, 12, 13, 14, 15), part(0, 1, 2, 3, 4, 5), part(16, 17, 18, 19)),
)


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    noise = torch.randint(0, 120, (COUNT, 3, 64, 64), generator=draw)
    brightness = torch.randint(0, 60, (COUNT, 1, 1, 1), generator=draw)
    positive = (torch.arange(COUNT) % 2)[:, None, None, None]
    return (noise + brightness + 50 * positive).to(torch.uint8)


@pytest.fixture(scope="session")
def start(images) -> GoogLeNet:
    """The network before training; nobody changes it."""
    network = GoogLeNet(variant="torchvision", classes=2)
    load_weights(network, "random", seed=0, images=images)
    return network


@pytest.fixture(scope="session")
def shared_inputs(images, start, tmp_path_factory) -> StudyInputs:
    cache = tmp_path_factory.mktemp("cache")
    labels = np.arange(COUNT) % 2
    return StudyInputs(images=images, labels=labels, folds=FOLDS, network=start, cache=cache, workers=1)


@pytest.fixture
def inputs(shared_inputs, tmp_path) -> StudyInputs:
    """The same, with a cache of the test's own."""
    return replace(shared_inputs, cache=tmp_path / "cache")
