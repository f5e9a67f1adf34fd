"""How sure a result is: coverage, calibration, folds and seeds, errors, and what a reader should know."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, MultipleLocator
from torch import Tensor

from hep2lib.evaluation.auc import FloatArray, Interval
from hep2lib.evaluation.calibration import Reliability, brier_score, recalibration, reliability
from hep2lib.evaluation.evidence import agreement_needed, area_interval, specimens_to_decide, told_apart
from hep2lib.figures.style import (
    COLOURS,
    DIVERGING,
    GREY,
    INK,
    MARKERS,
    NEGATIVE,
    POSITIVE,
    WIDTH,
    Drawing,
    ends,
    estimated,
    panels,
    stretched,
    style,
    two_a_row,
)

COVERAGE_NAMES: dict[str, str] = {
    "images": "images taken for independent (DeLong)",
    "specimens, plain": "specimens, symmetric ends",
    "specimens": "specimens, logit scale",
    "specimens, mean of folds": "specimens, logit scale, mean of folds",
}
"""The kinds of interval in a reader's words."""


def coverage_figure(found: Mapping[float, Mapping[str, float]], observed: float | None = None) -> Drawing:
    """How often intervals held the true AUC, against how much the images of one specimen are alike.

    ``found`` is by ICC, in increasing order, what ``evidence.simulate_coverage`` returned; ``observed``, the
    ICC in the run itself, is marked, if it is known.
    """
    correlations = list(found)
    methods = found[correlations[0]]
    covered = {COVERAGE_NAMES.get(one, one): [row[one] for row in found.values()] for one in methods}
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH, 4.8), layout="constrained")
        axes.axhspan(0.93, 0.97, color=GREY, alpha=0.2, lw=0, label="93 to 97 %")
        colours = (COLOURS[1], *COLOURS[2:4], COLOURS[0])
        for (name, shares), colour, marker in zip(covered.items(), colours, MARKERS, strict=False):
            axes.plot(correlations, shares, marker=marker, color=colour, label=name)
        if observed is not None:
            axes.axvline(observed, color=INK, linestyle=":", label=f"this run's scores ({observed:.2f})")
        axes.set_xlabel("correlation of two images of one specimen")
        axes.set_ylabel("share of intervals that hold the truth")
        axes.yaxis.set_major_locator(MultipleLocator(0.05))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        figure.legend(loc="outside lower left", fontsize=9)
    ends = [f"{name} from {100 * c[0]:.0f} to {100 * c[-1]:.0f} %" for name, c in covered.items()]
    both = f"{correlations[0]:g} and of {correlations[-1]:g}"
    return Drawing(figure, f"Coverage of 95 % intervals at a correlation of {both}: {'; '.join(ends)}.")


def false_claims_figure(curves: Mapping[str, Mapping[str, pd.DataFrame]]) -> Drawing:
    """How probable it is that a claim is false, by how often both are right (``evidence.claim_curves``)."""
    words = []
    with style():
        figure, grid = panels(1, len(curves), WIDTH, 3.9, sharey=True)
        for axes, (claim, units) in zip(grid[0], curves.items(), strict=True):
            for (unit, curve), colour, line in zip(units.items(), COLOURS, ("-", "--", ":"), strict=False):
                axes.plot(100 * curve["both"], curve["false"], line, color=colour, label=unit)
                words.append("{}, {}: {:.2f} to {:.2f}".format(claim, unit, *curve["false"].iloc[[0, -1]]))
            axes.axhline(0.05, color=INK, linestyle=":", linewidth=1, label="5 %")
            axes.set(title=claim, xlabel="both methods right, %", ylim=(0, 0.52))
        grid[0, 0].set_ylabel("probability that the claim is false")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=9)
    told = "Probability of a false claim, from the least to the most agreement that is possible"
    return Drawing(figure, f"{told}. {'; '.join(words)}.")


def false_claims_table(curves: Mapping[str, Mapping[str, pd.DataFrame]]) -> pd.DataFrame:
    """The ends of each curve of ``evidence.claim_curves``, and what agreement makes a claim sure."""
    rows = []
    for claim, units in curves.items():
        for unit, curve in units.items():
            least, most, needed = curve.iloc[0], curve.iloc[-1], agreement_needed(curve)
            row = {"Claim": claim, "Evidence": unit}
            row["Only one right"] = f"{most.apart:.0f} to {least.apart:.0f}"
            row["Probability that it is false"] = f"{most.false:.2f} to {least.false:.2f}"
            rows.append(row | {"Below 0.05 for": "none" if needed is None else f"{needed} or fewer"})
    return pd.DataFrame(rows)


