"""Five folds by specimen (paper, section 2.2): about 64 % training, 16 % validation and 20 % test each."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hep2lib.errors import InputError, counted, some
from hep2lib.files import written_whole

PARTS = ("train", "validation", "test")
_CLASSES = ("negative", "positive")
_VALIDATION_SHARE = 0.2  # of what is not tested: 16 % of all when 20 % are tested
_HEADER = ["image", "specimen", "label", "fold", "part"]


class FoldError(InputError):
    """Folds that cannot be made, or must not be used."""


class NoFoldsError(FoldError):
    """Specimens that cannot be divided into any number of folds."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """The three parts of one fold, as row numbers of the database.

    Attributes:
        train: sorted int64 array; the rows that weights are fitted to.
        validation: sorted int64 array; the rows that every choice is made on.
        test: sorted int64 array; the rows that results are reported on.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def specimen_folds(database: pd.DataFrame, k: int = 5, seed: int = 0) -> list[Fold]:
    """Divide a database into k folds, so that no specimen is on two sides of any of them.

    Specimens are shuffled, then dealt out from the largest to the smallest, each to the part that is furthest
    behind with its class; specimens with images of both classes are a class of their own and dealt out first.
    Parts are thereby balanced in images of either class to about one specimen.

    Args:
        database: columns ``label`` (0 or 1) and ``specimen``.
        k: number of folds, at least 2 (the paper: 5).
        seed: of the shuffle. The same specimens, seed and k give the same folds, in any order of the rows.

    Returns:
        k folds; every row is tested in exactly one of them. The validation part is 20 % of what is left.

    Raises:
        FoldError: a class has too few specimens for every part of every fold to hold both classes; the
            message says which, and a k that works; `NoFoldsError` if none does.
    """
    if k < 2:
        raise FoldError(f"k = {k}: cross-validation needs at least 2 folds")
    specimens = _Specimens.of(database)
    folds = _divide(specimens, k, seed)
    try:
        check_folds(folds, database)
    except FoldError as error:
        scarce = _scarce(specimens, k, database.attrs.get("classes", _CLASSES))
        other = _working(specimens, database, k, seed)
        if other is None:
            advice = "no k works, since every part needs specimens of either class: at least 3 of each"
            raise NoFoldsError(f"k = {k}: {scarce}; {advice}") from error
        raise FoldError(f"k = {k}: {scarce}; k = {other} works") from error
    return folds


def judged_folds(database: pd.DataFrame, k: int = 5, seed: int = 0) -> list[Fold]:
    """Make `specimen_folds` whose results can be judged: from one specimen of a class no interval can be had.

    Raises:
        FoldError: there are none, or a test part holds only one specimen of a class; with a k that works.
    """
    folds = specimen_folds(database, k, seed)
    if _fewest_tested(folds, database) > 1:
        return folds
    scarce = f"k = {k}: a test part has only one specimen of a class, and from one no interval can be had"
    specimens = _Specimens.of(database)
    for fewer in range(k - 1, 1, -1):
        other = _divide(specimens, fewer, seed)
        with suppress(FoldError):
            check_folds(other, database)
            if _fewest_tested(other, database) > 1:
                scarce += f"; k = {fewer} works (folds={fewer}; on the command line --set folds={fewer})"
                break
    raise FoldError(scarce)


def _fewest_tested(folds: Sequence[Fold], database: pd.DataFrame) -> int:
    """Count the specimens that have images of a class in a test part: the fewest of all."""
    parts = [database.iloc[fold.test] for fold in folds]
    return min(int(part.groupby("label")["specimen"].nunique().min()) for part in parts)


def _divide(specimens: "_Specimens", k: int, seed: int) -> list[Fold]:
    """Divide specimens into k folds as evenly as can be; `check_folds` says whether they may be used."""
    tested = _deal(specimens.images, np.full(k, 1.0 / k), np.random.default_rng([seed, 0]))
    folds = []
    for number in range(k):
        remaining = np.flatnonzero(tested != number)
        shares = np.array([1.0 - _VALIDATION_SHARE, _VALIDATION_SHARE])
        generator = np.random.default_rng([seed, number + 1])
        validated = _deal(specimens.images[remaining], shares, generator) == 1
        part = np.full(len(tested), 2)
        part[remaining] = validated
        folds.append(Fold(*(np.flatnonzero(part[specimens.row] == p).astype(np.int64) for p in range(3))))
    return folds


def _working(specimens: "_Specimens", database: pd.DataFrame, k: int, seed: int) -> int | None:
    """Find the nearest k that works where one does not: tried, not guessed."""
    possible = range(2, min(specimens.having()) + 1)
    for other in sorted(set(possible) - {k}, key=lambda number: abs(number - k)):
        try:
            check_folds(_divide(specimens, other, seed), database)
        except FoldError:
            continue
        return other
    return None


@dataclass(frozen=True, slots=True)
class _Specimens:
    """The specimens of a database in alphabetical order.

    Attributes:
        images: n_specimens x 2, images by label.
        row: n_images, number of the specimen of each row of the database.
    """

    images: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, database: pd.DataFrame) -> "_Specimens":
        labels = database["label"].to_numpy(dtype=np.int64)
        if len(labels) == 0 or not np.isin(labels, (0, 1)).all():
            raise FoldError("folds need images, each of label 0 or 1")
        names, row = np.unique(database["specimen"].astype(str).to_numpy(dtype=object), return_inverse=True)
        images = np.zeros((len(names), 2), dtype=np.int64)
        np.add.at(images, (row, labels), 1)
        return cls(images, row)

    def having(self) -> list[int]:
        """Count the specimens with an image of either class."""
        return [int(number) for number in (self.images > 0).sum(axis=0)]


