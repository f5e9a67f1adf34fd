"""Which column of a sheet means what, found by its header or named by an option."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hep2lib.data.sheets import Grid, read_pages
from hep2lib.errors import DatabaseError

# Headers as `simplified` leaves them, the most telling first. Of AIDA's sheet two are known,
# ImageFileName and StainingPatterns; the others are names that such a column would obviously have.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "image": (
        *("imagefilename", "imagefile", "imagename", "filename", "image", "imageid", "file", "img"),
        *("imagepath", "filepath", "path", "immagine", "nomefile"),
    ),
    "label": (
        *("label", "positivenegativefluorescence", "fluorescencepositivenegative", "positivenegative"),
        *("posneg", "fluorescence", "fluorescenceresult", "fluorescenceintensity", "class", "classlabel"),
        *("result", "target", "intensityclass", "fluorescenza", "esito", "classe", "intensity"),
    ),
    "specimen": (
        *("specimen", "specimenid", "idspecimen", "patient", "patientid", "idpatient", "patientcode"),
        *(
            "sample",
            "sampleid",
            "idsample",
            "serum",
            "serumid",
            "sera",
            "well",
            "wellid",
            "subject",
            "subjectid",
        ),
        *("case", "caseid", "group", "paziente", "idpaziente", "campione", "siero", "pozzetto"),
    ),
    "pattern": (
        *("stainingpatterns", "stainingpattern", "patterns", "pattern", "anapattern", "icappattern", "icap"),
        *("cellpattern", "mainpattern", "imagepattern", "pattern1"),
    ),
    "intensity": (
        "intensity",
        "intensitygrade",
        "intensitylevel",
        "grade",
        "fluorescenceintensity",
        "intensita",
    ),
    "laboratory": (
        "laboratory",
        "lab",
        "laboratoryid",
        "centre",
        "center",
        "site",
        "hospital",
        "laboratorio",
    ),
    "instrument": (
        *("instrument", "acquisitioninstrument", "instrumentid", "microscope", "scanner", "device", "camera"),
        *("strumento", "acquisitionsystem"),
    ),
    "age": ("age", "patientage", "agepatient", "eta"),
    "sex": ("sex", "gender", "patientsex", "sesso"),
}
_HEADER_SEARCH = 10


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
        """Check that roles have their columns.

        Args:
            roles: role to what is to be said in brackets where it has none, "" for nothing.

        Raises:
            DatabaseError: one problem for each role without a column; it lists the columns there are and
                names the option.
        """
        listed = ", ".join(repr(header) for header in self.headers if header)
        problems = [
            f"{self.path}: no column for the {role} was found{why}; the sheet has {listed}: say which with "
            f"{role}_column"
            for role, why in roles.items()
            if role not in self.columns
        ]
        if problems:
            raise DatabaseError(problems, str(self.path))


def read_sheet(path: Path, options: Mapping[str, str | None]) -> Sheet:
    """Read a sheet and find its columns.

    The header is looked for in the first ten rows, because titles and merged cells may stand above it; of a
    header that takes two rows the lower cell counts, or the upper one where the lower is empty.

    Args:
        path: the sheet.
        options: role to the column's header as the person gave it (None: find it).

    Returns:
        The sheet, with the columns that were found.

    Raises:
        DatabaseError: not a readable sheet, a column given does not exist, two columns have one header.
    """
    given = {role: name for role, name in options.items() if name is not None}
    wanted = {simplified(name) for name in given.values()} | {
        n for names in CANDIDATES.values() for n in names
    }
    headed = [_headed(page.rows, wanted) for page in read_pages(path)]
    _, headers, first, grid = max(headed, key=lambda found: found[0])
    rows = [(number, row) for number, row in enumerate(grid, 1) if number > first and any(row)]
    if not rows:
        raise DatabaseError(f"{path}: the sheet has a header and no rows")
    columns, remarks = _columns(path, headers, given)
    return Sheet(path, tuple(headers), rows, columns, tuple(remarks))


def _headed(grid: Grid, wanted: set[str]) -> tuple[int, list[str], int, Grid]:
    """Find the header of a page: (known columns, headers, rows down to the header's last, the page)."""
    best: tuple[int, list[str], int, Grid] = (-1, [], 0, grid)
    for index, row in enumerate(grid[:_HEADER_SEARCH]):
        lower = grid[index + 1] if index + 1 < len(grid) else row
        merged = [below or above for above, below in zip(row, lower, strict=True)]
        for headers, last in ((row, index + 1), (merged, index + 2)):
            known = sum(simplified(header) in wanted for header in headers)
            if any(headers) and known > best[0]:
                best = (known, headers, last, grid)
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
