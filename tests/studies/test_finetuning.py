from dataclasses import replace

import numpy as np
import pytest

from hep2lib.studies import finetuning
from hep2lib.studies.finetuning import Grid, Rotation, fine_tuning_study
from hep2lib.studies.store import TrialStore

GRID = Grid(freeze=(139,), batch_sizes=(4,), learning_rates=(0.01, 0.001), epochs=2)


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path / "trials")


def results(outcome):
    """Everything that the records hold but the time."""
    return [(record["id"], record["epochs"], record["diverged"]) for record in outcome.records]


def test_every_cell_is_trained_on_every_fold_and_the_best_one_again_with_rotations(shared_inputs, store):
    outcome = fine_tuning_study(shared_inputs, store, [GRID], Rotation(views=3, epochs=1))
    trials = [record["trial"] for record in outcome.records]
    assert [(t["learning_rate"], t["fold"], t["rotations"]) for t in trials[:4]] == [
        (0.01, 0, 1),
        (0.01, 1, 1),
        (0.001, 0, 1),
        (0.001, 1, 1),
    ]
    best = outcome.best()
    assert [(t["learning_rate"], t["fold"], t["rotations"]) for t in trials[4:]] == [
        (best.learning_rate, 0, 3),
        (best.learning_rate, 1, 3),
    ]
    assert len(list(store.folder.iterdir())) == 6


def test_a_second_start_computes_nothing(shared_inputs, store, monkeypatch):
    first = fine_tuning_study(shared_inputs, store, [GRID])

    def computed(*arguments):
        raise AssertionError("a trial was computed again")

    monkeypatch.setattr(finetuning, "fine_tune", computed)
    monkeypatch.setattr(finetuning, "open_activations", computed)
    assert results(fine_tuning_study(shared_inputs, store, [GRID])) == results(first)


def test_an_interrupted_study_goes_on_to_the_same_results(shared_inputs, store, tmp_path):
    whole = fine_tuning_study(shared_inputs, TrialStore(tmp_path / "whole"), [GRID])
    fine_tuning_study(shared_inputs, store, [replace(GRID, learning_rates=(0.001,))])
    assert results(fine_tuning_study(shared_inputs, store, [GRID])) == results(whole)


def test_the_same_seed_gives_the_same_scores_and_another_one_others(inputs, store, tmp_path):
    grid = replace(GRID, learning_rates=(0.01,), epochs=1)
    first = fine_tuning_study(inputs, store, [grid], seed=4)
    fresh = replace(inputs, cache=tmp_path / "other cache")
    again = fine_tuning_study(fresh, TrialStore(tmp_path / "again"), [grid], seed=4)
    other = fine_tuning_study(inputs, store, [grid], seed=5)
    assert results(first) == results(again)
    assert first.records[0]["epochs"][0]["test"] != other.records[0]["epochs"][0]["test"]
    assert len(list(store.folder.iterdir())) == 4


def test_worker_processes_give_the_same_records(shared_inputs, store, tmp_path):
    grid = replace(GRID, freeze=(110,), learning_rates=(0.01,), epochs=1)
    here = fine_tuning_study(shared_inputs, store, [grid])
    pool = fine_tuning_study(replace(shared_inputs, workers=2), TrialStore(tmp_path / "pool"), [grid])
    assert results(pool) == results(here)


def test_nothing_is_chosen_by_the_labels_of_test_images(shared_inputs, store, tmp_path):
    tested = shared_inputs.folds[0].test
    labels = shared_inputs.labels.copy()
    labels[tested] = 1 - labels[tested]
    swapped = replace(shared_inputs, labels=labels)
    rotation = Rotation(views=2, epochs=1)
    first = fine_tuning_study(shared_inputs, store, [GRID], rotation)
    second = fine_tuning_study(swapped, TrialStore(tmp_path / "swapped"), [GRID], rotation)
    assert second.best() == first.best()
    assert second.best(rotated=True) == first.best(rotated=True)
    assert [r["epochs"] for r in second.records] == [r["epochs"] for r in first.records]
    # The areas on test images are turned round, so the labels did differ.
    assert np.allclose(second.means()["test_auc"], 1 - first.means()["test_auc"])


def test_a_diverged_trial_is_recorded_and_never_chosen(shared_inputs, store):
    outcome = fine_tuning_study(shared_inputs, store, [replace(GRID, learning_rates=(1e38, 0.01), epochs=1)])
    assert [record["diverged"] for record in outcome.records] == [True, True, False, False]
    assert outcome.best().learning_rate == 0.01


def test_the_cache_is_safe_to_delete(inputs, store, tmp_path):
    grid = replace(GRID, learning_rates=(0.01,), epochs=1)
    first = fine_tuning_study(inputs, store, [grid])
    for file in inputs.cache.iterdir():
        file.unlink()
    finetuning._OPEN.clear()
    assert results(fine_tuning_study(inputs, TrialStore(tmp_path / "b"), [grid])) == results(first)
