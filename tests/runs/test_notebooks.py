import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import yaml
from filelock import FileLock

from hep2lib.errors import InputError
from hep2lib.files import RunError
from hep2lib.runs import notebooks
from hep2lib.runs.freshness import Chapter, check, damages
from hep2lib.runs.notebooks import PAGES, execute, execute_run, normalise, notebook_parameters, refresh
from hep2lib.runs.pairs import NotebookError, check_pairs, pair, read_source, write_source
from hep2lib.runs.publish import read_pages

PROJECT = Path(__file__).resolve().parents[2]
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A page
"""

PARAMETERS = """
```{code-cell} ipython3
:tags: [parameters]

run = "runs/mine"  # the run's folder
seed: int = 0  # random seed
```
"""

STUDY = """
```{code-cell} ipython3
import sys
from pathlib import Path
import matplotlib.pyplot as plt
from hep2lib.runs.publish import Publication

publish = Publication(run, "03-fine-tuning")
publish.value("seed", seed)
publish.value("interpreter", sys.executable)
print("\\x1b[31mred\\x1b[0m 10%\\r20%", Path.cwd(), object())
print("a warning", file=sys.stderr)
```

```{code-cell} ipython3
alt = "An empty pair of axes from zero to one in both directions."
figure, axes = plt.subplots(figsize=(3, 2))
publish.figure("curve", figure, alt, "Axes, p < 1 in *x*.")
```
"""


def cell(code):
    return f"\n```{{code-cell}} ipython3\n{code}\n```\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def write(project, text, page="03-fine-tuning"):
    source = project / "notebooks" / f"{page}.md"
    source.write_text(HEADER + text, encoding="utf-8")
    return source


def cells(notebook, kind="code"):
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == kind]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    project = tmp_path_factory.mktemp("clone")
    (project / "notebooks").mkdir()
    write(project, PARAMETERS + STUDY)
    run = project / "runs" / "mine"
    return project, run, execute("03-fine-tuning", run, {"run": run, "seed": 3}, project=project)


@pytest.mark.parametrize("pieces", [["one\ntwo\n"], ["one\ntwo", "\n"], ["one", "\n", "two\n"]])
def test_what_is_printed_is_the_same_in_whatever_pieces_it_comes(pieces):
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=piece) for piece in pieces]
    outputs.insert(1, nbformat.v4.new_output("stream", name="stderr", text="a warning"))
    shown = nbformat.v4.new_output("execute_result", {"text/plain": "3"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("3", outputs=[*outputs, shown])])
    printed, result = normalise(notebook, "03-fine-tuning", {}).cells[0].outputs
    assert (printed.name, printed.text) == ("stdout", "one\ntwo\n")
    assert result == shown


def test_the_pages_are_the_papers():
    assert PAGES == ("01-dataset", "02-cnn", "03-fine-tuning", "04-svm", "05-results", "06-costs")


def test_pairs_are_made_from_the_text_and_only_where_it_changed(project):
    source = write(project, PARAMETERS + STUDY)
    made = source.with_suffix(".ipynb")
    assert pair(project / "notebooks") == [made]
    first = made.read_bytes()
    assert pair(project / "notebooks") == []
    made.unlink()
    pair(project / "notebooks")
    assert made.read_bytes() == first
    assert first.endswith(b"}\n")
    assert b"\r" not in first
    notebook = nbformat.read(made, as_version=4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [f"03-fine-tuning-{number:02d}" for number in range(1, 5)]
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    assert all(cell.outputs == [] for cell in cells(made))
    assert check_pairs(project / "notebooks") == []


def test_a_pair_that_only_looks_different_holds(project):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    made.write_text(json.dumps(json.loads(made.read_text(encoding="utf-8")), indent=4), encoding="utf-8")
    assert check_pairs(project / "notebooks") == []


def change_text(made):
    made.with_suffix(".md").write_text(HEADER + PARAMETERS.replace("seed", "sede"), encoding="utf-8")


def add_cell(made):
    with made.with_suffix(".md").open("a", encoding="utf-8") as file:
        file.write(cell("1 + 1"))


def change(made, edit):
    """Save a notebook as JupyterLab does, after an edit of its cells."""
    notebook = nbformat.read(made, as_version=4)
    edit(notebook)
    nbformat.write(notebook, made)


def add_output(made):
    def run(notebook):
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="2")]
        notebook.cells[1].execution_count = 1
        notebook.cells[1].metadata.update(execution={"iopub.execute_input": "now"}, scrolled=True)

    change(made, run)


def add_language(made):
    change(
        made, lambda notebook: notebook.metadata.update(language_info={"name": "python", "version": "3.11"})
    )


def add_other(made):
    made.with_name("04-svm.ipynb").write_bytes(made.read_bytes())


def edit_code(made):
    change(made, lambda notebook: notebook.cells[1].update(source="run = 'mine'\nseed = 1"))


def edit_prose(made):
    change(made, lambda notebook: notebook.cells[0].update(source="# My page"))


def edit_tags(made):
    change(made, lambda notebook: notebook.cells[1].metadata.tags.append("hide-input"))


def indent_code(made):
    change(made, lambda notebook: notebook.cells[1].update(source="  " + notebook.cells[1].source))


def insert_cell(made):
    change(made, lambda notebook: notebook.cells.insert(1, nbformat.v4.new_code_cell("2 + 2")))


def drop_cell(made):
    change(made, lambda notebook: notebook.cells.pop(1))


def swap_cells(made):
    change(made, lambda notebook: notebook.cells.reverse())


EDITS = [edit_code, indent_code, edit_prose, edit_tags, insert_cell, drop_cell, swap_cells]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (change_text, "03-fine-tuning.ipynb: is behind 03-fine-tuning.md; `hep2 pair` writes it again"),
        (add_cell, "03-fine-tuning.ipynb: is behind 03-fine-tuning.md; `hep2 pair` writes it again"),
        (add_output, "03-fine-tuning.ipynb: holds outputs; `hep2 pair` writes it again"),
        (add_language, "03-fine-tuning.ipynb: has other ids or metadata than its text gives; `hep2 pair` w"),
        (Path.unlink, "03-fine-tuning.ipynb: does not exist; `hep2 pair` writes it"),
    ],
)
def test_pairs_that_are_written_again(project, spoil, problem):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    spoil(made)
    (said,) = check_pairs(project / "notebooks")
    assert said.startswith(problem)
    assert pair(project / "notebooks") == [made]
    assert check_pairs(project / "notebooks") == []


@pytest.mark.parametrize("spoil", [*EDITS, lambda made: made.write_text("{")])
@pytest.mark.parametrize("behind", [False, True])
def test_an_edited_notebook_is_never_lost_without_a_word(project, spoil, behind):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    other = write(project, PARAMETERS, "04-svm")
    pair(project / "notebooks")
    spoil(made)
    if behind:
        add_cell(made)
    before = made.read_bytes()
    add_cell(other.with_suffix(".ipynb"))
    older = other.with_suffix(".ipynb").read_bytes()
    with pytest.raises(NotebookError, match="`hep2 pair --from-md 03-fine-tuning`"):
        pair(project / "notebooks")
    assert made.read_bytes() == before
    assert other.with_suffix(".ipynb").read_bytes() == older
    assert "`hep2 pair --from-md 03-fine-tuning`" in check_pairs(project / "notebooks")[0]
    assert pair(project / "notebooks", ["03-fine-tuning"]) == [made]
    assert pair(project / "notebooks") == [other.with_suffix(".ipynb")]
    assert check_pairs(project / "notebooks") == []


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_notebook_can_be_kept(project, edit):
    source = write(project, PARAMETERS + cell("1 + 1"))
    header = source.read_text(encoding="utf-8").partition("\n---\n")[0]
    made = source.with_suffix(".ipynb")
    pair(project / "notebooks")
    add_output(made)
    edit(made)
    wanted = [(cell.cell_type, cell.source) for cell in nbformat.read(made, as_version=4).cells]
    write_source(made)
    assert source.read_text(encoding="utf-8").startswith(f"{header}\n---\n\n")
    pair(project / "notebooks")
    assert check_pairs(project / "notebooks") == []
    kept = nbformat.read(made, as_version=4).cells
    assert [(cell.cell_type, cell.source) for cell in kept] == wanted
    assert all(not cell.get("outputs") and "execution" not in cell.metadata for cell in kept)
    assert ("hide-input" in str(kept)) == (edit is edit_tags)


def test_where_both_were_edited_it_is_said_and_the_text_is_kept(project):
    source = write(project, PARAMETERS + cell("1 + 1"))
    made, kept = source.with_suffix(".ipynb"), source.with_suffix(".md.before")
    pair(project / "notebooks")
    edit_code(made)
    assert write_source(made) == [source]  # the text had no edit of its own
    pair(project / "notebooks", ["03-fine-tuning"])
    edit_code(made)
    change(made, lambda notebook: notebook.cells[-1].update(source="2 + 2"))
    source.write_text(source.read_text(encoding="utf-8").replace("1 + 1", "3 + 3"), encoding="utf-8")
    before = source.read_text(encoding="utf-8")
    (said,) = check_pairs(project / "notebooks")
    assert said.splitlines()[1] == "The text was edited too: first bring over by hand what is to stay"
    assert write_source(made) == [source, kept]
    assert kept.read_text(encoding="utf-8") == before
    assert "2 + 2" in source.read_text(encoding="utf-8")
    assert "3 + 3" not in source.read_text(encoding="utf-8")


def test_what_was_edited_is_shown_by_cell(project):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    edit_code(made)
    with pytest.raises(NotebookError) as raised:
        pair(project / "notebooks")
    assert str(raised.value).splitlines() == [
        "03-fine-tuning.ipynb: was edited, and 03-fine-tuning.md, which is what a run executes, "
        "says otherwise",
        "--- 03-fine-tuning.md, cell 2",
        "+++ 03-fine-tuning.ipynb, cell 2",
        "@@ -3,4 +3,4 @@",
        " ",
        '-run = "runs/mine"  # the run\'s folder',
        "-seed: int = 0  # random seed",
        "+run = 'mine'",
        "+seed = 1",
        " ```",
        "`hep2 pair --from-ipynb 03-fine-tuning` keeps the .ipynb, "
        "`hep2 pair --from-md 03-fine-tuning` the text",
    ]
    change(made, lambda notebook: notebook.cells[1].update(source="\n".join(map(str, range(100)))))
    with pytest.raises(NotebookError, match=r"\n\.\.\. and 77 lines more\n`hep2 pair --from-ipynb"):
        pair(project / "notebooks")


def paste_picture(notebook):
    notebook.cells[0].source = "![](attachment:a.png)"
    notebook.cells[0].attachments = {"a.png": {"image/png": ""}}


@pytest.mark.parametrize(
    "edit",
    [
        paste_picture,
        lambda notebook: notebook.cells[0].update(source="one\n\n+++\n\ntwo"),
        lambda notebook: notebook.cells[0].update(source="one\n\n```{code-cell} ipython3\n1\n```"),
    ],
)
def test_a_cell_that_no_text_can_hold_is_refused(project, edit):
    source = write(project, PARAMETERS)
    made, before = source.with_suffix(".ipynb"), source.read_bytes()
    pair(project / "notebooks")
    change(made, edit)
    with pytest.raises(NotebookError, match=r"03-fine-tuning\.ipynb, cell '.*: text cannot hold it"):
        write_source(made)
    assert source.read_bytes() == before


def test_a_notebook_without_a_text_gets_one(project):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    made.with_suffix(".md").unlink()
    (said,) = check_pairs(project / "notebooks")
    assert said == (
        "03-fine-tuning.ipynb: has no 03-fine-tuning.md; `hep2 pair --from-ipynb 03-fine-tuning` writes it"
    )
    write_source(made)
    pair(project / "notebooks")
    assert check_pairs(project / "notebooks") == []


def test_what_jupytext_put_in_step_is_no_edit(project):
    source = write(project, PARAMETERS)
    made = source.with_suffix(".ipynb")
    pair(project / "notebooks")
    insert_cell(made)
    before = made.read_bytes()
    write_source(made)  # as jupytext does for a save in JupyterLab
    pair(project / "notebooks")
    assert made.read_bytes() != before  # the new cell has an id, and the digest is that of the cells
    assert check_pairs(project / "notebooks") == []


def test_an_edit_in_jupyterlab_is_not_executed_past(project):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    edit_code(made)
    with pytest.raises(NotebookError, match=r"ipynb: was edited.*which is what a run executes"):
        execute("03-fine-tuning", project / "run", {}, project=project)
    assert not (project / "run").exists()


def test_a_run_refuses_an_edited_notebook_before_anything_is_computed(project, monkeypatch):
    made = write(project, PARAMETERS, PAGES[0]).with_suffix(".ipynb")
    pair(project / "notebooks")
    edit_prose(made)
    monkeypatch.setattr("hep2lib.runs.notebooks.project_root", lambda: project)
    parameters = SimpleNamespace(profile="smoke", data="", weights="auto", seed=0)
    with pytest.raises(NotebookError, match=r"01-dataset\.ipynb: was edited"):
        execute_run(SimpleNamespace(folder=project / "run", parameters=parameters))


def test_parameters_and_their_defaults(project):
    source = write(project, PARAMETERS + cell("seed = 2"))
    assert notebook_parameters(read_source(source), source.name) == {"run": "runs/mine", "seed": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "03-fine-tuning.md: 0 cells are tagged 'parameters'; there must be one"),
        (PARAMETERS + PARAMETERS, "2 cells are tagged"),
        (PARAMETERS.replace('"runs/mine"', "str(1)"), "`run = str.1.` is none; put what is derived"),
        (PARAMETERS.replace("run =", "import os;"), "`import os` is none|`'runs/mine'` is none"),
        (PARAMETERS.replace("run =", "run.x ="), "`run.x = 'runs/mine'` is none"),
        (PARAMETERS.replace("run =", "run = ="), "each statement is `name = literal`"),
    ],
)
def test_parameters_that_are_none(project, text, message):
    source = write(project, text)
    with pytest.raises(NotebookError, match=message):
        notebook_parameters(read_source(source), source.name)


def test_an_unknown_parameter_or_page_is_said_before_anything_runs(project):
    write(project, PARAMETERS)
    with pytest.raises(
        NotebookError, match=r"03-fine-tuning\.md: unknown parameter 'sead'; did you mean 'seed'\?"
    ):
        execute("03-fine-tuning", project / "run", {"sead": 1}, project=project)
    with pytest.raises(InputError, match="unknown parameter 'epochs'; it knows run, seed"):
        execute("03-fine-tuning", project / "run", {"epochs": 1}, project=project)
    with pytest.raises(NotebookError, match=r"page '3': there is no such notebook; .* are: 03-fine-tuning"):
        execute("3", project / "run", {}, project=project)
    assert not (project / "run").exists()


def test_a_page_runs_in_this_interpreter_with_its_parameters(executed):
    _, run, notebook = executed
    assert notebook == run / "notebooks" / "03-fine-tuning.ipynb"
    values = read_pages(run)["03-fine-tuning"]["values"]
    assert values["seed"] == {"value": 3}
    assert values["interpreter"] == {"value": sys.executable}


def test_an_executed_page_holds_nothing_of_the_machine(executed):
    project, _, notebook = executed
    text = notebook.read_text(encoding="utf-8")
    for word in (str(project), str(Path.home()) + "/", "papermill", "start_time", "duration", "iopub"):
        assert word not in text
    printed = [
        output for each in cells(notebook) for output in each.outputs if output.output_type == "stream"
    ]
    assert [(output.name, output.text) for output in printed] == [("stdout", "20%  <object object>\n")]


MACHINE = """
```{code-cell} ipython3
:tags: [parameters]

run = "runs/mine"
data = ""
```

