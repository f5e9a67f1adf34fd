"""The layouts of the two contest databases, MIVIA (ICPR 2012) and I3A Task 2: positive and intermediate only.

Their pages say what is annotated, not how each file is called, so both readers go by what the sheets and the
folders hold. Neither database has negative specimens: label 1 means positive and label 0 means *intermediate*
intensity.
"""

import re
from pathlib import Path

from hep2lib.data.columns import Sheet, read_sheet, simplified
from hep2lib.data.files import ImageFolder
from hep2lib.data.labels import positive_or_intermediate
from hep2lib.data.layouts import Entry, Listing, Options
from hep2lib.data.sheets import SHEET_SUFFIXES
from hep2lib.errors import DatabaseError

_EXPECTED = "positive or intermediate"
_CLASSES = ("intermediate", "positive")
_MEANING = "label 0 means intermediate intensity: this database holds no negative specimens"


def contest_sheets(root: Path) -> list[Path]:
    """List the ground-truth sheets ("gt_training.csv", ...) in a folder and in its sub-folders."""
    found = [path for path in root.rglob("*") if path.suffix.casefold() in SHEET_SUFFIXES and path.is_file()]
    return sorted(path for path in found if path.stem.casefold().startswith(("gt_", "gt-", "gt.")))


def _all_sheets(path: Path, options: Options) -> list[Sheet]:
    root = path if path.is_dir() else path.parent
    if options.sheet is not None:
        paths = [root / options.sheet]
    else:
        paths = [path] if path.is_file() else contest_sheets(path)
    if not paths:
        raise DatabaseError(f"{path}: no ground-truth sheet called gt_*.csv; give it with sheet=...")
    return [read_sheet(sheet, options.columns()) for sheet in paths]


def _folder(path: Path, options: Options) -> ImageFolder:
    root = path if path.is_dir() else path.parent
    if options.images is None:
        return ImageFolder(root)
    return ImageFolder(root / options.images)


def _intensity(sheet: Sheet, row: list[str]) -> str:
    """Give the cell that says positive or intermediate, from the intensity column where there is one."""
    role = "intensity" if "intensity" in sheet.columns else "label"
    return sheet.cell(row, role)


def _is_mask(path: Path, root: Path) -> bool:
    return any("mask" in part.casefold() for part in path.relative_to(root).parts)


def _numbered(images: list[Path], name: str) -> list[Path]:
    """Find images by name, by stem, or by number ("1" is "01.bmp")."""
    key = name.casefold()
    found = [path for path in images if key in (path.name.casefold(), path.stem.casefold())]
    return found or [path for path in images if name.isdecimal() and _plain(path.stem) == _plain(name)]


def read_mivia(path: Path, options: Options) -> Listing:
    """Read the MIVIA database: 28 fields of 28 patients, annotated by image and by cell.

    Args:
        path: the folder with the sheets ``gt_*.csv`` (or one such sheet) and the images somewhere below it.
        options: what the person said.

    Returns:
        One entry an image, also where a sheet has one row a cell: the rows of an image have to agree on its
        intensity, and their patterns are joined. Every image is a specimen of its own unless the sheet says
        otherwise.

    Raises:
        DatabaseError: no sheet, no image or intensity column, an image that is missing, or cells of one image
            that disagree on its intensity.
    """
    folder = _folder(path, options)
    images = [image for image in folder.images() if not _is_mask(image, folder.folder)]
    rows: dict[Path, list[Entry]] = {}
    problems = []
    for sheet in _all_sheets(path, options):
        sheet.require({"image": "", "label": ""})
        for number, row in sheet.rows:
            place, name = f"{sheet.path.name}, row {number}", sheet.cell(row, "image")
            near = [image for image in images if image.is_relative_to(sheet.path.parent)]
            found = _numbered(near, name) or _numbered(images, name)
            if len(found) != 1:
                problems.append(
                    f"{place}: {len(found) or 'no'} images are called {name!r} in {folder.folder}"
                )
                continue
            inside = found[0].relative_to(folder.folder).as_posix()
            specimen = sheet.cell(row, "specimen") or inside
            known = {"pattern": sheet.cell(row, "pattern"), "intensity": _intensity(sheet, row)}
            rows.setdefault(found[0], []).append(
                Entry(place, inside, known["intensity"], specimen, known, found[0])
            )
    entries = []
    for cells in rows.values():
        said = {cell.label.casefold() for cell in cells}
        if len(said) > 1:
            problems.append(
                f"{cells[0].place}: the rows of {cells[0].image!r} disagree on its intensity: {said}"
            )
        patterns = sorted({cell.known["pattern"] for cell in cells} - {""})
        cells[0].known["pattern"] = " + ".join(patterns)
        entries.append(cells[0])
    if problems:
        raise DatabaseError(problems, str(path))
    skipped = frozenset(set(folder.images()) - set(images))
    return Listing(
        "MIVIA", folder, entries, positive_or_intermediate, _EXPECTED, _CLASSES, (_MEANING,), skipped
    )


