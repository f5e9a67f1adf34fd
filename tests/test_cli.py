"""What a person sees whose input cannot be used: one message, exit code 2, no traceback."""

import errno
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from hep2lib import __version__
from hep2lib.cli import main
from hep2lib.errors import InputError
from hep2lib.files import RunError, project_root, write_json
from hep2lib.progress import progress
from hep2lib.runs.freshness import Chapter
from hep2lib.runs.notebooks import PAGES
from hep2lib.runs.parameters import make_parameters, profile_values, read_parameters
from hep2lib.runs.run import open_run

from .data.handmade import HEADER, aida_rows, write_aida, write_csv


@pytest.fixture
def said(tmp_path, capsys):
    """Start a study on a folder; what is said on stderr, the exit code checked."""

    def start(data, *options, weights="random-matlab"):
        where = ["--data", str(data), "--out", str(tmp_path / "run"), "--weights", weights]
        assert main(["study", "svm", "--profile", "smoke", *where, *options]) == 2
        message = capsys.readouterr().err
        assert message.startswith("hep2: ")
        assert "Traceback" not in message
        return message

    return start


@pytest.fixture
def database(tmp_path):
    return write_aida(tmp_path / "data")


SHEET = "AIDA_HEp-2_GroundTruth.csv"


def test_no_folder(said, tmp_path):
    assert str(tmp_path / "nowhere") in said(tmp_path / "nowhere")


def test_no_sheet(said, database):
    (database / SHEET).unlink()
    assert "sheet" in said(database)


def test_a_listed_file_is_missing(said, database):
    (database / "aida_project_database" / "02_1.png").unlink()
    assert "02_1.png" in said(database)


def test_an_unreadable_image(said, database):
    (database / "aida_project_database" / "02_1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    assert "02_1.png" in said(database)


def test_one_class_only(said, tmp_path):
    rows = [[*row[:2], "positive", "homogeneous"] for row in aida_rows()]
    assert "negative" in said(write_aida(tmp_path / "data", rows))


def test_fewer_specimens_than_folds(said, database):
    assert "specimens" in said(database, "--set", "folds=20")


def test_a_class_in_one_specimen_cannot_be_divided(said, tmp_path):
    rows = aida_rows()
    sheet = [[*row[:2], "negative" if row[1] == 3 else "positive", ""] for row in rows]
    data = write_aida(tmp_path / "data", rows)
    write_csv(data / SHEET, [HEADER, *sheet])
    assert "negative" in said(data)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sead=3", "parameter 'sead' is unknown; did you mean 'seed'?"),
        ("folder=here", "parameter 'folder' is unknown; did you mean 'folds'?"),
        (
            "grids=[{freeze: [145], batch_sizes: [8], learning_rates: [0.1], epochs: 1}]",
            "grids.1.freeze.1 = 145",
        ),
        (
            "grids=[{freeze: [11], batch_sizes: [0], learning_rates: [0.1], epochs: 1}]",
            "grids.1.batch_sizes.1 = 0",
        ),
        ("svm_layers=[inception_3a-outptu]", "did you mean inception_3a-output?"),
        ("training.precison=bf16", "'training.precison' is unknown; did you mean 'training.precision'?"),
        ("precision=bf16", "'precision' is unknown; did you mean 'training.precision'?"),
        ("seed", "write it as name=value"),
        ("seed=[", "not readable as YAML"),
        ("device=gpu", "device = 'gpu': this cannot be; values: auto, cpu, cuda, cuda:1"),
        ("svm_reading=lambda", "'svm_reading' is unknown; did you mean 'svm_regularisation'?"),
    ],
)
def test_an_impossible_parameter(said, database, setting, words):
    assert words in said(database, "--set", setting)


def test_what_is_set_by_name_goes_before_the_option(said, database):
    assert "nowhere.pth': no such file" in said(database, "--set", "weights=nowhere.pth")


@pytest.fixture
def begun(tmp_path, database):
    """The folder of a run that was begun, on another database than the one it asks for."""
    settings = {"data": str(database), "weights": "random-matlab", "training.precision": "bf16"}
    make_parameters("smoke", settings).write(tmp_path / "run" / "parameters.yaml")


