"""What is in a database and whether it can be trusted, before anything is trained on it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from hep2lib.data.decoding import Header
from hep2lib.data.duplicates import Duplicates, find_duplicates, fingerprints
from hep2lib.data.folds import FoldError, specimen_folds
from hep2lib.data.shortcuts import SUSPICIOUS_AUC, Shortcut, find_shortcuts
from hep2lib.errors import counted, printable, some

PUBLISHED_AIDA = {"images": 2080, "positive images": 1498, "negative images": 582, "specimens": 1000}
"""The public AIDA database: images after the paper (section 2.1), sera after the project's site."""

_MOST_VALUES = 15  # of one kind that the text lists


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What was found in a database.

    Attributes:
        name: of the database.
        simulated: whether it was written by the simulator.
        layout: how it is laid out.
        folder: where its images are.
        counts: images, images by class, specimens.
        published: the same counts of the public AIDA database, empty for other layouts.
        images_per_specimen: class, or "both" of them, to images a specimen to specimens.
        values: pattern, intensity, laboratory, instrument, sex, where known: value to number of images.
        age: "known" images, and "youngest", "median" and "oldest" of them; empty where no age is known.
        duplicates: exact and near duplicates.
        mixed_specimens: specimens with images of both classes.
        shortcuts: what the files alone tell of the label.
        warnings: what a person should know.
        problems: why the database cannot be used; empty if it can.
    """

    name: str
    simulated: bool
    layout: str
    folder: str
    counts: Mapping[str, int]
    published: Mapping[str, int]
    images_per_specimen: Mapping[str, Mapping[int, int]]
    values: Mapping[str, Mapping[str, int]]
    age: Mapping[str, float]
    duplicates: tuple[Duplicates, ...]
    mixed_specimens: tuple[str, ...]
    shortcuts: tuple[Shortcut, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether the database can be used: it has no problems (warnings it may have)."""
        return not self.problems

    def text(self) -> str:
        """Write the report for a terminal."""
        return "\n".join(map(printable, _lines(self)))

    def as_dict(self) -> dict[str, Any]:
        """Give the report as what JSON can hold: dictionaries, lists, text, numbers."""
        report = asdict(self)
        for group, found in zip(report["duplicates"], self.duplicates, strict=True):
            group["across"] = found.across
        return {**report, "usable": self.usable}


def describe(database: pd.DataFrame) -> DatabaseReport:
    """Look at every image of a database and report what is in it.

    Args:
        database: a table as `hep2lib.data.database.read_database` returns it.

    Returns:
        The report. Images whose header was fine but whose pixels cannot be read are among its problems.
    """
    labels, specimens = database["label"], database["specimen"]
    prints, problems = fingerprints(database)
    readable = [row for row, found in enumerate(prints) if found is not None]
    headers = [found.header for found in prints if found is not None]
    duplicates = find_duplicates(database, prints)
    both = labels.iloc[readable].nunique() == 2
    shortcuts = find_shortcuts(database.iloc[readable].reset_index(drop=True), headers) if both else []
    mixed = [str(name) for name, group in labels.groupby(specimens) if group.nunique() > 1]
    flat = [database["image"].iloc[row] for row in readable if getattr(prints[row], "flat", False)]
    attrs = database.attrs
    classes = attrs.get("classes", ("negative", "positive"))
    return DatabaseReport(
        name=str(attrs.get("name", "database")),
        simulated=bool(attrs.get("simulated", False)),
        layout=str(attrs.get("layout", "")),
        folder=str(attrs.get("folder", "")),
        counts=_counts(database, classes),
        published=PUBLISHED_AIDA if attrs.get("layout") == "AIDA" else {},
        images_per_specimen=_images_per_specimen(database, classes),
        values=_values(database, headers),
        age=_age(database),
        duplicates=tuple(duplicates),
        mixed_specimens=tuple(mixed),
        shortcuts=tuple(shortcuts),
        warnings=(*attrs.get("warnings", ()), *_warnings(database, duplicates, shortcuts, mixed, flat)),
        problems=tuple(problems),
    )


