"""Classifiers without a network: what a file's size, a field's brightness or ten numbers of it tell.

Each is fitted on a fold's training part, chooses (the strength of its regularisation, its threshold) on the
validation part, and is scored on the test part, which nothing else sees.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch.nn import functional

from hep2lib.data.folds import Fold
from hep2lib.data.images import quietly, read_header
from hep2lib.evaluation.auc import FloatArray, IntArray, ScoreError, auc, check_count
from hep2lib.evaluation.scores import Scores, with_specimens
from hep2lib.progress import progress
from hep2lib.studies.outcomes import log_losses, out_of_fold

HANDMADE: dict[str, str] = {
    "mean": "mean of the green channel, 0 to 1",
    "deviation": "standard deviation over the field",
    "median": "median",
    "bright": "95th percentile",
    "brightest": "99.5th percentile: nucleoli, dots, mitoses",
    "background": "5th percentile: light between the cells",
    "skewness": "third standardised moment: few bright spots on a dark field, or an even one",
    "entropy": "of the histogram of 64 grey levels, in bits",
    "fine": "root mean square of what a 3 x 3 mean takes away: speckles and noise",
    "coarse": "root mean square between a 3 x 3 and a 15 x 15 mean: nuclei against their surroundings",
}
"""The features' names and what they measure, in the order of the columns."""

_BLOCK = 64  # images at a time


def _tensor(images: npt.ArrayLike | torch.Tensor) -> torch.Tensor:
    """Return uint8 images of shape (images, 3, height, width) as a tensor; ScoreError if they are others."""
    tensor = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.asarray(images))
    if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[1] != 3:
        raise ScoreError(
            f"Images must be uint8 of shape (images, 3, height, width); these are {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}."
        )
    return tensor


def mean_green(images: npt.ArrayLike | torch.Tensor) -> FloatArray:
    """Mean of the green channel, where the fluorescein glows, 0 to 1; images as for `handmade_features`."""
    green = _tensor(images)[:, 1]
    blocks = [green[i : i + _BLOCK].double().mean(dim=(1, 2)) / 255 for i in range(0, len(green), _BLOCK)]
    return torch.cat(blocks).numpy() if blocks else np.empty(0)


def handmade_features(images: npt.ArrayLike | torch.Tensor) -> FloatArray:
    """The features of `HANDMADE`, of each image's green channel, from that image alone.

    Args:
        images: uint8, shape (images, 3, height, width), height and width at least 15.

    Returns:
        Shape (images, 10).

    Raises:
        ScoreError: images of another type or shape.
    """
    green = _tensor(images)[:, 1]
    starts = progress(range(0, len(green), _BLOCK), "hand-made features", unit="block")
    blocks = [_features(green[start : start + _BLOCK]) for start in starts]
    return torch.cat(blocks).numpy().astype(np.float64) if blocks else np.empty((0, len(HANDMADE)))


def _mean_filter(field: torch.Tensor, width: int) -> torch.Tensor:
    """Mean over width x width pixels around each, the border repeated; shape (images, 1, height, width)."""
    margin = width // 2
    padded = functional.pad(field, (margin,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (width, 1), stride=1), (1, width), stride=1)


def _quantile(cumulative: torch.Tensor, share: float) -> torch.Tensor:
    """Quantiles, 0 to 1, from histograms cumulated over 256 grey levels, interpolated between two pixels."""
    place = share * (int(cumulative[0, -1]) - 1)
    below, above = (
        torch.searchsorted(cumulative, torch.full((len(cumulative), 1), int(rank)), right=True)[:, 0]
        for rank in (np.floor(place), np.ceil(place))
    )
    return (below + (above - below) * (place % 1)) / 255


def _features(green: torch.Tensor) -> torch.Tensor:
    """Features of a block: uint8 (images, height, width) -> float64 (images, features)."""
    count, pixels = len(green), green[0].numel()
    place = green.flatten(1).int() + 256 * torch.arange(count, dtype=torch.int32)[:, None]
    histogram = torch.bincount(place.flatten(), minlength=256 * count).view(count, 256)
    share, level = histogram.double() / pixels, torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level
    centred = level - mean[:, None]
    deviation = (share * centred**2).sum(dim=1).sqrt()
    skewness = (share * centred**3).sum(dim=1) / deviation.clamp_min(1e-6) ** 3
    coarser = share.view(count, 64, 4).sum(dim=2)
    entropy = -torch.special.xlogy(coarser, coarser).sum(dim=1) / np.log(2)
    cumulative = histogram.cumsum(dim=1)
    background, median, bright, brightest = (_quantile(cumulative, q) for q in (0.05, 0.5, 0.95, 0.995))
    field = green.float()[:, None] / 255
    small, large = _mean_filter(field, 3), _mean_filter(field, 15)
    fine = (field - small).square().mean(dim=(1, 2, 3)).sqrt()
    coarse = (small - large).square().mean(dim=(1, 2, 3)).sqrt()
    levels = (mean, deviation, median, bright, brightest, background, skewness, entropy)
    return torch.stack([*levels, fine, coarse], dim=1)


