"""What a layout's reader listed, checked entry by entry: the table, or every problem that is in the way."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hep2lib.data.decoding import Header, decode, quietly, read_header
from hep2lib.data.files import MissingImage
from hep2lib.data.layouts import Entry, Listing
from hep2lib.errors import DatabaseError, counted, printable, quoted, some
from hep2lib.files import cores
from hep2lib.progress import progress

_NOBODY = frozenset(
    (
        "nan",
        "n/a",
        "#n/a",
        "#na",
        "#ref!",
        "#name?",
        "#value!",
        "null",
        "none",
        "nil",
        "unknown",
        "?",
        "-",
    )
)
_TEXT = ("pattern", "intensity", "laboratory", "instrument", "sex")


@dataclass(slots=True)
class Checked:
    """The entries that passed, and what was wrong with the others.

    Attributes:
        rows: one dictionary an image, the columns of the table.
        places: where each of them is listed, for messages.
        headers: the image headers, in the same order.
        problems: one sentence each.
        missing: how many files were not there.
        unlabelled: how many labels were not understood.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: int = 0
    unlabelled: int = 0


def check_entries(listing: Listing, specimen_pattern: re.Pattern[str] | None) -> Checked:
    """Check every entry of a listing: names, labels, specimens, files and image headers.

    Args:
        listing: what a layout's reader found.
        specimen_pattern: what finds the specimen in an image's name; None to take the listed specimen.

    Returns:
        The rows of the table and all problems.
    """
    checked = Checked()
    names: dict[str, str] = {}
    files: dict[Path, str] = {}
    with quietly():
        for entry in progress(listing.entries, "checking images", unit="image"):
            row, wrong = _words(entry, listing, specimen_pattern)
            checked.unlabelled += "label" not in row
            if entry.image in names:
                first = names[entry.image]
                wrong.append(f"{quoted(entry.image)} is listed already, at {first}; delete one of the rows")
            elif entry.image:
                names[entry.image] = entry.place
                try:
                    path = _file(entry, listing, files)
                    header = read_header(path)
                except DatabaseError as error:
                    checked.missing += isinstance(error, MissingImage)
                    wrong.append(str(error))
            if wrong:
                checked.problems += [f"{entry.place}: {text}" for text in wrong]
            else:
                checked.rows.append({**row, "path": str(path)})
                checked.places.append(entry.place)
                checked.headers.append(header)
    return checked


def unreadable(paths: Sequence[str], places: Sequence[str]) -> list[str]:
    """Decode images to see whether that can be done: what is wrong with those where it cannot.

    Args:
        paths: their files.
        places: where they are listed.

    Returns:
        One problem an image that cannot be read.
    """

    def one(path: str) -> str | None:
        try:
            decode(Path(path), 16)  # whatever the depth, it only matters whether it works
        except DatabaseError as error:
            return str(error)
        return None

    with quietly(), ThreadPoolExecutor(cores()) as pool:
        found = progress(pool.map(one, paths), "decoding images", total=len(paths), unit="image")
        return [f"{place}: {wrong}" for place, wrong in zip(places, found, strict=True) if wrong is not None]


def _file(entry: Entry, listing: Listing, files: dict[Path, str]) -> Path:
    """Find an entry's file, with all links followed, and note that it is taken."""
    folder = listing.folder
    path = folder.inside(entry.path, entry.image) if entry.path else folder.find(entry.image)
    if path in files:
        raise DatabaseError(
            f"{quoted(entry.image)} is the same file as the image at {files[path]}; delete one of the rows"
        )
    files[path] = entry.place
    return path


def _words(
    entry: Entry, listing: Listing, specimen_pattern: re.Pattern[str] | None
) -> tuple[dict[str, object], list[str]]:
    """Check what an entry says: (columns of the table, problems)."""
    wrong = []
    if not entry.image:
        wrong.append("the image's file name is empty")
    if printable(entry.image) != entry.image:
        wrong.append(f"{quoted(entry.image)} holds characters that cannot be printed; rename the file")
    row: dict[str, object] = {"image": entry.image, **entry.known}
    meaning = listing.read_label(entry.label)
    if meaning is None:
        said = f"the label {quoted(entry.label)} is not understood" if entry.label else "the label is empty"
        wrong.append(f"{said}; it may be {listing.expected}")
    else:
        row["label"], intensity = meaning
        if intensity and entry.known.get("intensity", "") in ("", entry.label):
            row["intensity"] = intensity  # the label names it, and no column of its own says more
    specimen = entry.specimen
    if specimen_pattern is not None:
        found = specimen_pattern.search(entry.image)
        specimen = _group(found).strip() if found else ""
        if not specimen and entry.image:
            wrong.append(
                f"specimen_pattern {specimen_pattern.pattern!r} finds no specimen in {quoted(entry.image)}"
            )
    elif not specimen:
        wrong.append("the specimen is empty")
    if specimen.casefold() in _NOBODY:
        wrong.append(f"the specimen {specimen!r} names nobody; give each unknown one a name of its own")
    row["specimen"] = specimen
    return row, wrong


def _group(found: re.Match[str]) -> str:
    """Take the group "specimen", else the first group, else the whole match."""
    if "specimen" in found.re.groupindex:
        return found["specimen"] or ""
    return (found[1] if found.re.groups else found[0]) or ""


def raise_problems(checked: Checked, listing: Listing, root: Path) -> None:
    """Raise everything that is in the way of using the database.

    Raises:
        DatabaseError: any problem; no image at all; images of one class only.
    """
    if listing.entries and checked.missing == len(listing.entries):
        names = some((entry.image for entry in listing.entries), 3)
        raise DatabaseError(
            f"{listing.folder.folder}: none of the {counted(checked.missing, 'listed image')} is in this "
            f"folder ({names}); give the image folder with images=..."
        )
    if len(listing.entries) > 1 and checked.unlabelled == len(listing.entries):
        words = some(sorted({repr(entry.label) for entry in listing.entries}))
        raise DatabaseError(
            f"{listing.entries[0].place} and all others: no label is understood ({words}); a label may be "
            f"{listing.expected}; if it stands in another column, say which with label_column"
        )
    problems = list(checked.problems)
    if problems:  # whoever mends them wants to know of all
        problems += unreadable([str(row["path"]) for row in checked.rows], checked.places)
    labels = {row["label"] for row in checked.rows}
    if not problems and len(labels) < 2:
        only = "no images" if not labels else f"only images of label {labels.pop()}"
        problems.append(f"{root}: holds {only}; images of both classes are needed (1 positive, 0 negative)")
    if problems:
        raise DatabaseError(problems, str(root))


def make_table(checked: Checked) -> pd.DataFrame:
    """Make the table of the rows that passed, with the columns that are known."""
    table = pd.DataFrame(checked.rows)
    table["label"] = table["label"].astype("int8")
    table["pattern"] = table["pattern"].fillna("") if "pattern" in table else ""
    for column in _TEXT:
        if column in table:
            table[column] = table[column].fillna("").astype("str")
    if "age" in table:
        table["age"] = pd.to_numeric(table["age"], errors="coerce").astype("float64")
    order = ("image", "path", "label", "specimen", *_TEXT, "age")
    return table[[column for column in order if column in table]]
