"""The book of a run: pages and results brought together, rendered, and put where one can open them."""

import html
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from hep2lib.errors import InputError, some
from hep2lib.files import RunError, own_name, project_root, remove_left, typed_path, write_json, write_text
from hep2lib.progress import progress
from hep2lib.runs import freshness, records
from hep2lib.runs.archive import CODECHECK, CRATE, codecheck, crate
from hep2lib.runs.compare import as_markdown, compare
from hep2lib.runs.freshness import RUN, book_pages, kept_notebook, published_run
from hep2lib.runs.notebooks import without_control
from hep2lib.runs.pairs import FACTS, notebook_text, stands
from hep2lib.runs.parameters import make_parameters, read_parameters, told_parameters
from hep2lib.runs.publish import quoted, read_pages
from hep2lib.runs.teach import book_copy, exercise_table, opened, student_copy
from hep2lib.sources import commit

LEFT_OUT = (".svg", ".csv")  # files that the book does without
AGAINST = "book/against-published"  # the page of every book but that of the published run
FULL = "published"  # the profile of the book that comes with the clone
KEPT = ("folds.csv", "weights.json")  # files of a run that its records take along
RESULTS = ("published", "figures", "tables", "run.json", "parameters.yaml")
GUIDE = ("For the class", "Three times 90 minutes", "A single hour")
"""Parts of the page for teachers that go into a class set: first its README, then the plan."""

