"""Each notebook twice: as a text that people change and a run executes, and as the .ipynb made from it."""

import difflib
import hashlib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from hep2lib.errors import InputError
from hep2lib.files import write_text

SOURCES = "[0-9][0-9]-*.md"
FACTS = ("simulated", "patterns", "grades", "fields")
"""What a database may have: simulated images, patterns, intensity grades, several fields of a specimen."""
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_JUPYTEXT = {  # as notebooks/jupytext.toml has it
    "default_lexer": "ipython3",
    "notebook_metadata_filter": "kernelspec,jupytext.notebook_metadata_filter,-all",
}
_HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_SHOWN = 30  # lines of what differs between a text and its .ipynb


class NotebookError(InputError):
    """A notebook, or a parameter of it, that cannot be used."""


def read_source(path: Path) -> NotebookNode:
    """Read a notebook from its text source, without outputs.

    Cells are named by the file's stem and two digits: the same text gives the same notebook. A digest of them
    in its metadata tells later whether the .ipynb was edited.

    Raises:
        NotebookError: if there is no such file or it is not a notebook in MyST Markdown.
    """
    try:
        read = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such notebook") from None
    except Exception as error:  # jupytext and the YAML reader below it raise kinds of their own
        raise NotebookError(f"{path}: not a notebook in MyST Markdown: {error}") from None
    for number, cell in enumerate(read.cells, start=1):
        cell["id"] = f"{path.stem}-{number:02d}"
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    about = {key: value for key, value in read.metadata.get("jupytext", {}).items() if key in _JUPYTEXT}
    return _notebook(read.cells, jupytext=about, kernelspec=KERNEL, hep2={"cells": _digest(read.cells)})


def _notebook(cells: list[NotebookNode], **metadata: object) -> NotebookNode:
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _cell_texts(cells: list[NotebookNode]) -> list[str]:
    """Each cell as MyST Markdown: what a person writes, without what executing or displaying it adds."""
    about = _JUPYTEXT | {"notebook_metadata_filter": "-all"}
    return [jupytext.writes(_notebook([_tidy(cell)], jupytext=about), fmt="md:myst") for cell in cells]


def _tidy(cell: NotebookNode) -> NotebookNode:
    return NotebookNode(cell, source=cell.source.rstrip().lstrip("\n"))


def _digest(cells: list[NotebookNode]) -> str:
    return hashlib.sha256("\0".join(_cell_texts(cells)).encode()).hexdigest()[:16]


def stands(tags: Iterable[str], facts: Collection[str]) -> bool:
    """Whether what has these tags stands in a run's pages: ``only-X`` if it has X, ``unless-X`` if not."""
    asked = [tag.partition("-") for tag in tags]
    return all((fact in facts) == (word == "only") for word, _, fact in asked if word in ("only", "unless"))


