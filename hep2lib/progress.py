"""One progress bar for every step that a person would otherwise wait for in the dark."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it"
) -> Iterator[Item]:
    """Yield ``items`` unchanged while a bar on stderr shows how far they are and the time left.

    Args:
        items: whatever is worked through.
        description: what is being done, in a few words ("decoding images").
        total: number of items, where ``items`` has no length.
        unit: what one item is called ("image", "trial").

    Returns:
        The same items. With ``HEP2_PROGRESS=0`` in the environment nothing is drawn; on a stderr that is
        no terminal (a log file) a line is written every ten seconds instead of ten a second.
    """
    if os.environ.get("HEP2_PROGRESS") == "0":
        return iter(items)
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return iter(tqdm(items, desc=description, total=total, unit=unit, mininterval=interval, dynamic_ncols=True))
