"""A database folder as one checked table, with a remark for whatever is odd about it."""

import csv
import hashlib
import json
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL

from hep2lib.data.images import decode, each_image, each_new, file_checksum, quietly, read_header, wide_pixels
from hep2lib.data.layouts import Entry, Listing, MissingImage, Options, chosen_reader, tallied, unread_files
from hep2lib.errors import DatabaseError, counted, printable, quoted, some
from hep2lib.files import database_part, typed_path
from hep2lib.progress import progress
from hep2lib.sources import code_digest

_NO_PATTERN = re.compile(r"neg|ac-?0|none|no$|nessun|-$", re.IGNORECASE)
_NOBODY = re.compile(r"nan|#?n/a|#(na|ref!|name\?|value!|div/0!|num!)|null|none|nil|unknown|[?-]")
OWN = ("manifest", "class folders")  # layouts of databases that have no name of their own
_TEXT = ("pattern", "intensity", "laboratory", "instrument", "sex")


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
    negative: str | None = None,
    layout: str | None = None,
    bits: int | None = None,
) -> pd.DataFrame:
    """Read a database folder into a table, one row an image, in the sheet's order.

    Args:
        path: the folder, or a sheet beside its images.
        sheet: the ground-truth sheet (xls, xlsx, csv), absolute or relative to the folder, else to the
            working folder.
        images: the image folder, likewise.
        image_column: header of the column of file names, where it is not found by itself.
        label_column: header of the positive/negative column, or of one of staining patterns of which some
            mean negative; all others are positive then.
        specimen_column: header of the specimen (patient, well) column.
        pattern_column: header of the staining pattern column.
        specimen_pattern: regular expression that finds the specimen in an image's name, or in its cell of
            ``specimen_column`` where that is given too: its group "specimen", else its first group, else the
            whole match. Only used when given.
        negative: "VALUE,VALUE", further words that mean negative; one with a comma in it in double quotes.
        layout: "aida", "manifest", "folders", "mivia" or "i3a"; found out if None.
        bits: how many bits the 16-bit images of this database use (8 to 16): 2^bits - 1 is white. If None,
            16, or fewer where at least two images stop at the most that fewer bits hold.

    Returns:
        A table with a RangeIndex and the columns ``image`` (str, unique: the name as listed), ``path`` (str,
        absolute), ``label`` (int8: 1 positive, 0 negative), ``specimen`` (str), ``pattern`` (str, "" if
        unknown) and, where the sheet has them, ``intensity``, ``laboratory``, ``instrument``, ``sex`` (str,
        "" if unknown) and ``age`` (float, NaN if unknown). Its ``attrs``: ``name`` (str), ``simulated``
        (bool), ``layout`` (str), ``classes`` (list of str: what 0 and 1 mean), ``folder`` (str),
        ``bit_depth`` (int, 8 if no image has 16 bits), ``depth`` (str: why that, "" if no image has 16 bits),
        ``specimens`` (str: how they were found), ``places`` (dict: image to where the sheet lists it),
        ``warnings`` (list of str) and, of a simulated one, ``simulation`` (str: the simulator's version, a
        checksum of its parameters, and the seed).

    Raises:
        DatabaseError: it cannot be used; the message holds every problem that was found, with file and row.
        InputError: a path may mean two files, or a home folder is not known.
    """
    root = typed_path(path)
    if not os.path.lexists(root):
        raise DatabaseError(f"{root}: no such folder; give a database's, or write one with `hep2 simulate`")
    try:
        pattern = None if specimen_pattern is None else re.compile(specimen_pattern)
    except re.error as error:
        told = f"specimen_pattern={quoted(specimen_pattern or '')} is no regular expression: {error}"
        raise DatabaseError(told) from error
    negative_words = csv.reader([negative or ""], skipinitialspace=True)  # "a, b" in quotes is one word
    columns = {"image": image_column, "label": label_column}
    options = Options(
        sheet=database_part(sheet, root) if sheet is not None else None,
        images=database_part(images, root) if images is not None else None,
        columns=columns | {"specimen": specimen_column, "pattern": pattern_column},
        specimen_pattern=pattern,
        negative=tuple(word.strip() for row in negative_words for word in row if word.strip()),
    )
    simulation = _simulation(root)
    try:
        listing = chosen_reader(root, options, layout)(root, options)
    except OSError as error:
        raise DatabaseError(f"{error.filename or root}: cannot be read ({error.strerror})") from error
    rows, remarks = _checked(listing, options, root)
    table = _table(rows)
    several = [row["image"] for row in rows if row["header"].frames > 1]
    if several:
        more = f"{counted(len(several), 'file')} with more: {some(several)}"
        remarks.append(f"only the first image (page, channel or slice) is read of {more}")
    bit_depth, depth, doubts = _bit_depth(rows, bits)
    table.attrs = {
        "name": root.resolve().name + f" ({listing.layout})" * (listing.layout not in OWN),
        "simulated": bool(simulation),
        "layout": listing.layout,
        "classes": list(listing.classes),
        "folder": str(listing.folder.folder.resolve()),
        "bit_depth": bit_depth,
        "depth": depth,
        "specimens": _whose(table, listing, options),
        "places": {row["image"]: row["place"] for row in rows},
        "warnings": [
            *listing.remarks,
            *remarks,
            *listing.folder.remarks(),
            *_unlisted(listing, table),
            *_specimens(table),
            *_contradictions(listing, table),
            *doubts,
        ],
    } | simulation
    return table


