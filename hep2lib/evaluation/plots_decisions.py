"""Figures of decisions: confusion matrices, 1,000 routine sera, and specimens with their fields."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hep2lib.evaluation.metrics import Confusion
from hep2lib.evaluation.specimens import RoutineDay
from hep2lib.evaluation.style import GREY, INK, LIGHT, NEGATIVE, PAPER, POSITIVE, SEQUENTIAL, Drawing, style


def confusion_figure(counts: Mapping[str, Confusion]) -> Drawing:
    """Confusion matrices of images, two a row; the shade is the share of the row, the number the count.

    Args:
        counts: by title.
    """
    rows = -(-len(counts) // 2)
    with style():
        figure, grid = plt.subplots(rows, 2, figsize=(5.8, 2.6 * rows), layout="constrained", squeeze=False)
        for axes in grid.flat[len(counts) :]:
            axes.set_axis_off()
        for axes, (title, one) in zip(grid.flat, counts.items(), strict=False):
            matrix = np.array(
                [[one.true_negative, one.false_positive], [one.false_negative, one.true_positive]]
            )
            share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
            axes.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=1)
            for (i, j), count in np.ndenumerate(matrix):
                text = f"{count}\n{100 * share[i, j]:.0f} %"
                axes.text(j, i, text, ha="center", va="center", color=INK if share[i, j] > 0.5 else PAPER)
            axes.set_xticks([0, 1], ["negative", "positive"])
            axes.set_yticks([0, 1], ["negative", "positive"], rotation=90, va="center")
            axes.set(title=title, xlabel="called", ylabel="labelled")
            axes.grid(visible=False)
    words = [
        f"{title}: {c.true_positive} positives found, {c.false_negative} missed, {c.true_negative} negatives "
        f"cleared, {c.false_positive} false alarms"
        for title, c in counts.items()
    ]
    return Drawing(figure, "Confusion matrices, images. " + "; ".join(words) + ".")


def routine_figure(days: Mapping[str, RoutineDay]) -> Drawing:
    """What each operating point makes of routine sera: one bar each, four parts.

    Args:
        days: by operating point.
    """
    parts = {
        "found": ("positive, called positive", POSITIVE, ""),
        "missed": ("positive, called negative", PAPER, "////"),
        "false_alarms": ("negative, called positive", NEGATIVE, "...."),
        "cleared": ("negative, called negative", LIGHT, ""),
    }
    with style():
        figure, axes = plt.subplots(figsize=(6.2, 0.72 * len(days) + 1.6), layout="constrained")
        left = np.zeros(len(days))
        for part, (label, colour, hatch) in parts.items():
            width = np.array([getattr(day, part) for day in days.values()])
            bars = axes.barh(
                range(len(days)),
                width,
                left=left,
                label=label,
                color=colour,
                hatch=hatch,
                edgecolor=INK,
                lw=0.6,
            )
            texts = [f"{value:.0f}" if value >= 25 else "" for value in width]
            axes.bar_label(
                bars, texts, label_type="center", fontsize=9, bbox={"fc": PAPER, "ec": "none", "pad": 1}
            )
            left += width
        axes.set_yticks(range(len(days)), list(days))
        axes.set(xlabel="sera", xlim=(0, left.max()), ylim=(len(days) - 0.5, -0.5))
        axes.grid(visible=False)
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    words = [
        f"{name}: {day.missed:.0f} of {day.found + day.missed:.0f} positive sera missed, "
        f"{day.false_alarms:.0f} false alarms"
        for name, day in days.items()
    ]
    return Drawing(figure, "Bars of expected numbers of sera. " + "; ".join(words) + ".")


def specimen_figure(decisions: pd.DataFrame, images: pd.DataFrame, zone: Sequence[float]) -> Drawing:
    """Every specimen's fields above one another, from the lowest mean score to the highest.

    Args:
        decisions: one row a specimen, as ``specimens.specimen_decisions`` returns them, on one scale (0: the
            threshold).
        images: columns ``specimen``, ``label``, ``score``, likewise.
        zone: lowest and highest score that a person looks at again, to be shaded.
    """
    ordered = decisions.sort_values("mean_score", kind="stable").reset_index(drop=True)
    place = pd.Series(ordered.index, index=ordered["specimen"])
    with style():
        figure, axes = plt.subplots(figsize=(6.6, 4.6), layout="constrained")
        axes.axhspan(*zone, color=GREY, alpha=0.2, lw=0, label="review (mean of the folds' zones)")
        split = ordered["disagree"].to_numpy()
        axes.vlines(
            ordered.index[split],
            ordered["lowest_score"][split],
            ordered["highest_score"][split],
            color=INK,
            lw=1,
            label="fields disagree",
        )
        for label, colour, marker, name in ((1, POSITIVE, "^", "positive"), (0, NEGATIVE, "o", "negative")):
            part = images[images["label"] == label]
            axes.plot(
                place[part["specimen"]],
                part["score"],
                marker,
                color=colour,
                ms=4,
                mew=0,
                label=f"{name} field",
            )
        axes.axhline(0, color=INK, lw=0.8)
        axes.set(xlabel="specimens, in order of their mean score", ylabel="score (0: the threshold)")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    wrong = int((decisions["by_mean"] != decisions["label"]).sum())
    return Drawing(
        figure,
        f"Scores of the fields of {len(decisions)} specimens in order of their mean: the fields of "
        f"{int(split.sum())} specimens are on both sides of the threshold, and {wrong} specimens are on the "
        "wrong one.",
    )
