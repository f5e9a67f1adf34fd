"""A ground-truth sheet as text: its pages, its header and columns, and what its words mean."""

import csv
import datetime
import difflib
import functools
import io
import posixpath
import re
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from python_calamine import CalamineWorkbook, SheetVisibleEnum

from hep2lib.data.images import unread_kind
from hep2lib.errors import DatabaseError, counted, quoted, some

_MEANINGS = (  # of the words that `_plain` leaves, in English and Italian
    (1, "", r"pos(itiv(es?|[aio]))?( \(\+\))?|p|\+|1|y(es)?|t(rue)?|s[iì]"),
    (0, "", r"neg(ativ(es?|[aio]))?( \(-\))?|n|-|\(-\)|0|-1|no|f(alse)?"),
    (1, "weak", r"weak( pos(itive)?)?|(weakly|low|faint) positive|positive weak"),
    (1, "weak", r"debole|debolmente positiv[aeio]|positiv[ao] debole|positiv[ei] deboli"),
)
_GRADE = re.compile(r"([1-4])\s*\+|\+\s*([1-4])|(\+{2,4})")
_WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))(?:\.0*|,0+)?(?:e[+-]?0+)?")  # 1, 1.0, 1,0 and 1.000e+00 are 1
_NO_PATTERN = re.compile(
    r"((^| \(?)(ac ?0+|negative|neg)\b\)?)+|(no|nessuna?) (pattern|staining|fluorescence|quadro|fluorescenza)"
)
# What names no pattern in a column of patterns: a doubt, a gap, or some kind of "negative".
_DOUBTFUL = re.compile(
    r"[?±#<≤]|^-\d|^\W*0+\W*$|\+ ?/? ?-|- ?/? ?\+|\bneg|\bac ?0+\b|\bnon?\b|\bnot\b|\bnessun|without|absen|"
    r"\bsenza\b|assent|fals|border|\blimite\b|equivoc|determin|certain|\bincert|doubt|dubbi|inconclus|"
    r"unclear|unknown|pending|in corso|missing|mancan|invalid|insuffic|exclud|esclus|error|blank|normal|"
    r"healthy|\bsan[oa]\b|control|\b(n[. ]?[adt]|nan|null|none|nil|tbd|todo)\b"
)


def _plain(word: str) -> str:
    """Make words equal that mean one label: case, blanks and separators go, but never a sign ("p-")."""
    plain = " ".join(unicodedata.normalize("NFKC", word).replace("_", " ").split()).casefold()
    plain = re.sub("[\u2212\u2010]|[\u2013\u2014](?=\\d)", "-", plain)
    number = _WHOLE.fullmatch(plain)
    if number:
        return str(int(number[1]))
    plain = re.sub(r"(?<=\w) ?\((\w[^()]*)\)", r" \1", plain)  # positive (weak)
    plain = re.sub(r"(?<=[^\W\d])\.$", "", plain)  # neg.
    return re.sub(r"(?<=\w) ?[/\u2013\u2014-]+ ?(?=\w)", " ", plain)


def fluorescence(word: str) -> tuple[int, str] | None:
    """Read a cell that says positive or negative: in English or Italian, by number, sign or grade (1+ to 4+).

    Returns:
        The label (1 positive, 0 negative; a weak positive is positive) and the intensity that the cell itself
        names: "weak", "1+" to "4+", or "". None where the cell says neither, or is borderline ("+/-").
    """
    grade = _GRADE.fullmatch(" ".join(unicodedata.normalize("NFKC", word).split()))
    if grade:
        return 1, f"{grade[1] or grade[2] or len(grade[3])}+"
    plain = _plain(word)
    return next(((label, named) for label, named, words in _MEANINGS if re.fullmatch(words, plain)), None)


