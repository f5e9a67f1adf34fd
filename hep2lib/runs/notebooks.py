"""The notebooks of the book, executed with a run's parameters, made readable, and kept in the run."""

import ast
import difflib
import importlib
import json
import logging
import pkgutil
import re
import shutil
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from filelock import FileLock, Timeout
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

import hep2lib
from hep2lib.data.report import write_card
from hep2lib.errors import InputError
from hep2lib.files import RunError, file_digest, project_root, typed_path, write_json, write_text
from hep2lib.processes import cores
from hep2lib.progress import progress
from hep2lib.runs import pairs, records
from hep2lib.runs.freshness import (
    PROSE,
    check,
    kept_notebook,
    made_from,
    page_content,
    record,
    sealed,
    typed_run,
)
from hep2lib.runs.pairs import KERNEL, SOURCES, NotebookError, notebook_text, read_source, refuse_edited
from hep2lib.runs.parameters import read_parameters
from hep2lib.runs.publish import caption_markdown, put_in_place
from hep2lib.runs.run import RecordedRun, Run, open_run
from hep2lib.studies.execution import close_pools

PAGES = ("01-dataset", "02-cnn", "03-fine-tuning", "04-svm", "05-results", "06-costs")
STUDIES = ("images", "folds", "fine_tuning", "batchnorm", "svm", "svm_variants", "svm_restarted")
CELL_SECONDS = 3600.0  # for one cell: the studies have run before, but a notebook alone may run them itself

_LANG = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
_KEPT = ("tags", "mystnb", "label")  # metadata of a cell that mean something to a reader of the notebook
_KERNELS: list[tuple[AsyncKernelManager, Path]] = []  # each with its folder
_STOPPED = threading.Event()  # a kernel that dies now was killed because of an interruption
logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what a kernel dies of is said here
_CONDITIONAL = re.compile(r" if .+ else None\s*\Z")  # shows something, or nothing
_PUBLISHING = re.compile(r"^publish\.(explorer|figure|table|value)\(", re.MULTILINE)


def notebook_parameters(notebook: NotebookNode, name: str) -> dict[str, Any]:
    """The parameters of a notebook and what they are unless told otherwise.

    Args:
        notebook: has a code cell tagged ``parameters`` that holds assignments of literals alone.
        name: what to call the notebook in a message.

    Raises:
        NotebookError: if there is no such cell, or something else in it.
    """
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise NotebookError(f"{name}: {len(tagged)} cells are tagged 'parameters'; there must be one")
    try:
        return dict(_literal(statement) for statement in ast.parse(tagged[0].source).body)
    except (SyntaxError, ValueError, TypeError) as error:
        raise NotebookError(
            f"{name}: in the cell tagged 'parameters' each statement is `name = literal`, but {error}; "
            "put what is derived in a cell of its own"
        ) from None


