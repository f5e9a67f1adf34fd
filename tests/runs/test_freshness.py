"""Edits of everything that a page is made from, each judged; on a clone and a package of a few lines."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from hep2lib.data.report import write_card
from hep2lib.errors import InputError
from hep2lib.runs import freshness
from hep2lib.runs.freshness import PROSE, check, damages, made_from, mixture
from hep2lib.runs.parameters import MAY_DIFFER
from hep2lib.runs.publish import Publication, put_in_place

from .small_book import ALT, REPOSITORY

PAGES = ("03-fine-tuning", "05-results")
GIVEN = ("run_folder", "seed")
SOURCE = """# A chapter

```{{code-cell}} ipython3
---
tags: [parameters]
---
run_folder = ""  # where results are kept
seed = None
bins = 20
```

```{{code-cell}} ipython3
import torch
from hep2lib.tools import {tool}
```

Some prose.

```{{code-cell}} ipython3
%matplotlib inline
found = {tool}(run_folder)  # a comment
```

```{{code-cell}} ipython3
publish.value("auc", found)
```
"""
FILES = {
    "_toc.yml": (
        "root: book/introduction\nparts:\n  - chapters:\n    - file: book/run/03-fine-tuning\n"
        "    - file: book/run/05-results\n    - file: book/rerun\n"
    ),
    "notebooks/03-fine-tuning.md": SOURCE.format(tool="tune"),
    "notebooks/05-results.md": SOURCE.format(tool="judge"),
    "notebooks/profiles/mini.yaml": "folds: 5\nimage_size: 64  # pixels\nworkers: 1\n",
    "book/claims.yaml": "- id: auc\n  sentence: AUC 98.4 %\n",
    "book/paper-values.yaml": "table3: 0.984\n",
    "hep2lib/__init__.py": '"""A package."""\n',
    "hep2lib/tools.py": (
        '"""Tools."""\nfrom hep2lib.runs.paper import printed_claims, printed\nRATE = 0.1\n\n\n'
        'def tune(run):\n    """Tune."""\n    # slowly\n    return RATE\n\n\n'
        "def judge(run):\n    return tune(run) + printed_claims()\n\n\ndef unused():\n    return 1\n"
    ),
    "hep2lib/other.py": "def other():\n    return 1\n",
    "hep2lib/runs/__init__.py": "",
    "hep2lib/runs/notebooks.py": "def normalise(notebook):\n    return notebook\n",
    "hep2lib/runs/paper.py": (
        "def _values():\n    return 1\ndef printed(key):\n    return _values()\n"
        "def printed_claims():\n    return printed('auc')\n"
    ),
    "hep2lib/simulator/__init__.py": "",
    "hep2lib/simulator/writing.py": "def write_database(folder):\n    return 100\n",
    "run/parameters.yaml": "profile: mini\nseed: 0\ndata: ''\nfolds: 5\nimage_size: 32\nworkers: 1\n",
    "run/folds.csv": "image,fold\na.png,1\n",
    "run/weights.json": '{"asked": "auto", "used": "random", "reason": ""}',
    "run/run.json": "{}",
}


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def execute(project: Path, *pages: str) -> None:
    """What executing pages leaves, without a kernel."""
    for page in pages:
        publish = Publication(project / "run", page)
        publish.value(f"auc-{page}", 0.5)
        publish.table(f"table-{page}", pd.DataFrame({"AUC": [0.5]}), "A table.")
        publish.figure(f"figure-{page}", plt.figure(figsize=(1, 1)), ALT, "A figure.")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(freshness, "PACKAGE", project / "hep2lib")
            made = made_from(project, project / "run", page, {"given": GIVEN})
        made["profile"]["set"] = ["image_size"]
        put_in_place(project / "run", page, "{}", made)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    project = tmp_path_factory.mktemp("clone")
    for name, text in FILES.items():
        write(project, name, text)
    execute(project, *PAGES)
    return project


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    monkeypatch.setattr(freshness, "PACKAGE", tmp_path / "clone" / "hep2lib")
    return shutil.copytree(made, tmp_path / "clone")


def judged(project):
    return check(project / "run", project=project)


def reasons(project):
    return {page: chapter.reasons for page, chapter in judged(project).items()}


def test_what_was_not_touched_is_fresh(project):
    found = judged(project)
    assert list(found) == list(PAGES)
    for chapter in found.values():
        assert (chapter.reasons, chapter.unchecked, chapter.definitions) == ([], [], {})
        assert chapter.line == "Fresh: this page is what today's code and data give."


THREE, FIVE, TOOLS = "notebooks/03-fine-tuning.md", "notebooks/05-results.md", "hep2lib/tools.py"
BOTH = object()
EDITS = [
    # file, text, what it becomes, why chapter 3 is stale, and chapter 5 (BOTH: for the same reason)
    (THREE, "found = tune", "found = 1 + tune", ["cell 5 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "# a comment", "# another", ["cell 5 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "auc", "AUC", ["cell 6 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "import torch\n", "\n", ["cell 3 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "found", "got", ["cells 5 and 6 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "bins = 20", "bins = 30", ["cell 2 of notebooks/03-fine-tuning.md changed"], []),
    (THREE, "seed = None", "seed = 3  # given by the run", [], []),
    (THREE, "Some prose.", "Other prose.", [PROSE], []),
    (THREE, "Some prose.", "+++\n\nOne more cell.\n\n+++\n\nSome prose.", [PROSE], []),
    (
        THREE,
        "```{code-cell} ipython3\npublish",
        "```{code-cell} ipython3\n1\n```\n\n```{code-cell} ipython3\npublish",
        ["cell 6 of notebooks/03-fine-tuning.md changed"],
        [],
    ),
    (
        FIVE,
        '```{code-cell} ipython3\npublish.value("auc", found)\n```\n',
        "",
        [],
        ["code cells of notebooks/05-results.md were moved or taken out"],
    ),
    (THREE, "found = tune(", "found = = tune(", ["cell 5 of notebooks/03-fine-tuning.md changed"], None),
    (TOOLS, "RATE = 0.1", "RATE = 0.2", ["hep2lib/tools.py changed"], BOTH),
    (TOOLS, "tune(run) + printed", "tune(run) - printed", [], ["hep2lib/tools.py changed"]),
    (TOOLS, "return 1", "return 2", [], []),
    (TOOLS, '"""Tune."""', '"""Tune well."""', [], []),
    (TOOLS, "# slowly", "# fast", [], []),
    ("hep2lib/other.py", "return 1", "return 2", [], []),
    ("hep2lib/runs/notebooks.py", "return notebook", "return 1", ["hep2lib/runs/notebooks.py changed"], BOTH),
    ("hep2lib/simulator/writing.py", "100", "101", ["the database changed"], BOTH),
    ("book/claims.yaml", "98.4", "98.5", [], ["book/claims.yaml changed"]),
    ("book/claims.yaml", "- id", "# a comment\n- id", [], []),
    ("book/paper-values.yaml", "0.984", "0.985", [], ["book/paper-values.yaml changed"]),
    ("run/parameters.yaml", "seed: 0", "seed: 1", ["the parameter seed changed in parameters.yaml"], BOTH),
    ("run/parameters.yaml", "workers: 1", "workers: 2", [], []),
    (
        "notebooks/profiles/mini.yaml",
        "folds: 5",
        "folds: 10",
        ["the profile mini has changed since this run was made: folds 10 (was 5)"],
        BOTH,
    ),
    (
        "notebooks/profiles/mini.yaml",
        "folds: 5",
        "rotations: [1, 2]\nfolds: 5",
        ["the profile mini has changed since this run was made: rotations [1, 2] (was nothing)"],
        BOTH,
    ),
    ("notebooks/profiles/mini.yaml", "image_size: 64", "image_size: 96", [], []),  # set otherwise
    ("notebooks/profiles/mini.yaml", "# pixels", "# a side", [], []),
    ("notebooks/profiles/mini.yaml", "workers: 1", "workers: 2", [], []),
    ("run/folds.csv", ",1", ",2", ["folds.csv changed"], BOTH),
    ("run/weights.json", '"random"', '"imagenet"', ["the weights (weights.json) changed"], BOTH),
    ("run/weights.json", '"auto"', '"random"', [], []),
    (
        "run/tables/table-03-fine-tuning.csv",
        "0.5",
        "0.9",
        ["tables/table-03-fine-tuning.csv is not what the page published"],
        [],
    ),
    (
        "run/figures/figure-03-fine-tuning.svg",
        "<svg",
        "<!-- --><svg",
        ["figures/figure-03-fine-tuning.svg is not what the page published"],
        [],
    ),
    (
        "run/notebooks/05-results.ipynb",
        "{}",
        "{ }",
        [],
        ["notebooks/05-results.ipynb is not what the page published"],
    ),
    (
        "run/published/03-fine-tuning.json",
        '"value": 0.5',
        '"value": 0.9',
        ["published/03-fine-tuning.json is not what the page published"],
        [],
    ),
    (
        "run/published/03-fine-tuning.json",
        '"sha256"',
        '"sha"',
        ["published/03-fine-tuning.json is not what the page published"],
        [],
    ),
    (
        "run/published/03-fine-tuning.json",
        "{",
        "",
        ["published/03-fine-tuning.json is not there or cannot be read"],
        [],
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "three", "five"), EDITS)
def test_edits_are_judged_right(project, file, old, new, three, five):
    text = (project / file).read_text(encoding="utf-8")
    assert old in text
    write(project, file, text.replace(old, new))
    found = reasons(project)
    if three and three[0].startswith("cell 5") and "= =" in new:  # no code at all: nothing is reached
        assert found["03-fine-tuning"][0] == three[0]
        return
    assert found == {"03-fine-tuning": three, "05-results": three if five is BOTH else five}


def test_what_changed_in_the_package_is_listed(project):
    text = FILES[TOOLS].replace("RATE = 0.1", "RATE = STEP = 0.2").replace("return RATE", "return RATE, STEP")
    write(project, TOOLS, text)
    assert judged(project)["03-fine-tuning"].definitions == {TOOLS: ["RATE", "STEP", "tune"]}


def test_the_version_of_a_library_is_part_of_a_result(project, monkeypatch):
    here = freshness.reached("import torch")["torch"]
    found = lambda code, package: freshness_reached(code, package) | {"torch": "9.9.9+cpu"}  # noqa: E731
    freshness_reached = freshness.reached
    monkeypatch.setattr(freshness, "reached", found)
    assert reasons(project)["03-fine-tuning"] == [f"torch {here.partition('+')[0]} there, 9.9.9 here"]


def test_where_a_wheel_was_built_for_is_not(project, monkeypatch):
    before = freshness.reached
    local = before("import torch")["torch"] + "+here"
    monkeypatch.setattr(freshness, "reached", lambda *given: before(*given) | {"torch": local})
    assert reasons(project) == {page: [] for page in PAGES}


def test_several_reasons_are_all_said_and_prose_beside_them_is_not(project):
    write(project, "run/folds.csv", "image,fold\na.png,3\n")
    write(project, THREE, FILES[THREE].replace("Some prose.", "Other prose.").replace("found", "got"))
    assert judged(project)["03-fine-tuning"].line == (
        "Stale: cells 5 and 6 of notebooks/03-fine-tuning.md changed, folds.csv changed."
    )


def test_what_is_not_at_hand_is_named(project):
    for name in ("run/folds.csv", "run/weights.json", "notebooks/profiles/mini.yaml"):
        (project / name).unlink()
    for chapter in judged(project).values():
        assert chapter.reasons == []
        assert chapter.unchecked == ["folds.csv", "the weights (weights.json)", "the profile mini"]


def test_a_page_or_a_run_that_is_not_there(project):
    (project / "run" / "published" / "05-results.json").unlink()
    (project / THREE).unlink()
    assert reasons(project) == {
        "03-fine-tuning": ["notebooks/03-fine-tuning.md is not there"],
        "05-results": ["published/05-results.json is not there or cannot be read"],
    }
    with pytest.raises(InputError, match="nowhere: there is no such run; "):
        check(project / "nowhere", project=project)


def test_a_page_of_an_earlier_version_is_stale_and_no_damage(project):
    file = project / "run" / "published" / "05-results.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({k: content[k] for k in ("page", "values", "tables", "figures")}))
    assert damages(project / "run", "05-results") == []
    assert reasons(project)["05-results"] == ["the page does not say what it was made from"]


@pytest.fixture
def own(project):
    """A run of a person's own database and weights."""
    for name in ("a.png", "b.png"):
        write(project, f"data/images/{name}", name)
    write(project, "data/truth.csv", "image,label\n")
    write(project, "own.safetensors", "weights")
    for file in (project / "data").rglob("*.*"):
        os.utime(file, ns=(10**18, 10**18))
    data = FILES["run/parameters.yaml"].replace("data: ''", f"data: {project / 'data'}")
    write(project, "run/parameters.yaml", data)
    write(project, "run/weights.json", json.dumps({"used": str(project / "own.safetensors")}))
    execute(project, *PAGES)
    return project