def label_reader(
    words: Iterable[str], *, patterns: bool = False, negative: Sequence[str] = ()
) -> tuple[Callable[[str], tuple[int, str] | None], list[str]]:
    """Settle what the words of a whole label column mean, since some mean something only beside others.

    Args:
        words: the cells of the column.
        patterns: the person named the column: unless a cell says positive, staining patterns are positive
            beside a word for negative; never empty or doubtful cells, numbers or what resembles "negative".
        negative: what else means negative here, whatever its case, blanks and separators. Other words are
            positive then as if they were patterns, and so are titres and numbers from 0 on.

    Returns:
        What reads a word of the column as `fluorescence` does, and remarks for the person.

    Raises:
        DatabaseError: the words contradict one another, or none of them says negative.
    """
    counts = Counter(" ".join(word.split()) for word in words)
    plain = {word: _plain(word) for word in counts}
    listed = some((f"{quoted(word) if word else 'empty'} {n}" for word, n in counts.most_common()), 10)
    given = {_plain(word) for word in negative} - {""}
    if not given <= set(plain.values()):
        absent = some(word for word in negative if _plain(word) not in plain.values())
        raise DatabaseError(f"negative={absent!r}: no label is that; the labels are {listed}")
    read = {word: (0, "") if plain[word] in given else fluorescence(word) for word in counts}
    zero = {plain[word]: word for word, meaning in read.items() if meaning and not meaning[0]}
    unsure = zero.keys() & {"-1", "" if "+" in "".join(counts) else "-"}
    if unsure and len(zero) > 1 and not zero.keys() <= given:
        every = ",".join(sorted(zero.values(), reverse=True))  # a value that begins with "-" last
        raise DatabaseError(
            f"the labels are {listed}: where others say negative too, {unsure.pop()} may be borderline or "
            f"missing; give negative={every!r} if all of these are negative, else take the rows of one out"
        )
    if "-1" in zero:  # beside which +1 is no grade
        read |= {word: (1, "") for word in counts if plain[word] == "1"}
    others = [
        word
        for word in counts
        if not (read[word] or _DOUBTFUL.search(plain[word]))
        and re.search(r"\w" if given else r"[^\W\d]", word)
        and not difflib.get_close_matches(plain[word], ("negative", "negativo"), 1, 0.75)
    ]
    named = any(re.search(r"[^\W\d]", word) for word in others)
    remarks = []
    if given or (patterns and others and not any(meaning and meaning[0] for meaning in read.values())):
        read |= dict.fromkeys(others, (1, ""))
        said: tuple[list[str], list[str]] = [], []
        for word, meaning in read.items():
            if named and plain[word] in {"n", "f", "no"} - given:  # or nucleolar, or fine speckled
                read[word] = None
            elif meaning or _NO_PATTERN.fullmatch(plain[word]):
                label, _ = read[word] = meaning or (0, "")
                said[label].append(f"{quoted(word)} {counts[word]}")
        if not said[0]:
            gaps = ", and fill in the empty cells" if "" in counts else ""
            raise DatabaseError(f"no label says negative ({listed}): give negative='VALUE,VALUE'{gaps}")
        read_so = [some(found, 10) or "none" for found in said]
        remarks = [f"the labels are read so: {read_so[0]} negative; {read_so[1]} positive"]
    return lambda word: read.get(" ".join(word.split())), remarks


def positive_or_intermediate(word: str) -> tuple[int, str] | None:
    """Read the intensity of the MIVIA and I3A databases, which hold no negative specimen.

    Returns:
        1 and "positive", or 0 and "intermediate" (of either word or its beginning); None for anything else.
    """
    plain = word.casefold().strip()
    if plain and "positive".startswith(plain):
        return 1, "positive"
    weak = fluorescence(plain) == (1, "weak")
    return (0, "intermediate") if weak or (plain and "intermediate".startswith(plain)) else None