def notebook_text(notebook: NotebookNode) -> str:
    """The notebook as the text of an .ipynb: sorted keys, a line for each line of source."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def pair(folder: Path, names: Collection[str] = ()) -> list[Path]:
    """Write the .ipynb of text sources ``NN-words.md``.

    Args:
        folder: of the notebooks.
        names: stems of the only ones to write, even if the .ipynb was edited; none: all, unless one was.

    Returns:
        The .ipynb files whose content changed.

    Raises:
        NotebookError: if a source cannot be read, or an .ipynb was edited; nothing is written then.
    """
    sources = [folder / f"{name}.md" for name in names] or sorted(folder.glob(SOURCES))
    if not names:
        refuse_edited(sources)
    texts = {source.with_suffix(".ipynb"): notebook_text(read_source(source)) for source in sources}
    changed = [file for file in texts if not file.is_file() or file.read_bytes() != texts[file].encode()]
    for file in changed:
        write_text(file, texts[file])
    return changed


def write_source(made: Path) -> list[Path]:
    """Write a notebook's text source from its .ipynb, without outputs; the header that it has stays.

    Returns:
        The text; and where it had edits of its own, which the .ipynb has not, a copy of it as it was.

    Raises:
        NotebookError: if there is no such .ipynb, it cannot be read, or a cell cannot be text.
    """
    edited = _read_made(made)
    cells = [_tidy(c) for c in edited.cells if c.cell_type == "code" or c.source.strip()]
    text = jupytext.writes(_notebook(cells, jupytext=_JUPYTEXT, kernelspec=KERNEL), fmt="md:myst")
    again = _cell_texts(jupytext.reads(text, fmt="md:myst").cells)
    for number, cell in enumerate(cells):
        if _cell_texts([cell]) != again[number : number + 1] or cell.get("attachments"):
            raise NotebookError(
                f"{made.name}, cell {cell.source[:60]!r}: text cannot hold it; keep pictures as files, and "
                "lines that start with +++ or a code cell's fence out of it"
            )
    source = made.with_suffix(".md")
    before = source.read_text(encoding="utf-8") if source.is_file() else ""
    header, lost = _HEADER.match(before), bool(before) and _edited_too(source, edited)
    kept = [source.with_suffix(".md.before")] * lost
    for file in kept:
        write_text(file, before)
    write_text(source, header[0] + _HEADER.sub("", text) if header else text)
    return [source, *kept]


def _edited_too(source: Path, made: NotebookNode) -> bool:
    """Whether a text has cells that neither its .ipynb has nor the text had from which that was written."""
    written = made.metadata.get("hep2", {}).get("cells")
    cells = read_source(source).cells
    return bool(written) and _digest(cells) not in (written, _digest(made.cells))


def _read_made(file: Path) -> NotebookNode:
    try:
        return nbformat.read(file, as_version=4)
    except Exception as error:  # nbformat raises kinds of its own
        raise NotebookError(
            f"{file.name}: cannot be read ({type(error).__name__}); "
            f"`hep2 pair --from-md {file.stem}` writes it from its text"
        ) from None


def check_pairs(folder: Path) -> list[str]:
    """Compare the notebooks ``NN-words.ipynb`` of a folder with their text sources, by content.

    Returns:
        For every pair that does not hold what is wrong and what to do; none where all do.
    """
    files = {*folder.glob(SOURCES), *folder.glob(SOURCES.replace(".md", ".ipynb"))}
    return [said for source in sorted({f.with_suffix(".md") for f in files}) if (said := _trouble(source))]


def _trouble(source: Path) -> str:
    """What is wrong with a pair and what to do, or "" where it holds."""
    target = source.with_suffix(".ipynb")
    if not source.is_file():
        return f"{target.name}: has no {source.name}; `hep2 pair --from-ipynb {source.stem}` writes it"
    if not target.is_file():
        return f"{target.name}: does not exist; `hep2 pair` writes it"
    try:
        refuse_edited([source])
    except NotebookError as error:
        return str(error)
    made, wanted = _read_made(target), read_source(source)
    if _cell_texts(made.cells) != _cell_texts(wanted.cells):
        problem = f"is behind {source.name}"
    elif any(cell.get("outputs") or cell.get("execution_count") for cell in made.cells):
        problem = "holds outputs"
    else:
        problem = "" if made == wanted else "has other ids or metadata than its text gives"
    return problem and f"{target.name}: {problem}; `hep2 pair` writes it again"


def refuse_edited(sources: Iterable[Path]) -> None:
    """Refuse notebooks whose .ipynb was edited: the text is executed, so the edit would have no effect.

    An .ipynb that agrees with its text, or still holds the cells that were written to it, was not.

    Raises:
        NotebookError: names each, with what differs and what to do about it.
    """
    said = []
    for source in (source for source in sources if source.with_suffix(".ipynb").is_file()):
        name, made = source.stem, _read_made(source.with_suffix(".ipynb"))
        text, edited = _cell_texts(read_source(source).cells), _cell_texts(made.cells)
        if text == edited or _digest(made.cells) == made.metadata.get("hep2", {}).get("cells"):
            continue
        lines: list[str] = []
        for _, a, b, c, d in difflib.SequenceMatcher(None, text, edited, autojunk=False).get_opcodes():
            before, after = ("".join(cells).splitlines() for cells in (text[a:b], edited[c:d]))
            files = f"{name}.md, cell {a + 1}", f"{name}.ipynb, cell {c + 1}"
            lines += difflib.unified_diff(before, after, *files, n=1, lineterm="")
        if len(lines) > _SHOWN:
            lines[_SHOWN:] = [f"... and {len(lines) - _SHOWN} lines more"]
        said += [
            f"{name}.ipynb: was edited, and {name}.md, which is what a run executes, says otherwise",
            *["The text was edited too: first bring over by hand what is to stay"]
            * _edited_too(source, made),
            *lines,
            f"`hep2 pair --from-ipynb {name}` keeps the .ipynb, `hep2 pair --from-md {name}` the text",
        ]
    if said:
        raise NotebookError("\n".join(said))
