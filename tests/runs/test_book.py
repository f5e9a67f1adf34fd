import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
import pytest

from hep2lib.files import RunError, own_name, project_root, write_json
from hep2lib.runs.book import (
    BookError,
    _cited,
    _filled,
    build_book,
    filled_notebooks,
    publish_run,
    published_run,
    run_from_published,
)
from hep2lib.runs.freshness import Chapter, damages, page_content, sealed
from hep2lib.runs.notebooks import PAGES
from hep2lib.runs.parameters import make_parameters
from hep2lib.runs.records import RecordsError

from .htmlcheck import check_html
from .small_book import REPOSITORY, write_clone


def test_the_book_of_a_run_is_where_one_looks_for_it(small_book):
    assert small_book.index == small_book.run / "html" / "index.html"
    assert 'url=book/introduction.html"' in small_book.index.read_text(encoding="utf-8")
    beside = {file.name for file in small_book.run.iterdir()}
    assert "html" in beside
    assert not [name for name in beside if name.startswith(".") or name == "build.log"]


def test_the_rendered_book_has_no_problem(small_book):
    assert check_html(small_book.index.parent) == []


def test_every_page_of_the_contents_is_rendered(small_book):
    pages = {
        file.relative_to(small_book.index.parent).as_posix()
        for file in small_book.index.parent.rglob("*.html")
    }
    assert pages >= {
        "book/introduction.html",
        "book/run/01-dataset.html",
        "book/run/02-cnn.html",
        "book/run/03-fine-tuning.html",
        "book/run/04-svm.html",
        "book/run/05-results.html",
        "book/run/06-costs.html",
        "book/paper.html",
        "book/glossary.html",
        "book/reporting.html",
        "book/references.html",
        "book/rerun.html",
        "book/teaching.html",
        "book/about-run.html",
        "book/api.html",
        "CHANGELOG.html",
    }


def test_a_filled_copy_shows_values_and_goes_on_with_its_run(small_book, tmp_path, monkeypatch):
    monkeypatch.setattr("hep2lib.runs.book.project_root", lambda: small_book.project)
    out = filled_notebooks(tmp_path / "nb", small_book.run)
    assert sorted(file.name for file in out.iterdir()) == [f"{page}.ipynb" for page in PAGES]
    texts = [cell.source for cell in nbformat.read(out / "03-fine-tuning.ipynb", 4).cells]
    assert any("*table-depths* and *fig-roc-curves*: 0.934." in text for text in texts)
    assert json.loads((out / "03-fine-tuning.ipynb").read_text(encoding="utf-8"))["cells"][3]["outputs"]
    for folder in (out, small_book.run / "run.json"):
        with pytest.raises(BookError, match="holds something; choose another folder"):
            filled_notebooks(folder, small_book.run)
    with pytest.raises(BookError, match="nowhere: there is no such run"):
        filled_notebooks(tmp_path / "other", tmp_path / "nowhere")
    assert not (tmp_path / "other").exists()


def test_the_published_chapters_are_copied_with_a_run_that_their_cells_go_on_with(tmp_path):
    """No role, directive or link of the book's own is left in what JupyterLab shows."""
    out = filled_notebooks(tmp_path / "nb")
    assert (out / "run" / "parameters.yaml").is_file()
    for page in PAGES:
        cells = nbformat.read(out / f"{page}.ipynb", 4).cells
        prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert re.findall(r"\{[a-z:]+\}`|:::|\[\]\(|\?\?", prose) == []
        cited = {
            "02-cnn": "GoogLeNet [Szegedy et al. 2015]",
            "05-results": "[Taormina et al. 2020b; Wu et al. 2021",
        }
        assert cited.get(page, "") in prose.replace("\n", " ")
        given = [cell.source for cell in cells if "injected-parameters" in cell.metadata.get("tags", [])]
        assert given == [f"# This run\nrun_folder = {str(out / 'run')!r}"]


