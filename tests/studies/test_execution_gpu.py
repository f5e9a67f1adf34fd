"""The GPU's code as far as it can be tested without one: a recorder that replays by calling."""

from dataclasses import replace

import pytest
import torch

from hep2lib.cnn.activations import cached_activations
from hep2lib.processes import single_thread
from hep2lib.studies import execution, training
from hep2lib.studies.execution import recorder, resident
from hep2lib.studies.inputs import CachedActivations

from .conftest import FOLDS
from .test_training import TRIAL

CONTEXT = {"images": "those of the test", "code": "0123abcd"}


def record_by_calling(work, generator, warm_up=3):
    """What a CUDA graph does, seen from outside: warm up, then the same work on the same memory again."""
    for _ in range(warm_up):
        work()
    result = torch.zeros(())
    return result, lambda: result.copy_(work())


def fail_to_record(work, generator):
    work()
    raise RuntimeError("operation not permitted when stream is capturing\nmore lines")


@pytest.fixture
def trained(shared_inputs, images, monkeypatch):
    """A training with recorded steps (as on a GPU), or plain ones, on the CPU."""

    def run(record, **changes):
        trial = replace(TRIAL, freeze=110, epochs=2, **changes)
        network = shared_inputs.for_workers().network()
        activations = CachedActivations(cached_activations(network, trial.freeze, images))
        notes, labels = [], torch.arange(len(images)) % 2
        with monkeypatch.context() as patch, single_thread():
            patch.setattr(execution, "recorder", lambda activations: record)
            scores = list(training.train(network, activations, labels, FOLDS[0], trial, notes))
        return [score.loss for score in scores], network.state_digest(), notes

    return run


@pytest.mark.parametrize("last_batch", ["drop", "keep"])
def test_recorded_steps_train_as_plain_ones_to_the_last_bit(trained, last_batch):
    plain = trained(None, last_batch=last_batch)
    assert trained(record_by_calling, last_batch=last_batch) == plain


def test_where_recording_fails_the_trial_goes_on_with_plain_steps(trained):
    losses, digest, notes = trained(fail_to_record)
    assert notes == ["steps are not recorded (operation not permitted when stream is capturing)"]
    assert (losses, digest, []) == trained(None)


def test_only_input_on_the_device_is_recorded():
    assert recorder(CachedActivations(torch.zeros(2, 1, 3))) is None
    assert recorder(object()) is None


def test_values_go_to_the_device_if_they_leave_room_for_the_trials(monkeypatch):
    class Values:
        nbytes = 600

        def to(self, device):
            return f"on {device}"

    values = Values()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1001, 2000))
    assert resident(values, "cuda") == "on cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (999, 2000))
    assert resident(values, "cuda") is values
    assert resident(values, "cpu") is values