SHEET_SUFFIXES = (".xls", ".xlsx", ".xlsm", ".csv", ".tsv", ".txt")
_LARGEST_SHEET = 256 * 2**20
_MOST_CELLS = 2_000_000
_NAMES = ("image", "specimen")
_AROUND = re.compile(r"^[\s\ufeff\u200b-\u200f\u202a-\u202e]+|[\s\ufeff\u200b-\u200f\u202a-\u202e]+$")
_SHORTENED = re.compile(r"-?\d([.,]\d+)?E\+\d\d+")
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|gen|mag|giu|lug|ago|set|ott|dic"
_DATE = re.compile(  # 2-Jan, 02-gen-24, Jan-02, 2/1/2024 and 2024-01-02 00:00:00
    rf"\d\d?-({_MONTH})(-\d\d(\d\d)?)?|({_MONTH})-\d\d|\d\d?/\d\d?/\d{{4}}|\d{{4}}-\d\d-\d\d([ t].*)?", re.I
)
_FORMULA = "=..."
_HIDDEN = "hidden, but read too; delete what is not wanted"
_STRUCK = "struck through, but read too; delete what is not wanted"
_MERGED = "merged cells count for each of their rows"


@dataclass(frozen=True)
class Page:
    """One page of a sheet: its cells as they are written, and remarks with the rows (from 0) they are of."""

    name: str
    cells: list[list[object]]
    noted: Mapping[str, Collection[int]] = field(default_factory=dict)

    @functools.cached_property
    def rows(self) -> list[list[str]]:
        """The cells as a person reads them, "" where empty; all rows of one length."""
        width = max(map(len, self.cells), default=0)
        return [[_text(cell) for cell in row] + [""] * (width - len(row)) for row in self.cells]


def read_pages(path: Path) -> list[Page]:
    """Read the pages of a sheet that hold anything; the contents, not the extension, decide how.

    A sheet is a workbook (xls, xlsx) or a text table separated by comma, semicolon, tab or bar, in UTF-8 or
    UTF-16 (with or without a byte-order mark) or Windows-1252.

    Raises:
        DatabaseError: the file is missing, empty, damaged, encrypted, too large or no table.
    """
    try:
        if not path.is_file():
            raise DatabaseError(f"{path}: no such sheet")
        if path.stat().st_size > _LARGEST_SHEET:
            raise DatabaseError(f"{path}: larger than {_LARGEST_SHEET >> 20} MiB, which no ground truth is")
        content = path.read_bytes()
    except OSError as error:
        raise DatabaseError(f"{path}: the sheet cannot be read ({error.strerror or error})") from error
    if (kind := unread_kind(content)) and not re.search(rb"(?i)xl/|\[content_types\]", content):
        raise DatabaseError(f"{path}: {kind}")
    workbook = content.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04"))
    pages = _workbook_pages(path, content) if workbook else [_text_page(path, content)]
    pages = [page for page in pages if any(map(any, page.rows))]
    if not pages:
        raise DatabaseError(f"{path}: the sheet is empty")
    return pages


def _workbook_pages(path: Path, content: bytes) -> list[Page]:
    """Read an xls (compound file) or xlsx (zip) workbook."""
    try:
        found = _examined(path, content) if content.startswith(b"PK") else {}
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        pages = []
        for about in workbook.sheets_metadata:
            sheet = workbook.get_sheet_by_name(about.name)
            _check_extent(path, sheet.total_height, sheet.total_width)
            cells: list[list[object]] = [list(row) for row in sheet.to_python(skip_empty_area=False)]
            special, noted = found.get(about.name, ({}, {}))
            for (row, column), text in special.items():
                if row < len(cells) and 0 <= column < len(cells[row]):
                    cells[row][column] = text
            merged = set()
            for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
                for row in range(top + 1, min(bottom + 1, len(cells))):
                    if left < len(cells[top]) and cells[top][left] != "" and set(cells[row]) != {""}:
                        cells[row][left] = cells[top][left]
                        merged.add(row)
            name = about.name + ("" if about.visible == SheetVisibleEnum.Visible else " (hidden)")
            pages.append(Page(name, cells, {**noted, _MERGED: merged}))
        return pages
    except BaseException as error:
        # A panic of calamine, which a truncated workbook provokes, is no Exception but a BaseException.
        if isinstance(error, (DatabaseError, KeyboardInterrupt, SystemExit, MemoryError)):
            raise
        raise DatabaseError(
            f"{path}: the workbook is damaged, encrypted or no workbook ({error}); open it in a spreadsheet "
            "program and save it again, as xlsx or csv"
        ) from error


