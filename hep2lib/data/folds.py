"""Five folds by specimen (paper, section 2.2): about 64 % training, 16 % validation and 20 % test each."""

import csv
from collections.abc import Sequence
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
    Parts are thereby balanced in images of either class to about one specimen. Where a test part has only one
    specimen of a class so, from which no interval could be had, those that lack one are served first.

    Args:
        database: columns ``label`` (0 or 1) and ``specimen``.
        k: number of folds, at least 2 (the paper: 5).
        seed: of the shuffle. The same specimens, seed and k give the same folds, in any order of the rows.

    Returns:
        k folds; every row is tested in exactly one of them, and every test part has two specimens or more of
        either class, every other part one. The validation part is 20 % of what is left.

    Raises:
        FoldError: a class has fewer than 2 k specimens; the message says which, and a k that works;
            `NoFoldsError` if none does.
    """
    if k < 2:
        raise FoldError(f"folds={k}: cross-validation needs at least 2 folds")
    images, row = _specimens(database)
    numbers = [int(number) for number in (images > 0).sum(axis=0)]
    if (fewest := min(numbers)) < 2 * k:
        having = zip(numbers, database.attrs.get("classes", _CLASSES), strict=True)
        found = " and ".join(f"{counted(number, 'specimen')} with {name} images" for number, name in having)
        scarce = (
            f"{k} folds divide the specimens into {k} parts, each of which is tested once and needs two "
            f"specimens of either class, {2 * k} in all; there are {found}"
        )
        if fewest < 4:
            raise NoFoldsError(f"{scarce}; at least four of either class are needed, for two folds")
        fits = fewest // 2
        raise FoldError(f"{scarce}; {fits} folds work: --set folds={fits}, or folds: {fits} in a profile")
    equal, shares = np.full(k, 1.0 / k), np.array([1.0 - _VALIDATION_SHARE, _VALIDATION_SHARE])
    for least in (0, 2):
        tested = _deal(images, equal, np.random.default_rng([seed, 0]), least)
        if min((images[tested == part] > 0).sum(axis=0).min() for part in range(k)) > 1:
            break
    folds = []
    for number in range(k):
        part = np.full(len(tested), 2)
        remaining = np.flatnonzero(tested != number)
        part[remaining] = _deal(images[remaining], shares, np.random.default_rng([seed, number + 1]))
        folds.append(Fold(*(np.flatnonzero(part[row] == p).astype(np.int64) for p in range(3))))
    return folds


def _specimens(database: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count images by label, n_specimens x 2 in alphabetical order, and number the specimen of each row."""
    labels = database["label"].to_numpy(dtype=np.int64)
    if len(labels) == 0 or not np.isin(labels, (0, 1)).all():
        raise FoldError("folds need images, each of label 0 or 1")
    names, row = np.unique(database["specimen"].astype(str).to_numpy(dtype=object), return_inverse=True)
    images = np.zeros((len(names), 2), dtype=np.int64)
    np.add.at(images, (row, labels), 1)
    return images, row


def _deal(
    images: NDArray[np.int64], shares: NDArray[np.float64], generator: np.random.Generator, least: int = 0
) -> NDArray[np.int64]:
    """Give each specimen (images by label) the number of a part; the parts' sizes are as ``shares``.

    A part that has nothing of a class yet is always served first, so that a class with as many specimens as
    there are parts reaches all of them; so is one with the fewest up to ``least`` specimens of a class.
    """
    parts = np.full(len(images), -1, dtype=np.int64)
    load, held = np.zeros((2, len(shares), 2))
    shuffled = generator.permutation(len(parts))
    negative, positive = images[:, 0] > 0, images[:, 1] > 0
    strata = (negative & positive, negative & ~positive, positive & ~negative)
    for stratum, label in zip(strata, (None, 0, 1), strict=True):
        members = shuffled[stratum[shuffled]]
        sizes = images[members].sum(axis=1)
        for member in members[np.argsort(-sizes, kind="stable")]:
            relative = load / shares[:, None]
            behind = relative.sum(axis=1) if label is None else relative[:, label]
            few = np.minimum(held.min(axis=1) if label is None else held[:, label], least)
            part = min(range(len(shares)), key=lambda p: (few[p], behind[p], relative[p].sum(), p))
            parts[member] = part
            load[part] += images[member]
            held[part] += images[member] > 0
    return parts


def check_folds(folds: Sequence[Fold], database: pd.DataFrame) -> None:
    """Check that folds may be used: nothing leaks, nothing is forgotten, every part can be learnt and judged.

    Of the database they need the columns ``label`` and ``specimen``.

    Raises:
        FoldError: a row outside the database, in two parts or in none; a specimen on two sides; a part
            without one of the classes; an image that is not tested exactly once. The message says which fold.
    """
    labels, specimens = database["label"].to_numpy(), database["specimen"].to_numpy()
    for number, fold in enumerate(folds, 1):
        parts = {part: getattr(fold, part) for part in PARTS}
        rows = np.sort(np.concatenate(list(parts.values())))
        if not np.array_equal(rows, np.arange(len(database))):
            raise FoldError(f"fold {number}: its parts do not hold every image exactly once")
        side: dict[object, str] = {}
        for part, chosen in parts.items():
            for label, name in enumerate(database.attrs.get("classes", _CLASSES)):
                if not (labels[chosen] == label).any():
                    raise FoldError(f"fold {number}: its {part} part has no {name} image")
            for specimen in np.unique(specimens[chosen]):
                if (other := side.setdefault(specimen, part)) != part:
                    raise FoldError(f"fold {number}: specimen {specimen!r} is in {other} and in {part}")
    tested = np.concatenate([fold.test for fold in folds]) if folds else np.empty(0, dtype=np.int64)
    if not np.array_equal(np.sort(tested), np.arange(len(database))):
        raise FoldError("not every image is tested in exactly one fold")


def write_folds(folds: Sequence[Fold], database: pd.DataFrame, path: str | Path) -> None:
    """Write folds to a csv file, whole or not at all; a row for each image and fold.

    Its columns are image, specimen, label, fold (from 1) and part.

    Raises:
        FoldError: the folds must not be used.
    """
    check_folds(folds, database)
    names = list(zip(database["image"], database["specimen"], database["label"], strict=True))
    rows = [
        (*names[row], number, part)
        for number, fold in enumerate(folds, 1)
        for row, part in sorted((int(row), part) for part in PARTS for row in getattr(fold, part))
    ]
    with written_whole(Path(path)) as temporary:
        pd.DataFrame(rows, columns=_HEADER).to_csv(temporary, index=False, lineterminator="\n")


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
            raise FoldError(f"{path}, line {line}: damaged; delete the file to make the folds anew")
        image, specimen, label, fold, part = row
        if image not in row_of or facts[row_of[image]] != (specimen, label):
            raise FoldError(
                f"{path}, line {line}: image {image!r} of specimen {specimen!r}, label {label}, is not in "
                "this database; these folds belong to another one"
            )
        parts.setdefault(int(fold), {name: [] for name in PARTS})[part].append(row_of[image])
    numbers = sorted(parts)
    if numbers != list(range(1, len(parts) + 1)) or not parts:
        said = f"folds are numbered 1, 2, 3, ..., not {some(map(str, numbers))}"
        raise FoldError(f"{path}: {said}; delete the file to make them anew")
    of_folds = [parts[number] for number in numbers]
    folds = [Fold(*(np.array(sorted(own[part]), dtype=np.int64) for part in PARTS)) for own in of_folds]
    try:
        check_folds(folds, database)
    except FoldError as error:
        raise FoldError(f"{path}: {error}") from error
    return folds
