"""What is in a database and whether it can be trusted, before anything is trained on it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from hep2lib.data.decoding import Header
from hep2lib.data.duplicates import Duplicates, find_duplicates, fingerprints
from hep2lib.data.folds import FoldError, specimen_folds
from hep2lib.data.problems import counted, printable, some
from hep2lib.data.report_text import report_lines
from hep2lib.data.shortcuts import SUSPICIOUS_AUC, Shortcut, find_shortcuts

PUBLISHED_AIDA = {"images": 2080, "positive images": 1498, "negative images": 582, "specimens": 1000}
"""The public AIDA database: images after the paper (section 2.1), sera after the project's site."""


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
        return "\n".join(map(printable, report_lines(self)))

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
