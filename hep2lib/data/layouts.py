"""The layouts of databases: how each lists its images, and which of a folder's files a sheet means."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from hep2lib.data.sheets import (
    SHEET_SUFFIXES,
    Sheet,
    fluorescence,
    positive_or_intermediate,
    read_sheet,
    simplified,
)
from hep2lib.errors import DatabaseError, quoted, some

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".png", ".tif", ".tiff")


class MissingImage(DatabaseError):
    """A listed image that is not in the folder."""


def _key(name: str) -> str:
    """Make names equal that differ only in case or in how accents are encoded."""
    return unicodedata.normalize("NFC", name).casefold()


class ImageFolder:
    """The regular files below a folder, found by the names that people write into sheets."""

    def __init__(self, folder: Path) -> None:
        """List the folder once, without following links.

        Raises:
            DatabaseError: there is no such folder, or it cannot be read.
        """
        if not folder.is_dir():
            raise DatabaseError(f"{folder}: no such image folder; give it with images=...")

        def refuse(error: OSError) -> None:
            raise DatabaseError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error

        self.folder = folder
        self._real = folder.resolve()
        self._by_path: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for parent, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            for name in sorted(files):
                if not name.startswith("."):
                    self._add(Path(parent) / name)

    def _add(self, path: Path) -> None:
        inside = path.relative_to(self.folder).as_posix()
        self._by_path.setdefault(_key(inside), []).append(path)
        self._by_name.setdefault(_key(path.name), []).append(path)
        if path.suffix.casefold() in IMAGE_SUFFIXES:
            self._by_stem.setdefault(_key(path.stem), []).append(path)

    def images(self) -> list[Path]:
        """List the files that have the extension of an image."""
        return sorted(path for paths in self._by_stem.values() for path in paths)

    def find(self, name: str) -> Path:
        r"""Find the file that a sheet means.

        Args:
            name: the file's name as the sheet has it: any case, with or without sub-folders (``/`` or
                ``\``), and without its extension where no second file has the same name.

        Returns:
            The file below the folder, absolute, with all links followed.

        Raises:
            DatabaseError: it is missing, ambiguous, no regular file, or outside the folder.
        """
        inside = name.strip().replace("\\", "/").removeprefix("./")
        if PurePosixPath(inside).is_absolute() or PureWindowsPath(inside).drive or ".." in inside.split("/"):
            raise DatabaseError(
                f"{quoted(name)} leaves the image folder, which is refused; put the file into it"
            )
        exact = self.folder / inside
        found = self._by_path.get(_key(inside), [])
        if exact in found:
            found = [exact]
        if not found and "/" not in inside:
            found = self._by_name.get(_key(inside), []) or self._by_stem.get(_key(inside), [])
        if not found:
            what = "a folder, not an image," if self._is_folder(inside) else "not"
            raise MissingImage(f"{quoted(name)} is {what} in {self.folder}")
        if len(found) > 1:
            names = some(path.relative_to(self.folder).as_posix() for path in found)
            raise DatabaseError(f"{quoted(name)} may be any of {names}; write the whole name into the sheet")
        return self.inside(found[0], name)

    def _is_folder(self, inside: str) -> bool:
        try:
            return (self.folder / inside).is_dir()
        except (OSError, ValueError):  # too long a name
            return False

    def inside(self, path: Path, name: str) -> Path:
        """Follow all links of the file called ``name``, which has to be a regular one below the folder."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise DatabaseError(f"{quoted(name)} is a link to nothing ({path})") from error
        if not real.is_relative_to(self._real):
            raise DatabaseError(
                f"{quoted(name)} is a link out of the image folder, which is refused; copy the file into it"
            )
        if not real.is_file():
            raise DatabaseError(f"{quoted(name)} is no regular file ({path})")
        return real


