"""Figures and tables of the SVM study: what C does, every layer with every C, AUC along the network."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from sklearn.svm import SVC
from torch import Tensor

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.data.folds import Fold
from hep2lib.evaluation.auc import compare_auc
from hep2lib.evaluation.scores import extracted
from hep2lib.figures.style import (
    FRAME,
    GREY,
    INK,
    NEGATIVE,
    PAPER,
    POSITIVE,
    SEQUENTIAL,
    WIDTH,
    Drawing,
    ends,
    look_of,
    panels,
    style,
    typeset,
)
from hep2lib.studies.gram import gram_matrix
from hep2lib.studies.outcomes import LayerChoice, SVMOutcome
from hep2lib.studies.svm import PAPER_GRID, svm_path

_FEW = 30  # layers up to this number are shown with their whole names


@style()
def margins_figure(points: npt.NDArray, labels: npt.NDArray, machines: Mapping[float, SVC]) -> Drawing:
    """What C does: the same points, one panel an SVM, with its line, its margins and what supports it.

    ``points`` are n x 2, of n ``labels`` (1 is positive), ``machines`` fitted linear ``SVC`` by C.
    """
    words = []
    figure, row = panels(1, len(machines), WIDTH, 2.7, sharey=True)
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


@style()
def layer_heat_map(means: pd.DataFrame, best: LayerChoice, regularisation: str = "C") -> Drawing:
    """Validation AUC by layer, the earliest on top, and value of C, the chosen one framed.

    Args:
        means: columns ``layer`` (in the network's order), ``value``, ``validation_auc``.
        best: what was chosen.
        regularisation: what the values are called.
    """
    grid = means.pivot_table(index="layer", columns="value", values="validation_auc", sort=False)
    grid = grid[sorted(grid.columns)]
    many = len(grid) > _FEW
    height = (0.155 if many else 0.24) * len(grid) + 1.3
    figure, axes = plt.subplots(figsize=(4.9, height), layout="constrained")
    low, high = means["validation_auc"].min(), means["validation_auc"].max()
    scale = {"vmin": min(low, high - 0.01), "vmax": high}  # also of equal values: an AUC ends at 1
    image = axes.imshow(grid, cmap=SEQUENTIAL, aspect="auto", interpolation="nearest", **scale)
    bar = figure.colorbar(image, ax=axes, location="top", aspect=40, pad=0.01, fraction=0.02)
    bar.set_label("validation AUC, mean of the folds")
    corner = (grid.columns.get_loc(best.value) - 0.5, grid.index.get_loc(best.layer) - 0.5)
    axes.add_patch(plt.Rectangle(corner, 1, 1, fill=False, edgecolor=FRAME, linewidth=2))
    exponents = np.log10(grid.columns.to_numpy(float))
    whole = np.arange(np.ceil(exponents[0]) + 0.0, exponents[-1] + 1e-9, 2)  # + 0.0: never minus zero
    shown = whole if len(whole) > 1 else exponents
    places = np.interp(shown, exponents, np.arange(len(exponents)))
    axes.set_xticks(places, [f"$10^{{{round(float(one), 1):g}}}$" for one in shown])
    names = grid.index.str.replace(r"^inception_\w+-", "", regex=True) if many else grid.index
    axes.set_yticks(np.arange(len(grid)), names, fontsize=9)
    axes.set(xlabel=regularisation)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    if many:
        _bracket_blocks(axes, list(grid.index))
    return Drawing(
        figure,
        f"Map of validation AUC, layers ({len(grid)}, from {grid.index[0]} on top down) by values of "
        f"{regularisation} ({len(grid.columns)}): from {low:.2f} to {high:.2f}; framed: {best.layer} and "
        f"{regularisation} = {typeset(best.value, '.4g')}.",
    )


@style()
def depth_figure(series: Mapping[str, pd.DataFrame], paper: tuple[str, float]) -> Drawing:
    """Test AUC along the network: for each series the mean of the folds at each layer, and their range.

    ``series`` are by name tables with ``layer``, ``fold`` and ``test_auc``; ``paper`` is a layer and the AUC
    that the paper printed for it.
    """
    words = []
    figure, axes = plt.subplots(figsize=(WIDTH, 3.9), layout="constrained")
    _shade_blocks(axes)
    for number, (name, table) in enumerate(series.items()):
        by_layer = table.groupby("layer", sort=False)["test_auc"].agg(["mean", "min", "max"])
        mean, place = by_layer["mean"], [LAYERS.index(layer) + 1 for layer in by_layer.index]
        look = look_of(number)
        axes.fill_between(place, by_layer["min"], by_layer["max"], alpha=0.15, color=look["color"], lw=0)
        axes.plot(place, mean, ms=3 if len(place) > _FEW else 6, lw=1.2, label=name, **look)
        words.append(
            f"{name}: from {mean.iloc[0]:.2f} at {mean.index[0]} to {mean.iloc[-1]:.2f} at "
            f"{mean.index[-1]}, highest at {mean.idxmax()} ({mean.max():.2f})"
            if len(mean) > 1
            else f"{name}: {mean.iloc[0]:.2f} at {mean.index[0]}, the only layer"
        )
    axes.plot(LAYERS.index(paper[0]) + 1, paper[1], "D", mfc="none", color=INK, label="the paper, on AIDA")
    axes.set(xlabel="layer, as MATLAB counts", ylabel="test AUC")
    axes.set(xlim=(0, len(LAYERS) + 1), ylim=(None, min(axes.get_ylim()[1], 1.008)))  # an AUC ends at 1
    figure.legend(loc="outside lower left", ncols=2)
    return Drawing(figure, f"Test AUC against the layer's number. {'; '.join(words)}.")


@style()
def regularisation_figure(tables: Mapping[str, pd.DataFrame], chosen: Mapping[str, float]) -> Drawing:
    """One layer's validation AUC along the paper's values, read as C and as lambda, on an axis of C.

    Both are by regularisation: ``tables`` with ``C`` and ``validation_auc``, and the C that is ``chosen``.
    """
    words = []
    figure, axes = plt.subplots(figsize=(WIDTH, 3.5), layout="constrained")
    for number, (name, table) in enumerate(tables.items()):
        table, look = table.sort_values("C"), look_of(number)
        axes.semilogx(table["C"], table["validation_auc"], label=f"read as {name}", **look)
        axes.axvline(chosen[name], color=look["color"], linestyle=":")
        low, high = (f"10^{round(float(np.log10(end)), 1):g}" for end in table["C"].iloc[[0, -1]])
        cover = f"read as {name} they cover C from {low} to {high}"
        words.append(f"{cover}, and C = {typeset(chosen[name], '.4g')} is chosen")
    axes.set(xlabel="C", ylabel="validation AUC", ylim=(None, min(axes.get_ylim()[1], 1.008)))
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


def _blocks(names: Sequence[str]) -> list[tuple[str, int, int]]:
    """Blocks among layers in the network's order, each with its first and last place."""
    places = pd.Series(range(len(names))).groupby([block_of(name) for name in names], sort=False)
    return [(str(block), own.iloc[0], own.iloc[-1]) for block, own in places if block]


def _bracket_blocks(axes: Axes, names: Sequence[str]) -> None:
    across = axes.get_yaxis_transform()
    word: Any = {"rotation": 90, "va": "center", "fontweight": "bold", "fontsize": 10}
    for block, first, last in _blocks(names):
        axes.axhline(first - 0.5, color=PAPER, linewidth=1.2)
        axes.axhline(last + 0.5, color=PAPER, linewidth=1.2)
        axes.text(1.03, (first + last) / 2, block, transform=across, **word)
        axes.plot([1.015, 1.015], [first - 0.3, last + 0.3], transform=across, color=GREY, clip_on=False)


def _shade_blocks(axes: Axes) -> None:
    top = axes.get_xaxis_transform()
    for number, (block, first, last) in enumerate(_blocks(LAYERS)):
        if number % 2 == 0:
            axes.axvspan(first + 0.5, last + 1.5, color=GREY, alpha=0.1, lw=0)
        axes.text((first + last) / 2 + 1, 1.02, block, transform=top, ha="center", fontsize=9)


def layers_table(
    study: SVMOutcome, database: pd.DataFrame, layers: Sequence[str], paper: tuple[str, float]
) -> pd.DataFrame:
    """Layers with the C that their own validation images prefer, and what that reaches on test images.

    ``C`` is ``lambda`` where the study reads its values so; ``paper`` is the paper's layer and its AUC; the
    database's ``specimen`` column says which images belong together.
    """
    rows = []
    for layer in layers:
        choice = study.best(layer)
        found = extracted(study, choice, database).auc()
        printed = paper[1] if layer == paper[0] else np.nan
        rows.append((layer, choice.value, choice.validation_auc, found.estimate, ends(found), printed))
    names = ["Layer", study.regularisation, "Validation AUC", "Test AUC", "95 % interval", "Paper's AUC"]
    return pd.DataFrame(rows, columns=names)


def choices_table(study: SVMOutcome) -> pd.DataFrame:
    """What is chosen for all folds at once and for each alone.

    ``Tied`` says how many layers and values have that AUC, the chosen one included; ``Hinge loss`` is the
    mean over the same images.
    """
    choices = {"all folds": study.best()}
    choices |= {f"fold {number} alone": one for number, one in enumerate(study.nested(), 1)}
    rows = [(name, *astuple(one)) for name, one in choices.items()]
    names = ["Chosen for", "Layer", study.regularisation, "Validation AUC", "Hinge loss", "Tied"]
    return pd.DataFrame(rows, columns=names)


WAYS = {
    "fine-tuned": "fine-tuned features",
    "pooled": "pooled features",
    "rotated": "rotated copies",
    "refitted": "refitted",
    "other-regularisation": "values read as {regularisation}",
    "early-stopped": "stopped early",
}
"""The parameter ``svm_variants`` in a reader's words."""


def variants_table(
    study: SVMOutcome, variants: Mapping[str, SVMOutcome], database: pd.DataFrame
) -> pd.DataFrame:
    """What each of the ways that the paper leaves open gives, chosen on validation like the study itself.

    Args:
        study: the SVM study.
        variants: other studies, by their name in ``WAYS``.
        database: its ``specimen`` column says which images belong together.

    Returns:
        ``Way``, ``Layer from`` (the layers that validation chose it among), ``Chosen`` (layer and value),
        ``Validation AUC``, ``Test AUC``, and ``Difference`` to the first row's test AUC with its 95 %
        interval, paired by image, over specimens ("" in the first row, words where nothing tells them apart).
    """
    best = study.best()
    first = study.scores(best)
    rows: list[tuple[object, ...]] = []
    for name, outcome in {"as above": study, **variants}.items():
        choice = outcome.best()
        scores = outcome.scores(choice)
        both = scores.merge(first, on=["row", "fold", "label"], suffixes=("", "_first"))
        owner = database["specimen"].to_numpy()[both["row"]]
        paired = compare_auc(both["label"], both["score"], both["score_first"], owner, fold=both["fold"])
        change, low, high = (typeset(x, "+.3f") for x in (paired.difference, paired.low, paired.high))
        words = f"{change} ({low} to {high})"
        if paired.low == paired.high:
            words = "none: no specimen tells them apart"
        alone = rows and outcome.layers == [best.layer]
        among = "the first row" if alone else f"{len(outcome.layers)} tried"
        way = WAYS.get(name, name).format(regularisation=outcome.regularisation)
        chosen = f"{choice.layer}, {outcome.regularisation} = {typeset(choice.value, '.4g')}"
        area = extracted(outcome, choice, database).auc().estimate
        rows.append((way, among, chosen, choice.validation_auc, area, words if rows else ""))
    names = ["Way", "Layer from", "Chosen", "Validation AUC", "Test AUC", "Difference"]
    return pd.DataFrame(rows, columns=names)


def paths_on_an_axis_of_c(outcomes: Sequence[SVMOutcome], choice: LayerChoice) -> dict[str, pd.DataFrame]:
    """The chosen layer's validation AUC along the grid of studies that read its values as C or as lambda.

    By regularisation ``value``, ``C`` (``SVMOutcome.as_c``) and ``validation_auc``.
    """
    found = {}
    for outcome in outcomes:
        path = outcome.means().query("layer == @choice.layer")[["value", "validation_auc"]]
        found[outcome.regularisation] = path.assign(C=[outcome.as_c(value) for value in path["value"]])
    return found


def measured_times(features: Tensor, labels: np.ndarray, fold: Fold) -> dict[str, float]:
    """Seconds of the way by the Gram matrix, and of libsvm on the features themselves, on the same images.

    Of N x ... float32 ``features``: ``gram`` (the matrix of all images), ``path`` (the whole grid on this
    fold, given the matrix) and ``direct`` (one value of C on this fold); ``features`` is their number.
    """
    rows = features.flatten(1).contiguous()
    start = time.perf_counter()
    gram = gram_matrix(rows)
    given = time.perf_counter()
    svm_path(gram, labels, fold, PAPER_GRID)
    fitted = time.perf_counter()
    machine = SVC(kernel="linear", C=PAPER_GRID[15]).fit(rows[fold.train].numpy(), labels[fold.train])
    machine.decision_function(rows[np.concatenate([fold.validation, fold.test])].numpy())
    ended = time.perf_counter()
    seconds = {"gram": given - start, "path": fitted - given, "direct": ended - fitted}
    return seconds | {"features": rows.shape[1]}
