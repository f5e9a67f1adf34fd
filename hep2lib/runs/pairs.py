"""The pairs of notebooks: the text source (MyST Markdown) and the .ipynb made from it, held together."""

import ast
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from hep2lib.errors import InputError
from hep2lib.files import write_text

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SOURCES = "[0-9][0-9]-*.md"


class NotebookError(InputError):
    """A notebook, or a parameter of it, that cannot be used."""


def read_source(path: Path) -> NotebookNode:
    """Read a notebook from its text source.

    Args:
        path: the .md file.

    Returns:
        The notebook without outputs. The ids of its cells are the file's stem and two digits: the same text
        gives the same notebook.

    Raises:
        NotebookError: if there is no such file or it is not a notebook in MyST Markdown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such notebook") from None
    try:
        read = jupytext.reads(text, fmt="md:myst")
    except Exception as error:  # jupytext and the YAML reader below it raise kinds of their own
        raise NotebookError(f"{path}: not a notebook in MyST Markdown: {error}") from None
    for number, cell in enumerate(read.cells, start=1):
        cell["id"] = f"{path.stem}-{number:02d}"
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return NotebookNode(
        cells=read.cells, metadata=NotebookNode(kernelspec=NotebookNode(KERNEL)), nbformat=4, nbformat_minor=5
    )


def notebook_text(notebook: NotebookNode) -> str:
    """The notebook as the text of an .ipynb: sorted keys, a line for each line of source."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def pair(folder: Path) -> list[Path]:
    """Write the .ipynb of every text source in a folder.

    Args:
        folder: holds sources named ``NN-words.md``.

    Returns:
        The .ipynb files whose content changed.

    Raises:
        NotebookError: if a source cannot be read.
    """
    changed = []
    for source in sorted(Path(folder).glob(SOURCES)):
        target = source.with_suffix(".ipynb")
        text = notebook_text(read_source(source))
        if not target.is_file() or target.read_bytes() != text.encode("utf-8"):
            write_text(target, text)
            changed.append(target)
    return changed


def check_pairs(folder: Path) -> list[str]:
    """Compare the notebooks of a folder with their text sources, by content.

    Args:
        folder: holds ``NN-words.md`` and ``NN-words.ipynb``.

    Returns:
        One sentence for every pair that does not hold; none where all do.
    """
    sources = sorted(Path(folder).glob(SOURCES))
    problems = [
        f"{other.name}: has no {other.stem}.md, which is its source"
        for other in sorted(Path(folder).glob(SOURCES.replace(".md", ".ipynb")))
        if other.with_suffix(".md") not in sources
    ]
    for source in sources:
        problem = _difference(source, source.with_suffix(".ipynb"))
        if problem:
            problems.append(f"{source.stem}.ipynb: {problem}; write it again from {source.name}")
    return problems


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
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise ValueError(f"`{ast.unparse(statement)}` is none")
    if not isinstance(target, ast.Name):
        raise ValueError(f"`{ast.unparse(statement)}` assigns to something else than a name")
    try:
        return target.id, ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"`{ast.unparse(statement)}` has to be worked out") from None


def _difference(source: Path, target: Path) -> str:
    """What tells an .ipynb from its source, or "" where nothing does."""
    if not target.is_file():
        return "does not exist"
    try:
        made, wanted = nbformat.read(target, as_version=4), read_source(source)
    except Exception as error:  # nbformat raises kinds of its own
        return f"cannot be read ({type(error).__name__})"
    if len(made.cells) != len(wanted.cells):
        return f"has {len(made.cells)} cells, its source {len(wanted.cells)}"
    for number, (cell, other) in enumerate(zip(made.cells, wanted.cells, strict=True), start=1):
        if cell.get("outputs"):
            return f"cell {number} holds outputs"
        if _content(cell) != _content(other):
            return f"cell {number} differs"
    return "" if made.metadata.get("kernelspec") == KERNEL else "names another kernel"


def _content(cell: NotebookNode) -> tuple[str, str, dict[str, Any], str]:
    return cell.cell_type, cell.source, dict(cell.metadata), cell.get("id", "")
