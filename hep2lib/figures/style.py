"""One look for the whole book: colours that everybody can tell apart, letters that a phone can show.

A figure is at most 7 inches wide, with letters of 9 points or more: it can be read at 390 CSS pixels and
in print. What a colour says, a marker, a line or a word says too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

COLOURS = sns.color_palette("colorblind")
"""Told apart by people with any form of colour blindness."""


MARKERS = "os^DvP"
"""One with each colour, for who sees no colours at all."""


POSITIVE, NEGATIVE = COLOURS[2], COLOURS[1]
"""The two labels."""


INK, GREY, LIGHT, PAPER = "black", "grey", "#d9d9d9", "white"
"""What says no more than that it is there: marks, lines beside the matter, areas, and the ground."""


FRAME = COLOURS[3]
"""Around one cell of a map."""


PART_COLOURS = {"train": "#c9d7e8", "validation": "#ecb45a", "test": "#1f3b70"}
"""The parts of a fold."""


SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
"""Maps of values that rise, and of values on both sides of zero."""


_STYLE: Any = {
    "axes.grid": True,
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
    """The book's look, inside the block only."""
    with plt.rc_context({**_STYLE, "axes.prop_cycle": plt.cycler(color=COLOURS)}):
        yield