def printed_areas_table(
    areas: Mapping[str, float], positive: int, negative: int, images_per_specimen: float
) -> pd.DataFrame:
    """Intervals of printed AUCs by name (``evidence.area_interval``), and whether the first stands out."""
    rows = []
    for name, area in areas.items():
        for correlation in (0, 0.5, 1):
            size = (positive, negative, images_per_specimen, correlation)
            first, found = area_interval(next(iter(areas.values())), *size), area_interval(area, *size)
            row = {"AUC": f"{area:.3f}, {name}", "Correlation": correlation}
            told, words = "–", "–"
            if found != first:
                p, needed = told_apart(first, found)
                told, words = f"{p:.3f}", "no correlation" if needed <= 0 else f"{needed:.2f} or more"
            rows.append(row | {"95 % interval": ends(found), "p, unpaired": told, "Paired test needs": words})
    return pd.DataFrame(rows)


def reliability_figure(curves: Mapping[str, Reliability]) -> Drawing:
    """Curves of ``calibration.reliability`` by title: the share of positives against what was predicted."""
    with style():
        figure, grid = two_a_row(len(curves), 3.0)
        for axes, (title, curve), colour in zip(grid, curves.items(), COLOURS, strict=False):
            axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
            # Rounding leaves -1e-17 where an end is the estimate itself.
            below, above = np.maximum([curve.observed - curve.low, curve.high - curve.observed], 0)
            look = {"fmt": "o-", "color": colour, "capsize": 2, "lw": 1.2}
            axes.errorbar(curve.predicted, curve.observed, (below, above), **look)
            axes.set(title=title, xlabel="predicted P(positive)", ylabel="share of positives")
            axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            axes.set_aspect("equal")
            axes.text(0.97, 0.04, f"ECE {curve.error:.3f}", ha="right", transform=axes.transAxes)
    words = [f"{title}: expected calibration error {curve.error:.3f}" for title, curve in curves.items()]
    told = "Share of positive images against the predicted probability."
    return Drawing(figure, f"{told} {'; '.join(words)}.")


def outcome_figure(kinds: Mapping[str, pd.DataFrame]) -> Drawing:
    """Distributions of P(positive), of positive images upwards, of negative ones downwards; one panel each.

    ``kinds`` are by title ``label`` (0 or 1, both present) and ``score`` (P(positive)).
    """
    words = []
    with style():
        figure, grid = two_a_row(len(kinds), 3.0)
        for axes, (title, frame) in zip(grid, kinds.items(), strict=True):
            for label, name, colour, hatch in (
                (1, "positive", POSITIVE, ""),
                (0, "negative", NEGATIVE, "...."),
            ):
                values = frame.loc[frame["label"] == label, "score"].to_numpy()
                share = (2 * label - 1) * np.histogram(values, 20, (0, 1))[0] / values.size
                look = {"color": colour, "edgecolor": INK, "lw": 0.4, "hatch": hatch, "align": "edge"}
                axes.bar(np.arange(20) / 20, share, 0.05, label=f"{name} images", **look)
                low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
                words.append(f"{title}, {name} images {middle:.2f} ({low:.2f} to {high:.2f})")
            axes.axhline(0, color=INK, lw=0.8)
            axes.set(title=title, xlabel="predicted P(positive)", ylabel="share of the label's images")
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * abs(value):.0f} %")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
    return Drawing(figure, f"Predicted probabilities, median and quartiles: {'; '.join(words)}.")


def calibration_table(kinds: Mapping[str, pd.DataFrame], bins: int) -> pd.DataFrame:
    """How far probabilities are from what was seen, one row a kind.

    ``kinds`` are by name ``label`` (0 or 1, both present), ``score`` (P(positive)) and ``specimen``; ``bins``
    are those of the expected calibration error (ECE). ``Intercept`` and ``Slope`` are texts: each with its 95
    % interval, or why there is none.
    """
    rows = []
    for name, frame in kinds.items():
        images = frame["label"], frame["score"], frame["specimen"]
        texts = map(_interval_or_reason, recalibration(*images).values())
        rows.append((name, brier_score(*images[:2]), reliability(*images, bins=bins).error, *texts))
    return pd.DataFrame(rows, columns=["Scores", "Brier score", "ECE", "Intercept", "Slope"])