STRENGTHS: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of C, the inverse of the ridge penalty, among which validation chooses."""


def image_headers(database: pd.DataFrame) -> pd.DataFrame:
    """What the files' headers say: `width` and `height` (pixels) and `format` (str), one row an image.

    Args:
        database: `path`; or these three columns, where the files are not at hand.

    Raises:
        DatabaseError: a file that cannot be read.
    """
    names = ["width", "height", "format"]
    if "path" not in database:
        return database[names]
    paths = progress(database["path"], "reading image headers", total=len(database), unit="image")
    with quietly():
        headers = [read_header(Path(path)) for path in paths]
    rows = [(header.width, header.height, header.format) for header in headers]
    return pd.DataFrame(rows, columns=names, index=database.index)


def metadata_table(database: pd.DataFrame) -> pd.DataFrame:
    """What is known of an image without looking at it; argument and errors as for `image_headers`.

    Returns:
        One row an image: `width` and `height` (natural logarithms of pixels, float), `format` (str) and,
        where the database has it, `instrument` (str).
    """
    table = image_headers(database)
    table = table.assign(**{name: np.log(table[name].astype(float)) for name in ("width", "height")})
    if "instrument" in database:
        table["instrument"] = database["instrument"].fillna("").astype(str)
    return table


def _one_hot(table: pd.DataFrame, train: IntArray) -> FloatArray:
    """Numbers as they are, words as indicator columns of those that occur in training; others get zeros."""
    words = table.select_dtypes(exclude="number").astype(str)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(words.iloc[train])
    return np.hstack([table.select_dtypes("number"), encoder.transform(words)])


def _logistic(feature: FloatArray, y: IntArray, fold: Fold) -> list[FloatArray]:
    """P(positive) of a fold's validation and test parts, by the C that is best on validation (`outcomes`)."""
    standard = StandardScaler().fit(feature[fold.train]).transform(feature)
    known, tried = y[fold.validation], []
    for strength in STRENGTHS:
        # Newton's method: with ten features it needs a tenth of the time of the default solver.
        model = LogisticRegression(C=strength, solver="newton-cholesky", max_iter=1000)
        model.fit(standard[fold.train], y[fold.train])
        parts = [model.predict_proba(standard[rows])[:, 1] for rows in (fold.validation, fold.test)]
        loss = round(log_losses(known == 1, parts[0]).mean(), 6)
        tried.append((-round(auc(known, parts[0]), 9), loss, strength, parts))
    return min(tried, key=lambda one: one[:3])[3]


def _baseline(
    name: str, database: pd.DataFrame, folds: Sequence[Fold], parts: Sequence[Sequence[FloatArray]]
) -> Scores:
    """Scores from those of each fold's validation and test parts."""
    y = database["label"].to_numpy(dtype=np.int64)
    validation, test = (
        with_specimens(out_of_fold(folds, y, scores, part), database)
        for part, scores in zip(("validation", "test"), zip(*parts, strict=True), strict=True)
    )
    return Scores(name, "each fold's threshold", validation, test, probabilities=True)


def metadata_only(database: pd.DataFrame, folds: Sequence[Fold]) -> Scores:
    """Logistic regression on `metadata_table`: what a shortcut alone would reach; errors as for it."""
    y, table = _labels(database, folds), metadata_table(database)
    parts = [_logistic(_one_hot(table, fold.train), y, fold) for fold in folds]
    return _baseline("metadata only", database, folds, parts)


def intensity_only(database: pd.DataFrame, brightness: FloatArray, folds: Sequence[Fold]) -> Scores:
    """`mean_green` of the database's images as the score, brighter being more positive."""
    check_count(brightness, len(_labels(database, folds)), "brightness")
    parts = [[brightness[fold.validation], brightness[fold.test]] for fold in folds]
    return _baseline("mean green intensity", database, folds, parts)


def handmade_only(database: pd.DataFrame, features: FloatArray, folds: Sequence[Fold]) -> Scores:
    """Logistic regression on the `handmade_features` of the database's images."""
    y = _labels(database, folds)
    check_count(features[:, 0], len(y), "features")
    return _baseline("hand-made features", database, folds, [_logistic(features, y, fold) for fold in folds])


def run_baselines(database: pd.DataFrame, features: FloatArray, folds: Sequence[Fold]) -> dict[str, Scores]:
    """All four baselines by name, from the least to the most that is looked at.

    Args:
        database: `label`, `specimen`, and what `metadata_table` needs; one row an image.
        features: `handmade_features` of the images, whose first is the mean green intensity.
        folds: as in `hep2lib.data.folds`.

    Raises:
        DatabaseError: a file that cannot be read.
        ScoreError: one label only in a fold's part.
    """
    everyone = [[np.ones(fold.validation.size), np.ones(fold.test.size)] for fold in folds]
    found = (
        _baseline("always positive", database, folds, everyone),  # accuracy: the positives' share; AUC: 0.5
        metadata_only(database, folds),
        intensity_only(database, features[:, 0], folds),
        handmade_only(database, features, folds),
    )
    return {baseline.name: baseline for baseline in found}


def _labels(database: pd.DataFrame, folds: Sequence[Fold]) -> IntArray:
    y = database["label"].to_numpy(dtype=np.int64)
    for number, fold in enumerate(folds):
        for part in ("train", "validation"):
            if np.unique(y[getattr(fold, part)]).size < 2:
                raise ScoreError(f"The {part} part of fold {number} has one label only; use fewer folds.")
    return y