def read_i3a(path: Path, options: Options) -> Listing:
    """Read the I3A Task 2 database: four fields of each specimen, with masks, and the specimen's intensity.

    Args:
        path: the folder with the sheet ``gt_*.csv`` (or the sheet itself) and the images below it.
        options: what the person said.

    Returns:
        One entry a field. A sheet with one row a specimen serves as well as one with one row an image; the
        fields of specimen 7 lie in a folder "7" or are called "7_1.tif", "007-p2.png" and so on. Files with
        "mask" in their name or folder are left out.

    Raises:
        DatabaseError: no sheet, no specimen or intensity column, or a specimen without fields.
    """
    folder = _folder(path, options)
    images = [image for image in folder.images() if not _is_mask(image, folder.folder)]
    sheets = _all_sheets(path, options)
    by_specimen = _by_specimen(images, sheets)
    entries: list[Entry] = []
    problems: list[str] = []
    for sheet in sheets:
        sheet.require({"label": ""})
        for number, row in sheet.rows:
            place, specimen = f"{sheet.path.name}, row {number}", row[_specimen_column(sheet)]
            name = sheet.cell(row, "image")
            fields = _numbered(images, name) if name else by_specimen.get(_plain(specimen), [])
            if not fields:
                problems.append(f"{place}: no images of specimen {specimen!r} in {folder.folder}")
            known = {"pattern": sheet.cell(row, "pattern"), "intensity": _intensity(sheet, row)}
            for image in fields:
                inside = image.relative_to(folder.folder).as_posix()
                entries.append(Entry(place, inside, known["intensity"], specimen, dict(known), image))
    if problems:
        raise DatabaseError(problems, str(path))
    skipped = frozenset(set(folder.images()) - set(images))
    return Listing(
        "I3A Task 2", folder, entries, positive_or_intermediate, _EXPECTED, _CLASSES, (_MEANING,), skipped
    )


def _by_specimen(images: list[Path], sheets: list[Sheet]) -> dict[str, list[Path]]:
    """Sort images by the specimen that their folder, else the beginning of their name says."""
    listed = {_plain(row[_specimen_column(sheet)]) for sheet in sheets for _, row in sheet.rows}
    found: dict[str, list[Path]] = {}
    for image in images:
        parent, beginning = image.parent.name, re.split(r"[_\-. ]", image.stem)[0]
        found.setdefault(_plain(parent if _plain(parent) in listed else beginning), []).append(image)
    return found


def _plain(name: str) -> str:
    """Make "7", "007" and "7 " the same."""
    return name.strip().casefold().lstrip("0") or "0"


def _specimen_column(sheet: Sheet) -> int:
    """Find the specimen's column; here, where rows are specimens, one called "id" is such a column."""
    if "specimen" not in sheet.columns and "image" not in sheet.columns:
        ids = [index for index, header in enumerate(sheet.headers) if simplified(header) == "id"]
        if len(ids) == 1:
            return ids[0]
    sheet.require({"specimen": ""})
    return sheet.columns["specimen"]