def _literal(statement: ast.stmt) -> tuple[str, Any]:
    """Name and value of ``name = literal`` or ``name: type = literal``."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            with suppress(ValueError):
                return name, ast.literal_eval(value)
    raise ValueError(f"`{ast.unparse(statement)}` is none")


def execute_run(run: Run, pages: Sequence[str] = PAGES) -> None:
    """Run both studies and the notebooks of some pages, and write ``run.json``.

    Results that the run has already are not computed again; the notebooks are always executed. ``run.json``
    keeps the times of what is not executed.

    Raises:
        InputError: if a notebook, the database, the weights or the folder cannot be used, or a page cannot
            be executed from the records that the run was made from.
        RunError: if a notebook fails.
    """
    _STOPPED.clear()
    _KERNELS.clear()
    from_records = isinstance(run, RecordedRun)
    if from_records and (more := [page for page in pages if page not in records.PAGES]):
        raise InputError(
            f"{run.folder}: was made from records, which {more[0]} is not executed from; {records.REAL}"
        )
    for page in pages:  # before anything takes hours
        _known_notebook(project_root() / "notebooks" / f"{page}.md", page_values(run))
    seconds = {}
    for name in () if from_records else STUDIES:
        start = time.perf_counter()
        getattr(run, name)
        seconds[name.replace("_", "-")] = time.perf_counter() - start
    close_pools()
    run.keep_records()
    if not run.simulated:
        write_card(run.folder, run.database.attrs["name"])

    with _alone(run.folder):
        executed = _execute_pages(run, pages)
    about = run.folder / "run.json"
    if about.is_file() and set(pages) < set(PAGES):
        seconds |= json.loads(about.read_text(encoding="utf-8"))["seconds"]
    date = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(about, run.describe(seconds | executed) | {"date": date})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second program from executing a run's notebooks; a killed one's lock is the system's to free."""
    lock = FileLock(folder / "notebooks.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{folder}: another program executes its notebooks; wait until it has finished, then start again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _execute_pages(run: Run, pages: Sequence[str]) -> dict[str, float]:
    """Execute pages, several at a time; returns the seconds that each took."""

    def timed(page: str) -> tuple[str, float]:
        start = time.perf_counter()
        execute(page, run.folder, page_values(run), facts=run.facts)
        return page, time.perf_counter() - start

    def done() -> Iterator[tuple[str, float]]:
        yield from (page.result() for page in started)
        if PAGES[-1] in pages:  # measures how long things take: alone
            started.append(pool.submit(timed, PAGES[-1]))
            yield started[-1].result()

    # Most of a notebook's time is one core's, spent on starting; each takes a gigabyte or more.
    pool = ThreadPoolExecutor(min(2, cores()) if cores() < 9 else cores() // 3)
    started = [pool.submit(timed, page) for page in pages if page != PAGES[-1]]
    try:
        return dict(progress(done(), "notebooks", total=len(pages), unit="notebook"))
    except KeyboardInterrupt:
        _STOPPED.set()
        pool.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + 1  # what still waits then for its kernel may do so while the program ends
        while any(page.running() for page in started) and time.monotonic() < until:
            for kernel, folder in list(_KERNELS):
                if process := getattr(kernel.provisioner, "process", None):
                    process.kill()
                shutil.rmtree(folder, ignore_errors=True)
            time.sleep(0.05)
        raise
    finally:
        pool.shutdown(wait=not _STOPPED.is_set(), cancel_futures=True)


def complete(run: Run) -> list[str]:
    """Execute those pages of a run that are missing or stale; all of them, if it was not finished before.

    Returns:
        The pages that are new, none if all were there and fresh.

    Raises:
        InputError: as ``execute_run`` does.
        RunError: if a notebook fails.
    """
    pages: Sequence[str] = PAGES
    about = run.folder / "run.json"
    finished = about.is_file() and (run.folder / records.RECORDS / "about.json").is_file()
    if isinstance(run, RecordedRun):  # until it is executed, its pages are those of the run it is made from
        pages, finished = records.PAGES, "made from" in json.loads(about.read_text(encoding="utf-8"))
    if not finished:
        execute_run(run, pages)
        return [*pages]
    found = check(run.folder)
    return _renew(run, {page: found[page].reasons for page in pages if found[page].reasons})


def refresh(folder: Path, *, project: Path | None = None) -> list[str]:
    """Execute those pages of a run that are stale; where only prose changed, put the prose into the page.

    Args:
        folder: the run's folder.
        project: the clone, if not the one this package is installed from.

    Returns:
        The pages that are new.

    Raises:
        InputError: if there is no such run, it is the published one, or a profile says other parameters.
        RunError: if a notebook fails.
    """
    project, folder = project or project_root(), typed_path(folder)
    found = check(folder, project=project).items()
    stale = {page: chapter.reasons for page, chapter in found if chapter.reasons}
    refuse_edited(project / "notebooks" / f"{page}.md" for page in stale)
    to_execute = [page for page, reasons in stale.items() if reasons != [PROSE]]
    for reason in (reason for page in to_execute for reason in stale[page]):
        if reason.startswith("the profile "):
            how = f"`hep2 new-run OTHER --from {typed_run(folder)}` makes another one"
            raise InputError(f"{folder}: {reason}; a run keeps its parameters: {how}")
    if to_execute and not (folder / "notebooks").is_dir():
        raise InputError(f"{folder}: a published run is executed nowhere; `hep2 publish` another one")
    return _renew(open_run(folder), stale, project) if stale else []


def _renew(run: Run, stale: Mapping[str, list[str]], project: Path | None = None) -> list[str]:
    """Execute stale pages, or put the prose into those of which nothing else changed."""
    to_execute = [page for page, reasons in stale.items() if reasons != [PROSE]]
    for page in stale.keys() - set(to_execute):
        _renew_prose(project or project_root(), run.folder, page)
    if to_execute:
        execute_run(run, to_execute)
    return list(stale)


def _renew_prose(project: Path, run: Path, page: str) -> None:
    """Put today's prose into an executed notebook whose code is today's."""
    file, content = kept_notebook(run, page), page_content(run, page)
    notebook = nbformat.read(file, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    given = [cell for cell in code if "injected-parameters" in cell.metadata.get("tags", [])]
    executed, notebook.cells = iter([cell for cell in code if cell not in given]), []
    facts = content["from"].get("facts", pairs.FACTS)
    for cell in read_source(project / "notebooks" / f"{page}.md").cells:
        if not pairs.stands(cell.metadata.get("tags", ()), facts):
            continue
        kept = next(executed) if cell.cell_type == "code" else cell
        kept["id"] = cell["id"]
        kept["metadata"] = NotebookNode({key: kept.metadata[key] for key in _KEPT if kept.metadata.get(key)})
        notebook.cells += [kept, *(given if "parameters" in kept.metadata.get("tags", []) else [])]
    write_text(file, notebook_text(notebook))
    content["files"][f"notebooks/{file.name}"] = file_digest(file)[:16]
    content["from"]["cells"] = made_from(project, run, page, content["from"])["cells"]
    write_json(run / "published" / f"{page}.json", sealed(content))


def page_values(run: Run) -> dict[str, object]:
    """What a notebook of the book is given to go on with this run: all else is in the folder."""
    return {"run_folder": str(run.folder)}


def execute(
    page: str,
    run: Path,
    parameters: Mapping[str, Any],
    *,
    facts: Collection[str] = pairs.FACTS,
    project: Path | None = None,
    cell_seconds: float = CELL_SECONDS,
) -> Path:
    """Execute one page and keep the notebook, normalised, in the run.

    The notebook runs in the interpreter that runs this, with the clone as its working folder, away from what
    the user's IPython is set up to do.

    Args:
        page: one of ``PAGES``, or another notebook in the clone's ``notebooks`` folder.
        run: the run's folder.
        parameters: values for the notebook's parameters, by name; paths may be given as ``Path``.
        facts: what the run has of ``pairs.FACTS``; cells about the others are left out (``pairs.stands``).
        project: the clone, if not the one this package is installed from.
        cell_seconds: the most one cell may take.

    Returns:
        ``RUN/notebooks/PAGE.ipynb``, written only if the whole page was executed.

    Raises:
        NotebookError: if there is no such page, its .ipynb was edited, or it does not know a parameter.
        InputError: if a cell found that the input cannot be used: the message it gave.
        RunError: if a cell failed in any other way.
    """
    project, run = project or project_root(), Path(run).absolute()
    notebook = _known_notebook(project / "notebooks" / f"{page}.md", parameters)
    notebook.cells = [cell for cell in notebook.cells if pairs.stands(cell.metadata.get("tags", ()), facts)]
    source = record(project, run, page, parameters.keys()) | {"facts": sorted(facts)}
    failed = run / "failed" / f"{page}.ipynb"
    staged = run / "staged" / page
    shutil.rmtree(staged, ignore_errors=True)
    with _work_folder(run / "staged" / f"{page}-kernel") as temporary:
        before, after = temporary / "before.ipynb", temporary / "after.ipynb"
        write_text(before, notebook_text(notebook))
        try:
            papermill.execute_notebook(
                before,
                after,
                parameters={name: str(v) if isinstance(v, Path) else v for name, v in parameters.items()},
                cwd=project,
                kernel_name="python3",
                kernel_manager_class=_kernel(temporary),
                progress_bar=False,  # papermill's counts cells; the run's counts pages
                start_timeout=180,
                execution_timeout=cell_seconds,
                autosave_cell_every=0,
            )
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            if _STOPPED.is_set():
                raise
            failed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(after, failed)
            raise _failure(error, page, cell_seconds, failed, temporary / "said") from None
        folders = {temporary: "", project: "", Path("~").expanduser(): "~"}
        known = run / "parameters.yaml"
        given = [*parameters.values(), read_parameters(known).data if known.is_file() else ""]
        for path in (Path(value) for value in given if isinstance(value, str | Path)):
            if path.is_absolute() and len(path.parts) > 2 and not path.is_relative_to(project):
                folders[path.parent] = ""
        executed = normalise(nbformat.read(after, as_version=4), page, folders)
    if not staged.is_dir() and any(_PUBLISHING.search(cell.source) for cell in executed.cells):
        raise NotebookError(f"{page}: it publishes as another page; it has to be run.publication({page!r})")
    target = put_in_place(run, page, notebook_text(executed), source)
    failed.unlink(missing_ok=True)
    with suppress(OSError):  # another page's may be there
        failed.parent.rmdir()
    return target


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what was killed left one that goes now."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another page's may be there
            folder.parent.rmdir()


def _known_notebook(source: Path, parameters: Mapping[str, Any]) -> NotebookNode:
    """The notebook of a page, if there is one and it has all of these parameters."""
    if not source.is_file():
        pages = ", ".join(sorted(file.stem for file in source.parent.glob(SOURCES))) or "none"
        raise NotebookError(
            f"page {source.stem!r}: there is no such notebook; those in {source.parent} are: {pages}"
        )
    refuse_edited([source])
    notebook = read_source(source)
    known = notebook_parameters(notebook, source.name)
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known) or 'none'}"
            raise NotebookError(f"{source.name}: unknown parameter {name!r}; {hint}")
    return notebook


def _kernel(folder: Path) -> type[AsyncKernelManager]:
    """A kernel that is this interpreter, with ``folder`` for what IPython would keep in the user's home."""
    quiet = ["--HistoryManager.enabled=False", "--IPKernelApp.log_level=50"]
    command = make_ipkernel_cmd(extra_arguments=quiet, executable=sys.executable)
    own = {"IPYTHONDIR": str(folder / "ipython"), "PYTHONSTARTUP": "", "MPLBACKEND": "agg"}
    environment = own | {"HEP2_PROGRESS": "0", "PYTHONWARNINGS": "ignore"}

    class ThisInterpreter(AsyncKernelManager):
        def __init__(self, *arguments: Any, **options: Any):
            super().__init__(*arguments, **options)
            self.connection_file = str(folder / "kernel.json")
            _KERNELS.append((self, folder))

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # typed as blocking
            with (folder / "said").open("wb") as stream:  # not a terminal's: it may quarrel on its way out
                await super().start_kernel(stderr=stream, **options)

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=command, display_name="Python 3", language="python", env=environment)

    return ThisInterpreter


