"""What a page of the book publishes into its run: values, tables and figures, by names that prose quotes."""

import base64
import html
import io
import json
import math
import re
import shutil
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from hep2lib.errors import InputError
from hep2lib.figures.style import GREY, style, typeset
from hep2lib.files import file_digest, write_bytes, write_json, write_text
from hep2lib.runs.freshness import RECORDS, page_content, recorded, sealed
from hep2lib.runs.records import CSV, read_array, write_array

Format = str | Callable[[object], str]
Plain = float | int | str | bool

RESOLUTIONS = (200, 160, 130, 110)  # dots per inch, tried in turn until the file is small enough
LARGEST = 250_000  # bytes of a PNG, where the lowest resolution allows it
ALT_LENGTH = 40  # characters: below that, a text names a figure and does not describe it
MISSING = "–"
PHONE = 48  # characters of a table's row that fit on a phone
LONG = 24  # characters of a cell that fit in half of its width

_PLACING = threading.Lock()  # pages are executed side by side
_SAVED: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.05, "facecolor": "white"}
_NUMBER = re.compile(r"(?:[<>] )?[+\-−]?\d")
_PAGE = re.compile(r"\d\d-[a-z0-9]+(?:-[a-z0-9]+)*")
_ROLES = {"thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
_ROLES |= {'th scope="col"': "columnheader", 'th scope="row"': "rowheader"}
_WORDS = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NAMES = {  # by kind, what a name looks like, and an example
    "value": (re.compile(r"[A-Za-z0-9_]+(?:[.-][A-Za-z0-9_]+)*"), "fine-tuning.auc"),
    "table": (_WORDS, "fine-tuning-depths"),
    "figure": (_WORDS, "roc-curves"),
    "explorer": (_WORDS, "operating-points"),
    "kept": (_WORDS, "hand-made-features"),
}


class PublishError(InputError):
    """Something that cannot be published as it is, or a publication that cannot be read."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A published table or figure, which shows itself where a notebook cell ends with it."""

    data: dict[str, str]  # its content by MIME type; a PNG in base64
    metadata: dict[str, Any]  # for the page; under "hep2" its kind, name, caption and alt text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        return self.data, self.metadata


class Publication:
    """What one page publishes into a run, kept apart in ``RUN/staged/PAGE`` until the whole page has run.

    Where ``hep2 run`` executes the page, all of it then takes the place of what the page published before
    (``put_in_place``). A notebook that is run by hand, in JupyterLab or with papermill, shows the same tables
    and figures and leaves the run's book as it was. What another publication left there is forgotten.

    Args:
        folder: the run's folder; made if need be.
        page: the page's name, such as "03-fine-tuning".
        mark: what the run's results were obtained on, in a few words; it stands above each figure, which may
            leave its page.

    Raises:
        PublishError: if the page's name is none.
    """

    def __init__(self, folder: Path | str, page: str, mark: str = ""):
        if not _PAGE.fullmatch(page):
            raise PublishError(f"page {page!r}: a page is named by two digits and words, as '03-fine-tuning'")
        self.folder = Path(folder).absolute()
        self.page, self.mark = page, mark
        self.staged = self.folder / "staged" / page
        shutil.rmtree(self.staged, ignore_errors=True)
        self._content = _nothing(page)
        self._write()

    def value(self, name: str, value: Plain, interval: tuple[float, float] | None = None) -> None:
        """Publish a number, a text or a truth value.

        Args:
            name: words joined by dots and hyphens ("fine-tuning.auc"); prose quotes it by this name.
            value: a finite number, a text or a truth value; NumPy's scalars are made plain ones.
            interval: lower and upper end of its confidence interval.

        Raises:
            PublishError: if the name or the value cannot be published, or another page has the name.
        """
        self._claim("value", name)
        entry: dict[str, Any] = {"value": _plain(name, value)}
        if interval is not None:
            ends = [end for end in (_plain(name, end) for end in interval) if not isinstance(end, str)]
            if not len(interval) == len(ends) == 2 or ends[0] > ends[1]:
                wanted = "give (lower, upper) as numbers"
                raise PublishError(f"value {name!r}: its interval is {interval!r}; {wanted}")
            entry["interval"] = ends
        self._content["values"][name] = entry
        self._write()

    def table(
        self, name: str, frame: pd.DataFrame, caption: str, formats: Mapping[str, Format] | None = None
    ) -> Shown:
        """Publish a table; end the cell with it to show it.

        Args:
            name: words joined by hyphens ("fine-tuning-depths").
            frame: one row a row of the table. Its index, if it is more than a row number, becomes the first
                columns; otherwise the first column says what a row is about.
            caption: one line that says what is shown, as plain text, and on what if not on what the run was.
            formats: by column, a format such as ``".3f"`` or a function from a value to its text. Without
                one, a fraction is shown with three decimals, truth as yes or no, a missing value as a dash.

        Raises:
            PublishError: if the table is empty or has no caption, a column's name is not a text or comes
                twice, a format names no column, or another page has the name.
        """
        self._claim("table", name)
        caption = _caption("table", name, caption)
        frame, headers = _columns(name, frame, formats or {})
        content = _table_html(frame, caption, f"table-{name}", formats or {}, headers)
        write_text(self.staged / "tables" / f"{name}.html", content)
        write_text(self.staged / "tables" / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
        about = {"caption": caption, "rows": len(frame), "columns": list(frame.columns)}
        self._content["tables"][name] = about
        self._write()
        return Shown(
            {"text/html": content, "text/plain": frame.to_string(index=False)},
            {"hep2": {"kind": "table", "name": name, "caption": caption}},
        )

    def figure(self, name: str, figure: Figure, alt: str, caption: str, *, of_run: bool = True) -> Shown:
        """Publish a figure, close it, and return what shows it: end the cell with it.

        Args:
            name: words joined by hyphens ("roc-curves").
            figure: a Matplotlib figure, or an Axes or a seaborn grid of one. Up to 5 inches wide, with
                letters of 9 points or more, it can be read on a phone.
            alt: what the figure shows, for who cannot see it: 40 characters or more, not the caption.
            caption: one line that says what is shown, as plain text.
            of_run: whether it was obtained on what the run was; if not, its caption says on what.

        Raises:
            PublishError: if it is no figure, the alt text or the caption does not do, or another page has
                the name.
        """
        self._claim("figure", name)
        caption = _caption("figure", name, caption)
        alt = " ".join(alt.split()) if isinstance(alt, str) else ""
        if len(alt) < ALT_LENGTH:
            raise PublishError(
                f"figure {name!r}: its alt text has {len(alt)} characters; "
                f"describe in {ALT_LENGTH} or more what it shows"
            )
        if alt.casefold() == caption.casefold():
            raise PublishError(f"figure {name!r}: its alt text repeats the caption; describe what is seen")
        drawn = figure if isinstance(figure, Figure) else getattr(figure, "figure", None)
        if not isinstance(drawn, Figure):
            raise PublishError(f"figure {name!r}: {type(figure).__name__} is not a Matplotlib figure")
        with style():  # much of a figure is settled only when it is saved
            if of_run:
                mark = textwrap.fill(self.mark, int(16 * drawn.get_figwidth()))
                # Above: saving lets a legend down to the lowest thing that is drawn.
                drawn.text(0, 1.02, mark, fontsize=8.5, color=GREY, ha="left", va="bottom")
            png, width = _figure_png(drawn)
            svg = _figure_svg(drawn, name)
        write_bytes(self.staged / "figures" / f"{name}.png", png)
        write_bytes(self.staged / "figures" / f"{name}.svg", svg)
        plt.close(drawn)
        self._content["figures"][name] = {"alt": alt, "caption": caption, "width": width}
        self._write()
        return Shown(
            {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": f"Figure: {caption}"},
            {
                "image/png": {"alt": alt, "width": width},
                "hep2": {"kind": "figure", "name": name, "alt": alt, "caption": caption},
            },
        )

    def explorer(self, name: str, data: Mapping[str, Any], without: str) -> Shown:
        """Show something that a reader can move; end the cell with it.

        Args:
            name: words joined by hyphens; ``book/_static/NAME.js`` builds it in the page.
            data: what that looks up, as JSON; in the page itself, since one opened as a file fetches nothing.
            without: plain text for who has no JavaScript.

        Raises:
            PublishError: if the name is none.
        """
        _check_name("explorer", name)
        # No "<" in it, so that no text can end the element.
        text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        parts = (
            f"<p>{html.escape(without, quote=False)}</p>",
            f'<script type="application/json">{text}</script>',
        )
        content = f'<div class="hep2-explorer" data-explorer="{name}">\n{parts[0]}\n{parts[1]}\n</div>\n'
        return Shown({"text/html": content, "text/plain": without}, {"hep2": {"kind": "explorer"}})

    def kept(
        self, name: str, rows: Sequence[int], compute: Callable[[Sequence[int]], npt.ArrayLike]
    ) -> np.ndarray:
        """Compute something of images, and keep it, so that the page can be executed again without them.

        In a run that was made from records it is read, and ``compute`` is not called.

        Args:
            name: words joined by hyphens ("hand-made-features").
            rows: of the database, one an image.
            compute: takes them and returns an array whose first axis they are, as numbers.

        Raises:
            PublishError: if the name is none.
            RecordsError: if the records do not hold it of all these rows.
        """
        _check_name("kept", name)
        own, rows = f"{self.page}-{name}", [int(row) for row in rows]
        file = f"{RECORDS}/{own}{CSV}"
        if recorded(self.folder):
            array = read_array(self.folder, own, rows)
            write_bytes(self.staged / file, (self.folder / file).read_bytes())
        else:
            array = np.asarray(compute(rows))
            write_array(self.staged, own, rows, array)
        self._content["kept"].append(file)
        self._write()
        return array

    def _claim(self, kind: str, name: str) -> None:
        """Refuse a name that is none, or that another page has."""
        _check_name(kind, name)
        _refuse_taken(self.folder, self.page, {f"{kind}s": [name]})

    def _write(self) -> None:
        write_json(self.staged / "published" / f"{self.page}.json", self._content)


def put_in_place(run: Path, page: str, notebook: str, made_from: Mapping[str, Any]) -> Path:
    """Put what a page has published, and the executed notebook, in the place of what it published before.

    The page's own file comes last, with a checksum of every file of the page. So whoever reads the run after
    an interruption at any moment finds the page of before whole, or the new one whole, or learns from
    ``freshness.damages`` that it is neither.

    Args:
        run: the run's folder.
        page: the page's name.
        notebook: the executed notebook, as text; its file is returned.
        made_from: what the page was made from, as ``freshness.record`` gives it.

    Raises:
        PublishError: if another page has a name meanwhile; nothing is changed then.
    """
    staged, target = run / "staged" / page, run / "notebooks" / f"{page}.ipynb"
    with _PLACING:
        content = page_content(staged, page) or _nothing(page)
        _refuse_taken(run, page, content)
        write_text(staged / "notebooks" / target.name, notebook)
        names = [*_files(content), f"notebooks/{target.name}"]
        files = {name: file_digest(staged / name)[:16] for name in names}
        own = f"published/{page}.json"
        write_json(staged / own, sealed(content | {"files": files, "from": made_from}))
        for name in (*files, own):
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).replace(run / name)
        kept = {name for each in read_pages(run).values() for name in _files(each)}
        for file in (*run.glob("tables/*"), *run.glob("figures/*"), *run.glob(f"{RECORDS}/[0-9][0-9]-*")):
            if file.relative_to(run).as_posix() not in kept:
                file.unlink()
        shutil.rmtree(staged)
        with suppress(OSError):  # another page is at work there
            staged.parent.rmdir()
    return target


def _nothing(page: str) -> dict[str, Any]:
    """What a page publishes that publishes nothing."""
    return {"page": page, "values": {}, "tables": {}, "figures": {}, "kept": []}


def _files(content: Mapping[str, Any]) -> list[str]:
    """The files of a page's tables and figures, and what it keeps."""
    endings = {"tables": ("csv", "html"), "figures": ("png", "svg")}
    shown = [f"{kind}/{name}.{end}" for kind in endings for name in content[kind] for end in endings[kind]]
    return [*shown, *content["kept"]]


def _refuse_taken(run: Path, own: str, content: Mapping[str, Any]) -> None:
    """Refuse what another page publishes."""
    for page, other in read_pages(run, own).items():
        for kind in ("values", "tables", "figures"):
            for name in content.get(kind, ()):
                if name in other[kind]:
                    raise PublishError(
                        f"{kind[:-1]} {name!r}: page {page} publishes it already; give it another name on "
                        f"page {own}, or execute {page} first, if it no longer does"
                    )


def read_pages(run: Path | str, without: str = "") -> dict[str, dict[str, Any]]:
    """What each page of a run has published, in order, but for the page ``without``.

    Returns:
        By page ``{"page", "values", "tables", "figures", "kept"}``, three by name, and the files that it
        keeps. A value is ``{"value": ..., "interval": [lower, upper]}`` (the interval only where one was
        given), a table ``{"caption", "rows", "columns"}``, a figure ``{"alt", "caption", "width"}``.

    Raises:
        PublishError: if a page's file was damaged.
    """
    pages = {}
    for file in sorted((Path(run) / "published").glob("*.json")):
        if file.stem == without:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            known = {"kept": []} | content  # an earlier version kept nothing
            pages[file.stem] = {key: known[key] for key in _nothing(file.stem)}
        except (ValueError, KeyError, TypeError):
            again = f"delete it and execute {file.stem} again"
            raise PublishError(f"{file}: not what a page publishes; {again}") from None
    return pages


def quoted(tree: Mapping[str, Any], text: str) -> str:
    """What prose shows where it quotes ``name``, ``name:format`` or ``name:interval:format``.

    ``tree`` holds values by name, or by the words of a name in nested mappings; ``{"value": ...}`` stands for
    a value, which may have an ``interval``. KeyError if there is none, ValueError if it cannot be shown so.
    """
    key, _, form = (part.strip() for part in text.partition(":"))
    found: Any = tree
    for word in [key] if key in tree else key.split("."):
        if not isinstance(found, dict) or word not in found:
            raise KeyError(key)
        found = found[word]
    part, _, rest = form.partition(":")
    if part == "interval":
        if not isinstance(found, dict) or "interval" not in found:
            raise ValueError("it was published without an interval")
        return " to ".join(shown(end, rest) for end in found["interval"])
    value = found["value"] if isinstance(found, dict) and "value" in found else found
    if value is None or isinstance(value, dict):
        raise KeyError(key)
    return shown(value, form)


def shown(value: object, form: str = "") -> str:
    """A value as prose shows it: a fraction with four digits unless told otherwise."""
    if isinstance(value, list):
        return ", ".join(shown(each, form) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return typeset(value, form or (".4g" if isinstance(value, float) else ""))
    return format(value, form)


def caption_markdown(caption: str) -> str:
    """The caption as Markdown that no extension (mathematics, roles, links) can read in another way."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", caption)


def _check_name(kind: str, name: str) -> None:
    pattern, example = _NAMES[kind]
    if not isinstance(name, str) or not pattern.fullmatch(name):
        raise PublishError(f"{kind} {name!r}: cannot be its name; write it like {example!r}")


def _plain(name: str, value: object) -> Plain:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, bool | int | float | str):
        kind = type(value).__name__
        raise PublishError(f"value {name!r}: a {kind} cannot be quoted; give one number or text")
    if isinstance(plain, float) and not math.isfinite(plain):
        raise PublishError(f"value {name!r}: it is {plain}; publish finite numbers only")
    return plain


def _caption(kind: str, name: str, caption: str) -> str:
    """The caption as one line: every run of white space made one blank."""
    if not isinstance(caption, str) or not caption.strip():
        raise PublishError(f"{kind} {name!r}: it has no caption; say what it shows, and of what data")
    return " ".join(caption.split())


def _columns(name: str, frame: pd.DataFrame, formats: Mapping[str, Format]) -> tuple[pd.DataFrame, int]:
    """The frame with its index as columns, and how many leading columns are headers of their row."""
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise PublishError(f"table {name!r}: there is nothing in it; give a DataFrame with rows and columns")
    headers = 1
    if not isinstance(frame.index, pd.RangeIndex):
        headers = frame.index.nlevels
        frame = frame.reset_index(names=[level or "" for level in frame.index.names])
    titles = list(frame.columns)
    if not all(isinstance(title, str) for title in titles) or len(set(titles)) < len(titles):
        raise PublishError(f"table {name!r}: its columns are {titles}; each needs a title of its own, a text")
    for title in formats:
        if title not in titles:
            wrong = f"a format is given for {title!r}"
            raise PublishError(f"table {name!r}: {wrong}, but its columns are {titles}")
    return frame, headers


def _table_html(
    frame: pd.DataFrame, caption: str, label: str, formats: Mapping[str, Format], headers: int
) -> str:
    """A table as HTML: caption, scopes, numbers to the right, and a frame that scrolls sideways.

    A table that is wider than a phone has its column's title in every cell, for the stylesheet to show, and
    roles, which keep it a table to a screen reader where its rows are laid out as blocks.
    """
    texts = [[_cell_text(value, formats.get(title)) for value in frame[title]] for title in frame.columns]
    known = [[text for text in column if text != MISSING] for column in texts]
    numeric = [bool(column) and all(_NUMBER.match(text) for text in column) for column in known]
    wide = sum(map(_narrowest, frame.columns, texts, numeric)) > PHONE
    head, columns = [], []
    for position, (title, column, number) in enumerate(zip(frame.columns, texts, numeric, strict=True)):
        right = ' class="hep2-number"' if number else ""
        name = html.escape(title, quote=False)
        head.append(f'<th scope="col"{right}>{name}</th>' if name else "<td></td>")
        long = wide and not number and max(map(len, column)) > LONG
        tag, scope = ("th", ' scope="row"') if position < headers else ("td", "")
        given = (
            f' data-label="{html.escape(title)}"' * bool(wide and title) + ' class="hep2-long"' * long + right
        )
        if number:  # broken before a bracket only
            column = [re.sub(r" (?!\()", "\u00a0", text) for text in column]
        columns.append([f"<{tag}{scope}{given}>{html.escape(text, quote=False)}</{tag}>" for text in column])
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    table = (
        f'<table>\n<caption id="{label}-caption">{html.escape(caption, quote=False)}</caption>\n'
        f"<thead>\n<tr>{''.join(head)}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )
    if wide:
        table = re.sub(
            f"<({'|'.join(_ROLES)})(?=[ >])", lambda tag: f'{tag[0]} role="{_ROLES[tag[1]]}"', table
        )
    return (
        f'<div class="hep2-table{" hep2-wide" * wide}" id="{label}" role="region" '
        f'aria-labelledby="{label}-caption" tabindex="0">\n{table}\n</div>\n'
    )


def _narrowest(title: str, texts: list[str], number: bool) -> float:
    """Characters that a column needs: its longest word, or a dozen of a text; and the room beside it."""
    words = [part for text in texts for part in re.split(r" (?=\()" if number else r"[ -]", text)]
    least = 0 if number else min(12, max(map(len, texts)))
    bold = 1.15 * max(map(len, title.split()), default=0)
    return 2.5 + max(least, bold, *map(len, words))


def _cell_text(value: object, form: Format | None) -> str:
    """What a cell of a table reads."""
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return MISSING
    if callable(form):
        return form(value)
    if form is None and isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return typeset(value, form or (".3f" if isinstance(value, float | np.floating) else ""))
    return format(value, form or "")


def _figure_png(figure: Figure) -> tuple[bytes, int]:
    """A figure as a PNG of at most 256 colours, and of `LARGEST` bytes where a lower resolution allows.

    With it comes the width in CSS pixels (96 to the inch) at which its text has the size it was drawn for.
    """
    content, width, before = b"", 0, RESOLUTIONS[0]
    for resolution in RESOLUTIONS:
        at_best = len(content) * (resolution / before) ** 2
        if at_best > LARGEST and resolution > RESOLUTIONS[-1]:
            continue  # too large still: a file shrinks no faster than its pixels
        buffer, compact = io.BytesIO(), io.BytesIO()
        # Read again at once: speed matters, size does not.
        figure.savefig(buffer, format="png", dpi=resolution, pil_kwargs={"compress_level": 1}, **_SAVED)
        with Image.open(buffer) as drawn:
            full = drawn.convert("RGB")
        # White, and colours that cover the whole scale, however few pixels have them; no steps between them.
        palette = full.quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.putpalette([*(palette.getpalette() or [])[: 3 * 255], 255, 255, 255])
        colours = full.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        white = (np.asarray(full) == 255).all(axis=2)  # Pillow takes a colour near it instead
        colours.paste(255, mask=Image.fromarray(255 * white.astype(np.uint8)))
        colours.save(compact, format="PNG", optimize=True)
        content, width, before = compact.getvalue(), round(colours.width / resolution * 96), resolution
        if len(content) <= LARGEST:
            break
    return content, width


def _figure_svg(figure: Figure, name: str) -> bytes:
    """A figure as SVG with letters as outlines; ids come from the name, so that the bytes stay the same.

    Matplotlib names a clip path by its place to the last bit, where the layout's solver differs between runs.
    """
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, **_SAVED)
    content = buffer.getvalue()
    for number, found in enumerate(re.findall(rb'<clipPath id="(\w+)"', content)):
        content = content.replace(found, f"{name}-clip-{number}".encode())
    return content