@dataclass(frozen=True, slots=True)
class Options:
    """What the person said about the database; None where it is to be found out.

    Attributes:
        sheet: the ground-truth sheet.
        images: the image folder.
        columns: role ("image", "label", "specimen", "pattern") to the column's header.
        specimen_pattern: regular expression that finds the specimen in a file name.
    """

    sheet: Path | None
    images: Path | None
    columns: Mapping[str, str | None]
    specimen_pattern: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as its database lists it, all text, nothing checked.

    Attributes:
        place: where it is listed, for messages ("GroundTruth.xls, row 5").
        image: the image's name.
        label: the word that says positive or negative.
        specimen: the specimen's name, "" to derive it from the image's name.
        known: what else is known: pattern, intensity, laboratory, instrument, age, sex.
        path: the file, where the layout knows it.
    """

    place: str
    image: str
    label: str
    specimen: str
    known: dict[str, str]
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A database as its layout's reader found it.

    Attributes:
        layout: the layout's name.
        folder: the image folder.
        entries: one an image.
        read_label: what turns a label's word into 1 or 0.
        expected: what those words may be, for messages.
        classes: what the labels 0 and 1 mean.
        remarks: what a person should know.
        skipped: image files that are no fields (masks), which nobody should miss in the sheet.
    """

    layout: str
    folder: ImageFolder
    entries: list[Entry]
    read_label: Callable[[str], tuple[int, str] | None] = fluorescence
    expected: str = "positive, negative, weak positive, 1+ to 4+, or 1 and 0"
    classes: tuple[str, str] = ("negative", "positive")
    remarks: tuple[str, ...] = ()
    skipped: frozenset[Path] = field(default_factory=frozenset)


def _sheets(folder: Path) -> list[Path]:
    """List the sheets that lie directly in a folder (not notes, and not what we may have left there)."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.casefold() in SHEET_SUFFIXES
        and path.is_file()
        and not path.name.startswith((".", "~$"))
        and not re.match(r"(read|note|licen)", path.name.casefold())
    )


def _image_folder(root: Path, options: Options) -> ImageFolder:
    """Find the folder of images: the one given, else AIDA's own, else the database's folder itself."""
    if options.images is not None:
        return ImageFolder(root / options.images)
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    for path in folders:
        if path.name.casefold() == "aida_project_database":
            return ImageFolder(_not_outside(path, root, "images"))
    return ImageFolder(root)


def _not_outside(path: Path, root: Path, option: str) -> Path:
    """Refuse a link out of the database's folder, which nobody has pointed at."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DatabaseError(
            f"{path} is a link out of the database's folder, which is not followed; give what it leads to "
            f"with {option}=..."
        )
    return path


def _entries(sheet: Sheet, require_specimen: bool) -> Iterator[Entry]:
    """Turn the rows of a sheet with one row an image into entries."""
    beside = ""
    whom = " (whom an image belongs to decides the folds; specimen_pattern=... finds it in file names)"
    if "pattern" in sheet.columns:
        beside = " (staining patterns alone do not say which images are negative, and this is not guessed)"
    sheet.require({"image": "", "label": beside, **({"specimen": whom} if require_specimen else {})})
    others = ("pattern", "intensity", "laboratory", "instrument", "age", "sex")
    for place, row in sheet.rows:
        yield Entry(
            place=f"{sheet.path.name}, {place}",
            image=sheet.cell(row, "image"),
            label=sheet.cell(row, "label"),
            specimen=sheet.cell(row, "specimen"),
            known={role: sheet.cell(row, role) for role in others if role in sheet.columns},
        )


def read_rows(path: Path, options: Options, layout: str = "manifest") -> Listing:
    """Read a sheet with one row an image: image, label, specimen.

    AIDA's is one, ``AIDA_HEp-2_GroundTruth.xls`` beside a flat image folder. Of its columns two are known,
    ``ImageFileName`` and ``StainingPatterns``; the others are found by name where that is obvious and given
    as options otherwise.

    The path is that of the sheet itself, or of a folder with exactly one sheet (or one called ground truth).

    Raises:
        DatabaseError: no sheet, several, or a column missing.
    """
    source = _the_sheet(path, options)
    folder = _image_folder(path if path.is_dir() else path.parent, options)
    sheet = read_sheet(source, options.columns)
    entries = list(_entries(sheet, require_specimen=options.specimen_pattern is None))
    return Listing(layout, folder, entries, remarks=sheet.remarks)


