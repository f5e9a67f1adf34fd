"""A GPU that runs out of memory: what is done about it, by an error that is raised where a GPU would."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.activations import cached_activations
from hep2lib.processes import single_thread
from hep2lib.studies.execution import Chunks, GPUMemoryError
from hep2lib.studies.inputs import CachedActivations
from hep2lib.studies.training import train

from .conftest import FOLDS
from .test_training import TRIAL


@dataclass
class Small:
    """Activations on a device that holds a few images at a time; the first batches draw, then fail."""

    inner: CachedActivations
    room: int
    asked: list[int] = field(default_factory=list)

    def batch(self, rows, views, *, training=False):
        self.asked.append(len(rows))
        if len(rows) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.inner.batch(rows, views)


@pytest.fixture
def trained(shared_inputs, images):
    def run(room):
        network = shared_inputs.for_workers().network()
        trial = replace(TRIAL, freeze=110, epochs=2, class_weights="balanced")
        values = cached_activations(network, trial.freeze, images)
        activations = Small(CachedActivations(values), room)
        labels = (torch.arange(len(images)) % 3 == 0).long()
        notes = []
        with single_thread():
            return list(train(network, activations, labels, FOLDS[0], trial, notes=notes)), notes, activations

    return run


def test_without_memory_for_a_mini_batch_the_chunk_is_halved_and_the_trial_goes_on(trained):
    whole, nothing, _ = trained(100)
    parts, notes, activations = trained(2)
    assert nothing == []
    assert notes == [
        "out of GPU memory: mini-batches in chunks of 2 from here on",
        "out of GPU memory: scored images in chunks of 32 from here on",
        "out of GPU memory: scored images in chunks of 16 from here on",
        "out of GPU memory: scored images in chunks of 8 from here on",
        "out of GPU memory: scored images in chunks of 4 from here on",
        "out of GPU memory: scored images in chunks of 2 from here on",
    ]
    assert activations.asked.count(4) == 2  # a mini-batch and then scored images: never asked for again
    # Gradients of chunks add up to the mini-batch's, and dropout draws anew what it drew for it.
    for one, other in zip(whole, parts, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=0.2)
        assert np.isfinite(other.test).all()


def test_the_gradient_of_chunks_is_the_mini_batchs(shared_inputs, images):
    steps = []
    for room in (100, 2):
        network = shared_inputs.for_workers().network()
        network.dropout = 0.0
        values = CachedActivations(cached_activations(network, 110, images))
        with single_thread():
            trial = replace(TRIAL, freeze=110)
            list(train(network, Small(values, room), torch.arange(len(images)) % 2, FOLDS[0], trial))
        steps.append(network.state_dict())
    for name, value in steps[0].items():
        torch.testing.assert_close(steps[1][name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_single_image_that_does_not_fit_ends_the_trial_with_a_message():
    def work(size):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(GPUMemoryError, match="does not suffice for activations of one image; close other"):
        Chunks(8, "activations").run(work)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(size):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Chunks(8, "activations").run(work)