def _examined(
    path: Path, content: bytes
) -> dict[str, tuple[dict[tuple[int, int], str], dict[str, set[int]]]]:
    """Check an xlsx before it is read: calamine makes room for all cells up to the last, however far out.

    Returns:
        What calamine does not tell, by page: errors ("#N/A") and formulas that no program has calculated
        (`_FORMULA`) by row and column, and the rows that are hidden or struck through.
    """
    found: dict[str, tuple[dict[tuple[int, int], str], dict[str, set[int]]]] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_SHEET:
            raise DatabaseError(f"{path}: unpacks to {size // 2**20} MiB, which no ground truth does")
        names = {name.casefold(): name for name in archive.namelist()}
        book = ElementTree.fromstring(archive.read(names["xl/workbook.xml"]))
        links = ElementTree.fromstring(archive.read(names["xl/_rels/workbook.xml.rels"]))
        parts = {link.get("Id"): posixpath.join("/xl", link.get("Target", ""))[1:] for link in links}
        struck: set[str] = set()
        if "xl/styles.xml" in names:
            styles = ElementTree.fromstring(archive.read(names["xl/styles.xml"]))
            lines = [font.find("{*}strike") for font in styles.iterfind("{*}fonts/{*}font")]
            fonts = [str(i) for i, line in enumerate(lines) if line is not None and line.get("val") != "0"]
            formats = enumerate(styles.iterfind("{*}cellXfs/{*}xf"))
            struck = {str(number) for number, one in formats if one.get("fontId") in fonts}
        # Who writes formulas without calculating them leaves the value out, or writes 0 and this mark.
        none = ("", "0") if book.find("{*}calcPr[@fullCalcOnLoad='1']") is not None else ("",)
        for page in book.iterfind("{*}sheets/{*}sheet"):
            link = next(value for key, value in page.items() if key.endswith("}id"))
            special, noted = found.setdefault(page.get("name", ""), ({}, {_HIDDEN: set(), _STRUCK: set()}))
            height = width = number = 0
            for _, row in ElementTree.iterparse(archive.open(names[parts[link].casefold()])):
                if row.tag.rpartition("}")[2] != "row":
                    continue
                number = int(row.get("r", number + 1))
                if row.get("hidden") in ("1", "true"):
                    noted[_HIDDEN].add(number - 1)
                for cell in filter(len, row):
                    letters = cell.get("r", "").rstrip("0123456789")
                    y = int(cell.get("r", "")[len(letters) :] or number)
                    x = functools.reduce(lambda value, letter: 26 * value + ord(letter) - 64, letters, 0)
                    height, width = max(height, y), max(width, x)
                    if cell.get("s") in struck:
                        noted[_STRUCK].add(y - 1)
                    inside = {part.tag.rpartition("}")[2]: part.text for part in cell}  # a search is slow
                    value, kind = inside.get("v") or "", cell.get("t")
                    if kind == "e":
                        special[y - 1, x - 1] = value
                    elif kind != "str" and value in none and "f" in inside:
                        special[y - 1, x - 1] = _FORMULA
                row.clear()
            _check_extent(path, height, width)
    return found


def _check_extent(path: Path, height: int, width: int) -> None:
    """Refuse a table larger than any ground truth."""
    if height * width > _MOST_CELLS:
        where = f"in row {height:,} and in column {width:,}, which no ground truth has"
        raise DatabaseError(f"{path}: something stands {where}; delete what is far from the table")


