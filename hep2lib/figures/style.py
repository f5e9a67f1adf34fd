"""One look for the whole book: colours that everybody can tell apart, letters that a phone can show.

A figure is at most `WIDTH` inches wide, with letters of 9 points or more: a phone of 390 CSS pixels shows it
a fifth smaller, and it can still be read. What a colour says, a marker, a line or a word says too.
"""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from hep2lib.evaluation.auc import Interval

COLOURS = sns.color_palette("colorblind")
"""Told apart by people with any form of colour blindness."""

WIDTH = 5.0
"""Inches of the widest figure that a phone shows with letters of nine pixels or more."""

MARKERS = "os^DvP"
"""One with each colour, for who sees no colours at all."""

POSITIVE, NEGATIVE = COLOURS[2], COLOURS[1]
"""The two labels."""

INK, GREY, LIGHT, PAPER = "black", "grey", "#d9d9d9", "white"
"""What says no more than that it is there: marks, lines beside the matter, areas, and the ground."""

FRAME = COLOURS[3]
"""Around one value of a map."""

PART_COLOURS = {"train": "#c9d7e8", "validation": "#ecb45a", "test": "#1f3b70"}
"""The parts of a fold."""

SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
"""Maps of values that rise, and of values on both sides of zero."""

_STYLE: Any = {
    "axes.grid": True,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.facecolor": PAPER,
    "figure.facecolor": PAPER,
}


class Drawing(NamedTuple):
    """A figure and what it shows, in words: ``publish.figure(name, *drawing, caption=...)``."""

    figure: Figure
    alt: str


@contextmanager
def style() -> Iterator[None]:
    """The book's look, inside a ``with`` block or, as ``@style()``, inside a function only.

    It starts from matplotlib's own defaults: what a person's ``matplotlibrc`` says is for other figures.
    """
    with plt.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield
        shown = plt.isinteractive()  # a notebook's backend is loaded with the first figure, and says so
    plt.interactive(shown)


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, Any]:
    """A figure, in inches, and its axes, an array of rows x columns."""
    size = (width, height)
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)


def two_a_row(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, two a row, each as high, in inches; and their axes."""
    rows, columns = -(-count // 2), min(2, count)
    figure, grid = panels(rows, columns, WIDTH / 2 * columns, height * rows)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return figure, list(grid.flat[:count])


def picture(axes: Axes, values: npt.ArrayLike, **look: Any) -> None:
    """Draw the pixels of a channel (height x width) or a field (colours first or last), no ticks, no grid."""
    axes.imshow(channels_last(values), interpolation="nearest", **look)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)


def channels_last(values: npt.ArrayLike) -> npt.NDArray:
    """A field, 3 x height x width, as height x width x 3; anything else as it is."""
    array = np.asarray(values)
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[-1] != 3 else array


def stretched(field: npt.NDArray) -> npt.NDArray:
    """The green of a field (uint8, 3 x height x width), 0 to 1, for the eye only: dim ones are made brighter.

    Up to its 99.8th percentile, along a square root.
    """
    green = field[1].astype(np.float64) / 255
    return np.sqrt(np.clip(green / max(np.quantile(green, 0.998), 1e-3), 0, 1))


def shrunk(values: npt.NDArray, side: int) -> npt.NDArray[np.uint8]:
    """A map of values from 0 to 1, height x width, as a grey picture of side x side means."""
    small = Image.fromarray(values.astype(np.float32)).resize((side, side), Image.Resampling.BOX)
    return (255 * np.asarray(small)).round().astype(np.uint8)


def thumbnails(fields: npt.NDArray, side: int = 48) -> npt.NDArray[np.uint8]:
    """Fields (uint8, N x 3 x height x width) as small grey pictures, N x side x side."""
    return np.array([shrunk(stretched(field), side) for field in fields])


def data_uri(grey: npt.NDArray[np.uint8], kind: str) -> str:
    """A picture, height x width, as an address that holds the picture itself; ``kind``: "png" or "jpeg"."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, kind, quality=75, optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def look_of(number: int) -> dict[str, Any]:
    """Colour and marker of a figure's series, counted from 0."""
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(number: float | np.number, form: str) -> str:
    """A number as prose and tables show it: "−0.05" (".2f"), "93.4 %" (".1%"), "8 × 10⁻¹¹" (".0e")."""
    digits, _, power = format(number, form).partition("e")
    text = digits.replace("-", "−").replace("%", "\N{NO-BREAK SPACE}%")
    return f"{text} × 10{str(int(power)).translate(_RAISED)}" if power else text


def estimated(found: Interval, form: str, times: float = 1) -> str:
    """An estimate with its interval, in units of 1 / ``times``: "0.95 (0.91 to 0.98)"."""
    estimate, low, high = (typeset(times * end, form) for end in (found.estimate, found.low, found.high))
    return f"{estimate} ({low} to {high})"


def ends(found: Interval) -> str:
    """Both ends of an interval, as tables show them."""
    return f"{found.low:.3f} to {found.high:.3f}"