```{code-cell} ipython3
import warnings
import matplotlib.pyplot as plt
import pandas as pd
from hep2lib.runs.publish import Publication

publish = Publication(run, "03-fine-tuning")
publish.value("precision", pd.get_option("display.precision"))
publish.value("backend", plt.get_backend())
warnings.warn("nobody's fault", DeprecationWarning)
```
"""


def test_what_a_persons_shell_is_set_up_to_do_stays_out_of_a_page(project, monkeypatch):
    startup = project / "startup.py"
    startup.write_text("import pandas as pd\npd.set_option('display.precision', 1)\n", encoding="utf-8")
    (project / "ipython" / "profile_default" / "startup").mkdir(parents=True)
    (project / "ipython" / "profile_default" / "startup" / "00.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    monkeypatch.setenv("IPYTHONDIR", str(project / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    write(project, MACHINE)
    given = {"run": project / "run", "data": "/home/me/study/db"}
    notebook = execute("03-fine-tuning", project / "run", given, project=project)
    assert 'data = "db"' in cells(notebook)[1].source
    values = read_pages(project / "run")["03-fine-tuning"]["values"]
    assert values == {"precision": {"value": 6}, "backend": {"value": "agg"}}


def test_parameters_are_folded_away_and_the_given_ones_marked(executed):
    _, _, notebook = executed
    parameters, injected, *rest = cells(notebook)
    assert parameters.metadata.tags == ["parameters", "remove-cell", "hide-input"]
    assert injected.metadata.tags == ["injected-parameters", "hide-input"]
    assert injected.source.splitlines()[1:] == ['run = "runs/mine"', "seed = 3"]
    assert injected.id == "03-fine-tuning-injected"
    publishing = [each for each in rest if each.source.startswith("publish.")]
    assert all(each.metadata.tags == ["hide-input"] for each in publishing)
    assert all("tags" not in each.metadata for each in rest if "publish." not in each.source)


def test_a_figures_cell_says_what_the_book_needs(executed):
    _, _, notebook = executed
    metadata = cells(notebook)[-1].metadata
    assert metadata.label == "fig-curve"
    assert metadata.mystnb.figure == {"caption": r"Axes\, p \< 1 in \*x\*\.", "name": "fig-curve"}
    assert metadata.mystnb.image.alt == "An empty pair of axes from zero to one in both directions."
    assert metadata.mystnb.image.width.endswith("px")


def test_an_input_error_in_a_cell_comes_out_as_it_was_said(project):
    code = 'from hep2lib.evaluation.auc import ScoreError\nraise ScoreError("row 3: no image; add it")'
    write(project, PARAMETERS + cell(code))
    with pytest.raises(InputError, match=r"^row 3: no image; add it$"):
        execute("03-fine-tuning", project / "run", {}, project=project)
    assert not (project / "run" / "notebooks").exists()


def test_a_crash_in_a_cell_is_ours_and_keeps_what_there_is(project):
    source = write(project, PARAMETERS + cell("print('so far')") + cell("ratio = 1 / 0"))
    with pytest.raises(RunError) as raised:
        execute("03-fine-tuning", project / "run", {}, project=project)
    assert not isinstance(raised.value, InputError)
    message = str(raised.value)
    assert message.startswith(
        "03-fine-tuning, cell 3 ('ratio = 1 / 0'): ZeroDivisionError: division by zero. "
    )
    kept = project / "run" / "failed" / "03-fine-tuning.ipynb"
    assert message.endswith(f"The notebook as far as it got: {kept}")
    assert "so far" in kept.read_text(encoding="utf-8")
    assert not (project / "run" / "notebooks").exists()
    source.write_text(source.read_text(encoding="utf-8").replace("1 / 0", "1 / 1"), encoding="utf-8")
    execute("03-fine-tuning", project / "run", {}, project=project)
    assert not kept.parent.exists()


def test_a_cell_that_never_ends_is_ended(project):
    write(project, PARAMETERS + cell("import time\ntime.sleep(60)"))
    with pytest.raises(RunError, match="03-fine-tuning: a cell ran longer than 1 s"):
        execute("03-fine-tuning", project / "run", {}, project=project, cell_seconds=1)


def test_what_a_dying_kernel_says_is_passed_on_and_no_terminal_gets_it(project, capfd):
    write(project, PARAMETERS + cell("import faulthandler, os\nfaulthandler.enable()\nos.abort()"))
    with pytest.raises(RunError, match=r"the kernel died, saying 'Fatal Python error: Aborted'\. The note"):
        execute("03-fine-tuning", project / "run", {}, project=project)
    assert capfd.readouterr().err == ""
    write(project, PARAMETERS + cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    with pytest.raises(RunError, match="the kernel died, most often for want of memory"):
        execute("03-fine-tuning", project / "run", {}, project=project)


def test_one_program_at_a_time_executes_the_notebooks_of_a_run(project, monkeypatch):
    monkeypatch.setattr(notebooks, "project_root", lambda *words: project)
    monkeypatch.setattr(notebooks, "page_values", lambda run: {"run": str(run.folder)})
    for page in PAGES:
        write(project, PARAMETERS + cell("1"), page)
    (project / "run").mkdir()
    run = SimpleNamespace(
        folder=project / "run", keep_records=lambda: None, simulated=True, **dict.fromkeys(notebooks.STUDIES)
    )
    lock, refused = (
        FileLock(project / "run" / "notebooks.lock"),
        "run: another program executes its notebooks; ",
    )
    with lock, pytest.raises(InputError, match=refused):
        execute_run(run)
    assert not (project / "run" / "staged").exists()


def test_a_figure_shares_its_cell_with_nothing(project):
    both = STUDY.replace('publish.figure("curve"', 'display(1)\npublish.figure("curve"')
    write(project, PARAMETERS + both)
    with pytest.raises(
        NotebookError, match="the cell that shows figure 'curve': it shows 2 things; a figure needs"
    ):
        execute("03-fine-tuning", project / "run", {"run": project / "run"}, project=project)


PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from hep2lib import cli
from hep2lib.runs import book, notebooks

project = Path(sys.argv[1])
notebooks.execute = partial(notebooks.execute, project=project)
notebooks.project_root = lambda *words: project
notebooks.page_values = lambda run: {"run": str(run.folder)}
studies = dict.fromkeys(notebooks.STUDIES)
run = SimpleNamespace(folder=project / "run", keep_records=str, simulated=True, facts=(), **studies)
run.folder.mkdir()
book.build_book = lambda folder: notebooks.execute_run(run)
sys.argv = ["hep2", "book"]
sys.exit(cli.main())
"""
WORK = """
import time
from pathlib import Path
from hep2lib.processes import Workers
pool = Workers(1)
pool.submit(time.sleep, 300)
Path(run, "at work").mkdir(parents=True)
time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_program_ends_its_kernels_and_their_workers(project, number):
    for page in PAGES:
        write(project, PARAMETERS + cell(WORK.strip()) * (page == PAGES[1]) + cell("import time"), page)
    temporary, said = project / "tmp", project / "said"
    temporary.mkdir()
    with said.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(project)],
            env=os.environ | {"TMPDIR": str(temporary)},
            stderr=stream,
            start_new_session=True,
        )
    children = []
    try:
        until = time.monotonic() + 120
        while not (project / "run" / "at work").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        start = time.monotonic()
        os.killpg(process.pid, number)  # kernels are in sessions of their own
        assert process.wait(60) == (-9 if number == signal.SIGKILL else 130)
        assert time.monotonic() - start < 12  # under 3 seconds where nothing else runs
        assert psutil.wait_procs(children, timeout=12)[1] == []
    finally:
        for each in psutil.wait_procs(children, timeout=0)[1]:
            each.kill()
        process.kill()
    assert len(children) >= 2
    assert list(temporary.iterdir()) == []
    if number != signal.SIGKILL:
        assert not (project / "run" / "staged").exists()
        assert not (project / "run" / "failed").exists()
        text = said.read_text(encoding="utf-8")
        assert text.startswith("hep2: stopping ...\n")  # the second line takes a machine that is not too busy
        assert "Traceback" not in text


def test_a_page_that_publishes_as_another_is_refused(project):
    write(project, PARAMETERS + STUDY, page="04-mine")
    with pytest.raises(NotebookError, match=r"04-mine: it publishes as another page; .*'04-mine'"):
        execute("04-mine", project / "run", {"run": project / "run"}, project=project)
    assert not (project / "run" / "published").exists()
    assert not (project / "run" / "notebooks").exists()


TOC = "root: book/introduction\nparts:\n  - chapters:\n    - file: book/run/03-fine-tuning\n"
FIRST = "first, with `code`."


def test_what_is_stale_is_refreshed_and_prose_without_executing(project, monkeypatch):
    run, again = project / "run", []
    (project / "_toc.yml").write_text(TOC, encoding="utf-8")
    source = write(project, PARAMETERS + f"\nProse, {FIRST}\n" + STUDY)
    given = {"run": run, "seed": 3}
    execute("03-fine-tuning", run, given, project=project)
    (run / "parameters.yaml").write_bytes((PROJECT / "book" / "run" / "parameters.yaml").read_bytes())
    notebook = execute("03-fine-tuning", run, given, project=project)

    def executed_again(opened, pages):
        again.append(pages)
        assert opened.parameters.folds == 5
        execute(*pages, run, given, project=project)

    monkeypatch.setattr(notebooks, "execute_run", executed_again)

    def judge():
        return check(run, project=project)["03-fine-tuning"].reasons

    assert judge() == []
    assert refresh(run, project=project) == []
    before = cells(notebook)
    prose = "Prose, second.\n\n+++ {'tags': ['x']}\n\nA cell more.\n"
    prose = f"{prose}\n+++ {{'tags': ['unless-fields']}}\n\nNot here.\n".replace("'", '"')
    source.write_text(source.read_text(encoding="utf-8").replace(f"Prose, {FIRST}", prose), encoding="utf-8")
    assert judge() == ["only prose changed"]
    assert refresh(run, project=project) == ["03-fine-tuning"]
    assert (judge(), again, damages(run, "03-fine-tuning")) == ([], [], [])
    text = nbformat.read(notebook, as_version=4)
    nbformat.validate(text)
    assert [each.source for each in text.cells if each.cell_type == "markdown"][1:] == [
        "Prose, second.",
        "A cell more.",
    ]
    after = cells(notebook)
    assert [(each.source, each.outputs, each.metadata) for each in after] == [
        (each.source, each.outputs, each.metadata) for each in before
    ]
    assert len({each.id for each in text.cells}) == len(text.cells)
    source.write_text(source.read_text(encoding="utf-8") + cell("1 + 1"), encoding="utf-8")
    assert judge() == ["cell 8 of notebooks/03-fine-tuning.md changed"]
    assert refresh(run, project=project) == ["03-fine-tuning"]
    assert (judge(), again) == ([], [["03-fine-tuning"]])
    notebook.parent.rename(run / "elsewhere")
    (run / "elsewhere" / notebook.name).rename(run / notebook.name)
    source.write_text(source.read_text(encoding="utf-8") + cell("2 + 2"), encoding="utf-8")
    with pytest.raises(InputError, match="a published run is executed nowhere"):
        refresh(run, project=project)


ABOUT = """
Of all.