def _odd(cell: object, role: str) -> str:
    """Say what a cell holds that was hardly typed so: "perhaps ..." if it may have been, "" if it was."""
    if cell == _FORMULA:
        return "a formula without a value; open the workbook in a spreadsheet program and save it there"
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)) and role in (*_NAMES, "label"):
        return "a date, as Excel makes of names such as 1-2 or MAR1; write it anew, as text"
    if role not in _NAMES:
        return ""
    if _SHORTENED.fullmatch(str(cell).strip()) or (isinstance(cell, (int, float)) and abs(cell) >= 1e15):
        return "a number that has lost digits in a spreadsheet program; write it anew, as text"
    if isinstance(cell, float) and not cell.is_integer():
        return "perhaps a name that has lost a 0 (as a number 1.10 is 1.1); write names as text"
    said = "perhaps a date that Excel has made of a name such as 1-2 or MAR1"
    return said if _DATE.fullmatch(str(cell).strip()) else ""


def _text(cell: object) -> str:
    """Write a cell as a person reads it: whole numbers without a fraction, no surrounding blanks."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return _AROUND.sub("", str(cell))


def _text_page(path: Path, content: bytes) -> Page:
    """Read a text table."""
    text = _decoded(path, content)
    said = re.match(r'"?sep=([^"\r\n])"?\1*[^\S\r\n]*(\r\n|\r|\n)', text, re.IGNORECASE)
    if said:  # Excel's own way of saying it, which is no row of the table
        text = text[said.end() :]
    delimiter = said[1] if said else _delimiter(text.splitlines())
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        rows: list[list[object]] = [list(row) for row in lines]
    except csv.Error as error:
        what = f"not a table of separated values ({error}); see its quotes"
        raise DatabaseError(f"{path}, line {lines.line_num}: {what}") from error
    _check_extent(path, len(rows), max(map(len, rows), default=0))
    return Page("", rows)


def _decoded(path: Path, content: bytes) -> str:
    """Turn the bytes of a text table into text."""
    encodings = ["utf-8-sig", "cp1252"]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content[:2]:  # two bytes a character, and no byte-order mark
        encodings = ["utf-16-be" if content[0] == 0 else "utf-16-le"]
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            if "\0" not in text and not re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE):
                return text
    raise DatabaseError(
        f"{path}: neither a workbook nor a text table in UTF-8, UTF-16 or Windows-1252, perhaps a web page; "
        "save it as xlsx or csv"
    )


def _delimiter(lines: list[str]) -> str:
    """Choose the separator that cuts the first lines into the most columns, equally many in most lines."""

    def quality(delimiter: str) -> tuple[int, int]:
        sample = [line[:2000] for line in lines[:50] if line.strip()]  # less than a cell may hold, in all
        widths = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True))
        width, frequency = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        return (frequency if width > 1 else 0, width)

    return max(",;\t|", key=quality)


# Headers as `simplified` leaves them, the most telling first. Of AIDA's sheet two are known,
# ImageFileName and StainingPatterns; the others are names that such a column would obviously have.
CANDIDATES = {
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
}


def simplified(header: str) -> str:
    """Reduce a header to its letters and digits: "Image File-Name " and "imagefilename" are the same."""
    plain = unicodedata.normalize("NFKD", header)
    return re.sub(r"[\W_]+", "", "".join(c for c in plain if not unicodedata.combining(c)).casefold())


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet whose header row was found, without the columns that have no header."""

    path: Path
    headers: tuple[str, ...]
    rows: list[tuple[str, list[str]]]  # place, as a spreadsheet program counts ("page 'A', row 5"), and cells
    columns: dict[str, int]  # by role ("image", "label", "specimen", ...)
    remarks: tuple[str, ...]  # what a person should know about how the sheet was read

    def cell(self, row: Sequence[str], role: str) -> str:
        """Give a row's cell that plays a role, "" where no column does; only names keep runs of blanks."""
        cell = row[self.columns[role]] if role in self.columns else ""
        return cell if role in _NAMES else " ".join(cell.split())

    def named(self, role: str) -> str:
        """Name the column that plays a role, "" where none does."""
        return f"column {quoted(self.headers[self.columns[role]])}" if role in self.columns else ""

    def require(self, roles: Mapping[str, str]) -> None:
        """Check that roles have their columns; ``roles`` holds what is to be said besides where one has none.

        Raises:
            DatabaseError: roles without a column, with the columns there are and the option to give.
        """
        listed = ", ".join(map(repr, self.headers))
        problems = [
            f"{self.path}: no column for the {role} was found{why}; the sheet has {listed}: say which with "
            f"{role}_column=..."
            for role, why in roles.items()
            if role not in self.columns
        ]
        if problems:
            raise DatabaseError(problems, str(self.path))


