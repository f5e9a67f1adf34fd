"""One progress bar for every step that a person would otherwise wait for in the dark."""

import os
import sys
import weakref
from collections.abc import Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

DELAY = 1  # seconds after which a bar appears: what is done at once needs none
_bars: "weakref.WeakSet[tqdm[Any]]" = weakref.WeakSet()
_said: set[str] = set()


def progress_bar(
    *,
    total: int | None,
    description: str,
    unit: str = "it",
    initial: int = 0,
    items: Iterable[Any] | None = None,
) -> "tqdm[Any]":
    """A bar on stderr that shows how much is done and the time left; use it as a context manager.

    With ``HEP2_PROGRESS=0`` in the environment nothing is drawn; on a stderr that is no terminal (a log file)
    a line is written every ten seconds instead of ten a second. Of ``total`` units (None if unknown)
    ``initial`` are done already; the bar is moved by hand, or by iterating over it, which yields ``items``.
    """
    bar = tqdm(
        items,
        desc=description,
        total=total,
        unit=unit,
        initial=initial,
        mininterval=0.1 if sys.stderr.isatty() else 10.0,
        delay=DELAY,
        dynamic_ncols=True,
        disable=os.environ.get("HEP2_PROGRESS") == "0",
    )
    _bars.add(bar)
    return bar


def progress(
    items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it"
) -> Iterator[Item]:
    """Yield ``items`` unchanged while a bar shows how far they are; ``total`` where they have no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    return iter(progress_bar(total=total, description=description, unit=unit, items=items))


def note_once(text: str) -> None:
    """Say something on stderr that a person has to know; a second time is one too many."""
    if text not in _said:
        _said.add(text)
        tqdm.write(text, file=sys.stderr)


def close_bars() -> None:
    """End the line of every bar that an error or an interruption left open: a message follows."""
    for bar in list(_bars):
        bar.close()
