from itertools import product

import numpy as np
import pandas as pd
import pytest

from hep2lib.cnn.googlenet import architecture
from hep2lib.cnn.layers import layer_table
from hep2lib.data.folds import Fold
from hep2lib.figures.tuning import (
    batchnorm_figure,
    choices_table,
    cost_table,
    freezing_figure,
    grid_figure,
    learning_figure,
    seed_figure,
    selection_table,
    table_3,
)
from hep2lib.ranking import auc
from hep2lib.studies.floor import training_operations
from hep2lib.studies.outcomes import FineTuningOutcome
from hep2lib.studies.trial import FineTuningTrial, trial_fields

LABELS = np.arange(24) % 2
ROWS = np.arange(24)
FOLDS = [Fold(ROWS[8:16], ROWS[16:], ROWS[:8]), Fold(ROWS[16:], ROWS[:8], ROWS[8:16])]
DATABASE = pd.DataFrame({"specimen": ROWS // 2})


def record(fold, strength, *, epochs=2, seconds=2.0, **changes):
    """A training whose scores tell the label the better the larger ``strength``."""
    trial = FineTuningTrial(
        **{"freeze": 139, "batch_size": 4, "learning_rate": 0.01, "seed": 0} | changes,
        epochs=epochs,
        fold=fold,
    )
    draw = np.random.default_rng([fold, int(100 * strength)])
    scores = [
        {
            "epoch": epoch,
            "loss": 0.5,
            **{
                part: (draw.normal(size=8) + strength * epoch * LABELS[getattr(FOLDS[fold], part)]).tolist()
                for part in ("validation", "test")
            },
        }
        for epoch in range(1, epochs + 1)
    ]
    fields = trial_fields(trial)
    return {"trial": fields, "epochs": scores, "seconds": seconds, "diverged": False, "device": "cpu"}


@pytest.fixture
def study():
    cells = [{"strength": 0.5}, {"strength": 2.0, "freeze": 110}, {"strength": 0.3, "seed": 1}]
    records = [record(fold, **cell) for cell in cells for fold in (0, 1)]
    rotated = {"freeze": 110, "rotations": 18, "views_per_epoch": 1, "seconds": 9.0}
    return FineTuningOutcome(records + [record(f, 3.0, **rotated) for f in (0, 1)], LABELS, FOLDS)


def test_choices_show_what_this_run_took():
    used = {"head_rate_factor": 10.0, "rotations": 18, "views_per_epoch": 1, "batch_size": [4, 16]}
    used |= {"learning_rate": [0.001, 0.01], "freeze": [11], "epochs": [5], "fold": 5, "seed": 0}
    paper = {"momentum": 0.9, "rotations": 18, "views_per_epoch": 18, "batch_size": [4, 16], "epochs": [10]}
    table = choices_table(used, paper).set_index("Choice")
    columns = ["Here", "Paper", "As in the paper"]
    for choice, shown in {
        "learning rate of the classifier, relative": ["10", "silent", "unknown"],
        "rotated views": ["18", "18", "yes"],
        "views of an image in an epoch": ["1", "18", "no"],
        "momentum": ["0.9", "0.9", "yes"],
        "mini-batch size": ["4, 16", "4, 16", "yes"],
        "epochs, at most": ["5", "10", "no"],
        "learning rate": ["0.001, 0.01", "silent", "unknown"],
    }.items():
        assert table.loc[choice, columns].tolist() == shown
    assert table.loc["learning rate of the classifier, relative", "Source"] == (
        "chosen for this run, not 1: MATLAB, a new layer's default (its example takes 10), not verified"
    )
    assert table.loc["weight decay of weights", "Source"].startswith("MATLAB, trainingOptions")
    other = choices_table(used | {"momentum": 0.5, "views_per_epoch": 18}, paper).set_index("Choice")
    assert other.loc["momentum", columns].tolist() == ["0.5", "0.9", "no"]
    assert other.loc["views of an image in an epoch", "As in the paper"] == "yes"
    assert not table.astype(str).apply(lambda column: column.str.contains("memory|likely")).any(axis=None)
    assert table.notna().all(axis=None)


def test_selection_compares_one_choice_with_one_a_fold(study):
    table = selection_table(study, DATABASE)
    assert table["Frozen layers"].tolist() == ["110", "139", "any, also rotated"]
    for depth, row in zip((110, 139, None), table.itertuples(index=False), strict=True):
        rotated = None if depth is None else False  # as chapter 5 counts
        tied = [choice.tied for choice in study.nested(depth, rotated=rotated)]
        assert row.Tied in (f"{min(tied)} to {max(tied)}", str(tied[0]))
        assert row[1:3] == (2 if depth is None else 1, 2)  # configurations and epochs
        one, each = (choose(depth, rotated=rotated) for choose in (study.best, study.nested))
        for column, chosen in ((3, one), (4, each)):
            scores = study.scores(chosen)
            mean = np.mean([auc(part["label"], part["score"]) for _, part in scores.groupby("fold")])
            assert row[column].startswith(f"{mean:.3f} (")


def test_rotations_are_compared_with_the_same_training_without_them(study):
    table = table_3(study, DATABASE, {}).set_index("Training")
    pair = table.loc[["freeze 110", "freeze 110, with rotations"]]
    plain, turned = study.best(110), study.best(110, rotated=True)
    allowed = pair[["Configurations searched", "Epochs allowed", "Views an epoch"]]
    assert allowed.to_numpy().tolist() == [[1, 2, 1], [1, 2, 1]]
    assert pair["Validation AUC"].tolist() == [plain.validation_auc, turned.validation_auc]
    means = study.means().set_index(["freeze", "rotations", "epoch"])["test_auc"]
    expected = [means[110, 1, plain.epoch], means[110, 18, turned.epoch]]
    assert pair["Test AUC"].tolist() == pytest.approx(expected)


def test_test_labels_change_no_choice_and_nothing_that_was_searched():
    folds = [
        Fold(ROWS[:8], ROWS[8:16], test) for test in (ROWS[16:20], ROWS[20:])
    ]  # each with one part to play
    draw = np.random.default_rng(3)
    records = []
    for depth, views, rate, fold in product((11, 110), (1, 18), (0.01, 0.001), (0, 1)):
        trial = FineTuningTrial(
            freeze=depth, batch_size=4, learning_rate=rate, seed=0, epochs=3, fold=fold, rotations=views
        )
        scores = [
            {
                "epoch": epoch,
                "loss": 0.5,
                "validation": draw.random(8).tolist(),
                "test": draw.random(4).tolist(),
            }
            for epoch in (1, 2, 3)
        ]
        records.append({"trial": trial_fields(trial), "epochs": scores, "seconds": 1.0})
    shuffled = LABELS.copy()
    shuffled[16:] = 1 - LABELS[16:]
    kept, tests = [], []
    for labels in (LABELS, shuffled):
        study = FineTuningOutcome(records, labels, folds)
        tables = [table_3(study, DATABASE, {}), selection_table(study, DATABASE)]
        judged = ["Test AUC", "95 % interval", "One for all folds", "One for each fold"]
        kept.append([table.drop(columns=judged, errors="ignore") for table in tables])
        tests.append(tables[0]["Test AUC"].tolist())
    assert tests[0] != tests[1]
    for before, after in zip(*kept, strict=True):
        assert before.equals(after)
    assert kept[0][0]["Configurations searched"].tolist() == [2] * 4
    assert kept[0][0]["Epochs allowed"].tolist() == [3] * 4
    assert kept[0][0]["Views an epoch"].tolist() == [1, 1, 18, 18]
    assert kept[0][1]["Configurations searched"].tolist() == [2, 2, 4]


def test_the_floor_is_what_the_operations_take(study):
    table = cost_table(study, 1e9, variant="torchvision", size=224).set_index(["Frozen layers", "Angles"])
    trial = FineTuningTrial(freeze=110, batch_size=4, learning_rate=0.01, epochs=2, fold=0, seed=0)
    floor = training_operations(trial, FOLDS[0]) / 1e9
    assert table.loc[(110, 1)].tolist() == [2, 4, 2, pytest.approx(floor), pytest.approx(floor / 2)]
    assert table.loc[(139, 1), "Trainings"] == 4
    assert np.isnan(table.loc[(110, 18), "Floor's share"])
    on_gpu = FineTuningOutcome([r | {"device": "NVIDIA H100"} for r in study.records], LABELS, FOLDS)
    assert cost_table(on_gpu, 1e9, variant="torchvision", size=224)["Floor, s"].isna().all()


def test_figures_say_what_they_show(study):
    figure, alt = freezing_figure(layer_table(architecture()), [11, 139])
    assert "the first 139 hold 100% of the parameters and 100% of the multiplications" in alt
    assert [line.get_xdata()[0] for line in figure.axes[0].lines[2:]] == [11, 139]
    spread = study.seed_spread()
    figure, alt = seed_figure(study.seed_results(), spread)
    assert "each configuration (1), a point" in alt
    assert alt.endswith(f"Seeds differ by {spread['spread'].max():.3f} within each configuration.")
    wider = pd.concat([spread, spread.assign(batch_size=16, spread=0.9)])
    assert seed_figure(study.seed_results(), wider).alt.endswith(
        " to 0.900 within a configuration (depth, batch size, rate), most at freeze 139, 16, 0.01."
    )
    drawn = figure.axes[0].collections[0].get_offsets()[:, 0]
    assert sorted(drawn) == [pytest.approx(spread["low"].item()), pytest.approx(spread["high"].item())]
    table = pd.concat([study.table(), study.table().assign(batchnorm="alive", validation_auc=0.25)])
    figure, alt = batchnorm_figure(table[table["freeze"] == 139])
    assert "batch size 4, alive: 0.25" in alt
    assert len(figure.axes[0].lines) == 2  # a curve each
    figure, alt = batchnorm_figure(
        table[(table["freeze"] == 139) & (table["epoch"] == 1) & (table["seed"] == 0)]
    )
    one_fold = table.query("freeze == 139 and epoch == 1 and seed == 0 and fold == 0")
    assert "mean of the folds, after epoch 1: batch size 4, alive: 0.25; batch size 4, frozen: 0." in alt
    assert "AUC, of one fold, after epoch 1" in batchnorm_figure(one_fold).alt
    assert [line.get_ydata()[1] for line in figure.axes[0].lines] == [0.25, 0.25]  # a line a fold


def test_the_grids_and_the_curves_show_the_means(study):
    means = study.means()
    plain = means[means["rotations"] == 1]
    figure, alt = grid_figure(plain)
    best = study.best(110)
    assert f"freeze 110: 1 configuration, {best.validation_auc:.3f} at batch size 4" in alt
    assert [axes.get_title() for axes in figure.axes] == ["freeze 110", "freeze 139"]
    assert figure.axes[0].texts[0].get_text() == f"{best.validation_auc:.3f}"
    table = study.table()
    figure, alt = learning_figure(table[(table["seed"] == 0) & (table["rotations"] == 1)])
    first, last = plain[plain["freeze"] == 110]["validation_auc"]
    assert f"freeze 110 goes from {first:.2f} to {last:.2f} in 2 epochs" in alt
    assert figure.axes[0].lines[0].get_ydata().tolist() == [first, last]
    one = table[(table["seed"] == 0) & (table["rotations"] == 1) & (table["epoch"] == 1)]
    figure, _ = learning_figure(one.assign(validation_auc=1.0))
    assert figure.axes[0].get_ylim()[1] < 1.01
    assert [tick for tick in figure.axes[0].get_xticks() if 0.9 < tick < 1.1] == [1]


def test_of_equal_cells_the_chosen_one_is_framed():
    """Both batch sizes separate the labels; the larger, which stands behind, is surer of it."""
    records = [record(f, 1.0, epochs=1, freeze=110, batch_size=size) for size in (4, 16) for f in (0, 1)]
    for one in records:
        labels = LABELS[FOLDS[one["trial"]["fold"]].validation]
        shift = 0.1 if one["trial"]["batch_size"] == 4 else 0.4
        one["epochs"][0]["validation"] = (0.5 + shift * (2 * labels - 1)).tolist()
    study = FineTuningOutcome(records, LABELS, FOLDS)
    assert (study.best().batch_size, study.best().tied) == (16, 2)
    figure, alt = grid_figure(study.means())
    assert "2 configurations, the highest 1.000 at batch size 16" in alt
    assert [patch.get_x() for patch in figure.axes[0].patches] == [pytest.approx(1.04)]
