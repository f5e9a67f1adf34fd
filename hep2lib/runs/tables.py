"""A table of results as HTML that reads well on a screen of any width and in a screen reader."""

import html
import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Format = str | Callable[[object], str]

_NUMBER = re.compile(r"[+\-−]?\d")
MISSING = "–"


def table_cells(frame: pd.DataFrame, formats: Mapping[str, Format] | None = None) -> list[list[str]]:
    """What each cell of ``frame`` reads, as text.

    Args:
        frame: one row a row of the table, one column a column of it.
        formats: by column, a format such as ``".3f"`` or a function from the value to its text. Without one,
            a fraction is shown with three decimals, truth as yes or no, anything else as ``str`` shows it.

    Returns:
        Rows of texts; a missing value is an en dash, and a number's minus is a typographic one.
    """
    formats = formats or {}
    columns = [[_cell(value, formats.get(name)) for value in frame[name]] for name in frame.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def table_html(
    frame: pd.DataFrame,
    caption: str,
    label: str,
    formats: Mapping[str, Format] | None = None,
    headers: int = 1,
) -> str:
    """A table as HTML of its own: caption, scopes, numbers to the right, and a frame that scrolls sideways.

    Args:
        frame: one row a row of the table; its first ``headers`` columns say what a row is about.
        caption: one line of plain text.
        label: the id of the whole, which a link can lead to.
        formats: as in :func:`table_cells`.
        headers: number of leading columns that are headers of their row.

    Returns:
        One ``<div class="hep2-table">``.
    """
    rows = table_cells(frame, formats)
    numeric = [_is_numeric([row[column] for row in rows]) for column in range(frame.shape[1])]
    head = "".join(
        f'<th scope="col"{_aligned(right)}>{html.escape(str(name), quote=False)}</th>'
        for name, right in zip(frame.columns, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{_row(row, numeric, headers)}</tr>" for row in rows)
    frame_of_it = (
        f'class="hep2-table" id="{label}" role="region" aria-labelledby="{label}-caption" tabindex="0"'
    )
    return (
        f"<div {frame_of_it}>\n<table>\n"
        f'<caption id="{label}-caption">{html.escape(caption, quote=False)}</caption>\n'
        f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
    )


def _cell(value: object, form: Format | None) -> str:
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return MISSING
    if callable(form):
        text = form(value)
    elif form is not None:
        text = format(value, form)
    elif isinstance(value, bool | np.bool_):
        text = "yes" if value else "no"
    else:
        text = format(value, ".3f") if isinstance(value, float | np.floating) else str(value)
    is_number = isinstance(value, int | float | np.number)
    return text.replace("-", "−", 1) if is_number and text.startswith("-") else text


def _is_numeric(texts: list[str]) -> bool:
    known = [text for text in texts if text != MISSING]
    return bool(known) and all(_NUMBER.match(text) for text in known)


def _aligned(right: bool) -> str:
    return ' class="hep2-number"' if right else ""


def _row(texts: list[str], numeric: list[bool], headers: int) -> str:
    cells = []
    for column, (text, right) in enumerate(zip(texts, numeric, strict=True)):
        tag, scope = ("th", ' scope="row"') if column < headers else ("td", "")
        cells.append(f"<{tag}{scope}{_aligned(right)}>{html.escape(text, quote=False)}</{tag}>")
    return "".join(cells)
