"""What a person sees whose input cannot be used: one message, exit code 2, no traceback."""

import errno

import pytest

from hep2lib.cli import main
from hep2lib.files import RunError

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
        ("grids=[{freeze: [145], batch_sizes: [8], learning_rates: [0.1], epochs: 1}]", "freeze.0 = 145"),
        ("grids=[{freeze: [11], batch_sizes: [0], learning_rates: [0.1], epochs: 1}]", "batch_sizes.0 = 0"),
        ("svm_layers=[inception_3a-outptu]", "did you mean inception_3a-output?"),
        ("training.precison=bf16", "'training.precison' is unknown; did you mean 'training.precision'?"),
        ("precision=bf16", "'precision' is unknown; did you mean 'training.precision'?"),
        ("seed", "write it as name=value"),
        ("seed=[", "not readable as YAML"),
    ],
)
def test_an_impossible_parameter(said, database, setting, words):
    assert words in said(database, "--set", setting)


def test_what_is_set_by_name_goes_before_the_option(said, database):
    assert "'nowhere.pth': no such file" in said(database, "--set", "weights=nowhere.pth")


def test_a_run_folder_that_belongs_to_other_parameters(said, database):
    said(database, weights="nowhere.pth")
    assert "other parameters: seed is 0 there, 4 was asked for" in said(
        database, "--set", "seed=4", weights="nowhere.pth"
    )


def test_a_run_folder_whose_trainings_are_others(said, database):
    said(database, "--set", "training.precision=bf16", weights="nowhere.pth")
    same = said(database, "--set", "training.precision=bf16", weights="nowhere.pth")
    assert "'nowhere.pth': no such file" in same
    other = said(database, "--set", "training.precision=fp32", weights="nowhere.pth")
    assert "training.precision is 'bf16' there, 'fp32' was asked for" in other


def test_a_weights_file_that_is_missing(said, database):
    message = said(database, weights="nowhere.pth")
    assert message.count("\n") == 1
    assert "'nowhere.pth': no such file; give an existing one" in message


def test_imagenet_weights_out_of_reach(said, database, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda **options: False)
    message = said(database, weights="imagenet")
    assert message.count("\n") == 1
    assert str(tmp_path / "torch") in message
    assert "put it there, or choose weights: random" in message


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
