"""What a person should know of a database that can be used all the same."""

import re
from collections import defaultdict
from collections.abc import Iterator

import pandas as pd

from hep2lib.data.decoding import Header
from hep2lib.data.layouts import Listing
from hep2lib.errors import counted, some

_NO_PATTERN = re.compile(r"neg|ac-?0|none|no$|nessun|-$", re.IGNORECASE)


def remarks(listing: Listing, table: pd.DataFrame, headers: list[Header]) -> list[str]:
    """Collect what is odd about a database.

    Args:
        listing: what its layout's reader found.
        table: the checked table.
        headers: of the images, in the same order.

    Returns:
        One sentence each: files that are not listed, specimens that are spelt alike or have one image each,
        labels that a pattern contradicts, files with several images.
    """
    several = [name for name, header in zip(table["image"], headers, strict=True) if header.frames > 1]
    found = [
        *listing.remarks,
        *_unlisted(listing, table),
        *_specimens(table),
        *_contradictions(listing, table),
    ]
    if several:
        found.append(
            f"only the first image is read of {counted(len(several), 'file')} with more: {some(several)}"
        )
    return found


def _unlisted(listing: Listing, table: pd.DataFrame) -> Iterator[str]:
    listed = set(table["path"])
    others = [
        p for p in listing.folder.images() if str(p.resolve()) not in listed and p not in listing.skipped
    ]
    if others:
        names = some(path.relative_to(listing.folder.folder).as_posix() for path in others)
        verb = "is" if len(others) == 1 else "are"
        yield f"{counted(len(others), 'image')} in the folder {verb} not listed, hence left out: {names}"


def _specimens(table: pd.DataFrame) -> Iterator[str]:
    spelt: defaultdict[str, set[str]] = defaultdict(set)
    for specimen in table["specimen"]:
        spelt[re.sub(r"[\s_\-.]+", "", specimen).casefold()].add(specimen)
    for spellings in spelt.values():
        if len(spellings) > 1:
            same = ", ".join(map(repr, sorted(spellings)))
            yield f"specimens {same} differ only in case, spaces or separators: one or several?"
    for name in sorted({specimen for specimen in table["specimen"] if specimen.casefold() == "na"}):
        yield f"the specimen {name!r} may mean that it is not known: one patient, or several taken for one?"
    if table["specimen"].is_unique:
        yield "every specimen has one image: if the same patient appears twice, this is the wrong column"


def _contradictions(listing: Listing, table: pd.DataFrame) -> Iterator[str]:
    if listing.classes[0] != "negative":
        return
    named = table["pattern"] != ""
    absent = table["pattern"].map(lambda pattern: _NO_PATTERN.match(pattern) is not None)
    for label, odd, what in (
        ("positive", (table["label"] == 1) & absent, "a pattern that means negative"),
        ("negative", (table["label"] == 0) & named & ~absent, "a staining pattern"),
    ):
        if odd.any():
            images = table["image"][odd]
            yield f"{counted(len(images), f'{label} image')} with {what}: {some(images)}"