def touched(project):
    os.utime(project / "data" / "images" / "a.png")


def moved(project):
    shutil.copytree(project / "data", project / "elsewhere")  # other times
    text = (project / "run" / "parameters.yaml").read_text(encoding="utf-8")
    write(project, "run/parameters.yaml", text.replace("/data\n", "/elsewhere\n"))


@pytest.mark.parametrize(
    ("change", "stale", "unchecked"),
    [
        (lambda project: None, [], []),
        (touched, [], []),
        (lambda project: write(project, "data/.hidden", "1"), [], []),
        (lambda project: write(project, "data/images/a.png", "A.png"), ["the database changed"], []),
        (lambda project: write(project, "data/images/c.png", "c"), ["the database changed"], []),
        (lambda project: (project / "data/truth.csv").unlink(), ["the database changed"], []),
        (lambda project: shutil.rmtree(project / "data"), [], ["the database"]),
        (
            lambda project: write(project, "own.safetensors", "other"),
            ["the weights (weights.json) changed"],
            [],
        ),
        (lambda project: (project / "own.safetensors").unlink(), [], ["the weights (weights.json)"]),
        (  # as records keep it
            lambda project: write(project, "run/weights.json", '{"used": "own.safetensors"}'),
            [],
            ["the weights (weights.json)"],
        ),
        (moved, ["the parameter data changed in parameters.yaml"], []),
    ],
)
def test_a_persons_own_database_and_weights(own, change, stale, unchecked):
    change(own)
    for chapter in judged(own).values():
        assert (chapter.reasons, chapter.unchecked) == (stale, unchecked)


