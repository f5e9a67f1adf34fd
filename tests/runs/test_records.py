"""What is read of a run's records is what was written, to the last bit; what is not there is said."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hep2lib.data.folds import Fold
from hep2lib.evaluation.scores import run_strategies, seed_aucs
from hep2lib.runs import records
from hep2lib.runs.records import RecordsError
from hep2lib.studies.fine_tuning import Grid
from hep2lib.studies.outcomes import FineTuningOutcome, LayerChoice, OutcomeError, SVMOutcome
from hep2lib.studies.trial import TrainingOptions, trial_fields

LABELS = np.arange(60) % 2
FOLDS = [
    Fold(*(np.flatnonzero((np.arange(60) // 4 + k) % 3 == part) for part in (0, 1, 2))) for k in range(3)
]
DATABASE = pd.DataFrame(
    {
        "image": [f"{row:04d}.png" for row in range(60)],
        "label": LABELS.astype(np.int8),
        "specimen": [f"{row // 2:03d}" for row in range(60)],  # read as numbers they would lose their zeros
        "pattern": ["NA" if row % 5 else "" for row in range(60)],
        "age": [np.nan if row % 7 else 40.5 for row in range(60)],
        "width": 640.0,
        "height": 480.0,
        "format": "PNG",
    }
)


def tuning() -> FineTuningOutcome:
    """Two depths, two seeds and three epochs; one training diverged after one, and one at once."""
    draw = np.random.default_rng(0)
    grid = Grid((11, 139), (16,), (0.01, 0.001), epochs=3, seeds=2)
    kept = []
    for number, trial in enumerate(grid.trials(range(3), 0, TrainingOptions())):
        fold, ended = FOLDS[trial.fold], {5: 1, 7: 0}.get(number, 3)
        epochs = [
            {"epoch": epoch, "loss": draw.random()}
            | {
                part: draw.random(getattr(fold, part).size, np.float32).tolist()
                for part in ("validation", "test")
            }
            for epoch in range(1, ended + 1)
        ]
        about = {"diverged": ended < 3, "seconds": 1.25, "device": "cpu"}
        kept.append({"trial": trial_fields(trial), "epochs": epochs} | about)
    return FineTuningOutcome(kept, LABELS, FOLDS)


def machines(seed: int, regularisation: str = "C") -> SVMOutcome:
    """Two layers and four values, whose margins have ten digits."""
    draw, values = np.random.default_rng(seed), np.logspace(-6, 2.5, 4).tolist()
    kept = []
    for layer in ("pool2-3x3_s2", "inception_3a-output"):
        for number, fold in enumerate(FOLDS):
            trial = {"layer": layer, "fold": number, "values": values, "regularisation": regularisation}
            margins = {
                part: [
                    [float(f"{one:.10g}") for one in row]
                    for row in draw.normal(size=(4, getattr(fold, part).size))
                ]
                for part in ("validation", "test")
            }
            gap = None if regularisation == "lambda" else draw.random() * 1e-9
            kept.append({"trial": trial, "gap": gap, "seconds": draw.random()} | margins)
    return SVMOutcome(kept, LABELS, FOLDS)


@pytest.fixture(scope="module")
def studies():
    return {"search": tuning()}, {"": machines(1), "other-regularisation": machines(2, "lambda")}


def kept(run: Path, studies) -> Path:
    records.keep(run, DATABASE, *studies, {"database": {"name": "made up", "simulated": True}})
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory, studies):
    return kept(tmp_path_factory.mktemp("run"), studies)


def test_of_the_same_studies_the_same_bytes(run, studies, tmp_path):
    again = kept(tmp_path, studies)
    names = {file.name for file in (run / "records").iterdir()}
    assert names == {"about.json"} | {
        f"{name}.csv.gz" for name in ("database", "trainings", "training-scores", "svm", "svm-scores")
    }
    for name in names:
        assert (again / "records" / name).read_bytes() == (run / "records" / name).read_bytes(), name


def test_the_database_is_what_it_was(run):
    found = records.read_images(run)
    pd.testing.assert_frame_equal(found, DATABASE, check_dtype=False)
    assert found["label"].dtype == np.int8
    assert found["specimen"].iloc[2] == "001"
    assert found.attrs == {"name": "made up", "simulated": True}


def test_trainings_are_what_they_were(run, studies):
    (found,) = records.read_tunings(run, LABELS, FOLDS).values()
    was = studies[0]["search"]
    pd.testing.assert_frame_equal(found.table(), was.table(), check_exact=True)
    assert [one["trial"] for one in found.records] == [one["trial"] for one in was.records]
    assert [one["diverged"] for one in found.records] == [one["diverged"] for one in was.records]
    assert [len(one["epochs"]) for one in found.records] == [len(one["epochs"]) for one in was.records]
    assert (found.best(), found.nested(), found.budget()) == (was.best(), was.nested(), was.budget())
    assert found.scores(found.best()).equals(was.scores(was.best()))
    assert found.seed_spread().equals(was.seed_spread())
    assert np.array_equal(seed_aucs(found, found.best()), seed_aucs(was, was.best()))


def test_machines_are_what_they_were_where_validation_prefers_them(run, studies):
    found = records.read_svms(run, LABELS, FOLDS)
    assert list(found) == ["", "other-regularisation"]
    for way, was in studies[1].items():
        one = found[way]
        pd.testing.assert_frame_equal(one.table(), was.table(), check_exact=True)
        assert one.means().equals(was.means())
        assert one.along_the_network().equals(was.along_the_network())
        assert (one.layers, one.fits, one.regularisation) == (was.layers, was.fits, was.regularisation)
        assert one.seconds == was.seconds
        assert (one.best(), one.nested()) == (was.best(), was.nested())
        for choice in (*map(was.best, was.layers), *was.nested()):
            for part in ("validation", "test"):
                assert one.scores(choice, part).equals(was.scores(choice, part))
    assert found[""].gap == studies[1][""].gap


def test_every_strategy_of_a_run_has_its_scores(run, studies):
    found = run_strategies(
        records.read_tunings(run, LABELS, FOLDS)["search"],
        records.read_svms(run, LABELS, FOLDS)[""],
        records.read_images(run),
    )
    was = run_strategies(studies[0]["search"], studies[1][""], DATABASE)
    assert list(found) == list(was)
    for name, one in was.items():
        assert found[name].choice == one.choice
        assert found[name].test.equals(one.test)
        assert found[name].validation.equals(one.validation)


def test_scores_that_nothing_prefers_are_said_to_be_missing(run, studies):
    found, was = records.read_svms(run, LABELS, FOLDS)[""], studies[1][""]
    preferred = {(one.layer, one.value) for one in (*map(was.best, was.layers), *was.nested())}
    layer, value = next(
        (layer, value)
        for layer, value in zip(*was.means()[["layer", "value"]].T.to_numpy(), strict=True)
        if (layer, value) not in preferred
    )
    with pytest.raises(OutcomeError, match=f"hold no scores of {layer} with C = .*what validation prefers"):
        found.scores(LayerChoice(layer, value, 0.5, 1.0, 1))


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).random((3, 2, 5), np.float32),
        np.random.default_rng(1).normal(size=(3, 10)) * 1e-12,
        np.arange(3 * 3 * 4 * 4, dtype=np.uint8).reshape(3, 3, 4, 4),
        np.array([0.1, 1 / 3, 2.5]),
    ],
)
def test_an_array_is_what_it_was_and_of_rows_that_are_there(tmp_path, array):
    rows = [17, 3, 20]
    records.write_array(tmp_path, "05-results-maps", rows, array)
    found = records.read_array(tmp_path, "05-results-maps", rows)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    assert np.array_equal(records.read_array(tmp_path, "05-results-maps", [20, 17]), array[[2, 0]])
    with pytest.raises(
        RecordsError, match="hold 05-results-maps of images 17, 3, 20, not of 17, 4; a run of"
    ):
        records.read_array(tmp_path, "05-results-maps", [17, 4])
    with pytest.raises(RecordsError, match="its records hold no 05-results-other; a run of its own"):
        records.read_array(tmp_path, "05-results-other", rows)
    table = pd.read_csv(
        tmp_path / "records" / "05-results-maps.csv.gz", index_col=0
    )  # nothing else is needed
    assert list(table) == ["17", "3", "20"]


@pytest.mark.parametrize("name", ["svm.csv.gz", "database.csv.gz", "README.md", "records.json"])
def test_damaged_records_are_named(tmp_path, studies, name):
    run = kept(tmp_path, studies)
    records.seal(run / "records")
    records.check_seal(run)
    text = (run / "records" / "README.md").read_text(encoding="utf-8")
    sealed = json.loads((run / "records" / "records.json").read_text(encoding="utf-8"))
    kinds = [file for file in sealed if file not in ("README.md", "about.json")]
    assert [file for file in kinds if f"`{file}`" not in text] == []
    file = run / "records" / name
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(RecordsError, match=f"{name}: not what was published; take book/run from the repos"):
        records.check_seal(run)
    file.unlink()
    with pytest.raises(RecordsError if name != "records.json" else FileNotFoundError):
        records.check_seal(run)
