"""Ground-truth sheets (xls, xlsx, csv) as rows of text, whatever program wrote them."""

import csv
import datetime
import functools
import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineWorkbook

from hep2lib.errors import DatabaseError

SHEET_SUFFIXES = (".xls", ".xlsx", ".xlsm", ".csv", ".tsv", ".txt")
_LARGEST_SHEET = 256 * 2**20
_MOST_CELLS = 2_000_000
_CELL = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["'][^<>]*(?<!/)>""")  # and not empty
_DELIMITERS = (",", ";", "\t", "|")
Grid = list[list[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a workbook, or a whole csv file.

    Attributes:
        name: the page's name in the workbook, "" for a csv file.
        rows: the cells as stripped text, "" where empty, rows[0] being row 1 of the sheet; all rows are of
            the same length.
    """

    name: str
    rows: Grid


def read_pages(path: Path) -> list[Page]:
    """Read every page of a sheet as text; the contents, not the extension, decide how.

    Args:
        path: a file written by a spreadsheet program (xls, xlsx) or a text table separated by comma,
            semicolon, tab or bar, in UTF-8 or UTF-16 (with or without a byte-order mark) or Windows-1252.

    Returns:
        The pages that hold anything; at least one.

    Raises:
        DatabaseError: the file is missing, empty, damaged, encrypted, too large or no table.
    """
    try:
        if not path.is_file():
            raise DatabaseError(f"{path}: no such sheet")
        if path.stat().st_size > _LARGEST_SHEET:
            raise DatabaseError(
                f"{path}: larger than {_LARGEST_SHEET // 2**20} MiB, which no ground truth is"
            )
        content = path.read_bytes()
    except OSError as error:
        raise DatabaseError(f"{path}: the sheet cannot be read ({error.strerror or error})") from error
    workbook = content.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04"))
    pages = _workbook_pages(path, content) if workbook else [Page("", _text_rows(path, content))]
    pages = [page for page in pages if any(any(row) for row in page.rows)]
    if not pages:
        raise DatabaseError(f"{path}: the sheet is empty")
    return pages


def _workbook_pages(path: Path, content: bytes) -> list[Page]:
    """Read an xls (compound file) or xlsx (zip) workbook."""
    try:
        if content.startswith(b"PK"):
            _check_archive(path, content)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        pages = [(name, workbook.get_sheet_by_name(name)) for name in workbook.sheet_names]
        for _, page in pages:
            _check_extent(path, page.total_height, page.total_width)
        return [
            Page(
                name, _even([[_text(cell) for cell in row] for row in page.to_python(skip_empty_area=False)])
            )
            for name, page in pages
        ]
    except BaseException as error:
        # A panic of calamine, which a truncated workbook provokes, is no Exception but a BaseException.
        if isinstance(error, (DatabaseError, KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise DatabaseError(
            f"{path}: the workbook is damaged, encrypted or no workbook ({error}); open it in a spreadsheet "
            "program and save it again, as xlsx or csv"
        ) from error


def _check_archive(path: Path, content: bytes) -> None:
    """Check an xlsx before it is read: calamine makes room for all cells up to the last, however far out.

    Raises:
        DatabaseError: it would unpack to too much, or has a cell far from the others.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_SHEET:
            raise DatabaseError(f"{path}: unpacks to {size // 2**20} MiB, which no ground truth does")
        names = [name for name in archive.namelist() if name.casefold().endswith(".xml")]
        if "xl/workbook.xml" not in (name.casefold() for name in names):
            raise ValueError("no xl/workbook.xml in it")
        for name in names:
            cells = [
                (int(row), functools.reduce(lambda number, letter: 26 * number + letter - 64, column, 0))
                for column, row in _CELL.findall(archive.read(name))
            ]
            height, width = (max((cell[axis] for cell in cells), default=0) for axis in (0, 1))
            _check_extent(path, height, width)


def _check_extent(path: Path, height: int, width: int) -> None:
    """Refuse a table larger than any ground truth."""
    if height * width > _MOST_CELLS:
        raise DatabaseError(
            f"{path}: something stands in row {height:,} and in column {width:,}, which no ground truth has; "
            "delete what is far from the table"
        )


def _text(cell: object) -> str:
    """Write a cell as a person reads it: whole numbers without a fraction, no surrounding spaces."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime.datetime, datetime.date, datetime.time)):
        return cell.isoformat()
    return " ".join(str(cell).split())


def _text_rows(path: Path, content: bytes) -> Grid:
    """Read a text table."""
    text = _decoded(path, content)
    lines = text.splitlines()
    delimiter = None
    if lines and lines[0].strip().casefold().startswith("sep=") and len(lines[0].strip()) == 5:
        delimiter = lines[0].strip()[4]  # Excel's own way of saying it, which is no row of the table
        lines[0] = ""
        text = "\n".join(lines)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(lines)))
    except csv.Error as error:
        raise DatabaseError(f"{path}: not a table of separated values ({error})") from error
    _check_extent(path, len(rows), max((len(row) for row in rows), default=0))
    return _even([[_text(cell) for cell in row] for row in rows])


def _decoded(path: Path, content: bytes) -> str:
    """Turn the bytes of a text table into text."""
    encodings: tuple[str, ...] = ("utf-8-sig", "cp1252")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    elif b"\0" in content[:2]:  # two bytes a character, and no byte-order mark
        encodings = ("utf-16-be",) if content[0] == 0 else ("utf-16-le",)
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            row = text.count("\n", 0, text.index("\0")) + 1
            raise DatabaseError(
                f"{path}, row {row}: a NUL character, so this is neither a workbook nor a text table; "
                "save it again as xlsx or csv"
            )
        if text.lstrip().casefold().startswith(("<!doctype", "<html", "<?xml")):
            raise DatabaseError(f"{path}: a web page, not a table; save it as xlsx or csv")
        return text
    raise DatabaseError(f"{path}: neither a workbook nor a text table")


def _delimiter(lines: list[str]) -> str:
    """Choose the separator that cuts the first lines into the most columns, equally many in most lines."""

    def quality(delimiter: str) -> tuple[int, int]:
        sample = [line for line in lines[:50] if line.strip()]
        widths = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter))
        width, frequency = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (frequency if width > 1 else 0, width)

    return max(_DELIMITERS, key=quality)


def _even(rows: Grid) -> Grid:
    """Fill short rows with empty cells."""
    width = max((len(row) for row in rows), default=0)
    return [row + [""] * (width - len(row)) for row in rows]