def test_a_change_within_the_clocks_step_is_seen(own):
    file = own / "data" / "images" / "a.png"
    now = file.stat().st_mtime_ns + 10**18 * 10
    os.utime(file, ns=(now, now))
    execute(own, *PAGES)
    write(own, "data/images/a.png", "A.png")
    os.utime(file, ns=(now, now))
    assert reasons(own) == {page: ["the database changed"] for page in PAGES}


def test_a_database_that_was_not_touched_is_not_read_again(own, monkeypatch):
    monkeypatch.setattr(freshness, "_contents", lambda *_: pytest.fail("it was read"))
    assert reasons(own) == {page: [] for page in PAGES}
    touched(own)
    with pytest.raises(pytest.fail.Exception, match="it was read"):
        judged(own)


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("run/parameters.yaml", "seed: 0", "seed: 1", "the parameters"),
        ("run/weights.json", "random", "imagenet", "the weights (weights.json)"),
        ("hep2lib/simulator/writing.py", "100", "101", "the database"),
    ],
)
def test_pages_made_from_different_things_are_a_mixture(project, file, old, new, what):
    assert mixture(project / "run", PAGES) == ""
    write(project, file, FILES[file].replace(old, new))
    execute(project, "05-results")
    expected = f"{what} that page 03-fine-tuning was made with are not those of 05-results"
    assert mixture(project / "run", PAGES) == expected
    execute(project, "03-fine-tuning")
    assert mixture(project / "run", PAGES) == ""


