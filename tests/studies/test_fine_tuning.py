import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hep2lib
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.sources import reached
from hep2lib.studies import fine_tuning
from hep2lib.studies import inputs as inputs_module
from hep2lib.studies.fine_tuning import Grid, Rotation, fine_tuning_study, tuned_networks
from hep2lib.studies.trial import FineTuningTrial, TrainingOptions, TrialStore, trial_fields

PACKAGE = Path(hep2lib.__file__).parent

GRID = Grid(freeze=(139,), batch_sizes=(4,), learning_rates=(0.01, 0.001), epochs=2)


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path / "trials")


def results(outcome):
    """Everything that the records hold but the time."""
    return [(record["id"], record["epochs"], record["diverged"]) for record in outcome.records]


def test_every_cell_is_trained_on_every_fold_and_the_best_one_again_with_rotations(shared_inputs, store):
    outcome = fine_tuning_study(shared_inputs, store, [GRID], Rotation(views=3))
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


@pytest.mark.parametrize(
    ("depths", "good", "rotated"),
    [((110, 11, 139), 139, [11, 139]), ((11, 139), 11, [11]), ((110, 139), 139, [110, 139])],
)
def test_rotated_are_the_papers_depth_and_the_best_one_with_all_else_the_same(
    monkeypatch, shared_inputs, store, depths, good, rotated
):
    """No network is trained: the second epoch of depth ``good`` separates the labels, nothing else does."""
    labels = np.asarray(shared_inputs.labels)

    def trained(jobs, store, executor, **more):
        records = []
        for name, (_, (_, trial, *_)) in jobs.items():
            fold, epochs = shared_inputs.folds[trial.fold], []
            for epoch in range(1, trial.epochs + 1):
                scores = labels if trial.freeze == good and epoch == 2 else 0 * labels
                parts = {part: scores[getattr(fold, part)].tolist() for part in ("validation", "test")}
                epochs.append({"epoch": epoch, "loss": 0.5, **parts})
            records.append({"id": name, "trial": trial_fields(trial), "epochs": epochs, "seconds": 1.0})
        return records

    monkeypatch.setattr(fine_tuning, "run_trials", trained)
    monkeypatch.setattr(fine_tuning, "prepare_activations", lambda files, trials: {})
    grid = Grid(depths, (8, 16), (0.01, 0.001), epochs=3, seeds=2)
    outcome = fine_tuning_study(shared_inputs, store, [grid], Rotation(18, 1))
    assert outcome.depths(rotated=True) == rotated
    for depth in rotated:
        assert outcome.budget(depth, rotated=True) == outcome.budget(depth) == (4, 3, 1)
        both = (outcome.trainings(outcome.best(depth, rotated=kind)) for kind in (False, True))
        for plain, turned in zip(*both, strict=True):
            differ = {name for name in plain["trial"] if plain["trial"][name] != turned["trial"][name]}
            assert differ == {"rotations", "views_per_epoch"}


def test_a_second_start_computes_nothing(shared_inputs, store, monkeypatch):
    first = fine_tuning_study(shared_inputs, store, [GRID])

    def computed(*arguments):
        raise AssertionError("a trial was computed again")

    monkeypatch.setattr(fine_tuning, "fine_tune", computed)
    monkeypatch.setattr(inputs_module, "open_activations", computed)
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


def test_nothing_is_chosen_by_the_labels_of_test_images(shared_inputs, store, tmp_path):
    tested = shared_inputs.folds[0].test
    labels = shared_inputs.labels.copy()
    labels[tested] = 1 - labels[tested]
    swapped = replace(shared_inputs, labels=labels)
    rotation = Rotation(views=2)
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
    inputs_module._OPEN.clear()
    assert results(fine_tuning_study(inputs, TrialStore(tmp_path / "b"), [grid])) == results(first)