def _interval_or_reason(one: Interval | str) -> str:
    return f"none: {one}" if isinstance(one, str) else estimated(one, ".2f")


def scaling_words(table: pd.DataFrame, before: str, after: str) -> str:
    """What scaling did to two rows of `calibration_table`, in a sentence without its full stop."""
    found = table.set_index("Scores").loc[[before, after], ["Brier score", "ECE"]].round(3)
    words = []
    for measure, old, new in zip(found, *found.to_numpy(), strict=True):
        verdict = "worse" if new > old else "better" if new < old else "no different"
        words.append(f"the {measure} {verdict} ({f'{old:.3f} to ' * bool(new != old)}{new:.3f})")
    slopes = table.set_index("Scores")["Slope"][[before, after]]
    slope = "leaves a calibration slope that cannot be given for both"
    if not slopes.str.startswith("none").any():
        (was, *first), (now, *then) = (
            map(float, re.findall(r"-?[\d.]+", text.replace("−", "-"))) for text in slopes
        )
        was, now = (round(abs(one - 1), 2) for one in (was, now))
        way = "nearer to" if now < was else "farther from" if now > was else "as far from"
        told = f"{way} 1, the right value"
        if first[0] <= then[1] and then[0] <= first[1]:
            told = "but the two intervals overlap: which is nearer to 1, the right value, is not known"
        slope = f"moves the calibration slope from {' to '.join(slopes)}, {told}"
    return f"Here scaling makes {' and '.join(words)}, and {slope}"


def spread_figure(values: Mapping[str, FloatArray]) -> Drawing:
    """Every fold of every seed as a point, the means of the seeds as bars: what chance alone moves.

    ``values`` are test AUCs by strategy, each of shape (seeds, folds), of one row where there is no seed.
    """
    names = list(values)
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH, 0.55 * len(names) + 1.5), layout="constrained")
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


def error_shares(tables: Mapping[str, pd.DataFrame]) -> Drawing:
    """Share of wrongly decided images in each group, with its interval; one panel a way of grouping.

    ``tables`` are those of ``mistakes.errors_by``, by what the groups are; every group is shown.
    """
    lines = {name: [textwrap.wrap(group, 30) for group in table["group"]] for name, table in tables.items()}
    heights = [sum(0.4 + 0.6 * len(label) for label in labels) + 1.2 for labels in lines.values()]
    height = 0.27 * sum(heights) + 0.6
    with style():
        figure, column = panels(len(tables), 1, WIDTH, height, sharex=True, height_ratios=heights)
        for axes, (name, table) in zip(column[:, 0], tables.items(), strict=True):
            places = np.arange(len(table))
            axes.hlines(places, table["low"], table["high"], color=COLOURS[0], lw=2)
            axes.plot(table["share"], places, "o", color=COLOURS[0])
            counts = zip(lines[name], table["errors"], table["images"], strict=True)
            labels = ["\n".join(group) + f" ({errors} of {images})" for group, errors, images in counts]
            axes.set_yticks(places, labels)
            axes.set(title=f"by {name}", ylim=(len(table) - 0.4, -0.6), xlim=(-0.02, 1.02))
        column[-1, 0].set_xlabel("share decided wrongly, 95 % interval")
        column[-1, 0].xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    words = []
    for name, table in tables.items():
        worst = table.loc[table["share"].idxmax()]
        most = f"most often in {worst['group']}: {worst['errors']} of {worst['images']} images"
        words.append(f"by {name}, {most if worst['errors'] else 'none'}")
    return Drawing(figure, "Share of errors with interval, " + "; ".join(words) + ".")


