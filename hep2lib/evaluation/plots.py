"""The book's figures of results: one style, one function a figure."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hep2lib.evaluation.bands import RocBand
from hep2lib.evaluation.inference import Interval
from hep2lib.evaluation.style import COLOURS, style


def learning_curves(table: pd.DataFrame, cell: Sequence[str] = ("freeze",)) -> Figure:
    """Validation AUC by epoch for each freezing depth's best cell, with the spread over folds.

    Args:
        table: columns ``freeze``, ``epoch``, ``fold``, ``validation_auc``: one cell a depth.
        cell: columns that tell the curves apart.
    """
    with style():
        figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
        for number, (name, part) in enumerate(table.groupby(list(cell))):
            by_epoch = part.groupby("epoch")["validation_auc"]
            mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
            colour = COLOURS[number % len(COLOURS)]
            label = ", ".join(str(value) for value in name)
            axes.plot(mean.index, mean, marker="o", color=colour, label=f"freeze {label}")
            axes.fill_between(mean.index, low, high, color=colour, alpha=0.15)
        axes.set(xlabel="epoch", ylabel="validation AUC")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right")
    return figure


def grid_heat_maps(means: pd.DataFrame) -> Figure:
    """Best validation AUC over epochs by batch size and learning rate, one map a depth, the best cell framed.

    Args:
        means: columns ``freeze``, ``batch_size``, ``learning_rate``, ``validation_auc``, without rotations.
    """
    depths = sorted(means["freeze"].unique())
    low, high = means["validation_auc"].min(), means["validation_auc"].max()
    with style():
        figure, row = plt.subplots(
            1, len(depths), figsize=(7, 2.9), layout="constrained", squeeze=False, sharey=False
        )
        for axes, depth in zip(row[0], depths, strict=True):
            grid = means[means["freeze"] == depth].pivot_table(
                index="learning_rate", columns="batch_size", values="validation_auc", aggfunc="max"
            )
            sns.heatmap(
                grid,
                ax=axes,
                annot=True,
                fmt=".2f",
                cmap="cividis",
                vmin=low,
                vmax=high,
                cbar=False,
                annot_kws={"size": 9},
            )
            axes.add_patch(_frame(grid))
            axes.set(title=f"freeze {depth}", xlabel="batch size", ylabel="learning rate")
    return figure


def layer_heat_map(means: pd.DataFrame) -> Figure:
    """Validation AUC of the SVM by layer and value of C, the best cell framed.

    Args:
        means: columns ``layer`` (in the network's order), ``value``, ``validation_auc``.
    """
    grid = means.pivot_table(index="layer", columns="value", values="validation_auc", sort=False)
    with style():
        figure, axes = plt.subplots(figsize=(7, 0.3 * len(grid) + 1.6), layout="constrained")
        labels = [f"{value:.0e}" if n % 3 == 0 else "" for n, value in enumerate(grid.columns)]
        sns.heatmap(grid, ax=axes, cmap="cividis", xticklabels=labels, cbar_kws={"label": "validation AUC"})
        axes.add_patch(_frame(grid))
        axes.set(xlabel="C", ylabel="")
        axes.tick_params(axis="x", rotation=45)
    return figure


def auc_by_layer(table: pd.DataFrame) -> Figure:
    """Test AUC along the network, each layer with its C chosen on validation, and the spread over folds.

    Args:
        table: columns ``layer`` (in the network's order), ``fold``, ``test_auc``.
    """
    by_layer = table.groupby("layer", sort=False)["test_auc"]
    mean, low, high = by_layer.mean(), by_layer.min(), by_layer.max()
    places = np.arange(len(mean))
    with style():
        figure, axes = plt.subplots(figsize=(6.8, 3.8), layout="constrained")
        axes.fill_between(places, low, high, alpha=0.15, label="lowest to highest fold")
        axes.plot(places, mean, marker="o", label="mean of the folds")
        axes.set_xticks(places, mean.index, rotation=60, ha="right")
        axes.set(ylabel="test AUC")
        axes.legend(loc="lower right")
    return figure


def roc_figure(curves: dict[str, RocBand], points: dict[str, tuple[float, float]] | None = None) -> Figure:
    """ROC curves, the first with its pointwise band (the paper's Figure 3).

    Args:
        curves: by name; the first is the main one.
        points: operating points by name: (1 - specificity, sensitivity).
    """
    with style():
        figure, axes = plt.subplots(figsize=(5.4, 5.0), layout="constrained")
        for number, (name, band) in enumerate(curves.items()):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(band.false_positive_rate, band.sensitivity, color=colour, label=name)
            if number == 0:
                label = f"{band.level:.0%} band over specimens"
                axes.fill_between(
                    band.false_positive_rate, band.low, band.high, color=colour, alpha=0.15, label=label
                )
        for (name, (x, y)), marker in zip((points or {}).items(), "os^D", strict=False):
            axes.plot(x, y, marker, color="black", label=name)
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_aspect("equal")
        axes.legend(loc="lower right", fontsize=9)
    return figure


def forest_plot(intervals: dict[str, Interval], reference: dict[str, float] | None = None) -> Figure:
    """Estimates with their intervals, one below the other; the paper's values as open diamonds.

    Args:
        intervals: by name, the first on top.
        reference: by the same names, what the paper printed.
    """
    names = list(intervals)
    places = np.arange(len(names))[::-1]
    with style():
        figure, axes = plt.subplots(figsize=(6.8, 0.42 * len(names) + 1.2), layout="constrained")
        for place, name in zip(places, names, strict=True):
            found = intervals[name]
            axes.plot([found.low, found.high], [place, place], color=COLOURS[0])
            axes.plot(
                found.estimate, place, "o", color=COLOURS[0], label="this run" if place == places[0] else None
            )
        for number, (name, value) in enumerate((reference or {}).items()):
            axes.plot(
                value,
                places[names.index(name)] + 0.22,
                "D",
                color=COLOURS[1],
                fillstyle="none",
                label="the paper, on AIDA" if number == 0 else None,
            )
        axes.set_yticks(places, names)
        axes.set(xlabel="AUC, with 95 % interval")
        axes.legend(loc="lower left", fontsize=9)
    return figure


def svm_in_two_dimensions(points: np.ndarray, labels: np.ndarray, machines: dict[str, object]) -> Figure:
    """What C does: the same points, one panel a machine, with its line and its margins.

    Args:
        points: n x 2.
        labels: n; 1 is positive.
        machines: fitted linear ``SVC`` by title.
    """
    with style():
        figure, row = plt.subplots(
            1, len(machines), figsize=(7, 3.0), layout="constrained", sharey=True, squeeze=False
        )
        low, high = points.min(0) - 0.5, points.max(0) + 0.5
        x, y = np.meshgrid(np.linspace(low[0], high[0], 120), np.linspace(low[1], high[1], 120))
        for axes, (title, machine) in zip(row[0], machines.items(), strict=True):
            margin = machine.decision_function(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)  # type: ignore[attr-defined]
            axes.contour(x, y, margin, levels=[-1, 0, 1], colors="black", linestyles=["--", "-", "--"])
            for label, marker in ((0, "o"), (1, "^")):
                chosen = points[labels == label]
                axes.plot(chosen[:, 0], chosen[:, 1], marker, color=COLOURS[label], linestyle="none")
            axes.set(title=title, xlabel="first feature")
            axes.grid(visible=False)
        row[0][0].set_ylabel("second feature")
    return figure


def _frame(grid: pd.DataFrame) -> plt.Rectangle:
    """A frame around the cell with the highest value."""
    row, column = np.unravel_index(np.nanargmax(grid.to_numpy()), grid.shape)
    return plt.Rectangle((float(column), float(row)), 1, 1, fill=False, edgecolor="red", linewidth=2)