+++ {"tags": ["only-patterns"]}

Of patterns.

+++ {"tags": ["unless-patterns", "only-fields"]}

Of fields alone.

```{code-cell} ipython3
:tags: [only-patterns]

print(1)
```

```{code-cell} ipython3
print(2) if run == "nowhere" else None
```

```{code-cell} ipython3
3 if run else None
```
"""


@pytest.mark.parametrize(
    ("facts", "prose", "code"),
    [
        (["patterns", "fields"], ["Of patterns."], ["print(1)"]),
        (["fields"], ["Of fields alone."], []),
        ([], [], []),
    ],
)
def test_a_page_says_nothing_of_what_its_database_has_not(project, facts, prose, code):
    write(project, PARAMETERS + ABOUT)
    page = execute("03-fine-tuning", project / "run", {"run": project}, facts=facts, project=project)
    assert [each.source for each in cells(page, "markdown")][1:] == ["Of all.", *prose]
    shown = [each for each in cells(page) if "remove-cell" not in each.metadata.get("tags", [])][1:]
    assert [each.source for each in shown] == [*code, "3 if run else None"], "no cell stands there empty"


def test_the_folder_of_a_database_is_not_named(project):
    run, data = project / "run", project.parent / "hospital" / "clinic"
    values = yaml.safe_load((PROJECT / "book" / "run" / "parameters.yaml").read_text(encoding="utf-8"))
    run.mkdir()
    (run / "parameters.yaml").write_text(yaml.safe_dump(values | {"data": str(data)}), encoding="utf-8")
    write(project, PARAMETERS + cell(f"print({str(data / 'a.png')!r})"))
    page = execute("03-fine-tuning", run, {"run": run}, project=project)
    assert cells(page)[-1].outputs[0].text == "clinic/a.png\n"


def test_new_prose_is_not_put_in_past_an_edited_notebook(project, monkeypatch):
    made = write(project, PARAMETERS).with_suffix(".ipynb")
    pair(project / "notebooks")
    edit_code(made)
    monkeypatch.setattr(
        notebooks, "check", lambda *_, **__: {"03-fine-tuning": Chapter(["only prose changed"])}
    )
    with pytest.raises(NotebookError, match=r"03-fine-tuning\.ipynb: was edited"):
        refresh(project / "run", project=project)


def test_what_a_run_has_from_another_profile_is_not_refreshed(project, monkeypatch):
    said = "the profile quick has changed since this run was made: folds 10 (was 5)"
    found = {"05-results": Chapter([said])}
    monkeypatch.setattr(notebooks, "check", lambda *_, **__: found)
    with pytest.raises(
        InputError, match=r"the profile quick has changed .*; a run keeps its parameters: `hep2 new-run"
    ):
        refresh(project / "run", project=project)


def test_a_finished_run_is_gone_on_with_where_something_is_missing(tmp_path, monkeypatch):
    found = {page: Chapter() for page in notebooks.PAGES}
    run, executed = SimpleNamespace(folder=tmp_path), []
    monkeypatch.setattr(notebooks, "check", lambda folder: found)
    monkeypatch.setattr(notebooks, "execute_run", lambda opened, pages: executed.append(list(pages)))
    assert notebooks.complete(run) == [*notebooks.PAGES], "it was not finished"
    (tmp_path / "run.json").touch()
    assert notebooks.complete(run) == [*notebooks.PAGES], "it has no records"
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "about.json").touch()
    assert notebooks.complete(run) == []
    found["04-svm"].reasons.append("hep2lib/studies/svm.py changed")
    assert notebooks.complete(run) == ["04-svm"]
    assert executed == [[*notebooks.PAGES]] * 2 + [["04-svm"]]


def test_executing_one_page_keeps_the_times_of_the_others(tmp_path, monkeypatch):
    steps = dict.fromkeys(notebooks.STUDIES)
    steps |= {"keep_records": lambda: kept.append(tmp_path), "describe": lambda seconds: {"seconds": seconds}}
    kept, run = [], SimpleNamespace(folder=tmp_path, simulated=True, facts=["simulated"], **steps)
    monkeypatch.setattr(notebooks, "page_values", lambda run: {})
    pages = []

    def execute(page, *_, facts):
        assert facts == ["simulated"]
        time.sleep(0.2 * (page != PAGES[-1]))
        pages.append(page)

    monkeypatch.setattr(notebooks, "execute", execute)
    before = dict.fromkeys(PAGES, 100.0) | {"svm": 50.0}
    (tmp_path / "run.json").write_text(json.dumps({"seconds": before}), encoding="utf-8")
    notebooks.execute_run(run, ["05-results"])
    assert (pages, kept) == (["05-results"], [tmp_path])
    seconds = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["seconds"]
    assert seconds["05-results"] < 50
    assert {name: seconds[name] for name in before if name != "05-results"} == {
        name: before[name] for name in before if name != "05-results"
    }
    notebooks.execute_run(run)
    assert sorted(pages[1:]) == sorted(PAGES)
    assert pages[-1] == PAGES[-1], "what measures times waits until the others are done"
    seconds = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["seconds"]
    assert max(seconds.values()) < 50