_FOUND = """\
if "clone" in globals():  # just installed: Python looks there only when it is started again
    sys.path.insert(0, str(clone.resolve()))
globals().pop("REPOSITORY", None)  # a chapter takes no parameter of that name

"""
_GIVEN = "run_folder = {!r}\n"
_RECORDED = (  # whether the chapter has records
    "# Fields are simulated the first time, which takes a few minutes; nothing is trained.\n"
    'run_folder, profile = "class-images", "quick"\n',
    "from hep2lib.runs.book import run_from_published\n\n"
    'run_folder = "class-records"  # what the published run computed: nothing is trained\n'
    "run_from_published(Path(run_folder))\n",
)
_STEP = re.compile(r"(?:reading sources|writing output)\.\.\. \[ *\d+%\]")
_PROBLEM = re.compile(r"\b(?:WARNING|ERROR|CRITICAL|SEVERE):")
_CRASH = re.compile(
    r"^(?:Exception occurred|Extension error).*?(?=^The full traceback|\Z|^\s*$)", re.MULTILINE | re.DOTALL
)
_PLAIN = {  # what only the book knows, and how any Markdown has it
    r"\{term\}`([^`<]+?)(?:\s*<[^`]*>)?`": r"\1",
    r"\{sup\}`([^`]+)`": r"<sup>\1</sup>",
    r"\[\]\(([\w-]+)\.ipynb(?:#[\w-]+)?\)": r"[\1](\1.ipynb)",
    r"\[\]\((?:\.\./)*([\w-]+)\.md\)": r"*\1* (in the book)",
    r"\[\]\(#([\w-]+)\)": r"*\1*",
}
_BUILD = """
import os, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()  # ends with its parent
from jupyter_book.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


class BookError(InputError):
    """A run that no book can be made of."""


def build_book(run: Path | None = None, *, project: Path | None = None) -> Path:
    """Render the book of a run; a warning of the renderer is an error.

    Args:
        run: the run's folder; without one, the published run that comes with the clone.
        project: the clone, if not the one this package is installed from.

    Returns:
        The html file to open first, in RUN/html, or for the published run in the clone's _build/html; that
        folder is replaced as a whole.

    Raises:
        BookError: if there is no such run, it lacks a page or a file, a page is not whole, or some pages were
            made with other parameters, data or weights than the others.
        RunError: if the pages cannot be rendered: the renderer's warnings.
    """
    project = project or project_root()
    output = project / "_build" / "html" if run is None else typed_path(run) / "html"
    run = published_run(project) if run is None else typed_path(run)
    pages = book_pages(project)
    executed = _executed(run, pages)
    with _beside(output) as work:
        _stage(project, run, work / "source", executed)
        _show_exercises(work / "source")
        published = published_run(project)
        if run != published and (published / "parameters.yaml").is_file():
            _against(published, run, work / "source")
        took = json.loads((run / "run.json").read_text(encoding="utf-8")).get("seconds", {})
        lines = {page: chapter.line for page, chapter in freshness.check(run, project=project).items()}
        for page in lines.keys() & took:
            lines[page] += f" It was executed in {took[page]:.0f} s, the studies apart."
        write_json(work / "source" / RUN / "freshness.json", lines)
        _render(work, len(pages), output.with_name("build.log"))
        index = work / "_build" / "html" / "index.html"
        title = yaml.safe_load((project / "_config.yml").read_text(encoding="utf-8"))["title"]
        write_text(index, _forward(f"{pages[0]}.html", str(title)))
        _put(index.parent, output)
    return output / index.name


def publish_run(run: Path, *, any_size: bool = False, project: Path | None = None) -> Path:
    """Make a run the one that comes with the clone: what its pages need, and its records, in ``book/run``.

    What archives read is written too: ``ro-crate-metadata.json`` in it, ``codecheck.yml`` at the clone's top.

    Args:
        run: the folder of a whole run.
        any_size: whether it may be smaller than the profile ``published`` asks for.
        project: the clone, if not the one this package is installed from.

    Returns:
        The folder of the published run; what it held before is replaced as a whole.

    Raises:
        BookError: if the run lacks a page, a result file or its records, a page is stale, it is too small, or
            the clone has changes that are not committed: pages are to be those of a commit.
        RecordsError: if it was made from records that are not what was published.
    """
    project = project or project_root()
    run, target = typed_path(run), published_run(project)
    executed = _executed(run, book_pages(project))
    made_of, at = run / freshness.RECORDS, commit(project, RUN, CODECHECK)
    if not (made_of / "about.json").is_file():
        raise BookError(f"{run}: has no records, it is of an earlier version; `hep2 run {run}` makes them")
    if "changes" in at:
        raise BookError(
            f"{project}: cannot publish: it is at {at}, which are not committed; commit them first"
        )
    stale = [page for page, chapter in freshness.check(run, project=project).items() if chapter.reasons]
    if stale:
        raise BookError(
            f"{run}: stale: {some(stale)}; `hep2 check {run}` says why, `hep2 refresh {run}` makes them again"
        )
    smaller = () if any_size else read_parameters(run / "parameters.yaml").smaller_than(make_parameters(FULL))
    if smaller:
        raise BookError(
            f"{run}: is smaller than the profile {FULL} ({some(smaller)}); if it is to be the book of a "
            "clone of your own, add --any-size"
        )
    with _beside(target) as part:
        _stage(project, run, part / "source", executed)
        staged = part / "source" / RUN
        for heavy in (*staged.glob("figures/*"), *staged.glob("tables/*")):
            if heavy.suffix in LEFT_OUT:
                heavy.unlink()
        about = json.loads((staged / "run.json").read_text(encoding="utf-8"))
        write_json(staged / "run.json", about | {"published": True, "commit": at})
        shutil.copytree(made_of, staged / made_of.name, ignore=shutil.ignore_patterns(".*"))
        if freshness.recorded(run):
            records.check_seal(run)
        else:
            shutil.copyfile(run / "folds.csv", staged / made_of.name / "folds.csv")
            weights = json.loads((run / "weights.json").read_text(encoding="utf-8"))
            # a file's name, not its place
            named = {name: Path(weights[name]).name for name in ("asked", "used") if name in weights}
            write_json(staged / made_of.name / "weights.json", weights | named)
            records.seal(staged / made_of.name)
        for page in (notebook.stem for notebook in executed):
            content = freshness.page_content(staged, page)
            if files := content.get("files"):  # a page of an earlier version has none
                files = {name: digest for name, digest in files.items() if Path(name).suffix not in LEFT_OUT}
                content = freshness.sealed(content | {"files": files})
                write_json(staged / "published" / f"{page}.json", content)
        write_json(staged / CRATE, crate(project, staged))
        _put(staged, target)
    write_text(project / CODECHECK, codecheck(project, target))
    return target


def run_from_published(folder: Path, *, project: Path | None = None) -> None:
    """Make a run of the published one's records, if the folder does not hold it already.

    It has all pages as they were published; those of ``records.PAGES`` can be executed again.

    Args:
        folder: made as a whole or not at all.
        project: the clone, if not the one this package is installed from.

    Raises:
        RecordsError: if the published run has no records, they are not what was published, or the folder
            holds something else.
    """
    published, folder = published_run(project), typed_path(folder)
    _check_published(published)
    seals = [run / freshness.RECORDS / freshness.SEAL for run in (published, folder)]
    if seals[1].is_file() and seals[0].read_bytes() == seals[1].read_bytes():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        other = "is not a run made from the records of today's book/run"
        raise records.RecordsError(f"{folder}: {other}; choose another folder (--out on the command line)")
    with _beside(folder) as part:
        made = part / "run"
        shutil.copytree(published, made, ignore=shutil.ignore_patterns("*.ipynb", CRATE))
        (made / "notebooks").mkdir()
        for notebook in published.glob("*.ipynb"):
            shutil.copyfile(notebook, made / "notebooks" / notebook.name)
        for name in KEPT:
            shutil.copyfile(made / freshness.RECORDS / name, made / name)
        about = json.loads((made / "run.json").read_text(encoding="utf-8"))
        write_json(made / "run.json", about | {"published": False})
        _put(made, folder)


def _check_published(published: Path) -> None:
    """Refuse a published run without records, or with others than were published."""
    if not freshness.recorded(published):
        raise records.RecordsError(f"{published}: has no records; `hep2 run` computes everything anew")
    records.check_seal(published)


def filled_notebooks(out: Path, run: Path | None = None) -> Path:
    """Copy the executed notebooks of a run, with what their prose quotes filled in, as JupyterLab shows it.

    Args:
        out: an empty folder, or a new one. Cells can be executed there: they go on with the run.
        run: the run's folder; without one, a run is made of the published one's records, in ``out/run``.

    Returns:
        ``out``.

    Raises:
        BookError: if ``out`` holds something, or the run is not whole.
    """
    project, out = project_root(), _empty(out)
    if not run:
        run_from_published(out / "run", project=project)
    run = typed_path(run or out / "run")
    for page, notebook in _filled_pages(project, run).items():
        for cell in notebook.cells:
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell["source"] = f"# This run\nrun_folder = {str(run)!r}"
        write_text(out / f"{page}.ipynb", notebook_text(notebook))
    return out


def _cited(references: str) -> dict[str, str]:
    """How each entry of a BibTeX file is cited, by its key: "Taormina et al. 2020a"."""
    found = {}
    entry = r"^@\w+\{(\S+),\n(?:  .*\n)*?  author\s*=\s*\{(.*)\},\n(?:  .*\n)*?  year\s*=\s*\{(.*)\},"
    for key, authors, year in re.findall(entry, references, re.MULTILINE):
        who = [name.partition(",")[0] for name in authors.split(" and ")]
        first = " and ".join(who) if len(who) < 3 and "others" not in who else f"{who[0]} et al."
        found[key] = f"{first} {year}"
    return found


def class_set(out: Path, pages: Collection[str], run: Path | None = None) -> Path:
    """Write what a class needs: chapters without and with solutions, a plan, and a page to hand out.

    Args:
        out: an empty folder, or a new one.
        pages: of the chapters.
        run: whose results they show and go on with; without one, the published run's: chapters with records
            (``records.PAGES``) make a run of them where they are opened, the others simulate their images.

    Returns:
        ``out``.

    Raises:
        BookError: if ``out`` holds something, or the run is not whole.
        RecordsError: if there is no other run, and the published one has no records.
    """
    project, out = project_root(), _empty(out)
    known = typed_path(run or published_run(project))
    if not run:
        _check_published(known)
    executed, trees = _filled_pages(project, known), _quotable(project, known)
    start = nbformat.read(project / "start.ipynb", as_version=4)
    get = next(cell.source for cell in start.cells if cell.cell_type == "code")
    guide = re.split(r"(?m)^## ", (project / "book" / "teaching.md").read_text(encoding="utf-8"))
    words = {part.partition("\n")[0]: f"# {_filled(part, trees).rstrip()}\n" for part in guide}
    texts, chapters = {"student/README.md": words[GUIDE[0]]}, []
    for page, notebook in executed.items():
        if page in pages:
            chapters.append(notebook)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell["source"] = re.sub(
                        r"\[([\w-]+)\]\(\1\.ipynb\)",
                        lambda link: link[0] if link[1] in pages else f"*{link[1]}* (in the book)",
                        cell.source,
                    )
            opening = get, _FOUND + (_GIVEN.format(str(known)) if run else _RECORDED[page in records.PAGES])
            texts[f"teacher/{page}.ipynb"] = notebook_text(opened(deepcopy(notebook), opening))
            texts[f"student/{page}.ipynb"] = notebook_text(student_copy(deepcopy(notebook), opening))
    plan = [*(words[title] for title in GUIDE[1:]), f"# Exercises\n\n{exercise_table(chapters)}"]
    for name, text in (texts | {"teacher/plan.md": "\n\n".join(map(str.strip, plan)) + "\n"}).items():
        write_text(out / name, text)
    return out


def _empty(out: Path) -> Path:
    """The folder to write into; BookError if it holds something."""
    out = typed_path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BookError(f"{out}: holds something; choose another folder")
    return out


def _quotable(project: Path, run: Path) -> dict[str, dict[str, Any]]:
    """What prose may quote of a run, by role."""
    trees = {"val": {n: value for page in read_pages(run).values() for n, value in page["values"].items()}}
    for role, file in (("paper", project / "book" / "paper-values.yaml"), ("param", run / "parameters.yaml")):
        trees[role] = yaml.safe_load(file.read_text(encoding="utf-8"))
    trees["cite"] = _cited((project / "book" / "references.bib").read_text(encoding="utf-8"))
    return trees


def _filled_pages(project: Path, run: Path) -> dict[str, NotebookNode]:
    """The executed notebooks of a run by page, what their prose quotes filled in."""
    executed, trees, found = _executed(run, book_pages(project)), _quotable(project, run), {}
    for file in executed:
        found[file.stem] = notebook = nbformat.read(file, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell["source"] = _filled(cell.source, trees)
    return found


def _filled(text: str, trees: dict[str, dict[str, Any]]) -> str:
    """Prose as any Markdown shows it: with values for roles, without the book's own directives."""
    cited: Any = trees["cite"]
    text = re.sub(r"\{(val|paper|param)\}`([^`]+)`", lambda found: quoted(trees[found[1]], found[2]), text)
    text = re.sub(r"\{cite:p\}`([^`]+)`", r"[{cite:t}`\1`]", text)
    text = re.sub(r"\{cite:t\}`([^`]+)`", lambda one: "; ".join(map(cited.get, one[1].split(","))), text)
    for pattern, plain in _PLAIN.items():
        text = re.sub(pattern, plain, text)
    return text


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder of one's own to make ``target`` in: two may be at it at once; what was killed left goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = own_name(target)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
    remove_left(target)  # only now: it may hold what was there before