def test_each_finished_trial_says_its_validation_auc(shared_inputs, store, monkeypatch, capsys):
    monkeypatch.setenv("HEP2_PROGRESS", "1")
    fine_tune = fine_tuning.fine_tune
    slow = {"seconds": 2.0}  # what takes a second gets a line of its own
    monkeypatch.setattr(fine_tuning, "fine_tune", lambda *arguments: fine_tune(*arguments) | slow)
    monkeypatch.setattr("hep2lib.progress.DELAY", 0)
    outcome = fine_tuning_study(shared_inputs, store, [GRID])
    said = capsys.readouterr().err
    for (rate, fold), part in outcome.table().groupby(["learning_rate", "fold"]):
        assert f"rate {rate:g}, fold {fold + 1}: validation AUC {part['validation_auc'].max():.3f}" in said
    assert "4/4" in said


def test_seeds_move_results_and_choose_nothing(shared_inputs, store, tmp_path):
    outcome = fine_tuning_study(shared_inputs, store, [replace(GRID, seeds=3)], seed=7)
    assert [r["trial"]["seed"] for r in outcome.records] == [7] * 4 + [8] * 4 + [9] * 4
    alone = fine_tuning_study(shared_inputs, TrialStore(tmp_path / "alone"), [GRID], seed=7)
    assert outcome.best() == alone.best()
    assert outcome.means().equals(alone.means())
    best = outcome.best()
    assert outcome.scores(best).equals(alone.scores(best))
    assert outcome.table().groupby("seed")["loss"].sum().nunique() == 3
    spread = outcome.seed_spread()
    assert spread["seeds"].tolist() == [3, 3]
    for cell in spread.itertuples():
        table = outcome.table()
        mine = table[table["learning_rate"] == cell.learning_rate]
        best = mine.groupby(["seed", "epoch"])["validation_auc"].mean().groupby("seed").max()
        assert (cell.low, cell.high) == (best.min(), best.max())
        assert cell.spread == cell.high - cell.low


def test_the_chosen_configuration_of_a_depth_is_trained_with_further_seeds(shared_inputs, store, tmp_path):
    grid = replace(GRID, freeze=(110, 139), seeds=1)
    outcome = fine_tuning_study(shared_inputs, store, [grid], chosen_seeds={139: 3, 110: 1}, seed=7)
    alone = fine_tuning_study(shared_inputs, TrialStore(tmp_path / "alone"), [grid], seed=7)
    chosen, folds = alone.best(139), len(shared_inputs.folds)
    more = [record["trial"] for record in outcome.records[len(alone.records) :]]
    assert sorted((one["seed"], one["fold"]) for one in more) == [
        (seed, fold) for seed in (8, 9) for fold in range(folds)
    ]
    assert {(one["freeze"], one["learning_rate"]) for one in more} == {(139, chosen.learning_rate)}
    assert outcome.means().equals(alone.means())
    assert outcome.nested() == alone.nested()
    assert outcome.seed_spread()[["freeze", "seeds"]].to_numpy().tolist() == [[139, 3]]
    both = fine_tuning_study(shared_inputs, store, [replace(grid, seeds=2)], chosen_seeds={139: 3}, seed=7)
    names = [record["id"] for record in both.records]
    assert len(names) == len(set(names)) == 2 * len(alone.records) + folds


def test_other_seeds_may_start_from_other_networks(shared_inputs, images, store, tmp_path):
    asked = []

    def drawn(seed):
        asked.append(seed)
        network = GoogLeNet(variant="torchvision", classes=2)
        load_weights(network, "random", seed=seed, images=images)
        return network

    grid = replace(GRID, freeze=(139,), seeds=2)
    outcome = fine_tuning_study(shared_inputs, store, [grid], chosen_seeds={139: 3}, seed=0, starts=drawn)
    assert set(asked) == {1, 2}  # never the study's own
    networks = {record["trial"]["seed"]: record["context"]["network"] for record in outcome.records}
    assert networks == {0: shared_inputs.network.state_digest()} | {
        seed: drawn(seed).state_digest() for seed in (1, 2)
    }
    one = fine_tuning_study(shared_inputs, TrialStore(tmp_path / "one"), [replace(grid, seeds=1)], seed=0)
    assert outcome.means().equals(one.means())


def test_class_weights_and_the_other_options_reach_the_trials(shared_inputs, store):
    options = TrainingOptions(class_weights="balanced", shuffle="every-epoch", head_rate_factor=10.0)
    outcome = fine_tuning_study(shared_inputs, store, [GRID], options=options)
    trial = outcome.records[0]["trial"]
    assert (trial["class_weights"], trial["shuffle"], trial["head_rate_factor"]) == (
        "balanced",
        "every-epoch",
        10.0,
    )