def _failure(error: Exception, page: str, cell_seconds: float, kept: Path, said: Path) -> Exception:
    """What to raise instead of papermill's error: the input's fault, or ours."""
    so_far = f"The notebook as far as it got: {kept}"
    if isinstance(error, CellTimeoutError):
        return RunError(f"{page}: a cell ran longer than {cell_seconds:g} s. {so_far}")
    if not isinstance(error, PapermillExecutionError):
        words = said.read_text(encoding="utf-8", errors="replace").strip().partition("\n")[0]
        why = f"saying {words!r}" if words else "most often for want of memory"
        return RunError(f"{page}: the kernel died, {why}. {so_far}")
    if error.ename in _input_errors():
        return InputError(str(error.evalue))
    last = terminal_text("\n".join(error.traceback)).strip().splitlines()[-1:] or [error.ename]
    start = str(error.source).strip().splitlines()[:1] or [""]
    return RunError(f"{page}, cell {error.cell_index} ({start[0]!r}): {last[0]}. {so_far}")


def _input_errors() -> set[str]:
    """Names of InputError and its kinds: of an error's class a kernel tells the name alone."""
    for module in pkgutil.walk_packages(hep2lib.__path__, "hep2lib."):
        if module.name != "hep2lib.__main__":
            importlib.import_module(module.name)
    kinds = [InputError]
    for kind in kinds:  # grows while it is read
        kinds += kind.__subclasses__()
    return {kind.__name__ for kind in kinds}