def _the_sheet(path: Path, options: Options) -> Path:
    """Find the one sheet of a database."""
    root = path if path.is_dir() else path.parent
    if options.sheet is not None:
        return root / options.sheet
    if path.is_file():
        return path
    sheets = _sheets(path)
    truths = [sheet for sheet in sheets if "groundtruth" in re.sub(r"[^a-z]", "", sheet.stem.casefold())]
    found = truths or sheets
    if not found:
        below = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and _sheets(folder)]
        hint = f"there is one in {below[0]}, give that folder" if below else "give it with sheet=..."
        raise DatabaseError(
            f"{path}: no ground-truth sheet (xls, xlsx or csv) in this folder; {hint}, or sort the images "
            "into one folder a class"
        )
    if len(found) > 1:
        raise DatabaseError(
            f"{path}: several sheets, {some(s.name for s in found)}; say which with sheet=..."
        )
    return _not_outside(found[0], path, "sheet")


def read_class_folders(path: Path, options: Options) -> Listing:
    """Read one folder a class, its name being the label, with one folder a specimen below it.

    Without specimen folders, ``options.specimen_pattern`` has to say how file names tell the specimen.
    ``options.images`` may point at another such folder.

    Raises:
        DatabaseError: no class folders, or images whose specimen is not known.
    """
    root = path if options.images is None else path / options.images
    folder = ImageFolder(root)
    entries = []
    flat = []
    for image in folder.images():
        inside = image.relative_to(root)
        if len(inside.parts) < 2 or fluorescence(inside.parts[0]) is None:
            continue
        specimen = "/".join(inside.parts[1:-1])
        if not specimen and options.specimen_pattern is None:
            flat.append(inside.as_posix())
        name = inside.as_posix()
        entries.append(Entry(name, name, inside.parts[0], specimen, {}, image))
    if flat:
        raise DatabaseError(
            f"{root}: whom an image belongs to is not known ({some(flat)}); put each specimen's images into "
            "a folder of their own inside the class folder, or give specimen_pattern=..."
        )
    if not entries:
        raise DatabaseError(f"{root}: no images in class folders (positive, negative)")
    return Listing("class folders", folder, entries)


def contest_sheets(root: Path) -> list[Path]:
    """List the ground-truth sheets ("gt_training.csv", ...) in a folder and in its sub-folders."""
    found = [path for path in root.rglob("*") if path.suffix.casefold() in SHEET_SUFFIXES and path.is_file()]
    return sorted(path for path in found if path.stem.casefold().startswith(("gt_", "gt-", "gt.")))


def _contest(layout: str, path: Path, options: Options) -> tuple[Listing, list[Path], list[Sheet]]:
    """Find a contest's images without the masks, and its sheets; the listing's entries are to be filled."""
    root = path if path.is_dir() else path.parent
    folder = ImageFolder(root if options.images is None else root / options.images)
    images = [image for image in folder.images() if not _is_mask(image, folder.folder)]
    if options.sheet is not None:
        paths = [root / options.sheet]
    else:
        paths = [path] if path.is_file() else contest_sheets(path)
    if not paths:
        raise DatabaseError(f"{path}: no ground-truth sheet called gt_*.csv; give it with sheet=...")
    listing = Listing(
        layout,
        folder,
        [],
        positive_or_intermediate,
        "positive or intermediate",
        ("intermediate", "positive"),
        ("label 0 means intermediate intensity: this database holds no negative specimens",),
        frozenset(folder.images()) - frozenset(images),
    )
    return listing, images, [read_sheet(sheet, options.columns) for sheet in paths]


def _intensity(sheet: Sheet, row: list[str]) -> str:
    """Give the cell that says positive or intermediate, from the intensity column where there is one."""
    return sheet.cell(row, "intensity" if "intensity" in sheet.columns else "label")