def _put(made: Path, target: Path) -> None:
    """Put a folder that is whole in the place of another; where two do so at once, the last one stays."""
    while made.is_dir():
        with suppress(FileNotFoundError):
            target.replace(made.with_name(f"before-{secrets.token_hex(4)}"))
        try:
            made.replace(target)
        except OSError:
            if not target.is_dir():
                raise


def _executed(run: Path, pages: list[str]) -> list[Path]:
    """The executed notebooks of a run that is complete; asked for before anything is written or deleted."""
    if not (run / "parameters.yaml").is_file():
        raise BookError(freshness.no_such_run(run))
    again = f"hep2 run {freshness.typed_run(run)}"
    names = [Path(page).name for page in pages if page.startswith(f"{RUN}/")]
    if lacks := [page for page in names if not kept_notebook(run, page).is_file()]:
        raise BookError(f"{run}: is not finished, it has no chapter {', '.join(lacks)}; `{again}` goes on")
    if not (run / "run.json").is_file():
        raise BookError(f"{run}: is not finished, it has no run.json; `{again}` goes on")
    for page in names:
        if wrong := "; ".join(freshness.damages(run, page)):
            raise BookError(f"{run}: page {page} is not whole ({wrong}); execute it: `{again} --page {page}`")
    if different := freshness.mixture(run, names):
        raise BookError(f"{run}: {different}; make them one run with `hep2 refresh {run}`")
    return [kept_notebook(run, page) for page in names]