def test_no_page_names_the_machine_it_was_rendered_on(small_book):
    for page in small_book.index.parent.rglob("*.html"):
        assert str(small_book.project) not in page.read_text(encoding="utf-8")


def test_what_only_the_book_knows_is_told_in_plain_words():
    bib = "@book{a,\n  author = {Di X, Y. and Z, W.},\n  title = {T},\n  year = {2019a},\n}\n"
    bib += "@misc{b,\n  title = {T},\n  author    = {Q, R. and others},\n  year = {2020},\n}\n"
    cited = _cited(bib)
    assert cited == {"a": "Di X and Z 2019a", "b": "Q et al. 2020"}
    text = "{cite:t}`b` asks {cite:p}`a,b` of {term}`AUC`, {term}`areas <AUC>` and {val}`x:.1%`."
    assert _filled(text, {"val": {"x": {"value": 0.5}}, "cite": cited}) == (
        "Q et al. 2020 asks [Di X and Z 2019a; Q et al. 2020] of AUC, areas and 50.0\xa0%."
    )


def files(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_the_published_run_is_staged_as_the_clone_has_it(tmp_path, small_run, monkeypatch):
    project = write_clone(tmp_path)
    run = published_run(project)
    shutil.copytree(small_run, run)
    for notebook in (run / "notebooks").iterdir():
        notebook.rename(run / notebook.name)
    (run / "notebooks").rmdir()
    others = ("folds.csv", "weights.json", "about.json", "CITATION.cff", "start.ipynb")
    before = [name for name in files(project) if not name.endswith(others)]
    staged = []

    def render(work, pages, log):
        staged.extend(files(work / "source"))
        (work / "_build" / "html").mkdir(parents=True)

    monkeypatch.setattr("hep2lib.runs.book._render", render)
    assert build_book(project=project) == project / "_build" / "html" / "index.html"
    assert staged == sorted([*before, "book/exercises.md", "book/parameters.md", "book/run/freshness.json"])
    assert "_build/html/index.html" in files(project)


PART = """# Paper

All of it.

+++ {"tags": ["only-patterns"]}

[](#fig-of-patterns)

+++ {"tags": ["unless-patterns"]}

None.

+++

The end.
"""


@pytest.mark.parametrize(
    ("about", "text"),
    [
        ({}, "[](#fig-of-patterns)"),  # a run of before, which said nothing
        ({"facts": ["simulated", "patterns"]}, "[](#fig-of-patterns)"),
        ({"facts": []}, "None."),
    ],
)
def test_a_page_has_the_parts_that_the_run_has_something_for(tmp_path, small_run, monkeypatch, about, text):
    project, run, staged = write_clone(tmp_path), tmp_path / "run", []
    (project / "book" / "paper.md").write_text(PART, encoding="utf-8")
    shutil.copytree(small_run, run)
    known = json.loads((run / "run.json").read_text(encoding="utf-8"))
    write_json(run / "run.json", known | about)

    def render(work, pages, log):
        staged.append((work / "source" / "book" / "paper.md").read_text(encoding="utf-8"))
        (work / "_build" / "html").mkdir(parents=True)

    monkeypatch.setattr("hep2lib.runs.book._render", render)
    build_book(run, project=project)
    assert staged == [f"# Paper\n\nAll of it.\n\n\n{text}\n\n\nThe end.\n"]


def remade(run, *changes):
    """Let all pages say what they were made from, one of them something else."""
    for page in PAGES:
        content = page_content(run, page)
        other = {"inputs": {"the database": "a"}, "parameters": {}}
        write_json(
            run / "published" / f"{page}.json",
            sealed(content | {"from": changes[1] if page == changes[0] else other}),
        )


@pytest.fixture
def complete(tmp_path, small_run, monkeypatch):
    """A clone, and a run whose pages are fresh."""
    shutil.copytree(small_run, tmp_path / "run")
    fresh = {page: Chapter() for page in PAGES}
    monkeypatch.setattr("hep2lib.runs.freshness.check", lambda *run, **project: fresh)
    return write_clone(tmp_path), tmp_path / "run"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "/run: there is no such run; "),
        (
            lambda run: (run / "run.json").unlink(),
            "/run: is not finished, it has no run.json; `hep2 run /.*/run` goes on$",
        ),
        (lambda run: (run / "parameters.yaml").unlink(), "/run: there is no such run; "),
        (
            lambda run: [shutil.rmtree(run / name) for name in ("published", "notebooks")],
            "/run: is not finished, it has no chapter 01-dataset, .*06-costs; `hep2 run /.*/run` goes on$",
        ),
        (
            lambda run: (run / "notebooks" / "04-svm.ipynb").unlink(),
            "/run: is not finished, it has no chapter 04-svm; `hep2 run /.*/run` goes on$",
        ),
        (
            lambda run: shutil.rmtree(run / "published"),
            r"page 01-dataset is not whole \(published/01-.* cannot be read\); execute it: `hep2 run "
            "/.*/run --page 01-dataset`$",
        ),
        (
            lambda run: (run / "notebooks" / "04-svm.ipynb").write_text("{}", encoding="utf-8"),
            r"page 04-svm is not whole \(notebooks/04-svm.ipynb is not what the page published\); execute it",
        ),
        (
            lambda run: (run / "tables" / "depths.html").unlink(),
            r"page 03-fine-tuning is not whole \(tables/depths.html is not what the page published\)",
        ),
        (
            lambda run: (run / "figures" / "roc-curves.png").write_bytes(b""),
            "03-fine-tuning is not whole .*roc-curves.png",
        ),
        (
            lambda run: remade(run, "05-results", {"inputs": {"the database": "b"}, "parameters": {}}),
            "the database that page 01-dataset, .* was made with are not those of 05-results; .*hep2 refresh",
        ),
    ],
)
def test_a_run_that_no_book_can_be_made_of(complete, spoil, message):
    project, run = complete
    spoil(run)
    if run.exists():
        (run / "site").mkdir()
        (run / "site" / "index.html").write_text("somebody's own", encoding="utf-8")
    before = files(project)
    for make in (build_book, publish_run):
        with pytest.raises(BookError, match=message):
            make(run, project=project)
    assert files(project) == before  # nothing new, and nothing that was there is gone


