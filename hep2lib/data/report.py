"""What is in a database: counts, duplicates, and how well its files alone tell the classes apart."""

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagehash
import numpy as np
import pandas as pd
import PIL
from numpy.typing import NDArray
from PIL import Image

from hep2lib.data.database import database_checksum
from hep2lib.data.folds import FoldError, NoFoldsError, specimen_folds
from hep2lib.data.images import Header, decode, each_new, read_header
from hep2lib.errors import DatabaseError, counted, printable, some
from hep2lib.files import CARD, write_text
from hep2lib.ranking import auc
from hep2lib.sources import code_digest

if TYPE_CHECKING:  # importing the simulator takes half a second, and a database on the disc needs none
    from hep2lib.simulator.simulation import Simulation

SUSPICIOUS_AUC = 0.6
_FOLDS, _REPEATS, _SHUFFLES = 10, 5, 200
_MOST_SIZES = 20
_MOST_GROUPS = 12  # of one attribute that its table lists
_MOST_VALUES = 15  # of one kind that the text lists
QUESTIONS = (
    "Source: from which laboratories, microscopes and years are the images?",
    "Licence: who may use them, and may they be passed on?",
    "Who is in it: whose sera are these, and how were they chosen?",
    "Who is not: which patients, patterns or images were left out?",
    "Labels: who said what is positive, how many readers were there, and how far did they agree?",
    "Known biases: in what do the classes differ, apart from the fluorescence?",
)
PUBLISHED_AIDA = {"images": 2080, "positive images": 1498, "negative images": 582, "specimens": 1000}
"""The public AIDA database: images after the paper (section 2.1), sera after the project's site."""
HASH_SIDE, _SHRUNK = 16, 64
"""A perceptual hash has 16 x 16 bits: signs of the lowest frequencies of the image at 64 x 64 pixels."""
NEAR = 26
"""Images are near duplicates up to this many of 256 bits: a tenth, where unrelated images differ in half."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What one attribute of the files, or all of them together, tells of the label."""

    attribute: str  # "size", "format", "instrument", "laboratory" or "all together"
    table: Mapping[str, tuple[int, int]]  # value to (negative, positive images); empty for all together
    auc: float  # of a classifier that sees nothing else, on specimens that it has not seen
    chance: float  # what the same classifier reaches in one of twenty shuffles of the specimens' labels

    @property
    def suspicious(self) -> bool:
        """Whether the attribute alone reaches an AUC above 0.6, and more than chance would."""
        return self.auc > max(SUSPICIOUS_AUC, self.chance)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What one decoded image is recognised by."""

    header: Header  # what the file says of itself
    pixels: str  # sha256 of the size and the decoded pixels, whatever format they were stored in
    look: Sequence[int]  # the perceptual hash, 256 bits as 4 whole numbers of 64
    flat: bool  # whether all pixels are equal


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Images that are copies of one another."""

    images: tuple[str, ...]  # their names, in the order of the database
    specimens: tuple[str, ...]  # whom they belong to, each once
    exact: bool  # whether their pixels are equal; near duplicates only look alike
    labels: tuple[int, ...]  # their labels, each once; two of them contradict one another

    @property
    def across(self) -> bool:
        """Whether the copies belong to different specimens, and may thus be on two sides of a fold."""
        return len(self.specimens) > 1


