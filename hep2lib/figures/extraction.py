"""Figures of the SVM study: what C does, every layer with every C, and AUC along the network."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.axes import Axes
from sklearn.svm import SVC
from torch import Tensor

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.data.folds import Fold
from hep2lib.evaluation.auc import compare_auc
from hep2lib.evaluation.scores import scored_auc
from hep2lib.figures.style import (
    COLOURS,
    FRAME,
    GREY,
    INK,
    MARKERS,
    NEGATIVE,
    PAPER,
    POSITIVE,
    SEQUENTIAL,
    Drawing,
    style,
)
from hep2lib.studies.gram import gram_matrix
from hep2lib.studies.outcomes import LayerChoice, SVMOutcome
from hep2lib.studies.svm import PAPER_GRID, svm_path

_FEW = 30  # layers up to this number are shown with their whole names


def margins_figure(points: npt.NDArray, labels: npt.NDArray, machines: Mapping[float, SVC]) -> Drawing:
    """What C does: the same points, one panel a machine, with its line, its margins and what supports it.

    Args:
        points: n x 2.
        labels: n; 1 is positive.
        machines: fitted linear ``SVC`` by C.
    """
    words = []
    with style():
        figure, row = plt.subplots(
            1, len(machines), figsize=(7, 3.1), layout="constrained", sharey=True, squeeze=False
        )
        low, high = points.min(0) - 0.5, points.max(0) + 0.5
        x, y = np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120))
        for axes, (C, machine) in zip(row[0], machines.items(), strict=True):
            margin = machine.decision_function(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
            axes.contour(x, y, margin, levels=[-1, 0, 1], colors=INK, linestyles=["--", "-", "--"])
            for label, marker, colour in ((0, "o", NEGATIVE), (1, "^", POSITIVE)):
                axes.plot(*points[labels == label].T, marker, color=colour, linestyle="none", ms=5)
            support = points[machine.support_]
            axes.plot(*support.T, "o", mfc="none", mec=INK, mew=0.7, ms=9, linestyle="none")
            axes.set(title=f"C = {C:g}", xlabel="first feature")
            axes.grid(visible=False)
            wide = 2 / np.linalg.norm(machine.coef_)
            words.append(f"C = {C:g}: {wide:.1f} wide, {len(support)} of {len(points)} points support it")
        row[0][0].set_ylabel("second feature")
    return Drawing(
        figure,
        "Panels with the same two clouds of points, a separating line between dashed margins, and rings "
        f"around the points that support it. The strip between the margins: {'; '.join(words)}.",
    )


def layer_heat_map(means: pd.DataFrame, reading: str = "C") -> Drawing:
    """Validation AUC by layer, from the input downwards, and value of C, the best cell framed.

    Args:
        means: columns ``layer`` (in the network's order), ``value``, ``validation_auc``.
        reading: what the values are called.
    """
    grid = means.pivot_table(index="layer", columns="value", values="validation_auc", sort=False)
    grid = grid[sorted(grid.columns)]
    many = len(grid) > _FEW
    top = means.loc[means["validation_auc"].idxmax()]
    with style():
        figure, axes = plt.subplots(
            figsize=(4.9, (0.155 if many else 0.24) * len(grid) + 1.3), layout="constrained"
        )
        image = axes.imshow(grid, cmap=SEQUENTIAL, aspect="auto", interpolation="nearest")
        bar = figure.colorbar(image, ax=axes, location="top", aspect=40, pad=0.01, fraction=0.02)
        bar.set_label("validation AUC, mean of the folds")
        column, row = grid.columns.get_loc(top["value"]), grid.index.get_loc(top["layer"])
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(plt.Rectangle(corner, 1, 1, fill=False, edgecolor=FRAME, linewidth=2))
        exponents = np.log10(grid.columns.to_numpy(float))
        whole = np.arange(np.ceil(exponents[0]), exponents[-1] + 1e-9, 2)
        shown = whole if len(whole) > 1 else exponents
        axes.set_xticks(
            np.interp(shown, exponents, np.arange(len(exponents))), [_power(10.0**one) for one in shown]
        )
        axes.set_yticks(
            np.arange(len(grid)), [_short(name) if many else name for name in grid.index], fontsize=9
        )
        axes.set(xlabel=reading)
        axes.grid(visible=False)
        axes.tick_params(length=0)
        if many:
            _bracket_blocks(axes, list(grid.index))
    low, high = means["validation_auc"].min(), means["validation_auc"].max()
    return Drawing(
        figure,
        f"Map of validation AUC, {len(grid)} layers from the input down by {len(grid.columns)} values of "
        f"{reading}: from {low:.2f} to {high:.2f}, the highest at {top['layer']} and {reading} = "
        f"{top['value']:.3g}.",
    )


def depth_figure(series: Mapping[str, pd.DataFrame], paper: tuple[str, float]) -> Drawing:
    """Test AUC along the network: for each series the mean of the folds at each layer, and their range.

    Args:
        series: by name a table with the columns ``layer``, ``fold`` and ``test_auc``.
        paper: a layer and the AUC that the paper printed for it.
    """
    words = []
    with style():
        figure, axes = plt.subplots(figsize=(6.8, 3.9), layout="constrained")
        _shade_blocks(axes)
        for (name, table), colour, marker in zip(series.items(), COLOURS, MARKERS, strict=False):
            by_layer = table.groupby("layer", sort=False)["test_auc"].agg(["mean", "min", "max"])
            place = np.array([LAYERS.index(layer) + 1 for layer in by_layer.index])
            small = 3 if len(place) > _FEW else 6
            axes.fill_between(place, by_layer["min"], by_layer["max"], alpha=0.15, color=colour, lw=0)
            axes.plot(place, by_layer["mean"], marker + "-", ms=small, lw=1.2, color=colour, label=name)
            best = by_layer["mean"].idxmax()
            words.append(
                f"{name}: from {by_layer['mean'].iloc[0]:.2f} at {by_layer.index[0]} to "
                f"{by_layer['mean'].iloc[-1]:.2f} at {by_layer.index[-1]}, highest at {best} "
                f"({by_layer['mean'].max():.2f})"
            )
        place_of_paper = LAYERS.index(paper[0]) + 1
        axes.plot(place_of_paper, paper[1], "D", mfc="none", color=INK, label="the paper, on AIDA")
        axes.set(xlabel="layer, as MATLAB counts", ylabel="test AUC", xlim=(0, len(LAYERS) + 1))
        figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, f"Test AUC against the layer's number. {'; '.join(words)}.")


def reading_figure(tables: Mapping[str, pd.DataFrame], chosen: Mapping[str, float]) -> Drawing:
    """One layer's validation AUC along the paper's values, read as C and as lambda, on an axis of C.

    Args:
        tables: by reading the columns ``C`` and ``validation_auc``.
        chosen: by reading the C that is chosen.
    """
    words = []
    with style():
        figure, axes = plt.subplots(figsize=(6.4, 3.5), layout="constrained")
        for (name, table), colour, marker in zip(tables.items(), COLOURS, MARKERS, strict=False):
            table = table.sort_values("C")
            axes.semilogx(
                table["C"], table["validation_auc"], marker + "-", color=colour, label=f"read as {name}"
            )
            axes.axvline(chosen[name], color=colour, linestyle=":")
            words.append(
                f"read as {name} they cover C from {_power(table['C'].min(), plain=True)} to "
                f"{_power(table['C'].max(), plain=True)}, and C = {chosen[name]:.2g} is chosen"
            )
        axes.set(xlabel="C", ylabel="validation AUC")
        figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, f"Validation AUC against C on a logarithmic axis; {'; '.join(words)}.")


def block_of(layer: str) -> str:
    """A word for the part of the network that a layer belongs to: stem, 3a, ..., 5b, head."""
    if layer.startswith("inception_"):
        return layer.removeprefix("inception_").partition("-")[0]
    number = LAYERS.index(layer)
    if number < LAYERS.index("inception_3a-1x1"):
        return "stem"
    return "head" if number > LAYERS.index("inception_5b-output") else ""


def _short(layer: str) -> str:
    return layer.partition("-")[2] if layer.startswith("inception_") else layer


def _power(value: float, *, plain: bool = False) -> str:
    exponent = round(float(np.log10(value)), 1)
    text = f"{exponent:g}"
    return f"10^{text}" if plain else f"$10^{{{text}}}$"


def _runs(names: list[str]) -> list[tuple[str, int, int]]:
    """Blocks among the names, each with its first and last place."""
    found: list[tuple[str, int, int]] = []
    for place, name in enumerate(names):
        block = block_of(name)
        if found and found[-1][0] == block:
            found[-1] = (block, found[-1][1], place)
        else:
            found.append((block, place, place))
    return [run for run in found if run[0]]


def _bracket_blocks(axes: Axes, names: list[str]) -> None:
    across = axes.get_yaxis_transform()
    for block, first, last in _runs(names):
        axes.axhline(first - 0.5, color=PAPER, linewidth=1.2)
        axes.axhline(last + 0.5, color=PAPER, linewidth=1.2)
        axes.text(
            1.03,
            (first + last) / 2,
            block,
            transform=across,
            rotation=90,
            va="center",
            fontweight="bold",
            fontsize=10,
        )
        axes.plot([1.015, 1.015], [first - 0.3, last + 0.3], transform=across, color=GREY, clip_on=False)


def _shade_blocks(axes: Axes) -> None:
    top = axes.get_xaxis_transform()
    for number, (block, first, last) in enumerate(_runs(list(LAYERS))):
        if number % 2 == 0:
            axes.axvspan(first + 0.5, last + 1.5, color=GREY, alpha=0.1, lw=0)
        axes.text((first + last) / 2 + 1, 1.02, block, transform=top, ha="center", fontsize=9)


FIRST = "as above"


WAYS = {
    "fine-tuned": "fine-tuned features",
    "pooled": "pooled features",
    "rotated": "rotated copies",
    "refitted": "refitted",
    "other-reading": "values read as {reading}",
    "early-stopped": "stopped early",
}
"""The parameter ``svm_variants`` in a reader's words."""


def layers_table(
    study: SVMOutcome, database: pd.DataFrame, layers: Sequence[str], paper: tuple[str, float]
) -> pd.DataFrame:
    """Layers with the C that their own validation images prefer, and what that reaches on test images.

    Args:
        study: the SVM study.
        database: the database's table.
        layers: those to show, in order.
        paper: the paper's layer and its AUC.

    Returns:
        ``Layer``, ``C`` (or lambda: the study's value), ``Validation AUC``, ``Test AUC``, ``95 % interval``,
        ``Paper's AUC`` (NaN where it has none).
    """
    rows = []
    for layer in layers:
        choice = study.best(layer)
        found = scored_auc(study.scores(choice), database)
        rows.append(
            {
                "Layer": layer,
                study.reading: choice.value,
                "Validation AUC": choice.validation_auc,
                "Test AUC": found.estimate,
                "95 % interval": f"{found.low:.3f} to {found.high:.3f}",
                "Paper's AUC": paper[1] if layer == paper[0] else np.nan,
            }
        )
    return pd.DataFrame(rows)


def variants_table(
    study: SVMOutcome, variants: Mapping[str, SVMOutcome], database: pd.DataFrame
) -> pd.DataFrame:
    """What each of the ways that the paper leaves open gives, chosen on validation like the study itself.

    Args:
        study: the SVM study.
        variants: other studies by name.
        database: the database's table.

    Returns:
        ``Way``, ``Chosen`` (layer and value), ``Validation AUC``, ``Test AUC``, and ``Difference`` to the
        first row's test AUC with its 95 % interval, paired by image, over specimens ("" in the first row,
        words where both put every fold's images in the same order).
    """
    specimens = database["specimen"].to_numpy()
    first = study.scores(study.best())
    rows = []
    for name, outcome in {FIRST: study, **variants}.items():
        choice = outcome.best()
        scores = outcome.scores(choice)
        both = scores.merge(first, on=["row", "fold", "label"], suffixes=("", "_first"))
        paired = compare_auc(
            both["label"], both["score"], both["score_first"], specimens[both["row"]], fold=both["fold"]
        )
        words = f"{paired.difference:+.3f} ({paired.low:+.3f} to {paired.high:+.3f})"
        ranks = both.groupby("fold")[["score", "score_first"]].rank()
        if (ranks["score"] == ranks["score_first"]).all():
            words = "none: the same ranks"
        rows.append(
            {
                "Way": WAYS.get(name, name).format(reading=outcome.reading),
                "Chosen": f"{choice.layer}, {outcome.reading} = {choice.value:.3g}",
                "Validation AUC": choice.validation_auc,
                "Test AUC": scored_auc(scores, database).estimate,
                "Difference": "" if name == FIRST else words,
            }
        )
    return pd.DataFrame(rows)


def paths_on_an_axis_of_c(outcomes: Sequence[SVMOutcome], choice: LayerChoice) -> dict[str, pd.DataFrame]:
    """A layer's validation AUC along the grid of several studies that read its values as C or as lambda.

    Args:
        outcomes: studies that have the layer.
        choice: its layer is taken.

    Returns:
        By reading: ``value``, ``C`` (1 / (n lambda), n the mean number of training images) and
        ``validation_auc``.
    """
    found = {}
    for outcome in outcomes:
        means = outcome.means().query("layer == @choice.layer")
        found[outcome.reading] = means[["value", "validation_auc"]].assign(
            C=[outcome.as_c(value) for value in means["value"]]
        )
    return found


class Times(NamedTuple):
    """Seconds that the same fits take in two ways.

    Attributes:
        gram: the Gram matrix of all images.
        path: the whole grid on one fold, given the matrix.
        direct: one value of C on one fold, on the features themselves.
        features: number of features.
    """

    gram: float
    path: float
    direct: float
    features: int

    def ratio(self, values: int, folds: int) -> float:
        """How many times as long the direct way would take for all values and folds."""
        return self.direct * values * folds / (self.gram + self.path * folds)


def measured_times(features: Tensor, labels: np.ndarray, fold: Fold) -> Times:
    """Time the way by the Gram matrix, and libsvm on the features themselves, on the same images.

    Args:
        features: N x ..., float32.
        labels: N; 1 is positive.
        fold: rows of the parts.
    """
    rows = features.flatten(1).contiguous()
    start = time.perf_counter()
    gram = gram_matrix(rows)
    given = time.perf_counter()
    svm_path(gram, labels, fold, PAPER_GRID)
    fitted = time.perf_counter()
    train = rows[torch.from_numpy(fold.train)].numpy()
    machine = SVC(kernel="linear", C=PAPER_GRID[15]).fit(train, labels[fold.train])
    machine.decision_function(rows[torch.from_numpy(np.concatenate([fold.validation, fold.test]))].numpy())
    ended = time.perf_counter()
    return Times(given - start, fitted - given, ended - fitted, rows.shape[1])