def test_the_clone_is_found_from_the_package():
    assert project_root() == REPOSITORY


def test_a_run_is_published_whole_and_the_one_before_is_gone(complete):
    project, run = complete
    (published_run(project) / "old").mkdir(parents=True)
    folder = publish_run(run, any_size=True, project=project)
    assert folder == published_run(project)
    assert not (folder / "old").exists()
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["published"] is True
    assert sorted(file.name for file in folder.glob("*.ipynb")) == [f"{page}.ipynb" for page in PAGES]
    assert not list(folder.rglob("*.svg"))
    assert [damages(folder, page) for page in PAGES] == [[]] * len(PAGES)
    assert set(page_content(folder, "03-fine-tuning")["files"]) == {
        "figures/roc-curves.png",
        "notebooks/03-fine-tuning.ipynb",
        "tables/depths.html",
    }
    assert check_html(build_book(project=project).parent) == []
    assert "This is a run of your own" not in (project / "_build/html/book/run/05-results.html").read_text()


def git(project, *words):
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(project), *author, *words], check=True, capture_output=True)


def test_a_run_is_published_of_a_commit(complete):
    project, run = complete
    kept = json.loads((publish_run(run, any_size=True, project=project) / "run.json").read_text())
    assert kept["commit"] == "not known: no git repository"
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    file = project / "book" / "run" / "run.json"
    file.write_text("{}", encoding="utf-8")  # what is replaced is no reason
    (project / "new.txt").write_text("not tracked", encoding="utf-8")
    kept = json.loads((publish_run(run, any_size=True, project=project) / "run.json").read_text())
    assert re.fullmatch("[0-9a-f]{40}", kept["commit"])
    (project / "book" / "rerun.md").write_text("# Run\n", encoding="utf-8")
    before = files(project)
    with pytest.raises(
        BookError, match=r"[0-9a-f]{40}, with changes of book/rerun.md, which are not committed; co"
    ):
        publish_run(run, any_size=True, project=project)
    assert files(project) == before


