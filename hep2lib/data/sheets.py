"""A ground-truth sheet as text: its pages, its header and columns, and what its words mean."""

import csv
import datetime
import functools
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineWorkbook

from hep2lib.errors import DatabaseError

_POSITIVE = frozenset(
    ("positive", "pos", "p", "+", "1", "yes", "y", "true", "t", "positivo", "positiva", "si", "sì")
)
_NEGATIVE = frozenset(("negative", "neg", "n", "-", "0", "no", "false", "f", "negativo", "negativa"))
_WEAK = frozenset(
    (
        *("weak", "weak positive", "weakly positive", "weak pos", "positive weak", "low positive"),
        *("faint positive", "debole", "debolmente positivo", "debolmente positiva"),
        *("positivo debole", "positiva debole"),
    )
)
_GRADE = re.compile(r"(?:([1-4])\s*\+|\+\s*([1-4])|(\+{2,4}))")


def fluorescence(word: str) -> tuple[int, str] | None:
    """Read a cell that says positive or negative: in English or Italian, by number, sign or grade (1+ to 4+).

    Returns:
        The label (1 positive, 0 negative) and the intensity that the cell itself names: "weak" of a weak
        positive, which counts as positive, "1+" to "4+", or "". None where the cell says neither; a
        borderline "+/-" is such a cell, because only a reader can settle it.
    """
    plain = " ".join(re.sub(r"[_\-–—/()]+(?=\w)|(?<=\w)[_\-–—/()]+", " ", word.casefold()).split())
    plain = re.sub(r"\.0+$", "", plain)
    if plain in _POSITIVE:
        return 1, ""
    if plain in _NEGATIVE:
        return 0, ""
    if plain in _WEAK:
        return 1, "weak"
    grade = _GRADE.fullmatch(plain)
    if grade:
        return 1, f"{grade[1] or grade[2] or len(grade[3])}+"
    return None


def positive_or_intermediate(word: str) -> tuple[int, str] | None:
    """Read the intensity of the MIVIA and I3A databases, which hold no negative specimen.

    Returns:
        1 and "positive", 0 and "intermediate" (of either word or its beginning), or None for anything else.
        The label 0 therefore means "intermediate intensity" there, never "negative".
    """
    plain = word.casefold().strip()
    for label, meaning in ((1, "positive"), (0, "intermediate")):
        if plain and meaning.startswith(plain):
            return label, meaning
    return (0, "intermediate") if plain in _WEAK else None


SHEET_SUFFIXES = (".xls", ".xlsx", ".xlsm", ".csv", ".tsv", ".txt")
_LARGEST_SHEET = 256 * 2**20
_MOST_CELLS = 2_000_000
_CELL = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["'][^<>]*(?<!/)>""")  # and not empty
_DELIMITERS = (",", ";", "\t", "|")
Page = list[list[str]]
"""The cells as stripped text, "" where empty, all rows of one length; the first is row 1 of the sheet."""


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
    pages = _workbook_pages(path, content) if workbook else [_text_rows(path, content)]
    pages = [page for page in pages if any(any(row) for row in page)]
    if not pages:
        raise DatabaseError(f"{path}: the sheet is empty")
    return pages


