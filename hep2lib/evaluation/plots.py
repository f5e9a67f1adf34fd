"""The book's figures of results: one style, one function a figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from hep2lib.evaluation.bands import RocBand
from hep2lib.evaluation.inference import Interval
from hep2lib.evaluation.metrics import Confusion
from hep2lib.evaluation.style import COLOURS, GREY, INK, MARKERS, Drawing, style


def roc_figure(curves: Mapping[str, RocBand], points: Mapping[str, Confusion]) -> Drawing:
    """ROC curves, the first with its pointwise band and its operating points (the paper's Figure 3).

    Good curves crowd into the upper left corner, so that corner is drawn a second time, enlarged.

    Args:
        curves: by name; the first is the main one.
        points: operating points of the main one by name, as confusion counts.
    """
    with style():
        figure, axes = plt.subplots(figsize=(5.4, 6.2), layout="constrained")
        inset = axes.inset_axes((0.4, 0.1, 0.57, 0.57), xlim=(-0.01, 0.3), ylim=(0.7, 1.01))
        for place in (axes, inset):
            for (name, band), colour, line in zip(curves.items(), COLOURS, "-" + "--" * 9, strict=False):
                place.plot(band.false_positive_rate, band.sensitivity, line, color=colour, label=name)
            main = next(iter(curves.values()))
            label = f"95 % band over {main.specimens} specimens"
            place.fill_between(
                main.false_positive_rate, main.low, main.high, color=COLOURS[0], alpha=0.18, lw=0, label=label
            )
            for (name, at), marker in zip(points.items(), MARKERS, strict=False):
                place.plot(1 - at.specificity, at.sensitivity, marker, color=INK, ms=6, label=name)
        axes.indicate_inset_zoom(inset, edgecolor=GREY)
        inset.tick_params(labelsize=9)
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, zorder=0)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        axes.set_aspect("equal")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    marked = [
        f"{name}: sensitivity {one.sensitivity:.2f}, specificity {one.specificity:.2f}"
        for name, one in points.items()
    ]
    tenth = [
        f"{name} {np.interp(0.1, c.false_positive_rate, c.sensitivity):.2f}" for name, c in curves.items()
    ]
    words = (
        f"ROC curves. Where one negative image in ten is called positive, the sensitivity is {_and(tenth)}."
    )
    return Drawing(figure, f"{words} Operating points: {'; '.join(marked)}.")


def forest_plot(
    groups: Mapping[str, Mapping[str, Interval]],
    reference: Mapping[str, float],
) -> Drawing:
    """Test AUCs with their intervals, one below the other in groups; the paper's values as open diamonds.

    Args:
        groups: title of a group to estimates by name, the first on top.
        reference: by the same names, what the paper printed.
    """
    least = 0.45  # where the axis begins; an arrow stands for an estimate below it
    lines: list[tuple[str, Interval | None]] = []
    numbers: dict[int, str] = {}
    for title, members in groups.items():
        lines += [(title, None), *members.items()]
    with style():
        figure, axes = plt.subplots(figsize=(5.8, 0.3 * len(lines) + 1.3), layout="constrained")
        for place, (name, found) in enumerate(lines):
            if found is None:
                continue
            axes.plot([found.low, found.high], [place, place], color=COLOURS[0], lw=2)
            if found.estimate >= least:
                axes.plot(found.estimate, place, "o", color=COLOURS[0], ms=6, label="this run, 95 % interval")
            else:
                axes.plot(least, place, "<", color=COLOURS[0], ms=7, clip_on=False)
            numbers[place] = f"{found.estimate:.3f} ({found.low:.2f} to {found.high:.2f})"
            if name in reference:
                axes.plot(
                    reference[name],
                    place,
                    "D",
                    color=COLOURS[1],
                    mfc="none",
                    ms=9,
                    label="the paper, on AIDA",
                )
        axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
        axes.set_yticks(range(len(lines)), [name for name, _ in lines])
        for text, (_, found) in zip(axes.get_yticklabels(), lines, strict=True):
            text.set_fontweight("bold" if found is None else "normal")
        axes.set(xlabel="test AUC", xlim=(least, 1.005), ylim=(len(lines) - 0.4, -0.6))
        beside = axes.secondary_yaxis("right")
        beside.set_yticks(list(numbers), list(numbers.values()), fontsize=9)
        beside.spines["right"].set_visible(False)
        beside.tick_params(length=0)
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=2, fontsize=9)
    estimates = {name: one.estimate for members in groups.values() for name, one in members.items()}
    ranked = sorted(estimates, key=lambda name: -estimates[name])
    values = [f"{name} {estimates[name]:.2f}" for name in ranked]
    return Drawing(figure, f"Test AUC with interval, from highest to lowest: {_and(values)}.")


def _and(words: Sequence[str]) -> str:
    """Words as a sentence lists them."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