def _checked(listing: Listing, options: Options, root: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Check every entry of a listing, for all problems: names, labels, specimens, files and image headers.

    Returns:
        A row of the table for each, with its "place" and its image's "header" besides; and remarks.
    """
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    unknown: Counter[str] = Counter()
    names: dict[str, str] = {}
    files: dict[Path, str] = {}
    located, remarks = listing.folder.locate(entry.image for entry in listing.entries if entry.image)
    with quietly():
        for entry in progress(listing.entries, "checking images", unit="image"):
            row, wrong = _words(entry, listing, options)
            unknown[entry.label] += "label" not in row
            if entry.image in names:
                first = names[entry.image]
                wrong.append(f"{quoted(entry.image)} is listed already, at {first}; delete one of the rows")
            elif entry.image:
                names[entry.image] = entry.place
                try:
                    path = listing.folder.inside(located[entry.image], entry.image)
                    if path in files:
                        raise DatabaseError(
                            f"{quoted(entry.image)} is the same file as the image at {files[path]}; delete "
                            "one of the rows, or put the file that is missing into the folder"
                        )
                    files[path] = entry.place
                    row |= {"path": str(path), "header": read_header(path), "place": entry.place}
                except DatabaseError as error:
                    wrong.append(str(error))
            problems += [f"{entry.place}: {text}" for text in wrong]
            if not wrong:
                rows.append(row)
    if located and all(isinstance(found, MissingImage) for found in located.values()):
        _, but, instead = str(next(iter(located.values()))).partition(", but ")
        raise DatabaseError(
            f"{listing.folder.folder}: none of the {counted(len(located), 'listed image')} is in this folder "
            f"({some(located, 3)}){but}{instead}; give the image folder with images=..."
            f"{unread_files(listing.folder.folder)}"
        )
    unknown = +unknown
    everywhere = unknown.total() == len(listing.entries) > 1
    if everywhere or len(unknown) > 3:
        whom = "no label is" if everywhere else f"{counted(unknown.total(), 'label')} are not"
        text = (
            f"{whom} understood: {tallied(unknown)}; a label may be {listing.expected}; if it stands in "
            "another column, say which with label_column=...; if these are staining patterns, all of them "
            'positive, give this column so, and the words for negative with negative="VALUE,VALUE"'
        )
        others = (problem for problem in problems if ": the label " not in problem)
        problems = [f"{listing.entries[0].place} and others: {text}", *others]
    if problems:  # whoever mends them wants to know of all
        images = [(Path(row["path"]), row["place"]) for row in rows]
        problems += each_image(decode, images, "decoding images")[1]
        raise DatabaseError(_grouped(problems), str(root))
    labels = {row["label"] for row in rows}
    if len(labels) < 2:
        own, other = sorted(listing.classes, key=lambda name: listing.classes.index(name) not in labels)
        all_of_one = f"all {len(rows):,} listed images are {own}; {other} ones are needed too"
        odd = (*listing.remarks, *listing.folder.remarks())
        raise DatabaseError(f"{root}: {'; '.join((all_of_one if rows else 'holds no images', *odd))}")
    return rows, remarks


def _grouped(problems: Iterable[str]) -> list[str]:
    """Say problems of one kind, which differ in names and numbers only, in one line if they are many."""
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for problem in problems:
        text = problem.partition(": ")[2]
        kinds[re.sub(r"'(?:[^'\\]|\\.)*'|=\"[^\"]*\"|\S*/\S*|\d+", "", text)].append(problem)
    lines = []
    for found in kinds.values():
        lines += found if len(found) <= 3 else found[:1]
        if len(found) > 3:
            places = [problem.partition(": ")[0] for problem in found]
            same = f"{places[0].rpartition('row ')[0]}row "
            alike = all(place.startswith(same) for place in places)
            others = [place.removeprefix(same * alike) for place in places[1:]]
            lines[-1] += f"; likewise {'rows ' * alike}{some(others, 20)}"
    return lines


def _words(entry: Entry, listing: Listing, options: Options) -> tuple[dict[str, object], list[str]]:
    """Check what an entry says: (columns of the table, problems)."""
    wrong = []
    if not entry.image:
        wrong.append("the image's file name is empty")
    if printable(entry.image) != entry.image:
        wrong.append(f"{quoted(entry.image)} holds characters that cannot be printed; rename the file")
    row: dict[str, object] = {"image": entry.image, **entry.known}
    meaning = listing.read_label(entry.label)
    if meaning is None:
        said = f"the label {quoted(entry.label)} is not understood" if entry.label else "the label is empty"
        told = entry.label and listing.classes[0] == "negative" and not set(entry.label) & set('",')
        way = f', or give negative="{entry.label}" if it means that' if told else ""
        wrong.append(f"{said}; it may be {listing.expected}{way}")
    else:
        row["label"], intensity = meaning
        if intensity and entry.known.get("intensity", "") in ("", entry.label):
            row["intensity"] = intensity  # the label names it, and no column of its own says more
    specimen = entry.specimen
    if not specimen and options.specimen_pattern is None:
        wrong.append("the specimen is empty")
    elif not specimen and options.specimen_pattern and entry.image:
        where = quoted(entry.image) if options.columns["specimen"] is None else "the specimen's cell"
        given = quoted(options.specimen_pattern.pattern)
        wrong.append(f"specimen_pattern={given} finds no specimen in {where}")
    if _NOBODY.fullmatch(specimen.casefold()):
        wrong.append(f"the specimen {specimen!r} names nobody; give each unknown one a name of its own")
    row["specimen"] = specimen
    return row, wrong


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Make the table of the rows that passed, with the columns that are known."""
    table = pd.DataFrame(rows)
    table["label"] = table["label"].astype("int8")
    table["pattern"] = table.get("pattern", "")
    for column in table.columns.intersection(_TEXT):
        table[column] = table[column].fillna("").astype("str")
    if "age" in table:
        table["age"] = pd.to_numeric(table["age"], errors="coerce").astype("float64")
    order = ("image", "path", "label", "specimen", *_TEXT, "age")
    return table[[column for column in order if column in table]]


def _unlisted(listing: Listing, table: pd.DataFrame) -> Iterator[str]:
    listed = set(table["path"])
    folder = listing.folder
    others = [p for p in folder.images if str(p) not in listed and os.path.realpath(p) not in listed]
    others = [p for p in (*others, *folder.unread) if p not in listing.skipped]
    if others:
        names = [path.relative_to(folder.folder).as_posix() for path in others]
        if listing.layout == "class folders":
            tops = Counter(name.rpartition("/")[0].partition("/")[0] or "no folder" for name in names)
            names = [f"{number:,} in {top}" for top, number in tops.most_common()]
        verb = "is" if len(others) == 1 else "are"
        yield (
            f"{counted(len(others), 'image')} in the folder {verb} not listed, hence left out: {some(names)} "
            f"(listed: {counted(len(table), 'image')} of {counted(table['specimen'].nunique(), 'specimen')})"
        )


def _specimens(table: pd.DataFrame) -> Iterator[str]:
    spelt: defaultdict[str, list[str]] = defaultdict(list)
    for specimen in sorted(set(table["specimen"])):
        spelt[_same_name(specimen)].append(specimen)
    alike = [" and ".join(map(repr, names)) for names in spelt.values() if len(names) > 1]
    if alike:
        yield (
            f"specimens {some(alike)} differ only in case, blanks, separators, zeros or letters that "
            f"look like digits: {counted(len(alike), 'patient')}, or more? One with two names would stand on "
            "both sides of a fold"
        )
    for name in sorted({specimen for specimen in table["specimen"] if specimen.casefold() == "na"}):
        yield f"the specimen {name!r} may mean that it is not known: one patient, or several taken for one?"
    if table["specimen"].is_unique:
        yield "every specimen has one image: with a patient twice, a wrong column, folder or name was read"


def _whose(table: pd.DataFrame, listing: Listing, options: Options) -> str:
    """Say by an example how specimens were found."""
    told = listing.whose
    if options.specimen_pattern is not None:
        place = "file names" if options.columns["specimen"] is None else told
        told = f"specimen_pattern={quoted(options.specimen_pattern.pattern)} in {place}"
    image, specimen = table["image"].iloc[0], table["specimen"].iloc[0]
    return f"{quoted(specimen)} for {quoted(image)} ({told}), {table['specimen'].nunique():,} in all"


def _same_name(specimen: str) -> str:
    """Make specimens equal that people mix up: "7" and "007", "7.0", "P-1" and "p1", "S1O" and "S10"."""
    plain = unicodedata.normalize("NFKC", re.sub(r"\.0+$", "", specimen)).casefold()
    plain = plain.translate(str.maketrans("авекмнорстху", "abekmhopctxy"))  # Cyrillic, as on some keyboards
    plain = re.sub(r"[\s_.\-\u2010-\u2015\u2212]+", "-", plain)
    plain = re.sub(r"(?<!\d)-|-(?!\d)", "", plain)  # but "1-11" is not "11-1"
    if re.search(r"\d", plain):
        plain = plain.translate(str.maketrans("oil", "011"))
    return re.sub(r"(?<!\d)0+(?=\d)", "", plain)


def _contradictions(listing: Listing, table: pd.DataFrame) -> Iterator[str]:
    if listing.classes[0] != "negative":
        return
    named = table["pattern"] != ""
    absent = table["pattern"].map(lambda pattern: _NO_PATTERN.match(pattern) is not None)
    for label, odd, what in (
        ("positive", (table["label"] == 1) & absent, "a pattern that means negative"),
        ("negative", (table["label"] == 0) & named & ~absent, "a staining pattern"),
    ):
        if odd.any():
            images = table["image"][odd]
            yield f"{counted(len(images), f'{label} image')} with {what}: {some(images)}"


def _bit_depth(rows: list[dict[str, Any]], bits: int | None) -> tuple[int, str, list[str]]:
    """Find how many bits the 16-bit images use, one number for all: (bits, why, what is doubtful).

    A viewer shows 65,535 as white, and fewer bits need evidence: two images or more stop at the most that
    they hold. A mere guess could brighten dark fields, and brightness is what is classified. Neither a TIFF's
    largest value (the one that occurs) nor a PNG's significant bits (before it was stretched) is evidence.
    """
    if bits is not None and not 8 <= bits <= 16:
        raise DatabaseError(f"bits={bits}: 16-bit images use 8 to 16 bits")
    wide = [row for row in rows if row["header"].bits == 16]
    if not wide:
        return 8, "", [] if bits is None else [f"bits={bits} changes nothing: no image has 16 bits a channel"]
    share = f"only {len(wide):,} of {len(rows):,} images have 16 bits, is their white that of 8?"
    doubts = [f"{share} {some(row['image'] for row in wide)}"] if len(wide) < len(rows) else []
    if bits is not None:
        return bits, f"{bits} bits are used, as asked for", doubts
    files = [(Path(row["path"]), row["place"]) for row in wide]
    follows = (code_digest("hep2lib.data.database._values"), PIL.__version__)
    found, problems = each_new(_values, files, "measuring bit depth", follows)
    if problems:
        raise DatabaseError(problems)
    reached: defaultdict[int, list[str]] = defaultdict(list)
    for row, (largest, _) in zip(wide, found, strict=True):
        reached[largest].append(row["image"])
    top, used = max(reached), int(np.bitwise_or.reduce([used for _, used in found]))
    step, fitting = used & -used, top.bit_length()  # a step of 16: 12 bits at the upper end of 16
    for fewer in (8, 10, 12, 14):
        stopped = reached[2**fewer - 1]
        if len(stopped) > 1 and top >= 2**fewer:
            scale = f"stop at {2**fewer - 1:,}, as with {fewer} bits, others reach {top:,}: is it one scale?"
            doubts.append(f"{counted(len(stopped), '16-bit image')} {scale} {some(stopped)}")
    why = f"bits are used; the largest value is {top:,}, in {counted(len(reached[top]), 'image')}"
    if len(reached[top]) > 1 and top + step == 2**fitting >= 256 * step:
        return fitting, f"{fitting} {why}, the most that {fitting} bits hold", doubts
    if top < 2**14 and step < 16:
        fewer = max(8, fitting + fitting % 2)
        doubts.append(
            f"16-bit images reach {top:,} of 65,535 and are dark: give bits={fewer} if their camera had "
            f"{fewer}, else bits=16: {some(reached[top])}"
        )
    return 16, f"16 {why}", doubts


def _values(path: Path) -> tuple[int, int]:
    """Find the largest value of a 16-bit image, and in one number all the bits that its values have."""
    pixels = wide_pixels(path)
    return int(pixels.max()), int(np.bitwise_or.reduce(pixels, axis=None))


def _simulation(root: Path) -> dict[str, str]:
    """Give the name and the origin that ``simulation.json`` tells of; nothing where there is no such file.

    Where ``simulation`` is the same, the same images were drawn, whatever the bytes of the files.
    """
    path = (root if root.is_dir() else root.parent) / "simulation.json"
    if not path.is_file():
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seed, version = record["seed"], record.get("simulator_version", "unknown")
        name = record.get("name", f"simulated database ({record['specimens']} specimens, seed {seed})")
        own = {key: record[key] for key in record.keys() - {"name", "seed", "simulator_version", "masks"}}
        digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:12]
        return {"name": str(name), "simulation": f"version {version}, parameters {digest}, seed {seed}"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{path}: damaged ({error}); write it anew with `hep2 simulate`") from error


def database_checksum(database: pd.DataFrame) -> str:
    """The sha256, in hexadecimal digits, of what a study sees of a database: contents, labels, specimens.

    The order of the rows, the names of the files and the place of the folder do not matter.

    Raises:
        DatabaseError: images that cannot be read, all of them named.
    """
    contents, problems = each_image(file_checksum, [(path, "") for path in database["path"]], "checksums")
    if problems:
        raise DatabaseError(problems)
    facts = zip(contents, database["label"], database["specimen"], strict=True)
    lines = sorted(json.dumps([content, int(label), str(specimen)]) for content, label, specimen in facts)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