def _workbook_pages(path: Path, content: bytes) -> list[Page]:
    """Read an xls (compound file) or xlsx (zip) workbook."""
    try:
        if content.startswith(b"PK"):
            _check_archive(path, content)
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        pages = [workbook.get_sheet_by_name(name) for name in workbook.sheet_names]
        for page in pages:
            _check_extent(path, page.total_height, page.total_width)
        return [_page(page.to_python(skip_empty_area=False)) for page in pages]
    except BaseException as error:
        # A panic of calamine, which a truncated workbook provokes, is no Exception but a BaseException.
        if isinstance(error, (DatabaseError, KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise DatabaseError(
            f"{path}: the workbook is damaged, encrypted or no workbook ({error}); open it in a spreadsheet "
            "program and save it again, as xlsx or csv"
        ) from error


def _check_archive(path: Path, content: bytes) -> None:
    """Check an xlsx before it is read: calamine makes room for all cells up to the last, however far out."""
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


def _page(rows: Sequence[Sequence[object]]) -> Page:
    """Write all cells as text, and fill short rows with empty ones."""
    width = max((len(row) for row in rows), default=0)
    return [[_text(cell) for cell in row] + [""] * (width - len(row)) for row in rows]


def _text(cell: object) -> str:
    """Write a cell as a person reads it: whole numbers without a fraction, no surrounding spaces."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime.datetime, datetime.date, datetime.time)):
        return cell.isoformat()
    return " ".join(str(cell).split())


def _text_rows(path: Path, content: bytes) -> Page:
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
    return _page(rows)


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


# Headers as `simplified` leaves them, the most telling first. Of AIDA's sheet two are known,
# ImageFileName and StainingPatterns; the others are names that such a column would obviously have.
CANDIDATES: dict[str, list[str]] = {
    role: names.split()
    for role, names in {
        "image": "imagefilename imagefile imagename filename image imageid file img imagepath filepath path "
        "immagine nomefile",
        "label": "label positivenegativefluorescence fluorescencepositivenegative positivenegative posneg "
        "fluorescence fluorescenceresult fluorescenceintensity class classlabel result target intensityclass "
        "fluorescenza esito classe intensity",
        "specimen": "specimen specimenid idspecimen patient patientid idpatient patientcode sample sampleid "
        "idsample serum serumid sera well wellid subject subjectid case caseid group paziente idpaziente "
        "campione siero pozzetto",
        "pattern": "stainingpatterns stainingpattern patterns pattern anapattern icappattern icap "
        "cellpattern mainpattern imagepattern pattern1",
        "intensity": "intensity intensitygrade intensitylevel grade fluorescenceintensity intensita",
        "laboratory": "laboratory lab laboratoryid centre center site hospital laboratorio",
        "instrument": "instrument acquisitioninstrument instrumentid microscope scanner device camera "
        "strumento acquisitionsystem",
        "age": "age patientage agepatient eta",
        "sex": "sex gender patientsex sesso",
    }.items()
}


def simplified(header: str) -> str:
    """Reduce a header to its letters and digits: "Image File-Name " and "imagefilename" are the same."""
    plain = unicodedata.normalize("NFKD", header)
    return re.sub(r"[^0-9a-z]+", "", "".join(c for c in plain if not unicodedata.combining(c)).casefold())


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet whose header row was found.

    Attributes:
        path: the file.
        headers: the column headers as they are written.
        rows: (row number as a spreadsheet program shows it, cells) of each row that is not empty.
        columns: role ("image", "label", "specimen", ...) to column number.
        remarks: what a person should know about how the columns were chosen.
    """

    path: Path
    headers: tuple[str, ...]
    rows: list[tuple[int, list[str]]]
    columns: dict[str, int]
    remarks: tuple[str, ...]

    def cell(self, row: Sequence[str], role: str) -> str:
        """Give the cell that plays a role in a row, "" where no column does."""
        return row[self.columns[role]] if role in self.columns else ""

    def require(self, roles: Mapping[str, str]) -> None:
        """Check that roles have their columns; ``roles`` holds what is to be said besides where one has none.

        Raises:
            DatabaseError: roles without a column, with the columns there are and the option to give.
        """
        listed = ", ".join(repr(header) for header in self.headers if header)
        problems = [
            f"{self.path}: no column for the {role} was found{why}; the sheet has {listed}: say which with "
            f"{role}_column=..."
            for role, why in roles.items()
            if role not in self.columns
        ]
        if problems:
            raise DatabaseError(problems, str(self.path))


def read_sheet(path: Path, options: Mapping[str, str | None]) -> Sheet:
    """Read a sheet and find its columns.

    The header is looked for in the first ten rows, because titles and merged cells may stand above it; of a
    header that takes two rows the lower cell counts, or the upper one where the lower is empty.

    ``options`` holds the headers that the person gave, by role (None: find it).

    Raises:
        DatabaseError: not a readable sheet, a column given does not exist, two columns have one header.
    """
    given = {role: name for role, name in options.items() if name is not None}
    wanted = set(map(simplified, given.values())).union(*CANDIDATES.values())
    headed = [_headed(page, wanted) for page in read_pages(path)]
    _, headers, first, page = max(headed, key=lambda found: found[0])
    rows = [(number, row) for number, row in enumerate(page, 1) if number > first and any(row)]
    if not rows:
        raise DatabaseError(f"{path}: the sheet has a header and no rows")
    columns, remarks = _columns(path, headers, given)
    return Sheet(path, tuple(headers), rows, columns, tuple(remarks))


def _headed(page: Page, wanted: set[str]) -> tuple[int, list[str], int, Page]:
    """Find the header of a page: (known columns, headers, rows down to the header's last, the page)."""
    best: tuple[int, list[str], int, Page] = (-1, [], 0, page)
    for index, row in enumerate(page[:10]):
        lower = page[index + 1] if index + 1 < len(page) else row
        merged = [below or above for above, below in zip(row, lower, strict=True)]
        for headers, last in ((row, index + 1), (merged, index + 2)):
            known = sum(simplified(header) in wanted for header in headers)
            if any(headers) and known > best[0]:
                best = (known, headers, last, page)
    return best


def _columns(path: Path, headers: list[str], given: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Give each role its column: the one named by an option, else the first that its candidates name."""
    names = [simplified(header) for header in headers]
    columns: dict[str, int] = {}
    alternatives: dict[str, list[int]] = {}
    for role, candidates in CANDIDATES.items():
        if role in given:
            columns[role] = _named(path, headers, role, given[role])
            continue
        taken = {columns[other] for other in columns if (other, role) != ("label", "intensity")}
        found = [i for name in candidates for i, n in enumerate(names) if n == name and i not in taken]
        if not found:
            continue
        if names.count(names[found[0]]) > 1:
            raise DatabaseError(f"{path}: two columns are called {headers[found[0]]!r}; rename one of them")
        columns[role], alternatives[role] = found[0], found[1:]
    remarks = []
    for role in ("image", "label", "specimen"):
        unused = [headers[i] for i in alternatives.get(role, []) if i not in columns.values()]
        if unused:
            listed = ", ".join(map(repr, unused))
            remarks.append(f"{path.name}: {headers[columns[role]]!r} is taken for the {role} (not {listed})")
    return columns, remarks


def _named(path: Path, headers: list[str], role: str, name: str) -> int:
    """Find the column that an option names: as written, else whatever its case, spaces and separators."""
    for equal in (lambda header: header == name, lambda header: simplified(header) == simplified(name)):
        found = [index for index, header in enumerate(headers) if header and equal(header)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DatabaseError(
                f"{path}: {len(found)} columns are called {name!r}; rename all but one of them"
            )
    listed = ", ".join(repr(header) for header in headers if header)
    raise DatabaseError(f"{path}: no column {name!r} ({role}); the sheet has {listed}")