def _scarce(specimens: _Specimens, k: int, classes: Sequence[str]) -> str:
    """Say why specimens cannot be divided into k folds."""
    having, name = min(zip(specimens.having(), classes, strict=True))
    if having >= max(k, 3):
        return "these specimens cannot be divided so"
    return (
        f"only {counted(having, 'specimen')} with {name} images, too few for {k} folds with both classes in "
        "training, validation and test"
    )


def _deal(
    images: NDArray[np.int64], shares: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal specimens (images by label) out to parts whose sizes are to be in the ratio of ``shares``.

    A part that has nothing of a class yet is always served first, so that a class with as many specimens as
    there are parts reaches all of them.

    Returns:
        The number of the part of each specimen.
    """
    parts = np.full(len(images), -1, dtype=np.int64)
    load = np.zeros((len(shares), 2))
    shuffled = generator.permutation(len(parts))
    negative, positive = images[:, 0] > 0, images[:, 1] > 0
    strata = (negative & positive, negative & ~positive, positive & ~negative)
    for stratum, label in zip(strata, (None, 0, 1), strict=True):
        members = shuffled[stratum[shuffled]]
        sizes = images[members].sum(axis=1)
        for member in members[np.argsort(-sizes, kind="stable")]:
            relative = load / shares[:, None]
            behind = relative.sum(axis=1) if label is None else relative[:, label]
            part = min(range(len(shares)), key=lambda p: (behind[p], relative[p].sum(), p))
            parts[member] = part
            load[part] += images[member]
    return parts


def check_folds(folds: Sequence[Fold], database: pd.DataFrame) -> None:
    """Check that folds may be used: nothing leaks, nothing is forgotten, every part can be learnt and judged.

    Args:
        folds: as `specimen_folds` makes or `read_folds` reads them.
        database: the table that their row numbers mean; columns ``label`` and ``specimen``.

    Raises:
        FoldError: a row outside the database, in two parts or in none; a specimen on two sides; a part
            without one of the classes; an image that is not tested exactly once. The message says which fold.
    """
    labels = database["label"].to_numpy()
    specimens = database["specimen"].to_numpy()
    for number, fold in enumerate(folds):
        parts = dict(zip(PARTS, (fold.train, fold.validation, fold.test), strict=True))
        rows = np.sort(np.concatenate(list(parts.values())))
        if not np.array_equal(rows, np.arange(len(database))):
            raise FoldError(f"fold {number}: its parts do not hold every image exactly once")
        side: dict[object, str] = {}
        for part, chosen in parts.items():
            for label, name in enumerate(database.attrs.get("classes", _CLASSES)):
                if not (labels[chosen] == label).any():
                    raise FoldError(f"fold {number}: its {part} part has no {name} image")
            for specimen in np.unique(specimens[chosen]):
                if side.setdefault(specimen, part) != part:
                    raise FoldError(
                        f"fold {number}: specimen {specimen!r} is in {side[specimen]} and in {part}"
                    )
    tested = np.concatenate([fold.test for fold in folds]) if folds else np.empty(0, dtype=np.int64)
    if not np.array_equal(np.sort(tested), np.arange(len(database))):
        raise FoldError("not every image is tested in exactly one fold")


def write_folds(folds: Sequence[Fold], database: pd.DataFrame, path: str | Path) -> None:
    """Write folds to a csv file: image, specimen, label, fold (from 0), part; a row for each image and fold.

    Args:
        folds: checked before anything is written.
        database: columns ``image``, ``specimen`` and ``label``.
        path: the file; written whole or not at all.

    Raises:
        FoldError: the folds must not be used.
    """
    check_folds(folds, database)
    path = Path(path)
    names = list(zip(database["image"], database["specimen"], database["label"], strict=True))
    rows = [
        (*names[row], number, part)
        for number, fold in enumerate(folds)
        for row, part in sorted((int(row), part) for part in PARTS for row in getattr(fold, part))
    ]
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(rows)


def read_folds(path: str | Path, database: pd.DataFrame) -> list[Fold]:
    """Read what `write_folds` wrote, and check it against the database, whatever the order of its rows.

    Raises:
        FoldError: no such file, damaged, made for another database, or not to be used.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FoldError(f"{path}: the folds cannot be read ({error})") from error
    if header != _HEADER:
        raise FoldError(f"{path}: not a file of folds; its header is not {','.join(_HEADER)}")
    row_of = {image: row for row, image in enumerate(database["image"])}
    facts = list(zip(database["specimen"], database["label"].astype(int).astype(str), strict=True))
    parts: dict[int, dict[str, list[int]]] = {}
    for line, row in enumerate(rows, 2):
        if len(row) != len(_HEADER) or not row[3].isdecimal() or row[4] not in PARTS:
            raise FoldError(f"{path}, line {line}: damaged; make the folds anew")
        image, specimen, label, fold, part = row
        if image not in row_of or facts[row_of[image]] != (specimen, label):
            raise FoldError(
                f"{path}, line {line}: image {image!r} of specimen {specimen!r}, label {label}, is not in "
                "this database; these folds belong to another one"
            )
        parts.setdefault(int(fold), {name: [] for name in PARTS})[part].append(row_of[image])
    if sorted(parts) != list(range(len(parts))) or not parts:
        raise FoldError(f"{path}: folds are to be numbered 0, 1, 2, ..., not {some(map(str, sorted(parts)))}")
    folds = [
        Fold(*(np.array(sorted(parts[number][part]), dtype=np.int64) for part in PARTS))
        for number in range(len(parts))
    ]
    try:
        check_folds(folds, database)
    except FoldError as error:
        raise FoldError(f"{path}: {error}") from error
    return folds
