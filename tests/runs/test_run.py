import pytest

from hep2lib.data.folds import FoldError
from hep2lib.runs import run as run_module
from hep2lib.runs.parameters import make_parameters
from hep2lib.runs.run import RunFolderError, open_run

from ..data.handmade import aida_rows, write_aida


@pytest.fixture
def database(tmp_path):
    return str(write_aida(tmp_path / "data", aida_rows(specimens=12)))


def test_the_folds_are_kept_in_the_run_and_checked_when_read(tmp_path, database):
    folder = tmp_path / "run"
    folds = open_run(folder, "smoke", data=database).folds
    assert len(folds) == 2
    again = open_run(folder, "smoke", data=database).folds
    assert [fold.test.tolist() for fold in again] == [fold.test.tolist() for fold in folds]
    file = folder / "folds.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(FoldError, match=r"folds\.csv"):
        _ = open_run(folder, "smoke", data=database).folds


def test_a_run_with_other_parameters_is_refused(tmp_path):
    open_run(tmp_path / "run", "smoke", seed=1)
    assert open_run(tmp_path / "run", "smoke").parameters.seed == 1
    with pytest.raises(RunFolderError, match="seed is 1 there, 2 was asked for"):
        open_run(tmp_path / "run", "smoke", seed=2)
    with pytest.raises(RunFolderError, match="profile is 'smoke' there"):
        open_run(tmp_path / "run", "quick")


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    with pytest.raises(RunFolderError, match="the folder is not empty and holds no run"):
        open_run(tmp_path, "smoke")
    with pytest.raises(RunFolderError, match="there is a file of that name"):
        open_run(tmp_path / "letter.txt", "smoke")


@pytest.mark.parametrize(("reachable", "used"), [(True, "imagenet"), (False, "random")])
def test_which_weights_auto_means_is_settled_once_and_said(tmp_path, monkeypatch, reachable, used):
    monkeypatch.setattr(run_module, "imagenet_available", lambda: reachable)
    weights = open_run(tmp_path / "run", "smoke", weights="auto").weights
    assert (weights["asked"], weights["used"]) == ("auto", used)
    assert ("could not be reached" in weights["reason"]) != reachable
    monkeypatch.setattr(run_module, "imagenet_available", lambda: not reachable)
    assert open_run(tmp_path / "run", "smoke").weights == weights


def test_random_weights_are_never_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "imagenet_available", lambda: True)
    assert open_run(tmp_path / "run", "smoke", weights="random").weights["used"] == "random"


def test_random_weights_are_drawn_once_and_kept(tmp_path, monkeypatch):
    parameters = make_parameters("smoke", {"specimens": 16})
    drawn = run_module.starting_network(parameters, "random", tmp_path)
    assert "16 simulated images that belong to no database; seed 0" in drawn.provenance.description
    monkeypatch.setattr(run_module, "load_weights", None)  # a second drawing would fail
    kept = run_module.starting_network(parameters, "random", tmp_path)
    assert kept.state_digest() == drawn.state_digest()
    assert kept.provenance == drawn.provenance


@pytest.mark.parametrize(
    ("precision", "device", "faster", "warned"),
    [
        ("bf16", "cpu", False, True),
        ("bf16", "cpu", True, False),
        ("fp32", "cpu", False, False),
        ("bf16", "cuda", False, False),
    ],
)
def test_bf16_on_a_processor_without_it_is_advised_against(
    tmp_path, monkeypatch, precision, device, faster, warned
):
    monkeypatch.setattr("hep2lib.studies.floor.bf16_is_faster", lambda: faster)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    run = open_run(tmp_path / "run", "smoke", **{"training.precision": precision, "device": device})
    assert ("training.precision=fp32" in run.advice) is warned
