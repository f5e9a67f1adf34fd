import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.data.folds import Fold
from hep2lib.studies.floor import best_rate, bf16_is_faster, image_operations, training_operations
from hep2lib.studies.trial import FineTuningTrial


@pytest.mark.parametrize("freeze", [0, 11, 100, 110, 139])
def test_operations_are_those_that_torch_counts(freeze):
    network = GoogLeNet("torchvision").eval()
    prefix, suffix, _ = network.split(freeze)
    with torch.no_grad():
        x = prefix(torch.zeros(1, 3, 64, 64))
    with FlopCounterMode(display=False) as forward:
        loss = suffix(x).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    counted = forward.get_total_flops(), backward.get_total_flops()
    assert image_operations(freeze, size=64) == counted


def test_a_trainings_operations_count_what_it_does():
    fold = Fold(*(np.arange(n) for n in (10, 3, 4)))
    trial = FineTuningTrial(freeze=139, batch_size=4, learning_rate=0.1, epochs=2, fold=0, seed=0)
    forward, backward = image_operations(139)
    assert (forward, backward) == (2 * 2048, 2 * 2048)
    assert training_operations(trial, fold) == 2 * (8 * (forward + backward) + 7 * forward)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_rate_is_measured_in_the_precision_asked_for(precision, monkeypatch):
    convolve, seen = torch.nn.functional.conv2d, set()

    def watched(x, *arguments, **options):
        seen.add(x.dtype)
        return convolve(x, *arguments, **options)

    monkeypatch.setattr("hep2lib.studies.floor.functional.conv2d", watched)
    assert best_rate(precision=precision, batch=1, repeats=1) > 1e7
    assert seen == {torch.float32 if precision == "fp32" else torch.bfloat16}


@pytest.mark.parametrize("faster", ["fp32", "bf16"])
def test_bf16_is_faster_where_its_rate_is_higher(faster, monkeypatch):
    def rate(device="cpu", *, precision="fp32", **_):
        return 2.0 if precision == faster else 1.0

    monkeypatch.setattr("hep2lib.studies.floor.best_rate", rate)
    assert bf16_is_faster() is (faster == "bf16")