def test_a_run_folder_that_belongs_to_other_parameters(said, database, begun, tmp_path):
    run = tmp_path / "run"
    assert said(database, "--set", "seed=4") == (
        f"hep2: {run}: the run in this folder has other parameters:\n"
        "  seed is 0 there, 4 was asked for\n"
        "  training.precision is 'bf16' there, 'fp32' was asked for\n"
        "To go on with that run as it is, give its folder alone (--out on the command line, run_folder in a "
        "notebook), without profile, seed or others; for other parameters, give another folder\n"
    )


def test_a_run_folder_whose_trainings_are_others(said, database, begun):
    write_csv(database / SHEET, [HEADER, *aida_rows(6)])
    assert "specimens" in said(database, "--set", "training.precision=bf16")  # goes on to the database
    other = said(database, "--set", "training.precision=fp32")
    assert "training.precision is 'bf16' there, 'fp32' was asked for" in other


def test_a_weights_file_that_is_missing(said, database):
    message = said(database, weights="nowhere.pth")
    assert message.count("\n") == 1
    assert (
        "parameter weights = 'nowhere.pth': no such file; give auto, imagenet, procedural, random" in message
    )
    absolute = said(database, weights=str(database / "nowhere.pth"))
    assert f"weights '{database / 'nowhere.pth'}': no such file; give an existing .pth" in absolute


def test_imagenet_weights_out_of_reach(said, database, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda **options: False)
    message = said(database, weights="imagenet")
    assert message.count("\n") == 1
    assert str(tmp_path / "torch") in message
    assert "put it there, or choose weights: procedural" in message


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2


def test_the_layers_are_listed(capsys):
    assert main(["layers"]) == 0
    assert "inception_3a-output" in capsys.readouterr().out


