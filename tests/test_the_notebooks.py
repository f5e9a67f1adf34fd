"""The notebooks that come with the clone: text and .ipynb agree, and keep to the book's rules."""

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from itertools import product
from types import SimpleNamespace

import pytest
import yaml
from papermill import inspect_notebook

from hep2lib import files
from hep2lib.cli import main
from hep2lib.errors import InputError
from hep2lib.files import project_root
from hep2lib.runs.notebooks import PAGES, notebook_parameters, page_values
from hep2lib.runs.pairs import FACTS, check_pairs, read_source, stands, write_source
from hep2lib.runs.parameters import ParameterError, new_profile, profile_values, read_parameters
from hep2lib.runs.run import NOTEBOOK_PARAMETERS, Run, notebook_run
from hep2lib.runs.teach import TAGS

from .data.handmade import aida_rows, write_aida

NOTEBOOKS = project_root() / "notebooks"


def test_every_text_and_its_notebook_say_the_same():
    assert check_pairs(NOTEBOOKS) == []


@pytest.fixture
def copied(tmp_path):
    """The notebooks in a folder of the test's own, and their bytes."""
    folder = shutil.copytree(
        NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*", "profiles")
    )
    return folder, {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_text_written_from_its_notebook_is_the_same_text(copied):
    folder, before = copied
    for page in PAGES:
        write_source(folder / f"{page}.ipynb")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("newer", ["md", "ipynb"])
def test_jupytext_leaves_the_notebooks_as_they_are(copied, newer):
    folder, before = copied
    for page in PAGES:
        (folder / f"{page}.{newer}").touch()
    texts = [folder / f"{page}.md" for page in PAGES]
    command = [sys.executable, "-m", "jupytext", "--sync", *texts]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.count("Unchanged") == 2 * len(PAGES)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_jupyterlab_saves_no_version_of_python():
    hooks = SimpleNamespace(FileContentsManager=SimpleNamespace())
    exec((NOTEBOOKS / "lab.py").read_text(encoding="utf-8"), {"get_config": lambda: hooks})
    model = {"type": "notebook", "content": {"metadata": {"language_info": {}, "kernelspec": {}}}}
    hooks.FileContentsManager.pre_save_hook(model=model, path="01-dataset.ipynb", contents_manager=None)
    assert model["content"]["metadata"] == {"kernelspec": {}}
    hooks.FileContentsManager.pre_save_hook(model={"type": "file"}, path="a.md", contents_manager=None)


@pytest.mark.parametrize("page", PAGES)
def test_parameters_are_those_that_a_run_sets(page):
    source = read_source(NOTEBOOKS / f"{page}.md")
    known = notebook_parameters(source, page)
    assert known == {"run_folder": "", "profile": None, "data": None, "weights": None, "seed": None}
    assert tuple(known) == NOTEBOOK_PARAMETERS
    shown = inspect_notebook(source).values()  # as `papermill --help-notebook` does
    assert [one["inferred_type_name"] for one in shown] == ["str", "str", "str", "str", "int"]
    assert all(len(one["help"]) > 10 for one in shown)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sead": 3}, "parameter 'sead' is unknown; did you mean 'seed'?"),
        ({"Seed": 3}, "parameter 'Seed' is unknown; did you mean 'seed'?"),
        ({"run_foldr": ""}, "parameter 'run_foldr' is unknown; did you mean 'run_folder'?"),
        (
            {"folds": 3},
            "parameter 'folds' is unknown; a notebook has run_folder, profile, data, weights, seed; "
            "set others in a profile (`hep2 new-run`), and restart the kernel if a cell has set it",
        ),
        ({"seed": "abc"}, "parameter seed = 'abc': a number is needed, as in 3, 0.5 or 1e-3"),
        (
            {"data": 10},
            "parameter data = 10: a text is needed; put it in quotes (for papermill, -r and not -p)",
        ),
        (
            {"profile": True},
            "parameter profile = True: a text is needed; put it in quotes (for papermill, -r and not -p)",
        ),
        (
            {"run_folder": 3},
            "parameter run_folder = 3: a text is needed; put it in quotes (for papermill, -r and not -p)",
        ),
    ],
)
def test_a_parameter_that_is_mistyped_stops_at_the_first_cell(given, message, tmp_path):
    names = {"profile": "smoke", "run_folder": str(tmp_path / "run")} | given
    with pytest.raises(ParameterError) as refused:
        opened("03-fine-tuning", **names)
    assert str(refused.value) == message
    assert refused.value._render_traceback_() == [f"ParameterError: {message}"]  # what a notebook shows
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_opens_its_run_again_after_all_its_cells(page, tmp_path):
    """No name that a chapter sets is taken for a misspelt parameter when a first cell is executed again."""
    folder = tmp_path / "run"
    names = {"run": (run := opened(page, profile="smoke", run_folder=str(folder))[0])}
    for cell in read_source(NOTEBOOKS / f"{page}.md").cells:
        if cell.cell_type == "code":
            found = ast.walk(ast.parse(cell.source))
            names |= {n.id: 0 for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {
        "run": run,
        "run_folder": str(folder),
        "profile": None,
        "data": None,
        "weights": None,
        "seed": None,
    }
    assert notebook_run(names).folder == folder
    with pytest.raises(ParameterError, match="parameter 'sead' is unknown; did you mean 'seed'"):
        notebook_run(names | {"sead": 1, "__annotations__": {"sead": int}})


def test_a_notebook_knows_a_run_by_its_name_wherever_it_is_started(tmp_path, monkeypatch):
    own = tmp_path / "clone" / "runs" / "d60.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(new_profile("d60", "smoke").replace("\nfolds: 2\n", "\nfolds: 3\n"), encoding="utf-8")
    (tmp_path / "clone" / "_toc.yml").touch()
    monkeypatch.setattr(files, "BESIDE", tmp_path / "clone")
    monkeypatch.chdir(tmp_path)
    for _ in ("computed for the first time", "gone on with"):
        run = notebook_run({"run_folder": "d60"})
        assert (run.folder, run.parameters.folds) == (own.with_suffix(""), 3)
    assert not (tmp_path / "d60").exists()
    (tmp_path / "d60").mkdir()
    (tmp_path / "d60" / "parameters.yaml").touch()
    with pytest.raises(InputError, match=r"there are .*d60 and .*d60; write the whole path"):
        notebook_run({"run_folder": "d60"})


def opened(page, **given):
    """The run that the first cells of a notebook open, executed as they are, with these parameters."""
    names = {}
    for cell in read_source(NOTEBOOKS / f"{page}.md").cells:
        if cell.cell_type == "code":
            until = cell.source.partition("publish = ")[0]
            exec(until, names)
            names |= given if "parameters" in cell.metadata.get("tags", []) else {}
            if "run" in names:
                return names["run"], names.get("seed")
    raise AssertionError(f"{page} opens no run")


@pytest.mark.parametrize("inside", [True, False])
def test_a_notebook_and_the_command_line_open_one_run_of_one_profile(tmp_path, monkeypatch, capsys, inside):
    data = write_aida(tmp_path / "class" / "images", aida_rows(specimens=12))
    profile = profile_values("smoke") | {"seed": 7, "weights": "random-matlab", "data": "images"}
    (tmp_path / "class" / "class.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    monkeypatch.setattr("hep2lib.runs.run.project_root", lambda *words: tmp_path / "clone")
    monkeypatch.setattr("hep2lib.runs.notebooks.execute_run", lambda run, pages: None)
    monkeypatch.chdir(tmp_path / "class")
    name = "class.yaml" if inside else "../class/class.yaml"
    assert main(["run", "--profile", "class.yaml"]) == 0
    (folder,) = (tmp_path / "clone" / "runs").iterdir()
    assert f"run: {folder}\n" in capsys.readouterr().out
    known = read_parameters(folder / "parameters.yaml")
    assert (known.seed, known.weights, known.data) == (7, "random-matlab", str(data))
    for page in PAGES:
        for given in ({"profile": name}, {"run_folder": str(folder)}, page_values(Run(folder, known))):
            run, seed = opened(page, **given)
            assert (run.folder, run.parameters) == (folder, known)
            assert seed == 7 or page in ("03-fine-tuning", "06-costs")
            assert capsys.readouterr().out == ("" if "run_folder" in given else f"run: {folder}\n")
    assert list((tmp_path / "clone" / "runs").iterdir()) == [folder]
    run, _ = opened("03-fine-tuning", profile=name, seed=8)
    assert (run.parameters.seed, run.folder == folder) == (8, False)


@pytest.mark.parametrize("page", PAGES)
def test_no_cell_takes_a_parameter_for_what_a_run_uses(page):
    """A parameter may be None, "as the profile says": what a cell needs of it, the run knows."""
    cells = [cell.source for cell in read_source(NOTEBOOKS / f"{page}.md").cells if cell.cell_type == "code"]
    opening = "run = notebook_run(globals())\n"
    _, call, rest = "\n".join(cells[1:]).partition(opening)
    assert call
    used = {node.id for node in ast.walk(ast.parse(rest)) if isinstance(node, ast.Name)}
    known = {"run_folder", "profile", "data", "weights", "seed"} & used
    assert known <= ({"seed"} if rest.startswith("seed = run.parameters.seed\n") else set())


@pytest.mark.parametrize("page", PAGES)
def test_cells_stay_short_and_leave_the_work_to_the_package(page):
    for cell in read_source(NOTEBOOKS / f"{page}.md").cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 14, cell.source
            assert "def " not in cell.source
            assert "pip install" not in cell.source
            assert max(map(len, cell.source.splitlines())) <= 80, cell.source  # what a page is wide


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_says_in_a_few_lines_what_it_takes_from_where(page):
    cells = read_source(NOTEBOOKS / f"{page}.md").cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert len(imports) <= (10 if page == "05-results" else 8), imports


#: What only a run on such weights could say of its own.
TAUGHT = re.compile(r"pre-?\s?train(ed|ing)|ImageNet", re.IGNORECASE)

#: The sentences in which chapters speak of it all the same: of the paper, or of networks in general.
OF_THE_PAPER = {
    "The authors take GoogLeNet {cite:p}`szegedy2015`, trained on the photographs of ImageNet, as MATLAB "
    "offers it, with 144 layers.",
    "The paper's was freeze {paper}`table2.soft`, batch size {paper}`best.batch_size`, learning rate "
    "{paper}`best.learning_rate`, epoch {paper}`best.epoch`, on {term}`AIDA` with weights "
    "from {term}`ImageNet`.",
    "What a network can do before it has seen a single field, it has from {term}`pre-training`:",
    "The paper's network was pre-trained on the photographs of ImageNet.",
    "no pre-training at all.",
    "{val}`weights.starts` independent pre-trainings stood against as many draws of random weights.",
    "A pre-trained network can be used without training it at all:",
    "Other classes that a network was taught before, such as ImageNet's thousand, are not among the "
    "features.",
    'The paper evaluates features of the network "both in the pre-trained configuration and after '
    'fine-tuning".',
}


def test_no_chapter_calls_the_weights_of_a_run_pre_trained():
    """Whether they are is the run's to say (``short_statement``): many a run starts from random ones."""
    sentences = set()
    for page in PAGES:
        for cell in read_source(NOTEBOOKS / f"{page}.md").cells:
            if cell.cell_type == "markdown":
                parts = (" ".join(one.split()) for one in re.split(r"(?<=[.?!:])\**\s+|\n\n", cell.source))
                sentences |= {sentence for sentence in parts if TAUGHT.search(sentence)}
            elif "parameters" not in cell.metadata.get("tags", []):
                assert not TAUGHT.search(cell.source), f"{page}: {cell.source}"
    assert sentences == OF_THE_PAPER


@pytest.mark.parametrize("room", ["evaluation", "figures", "studies"])
def test_no_figure_table_or_record_calls_the_weights_of_a_run_pre_trained(room):
    for file in (project_root() / "hep2lib" / room).rglob("*.py"):
        code = re.sub(r"^from .*", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not TAUGHT.search(code), file


@pytest.mark.parametrize("page", ["03-fine-tuning", "04-svm", "05-results"])
def test_a_chapter_of_results_measures_no_time(page):
    """It gives the same values whenever it is executed; times are on the last page."""
    code = [cell.source for cell in read_source(NOTEBOOKS / f"{page}.md").cells if cell.cell_type == "code"]
    found = re.findall(r"seconds|perf_counter|measured_times|cost_table|best_rate|\btime\b", "\n".join(code))
    assert found == []


@cache
def parts_of_pages():
    """Every part of the chapters and of the book's pages: where it is, its tags and its text."""
    parts = [
        (f"{page}: {one.source[:60]}", one.metadata.get("tags", []), one.source)
        for page in PAGES
        for one in read_source(NOTEBOOKS / f"{page}.md").cells
    ]
    for file in sorted((project_root() / "book").glob("*.md")):
        first, *rest = re.split(r"^\+\+\+(.*)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        parts.append((file.name, [], first))
        for head, text in zip(rest[::2], rest[1::2], strict=True):
            parts.append((f"{file.name}: {text[:60]}", yaml.safe_load(head or "{}").get("tags", []), text))
    return parts


def test_every_tag_is_known():
    own = {f"{word}-{fact}" for word in ("only", "unless") for fact in FACTS}
    used = {tag for _, tags, _ in parts_of_pages() for tag in tags}
    assert used & own >= {"only-simulated", "unless-simulated", "only-patterns", "only-grades", "only-fields"}
    assert used <= own | {"only-notebook", "parameters", "hide-cell", "hide-output", *TAGS}


PUBLISHED = re.compile(r"""publish\.(value|figure|table)\(\s*f?"([^"{]+)\"""")
QUOTED = re.compile(r"\{val\}`([^`:]+)|\((#(?:fig|table)-[^)]+)\)|\{run-(?:figure|table)\} (\S+)")


@pytest.mark.parametrize("has", list(product([False, True], repeat=len(FACTS))), ids=str)
def test_no_page_quotes_what_was_left_out_with_its_cell(has):
    """The build would fail, for a database that no other test has."""
    facts = [fact for fact, there in zip(FACTS, has, strict=True) if there]
    parts = [(where, stands(tags, facts), text) for where, tags, text in parts_of_pages()]
    names = {"value": "{}", "figure": "#fig-{}", "table": "#table-{}"}
    made, left_out = set(), set()
    for _, there, text in parts:
        found = {names[kind].format(name) for kind, name in PUBLISHED.findall(text)}
        (made if there else left_out).update(found)
    for where, there, text in parts:
        quoted = {one for each in QUOTED.findall(text) for one in each if one} if there else set()
        assert not quoted & (left_out - made), where
    headings = [line for _, there, text in parts if there for line in re.findall("^## The leak$", text, re.M)]
    assert len(headings) == 1


@pytest.mark.parametrize("page", PAGES)
def test_an_auc_is_never_quoted_in_per_cent(page):
    text = (NOTEBOOKS / f"{page}.md").read_text(encoding="utf-8")
    assert re.findall(r"\{(?:paper|val)\}`[^`]*auc[^`]*%`", text) == []