def normalise(notebook: NotebookNode, page: str, folders: Mapping[Path, str]) -> NotebookNode:
    """Take what belongs to one execution alone out of a notebook, and give its figures caption and alt text.

    Times, progress bars, warnings on stderr, control characters, memory addresses and absolute paths go;
    cells that set parameters or publish a result are tagged to be folded away, so that the page reads as a
    text with tables and figures. Where parameters were given, the defaults that they replaced are left out.

    Args:
        notebook: as executed; it is changed in place.
        page: the page's name.
        folders: absolute folders and what to write instead of each; "" takes the separator that follows away.

    Returns:
        The same notebook.

    Raises:
        NotebookError: if a cell shows a published figure and something else beside it.
    """
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(_LANG))
    given = any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        is_code = cell.cell_type == "code"
        if "parameters" in tags and given:
            tags = [*tags, "remove-cell"]
        if "injected-parameters" in tags:
            cell["id"] = f"{page}-injected"
            cell["source"] = _without_places(cell.source, folders)
        if {"parameters", "injected-parameters"} & set(tags) or (is_code and _PUBLISHING.search(cell.source)):
            cell.metadata["tags"] = [*(tag for tag in tags if tag != "hide-input"), "hide-input"]
        if is_code:
            cell["outputs"] = [o for o in _joined(cell.outputs) if _made_readable(o, folders)]
            if not cell.outputs and _CONDITIONAL.search(cell.source):  # it would stand there empty
                cell.metadata["tags"] = [*tags, "remove-cell"]
        cell["metadata"] = NotebookNode({key: cell.metadata[key] for key in _KEPT if cell.metadata.get(key)})
        if is_code:
            _describe_figure(cell, page)
    return notebook