def test_a_full_disk_is_said_and_nothing_else(tmp_path, monkeypatch, capsys):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr("hep2lib.simulator.writing.write_database", full)
    assert main(["simulate", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "No space left on device; make room" in message


def test_a_failure_of_our_own_is_no_input_error(monkeypatch, capsys):
    def fail(run):
        raise RunError("the book cannot be rendered")

    monkeypatch.setattr("hep2lib.runs.book.build_book", fail)
    assert main(["book"]) == 1
    assert capsys.readouterr().err == "hep2: the book cannot be rendered\n"


def test_nothing_is_left_of_what_was_refused(said, database, tmp_path):
    said(database, "--set", "folds=20")
    assert not (tmp_path / "run").exists()


def test_a_path_on_the_command_line_is_kept_as_the_one_it_meant(tmp_path, monkeypatch, capsys):
    data = write_aida(tmp_path / "data", aida_rows(specimens=12))
    (data / SHEET).rename(tmp_path / "truth.csv")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile_values("smoke")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hep2lib.runs.notebooks.execute_run", lambda run, pages: None)
    options = ["--profile", "mine.yaml", "--sheet", "truth.csv", "--weights", "random-matlab", "--out", "run"]
    assert main(["data", "data", "--sheet", "truth.csv"]) == 0
    for where in (["--data", "data"], ["--set", "data=./data"], ["--data", str(data)]):
        assert main(["run", *where, *options]) == 0
    for goes_on in ([], ["--data", "data"], ["--set", "workers=2"]):
        assert main(["run", *goes_on, "--out", "run"]) == 0
    known = read_parameters(tmp_path / "run" / "parameters.yaml")
    assert (known.data, known.sheet) == (str(data), str(tmp_path / "truth.csv"))
    assert known.profile == str(tmp_path / "mine.yaml")
    monkeypatch.chdir("/")
    assert len(open_run(tmp_path / "run").database) == 24
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command",
    [
        ["data", "~nosuchuser/db"],
        ["simulate", "~nosuchuser/db"],
        ["book", "~nosuchuser/db"],
        ["publish", "~nosuchuser/db"],
        ["run", "--profile", "~nosuchuser/db.yaml"],
        ["run", "--out", "~nosuchuser/db"],
        ["run", "--data", "~nosuchuser/db"],
        ["study", "svm", "--set", "sheet=~nosuchuser/db"],
        ["data", "/", "--sheet", "~nosuchuser/db"],
    ],
)
def test_the_home_of_nobody(command, capsys):
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "~nosuchuser/db" in message
    assert "nobody here has that home folder; write the whole path" in message


def test_a_name_that_is_too_long_for_a_file(tmp_path, capsys):
    assert main(["run", "--profile", "smoke", "--out", str(tmp_path / ("x" * 300))]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "choose another folder" in message


@pytest.mark.parametrize("error", [InputError("it cannot be used"), KeyboardInterrupt()])
def test_a_message_never_stands_on_the_line_of_a_progress_bar(monkeypatch, capsys, error):
    monkeypatch.setenv("HEP2_PROGRESS", "1")
    monkeypatch.setattr("hep2lib.progress.DELAY", 0)

    def fail(run):
        kept = progress(range(9), "decoding")  # the error keeps what has a name
        for number in kept:
            if number == 3:
                raise error

    monkeypatch.setattr("hep2lib.runs.book.build_book", fail)
    assert main(["book"]) in (2, 130)
    lines = capsys.readouterr().err.split("\n")
    assert "decoding" in "".join(lines)
    (message,) = [line for line in lines if "hep2: " in line]
    assert message.startswith("hep2: ")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            "run --lable-column x",
            "hep2: there is no --lable-column; did you mean --label-column? (`hep2 run ",
        ),
        ("data . --specimens-column=x", "there is no --specimens-column=x; did you mean --specimen-column?"),
        ("study svm --weigths random", "there is no --weigths; did you mean --weights? (`hep2 study "),
        ("run --scheduler tcp://x", "hep2: unrecognized arguments: --scheduler"),
        ("study smv", "invalid choice: 'smv'"),
        ("comapre a b", "there is no command comapre; did you mean compare? (`hep2 --help` says more)"),
        ("xyzzy", "there is no command xyzzy (`hep2 --help` says more)"),
        ("run --data ", "argument --data: the value is empty; give one, or leave the option out"),
        ("run --data= --label-column x", "argument --data: the value is empty"),
        ("run --out=", "argument --out: the value is empty"),
        ("run --label-column ", "argument --label-column: the value is empty"),
        ("data ", "argument path: the value is empty"),
        ("simulate ", "argument out: the value is empty"),
        ("publish ", "argument run: the value is empty"),
        ("book ", "argument run: the value is empty"),
    ],
)
def test_what_is_mistyped_or_empty_is_said_in_one_line(typed, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(typed.split(" "))
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert words in message
    assert list(tmp_path.iterdir()) == []


DATABASE_WORDS = {
    "label_column": "StainingPatterns",
    "negative": "neg,Neg",
    "specimen_pattern": r"^(\d+)_",
    "sheet": "truth.csv",
    "layout": "aida",
    "bits": 12,
}


@pytest.mark.parametrize("name", DATABASE_WORDS)
@pytest.mark.parametrize("way", ["option", "set", "profile", "keyword"])
def test_how_to_read_a_database_without_one_is_refused(name, way, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    value, option = DATABASE_WORDS[name], f"--{name.replace('_', '-')}"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(profile_values("smoke") | {name: value}))
    if way == "keyword":  # as a notebook has it through papermill
        with pytest.raises(InputError, match=f"^{name}=.*: for a database of one's own, and none was given"):
            open_run(tmp_path / "run", "smoke", data="", **{name: value})
    else:
        given = {
            "option": ["--profile", "smoke", option, str(value)],
            "set": ["--profile", "smoke", "--set", f"{name}={value}"],
            "profile": ["--profile", "mine.yaml"],
        }[way]
        assert main(["run", "--out", "run", *given]) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"hep2: {option} ")
        assert "give its folder (--data on the command line), or leave this out" in message
        assert message.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_profile_may_say_how_to_read_what_the_command_line_names(tmp_path, monkeypatch):
    database = write_aida(tmp_path / "data", aida_rows(specimens=12))
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(profile_values("smoke") | {"layout": "aida"}))
    monkeypatch.setattr("hep2lib.runs.notebooks.execute_run", lambda run, pages: None)
    where = ["--data", str(database), "--weights", "random-matlab", "--out", str(tmp_path / "run")]
    assert main(["run", "--profile", str(mine), *where]) == 0
    assert make_parameters(str(mine), {"data": str(database)}).run_name.startswith("mine-")


def test_a_kept_run_with_a_name_of_before_is_told_the_new_one(said, database, begun, tmp_path):
    file = tmp_path / "run" / "parameters.yaml"
    _, _, text = file.read_text(encoding="utf-8").partition("\n")  # its digest is younger than the name
    file.write_text(text.replace("svm_regularisation", "svm_reading"), encoding="utf-8")
    assert "'svm_reading' is unknown; did you mean 'svm_regularisation'?" in said(database)