def _stage(project: Path, run: Path, source: Path, executed: list[Path]) -> None:
    """Put pages and results together as the clone has them where the run is the published one."""
    source.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "CHANGELOG.md"):
        shutil.copyfile(project / name, source / name)
    left_out = shutil.ignore_patterns("run", "__pycache__", ".*", "_build")
    shutil.copytree(project / "book", source / "book", ignore=left_out)
    facts = json.loads((run / "run.json").read_text(encoding="utf-8")).get("facts", FACTS)
    for page in (source / "book").glob("*.md"):
        write_text(page, _standing(page.read_text(encoding="utf-8"), facts))
    staged = source / RUN
    staged.mkdir()
    for name in RESULTS:
        if (run / name).is_dir():
            shutil.copytree(run / name, staged / name, ignore=shutil.ignore_patterns(".*"))
        elif (run / name).is_file():
            shutil.copyfile(run / name, staged / name)
    for notebook in executed:
        shutil.copyfile(notebook, staged / notebook.name)
    told = (f"`{name}`\n: {text}\n" for name, text in told_parameters().items())
    write_text(source / "book" / "parameters.md", "\n".join(told))


def _show_exercises(source: Path) -> None:
    """Give exercises of staged chapters the form that they have in the book, and list them for teachers."""
    files = sorted((source / RUN).glob("*.ipynb"))
    notebooks = [nbformat.read(file, as_version=4) for file in files]
    write_text(source / "book" / "exercises.md", exercise_table(notebooks))
    for file, notebook in zip(files, notebooks, strict=True):
        write_text(file, notebook_text(book_copy(notebook)))


