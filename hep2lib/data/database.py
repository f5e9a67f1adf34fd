"""A folder of images and a sheet become one checked table."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from hep2lib.data.checks import check_entries, make_table, raise_problems
from hep2lib.data.contests import contest_sheets, read_i3a, read_mivia
from hep2lib.data.decoding import Header, largest_value, quietly
from hep2lib.data.labels import fluorescence
from hep2lib.data.layouts import Listing, Options, read_aida, read_class_folders, read_manifest
from hep2lib.data.remarks import remarks
from hep2lib.data.sheets import SHEET_SUFFIXES
from hep2lib.errors import DatabaseError
from hep2lib.files import cores
from hep2lib.progress import progress

__all__ = ["LAYOUTS", "DatabaseError", "database_checksum", "file_checksum", "read_database"]

LAYOUTS: dict[str, Callable[[Path, Options], Listing]] = {
    "aida": read_aida,
    "manifest": read_manifest,
    "folders": read_class_folders,
    "mivia": read_mivia,
    "i3a": read_i3a,
}


def read_database(
    path: str | Path,
    *,
    sheet: str | Path | None = None,
    images: str | Path | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    specimen_column: str | None = None,
    pattern_column: str | None = None,
    specimen_pattern: str | None = None,
    layout: str | None = None,
    bit_depth: int | None = None,
) -> pd.DataFrame:
    """Read a database folder into a table, one row an image, in the sheet's order.

    Args:
        path: the folder, or a sheet beside its images.
        sheet: the ground-truth sheet (xls, xlsx, csv), absolute or relative to the folder.
        images: the image folder, absolute or relative to the folder.
        image_column: header of the column of file names, where it is not found by itself.
        label_column: header of the positive/negative column.
        specimen_column: header of the specimen (patient, well) column.
        pattern_column: header of the staining pattern column.
        specimen_pattern: regular expression that finds the specimen in an image's name: its group
            "specimen", else its first group, else the whole match. Only used when given, and then before any
            column.
        layout: "aida", "manifest", "folders", "mivia" or "i3a"; found out if None.
        bit_depth: bits that the 16-bit images of this database use (9 to 16); measured if None.

    Returns:
        A table with a RangeIndex and the columns ``image`` (str, unique: the name as listed), ``path`` (str,
        absolute), ``label`` (int8: 1 positive, 0 negative), ``specimen`` (str), ``pattern`` (str, "" if
        unknown) and, where the sheet has them, ``intensity``, ``laboratory``, ``instrument``, ``sex`` (str,
        "" if unknown) and ``age`` (float, NaN if unknown). Its ``attrs``: ``name`` (str), ``simulated``
        (bool), ``layout`` (str), ``classes`` (list of str: what 0 and 1 mean), ``folder`` (str),
        ``bit_depth`` (int, 8 if no image has more), ``places`` (dict: image to where the sheet lists it) and
        ``warnings`` (list of str).

    Raises:
        DatabaseError: it cannot be used; the message holds every problem that was found, with file and row.
    """
    root = Path(path).expanduser()
    if not os.path.lexists(root):
        raise DatabaseError(
            f"{root}: no such folder; give the folder of a database, or run `hep2 simulate` to write one"
        )
    options = Options(
        sheet=Path(sheet).expanduser() if sheet is not None else None,
        images=Path(images).expanduser() if images is not None else None,
        image_column=image_column,
        label_column=label_column,
        specimen_column=specimen_column,
        pattern_column=pattern_column,
        specimen_pattern=_compiled(specimen_pattern),
    )
    simulation = _simulation(root)
    try:
        listing = _reader(root, options, layout)(root, options)
    except OSError as error:
        raise DatabaseError(
            f"{error.filename or root}: cannot be read ({error.strerror or error})"
        ) from error
    checked = check_entries(listing, options.specimen_pattern)
    raise_problems(checked, listing, root)
    table = make_table(checked)
    name = simulation or f"{root.resolve().name} ({listing.layout})"
    table.attrs = {
        "name": name,
        "simulated": simulation is not None,
        "layout": listing.layout,
        "classes": list(listing.classes),
        "folder": str(listing.folder.folder.resolve()),
        "bit_depth": _bit_depth(table, checked.headers, bit_depth),
        "places": {row["image"]: place for row, place in zip(checked.rows, checked.places, strict=True)},
        "warnings": remarks(listing, table, checked.headers),
    }
    return table


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DatabaseError(f"specimen_pattern {pattern!r} is no regular expression: {error}") from error


def _simulation(root: Path) -> str | None:
    """Name the simulated database that ``simulation.json`` tells of, None where there is no such file."""
    path = (root if root.is_dir() else root.parent) / "simulation.json"
    if not path.is_file():
        return None
    try:
        parameters: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "name" in parameters:
            return str(parameters["name"])
        return f"simulated database ({parameters['specimens']} specimens, seed {parameters['seed']})"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(
            f"{path}: damaged ({error}); write the database anew with `hep2 simulate`"
        ) from error


def _reader(root: Path, options: Options, layout: str | None) -> Callable[[Path, Options], Listing]:
    """Choose the layout's reader: the one that was named, else by what lies in the folder."""
    if layout is not None:
        if layout not in LAYOUTS:
            raise DatabaseError(f"layout {layout!r} is unknown; it may be {', '.join(LAYOUTS)}")
        return LAYOUTS[layout]
    if not root.is_dir():
        if root.suffix.casefold() not in SHEET_SUFFIXES:
            raise DatabaseError(f"{root}: neither a folder nor a sheet ({', '.join(SHEET_SUFFIXES)})")
        return read_manifest
    here = sorted(root.iterdir())
    truths = [p for p in here if "groundtruth" in re.sub(r"[^a-z]", "", p.name.casefold())]
    if truths or any(p.name.casefold() == "aida_project_database" for p in here):
        return read_aida
    if options.sheet is None and contest_sheets(root):
        raise DatabaseError(f"{root}: looks like a contest's database; say layout='mivia' or layout='i3a'")
    folders = any(p.is_dir() and fluorescence(p.name) is not None for p in here)
    if folders and options.sheet is None and not any(p.suffix.casefold() in SHEET_SUFFIXES for p in here):
        return read_class_folders
    return read_manifest


