"""What is kept of the frozen layers' values: within the limit, rounded if asked, and never another result."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.errors import InputError
from hep2lib.studies import inputs as inputs_module
from hep2lib.studies.fine_tuning import Grid, fine_tune, fine_tuning_study
from hep2lib.studies.inputs import (
    CachedActivations,
    DrawnActivations,
    Kept,
    LiveActivations,
    activations_for,
    open_activations,
    prepare_activations,
    size_in_bytes,
    wanted,
)
from hep2lib.studies.trial import TrialStore

from .test_training import TRIAL

ROTATED = replace(TRIAL, freeze=110, rotations=3, views_per_epoch=3)


@pytest.fixture
def worker(inputs):
    inputs_module._OPEN.clear()
    return inputs.for_workers()


@pytest.mark.parametrize("kept", [Kept(110, (0.0, 120.0)), Kept(139, (0.0,)), Kept(11, (0.0,), "bf16")])
def test_the_size_is_known_before_anything_is_computed(worker, kept):
    assert size_in_bytes(worker, kept) == open_activations(worker, kept).nbytes


def test_all_views_are_kept_unless_few_of_them_are_drawn(worker):
    assert wanted(worker, ROTATED) == Kept(110, (0.0, 120.0, 240.0))
    # 2 folds of 10 images, 1 view each: less than 3 views of 20 images.
    few = replace(ROTATED, views_per_epoch=1)
    assert wanted(worker, few) == Kept(110, (0.0,))
    assert isinstance(activations_for(worker, worker.network(), ROTATED), CachedActivations)
    assert isinstance(activations_for(worker, worker.network(), few), DrawnActivations)


def results(worker, trial, kept):
    return fine_tune(worker, trial, {"code": "0123abcd"}, kept)["epochs"]


def alike(one, other, tolerance):
    """The same losses and scores, up to rounding: batches of another size are rounded differently."""
    for epoch, expected in zip(one, other, strict=True):
        assert epoch.keys() == expected.keys()
        for what, value in expected.items():
            np.testing.assert_allclose(epoch[what], value, rtol=tolerance, err_msg=what)


def test_within_a_limit_less_is_kept_and_the_results_are_the_same(worker):
    full = wanted(worker, ROTATED)
    still = full._replace(angles=(0.0,))
    reference = results(worker, ROTATED, full)
    one = size_in_bytes(worker, still)
    for limit, expected, kind in [
        (3 * one, full, CachedActivations),
        (3 * one - 1, still, DrawnActivations),
        (one - 1, full._replace(angles=()), LiveActivations),
    ]:
        bounded = replace(worker, cache_limit=limit)
        plan = prepare_activations(bounded, [ROTATED])
        assert plan == {full: expected}
        assert isinstance(activations_for(bounded, worker.network(), ROTATED, plan[full]), kind)
        alike(results(bounded, ROTATED, plan[full]), reference, 1e-5)


def kept_files(worker):
    return sorted(worker.cache.glob("activations-*.npy"), key=lambda file: file.stat().st_mtime)


def test_what_was_not_used_for_longest_makes_way(worker):
    trials = [replace(TRIAL, freeze=freeze) for freeze in (53, 110, 139)]
    sizes = [size_in_bytes(worker, wanted(worker, trial)) for trial in trials]
    for age, trial in zip((100, 300, 200), trials, strict=True):
        prepare_activations(worker, [trial])
        newest = max(kept_files(worker), key=lambda file: file.stat().st_ctime_ns)
        os.utime(newest, (0, newest.stat().st_mtime - age))
    oldest, *others = kept_files(worker)
    assert oldest.stat().st_size == sizes[1] + 128  # the head of an .npy file
    inputs_module._OPEN.clear()
    bounded = replace(worker, cache_limit=sum(sizes))  # with three heads the files are larger than that
    prepare_activations(bounded, [trials[2]])
    assert set(kept_files(worker)) == set(others)
    prepare_activations(replace(worker, cache_limit=sizes[0]), [trials[0]])
    (left,) = kept_files(worker)
    assert left.stat().st_size == sizes[0] + 128


def test_values_kept_in_bf16_take_half_the_room_and_give_nearly_the_same_scores(worker):
    exact = replace(TRIAL, freeze=110, epochs=3)
    rounded = replace(exact, activations="bf16")
    assert 2 * size_in_bytes(worker, wanted(worker, rounded)) == size_in_bytes(worker, wanted(worker, exact))
    a, b = (results(worker, trial, None) for trial in (exact, rounded))
    assert a != b
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one["test"], other["test"], atol=0.02)
    live = Kept(110, (), "bf16")
    # Computed as they are drawn, they are rounded too: a value on the edge now and then the other way, more
    # often on some processors than on others.
    alike(results(worker, rounded, live), b, 2e-2)


def test_a_cache_deleted_during_the_study_is_made_again_or_missed_by_name(inputs, tmp_path):
    grid = Grid(freeze=(139,), batch_sizes=(4,), learning_rates=(0.01,), epochs=1)
    worker = inputs.for_workers()
    prepare_activations(worker, [TRIAL])
    for file in inputs.cache.glob("activations-*"):
        file.unlink()
    inputs_module._OPEN.clear()
    first = fine_tuning_study(inputs, TrialStore(tmp_path / "a"), [grid])
    assert len(first.records) == 2
    worker.images.unlink()
    with pytest.raises(InputError, match=r"images-.*: not there as seen from .*shared file system"):
        worker.open_images()


def test_values_lie_as_the_trained_layers_want_them(worker):
    values = open_activations(worker, Kept(110, (0.0,)))
    batch = CachedActivations(values).batch(torch.tensor([3, 1]), torch.tensor([0, 0]))
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch.dtype == torch.float32
