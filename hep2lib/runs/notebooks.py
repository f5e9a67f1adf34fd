"""The pages of the paper as notebooks: checked against the given parameters, executed, kept in a run."""

import difflib
import importlib
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

import hep2lib
from hep2lib.errors import InputError
from hep2lib.files import write_text
from hep2lib.runs.normalise import normalise
from hep2lib.runs.pairs import NotebookError, notebook_parameters, notebook_text, read_source
from hep2lib.runs.project import RunError, project_root
from hep2lib.runs.text import terminal_text

PAGES = ("01-dataset", "02-cnn", "03-fine-tuning", "04-svm", "05-results")
CELL_SECONDS = 3600.0  # for one cell: the studies have run before, but a notebook alone may run them itself


def execute(
    page: str,
    run: Path,
    parameters: Mapping[str, Any],
    *,
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
        project: the clone, if not the one this package is installed from.
        cell_seconds: the most one cell may take.

    Returns:
        ``RUN/notebooks/PAGE.ipynb``, written only if the whole page was executed.

    Raises:
        NotebookError: if there is no such page, or it does not know a parameter.
        InputError: if a cell found that the input cannot be used: the message it gave.
        RunError: if a cell failed in any other way.
    """
    project = project or project_root()
    source = _source(page, project)
    notebook = read_source(source)
    given = {name: str(value) if isinstance(value, Path) else value for name, value in parameters.items()}
    _check_known(given, notebook_parameters(notebook, source.name), source.name)
    target = Path(run).absolute() / "notebooks" / f"{page}.ipynb"
    failed = Path(run).absolute() / "failed" / f"{page}.ipynb"
    with tempfile.TemporaryDirectory(prefix="hep2-") as temporary:
        before, after = Path(temporary) / "before.ipynb", Path(temporary) / "after.ipynb"
        write_text(before, notebook_text(notebook))
        try:
            _execute(before, after, given, project, page, cell_seconds)
        except (PapermillExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(after, failed)
            raise _failure(error, page, cell_seconds, failed) from None
        folders = {Path(temporary): "", project: "", Path(run).absolute(): Path(run).name, Path.home(): "~"}
        if Path(run).absolute().is_relative_to(project):
            del folders[Path(run).absolute()]
        executed = normalise(nbformat.read(after, as_version=4), page, folders)
    write_text(target, notebook_text(executed))
    failed.unlink(missing_ok=True)
    return target


def _source(page: str, project: Path) -> Path:
    folder = project / "notebooks"
    source = folder / f"{page}.md"
    if not source.is_file():
        pages = ", ".join(sorted(file.stem for file in folder.glob("[0-9][0-9]-*.md"))) or "none"
        raise NotebookError(f"page {page!r}: there is no such notebook; those in {folder} are: {pages}")
    return source


def _check_known(given: Mapping[str, Any], known: Mapping[str, Any], name: str) -> None:
    for parameter in given:
        if parameter not in known:
            near = difflib.get_close_matches(parameter, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known) or 'none'}"
            raise NotebookError(f"{name}: unknown parameter {parameter!r}; {hint}")


def _execute(
    before: Path, after: Path, parameters: dict[str, Any], project: Path, page: str, cell_seconds: float
) -> None:
    """Let papermill execute one .ipynb into another with this interpreter, whatever kernels are installed."""
    papermill.execute_notebook(
        before,
        after,
        parameters=parameters,
        cwd=project,
        kernel_name="python3",
        kernel_manager_class=_kernel(before.parent),
        progress_bar=False,  # papermill's counts cells; the run's counts pages
        start_timeout=180,
        execution_timeout=cell_seconds,
        autosave_cell_every=0,
    )


def _kernel(folder: Path) -> type[AsyncKernelManager]:
    """A kernel that is this interpreter, with ``folder`` for what IPython would keep in the user's home."""
    quiet = ["--HistoryManager.enabled=False", "--IPKernelApp.log_level=50"]
    command = make_ipkernel_cmd(extra_arguments=quiet, executable=sys.executable)
    environment = {"IPYTHONDIR": str(folder / "ipython"), "HEP2_PROGRESS": "0"}

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=command, display_name="Python 3", language="python", env=environment)

    return ThisInterpreter


def _failure(error: Exception, page: str, cell_seconds: float, kept: Path) -> Exception:
    """What to raise instead of papermill's error: the input's fault, or ours."""
    so_far = f"The notebook as far as it got: {kept}"
    if isinstance(error, CellTimeoutError):
        return RunError(f"{page}: a cell ran longer than {cell_seconds:g} s. {so_far}")
    if not isinstance(error, PapermillExecutionError):
        return RunError(f"{page}: the kernel died, most often for want of memory. {so_far}")
    if _is_input_error(error.ename):
        return InputError(str(error.evalue))
    last = terminal_text("\n".join(error.traceback)).strip().splitlines()[-1:] or [error.ename]
    start = str(error.source).strip().splitlines()[:1] or [""]
    return RunError(f"{page}, cell {error.cell_index} ({start[0]!r}): {last[0]}. {so_far}")


def _is_input_error(name: str) -> bool:
    """Whether ``name``, all that a kernel says of an error's class, is InputError or a kind of it."""
    for module in pkgutil.walk_packages(hep2lib.__path__, "hep2lib."):
        if module.name != "hep2lib.__main__":
            importlib.import_module(module.name)
    return name in _names_of_kinds(InputError)


def _names_of_kinds(kind: type[Exception]) -> set[str]:
    return {kind.__name__}.union(*(_names_of_kinds(each) for each in kind.__subclasses__()))