def explained_fields(
    images: Tensor,
    maps: Tensor,
    titles: list[str],
    label: str = "added to the log odds of positive (their mean over the field)",
    columns: int = 3,
) -> Drawing:
    """Fields with what each place adds to the log odds of "positive" laid over them, on one scale.

    The field is shown in grey above, and again below under its map: orange places speak for positive, violet
    ones for negative, and where the map is near zero the field shows through. Images are uint8, N x 3 x H x
    W, maps N x H x W, in nats (``mistakes.on_fields``), with a title each; ``label`` says what the scale
    means.
    """
    count = len(images)
    reach = float(torch.quantile(maps.abs().flatten(), 0.995)) or 1.0
    scale = Normalize(-reach, reach)
    blocks = -(-count // columns)
    with style():
        figure, grid = panels(2 * blocks, columns, WIDTH, (8 / columns + 0.5) * blocks + 1.1)
        for axes in grid.flat:
            axes.set_axis_off()
        for number in range(count):
            above, below = grid[2 * (number // columns) : 2 * (number // columns) + 2, number % columns]
            bright = stretched(images[number].numpy())
            above.set_title(textwrap.fill(titles[number], 24), fontsize=9)
            for axes in (above, below):
                axes.imshow(bright, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            strength = (maps[number].abs() / reach).clamp(0, 1).numpy()
            below.imshow(maps[number].numpy(), cmap=DIVERGING, norm=scale, alpha=0.75 * strength**0.5)
        shown = ScalarMappable(scale, DIVERGING)
        bar = figure.colorbar(shown, ax=grid, location="bottom", shrink=0.7, aspect=30)
        bar.locator = MaxNLocator(5)
        bar.set_label(label)
    towards = (maps > 0).float().mean(dim=(1, 2))
    words = [f"{title}: {100 * part:.0f} % of the field" for title, part in zip(titles, towards, strict=True)]
    told = "Fields in grey, and under their maps; what speaks for positive"
    return Drawing(figure, f"{told}: {'; '.join(words)}.")


def reported(database: pd.DataFrame, weights: str, groups: Sequence[str]) -> dict[str, str]:
    """What the page on reporting (STARD-AI, CLAIM) says of this run in particular, in words by name.

    Args:
        database: as ``read_database`` returns it.
        weights: where the network's weights come from, in words.
        groups: by what the errors were counted.
    """
    simulated = database.attrs.get("simulated")
    told = _SIMULATED if simulated else _GIVEN
    name, people = database.attrs.get("name", "a database"), _known(database, ("sex", "age"))
    fairness = "not possible: sex is not known"
    if "sex" in database and (database["sex"].fillna("") != "").any():
        fairness = "sex was drawn at random" if simulated else "errors by sex are in the figure of errors"
    return {
        **{key: text.format(name=name) for key, text in told.items()},
        "people": f"{people}; ethnicity, disease and treatment not known",
        "places": _places(database),
        "weights": weights,
        "failures": f"Errors are counted by {', '.join(groups)}",
        "fairness": fairness,
    }


_SIMULATED = {
    "source": "{name}: drawn by a program; no serum, no microscope",
    "selection": "none: specimens as the simulator draws them, no selection by readers",
    "reference": "What the simulator drew",
    "annotation": "Nobody: a label is what was drawn, so there is no reader to disagree",
    "ethics": "Not needed: no patient is involved",
    "data": "Simulated images can be written again; AIDA's may not be passed on",
}
_GIVEN = {
    "source": "{name}: images that were given to this run",
    "selection": "as the database's makers chose",
    "reference": "The database's own positive or negative",
    "annotation": "Not known to this run, nor how far readers agreed: an image has one label",
    "ethics": "Not known to this run: ask the database's makers",
    "data": "The images are not among them, but small copies of all are, in its folder cache, and some are "
    "shown in the chapters",
}


def _known(database: pd.DataFrame, columns: Sequence[str]) -> str:
    given = {name: database[name].notna() & (database[name] != "") for name in columns if name in database}
    known = {name: f"known for {each.mean():.0%} of the images" for name, each in given.items()}
    return "; ".join(f"{name} {known.get(name, 'not known')}" for name in columns)


def _places(database: pd.DataFrame) -> str:
    words = []
    for name, plural in (("laboratory", "laboratories"), ("instrument", "instruments")):
        count = database.loc[database[name] != "", name].nunique() if name in database else 0
        words.append(f"{count} {name if count == 1 else plural}" if count else f"{plural} not known")
    return "; ".join(words)


def sample_size_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """How many specimens would decide each undecided claim of ``claims.judge``, if its estimate stayed.

    Where no claim is undecided, one row says so.
    """
    rows = []
    for one in verdicts[verdicts["verdict"] == "undecided"].itertuples():
        ends, border = (one.decisive_low, one.decisive_high), one.claim.border
        needed = specimens_to_decide(one.specimens, one.estimate, *ends, border)
        words = (
            f"{needed:,.0f}" if np.isfinite(needed) else "cannot be decided: the estimate is on the border"
        )
        if np.isnan(needed):
            words = "not known: there is no estimate"
        elif ends[0] == ends[1]:
            words = "not known: no specimen here tells the two apart"
        rows.append((one.claim.sentence, one.specimens, words))
    rows = rows or [("none", "", "")]
    return pd.DataFrame(rows, columns=["Undecided claim", "Specimens here", "Specimens to decide"])
