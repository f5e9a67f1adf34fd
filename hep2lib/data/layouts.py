"""The layouts of databases: how each lists its images, and which of a folder's files a sheet means."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PureWindowsPath
from urllib.parse import unquote

from hep2lib.data.images import unread_kind
from hep2lib.data.sheets import (
    SHEET_SUFFIXES,
    fluorescence,
    label_reader,
    positive_or_intermediate,
    read_sheet,
    same_table,
    simplified,
)
from hep2lib.errors import DatabaseError, counted, quoted, some

AIDA_IMAGES = "aida_project_database"  # its folder of images, in lower case
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".png", ".tif", ".tiff")
_UNREAD = re.compile(
    r".+\.(webp|gif|jp2|j2[kc]|jp[fx]|jx[lr]|hei[cf]|avif|dcm|dicom|czi|svs|ndpi|scn|mrxs|vsi|nd2|li[fm]|lsm"
    r"|oi[bf]|ims|stk|zvi|tga|pcx|p[pgbn]m|psd|xcf|raw|cr[23]|nef|arw|dng|exr|ico|fits)",
    re.IGNORECASE,
)
_READ_CONTENT = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|BM.{4}\0{4}|(II[*+]\0|MM\0[*+])", re.DOTALL)
# What a sheet or images may be in that is not read, and what to do about it.
_UNREAD_FILES = dict.fromkeys((".zip", ".rar", ".7z", ".gz", ".tgz", ".tar"), "unpack it")
_UNREAD_FILES |= dict.fromkeys((".ods", ".xlsb", ".numbers"), "save it as xlsx")
_CLUTTER = re.compile(
    r"\..*|__macosx|[@#](eadir|tmp|recycle|recently-snapshot|snapshot)|\$recycle\.bin|recycler|lost\+found"
    r"|system volume information|thumb(nail)?s?",
    re.IGNORECASE,
)


def _loose(name: str) -> str:
    """Make names equal that differ in case, blanks, dashes, or in how wide their letters are."""
    plain = re.sub("[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", name))
    return " ".join(plain.split()).casefold()


def _caseless(name: str) -> str:
    """Make names equal that differ in case, or in how accents are written (apart, by macOS)."""
    return unicodedata.normalize("NFC", name).casefold()


class MissingImage(DatabaseError):
    """A listed image that is not in the folder."""


class ImageFolder:
    """The regular files below a folder, found by the names that people write into sheets.

    Attributes:
        folders: those below it that are looked into.
        images: files with the ending of an image, or that are one by their contents; sorted.
        unread: images of kinds that are not read (webp, ...), by their ending or contents.
        left_out: what nobody means (thumbnails, hidden images) or is not followed (links), and how many.
    """

    def __init__(self, folder: Path) -> None:
        """List the folder once, without following links; files of unknown endings are looked into.

        Raises:
            DatabaseError: there is no such folder, or it cannot be read.
        """
        if not folder.is_dir():
            raise DatabaseError(f"{folder}: no such image folder; give it with images=...")

        def refuse(error: OSError) -> None:
            raise DatabaseError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error

        self.folder = folder
        self.folders: list[Path] = []
        self.images: list[Path] = []
        self.unread: list[Path] = []
        self.left_out: Counter[str] = Counter()
        self._names: dict[Path, str] = {}
        self._real = folder.resolve()
        self._indices: dict[Callable[[str], str], dict[tuple[str, str], list[Path]]] = {}
        for parent, folders, files in os.walk(folder, onerror=refuse):
            for name in sorted(folders):
                path = Path(parent, name)
                if path.is_symlink():
                    self.left_out[f"the folder behind the link {path.relative_to(folder)}"] = 1
                elif _CLUTTER.fullmatch(name):
                    below = (p for p in path.rglob("[!.]*.*") if p.suffix.casefold() in IMAGE_SUFFIXES)
                    self.left_out[f"images in {name}"] += sum(p.is_file() for p in below)
                else:
                    self.folders.append(path)
                    continue
                folders.remove(name)
            for name in sorted(files):
                path = Path(parent, name)
                known = path.suffix.casefold() in IMAGE_SUFFIXES
                if name.startswith("."):
                    self.left_out["hidden images"] += known and not name.startswith("._")
                    continue
                self._names[path] = path.relative_to(folder).as_posix()
                content = "" if known else _content(path)
                if known or content == "image":
                    self.images.append(path)
                elif content or _UNREAD.fullmatch(name):
                    self.unread.append(path)
        self.images.sort()
        self.unread.sort()

    def remarks(self) -> Iterator[str]:
        """Say what lies here and is left out."""
        found = [f"{name} ({number:,})" for name, number in self.left_out.most_common() if number]
        if found:
            yield f"left out, and how many: {some(found)}; rename what holds fields nevertheless"

    def _index(self, spelt: Callable[[str], str]) -> dict[tuple[str, str], list[Path]]:
        """Sort all files by their path, name, and both without an image's ending, in one of the spellings."""
        if spelt not in self._indices:
            index = self._indices[spelt] = defaultdict(list)
            for path, inside in sorted(self._names.items()):
                keys = {("path", inside), ("name", path.name), ("near", path.stem)}
                if path.suffix.casefold() in IMAGE_SUFFIXES:
                    keys |= {("stem", path.stem), ("stem", inside[: -len(path.suffix)])}
                for kind, name in keys:
                    index[kind, spelt(name)].append(path)
        return self._indices[spelt]

    def locate(self, names: Iterable[str]) -> tuple[dict[str, Path | DatabaseError], list[str]]:
        r"""Find the files that a sheet's names mean, which lie below the folder whatever the names say.

        Args:
            names: the path from the folder on, or the name alone where only one file below has it, with or
                without an image's ending; or a whole path of another machine (``C:\data\im.jpg``), whose end
                counts, as much of it as there is here. Names are compared as they are written, then without
                regard to case, last of all to blanks and dashes.

        Returns:
            name to file, or to what is wrong: missing (`MissingImage`) or ambiguous; and remarks.
        """
        found: dict[str, Path | DatabaseError] = {}
        ends: dict[str, tuple[str, str, bool]] = {}
        for name in dict.fromkeys(names):
            try:
                found[name], ends[name] = self._find(name)
            except DatabaseError as error:
                found[name] = error
        # "data/P2/1.png" does not mean the only 1.png where "data/P1/1.png" was found as P1/1.png.
        homes = {start for start, end, _ in ends.values() if "/" in end}
        for name, (start, end, _) in ends.items():
            if "/" not in end and any(start != home and start.startswith(home) for home in homes):
                found[name] = self._missing(name)
        here = {name: path for name, path in found.items() if isinstance(path, Path) and ends[name][2]}
        odd = [f"{quoted(name)} is {self._names[path]}" for name, path in here.items()]
        remark = (
            f"{counted(len(odd), 'name')} in the sheet are not as here: found by the ends of whole paths, or "
            f"in spite of other blanks or dashes ({some(odd, 2)})"
        )
        return found, [remark] if odd else []

    def _find(self, name: str) -> tuple[Path, tuple[str, str, bool]]:
        """Find one file, with the start of its path that was cut off, what is left, and if that is odd."""
        if ("path", name) in self._index(str):  # which may hold a backslash
            return self._index(str)["path", name][0], ("./", name, False)
        start, parts = _parted(name)
        for first in range(len(parts)):
            end, cut = "/".join(parts[first:]), "/".join([start, *parts[:first], ""])
            for spelt in (str, _caseless, _loose):
                for kind in ("path", "name", "stem"):
                    found = self._index(spelt).get((kind, spelt(end)), [])
                    if len(found) > 1:
                        which = some(self._names[path] for path in found)
                        raise DatabaseError(f"{quoted(name)} may be any of {which}; write the whole name")
                    if found:
                        return found[0], (cut, end, cut != "./" or spelt is _loose)
        raise self._missing(name)

    def _missing(self, name: str) -> MissingImage:
        """Say that there is no such file, and which one there is that differs in its ending only."""
        start, parts = _parted(name)
        if start != ".":
            where = f"leaves the image folder, which is refused; put the file into {self.folder}"
            return MissingImage(f"{quoted(name)} {where}")
        what = "a folder, not an image," if self.folder.joinpath(*parts) in self.folders else "not"
        near = self._index(_loose).get(("near", _loose(PureWindowsPath(name).stem)), [])
        but = f", but {some(self._names[path] for path in near)} is" if near else ""
        but += "; convert it to png, its kind is not read" if near and near[0] in self.unread else ""
        return MissingImage(f"{quoted(name)} is {what} in {self.folder}{but}")

    def inside(self, path: Path | DatabaseError, name: str) -> Path:
        """Follow all links of the file called ``name``, which has to be a regular one below the folder."""
        if isinstance(path, DatabaseError):
            raise path
        real = Path(os.path.realpath(path))
        outside = not real.is_relative_to(self._real)
        for wrong, what in (
            (path in self.unread, "an image of a kind that is not read; convert it to png"),
            (not real.exists(), f"a link to nothing ({path})"),
            (outside, "a link out of the image folder, which is refused; copy the file into it"),
            (not real.is_file(), f"no regular file ({path})"),
        ):
            if wrong:
                raise DatabaseError(f"{quoted(name)} is {what}")
        return real