def test_from_scratch_everything_is_trained(shared_inputs, store):
    grid = replace(GRID, freeze=(0,), learning_rates=(0.01,), epochs=1)
    outcome = fine_tuning_study(shared_inputs, store, [grid])
    assert not any(record["diverged"] for record in outcome.records)
    tuned = tuned_networks(shared_inputs, outcome, outcome.best(), store.folder / "networks")[0]
    for (name, value), start in zip(
        tuned.state_dict().items(), shared_inputs.network.state_dict().values(), strict=True
    ):
        assert not torch.equal(value, start), name


def test_every_function_that_a_trial_runs_is_part_of_the_digest_of_its_code(inputs, images):
    ran = set()

    def watch(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            file = Path(frame.f_code.co_filename).relative_to(PACKAGE.parent)
            module = ".".join(file.with_suffix("").parts)
            ran.add(f"{module}.{frame.f_code.co_qualname.partition('.<locals>')[0]}")

    files = inputs.for_workers()
    fields = {"batch_size": 4, "learning_rate": 0.01, "epochs": 1, "fold": 0, "seed": 0}
    trials = [
        FineTuningTrial(freeze=139, rotations=2, class_weights="balanced", shuffle="every-epoch", **fields),
        FineTuningTrial(freeze=11, activations="bf16", last_batch="keep", **fields),
    ]
    sys.setprofile(watch)
    try:
        for trial in trials:
            fine_tuning.fine_tune(files, trial, inputs.context | {"code": "0123abcd"})
    finally:
        sys.setprofile(None)
    found = reached("from hep2lib.studies.fine_tuning import fine_tune")
    # Methods that torch calls, and Python itself, belong to their class.
    whole = ("hep2lib.cnn.googlenet.Section.", "hep2lib.cnn.googlenet.GoogLeNet.", "hep2lib.progress.")
    unseen = {name for name in ran - set(found) if not name.startswith(whole) and "__" not in name}
    assert len(ran) > 40
    assert {name for name in unseen if "<" not in name} == set()


def test_what_other_code_computed_is_computed_again(inputs, store, monkeypatch, capsys):
    grid = replace(GRID, learning_rates=(0.01,))
    first = fine_tuning_study(inputs, store, [grid])
    monkeypatch.setattr(fine_tuning, "code_digest", lambda *names: "0123abcd")
    second = fine_tuning_study(inputs, store, [grid])
    assert [r["epochs"] for r in second.records] == [r["epochs"] for r in first.records]
    assert not {r["id"] for r in second.records} & {r["id"] for r in first.records}
    assert len(list(store.folder.iterdir())) == 4
    assert "2 results in" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["activations-*.npy", "network-*.safetensors", "images-*.npy"])
def test_what_was_altered_in_the_cache_is_computed_again(inputs, store, tmp_path, monkeypatch, capsys, what):
    grid = replace(GRID, learning_rates=(0.01,))
    first = fine_tuning_study(inputs, store, [grid])
    (file,) = inputs.cache.glob(what)
    content = bytearray(file.read_bytes())
    content[-100:-90] = bytes(10) if any(content[-100:-90]) else b"\x01" * 10
    file.write_bytes(content)
    monkeypatch.setattr(inputs_module, "_OPEN", {})
    again = fine_tuning_study(inputs, TrialStore(tmp_path / "again"), [grid])
    assert results(again) == results(first)
    assert f"{file}: not what was written there" in capsys.readouterr().err
    assert file.with_name(f"{file.name}.damaged").read_bytes() == content


def test_a_record_that_was_altered_is_computed_again(inputs, store, capsys):
    grid = replace(GRID, learning_rates=(0.01,))
    first = fine_tuning_study(inputs, store, [grid])
    file = sorted(store.folder.iterdir())[0]
    record = json.loads(file.read_text(encoding="utf-8"))
    record["epochs"][0]["test"][0] = 0.5
    file.write_text(json.dumps(record), encoding="utf-8")
    assert results(fine_tuning_study(inputs, store, [grid])) == results(first)
    assert f"{file}: not what was written there" in capsys.readouterr().err