def test_checking_takes_no_library_that_takes_seconds():
    code = (
        "import sys, hep2lib.cli, hep2lib.runs.freshness\n"
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'papermill') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_what_reads_the_books_files_is_known_by_its_name():
    """``_READ_BY`` names functions: each is there, and reads that file."""
    text = (REPOSITORY / "hep2lib" / "runs" / "paper.py").read_text(encoding="utf-8")
    for file, reader in freshness._READ_BY.items():
        name = reader.removeprefix("hep2lib.runs.paper.")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE)
        assert Path(file).name in text
    read = set(re.findall(r'"(?:book/)?([a-z-]+\.(?:yaml|json))"', text))
    assert {Path(file).name for file in freshness._READ_BY} == read


def test_the_page_that_shows_a_data_card_is_made_from_it(tmp_path):
    def digest(page):
        return made_from(REPOSITORY, tmp_path, page, {"given": []})["inputs"].get("data-card.md")

    assert digest("01-dataset") == ""
    write_card(tmp_path, "clinic")
    assert digest("01-dataset")
    assert digest("03-fine-tuning") is None


def test_what_records_are_computed_by_is_in_the_package():
    found = freshness.reached(freshness._RECORDED)
    for line in freshness._RECORDED.strip().splitlines():
        _, module, _, name = line.split()
        assert f"{module}.{name}" in found


