"""An executed notebook made into what the book shows: the same for the same results, on any machine."""

from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from hep2lib.runs.captions import caption_markdown
from hep2lib.runs.pairs import KERNEL, NotebookError
from hep2lib.runs.text import terminal_text, without_addresses, without_control, without_paths

_LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}
_KEPT = ("tags", "mystnb", "label")  # metadata of a cell that mean something to a reader of the notebook


def normalise(notebook: NotebookNode, page: str, folders: dict[Path, str]) -> NotebookNode:
    """Take what belongs to one execution alone out of a notebook, and give its figures caption and alt text.

    Times, progress bars, warnings on stderr, control characters, memory addresses and absolute paths go;
    cells that set parameters or publish a result are tagged to be folded away, so that the page reads as a
    text with tables and figures. Where parameters were given, the defaults that they replaced are left out.

    Args:
        notebook: as executed; it is changed in place.
        page: the page's name.
        folders: absolute folders and what to write instead of each.

    Returns:
        The same notebook.

    Raises:
        NotebookError: if a cell shows a published figure and something else beside it.
    """
    replacements = {str(folder): short for folder, short in folders.items()}
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNEL), language_info=NotebookNode(_LANGUAGE))
    given = any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags and given:
            tags = [*tags, "remove-cell"]
        if "injected-parameters" in tags:
            cell["id"] = f"{page}-injected"
            cell["source"] = without_paths(cell.source, replacements)
        if {"parameters", "injected-parameters"} & set(tags) or _publishes(cell):
            cell.metadata["tags"] = [*(tag for tag in tags if tag != "hide-input"), "hide-input"]
        cell["metadata"] = NotebookNode({key: cell.metadata[key] for key in _KEPT if cell.metadata.get(key)})
        if cell.cell_type == "code":
            cell["outputs"] = [
                output
                for output in (_output(each, replacements) for each in cell.outputs)
                if output is not None
            ]
            _describe_figure(cell, page)
    return notebook


def _output(output: NotebookNode, replacements: dict[str, str]) -> NotebookNode | None:
    """One output of a cell, or None where nothing of it is meant for a reader."""
    if output.output_type == "stream":
        output["text"] = without_paths(without_addresses(terminal_text(output.text)), replacements)
        return output if output.name == "stdout" and output.text.strip() else None
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(content, str):
            output.data[kind] = without_paths(without_addresses(without_control(content)), replacements)
    return output


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
        figure={"caption": caption_markdown(about["caption"]), "name": label},
        image={"alt": about["alt"]} | ({"width": f"{width}px"} if width else {}),
    )


def _publishes(cell: NotebookNode) -> bool:
    """Whether a cell ends in publishing something."""
    return cell.cell_type == "code" and any(
        line.startswith(("publish.figure(", "publish.table(", "publish.value("))
        for line in cell.source.splitlines()
    )
