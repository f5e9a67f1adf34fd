"""Figures of how sure a result is: coverage, calibration, and what another fold or seed changes."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MultipleLocator

from hep2lib.evaluation.calibration import Reliability
from hep2lib.evaluation.metrics import FloatArray
from hep2lib.evaluation.style import COLOURS, GREY, INK, MARKERS, Drawing, style

COVERAGE_NAMES: dict[str, str] = {
    "images": "images taken for independent (DeLong)",
    "specimens, plain": "specimens, symmetric ends",
    "specimens": "specimens, logit scale",
    "specimens, mean of folds": "specimens, logit scale, mean of five folds",
}
"""The kinds of interval in a reader's words."""


def coverage_figure(found: Mapping[float, Mapping[str, float]], observed: float | None = None) -> Drawing:
    """How often intervals held the true AUC, against how much the images of one specimen are alike.

    Args:
        found: what ``coverage.simulate_coverage`` returned, by correlation, in increasing order.
        observed: the correlation in the run itself, to be marked; None for no mark.
    """
    correlations = list(found)
    by_method = {method: [one[method] for one in found.values()] for method in found[correlations[0]]}
    with style():
        figure, axes = plt.subplots(figsize=(5.8, 4.8), layout="constrained")
        axes.axhspan(0.93, 0.97, color=GREY, alpha=0.2, lw=0, label="93 to 97 %")
        for (method, covered), colour, marker in zip(
            by_method.items(), (COLOURS[1], *COLOURS[2:4], COLOURS[0]), MARKERS, strict=False
        ):
            name = COVERAGE_NAMES.get(method, method)
            axes.plot(correlations, covered, marker=marker, color=colour, label=name)
        if observed is not None:
            axes.axvline(observed, color=INK, linestyle=":", label=f"this run's scores ({observed:.2f})")
        axes.set(
            xlabel="correlation of two images of one specimen",
            ylabel="share of intervals that hold the truth",
        )
        axes.yaxis.set_major_locator(MultipleLocator(0.05))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        figure.legend(loc="outside lower left", fontsize=9)
    ends = [
        f"{COVERAGE_NAMES.get(name, name)} from {100 * c[0]:.0f} to {100 * c[-1]:.0f} %"
        for name, c in by_method.items()
    ]
    words = (
        f"Coverage of 95 % intervals at a correlation of {correlations[0]:g} and of {correlations[-1]:g}: "
    )
    return Drawing(figure, words + "; ".join(ends) + ".")


def reliability_figure(curves: Mapping[str, Reliability]) -> Drawing:
    """Reliability curves, one panel each, two a row: the share of positives against what was predicted.

    Args:
        curves: by title, as ``calibration.reliability`` returns them.
    """
    columns = min(2, len(curves))
    rows = -(-len(curves) // columns)
    with style():
        figure, grid = plt.subplots(
            rows, columns, figsize=(2.9 * columns, 3.0 * rows), layout="constrained", squeeze=False
        )
        for axes in grid.flat[len(curves) :]:
            axes.set_axis_off()
        for axes, (title, curve), colour in zip(grid.flat, curves.items(), COLOURS, strict=False):
            axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
            # Rounding leaves -1e-17 where an end is the estimate itself.
            below, above = np.maximum([curve.observed - curve.low, curve.high - curve.observed], 0)
            axes.errorbar(
                curve.predicted, curve.observed, (below, above), fmt="o-", color=colour, capsize=2, lw=1.2
            )
            axes.set(title=title, xlabel="predicted P(positive)", ylabel="share of positives")
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            axes.set_aspect("equal")
            axes.text(0.97, 0.04, f"ECE {curve.error:.3f}", ha="right", transform=axes.transAxes)
    words = [f"{title}: expected calibration error {curve.error:.3f}" for title, curve in curves.items()]
    return Drawing(
        figure, "Share of positive images against the predicted probability. " + "; ".join(words) + "."
    )


def spread_figure(values: Mapping[str, FloatArray]) -> Drawing:
    """Every fold of every seed as a point, the means of the seeds as bars: what chance alone moves.

    Args:
        values: test AUCs by strategy, each of shape (seeds, folds); strategies without a seed have one row.
    """
    names = list(values)
    with style():
        figure, axes = plt.subplots(figsize=(6.2, 0.55 * len(names) + 1.5), layout="constrained")
        for place, name in enumerate(names):
            table = np.atleast_2d(values[name])
            for number, folds in enumerate(table):
                height = place + (number - (len(table) - 1) / 2) * 0.2
                axes.plot(folds, np.full(folds.size, height), "o", color=COLOURS[0], alpha=0.55, ms=5, mew=0)
                axes.plot(folds.mean(), height, "|", color=INK, ms=11, mew=2)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="test AUC", ylim=(len(names) - 0.5, -0.5))
        axes.plot([], [], "o", color=COLOURS[0], alpha=0.55, label="one fold of one seed")
        axes.plot([], [], "|", color=INK, ms=11, mew=2, label="mean of a seed's folds")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    parts = [
        f"{name} from {np.min(table):.2f} to {np.max(table):.2f} (seeds: {np.atleast_2d(table).shape[0]})"
        for name, table in values.items()
    ]
    return Drawing(figure, "Test AUC of each fold, lowest and highest: " + "; ".join(parts) + ".")