def test_a_run_smaller_than_the_published_profile_is_published_only_if_one_says_so(complete):
    project, run = complete
    make_parameters("quick").write(run / "parameters.yaml")
    with pytest.raises(
        BookError, match=r"smaller than the profile published \(epochs at freeze 11: 3 of 10, .*any-s"
    ):
        publish_run(run, project=project)
    assert not published_run(project).exists()
    make_parameters("paper").write(run / "parameters.yaml")
    assert publish_run(run, project=project) == published_run(project)


def test_a_stale_page_is_not_published(complete, monkeypatch):
    project, run = complete
    found = {"01-dataset": Chapter(), "04-svm": Chapter(["cell 3 changed"]), "05-results": Chapter(["x"])}
    monkeypatch.setattr("hep2lib.runs.freshness.check", lambda *run, **project: found)
    with pytest.raises(
        BookError, match=r"run: stale: 04-svm, 05-results; `hep2 check .*run` says why, `hep2 refresh .*run`"
    ):
        publish_run(run, any_size=True, project=project)
    assert not published_run(project).exists()


def test_a_weights_file_is_published_by_its_name(complete):
    project, run = complete
    write_json(run / "weights.json", {"asked": "/at/home/w.pth", "used": "/at/home/w.pth", "reason": "a/b"})
    kept = publish_run(run, any_size=True, project=project) / "records" / "weights.json"
    assert json.loads(kept.read_text()) == {"asked": "w.pth", "used": "w.pth", "reason": "a/b"}


def test_a_run_without_records_is_not_published(complete):
    project, run = complete
    shutil.rmtree(run / "records")
    with pytest.raises(
        BookError, match=r"has no records, it is of an earlier version; `hep2 run /.*/run` makes them"
    ):
        publish_run(run, any_size=True, project=project)


def test_a_run_is_made_of_the_published_one_and_can_take_its_place(complete, tmp_path):
    project, run = complete
    folder = tmp_path / "again"
    with pytest.raises(RecordsError, match="book/run: has no records; `hep2 run` computes everything anew"):
        run_from_published(folder, project=project)
    published = publish_run(run, any_size=True, project=project)
    run_from_published(folder, project=project)
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["published"] is False
    assert {"folds.csv", "weights.json", "parameters.yaml"} <= {file.name for file in folder.iterdir()}
    assert [damages(folder, page) for page in PAGES] == [[]] * len(PAGES)
    assert build_book(folder, project=project) == folder / "html" / "index.html"
    assert "This is a run of your own" in (folder / "html/book/run/05-results.html").read_text(
        encoding="utf-8"
    )
    before = files(folder)
    run_from_published(folder, project=project)  # it is there already
    assert files(folder) == before
    records = {file.name: file.read_bytes() for file in (published / "records").iterdir()}
    publish_run(folder, any_size=True, project=project)
    assert {file.name: file.read_bytes() for file in (published / "records").iterdir()} == records
    (folder / "records" / "folds.csv").write_text("{}\n", encoding="utf-8")
    with pytest.raises(RecordsError, match=r"again/records: folds.csv: not what was published"):
        publish_run(folder, any_size=True, project=project)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it", encoding="utf-8")
    for other in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt", run):
        with pytest.raises(
            RecordsError, match="is not a run made from the records of today's book/run; choose an"
        ):
            run_from_published(other, project=project)
    (published / "records" / "about.json").write_text("", encoding="utf-8")
    with pytest.raises(
        RecordsError, match=r"book/run/records: about.json: not what was published; take book/run"
    ):
        run_from_published(tmp_path / "third", project=project)
    assert (
        sorted(file.name for file in tmp_path.iterdir() if file.name[0] == "." or file.name == "third") == []
    )


