"""The figures of the page about the database: fields, brightness, folds, the leak, the simulator's stages."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from hep2lib.data.folds import PARTS, Fold
from hep2lib.data.report import SUSPICIOUS_AUC, Shortcut
from hep2lib.evaluation.auc import FloatArray
from hep2lib.figures.style import (
    COLOURS,
    INK,
    NEGATIVE,
    PAPER,
    PART_COLOURS,
    POSITIVE,
    channels_last,
    panels,
    picture,
    style,
)
from hep2lib.simulator.simulation import Stage

_WIDEST = 1400  # pixels across a figure of 7 inches: more are neither seen nor quick to draw


@style()
def gallery(pictures: Mapping[str, npt.NDArray[np.uint8] | torch.Tensor], columns: int = 4) -> Figure:
    """Fields side by side, each with its title above.

    Args:
        pictures: title to uint8, height x width x 3 or 3 x height x width.
        columns: pictures a row.
    """
    titles = [textwrap.fill(title, 80 // columns) for title in pictures]
    shown = [_shrunk(channels_last(one), _WIDEST // columns) for one in pictures.values()]
    starts = range(0, len(shown), columns)
    heights = [max(one.shape[0] / one.shape[1] for one in shown[i : i + columns]) for i in starts]
    lines = sum(max(title.count("\n") + 1 for title in titles[i : i + columns]) for i in starts)
    height = 7 / columns * sum(heights) + 0.16 * lines
    figure, grid = panels(len(starts), columns, 7, height, height_ratios=heights)
    for axes in grid.flat:
        axes.set_axis_off()
        axes.set_anchor("N")
    for axes, title, one in zip(grid.flat, titles, shown, strict=False):
        picture(axes, one)
        axes.set_title(title, fontsize=9)
    return figure


def _shrunk(field: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """A field at most ``width`` pixels wide."""
    if field.shape[1] <= width:
        return field
    size = (width, round(field.shape[0] * width / field.shape[1]))
    return np.asarray(Image.fromarray(field).resize(size, Image.Resampling.LANCZOS))


@style()
def by_class(images: torch.Tensor, chosen: Mapping[int, Sequence[int]], quantiles: Sequence[float]) -> Figure:
    """Positive fields above, negative ones below, from dim to bright.

    Args:
        images: uint8, images x 3 x height x width.
        chosen: label to row numbers, as `hep2lib.evaluation.mistakes.at_quantiles` returns them.
        quantiles: of the brightness within the class, one a column.
    """
    figure, grid = panels(2, len(quantiles), 7, 3.8)
    for line, label in zip(grid, (1, 0), strict=True):
        for axes, row in zip(line, chosen[label], strict=True):
            picture(axes, images[row])
        line[0].set_ylabel("positive" if label else "negative", fontsize=11)
    for axes, quantile in zip(grid[0], quantiles, strict=True):
        axes.set_title(f"{100 * quantile:.0f} % of the class\nare darker", fontsize=9)
    return figure


@style()
def intensity_histograms(brightness: FloatArray, labels: npt.ArrayLike) -> Figure:
    """Distribution of the mean green value in both classes.

    Args:
        brightness: mean of the green channel, shape (images,), 0 to 1.
        labels: shape (images,), 1 or 0.
    """
    y, level = np.asarray(labels), 255 * np.asarray(brightness)
    bins = np.linspace(0, max(float(level.max()), 1.0), 25).tolist()
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for label, name, colour, hatch in ((0, "negative", NEGATIVE, "//"), (1, "positive", POSITIVE, "")):
        values = level[y == label]
        weights = np.full(values.size, 1 / values.size)
        look = {"color": colour, "alpha": 0.55, "hatch": hatch, "edgecolor": PAPER}
        axes.hist(values, bins, weights=weights, label=f"{name} ({values.size} images)", **look)
        axes.axvline(float(np.median(values)), color=colour, linestyle="--")
    axes.set(xlabel="mean of the green channel (grey levels, 0 to 255)", ylabel="share of the class")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@style()
def fold_picture(folds: Sequence[Fold], database: pd.DataFrame) -> Figure:
    """Specimens from left to right, folds from top to bottom; the colour is the part the specimen is in."""
    first = database.groupby("specimen").agg(label=("label", "max"), row=("label", lambda x: x.index[0]))
    first["tested"] = [next(i for i, fold in enumerate(folds) if row in fold.test) for row in first["row"]]
    first = first.sort_values(["label", "tested", "row"], ascending=[False, True, True])
    part = np.zeros((len(folds), len(first)))
    for number, fold in enumerate(folds):
        for code, name in enumerate(PARTS):
            part[number, np.isin(first["row"], getattr(fold, name))] = code
    positives = int((first["label"] == 1).sum())
    figure, axes = plt.subplots(figsize=(7, 0.36 * len(folds) + 1.5), layout="constrained")
    colours = ListedColormap(list(PART_COLOURS.values()))
    axes.imshow(part, aspect="auto", interpolation="nearest", cmap=colours)
    axes.set_yticks(range(len(folds)), [str(number + 1) for number in range(len(folds))])
    axes.set_yticks(np.arange(1, len(folds)) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(visible=True, which="minor", axis="y", color=PAPER, linewidth=2, alpha=1)
    axes.axvline(positives - 0.5, color=INK, linewidth=2)
    axes.set(xlabel=f"specimens: {positives} positive | {len(first) - positives} negative", ylabel="fold")
    patches = [Patch(color=colour, label=name) for name, colour in PART_COLOURS.items()]
    figure.legend(handles=patches, loc="outside upper center", ncols=3)
    return figure


@style()
def leak_figure(table: pd.DataFrame) -> Figure:
    """AUC of each division in a `leak.leak_table` by kind of folds, one panel a classifier, means as bars."""
    classifiers = table.groupby("classifier", sort=False)
    figure, row = panels(1, len(classifiers), 6.8, 3.2, sharey=True)
    for axes, (name, part) in zip(row[0], classifiers, strict=True):
        for place, (kind, marker) in enumerate((("by image", "o"), ("by specimen", "s"))):
            values = part.loc[part["folds"] == kind, "auc"].to_numpy()
            offset = np.linspace(-0.12, 0.12, len(values))
            axes.plot(place + offset, values, marker, color=COLOURS[1 - place], alpha=0.6)
            axes.plot([place - 0.25, place + 0.25], [values.mean()] * 2, color=INK, linewidth=2)
        axes.set_xticks(range(2), ["folds\nby image", "folds\nby specimen"])
        axes.set(title=name, xlim=(-0.6, 1.6))
    row[0][0].set_ylabel("test AUC")
    return figure


def stages_figure(stages: Sequence[Stage]) -> Figure:
    """One simulated field after each of `simulation.stages`, from the cells to the network's input."""
    return gallery({f"{number}. {one.name}": one.picture for number, one in enumerate(stages, start=1)})


@style()
def shortcut_figure(found: Mapping[str, Sequence[Shortcut]]) -> Figure:
    """AUC of files' attributes alone: a group of bars each, in one colour what was found in a database."""
    names = list(dict.fromkeys(shortcut.attribute for shortcuts in found.values() for shortcut in shortcuts))
    width = 0.8 / len(found)
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for number, (title, shortcuts) in enumerate(found.items()):
        area = {shortcut.attribute: shortcut.auc for shortcut in shortcuts}
        place = np.arange(len(names)) + (number - (len(found) - 1) / 2) * width
        heights = [area.get(name, np.nan) for name in names]
        bars = axes.bar(place, heights, 0.92 * width, color=COLOURS[number], label=title)
        axes.bar_label(bars, fmt="%.2f", padding=2)
    axes.axhline(SUSPICIOUS_AUC, color=INK, linestyle="--", label="warning above")
    axes.axhline(0.5, color=INK, linestyle=":", label="tells nothing")
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="AUC of the files alone", ylim=(0, 1.05))
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