def _is_mask(path: Path, root: Path) -> bool:
    return any("mask" in part.casefold() for part in path.relative_to(root).parts)


def _numbered(images: list[Path], name: str) -> list[Path]:
    """Find images by name, by stem, or by number ("1" is "01.bmp")."""
    key = name.casefold()
    found = [path for path in images if key in (path.name.casefold(), path.stem.casefold())]
    return found or [path for path in images if name.isdecimal() and _plain(path.stem) == _plain(name)]


def read_mivia(path: Path, options: Options) -> Listing:
    """Read the MIVIA database: 28 fields of 28 patients, annotated by image and by cell.

    Sheets are called ``gt_*.csv``, images lie somewhere below. An image is one entry, also where a sheet has
    one row a cell: these rows have to agree on its intensity, and their patterns are joined. Every image is a
    specimen of its own unless the sheet says otherwise.

    Raises:
        DatabaseError: no sheet, no image or intensity column, an image that is missing, or cells of one image
            that disagree on its intensity.
    """
    listing, images, sheets = _contest("MIVIA", path, options)
    folder = listing.folder.folder
    rows: dict[Path, list[Entry]] = {}
    problems = []
    for sheet in sheets:
        sheet.require({"image": "", "label": ""})
        for place, row in sheet.rows:
            place, name = f"{sheet.path.name}, {place}", sheet.cell(row, "image")
            near = [image for image in images if image.is_relative_to(sheet.path.parent)]
            found = _numbered(near, name) or _numbered(images, name)
            if len(found) != 1:
                problems.append(f"{place}: {len(found) or 'no'} images are called {name!r} in {folder}")
                continue
            inside = found[0].relative_to(folder).as_posix()
            specimen = sheet.cell(row, "specimen") or inside
            known = {"pattern": sheet.cell(row, "pattern"), "intensity": _intensity(sheet, row)}
            rows.setdefault(found[0], []).append(
                Entry(place, inside, known["intensity"], specimen, known, found[0])
            )
    for cells in rows.values():
        said = {cell.label.casefold() for cell in cells}
        if len(said) > 1:
            problems.append(
                f"{cells[0].place}: the rows of {cells[0].image!r} disagree on its intensity: {said}"
            )
        patterns = sorted({cell.known["pattern"] for cell in cells} - {""})
        cells[0].known["pattern"] = " + ".join(patterns)
        listing.entries.append(cells[0])
    if problems:
        raise DatabaseError(problems, str(path))
    return listing


def read_i3a(path: Path, options: Options) -> Listing:
    """Read the I3A Task 2 database: four fields of each specimen, with masks, and the specimen's intensity.

    A sheet ``gt_*.csv`` with one row a specimen serves as well as one with one row an image; the fields of
    specimen 7 lie in a folder "7" or are called "7_1.tif", "007-p2.png" and so on. Files with "mask" in their
    name or folder are left out.

    Raises:
        DatabaseError: no sheet, no specimen or intensity column, or a specimen without fields.
    """
    listing, images, sheets = _contest("I3A Task 2", path, options)
    folder = listing.folder.folder
    by_specimen = _by_specimen(images, sheets)
    problems: list[str] = []
    for sheet in sheets:
        sheet.require({"label": ""})
        for place, row in sheet.rows:
            place, specimen = f"{sheet.path.name}, {place}", row[_specimen_column(sheet)]
            name = sheet.cell(row, "image")
            fields = _numbered(images, name) if name else by_specimen.get(_plain(specimen), [])
            if not fields:
                problems.append(f"{place}: no images of specimen {specimen!r} in {folder}")
            known = {"pattern": sheet.cell(row, "pattern"), "intensity": _intensity(sheet, row)}
            for image in fields:
                inside = image.relative_to(folder).as_posix()
                listing.entries.append(Entry(place, inside, known["intensity"], specimen, dict(known), image))
    if problems:
        raise DatabaseError(problems, str(path))
    return listing


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
