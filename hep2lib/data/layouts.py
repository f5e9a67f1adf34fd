"""The layouts that databases come in: one reader for each, one kind of listing out."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hep2lib.data.columns import Sheet, read_sheet
from hep2lib.data.files import ImageFolder
from hep2lib.data.labels import fluorescence
from hep2lib.data.sheets import SHEET_SUFFIXES
from hep2lib.errors import DatabaseError, some

WordReader = Callable[[str], tuple[int, str] | None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the person said about the database; None where it is to be found out.

    Attributes:
        sheet: the ground-truth sheet.
        images: the image folder.
        image_column: header of the column of file names.
        label_column: header of the positive/negative column.
        specimen_column: header of the specimen column.
        pattern_column: header of the staining pattern column.
        specimen_pattern: regular expression that finds the specimen in a file name.
    """

    sheet: Path | None = None
    images: Path | None = None
    image_column: str | None = None
    label_column: str | None = None
    specimen_column: str | None = None
    pattern_column: str | None = None
    specimen_pattern: re.Pattern[str] | None = None

    def columns(self) -> dict[str, str | None]:
        """Give the headers by role."""
        return {
            "image": self.image_column,
            "label": self.label_column,
            "specimen": self.specimen_column,
            "pattern": self.pattern_column,
        }


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
    read_label: WordReader = fluorescence
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
    whom = " (whom an image belongs to decides the folds; specimen_pattern derives it from file names)"
    if "pattern" in sheet.columns:
        beside = " (staining patterns alone do not say which images are negative, and this is not guessed)"
    wanted = {"image": "", "label": beside, **({"specimen": whom} if require_specimen else {})}
    sheet.require(wanted)
    others = ("pattern", "intensity", "laboratory", "instrument", "age", "sex")
    for number, row in sheet.rows:
        yield Entry(
            place=f"{sheet.path.name}, row {number}",
            image=sheet.cell(row, "image"),
            label=sheet.cell(row, "label"),
            specimen=sheet.cell(row, "specimen"),
            known={role: sheet.cell(row, role) for role in others if role in sheet.columns},
        )


def read_manifest(path: Path, options: Options) -> Listing:
    """Read a sheet with one row an image: image, label, specimen.

    Args:
        path: the sheet itself, or a folder with exactly one sheet.
        options: what the person said.

    Returns:
        The listing; images are looked for beside the sheet unless ``options.images`` says otherwise.

    Raises:
        DatabaseError: no sheet, several, or a column missing.
    """
    return _one_row_an_image(path, options, "manifest")


def read_aida(path: Path, options: Options) -> Listing:
    """Read the AIDA layout: ``AIDA_HEp-2_GroundTruth.xls`` and a flat image folder.

    Of the real sheet's columns two are known, ``ImageFileName`` and ``StainingPatterns``. The others are
    found by name where that is obvious and given as options otherwise.
    """
    return _one_row_an_image(path, options, "AIDA")


def _one_row_an_image(path: Path, options: Options, layout: str) -> Listing:
    root = path if path.is_dir() else path.parent
    source = _the_sheet(path, options)
    folder = _image_folder(root, options)
    sheet = read_sheet(source, options.columns())
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

    Args:
        path: the folder that holds the class folders.
        options: what the person said; ``images`` may point at another such folder.

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
            "a folder of their own inside the class folder, or give specimen_pattern"
        )
    if not entries:
        raise DatabaseError(f"{root}: no images in class folders (positive, negative)")
    return Listing("class folders", folder, entries)