def _parted(name: str) -> tuple[str, list[str]]:
    """Cut a path of any system into where it starts ("." for a relative one, "C:", ...) and its parts."""
    text = unquote(name.partition("://")[2]) if "://" in name else name
    path = PureWindowsPath(text)  # which takes both / and \ for what they are
    start = path.anchor or ("." if text == name and not text.startswith("~") else "://")
    parts: list[str] = []
    for part in path.parts[bool(path.anchor) :]:
        start = ".." if part == ".." and not parts else start
        parts = parts[:-1] if part == ".." else [*parts, part]
    return start, parts


def _content(path: Path) -> str:
    """Look at a file's first bytes: "image" if they begin one that is read, "other" if another, else ""."""
    head = b""
    if path.is_file() and not path.is_symlink():  # a pipe would be waited for
        with suppress(OSError), path.open("rb") as stream:
            head = stream.read(132)
    read = _READ_CONTENT.match(head)
    if read and not (read[1] and _UNREAD.fullmatch(path.name)):  # many a microscope's file begins as a TIFF
        return "image"
    return "other" if " image" in unread_kind(head) else ""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person said about the database; None where it is to be found out."""

    sheet: Path | None
    images: Path | None
    columns: Mapping[str, str | None]  # role ("image", "label", "specimen", "pattern") to the column's header
    specimen_pattern: re.Pattern[str] | None  # finds it in the file name, or in the column that was given
    negative: tuple[str, ...] = ()  # words that mean negative, besides those that do anyway

    def specimen(self, image: str, cell: str) -> str:
        """Give an image's specimen, "" where the pattern finds none."""
        pattern = self.specimen_pattern
        if pattern is None:
            return cell
        found = pattern.search(image if self.columns["specimen"] is None else cell)
        group = "specimen" if "specimen" in pattern.groupindex else min(pattern.groups, 1)
        return ((found and found[group]) or "").strip()


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as its database lists it, all text, nothing checked."""

    place: str  # where it is listed, for messages ("GroundTruth.xls, row 5")
    image: str
    label: str  # the word that says positive or negative
    specimen: str  # the specimen's name, "" where none was found
    known: dict[str, str]  # what else is known: pattern, intensity, laboratory, instrument, age, sex


@dataclass(frozen=True, slots=True)
class Listing:
    """A database as its layout's reader found it."""

    layout: str
    folder: ImageFolder
    entries: list[Entry]
    read_label: Callable[[str], tuple[int, str] | None] = fluorescence  # what makes a label's word 1 or 0
    expected: str = "positive, negative, weak positive, 1+ to 4+, or 1 and 0"  # those words, for messages
    classes: tuple[str, str] = ("negative", "positive")  # what the labels 0 and 1 mean
    remarks: tuple[str, ...] = ()
    skipped: frozenset[Path] = frozenset()  # files that are no fields (masks): no sheet need list them
    whose: str = "its folder"  # what tells an image's specimen, where no pattern does


