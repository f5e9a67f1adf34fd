"""The package alone, without notebooks, profiles and pages beside it: what works, and what is said."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hep2lib.files import project_root
from hep2lib.runs.pairs import read_source

from .data.handmade import aida_rows, write_aida

MINI = {
    "data": "data",
    "folds": 2,
    "image_size": 64,
    "weights": "random-matlab",
    "workers": 1,
    "rotations": 1,
    "grids": [{"freeze": [139], "batch_sizes": [8], "learning_rates": [0.01], "epochs": 1}],
    "svm_layers": ["pool5-7x7_s1"],
    "svm_values": 2,
    "svm_variants": [],
}
COMMANDS = """
import contextlib, io, json, sys
from hep2lib.cli import main
said = []
for command in json.loads(sys.argv[1]):
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(command)
    said.append([code, *(stream.getvalue() for stream in streams)])
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """A folder with the package in ``site``, a profile and its database in ``person``, and ``elsewhere``."""
    folder = tmp_path_factory.mktemp("alone")
    package = project_root() / "hep2lib"
    shutil.copytree(package, folder / "site" / "hep2lib", ignore=shutil.ignore_patterns("__pycache__"))
    write_aida(folder / "person" / "data", aida_rows(specimens=12))
    (folder / "person" / "mini.yaml").write_text(yaml.safe_dump(MINI), encoding="utf-8")
    (folder / "elsewhere").mkdir()
    return folder


def python(alone: Path, code: str, *arguments: str) -> str:
    """What a script prints that is run from ``elsewhere``, with the package alone."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=alone / "elsewhere",
        env=os.environ | {"PYTHONPATH": str(alone / "site"), "HEP2_PROGRESS": "0", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_studies_data_and_simulation_need_no_clone(alone):
    known = ["--profile", "../person/mini.yaml", "--out", "run"]
    commands = [
        ["data", "../person/data"],
        ["study", "svm", *known],
        ["study", "fine-tuning", *known],
        ["study", "svm", "--out", "run"],
        ["simulate", "drawn", "--specimens", "10", "--scale", "0.1"],
    ]
    said = json.loads(python(alone, COMMANDS, json.dumps(commands)))
    assert [(code, error) for code, _, error in said] == [(0, "")] * len(commands)
    data, svm, tuning, again, drawn = (output for _, output, _ in said)
    assert "This database can be used." in data
    assert "best on validation: pool5-7x7_s1, C " in svm
    assert "2 trainings, 0 of them diverged" in tuning
    assert again.splitlines()[1:] == svm.splitlines()[1:]
    assert again.startswith("run: ")
    assert ", which goes on with " in again.splitlines()[0]
    assert drawn == "drawn: 21 images of 10 specimens\n"
    assert sorted(path.name for path in (alone / "elsewhere").iterdir()) == ["drawn", "run"]
    assert sorted(path.name for path in (alone / "person").iterdir()) == ["data", "mini.yaml"]
    assert [path.name for path in (alone / "site").iterdir()] == ["hep2lib"]


def test_what_needs_the_clone_says_what_is_missing_and_what_to_give_instead(alone):
    mini = ["--profile", "../person/mini.yaml"]
    simulated = (
        "the folder of simulated databases; write one with `hep2 simulate OUT` and give OUT as data "
        "(--data on the command line), or "
    )
    cases = [
        (
            "the profile 'quick'; give the path of a YAML file as profile, or ",
            ["study", "svm", "--out", "new"],
        ),
        ("the folder runs; name the run's folder (--out on the command line), or ", ["study", "svm", *mini]),
        (simulated, ["study", "svm", *mini, "--out", "new", "--set", "data="]),
        ("the notebooks; run `hep2 study`, which needs none, or ", ["run", *mini, "--out", "new"]),
        *(("the notebooks and pages of the book; ", command) for command in (["book"], ["publish", "new"])),
    ]
    said = json.loads(python(alone, COMMANDS, json.dumps([command for _, command in cases])))
    for (words, _), (code, output, error) in zip(cases, said, strict=True):
        assert (code, output) == (2, "")
        assert error == (
            f"hep2: {alone / 'site'}: hep2lib is installed without its clone, which holds {words}clone the "
            "repository and install the package from the clone with `pip install -e '.[book]'`\n"
        )
    assert not (alone / "elsewhere" / "new").exists()


def test_a_notebook_gets_to_its_results_and_says_where_the_papers_numbers_are(alone):
    source = read_source(project_root() / "notebooks" / "04-svm.md")
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    shown = next(number for number, cell in enumerate(cells) if "publish.figure(" in cell.source)
    given = "run_folder, profile = 'page', '../person/mini.yaml'"
    lines = [cells[0].source, given, *(cell.source for cell in cells[1 : shown + 1])]
    trial = (
        "\ntry:\n    printed('best.auc')\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )
    assert python(alone, "\n".join(lines) + trial).endswith(
        f"ProjectError {alone / 'site'}: hep2lib is installed without its clone, which holds the paper's "
        "numbers, book/paper-values.yaml; clone the repository and install the package from the clone with "
        "`pip install -e '.[book]'`\n"
    )
    staged = alone / "elsewhere" / "page" / "staged" / "04-svm"
    assert (staged / "figures" / "svm-margins.png").stat().st_size > 0