def test_a_package_that_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    monkeypatch.delitem(sys.modules, "hep2lib.runs.pairs", raising=False)
    assert main(["pair", "--check"]) == 2
    said = capsys.readouterr().err
    assert said == "hep2: jupytext is missing; install it in the clone: `pip install -e '.[book]'`\n"


def test_pairs_are_written_either_way(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr("hep2lib.cli.project_root", lambda: tmp_path)
    source = folder / "01-dataset.md"
    header = "---\nkernelspec: {display_name: Mine, name: python3}\n---\n\n"
    source.write_text(f"{header}# One\n", encoding="utf-8")
    assert main(["pair"]) == 0
    made = source.with_suffix(".ipynb")
    assert capsys.readouterr().out == f"written: {made}\n"
    made.write_text(made.read_text(encoding="utf-8").replace("# One", "# Two"), encoding="utf-8")
    assert main(["pair"]) == 2
    assert "-# One\n+# Two\n`hep2 pair --from-ipynb 01-dataset` keeps" in capsys.readouterr().err
    assert main(["pair", "--check"]) == 1
    capsys.readouterr()
    assert main(["pair", "--from-ipynb", "notebooks/01-dataset.ipynb"]) == 0
    assert capsys.readouterr().out == f"written: {source}\nwritten: {made}\n"
    assert source.read_text(encoding="utf-8") == f"{header}# Two\n"
    made.write_text(made.read_text(encoding="utf-8").replace("# Two", "# Three"), encoding="utf-8")
    assert main(["pair", "--from-md", "01-dataset"]) == 0
    assert "# Two" in made.read_text(encoding="utf-8")
    assert main(["pair", "--check"]) == 0
    assert main(["pair", "--from-ipynb", "02-cnn"]) == 2
    assert "page '02-cnn': there is none of that name; the pages are 01-dataset" in capsys.readouterr().err


@pytest.fixture
def chapters(monkeypatch):
    """What `hep2 check` is told of two chapters."""
    found = {"03-fine-tuning": Chapter(), "05-results": Chapter()}
    monkeypatch.setattr("hep2lib.runs.freshness.check", lambda run: found)
    return found


def test_a_run_is_checked_chapter_by_chapter(chapters, capsys):
    assert main(["check", "runs/quick"]) == 0
    assert capsys.readouterr().out == "runs/quick:\n03-fine-tuning: fresh\n05-results: fresh\n"
    stale = Chapter(["hep2lib/cnn/layers.py changed"], ["folds.csv"])
    stale.definitions["hep2lib/cnn/layers.py"] = ["layer_table", "top-level"]
    chapters["05-results"] = stale
    assert main(["check"]) == 1
    published = f"{project_root() / 'book' / 'run'}:\n"
    assert capsys.readouterr().out == (
        f"{published}03-fine-tuning: fresh\n05-results: stale\n  hep2lib/cnn/layers.py changed\n"
        "not at hand here, so not checked: folds.csv\n"
    )
    for name in ("05", "05-results"):
        assert main(["check", "--explain", name]) == 1
        assert capsys.readouterr().out == (
            f"{published}05-results: stale\n  hep2lib/cnn/layers.py changed\n"
            "  in hep2lib/cnn/layers.py: layer_table, top-level\n"
            "not at hand here, so not checked: folds.csv\n"
        )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("5", "05"), ("07", ""), ("results", "05-results"), ("05-result", "05-results")],
)
def test_a_chapter_that_is_none_is_answered_with_those_there_are(chapters, capsys, tmp_path, typed, meant):
    assert main(["check", "--explain", typed]) == 2
    message = f"hep2: page '{typed}': there is none of that name; the pages are "
    asked = f"; did you mean '{meant}'?" if meant else ""
    assert capsys.readouterr().err == f"{message}03-fine-tuning, 05-results{asked}\n"
    assert main(["run", "--profile", "smoke", "--page", typed, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith(f"{message}01-dataset, 02-cnn, 03")
    assert not (tmp_path / "run").exists()


def test_there_is_nothing_to_check_where_there_is_no_run(tmp_path, capsys):
    for command in ("check", "refresh"):
        assert main([command, str(tmp_path / "nowhere")]) == 2
        assert "nowhere: there is no such run; " in capsys.readouterr().err


def test_only_the_pages_that_are_named_are_executed(tmp_path, capsys, monkeypatch):
    executed = []
    monkeypatch.setattr("hep2lib.runs.notebooks.execute_run", lambda run, pages: executed.append(list(pages)))
    monkeypatch.setattr("hep2lib.cli._opened", lambda options: SimpleNamespace(folder=tmp_path))
    for pages in (["05", "02-cnn", "--page", "05-results"], ["03"]):
        assert main(["run", "--page", pages[0], *(f"--page={p}" for p in pages[1:] if p != "--page")]) == 0
    assert main(["run"]) == 0
    assert executed == [["02-cnn", "05-results"], ["03-fine-tuning"], list(PAGES)]


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"hep2 {__version__}\n")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone of the test's own, with the profiles; what would be executed is kept instead."""
    shutil.copytree(project_root() / "notebooks" / "profiles", tmp_path / "clone" / "notebooks" / "profiles")
    clone, started = tmp_path / "clone", []
    shutil.copy(project_root() / "_toc.yml", clone)
    for place in ("cli", "runs.run", "runs.freshness", "runs.parameters", "runs.book"):
        monkeypatch.setattr(f"hep2lib.{place}.project_root", lambda *words: clone)
    for place in ("files", "runs.freshness"):
        monkeypatch.setattr(f"hep2lib.{place}.BESIDE", clone)
    monkeypatch.setattr("hep2lib.runs.run.Run.check", lambda run: None)
    monkeypatch.setattr("hep2lib.runs.run.Run.statement", "")
    monkeypatch.setattr("hep2lib.runs.notebooks.execute_run", lambda run, pages: started.append(run))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return SimpleNamespace(folder=clone, runs=clone / "runs", started=started)


def test_a_run_of_ones_own_is_named_changed_and_gone_on_with(clone, capsys):
    assert main(["new-run", "mine", "--from", "smoke"]) == 0
    file = clone.runs / "mine.yaml"
    assert capsys.readouterr().out == f"{file}: change what you like in it, then `hep2 run mine`\n"
    for command in ("book", "check", "refresh", "clean", "publish"):
        assert main([command, "mine"]) == 2
        said = f"hep2: {clone.runs / 'mine'}: this run has not been computed yet; `hep2 run mine` does that\n"
        assert capsys.readouterr().err == said
    file.write_text(file.read_text(encoding="utf-8").replace("#seed: 0", "seed: 4"), encoding="utf-8")
    assert main(["run", "mine"]) == main(["run", "mine"]) == 0
    assert capsys.readouterr().out.endswith("/mine\n`hep2 book mine` renders its book\n")
    assert {run.folder for run in clone.started} == {clone.runs / "mine"}
    parameters = read_parameters(clone.runs / "mine" / "parameters.yaml")
    assert (parameters.seed, parameters.specimens, parameters.profile) == (4, 16, str(file))
    file.unlink()  # the folder alone goes on with its own
    assert main(["run", "mine", "--page", "05"]) == main(["run", str(clone.runs / "mine")]) == 0
    assert clone.started[-1].parameters == parameters


def test_another_run_starts_from_one_of_ones_own(clone, capsys):
    assert main(["new-run", "first", "--from", "smoke"]) == 0
    file = clone.runs / "first.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("#seed: 0", "seed: 4"), encoding="utf-8")
    assert main(["new-run", "second", "--from", "first"]) == 0
    assert main(["new-run", "third", "--from", str(file)]) == 0
    for name in ("second", "third"):
        assert make_parameters(clone.runs / f"{name}.yaml").effective == make_parameters(file).effective
    assert main(["run", "first"]) == 0
    file.write_text(file.read_text(encoding="utf-8").replace("seed: 4", "seed: 5"), encoding="utf-8")
    assert main(["run", "first"]) == 2
    assert capsys.readouterr().err == (
        f"hep2: {clone.runs / 'first'}: the run in this folder has other parameters:\n"
        "  seed is 4 there, 5 was asked for\n"
        f"A run keeps its parameters: `hep2 new-run OTHER --from first` makes another one of {file} as it is "
        "now; with the change undone, `hep2 run first` goes on with this one\n"
    )
    assert main(["new-run", "other", "--from", "first"]) == main(["run", "other"]) == 0
    assert clone.started[-1].parameters.seed == 5
    file.write_text(file.read_text(encoding="utf-8").replace("seed: 5", "seed: 4"), encoding="utf-8")
    assert main(["run", "first"]) == 0


COMMANDS = ("run", "book", "check", "refresh", "clean", "publish", "compare")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("new-run quick", "'quick' cannot be the name of a new run: it is a profile's; choose another"),
        ("new-run ../up", "'../up' cannot be the name of a new run: write letters, digits, - and _; choose"),
        ("new-run -- -x", "'-x' cannot be the name of a new run: write letters, digits, - and _; choose"),
        (
            "new-run x.yaml",
            "'x.yaml' cannot be the name of a new run: write letters, digits, - and _; choose",
        ),
        (
            "new-run there",
            "'there' cannot be the name of a new run: CLONE/runs has one of that name (`",
        ),
        (
            "new-run kept",
            "'kept' cannot be the name of a new run: CLONE/runs has one of that name (`",
        ),
        ("new-run mine --from qick", "profile 'qick': there is none of that name; choose one of paper,"),
        ("new-run con", "'con' cannot be the name of a new run: Windows calls a device so; choose another"),
        ("new-run NUL", "'NUL' cannot be the name of a new run: Windows calls a device so; choose another"),
        ("new-run Lpt1.v2", "'Lpt1.v2' cannot be the name of a new run: Windows calls a device so; choose"),
        ("new-run com9", "'com9' cannot be the name of a new run: Windows calls a device so; choose another"),
        ("new-run mine.", "'mine.' cannot be the name of a new run: write letters, digits, - and _; choose"),
        *((f"{command} zebra", "zebra: there is no such run; `hep2 runs` lists tho") for command in COMMANDS),
        *(
            (f"{command} kpet", "kpet: there is no such run; did you mean kept? `hep2 ru")
            for command in COMMANDS
        ),
        ("run quick", "quick: there is no such run; `hep2 runs` lists those there are, `hep2 new-run` makes"),
        ("book kept", "CLONE/runs/kept: there is no such run; `hep2 runs` lists those there are"),
        ("run there --out x", "--out: the run that was named lies in CLONE/runs/there; give one of the two"),
        (
            "run there --set seed=3",
            "--set: CLONE/runs/there.yaml says the parameters; change them there, or in a",
        ),
        ("run there --profile quick", "--profile: CLONE/runs/there.yaml says the parameters; change them"),
        ("run there --label-column x", "--label-column: CLONE/runs/there.yaml says the parameters; change"),
        (
            "run kept --from-published",
            "--from-published: the run that was named lies in CLONE/runs/kept",
        ),
    ],
)
def test_a_name_that_is_none(clone, typed, words, capsys):
    assert main(["new-run", "there"]) == 0
    (clone.runs / "kept").mkdir()
    before = sorted(clone.folder.rglob("*"))
    assert main(typed.split()) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert words.replace("CLONE", str(clone.folder)) in message
    assert sorted(clone.folder.rglob("*")) == before
    assert clone.started == []