def is_truth(path: Path) -> bool:
    """Say whether a file is called ground truth, as AIDA's sheet is."""
    return "groundtruth" in re.sub(r"[^a-z]", "", path.name.casefold())


def sheets_of(folder: Path) -> list[Path]:
    """List the sheets that lie directly in a folder (not notes, and not what we may have left there)."""
    other = re.compile(r"\.|~\$|(read.?me|notes?|licen[cs]e)\b", re.IGNORECASE)
    found = (path for path in folder.iterdir() if path.suffix.casefold() in SHEET_SUFFIXES)
    return sorted(path for path in found if path.is_file() and not other.match(path.name))


def unread_files(path: Path) -> str:
    """Name the files here, or this file, that may hold a sheet or images but are not read, "" for none."""
    said = []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        what = _UNREAD_FILES.get(file.suffix.casefold())
        if file.name.startswith("~$"):
            what = "the mark of an open sheet, not the sheet; close the program and copy the sheet itself"
        said += [f"{file.name}: {what}"] if what else []
    return f" ({some(said)})" if said else ""


def _not_outside(path: Path, root: Path, option: str) -> Path:
    """Refuse a link out of the database's folder, which nobody has pointed at."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise DatabaseError(
            f"{path} is a link out of the database's folder, which is not followed; give what it leads to "
            f"with {option}=..."
        )
    return path


def tallied(values: Counter[str]) -> str:
    """List values with how often each occurs: "'Negative' (12), 'Homogeneous' (6) and 3 more"."""
    return some((f"{quoted(value) if value else 'empty'} ({n:,})" for value, n in values.most_common()), 8)


def read_rows(path: Path, options: Options, layout: str = "manifest") -> Listing:
    """Read a sheet with one row an image: image, label, specimen; such as AIDA's, beside an image folder.

    The path is that of the sheet itself, or of a folder with exactly one sheet (or one called ground truth;
    several with the same contents are one). A column of patterns that is given as the label's is the
    patterns' too.

    Raises:
        DatabaseError: no sheet, several, a column missing, or one of labels that cannot be settled.
    """
    source, same = _the_sheet(path, options)
    root = path if path.is_dir() else path.parent
    own = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name.casefold() == AIDA_IMAGES]
    folder = ImageFolder(root / (options.images or (_not_outside(own[0], root, "images") if own else "")))
    sheet = read_sheet(source, options.columns)
    required = {"image": "", "label": ""}
    if "pattern" in sheet.columns:
        header = sheet.headers[sheet.columns["pattern"]]
        values = Counter(sheet.cell(row, "pattern") for _, row in sheet.rows)
        required["label"] = (
            f" ({header!r} holds staining patterns, {tallied(values)}; which means negative is not "
            f'guessed: where one does and all others are positive, label_column="{header}" reads it, with '
            'negative="VALUE,VALUE" if its word for negative is an unusual one)'
        )
    if options.specimen_pattern is None or options.columns["specimen"] is not None:
        required["specimen"] = (
            " (whom an image belongs to decides the folds; specimen_pattern=... finds it in file names, or "
            "in a column that is given too)"
        )
    sheet.require(required)
    known = [role for role in sheet.columns if role not in ("image", "label", "specimen")]
    entries = [
        Entry(
            f"{sheet.path.name}, {place}",
            image := sheet.cell(row, "image"),
            sheet.cell(row, "label"),
            options.specimen(image, sheet.cell(row, "specimen")),
            {role: sheet.cell(row, role) for role in known},
        )
        for place, row in sheet.rows
    ]
    patterns, labels = options.columns["label"] is not None, [entry.label for entry in entries]
    read_label, settled = label_reader(labels, patterns=patterns, negative=options.negative)
    label = sheet.columns["label"]
    for entry in entries if patterns and sheet.columns.get("pattern", label) == label else ():
        named = fluorescence(entry.label) is None and (read_label(entry.label) or (0, ""))[0] == 1
        entry.known["pattern"] = entry.label if named else ""
    remarks = (*same, *sheet.remarks, *settled)
    return Listing(layout, folder, entries, read_label, remarks=remarks, whose=sheet.named("specimen"))


def _the_sheet(path: Path, options: Options) -> tuple[Path, list[str]]:
    """Find the one sheet of a database, and say which others hold the same."""
    if options.sheet is not None:
        return (path if path.is_dir() else path.parent) / options.sheet, []
    if path.is_file():
        return path, []
    sheets = sheets_of(path)
    found = [sheet for sheet in sheets if is_truth(sheet)] or sheets
    if not found:
        below = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
        here = f" (the folders here are {some(repr(folder.name) for folder in below)})" if below else ""
        hint = f"give it with sheet=..., or sort the images into folders called positive and negative{here}"
        above: list[Path] = []
        with suppress(OSError):  # which nobody has asked to read
            above = sheets_of(path.parent)
        if lower := [str(folder) for folder in below if sheets_of(folder)]:
            hint = f"there is one in {' and one in '.join(lower)}, give that folder or sheet=..."
        elif sorted_by_class := [str(folder) for folder in below if class_folders(folder)]:
            parts = some(sorted_by_class)
            hint = f"there are class folders in {parts}: give that folder, or put all parts together"
        elif above:
            hint = f"in the folder above lies {some(map(str, above))}: give that folder, or sheet=..."
        here = f"in this folder{unread_files(path)}"
        raise DatabaseError(f"{path}: no ground-truth sheet (xls, xlsx or csv) {here}; {hint}")
    first, *others = [_not_outside(sheet, path, "sheet") for sheet in found]
    if not others:
        return first, []
    names = some(sheet.name for sheet in found)
    try:
        table = read_sheet(first, options.columns)
        same = all(same_table(table, read_sheet(other, options.columns)) for other in others)
    except DatabaseError:  # one of them is no ground truth
        same = False
    if not same:
        raise DatabaseError(f"{path}: several sheets that differ, {names}; say which with sheet=...")
    return first, [f"{names} hold the same table; {first.name} is read"]


def class_folders(root: Path, negative: Sequence[str] = ()) -> list[str]:
    """Name the folders that are called as a class is: all of them beside one that ``negative`` names."""
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not _CLUTTER.fullmatch(p.name))
    if {name.casefold() for name in names} & {word.casefold() for word in negative}:
        return names
    return [name for name in names if fluorescence(name) is not None]


def read_class_folders(path: Path, options: Options) -> Listing:
    """Read one folder a class, its name being the label, with one folder a specimen below it.

    Without specimen folders, ``options.specimen_pattern`` has to say how file names tell the specimen.

    Raises:
        DatabaseError: no class folders, one within another, or images whose specimen is not known.
    """
    root = path / (options.images or "")
    folder = ImageFolder(root)
    classes = class_folders(root, options.negative)
    read_label, settled = label_reader(classes, patterns=False, negative=options.negative)
    classes = [name for name in classes if read_label(name) is not None]

    def below(paths: Iterable[Path]) -> list[PurePath]:
        inside = [path.relative_to(root) for path in paths]
        return [path for path in inside if path.parts[0] in classes]

    def specimen(image: PurePath) -> str:
        return options.specimen(image.as_posix(), "/".join(image.parts[1:-1]))

    images, unread = below(folder.images), below(folder.unread)
    # A specimen may be called "1" or "P", not "positive".
    nested = [p for p in images if any(len(s) > 2 and fluorescence(s) is not None for s in p.parts[1:-1])]
    if nested:
        inner = some(map(str, nested))
        raise DatabaseError(f"{root}: class folders within class folders ({inner}); move them apart")
    flat = [image.as_posix() for image in (*images, *unread) if len(image.parts) == 2]
    if flat and options.specimen_pattern is None:
        raise DatabaseError(
            f"{root}: whom an image belongs to is not known ({some(flat)}); put each specimen's images into "
            "a folder of their own inside the class folder, or give specimen_pattern=..."
        )
    remarks = settled
    whose, theirs = set(map(specimen, images)), set(map(specimen, unread))
    if unread:
        kinds = Counter(image.suffix.casefold() or "without an ending" for image in unread)
        listed = some(f"{number:,} {kind}" for kind, number in kinds.most_common())
        lost = sorted(theirs - whose)
        remarks.append(
            f"{counted(len(unread), 'image')} in {counted(len(theirs), 'specimen')} cannot be read and are "
            f"left out: {listed}; convert them to png"
        )
        remarks[-1] += f"; nothing is left of {counted(len(lost), 'specimen')}: {some(lost)}" if lost else ""
    outer = Counter(name.partition("/")[0] for name in whose if options.specimen_pattern is None)
    full = {path.parent for path in (*folder.images, *folder.unread, *folder.folders)}
    for what, found in {
        "files without the ending of an image, read for what they hold": [
            image.as_posix() for image in images if image.suffix.casefold() not in IMAGE_SUFFIXES
        ],
        "folders without an image": [p.as_posix() for p in below(p for p in folder.folders if p not in full)],
        "folders within a folder are taken for specimens of their own (if the outer one is the patient's, "
        "give specimen_pattern='/([^/]+)/')": sorted(n for n in whose if outer[n.partition("/")[0]] > 1),
    }.items():
        remarks += [f"{what}: {some(found)}"] if found else []
    if not images:
        said = "; ".join(("no images in class folders (positive, negative)", *remarks, *folder.remarks()))
        raise DatabaseError(f"{root}: {said}")
    entries = [Entry(p.as_posix(), p.as_posix(), p.parts[0], specimen(p), {}) for p in images]
    skipped = frozenset(root / p for p in unread)
    return Listing("class folders", folder, entries, read_label, remarks=tuple(remarks), skipped=skipped)


def contest_sheets(root: Path) -> list[Path]:
    """List the ground-truth sheets ("gt_training.csv", ...) in a folder and in its sub-folders."""
    found = [path for path in root.rglob("*") if path.suffix.casefold() in SHEET_SUFFIXES and path.is_file()]
    return sorted(path for path in found if path.stem.casefold().startswith(("gt_", "gt-", "gt.")))


def read_contest(path: Path, options: Options, layout: str) -> Listing:
    """Read a database of the contests of 2012 to 2016: which specimens are positive and which intermediate.

    "MIVIA": 28 fields of 28 patients. A sheet may have one row a cell: the rows of an image have to agree,
    and their patterns are joined. An image is a specimen of its own unless the sheet says otherwise.

    "I3A Task 2": four fields of each specimen, listed in one row together or in one row each; the fields of
    specimen 7 lie in a folder "7" or are called "7_1.tif", "007-p2.png" and so on. Where no column is one of
    images or specimens, one called "id" is that of the specimens. Files called masks are left out.

    Raises:
        DatabaseError: no sheet, no column for the image, the specimen or the intensity, a field that is
            missing, rows of one image that disagree.
    """
    if options.negative:
        raise DatabaseError("negative=...: this layout has no negative images, only intermediate ones")
    root = path if path.is_dir() else path.parent
    images = ImageFolder(folder := root / (options.images or ""))
    masks = {p for p in images.images if any("mask" in s.casefold() for s in p.relative_to(folder).parts)}
    fields = [p for p in images.images if p not in masks]
    paths = [path] if path.is_file() else contest_sheets(path)
    if options.sheet is not None:
        paths = [root / options.sheet]
    if not paths:
        raise DatabaseError(f"{path}: no ground-truth sheet called gt_*.csv; give it with sheet=...")
    by_image = layout == "MIVIA"
    sheets = [read_sheet(sheet, options.columns) for sheet in paths]
    listed = set()
    for sheet in sheets:
        ids = [index for index, header in enumerate(sheet.headers) if simplified(header) == "id"]
        if not by_image and len(ids) == 1 and "image" not in sheet.columns:
            sheet.columns.setdefault("specimen", ids[0])
        sheet.require({"label": "", "image" if by_image else "specimen": ""})
        listed |= {_plain(sheet.cell(row, "specimen")) for _, row in sheet.rows}
    owned = defaultdict(list)
    for image in () if by_image else fields:
        parent, beginning = image.parent.name, re.split(r"[_\-. ]", image.stem)[0]
        owned[_plain(parent if _plain(parent) in listed else beginning)].append(image)
    rows: defaultdict[Path, list[Entry]] = defaultdict(list)
    problems = []
    for sheet in sheets:
        near = [image for image in fields if image.is_relative_to(sheet.path.parent)]
        for where, row in sheet.rows:
            place, name = f"{sheet.path.name}, {where}", sheet.cell(row, "image")
            specimen = sheet.cell(row, "specimen")
            found = (_numbered(near, name) or _numbered(fields, name)) if name else owned[_plain(specimen)]
            if not found or (name and len(found) > 1):
                what = f"are called {name!r}" if name else f"of specimen {specimen!r}"
                problems.append(f"{place}: {len(found) or 'no'} images {what} in {folder}")
                continue
            intensity = sheet.cell(row, "intensity" if "intensity" in sheet.columns else "label")
            known = {"pattern": sheet.cell(row, "pattern"), "intensity": intensity}
            for image in found:
                inside = image.relative_to(folder).as_posix()
                patient = options.specimen(inside, specimen or inside)
                rows[image].append(Entry(place, inside, intensity, patient, dict(known)))
    for cells in rows.values():
        said = {(cell.label.casefold(), cell.specimen) for cell in cells}
        if len(said) > 1:
            problems.append(f"{cells[0].place}: the rows of {cells[0].image!r} disagree: {sorted(said)}")
        cells[0].known["pattern"] = " + ".join(sorted({cell.known["pattern"] for cell in cells} - {""}))
    if problems:
        raise DatabaseError(problems, str(path))
    entries, classes = [cells[0] for cells in rows.values()], ("intermediate", "positive")
    told = ("label 0 means intermediate intensity: this database holds no negative specimens",)
    read, expected = positive_or_intermediate, "positive or intermediate"
    whose = sheets[0].named("specimen") or "each image is a specimen of its own"
    return Listing(layout, images, entries, read, expected, classes, told, frozenset(masks), whose)


def _numbered(images: list[Path], name: str) -> list[Path]:
    """Find images by name, by stem, or by number ("1" is "01.bmp")."""
    key = name.casefold()
    found = [path for path in images if key in (path.name.casefold(), path.stem.casefold())]
    return found or [path for path in images if name.isdecimal() and _plain(path.stem) == _plain(name)]


def _plain(name: str) -> str:
    """Make "7", "007" and "7 " the same."""
    return name.strip().casefold().lstrip("0") or "0"


LAYOUTS: dict[str, Callable[[Path, Options], Listing]] = {
    "aida": partial(read_rows, layout="AIDA"),
    "manifest": read_rows,
    "folders": read_class_folders,
    "mivia": partial(read_contest, layout="MIVIA"),
    "i3a": partial(read_contest, layout="I3A Task 2"),
}


def chosen_reader(root: Path, options: Options, layout: str | None) -> Callable[[Path, Options], Listing]:
    """Choose the reader of a database by its layout, which is named or, if None, seen from what lies there.

    Raises:
        DatabaseError: an unknown layout, no folder or sheet, or a contest's database of which it is not said.
    """
    if layout is not None:
        if layout not in LAYOUTS:
            raise DatabaseError(f"layout={layout!r} is unknown; it may be {', '.join(LAYOUTS)}")
        return LAYOUTS[layout]
    if not root.is_dir():
        if root.suffix.casefold() not in SHEET_SUFFIXES:
            what = unread_files(root)
            raise DatabaseError(f"{root}: neither a folder nor a sheet ({', '.join(SHEET_SUFFIXES)}){what}")
        return read_rows
    if any(is_truth(path) or path.name.casefold() == AIDA_IMAGES for path in root.iterdir()):
        return LAYOUTS["aida"]
    if options.sheet is None and contest_sheets(root):
        raise DatabaseError(f"{root}: looks like a contest's database; say layout='mivia' or layout='i3a'")
    told = options.sheet is not None or any(options.columns.values())
    if class_folders(root, options.negative) and not told and not sheets_of(root):
        return read_class_folders
    return read_rows