def read_sheet(path: Path, options: Mapping[str, str | None]) -> Sheet:
    """Read a sheet and find its columns: by the headers in ``options``, by role, or else by known headers.

    The header is looked for in the first ten rows, because titles and merged cells may stand above it; of a
    header that takes two rows the lower cell counts, or the upper one where the lower is empty. All pages of
    a workbook that have the same columns, in any order, are one table.

    Raises:
        DatabaseError: not a readable sheet, a column given does not exist, two columns have one header, rows
            with more cells than the header, names that a spreadsheet program has spoilt.
    """
    given = {role: name for role, name in options.items() if name is not None}
    wanted = set(map(simplified, given.values())).union(*map(str.split, CANDIDATES.values()))
    headed = [(*_headed(page, wanted), page) for page in read_pages(path)]
    headed = [found for found in headed if any(map(any, found[3].rows[found[2] :]))]
    if not headed:
        raise DatabaseError(f"{path}: the sheet has a header and no rows")
    headers = [header for header in max(headed, key=lambda found: found[0])[1] if header]
    columns, remarks = _columns(path, headers, given)
    names, order = _ordered(headers)
    several = sum(_ordered(own)[0] == names for _, own, _, _ in headed) > 1
    rows: list[tuple[str, list[str]]] = []
    problems: list[str] = []
    read: list[str] = []
    left: list[str] = []
    for _, own, first, page in headed:
        texts = {number: row for number, row in enumerate(page.rows) if number >= first and any(row)}
        own_names, own_order = _ordered(own)
        (read if own_names == names else left).append(f"{page.name!r} ({counted(len(texts), 'row')})")
        if own_names == names:
            place = f"page {page.name!r}, " if several else ""
            source = [column for _, column in sorted(zip(order, own_order, strict=True))]
            roles = {source[columns[role]]: role for role in reversed(columns)}  # the label before intensity
            for refused, text in _told(page, own, roles, first, texts):
                (problems if refused else remarks).append(f"{path.name}: {place}{text}")
            rows += ((f"{place}row {n + 1}", [row[column] for column in source]) for n, row in texts.items())
    if problems:
        raise DatabaseError(problems, str(path))
    if several:
        remarks.append(f"{path.name}: pages {', '.join(read)} are read as one; their names mean nothing here")
    if left:
        remarks.append(f"{path.name}: left out, because it has other columns: page {', '.join(left)}")
    return Sheet(path, tuple(headers), rows, columns, tuple(remarks))


def _ordered(headers: Sequence[str]) -> tuple[list[str], list[int]]:
    """Sort the headers that are not empty, simplified, and give their columns."""
    pairs = sorted((simplified(header), index) for index, header in enumerate(headers) if header)
    return [name for name, _ in pairs], [index for _, index in pairs]