def _counts(database: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    """Count images, also by class, and specimens."""
    return {
        "images": len(database),
        f"{classes[1]} images": int((database["label"] == 1).sum()),
        f"{classes[0]} images": int((database["label"] == 0).sum()),
        "specimens": int(database["specimen"].nunique()),
    }


def _values(database: pd.DataFrame, headers: Sequence[Header]) -> dict[str, dict[str, int]]:
    """Count images by whatever is known of them."""
    values = {
        "format": _frequencies(header.format for header in headers),
        "size": _frequencies(f"{header.width} x {header.height}" for header in headers),
        "pattern": _frequencies(pattern for pattern in database["pattern"] if pattern),
    }
    for column in ("intensity", "laboratory", "instrument", "sex"):
        if column in database:
            values[column] = _frequencies(value or "unknown" for value in database[column])
    return {name: found for name, found in values.items() if found}


def _frequencies(values: Iterable[str]) -> dict[str, int]:
    """Count values, the commonest first."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _age(database: pd.DataFrame) -> dict[str, float]:
    """Describe the ages that are known."""
    known = database["age"].dropna() if "age" in database else pd.Series(dtype="float64")
    if known.empty:
        return {}
    extremes = {"youngest": known.min(), "median": known.median(), "oldest": known.max()}
    return {"known": len(known), **{name: float(age) for name, age in extremes.items()}}


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
    database: pd.DataFrame,
    duplicates: list[Duplicates],
    shortcuts: list[Shortcut],
    mixed: list[str],
    flat: list[str],
) -> Iterator[str]:
    """Say what the images themselves showed."""
    for shortcut in shortcuts:
        if shortcut.suspicious:
            yield (
                f"shortcut: {shortcut.attribute} alone reaches an AUC of {shortcut.auc:.2f}; a network may "
                "learn the files instead of the fluorescence"
            )
        elif shortcut.auc > SUSPICIOUS_AUC:
            yield (
                f"perhaps a shortcut: {shortcut.attribute} alone reaches an AUC of {shortcut.auc:.2f}; in a "
                f"database this small chance alone may reach {shortcut.chance:.2f}"
            )
    across = [group for group in duplicates if group.across]
    if across:
        named = some((" = ".join(group.images) for group in across), 3)
        found = counted(len(across), "duplicate")
        yield f"{found} across specimens, which may leak between the parts of a fold: {named}"
    opposed = [group for group in duplicates if len(group.labels) > 1]
    if opposed:
        named = some((" = ".join(group.images) for group in opposed), 3)
        yield f"{counted(len(opposed), 'duplicate')} with contradictory labels: {named}"
    if mixed:
        verb = "has" if len(mixed) == 1 else "have"
        yield f"{counted(len(mixed), 'specimen')} {verb} images of both classes: {some(mixed)}"
    if flat:
        yield f"{counted(len(flat), 'image')} without any structure, all pixels equal: {some(flat)}"
    try:
        specimen_folds(database)
    except FoldError as error:
        yield f"the paper's five folds cannot be made: {error}"


def _lines(report: DatabaseReport) -> Iterator[str]:
    """Write the report, line by line."""
    yield report.name
    yield f"  {report.layout} layout, images in {report.folder}"
    yield ""
    yield from _count_lines(report)
    yield ""
    yield from _specimen_lines(report)
    for name, values in report.values.items():
        yield ""
        yield from _value_lines(name, values)
    if report.age:
        age = report.age
        yield ""
        years = f"{age['youngest']:.0f} to {age['oldest']:.0f} years, median {age['median']:.0f}"
        yield f"Age: {years} (known for {counted(int(age['known']), 'image')})"
    yield ""
    yield from _duplicate_lines(report)
    yield ""
    yield from _shortcut_lines(report)
    if report.warnings:
        yield ""
        yield f"Warnings ({len(report.warnings)})"
        yield from (f"  - {warning}" for warning in report.warnings)
    yield ""
    if report.problems:
        yield f"Problems ({len(report.problems)}): this database cannot be used"
        yield from (f"  - {problem}" for problem in report.problems)
    else:
        yield "This database can be used."


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
    shown = list(values.items())[:_MOST_VALUES]
    width = max(len(value) for value, _ in shown) + 2
    for value, number in shown:
        yield f"  {value:<{width}}{number:>6,}"
    if len(values) > len(shown):
        rest = sum(list(values.values())[_MOST_VALUES:])
        yield f"  {f'{len(values) - len(shown)} others':<{width}}{rest:>6,}"


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