@pytest.fixture
def from_records(project):
    """A run of records, whose chapter 5 keeps what ``tune`` computes of images and judges it anew."""
    page = project / "notebooks" / "05-results.md"
    text = page.read_text(encoding="utf-8").replace("import judge", "import judge, tune")
    cell = 'kept = publish.kept("tuned", [1], lambda rows: tune(rows))\nfound = judge'
    page.write_text(text.replace("found = judge", cell), encoding="utf-8")
    execute(project, "05-results")
    write(project / "run" / "records", "records.json", "{}")
    return page


def executed_from_records(project):
    made = freshness.record(project, project / "run", "05-results", GIVEN)
    put_in_place(project / "run", "05-results", "{}", made)
    return reasons(project)["05-results"]


def test_a_page_made_from_records_is_as_fresh_as_what_computed_them(project, from_records):
    assert executed_from_records(project) == []
    tools = project / "hep2lib" / "tools.py"
    text = tools.read_text(encoding="utf-8")
    tools.write_text(text.replace("return tune(run)", "return 2 * tune(run)"), encoding="utf-8")
    assert reasons(project)["05-results"] == ["hep2lib/tools.py changed"]
    assert executed_from_records(project) == []  # what judges the records ran today
    tools.write_text(text.replace("RATE = 0.1", "RATE = 0.2"), encoding="utf-8")
    assert executed_from_records(project) == ["hep2lib/tools.py changed"]  # what computed them did not
    assert judged(project)["05-results"].definitions == {"hep2lib/tools.py": ["RATE"]}
    assert executed_from_records(project) == ["hep2lib/tools.py changed"]  # nor does it the second time


def test_records_do_not_follow_from_another_database_or_simulator(project, from_records):
    (project / "hep2lib" / "simulator" / "writing.py").write_text("def write_database(f):\n    return 9\n")
    assert executed_from_records(project) == ["the database changed"]


def test_a_page_that_keeps_something_else_is_not_executed_from_records(project, from_records):
    from_records.write_text(from_records.read_text(encoding="utf-8").replace("[1]", "[2]"), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"05-results: the records .* do not hold publish.kept.*; a run of its own"
    ):
        executed_from_records(project)


def test_what_makes_no_other_run_makes_no_page_stale():
    assert set(freshness._NO_RESULT) == {"profile", *MAY_DIFFER}


def test_the_run_that_comes_with_the_clone_is_fresh():
    """After a change that it follows from it is made anew: see CONTRIBUTING.md."""
    found = {page: chapter.reasons for page, chapter in check().items()}
    assert len(found) == 6
    assert found == {page: [] for page in found}


def test_a_page_says_the_first_of_many_reasons():
    assert freshness.Chapter().line.startswith("Fresh")
    reasons = [f"a{number}.py changed" for number in range(5)]
    assert freshness.Chapter(reasons).line == "Stale: a0.py changed, a1.py changed, a2.py changed and 2 more."


def test_cells_that_reach_other_code_say_that_they_changed_and_not_that_the_code_did(project):
    file = project / "notebooks" / "03-fine-tuning.md"
    whole = file.read_text(encoding="utf-8")
    for text in (whole.replace("import tune", "import judge"), whole.replace("(run_folder)", "(run_folder")):
        file.write_text(text.replace("found = tune", "found = judge"), encoding="utf-8")
        (said,) = reasons(project)["03-fine-tuning"]
        assert said.endswith("of notebooks/03-fine-tuning.md changed")


def test_code_that_cannot_be_read_is_named_with_its_line(project):
    tools = project / "hep2lib" / "tools.py"
    tools.write_text("ok = 1\ndef broken(:\n    pass\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"tools\.py, line 2: invalid syntax; mend it, then check again"):
        judged(project)