def fingerprint(path: Path, bit_depth: int = 16) -> Fingerprint:
    """Decode an image and take its fingerprint; `bit_depth` of 16-bit images is that of `images.decode`.

    Raises:
        DatabaseError: the image cannot be read.
    """
    header = read_header(path)
    pixels = decode(path, bit_depth)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.tobytes())
    grey = Image.fromarray(pixels).convert("L").resize((_SHRUNK, _SHRUNK), Image.Resampling.BICUBIC)
    bits = imagehash.phash(grey, hash_size=HASH_SIDE, highfreq_factor=_SHRUNK // HASH_SIDE).hash
    look = np.packbits(bits.ravel()).view(np.uint64).tolist()
    return Fingerprint(header, digest.hexdigest(), look, bool((pixels == pixels[0, 0]).all()))


def fingerprints(database: pd.DataFrame) -> tuple[list[Fingerprint | None], list[str]]:
    """Take the fingerprint of every image of a database, in parallel, and only once while it does not change.

    Returns:
        One fingerprint a row, None where the image cannot be read, and what is wrong with those.
    """
    depth, listed = int(database.attrs.get("bit_depth", 16)), database.attrs.get("places", {})
    images = [(Path(p), listed.get(i, "")) for i, p in zip(database["image"], database["path"], strict=True)]
    code = code_digest("hep2lib.data.report.fingerprint")
    follows = (code, PIL.__version__, imagehash.__version__, f"{depth} bits")
    kept, problems = each_new(lambda p: astuple(fingerprint(p, depth)), images, "looking at images", follows)
    return [each and Fingerprint(Header(*each[0]), *each[1:]) for each in kept], problems


def find_duplicates(database: pd.DataFrame, prints: Sequence[Fingerprint | None]) -> list[Duplicates]:
    """Find exact and near duplicates.

    Args:
        database: columns ``image``, ``specimen`` and ``label``.
        prints: one fingerprint a row; None is passed over.

    Returns:
        Groups of exact duplicates, then pairs of near ones; of images whose pixels are equal only the first
        is compared further. Images without any structure look like one another and are no near duplicates.
    """
    seen = {row: found for row, found in enumerate(prints) if found is not None}
    by_pixels: defaultdict[str, list[int]] = defaultdict(list)
    for row, found in seen.items():
        by_pixels[found.pixels].append(row)
    groups = [(group, True) for group in by_pixels.values() if len(group) > 1]
    single = [group[0] for group in by_pixels.values() if not seen[group[0]].flat]
    looks = np.array([seen[row].look for row in single], dtype=np.uint64).reshape(-1, 4).T.copy()
    for first in range(len(single)):
        differing = np.bitwise_count(looks[:, first + 1 :] ^ looks[:, first, None]).sum(axis=0)
        near = np.flatnonzero(differing <= NEAR) + first + 1
        groups += [([single[first], single[second]], False) for second in near]
    return [
        Duplicates(
            images=tuple(database["image"].iloc[rows]),
            specimens=tuple(database["specimen"].iloc[rows].unique()),
            exact=exact,
            labels=tuple(sorted(map(int, database["label"].iloc[rows].unique()))),
        )
        for rows, exact in groups
    ]


def planned_files(simulation: "Simulation") -> tuple[pd.DataFrame, list[Header]]:
    """Plan a database without drawing it: the table and the headers that `find_shortcuts` looks at.

    Of its columns it has ``image``, ``label`` (as it will be written), ``specimen`` and ``instrument``.
    """
    from hep2lib.simulator.writing import planned_images

    plan = planned_images(simulation)
    files = zip(plan["format"], plan["width"], plan["height"], strict=True)
    return plan[["image", "label", "specimen", "instrument"]], [Header(*file, "RGB", 8, 1) for file in files]


def find_shortcuts(database: pd.DataFrame, headers: Sequence[Header]) -> list[Shortcut]:
    """Measure what each attribute of the files, and all together, tell of the label.

    The classifier is naive Bayes: a value's score is the logarithm of how often it went with positive rather
    than with negative images of other specimens, and the scores of several attributes are added. Its AUC is
    0.5 or, in a small database, below where an attribute tells nothing.

    Args:
        database: columns ``label`` (both 0 and 1), ``specimen`` and, where known, ``instrument`` and
            ``laboratory``.
        headers: of the images, one a row.

    Returns:
        One shortcut for each attribute that has more than one value, then all together if there are several.
    """
    names: dict[str, list[str]] = {
        "size": [f"{header.width} x {header.height}" for header in headers],
        "format": [f"{header.format}, {header.mode}" for header in headers],
    }
    for column in ("instrument", "laboratory"):
        if column in database:
            names[column] = [value or "unknown" for value in database[column]]
    names = {attribute: values for attribute, values in names.items() if len(set(values)) > 1}
    codes = {attribute: np.unique(values, return_inverse=True)[1] for attribute, values in names.items()}
    if "size" in codes and codes["size"].max() >= _MOST_SIZES:
        pixels = np.array([header.width * header.height for header in headers])
        codes["size"] = np.searchsorted(np.quantile(pixels, np.linspace(0.1, 0.9, 9)), pixels)
    found = []
    for attribute, values in names.items():
        area, chance = _judged(database, [codes[attribute]])
        found.append(Shortcut(attribute, _table_counts(values, database["label"]), area, chance))
    if len(codes) > 1:
        found.append(Shortcut("all together", {}, *_judged(database, list(codes.values()))))
    return found


def _table_counts(values: Sequence[str], labels: pd.Series) -> dict[str, tuple[int, int]]:
    """Count the images of each class by value."""
    counts = Counter(zip(values, labels, strict=True))
    order = [value for value, _ in Counter(sorted(values)).most_common()]
    table = {value: (counts[value, 0], counts[value, 1]) for value in order[:_MOST_GROUPS]}
    if rest := order[_MOST_GROUPS:]:
        negative, positive = (sum(counts[value, label] for value in rest) for label in (0, 1))
        table[f"{len(rest)} others"] = negative, positive
    return table


def _judged(database: pd.DataFrame, codes: Sequence[NDArray[np.int64]]) -> tuple[float, float]:
    """Give the AUC on unseen specimens, and the 95th percentile of the same with the labels shuffled."""
    generator = np.random.default_rng(0)
    labels = database["label"].to_numpy(dtype=np.int64)
    specimen = np.unique(database["specimen"].to_numpy(dtype=object), return_inverse=True)[1]
    count = int(specimen.max()) + 1
    folds = [generator.permutation(count)[specimen] % min(_FOLDS, count) for _ in range(_REPEATS)]
    found = float(np.mean([auc(labels, _unseen_scores(labels, codes, fold)) for fold in folds]))
    shares = np.bincount(specimen, weights=labels) / np.bincount(specimen)
    by_chance = []
    for number in range(_SHUFFLES):
        # A specimen gets the share of positive images of another, so that its images stay together.
        share = generator.permutation(shares)[specimen]
        shuffled = (share > generator.random(len(share))).astype(np.int64)
        if 0 < shuffled.sum() < len(shuffled):
            by_chance.append(auc(shuffled, _unseen_scores(shuffled, codes, folds[number % _REPEATS])))
    return found, float(np.quantile(by_chance, 0.95)) if by_chance else 1.0


def _unseen_scores(
    labels: NDArray[np.int64], codes: Sequence[NDArray[np.int64]], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score every image by how its values went with the labels in the other folds: n_images."""
    scores = np.zeros(len(labels))
    for code in codes:
        shape = (int(fold.max()) + 1, 2, int(code.max()) + 1)
        cells = np.ravel_multi_index((fold, labels, code), shape)
        counted = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
        others = counted.sum(axis=0) - counted
        of_class = np.maximum(others.sum(axis=2, keepdims=True), 1.0)
        # Both frequencies are smoothed by the same amount, so that a value never seen before scores 0.
        frequency = others / of_class + 1.0 / len(labels)
        scores += np.log(frequency[:, 1] / frequency[:, 0])[fold, code]
    return scores


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What was found in a database."""

    name: str
    simulated: bool
    layout: str
    folder: str  # where its images are
    specimens: str  # how an image's specimen was found, with an example
    depth: str  # how many bits the 16-bit images use, and why; empty if there are none
    counts: Mapping[str, int]  # images, images by class, specimens
    published: Mapping[str, int]  # the same counts of the public AIDA database, empty for other layouts
    images_per_specimen: Mapping[str, Mapping[int, int]]  # by class or "both": images to specimens
    values: Mapping[str, Mapping[str, int]]  # of pattern, laboratory and so on: value to images
    age: Mapping[str, float]  # "known", "youngest", "median", "oldest"; empty if not known
    duplicates: tuple[Duplicates, ...]
    mixed_specimens: tuple[str, ...]
    shortcuts: tuple[Shortcut, ...]  # what the files alone tell of the label
    warnings: tuple[str, ...]
    problems: tuple[str, ...]  # why the database cannot be used; empty if it can

    @property
    def usable(self) -> bool:
        """Whether the database can be used: it has no problems (warnings it may have)."""
        return not self.problems

    def text(self) -> str:
        """Write the report for a terminal."""
        return "\n\n".join("\n".join(map(printable, lines)) for lines in _sections(self))

    def as_dict(self) -> dict[str, Any]:
        """Give the report as what JSON can hold: dictionaries, lists, text, numbers."""
        report = asdict(self)
        for group, found in zip(report["duplicates"], self.duplicates, strict=True):
            group["across"] = found.across
        return {**report, "usable": self.usable}


def describe(database: pd.DataFrame) -> DatabaseReport:
    """Look at every image of a database (`hep2lib.data.database.read_database`) and report what is in it.

    Images whose header was fine but whose pixels cannot be read are among the report's problems, and so are
    too few specimens for any number of folds.
    """
    prints, problems = fingerprints(database)
    attrs, database = database.attrs, database.copy(deep=False)
    database.attrs = attrs | {"places": {}}  # pandas would copy all of them with every column
    labels, specimens = database["label"], database["specimen"]
    readable = [row for row, found in enumerate(prints) if found is not None]
    headers = [found.header for found in prints if found is not None]
    duplicates = find_duplicates(database, prints)
    both = labels.iloc[readable].nunique() == 2
    shortcuts = find_shortcuts(database.iloc[readable].reset_index(drop=True), headers) if both else []
    mixed = [str(name) for name, found in labels.groupby(specimens).nunique().items() if found > 1]
    flat = [database["image"].iloc[row] for row in readable if getattr(prints[row], "flat", False)]
    known = database["age"].dropna() if "age" in database else pd.Series(dtype="float64")
    ages = {"youngest": known.min(), "median": known.median(), "oldest": known.max()}
    unfolded: list[str] = []
    try:
        specimen_folds(database)
    except FoldError as error:
        (problems if isinstance(error, NoFoldsError) else unfolded).append(str(error))
    classes = attrs.get("classes", ("negative", "positive"))
    return DatabaseReport(
        name=str(attrs.get("name", "database")),
        simulated=bool(attrs.get("simulated", False)),
        **{key: str(attrs.get(key, "")) for key in ("layout", "folder", "specimens", "depth")},
        counts={
            "images": len(database),
            f"{classes[1]} images": int((labels == 1).sum()),
            f"{classes[0]} images": int((labels == 0).sum()),
            "specimens": int(specimens.nunique()),
        },
        published=PUBLISHED_AIDA if attrs.get("layout") == "AIDA" else {},
        images_per_specimen=_images_per_specimen(database, classes),
        values=_values(database, headers),
        age={"known": len(known)} | {n: float(age) for n, age in ages.items()} if len(known) else {},
        duplicates=tuple(duplicates),
        mixed_specimens=tuple(mixed),
        shortcuts=tuple(shortcuts),
        warnings=(*attrs.get("warnings", ()), *_warnings(duplicates, shortcuts, mixed, flat), *unfolded),
        problems=tuple(problems),
    )


def _values(database: pd.DataFrame, headers: Sequence[Header]) -> dict[str, dict[str, int]]:
    """Count images by whatever is known of them."""
    values = {
        "format": [header.format for header in headers],
        "size": [f"{header.width} x {header.height}" for header in headers],
        "pattern": [pattern for pattern in database["pattern"] if pattern],
    }
    for column in ("intensity", "laboratory", "instrument", "sex"):
        if column in database:
            values[column] = [value or "unknown" for value in database[column]]
    return {name: dict(Counter(sorted(found)).most_common()) for name, found in values.items() if found}


def _images_per_specimen(database: pd.DataFrame, classes: Sequence[str]) -> dict[str, dict[int, int]]:
    """Count specimens by their class and their number of images."""
    groups = database["label"].groupby(database["specimen"]).agg(["size", "min", "max"])
    sizes = {
        classes[0]: groups["size"][groups["max"] == 0],
        classes[1]: groups["size"][groups["min"] == 1],
        "both": groups["size"][groups["min"] < groups["max"]],
    }
    return {
        name: {int(images): int(n) for images, n in found.value_counts().sort_index().items()}
        for name, found in sizes.items()
    }


def _warnings(
    duplicates: list[Duplicates], shortcuts: list[Shortcut], mixed: list[str], flat: list[str]
) -> Iterator[str]:
    """Say what the images themselves showed."""
    for shortcut in shortcuts:
        alone = f"shortcut: {shortcut.attribute} alone reaches an AUC of {shortcut.auc:.2f}"
        if shortcut.suspicious:
            yield f"{alone}; a network may learn the files instead of the fluorescence"
        elif shortcut.auc > SUSPICIOUS_AUC:
            yield f"perhaps a {alone}; in a database this small chance alone may reach {shortcut.chance:.2f}"
    across = [" = ".join(group.images) for group in duplicates if group.across]
    opposed = [" = ".join(group.images) for group in duplicates if len(group.labels) > 1]
    verb = "has" if len(mixed) == 1 else "have"
    for found, noun, what in (
        (across, "duplicate", "across specimens, which may leak between the parts of a fold"),
        (opposed, "duplicate", "with contradictory labels"),
        (mixed, "specimen", f"{verb} images of both classes"),
        (flat, "image", "without any structure, all pixels equal"),
    ):
        if found:
            yield f"{counted(len(found), noun)} {what}: {some(found)}"


def card_facts(database: pd.DataFrame, report: DatabaseReport) -> dict[str, str]:
    """What a data card says of a database, with what ``describe`` reports of it, without asking anybody."""
    counts = [f"{name} {number:,}" for name, number in report.counts.items()]
    each = sorted({number for found in report.images_per_specimen.values() for number in found})
    formats, sizes, *others = report.values.items()
    order = sorted(sizes[1], key=lambda size: math.prod(map(int, size.split(" x "))))
    known = [name for name, found in others if {*found} - {"unknown"}] + ["age"] * bool(report.age)
    across = sum(group.across for group in report.duplicates)
    files = [f"{found.attribute} {found.auc:.3f}" for found in report.shortcuts]
    suspicious = [found.attribute for found in report.shortcuts if found.suspicious]
    return {
        "Counts": ", ".join(counts),
        "Images of a specimen": " to ".join(f"{number}" for number in dict.fromkeys((each[0], each[-1]))),
        "Formats": ", ".join(f"{name} {number:,}" for name, number in formats[1].items()),
        "Sizes": " to ".join(dict.fromkeys((order[0], order[-1]))) + f" pixels ({len(order)} in all)",
        "Known beside the label": ", ".join(known) or "nothing",
        "Duplicates": f"{len(report.duplicates)}, {across} across specimens" if report.duplicates else "none",
        "Specimens with both labels": f"{len(report.mixed_specimens)}",
        "AUC of the files alone": ", ".join(files) or "all are of one size and format",
        "Suspicious of these": ", ".join(suspicious) or "none",
        "sha256, first digits": database_checksum(database)[:16],
    }


def write_card(run: Path, name: str) -> None:
    """Write a data card's questions into a run, for the owner of its database, unless they are there."""
    how = "Write each answer below its question; `hep2 refresh RUN` and `hep2 book RUN` put it into the book."
    if not (run / CARD).exists():
        parts = [f"# Data card of {name}", how, *(f"## {question}" for question in QUESTIONS)]
        write_text(run / CARD, "\n\n".join(parts) + "\n")


def read_card(run: Path) -> dict[str, str]:
    """The owner's answers in a run's data card by question, "not answered" where there is none.

    Raises:
        DatabaseError: the file cannot be read, or has a heading that is none of the questions.
    """
    file = run / CARD
    try:
        text = file.read_text(encoding="utf-8-sig") if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseError(f"{file}: cannot be read as UTF-8 text ({error})") from None
    answers = dict.fromkeys(QUESTIONS, "")
    for part in re.split(r"^## +", text, flags=re.MULTILINE)[1:]:
        question, _, answer = part.partition("\n")
        if (question := question.strip()) not in answers:
            raise DatabaseError(f"{file}: {question!r} is none of its questions: {'; '.join(QUESTIONS)}")
        answers[question] += f" {answer}"
    return {question: " ".join(answer.split()) or "not answered" for question, answer in answers.items()}


def _sections(report: DatabaseReport) -> Iterator[Iterable[str]]:
    """Write the report, a list of lines for each of its sections."""
    known = [f"  specimens: {report.specimens}"] if report.specimens else []
    known += [f"  16-bit images: {report.depth} (bits=... sets it)"] if report.depth else []
    yield [report.name, f"  {report.layout} layout, images in {report.folder}", *known]
    yield _count_lines(report)
    yield _specimen_lines(report)
    for name, values in report.values.items():
        yield _value_lines(name, values)
    if report.age:
        age = report.age
        years = f"{age['youngest']:.0f} to {age['oldest']:.0f} years, median {age['median']:.0f}"
        yield [f"Age: {years} (known for {counted(int(age['known']), 'image')})"]
    yield _duplicate_lines(report)
    yield _shortcut_lines(report)
    if report.warnings:
        yield [f"Warnings ({len(report.warnings)})", *(f"  - {text}" for text in report.warnings)]
    heading = f"Problems ({len(report.problems)}): this database cannot be used"
    heading = "This database can be used." if report.usable else heading
    yield [heading, *(f"  - {text}" for text in report.problems)]


def _count_lines(report: DatabaseReport) -> Iterator[str]:
    published = report.published
    yield f"{'':<18}{'found':>8}" + (f"{'AIDA':>8}" if published else "")
    for name, number in report.counts.items():
        yield f"{name:<18}{number:>8,}" + (f"{published[name]:>8,}" if published else "")
    if published:
        yield "AIDA: the public database's counts as published; a copy may have fewer images."


def _specimen_lines(report: DatabaseReport) -> Iterator[str]:
    yield "Images per specimen"
    for name, sizes in report.images_per_specimen.items():
        specimens = sum(sizes.values())
        if specimens:
            mean = sum(images * number for images, number in sizes.items()) / specimens
            parts = ", ".join(f"{number:,} with {images}" for images, number in sizes.items())
            yield f"  {name:<10}{counted(specimens, 'specimen')}, mean {mean:.2f} images: {parts}"


def _value_lines(name: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"Images by {name}"
    shown, rest = list(values.items())[:_MOST_VALUES], list(values.values())[_MOST_VALUES:]
    width = max(len(value) for value, _ in shown) + 2
    for value, number in [*shown, *([(f"{len(rest)} others", sum(rest))] if rest else [])]:
        yield f"  {value:<{width}}{number:>6,}"


def _duplicate_lines(report: DatabaseReport) -> Iterator[str]:
    yield "Duplicates"
    for exact, name in ((True, "same pixels"), (False, "look alike")):
        groups = [group for group in report.duplicates if group.exact == exact]
        across = [group for group in groups if group.across]
        within = len(groups) - len(across)
        yield f"  {name:<13}{within:>4} within a specimen, {len(across):>4} across specimens"
        if groups:
            yield f"    {some((' = '.join(group.images) for group in [*across, *groups][:10]), 3)}"
    mixed = report.mixed_specimens
    yield f"Specimens with both labels: {len(mixed)}" + (f" ({some(mixed)})" if mixed else "")


def _shortcut_lines(report: DatabaseReport) -> Iterator[str]:
    yield "What the files alone tell of the label (AUC on unseen specimens; 0.5 or less is nothing)"
    if not report.shortcuts:
        yield "  nothing: all files are of one size and format" if report.usable else "  not measured"
    names = [name for name in report.images_per_specimen if name != "both"]
    for shortcut in report.shortcuts:
        judged = f"AUC {shortcut.auc:.2f}  (chance: up to {shortcut.chance:.2f})"
        yield f"  {shortcut.attribute:<14}{judged}" + ("  <- suspicious" if shortcut.suspicious else "")
        for value, (negative, positive) in shortcut.table.items():
            yield f"    {value:<24}{negative:>6,} {names[0]} {positive:>6,} {names[1]}"
