"""Exercises: one source, and what the book, a student and a teacher see of it.

In a chapter's text an exercise is a heading ``### Exercise 3.1: ...``, a line ``*10 minutes, easy*`` with a
level of ``LEVELS``, and the question. Then come one code cell tagged ``solution``, one tagged ``check``, and
words tagged ``solution``; a question that asks for no code has the words alone. Every cell is executed with
its chapter. Lines of a solution that end with ``MARK`` are the student's to write: the starter has dots for
them, so that there is no second text that could differ. Cells tagged ``teacher`` are for the teacher alone.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

MARK = "  # <-"
LEVELS = ("easy", "medium", "hard")
TAGS = ("solution", "check", "teacher")

_HEADING = re.compile(r"^### Exercise (\d+\.\d+): (.+)\n\n\*(\d+) minutes, (\w+)\*$", re.MULTILINE)
_ASSIGNED = re.compile(r'(\s*[\w.\[\]"]+ = )')
_OPEN = '<details class="hep2-solution">\n<summary>Solution of exercise {}</summary>'
_CLOSE = "</details>"


def check(value: object, low: float, high: float | None = None, hint: str = "") -> None:
    """Print whether the result of an exercise is as expected, or what to look at.

    Args:
        value: a number or a truth value; ``...`` where the starter's dots still stand.
        low: the least that is expected; without ``high`` all that is expected, to a millionth.
        high: the most that is expected.
        hint: what to look at if it is something else.
    """
    if value is ...:
        print("not done yet: write code for the dots (...), then execute both cells")
        return
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "biuf":
        print(f"look again: one number is needed, and this is a {type(value).__name__}")
        return
    ends = (low, high) if high is not None else (low - 1e-6 * abs(low), low + 1e-6 * abs(low))
    # What rounding to two digits takes from a number; a count is not rounded.
    room = 0.01 * max(map(abs, ends)) * (low % 1 != 0)
    if ends[0] <= number <= ends[1]:
        print(f"good: {number:.4g}" if number.dtype.kind != "b" else "good")
    elif number.dtype.kind == "b":
        print(f"look again. {hint}".rstrip())
    elif ends[0] - room <= number <= ends[1] + room:
        print(f"look again: {number:.4g} is near, but do not round. {hint}".rstrip())
    elif ends[0] - room <= number / 100 <= ends[1] + room and number > 1 > low:
        print(f"look again: {number:.4g} seems to be in percent; give a share, from 0 to 1")
    else:
        print(f"look again: {number:.4g} is not what is expected here. {hint}".rstrip())


def starter(solution: str) -> str:
    """The code of a solution with dots for what the student writes: ``name = ...``, or ``...`` alone."""
    lines: list[str] = []
    depth = 0  # of brackets that are open in what the student writes
    for line in solution.splitlines():
        if not line.endswith(MARK):
            lines.append(line)
            continue
        assigned = _ASSIGNED.match(line)
        dots = f"{assigned[1] if assigned else line[: len(line) - len(line.lstrip())]}..."
        if depth == 0 and lines[-1:] != [dots]:
            lines.append(dots)
        depth += sum(line.count(sign) for sign in "([{") - sum(line.count(sign) for sign in ")]}")
    return "\n".join(lines)


def exercise_table(notebooks: Iterable[NotebookNode]) -> str:
    """All exercises of some chapters with minutes and level, as a Markdown table."""
    found = [
        row for notebook in notebooks for cell in notebook.cells for row in _HEADING.findall(cell.source)
    ]
    rows = [f"| {label} {title} | {minutes} | {level} |" for label, title, minutes, level in found]
    return "\n".join(["| Exercise | Minutes | Level |", "|---|---|---|", *rows]) + "\n"


def book_copy(notebook: NotebookNode) -> NotebookNode:
    """A chapter as the book shows it: of an exercise the starter, and in a drop-down what solves it.

    The notebook is changed in place; its new cells are Markdown.
    """
    cells: list[NotebookNode] = []
    label, is_open = "", False
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "teacher" in tags:
            continue
        solves = bool({"solution", "check"} & set(tags))
        if is_open and not solves:
            cells.append(new_markdown_cell(_CLOSE, id=f"{cell.id}-close"))
        elif solves and not is_open:
            if cell.cell_type == "code":
                code = f"~~~python\n{starter(cell.source)}\n~~~"
                cells.append(new_markdown_cell(code, id=f"{cell.id}-starter"))
            cells.append(new_markdown_cell(_OPEN.format(label), id=f"{cell.id}-open"))
        is_open = solves
        if solves:  # what a check prints is the result
            cell["source"] = cell.source.replace(MARK, "")
            cell.metadata["tags"] = ["remove-input"] if "check" in tags else []
        elif found := _HEADING.search(cell.source):
            label = found[1]
            named = f"(exercise-{label.replace('.', '-')})=\n{found[0]}"
            cell["source"] = cell.source.replace(found[0], named)
        cells.append(cell)
    if is_open:
        cells.append(new_markdown_cell(_CLOSE, id=f"{notebook.cells[-1].id}-close"))
    notebook["cells"] = cells
    return notebook


def student_copy(notebook: NotebookNode, opening: Sequence[str]) -> NotebookNode:
    """A chapter without solutions: starters, folded checks, and the figure of a solution as a hint.

    Args:
        notebook: as executed; it is changed in place.
        opening: code cells in place of those that set the parameters.
    """
    cells: list[NotebookNode] = []
    for cell in opened(notebook, opening).cells:
        tags = cell.metadata.get("tags", [])
        if "teacher" in tags or ("solution" in tags and cell.cell_type == "markdown"):
            continue
        if "solution" in tags:
            cells += [
                new_markdown_cell(
                    "The solution draws this:\n\n"
                    f"![{about['alt']}](data:image/png;base64,{output.data['image/png'].strip()})",
                    id=f"{cell.id}-hint",
                )
                for output in cell.outputs
                if (about := output.get("metadata", {}).get("hep2", {})).get("kind") == "figure"
            ]
            cell = new_code_cell(starter(cell.source), id=cell.id)
        elif "check" in tags:
            folded = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["check"]}
            cell = new_code_cell(cell.source, id=cell.id, metadata=folded)
        cells.append(cell)
    notebook["cells"] = cells
    return notebook


def opened(notebook: NotebookNode, opening: Sequence[str]) -> NotebookNode:
    """A chapter, changed in place, with these code cells in place of those that set the parameters."""
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            cells += [new_code_cell(code, id=f"{cell.id}-{n}") for n, code in enumerate(opening)]
        elif "injected-parameters" not in tags:
            cells.append(cell)
    notebook["cells"] = cells
    return notebook