def _told(
    page: Page, headers: list[str], roles: Mapping[int, str], first: int, rows: Mapping[int, list[str]]
) -> Iterator[tuple[bool, str]]:
    """Say what is odd about the rows of a page, and whether that refuses them."""
    width = max(len(page.cells[first - 1]), *(i + 1 for i, header in enumerate(headers) if header))
    most = max(width, min(len(page.cells[number]) for number in rows))
    more = "more cells than the header; a cell with a separator in it needs quotes"
    if all(len(page.cells[number]) == width + 1 for number in rows):
        more = "a cell more than the header, in every row, as R writes row names; name the first column too"
    odd: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for number, row in rows.items():
        place, cells = f"row {number + 1}", page.cells[number]
        if len(cells) > most or any(row[width:]):
            odd["", more].append(place)
        for what in (what for what, met in page.noted.items() if number in met):
            odd["", what].append(place)
        for column, role in roles.items():
            if column < len(cells) and (what := _odd(cells[column], role)):
                odd[f"column {headers[column]!r}, ", what].append(f"{place} ({row[column]})")
    for (where, what), places in odd.items():
        yield not what.startswith(("perhaps", _HIDDEN, _STRUCK, _MERGED)), f"{where}{some(places)}: {what}"


def same_table(a: Sheet, b: Sheet) -> bool:
    """Say whether two sheets hold the same, whatever their blanks, trailing ".0" and unnamed columns."""

    def table(sheet: Sheet) -> list[list[str]]:
        kept = [i for i, header in enumerate(sheet.headers) if not re.fullmatch(r"Unnamed: \d+", header)]
        lines = [sheet.headers, *(row for _, row in sheet.rows)]
        return [[re.sub(r"^(-?\d+)\.0+$", r"\1", " ".join(line[i].split())) for i in kept] for line in lines]

    return table(a) == table(b)


def _headed(page: Page, wanted: set[str]) -> tuple[int, list[str], int]:
    """Find the header of a page: (known columns, headers, rows down to the header's last)."""
    best: tuple[int, list[str], int] = (-1, [], 0)
    for index, row in enumerate(page.rows[:10]):
        lower = page.rows[index + 1] if index + 1 < len(page.rows) else row
        merged = [below or above for above, below in zip(row, lower, strict=True)]
        for headers, last in ((row, index + 1), (merged, index + 2)):
            known = sum(simplified(header) in wanted for header in headers)
            if any(headers) and known > best[0]:
                best = (known, [" ".join(header.split()) for header in headers], last)
    return best


def _columns(path: Path, headers: list[str], given: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Give each role its column: the one named by an option, else the first that its candidates name.

    An option names a header as it is written, else whatever its case, spaces and separators.
    """
    names = [simplified(header) for header in headers]
    columns: dict[str, int] = {}
    unused: dict[str, list[int]] = {}
    for role, candidates in CANDIDATES.items():
        if role in given:
            found = [i for i, header in enumerate(headers) if header == given[role]]
            found = found or [i for i, name in enumerate(names) if name == simplified(given[role])]
            if not found:
                listed = ", ".join(map(repr, headers))
                raise DatabaseError(f"{path}: no column {given[role]!r} ({role}); the sheet has {listed}")
        else:
            twice = ("intensity", "pattern") if "label" in given else ("intensity",)  # beside the label
            taken = {columns[other] for other in columns if other != "label" or role not in twice}
            free = [(i, name) for i, name in enumerate(names) if i not in taken]
            found = [i for candidate in candidates.split() for i, name in free if name == candidate]
        same = [i for i in found if names[i] == names[found[0]]]
        if len(same) > 1:
            name = given.get(role, headers[same[0]])
            raise DatabaseError(f"{path}: {len(same)} columns are called {name!r}; rename all but one")
        if found:
            columns[role], unused[role] = found[0], found[1:]
    remarks = []
    for role in ("image", "label", "specimen"):
        others = [headers[i] for i in unused.get(role, ()) if i not in columns.values()]
        if others:
            listed = ", ".join(map(repr, others))
            remarks.append(f"{path.name}: {headers[columns[role]]!r} is taken for the {role} (not {listed})")
    return columns, remarks