def _bit_depth(table: pd.DataFrame, headers: list[Header], known: int | None) -> int:
    """Find how many bits the 16-bit images of a database use: one number for all, 8 where there are none."""
    if known is not None and not 9 <= known <= 16:
        raise DatabaseError(f"bit_depth {known}: 16-bit images use 9 to 16 bits")
    wide = [Path(p) for p, header in zip(table["path"], headers, strict=True) if header.bits == 16]
    if not wide:
        return 8
    return known if known is not None else measured_bit_depth(wide)


def measured_bit_depth(paths: list[Path]) -> int:
    """Measure how many bits the 16-bit images of a database use.

    Args:
        paths: image files; those of 8 bits are passed over.

    Returns:
        The smallest of 9 to 16 bits that hold the largest value of them all.

    Raises:
        DatabaseError: an image cannot be read.
    """
    with quietly(), ThreadPoolExecutor(cores()) as pool:
        values = list(
            progress(pool.map(largest_value, paths), "measuring bit depth", total=len(paths), unit="image")
        )
    return min(max(max(values, default=0).bit_length(), 9), 16)


def file_checksum(path: str | Path) -> str:
    """Compute the sha256 of a file's contents, in hexadecimal digits.

    Raises:
        DatabaseError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror or error})") from error


def database_checksum(database: pd.DataFrame) -> str:
    """Compute one checksum of what a study sees of a database.

    Args:
        database: a table as `read_database` returns it, or some of its rows.

    Returns:
        The sha256, in hexadecimal digits, over the file contents, labels and specimens. The order of the
        rows, the names of the files and the place of the folder do not matter.

    Raises:
        DatabaseError: an image cannot be read.
    """
    paths = list(database["path"])
    with ThreadPoolExecutor(cores()) as pool:
        contents = list(progress(pool.map(file_checksum, paths), "checksums", total=len(paths), unit="image"))
    facts = zip(contents, database["label"], database["specimen"], strict=True)
    lines = sorted(json.dumps([content, int(label), str(specimen)]) for content, label, specimen in facts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
