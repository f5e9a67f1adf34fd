"""What a layout's reader listed, checked entry by entry: the table, or every problem that is in the way."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from hep2lib.data.decoding import Header, read_header
from hep2lib.data.files import MissingImage
from hep2lib.data.layouts import Entry, Listing
from hep2lib.data.problems import DatabaseError, counted, some
from hep2lib.progress import progress

_TEXT = ("pattern", "intensity", "laboratory", "instrument", "sex")


@dataclass(slots=True)
class Checked:
    """The entries that passed, and what was wrong with the others.

    Attributes:
        rows: one dictionary an image, the columns of the table.
        headers: the image headers, in the same order.
        problems: one sentence each.
        missing: how many files were not there.
    """

    rows: list[dict[str, object]] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: int = 0


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
    for entry in progress(listing.entries, "checking images", unit="image"):
        row, wrong = _words(entry, listing, specimen_pattern)
        if entry.image and entry.image in names:
            wrong.append(
                f"{entry.image!r} is listed already, at {names[entry.image]}; delete one of the two rows"
            )
        elif entry.image:
            names[entry.image] = entry.place
            try:
                path = entry.path or listing.folder.find(entry.image)
                if path in files:
                    wrong.append(f"{entry.image!r} is the same file as the image at {files[path]}")
                files.setdefault(path, entry.place)
                header = read_header(path)
            except DatabaseError as error:
                checked.missing += isinstance(error, MissingImage)
                wrong.append(str(error))
        if wrong:
            checked.problems += [f"{entry.place}: {text}" for text in wrong]
        else:
            checked.rows.append({**row, "path": str(path.resolve())})
            checked.headers.append(header)
    return checked


def _words(
    entry: Entry, listing: Listing, specimen_pattern: re.Pattern[str] | None
) -> tuple[dict[str, object], list[str]]:
    """Check what an entry says: (columns of the table, problems)."""
    wrong = []
    if not entry.image:
        wrong.append("the image's file name is empty")
    meaning = listing.read_label(entry.label)
    if meaning is None:
        said = f"the label {entry.label!r} is not understood" if entry.label else "the label is empty"
        wrong.append(f"{said}; it may be {listing.expected}")
    specimen = entry.specimen
    if specimen_pattern is not None:
        found = specimen_pattern.search(entry.image)
        specimen = _group(found).strip() if found else ""
        if not specimen and entry.image:
            wrong.append(
                f"specimen_pattern {specimen_pattern.pattern!r} finds no specimen in {entry.image!r}"
            )
    elif not specimen:
        wrong.append("the specimen is empty")
    label, intensity = meaning or (0, "")
    row: dict[str, object] = {"image": entry.image, "label": label, "specimen": specimen, **entry.known}
    if intensity and row.get("intensity") in (None, "", entry.label):
        row["intensity"] = intensity  # the label names it, and no column of its own says more
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
    problems = list(checked.problems)
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


def warnings_of(listing: Listing, table: pd.DataFrame, headers: list[Header]) -> list[str]:
    """Collect what a person should know of a database that can be used all the same."""
    listed = {Path(path) for path in table["path"]}
    others = [p for p in listing.folder.images() if p.resolve() not in listed and p not in listing.skipped]
    warnings = list(listing.remarks)
    if others:
        names = some(path.relative_to(listing.folder.folder).as_posix() for path in others)
        warnings.append(f"{counted(len(others), 'image')} in the folder not listed, hence left out: {names}")
    spelt: defaultdict[str, set[str]] = defaultdict(set)
    for specimen in table["specimen"]:
        spelt[re.sub(r"[\s_\-.]+", "", specimen).casefold()].add(specimen)
    for spellings in spelt.values():
        if len(spellings) > 1:
            same = ", ".join(map(repr, sorted(spellings)))
            warnings.append(
                f"specimens {same} differ only in case, spaces or separators: one person or several?"
            )
    several = [name for name, header in zip(table["image"], headers, strict=True) if header.frames > 1]
    if several:
        warnings.append(
            f"only the first image is read of {counted(len(several), 'file')} with more: {some(several)}"
        )
    return warnings