def _joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """The outputs but stderr, with the pieces joined that a kernel sends what is printed in."""
    joined: list[NotebookNode] = []
    for output in (each for each in outputs if each.get("name") != "stderr"):
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1]["text"] += output.text
        else:
            joined.append(output)
    return joined


def _made_readable(output: NotebookNode, folders: Mapping[Path, str]) -> bool:
    """Clean an output's texts; whether anything of it is meant for a reader."""
    if output.output_type == "stream":
        output["text"] = _without_places(terminal_text(output.text), folders)
        return bool(output.text.strip())
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(content, str):
            output.data[kind] = _without_places(without_control(content), folders)
    return True


def _describe_figure(cell: NotebookNode, page: str) -> None:
    """Copy name, caption and alt text of a published figure to its cell, where Jupyter Book reads them."""
    shown = [output for output in cell.outputs if output.output_type in ("display_data", "execute_result")]
    figures = [output for output in shown if output.metadata.get("hep2", {}).get("kind") == "figure"]
    if not figures:
        return
    about: dict[str, Any] = figures[0].metadata["hep2"]
    if len(shown) > 1:
        raise NotebookError(
            f"{page}, the cell that shows figure {about['name']!r}: it shows {len(shown)} things; "
            "a figure needs a cell of its own"
        )
    label = f"fig-{about['name']}"
    width = figures[0].metadata.get("image/png", {}).get("width")
    cell.metadata["label"] = label
    cell.metadata["mystnb"] = NotebookNode(
        cell.metadata.get("mystnb", {}),
        figure={"caption": caption_markdown(about["caption"]), "name": label},
        image={"alt": about["alt"]} | ({"width": f"{width}px"} if width else {}),
    )


def without_control(text: str) -> str:
    """The text without the codes that colour it or move a terminal's cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07", "", text)


def terminal_text(text: str) -> str:
    """The text as a terminal would show it in the end: no control codes, the last state of each line."""
    lines = without_control(text).split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def _without_places(text: str, folders: Mapping[Path, str]) -> str:
    """The text without memory addresses of objects, and with other names for absolute folders."""
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    for folder, short in sorted(folders.items(), key=lambda item: len(str(item[0])), reverse=True):
        whole = re.escape(str(folder)) + r"(?![\w-])" + (r"[/\\]?" if short == "" else "")
        text = re.sub(whole, short.replace("\\", r"\\"), text)
    return text