def _against(published: Path, run: Path, source: Path) -> None:
    """Add the page that compares a run with the published one, after the first page of the book."""
    found = compare([("the run of this book", run), ("the published run", published)])
    figures = source / RUN / "published-figures"
    if found["figures"]:
        shutil.copytree(published / "figures", figures, ignore=shutil.ignore_patterns("*.svg"))
    config, toc = (
        yaml.safe_load((source / name).read_text(encoding="utf-8")) for name in ("_config.yml", "_toc.yml")
    )
    address = config["html"]["baseurl"]
    where = f"its book is [here]({address})" if address else "`hep2 book` renders it"
    head = f"# This run against the published one\n\nThe published run comes with the clone; {where}.\n\n"
    write_text(source / f"{AGAINST}.md", head + as_markdown(found, ["run/figures", f"run/{figures.name}"]))
    toc["parts"].insert(0, {"caption": "This run", "chapters": [{"file": AGAINST}]})
    write_text(source / "_toc.yml", yaml.safe_dump(toc, sort_keys=False))


def _standing(text: str, facts: Collection[str]) -> str:
    """The parts of a page that stand in a run's book; ``+++ {"tags": [...]}`` or ``+++`` begins one."""
    first, *rest = re.split(r"^\+\+\+(.*)\n", text, flags=re.MULTILINE)
    parts = zip(map(json.loads, (head.strip() or "{}" for head in rest[::2])), rest[1::2], strict=True)
    return first + "".join(part for head, part in parts if stands(head.get("tags", ()), facts))


def _render(work: Path, pages: int, log: Path) -> None:
    """Run Jupyter Book on what was staged; say nothing but a progress bar unless it fails."""
    command = [sys.executable, "-c", _BUILD, "build", str(work / "source"), "--path-output", str(work)]
    lines: list[str] = []
    with subprocess.Popen(
        [*command, "-W", "-n", "--keep-going"],
        cwd=work / "source",
        env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for _ in progress(_steps(process, lines), "rendering the book", total=2 * pages, unit="page"):
                pass
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        write_text(log, "".join(lines))
        raise RunError(f"{_reason(lines, work)}\nAll it said: {log}")
    log.unlink(missing_ok=True)


def _steps(process: "subprocess.Popen[str]", lines: list[str]) -> Iterator[str]:
    """Keep every line the renderer prints; yield those that mean one page more."""
    assert process.stdout is not None
    for line in map(without_control, process.stdout):
        lines.append(line)
        if _STEP.search(line):
            yield line


def _reason(lines: list[str], work: Path) -> str:
    """The renderer's complaints, each page named as it is in the clone."""
    problems = [line.strip() for line in lines if _PROBLEM.search(line)]
    crash = _CRASH.search("".join(lines))
    problems += [crash[0].strip()] if crash else []
    problems = list(dict.fromkeys(problems)) or [line.rstrip() for line in lines[-8:]]
    problems = [problem.replace(str(work / "source") + os.sep, "") for problem in problems]
    return "the book cannot be rendered:\n" + "\n".join(problems)


def _forward(target: str, title: str) -> str:
    """A page that leads on to the first page of the book."""
    title = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="refresh" content="0; url={target}">\n<title>{title}</title>\n</head>\n<body>\n'
        f'<h1>{title}</h1>\n<p><a href="{target}">Read the book</a></p>\n</body>\n</html>\n'
    )