def test_of_books_made_at_once_the_last_whole_one_stays(complete, monkeypatch):
    project, run = complete
    together = threading.Barrier(4, timeout=60)

    def render(work, pages, log):
        made = work / "_build" / "html"
        made.mkdir(parents=True)
        for number in range(20):
            (made / f"{number}.html").write_text(str(threading.get_ident()))
        together.wait()

    monkeypatch.setattr("hep2lib.runs.book._render", render)
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            for built in [pool.submit(build_book, run, project=project) for _ in range(4)]:
                assert built.result() == run / "html" / "index.html"
        assert len({(run / "html" / f"{number}.html").read_text() for number in range(20)}) == 1
        assert (run / "html" / "index.html").is_file()
        assert not [file for file in run.iterdir() if file.name.startswith(".")]


KILLED = """
import os, signal, sys
from pathlib import Path
from hep2lib.runs import book

def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)

book._BUILD = book._BUILD.partition("from")[0] + "import time; print(1, flush=True); time.sleep(30)"
book.without_control = die
book.build_book(Path(sys.argv[1]), project=Path(sys.argv[2]))
"""


def test_what_a_killed_build_left_goes_with_the_next_one_and_its_renderer_with_it(complete, monkeypatch):
    project, run = complete
    done = subprocess.run([sys.executable, "-c", KILLED, run, project], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    every = psutil.process_iter(["cmdline"])
    renderer = [each for each in every if str(run) in " ".join(each.info["cmdline"] or [])]
    assert psutil.wait_procs(renderer, timeout=10)[1] == []
    assert len(list(run.glob(".html.*"))) == 1
    in_use = own_name(run / "html")
    in_use.mkdir()
    made = "_build/html"
    monkeypatch.setattr("hep2lib.runs.book._render", lambda work, *_: (work / made).mkdir(parents=True))
    build_book(run, project=project)
    assert list(run.glob(".*")) == [in_use]


@pytest.mark.parametrize(
    "code", ["import time; time.sleep(300)", "print('ERROR: it broke'); raise SystemExit(1)"]
)
def test_a_book_that_is_not_made_leaves_the_one_before_and_no_process(complete, monkeypatch, code):
    project, run = complete
    (run / "html").mkdir()
    (run / "html" / "index.html").write_text("the one before")

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("hep2lib.runs.book._BUILD", code)
    if "time" in code:
        monkeypatch.setattr("hep2lib.runs.book._steps", interrupted)
    expected = KeyboardInterrupt if "time" in code else RunError
    with pytest.raises(expected) as caught:
        build_book(run, project=project)
    assert (run / "html" / "index.html").read_text() == "the one before"
    assert not [file for file in run.iterdir() if file.name.startswith(".")]
    own = [each for each in psutil.Process().children() if code in each.cmdline()]
    assert psutil.wait_procs(own, timeout=10)[1] == []
    if expected is RunError:
        assert str(caught.value).endswith(f"ERROR: it broke\nAll it said: {run / 'build.log'}")
        assert (run / "build.log").read_text() == "ERROR: it broke\n"


def test_each_chapter_says_under_its_title_whether_it_is_fresh(small_book):
    for page in PAGES:
        text = small_book.page(f"run/{page}")
        line = "Stale: the page does not say what it was made from."
        took = {"01": 2, "03": 31}.get(page[:2])  # as the run.json of the small book says
        line += f" It was executed in {took} s, the studies apart." if took else ""
        assert text.count(f'</h1>\n<p class="hep2-freshness">{line}</p>\n<aside') == 1
    assert "hep2-freshness" not in small_book.page("introduction")