@pytest.mark.parametrize("name", ["condor", "com", "nuclear", "aux1", "lpt10", "mine.con"])
def test_a_name_that_only_looks_like_a_device_is_one(clone, name):
    assert main(["new-run", name, "--from", "smoke"]) == 0


def test_a_name_that_could_mean_two_runs_is_asked_about(clone, tmp_path, capsys):
    for folder in (clone.runs / "mine", tmp_path / "elsewhere" / "mine"):
        make_parameters("smoke").write(folder / "parameters.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["check", "mine"])
    assert ended.value.code == 2
    assert f"there are {tmp_path}/elsewhere/mine and {clone.runs}/mine; write the whole path" in (
        capsys.readouterr().err
    )


def test_runs_are_listed_a_line_each(clone, monkeypatch, capsys):
    pages = {"03-fine-tuning": Chapter(), "05-results": Chapter(["folds.csv changed"])}
    monkeypatch.setattr("hep2lib.runs.freshness.check", lambda run, project: pages)
    monkeypatch.setattr(
        "hep2lib.runs.freshness.damages", lambda run, page: [] if run.name == "done" else ["no"]
    )
    assert main(["new-run", "planned"]) == 0
    for name in ("done", "begun", "harmed", "tried"):
        make_parameters("smoke", {"data": "/nowhere/aida"}).write(clone.runs / name / "parameters.yaml")
    for name in ("done", "harmed"):
        write_json(clone.runs / name / "run.json", {"database": {"name": "AIDA"}})
        values = {"fine-tuning.auc": {"value": 0.98}, "svm.auc": {"value": 0.9734}}
        write_json(clone.runs / name / "published" / "05-results.json", {"values": values})
        write_json(clone.runs / name / "weights.json", {"used": "/there/w.pth"})
    staged = clone.runs / "tried" / "staged" / "05-results"
    write_json(staged / "published" / "05-results.json", {"page": "05-results"})
    (clone.runs / "empty").mkdir()
    (clone.runs / "notes.txt").write_text("no run", encoding="utf-8")
    (clone.folder / "book" / "run").mkdir(parents=True)
    capsys.readouterr()
    assert main(["runs"]) == 0
    titles, *lines = [re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert titles == ["run", "profile", "database", "weights", "date", "fine-tuning", "SVM", "size", "state"]
    names = ["book/run", "begun", "done", "empty", "harmed", "planned", "tried"]
    assert [line[0] for line in lines] == names
    states = {line[0]: line[-1] for line in lines}
    assert states["planned"] == "not run yet"
    assert states["done"] == "stale: 05"
    assert states["begun"] == "unfinished: 05"
    assert states["tried"] == "by hand, or not to its end: 05; unfinished"
    assert states["harmed"] == "broken: 05"
    assert states["empty"] == "broken: no parameters.yaml that can be read"
    done = lines[2]
    assert done[:4] == ["done", "smoke", "AIDA", "w.pth"]
    assert done[5:8] == ["0.980", "0.973", "0 MB"]
    assert lines[1][2:4] == ["aida", "random"]


@pytest.mark.parametrize(("command", "said"), [("['runs']", "book/run"), ("['new-run', 'mine']", "")])
def test_runs_are_listed_and_begun_without_torch(command, said, tmp_path):
    home = f"import hep2lib.cli as cli; from pathlib import Path; made = Path({str(tmp_path)!r}); "
    to = "cli.write_text = lambda file, text: (made / file.name).write_text(text, encoding='utf-8'); "
    code = f"import sys; {home}{to}cli.main({command}); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=project_root())
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    if not said:
        new = make_parameters(tmp_path / "mine.yaml")
        assert new.effective == make_parameters("quick").effective


@pytest.fixture
def heavy(tmp_path):
    """A run with everything that can be removed, and what has to stay."""
    for name in (
        "cache/a.npy",
        "networks/b.safetensors",
        "html/index.html",
        "failed/c.ipynb",
        "trials/svm/d.json",
    ):
        file = tmp_path / "run" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(1_000_000))
    (tmp_path / "run" / "parameters.yaml").write_text("seed: 0\n", encoding="utf-8")
    (tmp_path / "run" / "trials" / "svm" / "e.json.damaged").write_bytes(bytes(500_000))
    return tmp_path / "run"


def left(run):
    return sorted(file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file())


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("yes", True), ("", False), ("n", False)])
def test_cleaning_says_what_it_removes_and_asks(heavy, monkeypatch, capsys, answer, gone):
    before, asked = left(heavy), []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or answer)
    assert main(["clean", str(heavy)]) == 0
    assert asked == ["Remove these 4.5 MB? What is needed again is computed again. [y/N] "]
    said = capsys.readouterr().out
    assert "       1.0 MB  cache: decoded images, the start network, activations and Gram matrices\n" in said
    assert "       0.5 MB  e.json.damaged: set aside: not what was written\n" in said
    assert left(heavy) == (["parameters.yaml", "trials/svm/d.json"] if gone else before)
    assert said.endswith("removed: 4.5 MB\n" if gone else "nothing was removed\n")


def test_an_end_of_input_is_no_agreement(heavy, monkeypatch, capsys):
    def ended(words):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ended)
    before = left(heavy)
    assert main(["clean", str(heavy)]) == 0
    assert capsys.readouterr().out.endswith("nothing was removed\n")
    assert left(heavy) == before


def test_cleaning_removes_nothing_that_nobody_agreed_to(heavy, tmp_path, monkeypatch, capsys):
    before = left(heavy)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["clean", str(heavy)]) == 2
    assert capsys.readouterr().err.endswith("run: nobody can be asked here; add --yes to remove 4.5 MB\n")
    assert left(heavy) == before
    assert main(["clean", str(heavy), "--yes"]) == 0
    assert left(heavy) == ["parameters.yaml", "trials/svm/d.json"]
    assert main(["clean", str(heavy), "--yes"]) == 0
    assert capsys.readouterr().out.endswith("run: there is nothing to remove\n")
    assert main(["clean", str(tmp_path)]) == 2
    assert "there is no such run" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does, when it has its lines
    command = [sys.executable, "-m", "hep2lib", "layers"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=project_root())
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
