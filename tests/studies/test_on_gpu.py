"""What only a GPU can show; left out where there is none (`test_execution_gpu.py` tests the rest)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.activations import cached_activations
from hep2lib.processes import single_thread
from hep2lib.studies import execution, training
from hep2lib.studies.execution import Chunks
from hep2lib.studies.fine_tuning import (
    Grid,
    Rotation,
    fine_tune,
    fine_tuning_study,
    tuned_networks,
)
from hep2lib.studies.gram import gram_matrices
from hep2lib.studies.inputs import CachedActivations
from hep2lib.studies.trial import TrialStore

from .conftest import FOLDS
from .test_training import TRIAL

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

GPU = "cuda"


@pytest.fixture
def on_gpu(shared_inputs, tmp_path):
    return replace(shared_inputs, device=GPU, cache=tmp_path / "cache", workers=0)


@pytest.fixture
def trained(shared_inputs, images, monkeypatch):
    """A training on the GPU, its steps recorded or plain."""

    def run(recorded, **changes):
        trial = replace(TRIAL, epochs=2, **changes)
        network = shared_inputs.for_workers().network().to(GPU)
        values = cached_activations(network, trial.freeze, images, device=GPU)
        notes, labels = [], torch.arange(len(images)) % 2
        with monkeypatch.context() as patch:
            if not recorded:
                patch.setattr(execution, "recorder", lambda activations: None)
            activations = CachedActivations(values.to(GPU), GPU)
            scores = list(training.train(network, activations, labels, FOLDS[0], trial, notes))
        return [score.loss for score in scores], np.array([score.test for score in scores]), notes

    return run


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("freeze", [11, 110, 139])
def test_a_recorded_step_trains_as_a_plain_one(trained, freeze, precision):
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        losses, scores, notes = trained(True, freeze=freeze, precision=precision)
        plain, theirs, _ = trained(False, freeze=freeze, precision=precision)
    assert notes == []
    np.testing.assert_allclose(losses, plain, rtol=1e-3)
    np.testing.assert_allclose(scores, theirs, atol=1e-3)


def test_trainings_one_after_the_other_do_not_disturb_each_other(on_gpu):
    """More of them than the 32 streams that torch hands out in turn."""
    inputs, context = on_gpu.for_workers(), {"code": "0123abcd"}
    records = [fine_tune(inputs, replace(TRIAL, freeze=110), context) for _ in range(40)]
    assert all(record["notes"] == [] for record in records)
    scores = [record["epochs"][0]["test"] for record in records]
    np.testing.assert_allclose(scores, [scores[0]] * len(scores), atol=1e-3)


def test_a_study_gives_what_the_processor_gives(on_gpu, shared_inputs, tmp_path):
    """At a rate that hardly moves the weights: dropout is drawn otherwise on a GPU."""
    grids = [Grid((11, 110, 139), (4,), (1e-6,), 2)]
    with single_thread():
        theirs = fine_tuning_study(shared_inputs, TrialStore(tmp_path / "cpu"), grids, Rotation(4, 1))
    ours = fine_tuning_study(on_gpu, TrialStore(tmp_path / "gpu"), grids, Rotation(4, 1))
    assert {record["device"] for record in ours.records} == {torch.cuda.get_device_name()}
    for one, other in zip(ours.records, theirs.records, strict=True):
        assert one["trial"]["freeze"] == other["trial"]["freeze"]
        assert one["notes"] == []
        np.testing.assert_allclose(one["epochs"][-1]["test"], other["epochs"][-1]["test"], atol=0.01)
    assert len(tuned_networks(on_gpu, ours, ours.best(11), tmp_path / "networks")) == len(FOLDS)


def test_gram_matrices_are_those_of_the_processor(start, images):
    layers = ("pool2-3x3_s2", "inception_4e-output", "pool5-7x7_s1")
    theirs = dict(gram_matrices(start, images, layers))
    try:
        ours = dict(gram_matrices(start, images, layers, device=GPU))
    finally:
        start.to("cpu")
    for layer in layers:
        np.testing.assert_allclose(ours[layer], theirs[layer], rtol=5e-3)


def test_work_that_does_not_fit_is_done_in_smaller_chunks():
    """The first chunk is larger than any GPU's memory."""
    chunks = Chunks(1024, "gibibytes")
    filled = chunks.run(lambda size: torch.empty(size * 2**30, dtype=torch.uint8, device=GPU).numel())
    assert chunks.size < 1024
    assert filled == chunks.size * 2**30
    assert "out of GPU memory" in chunks.notes[0]
