"""Figures and tables of results: curves, estimates side by side, thresholds and their costs, claims."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd

from hep2lib.evaluation.auc import FloatArray, IntArray, Interval, auc, check_specimens
from hep2lib.evaluation.bootstrap import Metric, RocBand, at_threshold, bootstrap_interval
from hep2lib.evaluation.calibration import log_odds, reliability
from hep2lib.evaluation.decisions import (
    Confusion,
    choose_threshold,
    confusion,
    predictive_value,
    share,
    share_interval,
)
from hep2lib.evaluation.scores import Scores
from hep2lib.figures.style import (
    COLOURS,
    GREY,
    INK,
    LIGHT,
    MARKERS,
    NEGATIVE,
    PAPER,
    POSITIVE,
    SEQUENTIAL,
    WIDTH,
    Drawing,
    data_uri,
    estimated,
    panels,
    style,
    two_a_row,
    typeset,
)


def roc_figure(curves: Mapping[str, RocBand], points: Mapping[str, Confusion]) -> Drawing:
    """ROC curves, the first with its pointwise band and its operating points (the paper's Figure 3).

    Where all curves crowd into the upper left corner, that corner is all that is drawn. ``points`` are those
    of the first curve: open markers, each larger than the one before, so that those that coincide are all
    seen.
    """
    with style():
        figure, axes = plt.subplots(figsize=(4.6, 6.1), layout="constrained")
        name, main = next(iter(curves.items()))
        lines = [(one.false_positive_rate, one.sensitivity) for one in curves.values()]
        lines.append((main.false_positive_rate, main.low))
        for (label, band), colour, line in zip(curves.items(), COLOURS, ("-", *9 * ["--"]), strict=False):
            axes.plot(band.false_positive_rate, band.sensitivity, line, color=colour, label=label)
        label = f"95 % band of {name}, over {main.specimens} specimens"
        look = {"color": COLOURS[0], "alpha": 0.18, "lw": 0, "label": label}
        axes.fill_between(main.false_positive_rate, main.low, main.high, **look)
        for number, ((label, at), marker) in enumerate(zip(points.items(), MARKERS, strict=False)):
            look = {"color": INK, "mfc": "none", "ms": 6 + 3 * number, "mew": 1.3, "ls": "none"}
            axes.plot(1 - at.specificity, at.sensitivity, marker, label=f"{name}, {label}", **look)
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        shown = [(1 - at.specificity, at.sensitivity) for at in points.values()]
        if all(np.interp(0.4, *line) >= 0.6 for line in lines) and all(x < 0.4 and y > 0.6 for x, y in shown):
            axes.set(xlim=(-0.01, 0.4), ylim=(0.6, 1.01), title="upper left corner of the square")
        axes.set_aspect("equal")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", fontsize=9)
    rates = {name: (one.sensitivity, one.specificity) for name, one in points.items()}
    marked = [f"{name}: sensitivity {a:.2f}, specificity {b:.2f}" for name, (a, b) in rates.items()]
    at_tenth = {name: np.interp(0.1, c.false_positive_rate, c.sensitivity) for name, c in curves.items()}
    tenth = [f"{name} {value:.2f}" for name, value in at_tenth.items()]
    words = "ROC curves. Where one negative image in ten is called positive, the sensitivity is"
    return Drawing(figure, f"{words} {_and(tenth)}. Operating points: {'; '.join(marked)}.")


def forest_plot(
    groups: Mapping[str, Mapping[str, Interval]], reference: Mapping[str, float], chosen: Sequence[str] = ()
) -> Drawing:
    """Test AUCs with their intervals, one below the other in groups; the paper's values as open diamonds.

    Args:
        groups: title of a group to estimates by name, the first on top.
        reference: by the same names, what the paper printed.
        chosen: names that validation chose: a square instead of a dot.
    """
    lines = [line for title, members in groups.items() for line in ((title, None), *members.items())]
    numbers: dict[int, str] = {}
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH, 0.3 * len(lines) + 1.3), layout="constrained")
        for place, (name, found) in enumerate(lines):
            if found is None:
                continue
            axes.plot([found.low, found.high], [place, place], color=COLOURS[0], lw=2)
            marker, label = (
                ("s", "chosen on validation") if name in chosen else ("o", "this run, 95 % interval")
            )
            axes.plot(found.estimate, place, marker, color=COLOURS[0], ms=6, label=label)
            numbers[place] = f"{found.estimate:.3f} ({found.low:.2f} to {found.high:.2f})"
            if name in reference:
                look = {"color": COLOURS[1], "mfc": "none", "ms": 9, "label": "the paper, on AIDA"}
                axes.plot(reference[name], place, "D", **look)
        axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
        axes.set_yticks(range(len(lines)), [name for name, _ in lines])
        for text, (_, found) in zip(axes.get_yticklabels(), lines, strict=True):
            text.set_fontweight("bold" if found is None else "normal")
        axes.set(xlabel="test AUC", ylim=(len(lines) - 0.4, -0.6))
        axes.set_xlim(min(0.45, axes.get_xlim()[0]), 1.005)
        beside = axes.secondary_yaxis("right")
        beside.set_yticks(list(numbers), list(numbers.values()), fontsize=9)
        beside.spines["right"].set_visible(False)
        beside.tick_params(length=0)
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=2, fontsize=9)
    estimates = {name: one.estimate for members in groups.values() for name, one in members.items()}
    ranked = sorted(estimates, key=lambda name: -estimates[name])
    values = [f"{name}{' (chosen)' * (name in chosen)} {estimates[name]:.2f}" for name in ranked]
    return Drawing(figure, f"Test AUC with interval, from highest to lowest: {_and(values)}.")


def _and(words: Sequence[str]) -> str:
    """Words as a sentence lists them."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def confusion_figure(counts: Mapping[str, Confusion]) -> Drawing:
    """Confusion matrices by title, two a row; the shade is the share of the row, the number the count."""
    with style():
        figure, grid = two_a_row(len(counts), 2.6)
        for axes, (title, one) in zip(grid, counts.items(), strict=True):
            negative, positive = one.true_negative, one.true_positive
            matrix = np.array([[negative, one.false_positive], [one.false_negative, positive]])
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
        f"{title}: of the positive ones {c.true_positive} found and {c.false_negative} missed, of the "
        f"negative ones {c.true_negative} cleared and {c.false_positive} called positive"
        for title, c in counts.items()
    ]
    return Drawing(figure, "Confusion matrices, images. " + "; ".join(words) + ".")


def routine_figure(days: Mapping[str, Mapping[str, float]]) -> Drawing:
    """What each threshold makes of routine sera (``specimens.routine_day``): one bar each, four parts."""
    parts = {
        "found": ("positive, called positive", POSITIVE, ""),
        "missed": ("positive, called negative", PAPER, "////"),
        "false_alarms": ("negative, called positive", NEGATIVE, "...."),
        "cleared": ("negative, called negative", LIGHT, ""),
    }
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH, 0.72 * len(days) + 1.6), layout="constrained")
        left = np.zeros(len(days))
        for part, (label, colour, hatch) in parts.items():
            width = np.array([day[part] for day in days.values()])
            look = {"label": label, "color": colour, "hatch": hatch, "edgecolor": INK, "lw": 0.6}
            bars = axes.barh(range(len(days)), width, left=left, **look)
            texts = [f"{value:.0f}" if value >= 25 else "" for value in width]
            box = {"fc": PAPER, "ec": "none", "pad": 1}
            axes.bar_label(bars, texts, label_type="center", fontsize=9, bbox=box)
            left += width
        axes.set_yticks(range(len(days)), list(days))
        axes.set(xlabel="sera", xlim=(0, left.max()), ylim=(len(days) - 0.5, -0.5))
        axes.grid(visible=False)
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    words = [
        f"{name}: {day['missed']:.0f} of {day['found'] + day['missed']:.0f} positive sera missed, "
        f"{day['false_alarms']:.0f} false alarms"
        for name, day in days.items()
    ]
    return Drawing(figure, "Bars of expected numbers of sera. " + "; ".join(words) + ".")


def decision_figure(curves: Mapping[str, Mapping[str, pd.DataFrame]]) -> Drawing:
    """Decision curves, a panel a prevalence: net benefit of the test, of reporting all positive, and of none.

    ``curves`` are by the panel's title those of ``calibration.decision_curve`` by name; the first of each
    panel is the main one, with its band.
    """
    words = []
    with style():
        figure, grid = panels(1, len(curves), WIDTH, 4.0)
        for axes, (title, panel) in zip(grid[0], curves.items(), strict=True):
            name, main = next(iter(panel.items()))
            at, rivals = main["threshold"], np.maximum(main["all"], 0)
            for (label, one), colour, line in zip(panel.items(), COLOURS, ("-", *9 * ["--"]), strict=False):
                axes.plot(at, one["benefit"], line, color=colour, label=label)
            look = {"color": COLOURS[0], "alpha": 0.18, "lw": 0}
            axes.fill_between(at, main["low"], main["high"], label=f"95 % band of {name}", **look)
            axes.plot(at, main["all"], "-.", color=GREY, label="report all positive")
            axes.axhline(0, color=INK, linestyle=":", label="report none")
            top = max(one[["benefit", "high", "all"]].to_numpy().max() for one in panel.values())
            axes.set(title=title, xlabel="threshold", ylabel="net benefit")
            axes.set(xlim=(0, 1), ylim=(-0.2 * top, 1.05 * top))
            halves = [f"{each} {one['benefit'][at == 0.5].item():.3f}" for each, one in panel.items()]
            better = f"{name} beats both simple rules at {(main['benefit'] > rivals).sum()} of {at.size}"
            words.append(f"{title}: at a threshold of 0.5 {_and(halves)}; {better} thresholds")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
    return Drawing(figure, f"Net benefit against the threshold. {'. '.join(words)}.")


def specimen_figure(reviewed: pd.DataFrame, images: pd.DataFrame) -> Drawing:
    """Every specimen's fields above one another, from the lowest (mean) score to the highest.

    ``reviewed`` is what ``specimens.review_specimens`` returns, ``images`` have ``specimen``, ``label`` and
    ``score``, on one scale (0: the threshold).
    """
    ordered = reviewed.sort_values("mean_score", kind="stable").reset_index(drop=True)
    place = pd.Series(ordered.index, index=ordered["specimen"])
    zone = reviewed.groupby("fold")[["low", "high"]].first().mean()
    order = f"in order of their {'mean ' * bool(images['specimen'].duplicated().any())}score"
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
        axes.axhspan(*zone, color=GREY, alpha=0.2, lw=0, label="review (mean of the folds' zones)")
        split = ordered["disagree"].to_numpy()
        ends = (ordered["lowest_score"][split], ordered["highest_score"][split])
        if split.any():
            axes.vlines(ordered.index[split], *ends, color=INK, lw=1, label="fields disagree")
        for label, colour, marker, name in ((1, POSITIVE, "^", "positive"), (0, NEGATIVE, "o", "negative")):
            part = images[images["label"] == label]
            look = {"color": colour, "ms": 4, "mew": 0, "label": f"{name} field"}
            axes.plot(place[part["specimen"]], part["score"], marker, **look)
        axes.axhline(0, color=INK, lw=0.8)
        axes.set(xlabel=f"specimens, {order}", ylabel="score (0: the threshold)")
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    wrong = int((reviewed["by_mean"] != reviewed["label"]).sum())
    shown = f"Scores of the fields of {len(reviewed)} specimens, {order}"
    sides = f"specimens with fields on both sides of the threshold: {split.sum()}; on the wrong side: {wrong}"
    return Drawing(figure, f"{shown}; {sides}.")


def claims_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """What ``claims.judge`` returned, as a reader's table: AUCs as numbers up to 1, shares in per cent.

    ``Holds with`` is the border and its margin, ``This run`` has the 95 % interval, ``Decides`` the wider one
    """
    rows = []
    for one in verdicts.itertuples():
        claim, sign = one.claim, "+" if one.claim.second else ""
        times, form, unit = (1, ".3f", "") if claim.metric == "auc" else (100, ".1f", " %")
        unit = " points" if unit and sign else unit
        border, estimate, low, high, decisive_low, decisive_high = (
            typeset(times * number, sign + form)
            for number in (claim.border, one.estimate, one.low, one.high, one.decisive_low, one.decisive_high)
        )
        least = f"{'more than' if claim.kind == 'beats' else 'at least'} {border}{unit}"
        points = " points" if unit else ""
        margin = f"margin {times * claim.margin:{form}}{points}" if claim.margin else "no margin"
        obtained = decides = "–"
        if claim.second and one.low == one.high:
            obtained = f"no difference: none of {one.specimens:.0f} specimens tells them apart"
        elif one.low <= one.high:
            what = f"{'difference of ' * bool(sign)}{claim.metric.replace('auc', 'AUC')}"
            obtained = f"{what} {estimate}{unit} ({low} to {high}); {one.specimens:.0f} specimens"
        if not one.reasons:
            decides = f"{decisive_low} to {decisive_high} (at {typeset(one.level, '.1%')})"
        why = "; ".join(f"{reason} ({details})" for reason, details in one.reasons.items())
        verdict = f"{one.verdict}: {why}" if why else one.verdict
        rows.append((f"{claim.sentence} ({claim.source})", f"{least} ({margin})", obtained, decides, verdict))
    return pd.DataFrame(rows, columns=["Claim", "Holds with", "This run", "Decides", "Verdict"])


def scales_figure(one: Scores) -> Drawing:
    """Test scores of each fold on the scale of its own model, and all of them at once, with their AUCs."""
    scale, unit = (log_odds, "log odds of P(positive)") if one.probabilities else (np.asarray, "margin")
    areas = [*one.fold_aucs(), auc(one.test["label"], one.test["score"])]
    zero, last = scale([*one.thresholds().values()]), len(areas) - 1
    with style():
        figure, axes = plt.subplots(figsize=(WIDTH - 0.5, 0.45 * last + 1.8), layout="constrained")
        for label, colour, name in ((1, POSITIVE, "positive image"), (0, NEGATIVE, "negative image")):
            part = one.test[one.test["label"] == label]
            heights = np.concatenate([part["fold"], np.full(len(part), last)]) + 0.2 - 0.4 * label
            look = {"color": colour, "ms": 9, "alpha": 0.6, "label": name}
            axes.plot(np.tile(scale(part["score"]), 2), heights, "|", **look)
        axes.plot(zero, range(last), "D", color=INK, ms=4, label="the fold's threshold (Youden)")
        for place, text in enumerate(["AUC", *(f"{area:.3f}" for area in areas)], start=-1):
            axes.text(1.02, place, text, va="center", transform=axes.get_yaxis_transform())
        axes.set_yticks(range(last + 1), [*(f"fold {fold + 1}" for fold in range(last)), "all, pooled"])
        axes.axhline(last - 0.5, color=INK, lw=0.8)
        axes.set(xlabel=unit, ylim=(last + 0.5, -0.5))
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    words = (
        f"AUC by fold {min(areas[:-1]):.3f} to {max(areas[:-1]):.3f}, of all scores at once {areas[-1]:.3f}"
    )
    rest = f"the folds' thresholds lie between {min(zero):.1f} and {max(zero):.1f}"
    return Drawing(figure, f"Test scores by fold, each on the scale of its own model. {words}; {rest}.")


def comparison_table(found: pd.DataFrame) -> pd.DataFrame:
    """What ``claims.compare_each`` found, as a reader's table: numbers as texts."""
    table = pd.DataFrame({"Difference of": found["first"] + " − " + found["second"]})
    table["AUC"] = [typeset(value, "+.3f") for value in found["difference"]]
    table["95 % interval"] = [
        f"{typeset(low, '+.3f')} to {typeset(high, '+.3f')}" if low < high else "none seen"
        for low, high in zip(found["low"], found["high"], strict=True)
    ]
    names = {"p_images": "DeLong", "p_specimens": "Obuchowski", "p_bootstrap": "bootstrap", "p_holm": "Holm"}
    for column, name in names.items():
        texts = found[column].map(lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}", na_action="ignore")
        table[f"p, {name}"] = texts.fillna("–")
    return table


RATE_NAMES: dict[str, str] = {
    "sensitivity": "Sensitivity, %",
    "specificity": "Specificity, %",
    "accuracy": "Accuracy, %",
    "balanced_accuracy": "Balanced accuracy, %",
    "mcc": "Matthews correlation",
}
"""The rates of a table, shares first."""


def rates_table(decided: Mapping[str, pd.DataFrame], generator: np.random.Generator) -> pd.DataFrame:
    """Rates (``RATE_NAMES``, a row each) at each threshold with 95 % intervals over specimens.

    ``decided`` is by the rule's name what ``Scores.decided`` returned. Texts are such as "91.2 (85.1 to
    95.0)": Wilson's interval for clustered images of sensitivity, specificity and accuracy, the bootstrap's
    of the others.
    """
    table = {"Rate": list(RATE_NAMES.values())}
    for rule, frame in decided.items():
        shares = [_with_interval(share(frame, name)) for name in list(RATE_NAMES)[:3]]
        metrics = {name: at_threshold(0.5, name) for name in list(RATE_NAMES)[3:]}
        others = [_bootstrap(frame, metric, generator, name) for name, metric in metrics.items()]
        table[rule] = shares + others
    return pd.DataFrame(table)


def predictive_table(
    decided: Mapping[str, pd.DataFrame], prevalences: Mapping[str, float], generator: np.random.Generator
) -> pd.DataFrame:
    """Predictive values at each threshold and several prevalences, with 95 % intervals over specimens.

    Two rows a prevalence (positive and negative predictive value; by name, 0 to 1), one column a rule, as for
    ``rates_table``; an en dash where nothing is called so.
    """
    kinds = [
        (f"{title} (%), {name}", called, prevalence)
        for name, prevalence in prevalences.items()
        for title, called in (("PPV", 1), ("NPV", 0))
    ]
    table = {"Value, prevalence": [title for title, _, _ in kinds]}
    for rule, frame in decided.items():
        table[rule] = [
            _bootstrap(frame, at_prevalence(called, prevalence), generator)
            if (frame["decision"] == called).any()
            else "–"
            for _, called, prevalence in kinds
        ]
    return pd.DataFrame(table)


def operating_points(validation: pd.DataFrame, test: pd.DataFrame, most: int = 18) -> dict[str, Any]:
    """What can be known of every threshold, for a reader to move it (``_static/operating-points.js``).

    Args:
        validation: ``label`` and ``score`` (P(positive)) of validation images, which choose a threshold.
        test: likewise of test images, with ``row`` and ``specimen``.
        most: images of each label, on each side of the chosen threshold and nearest to it, to be ``shown``.

    Returns:
        ``chosen``, by Youden's rule; ``scores``, the distinct ones, rising; by number of scores below the
        threshold, from none (all images are called positive) to all of them (none is): ``called``, how many
        positive and negative images are at or above it, and ``intervals``, low and high end of sensitivity,
        specificity and accuracy over specimens, in per cent as tables have them; ``images``, positive and
        negative ones; ``specimens``; ``groups`` of `calibration.reliability`; ``shown``, a table of rows.
    """
    y, score = test["label"].to_numpy(), test["score"].to_numpy()
    owner, steps = check_specimens(test["specimen"], y.size), np.unique(score)
    chosen = choose_threshold(validation["label"], validation["score"])
    called, intervals = [], []
    for step in [*steps, np.inf]:
        right = (score >= step) == y
        found = [share_interval(right[one], owner[one]) for one in (y == 1, y == 0, y >= 0)]
        called.append([int(np.sum((score >= step) & (y == label))) for label in (1, 0)])
        intervals.append([float(f"{100 * end:.1f}") for one in found for end in (one.low, one.high)])
    groups = asdict(reliability(y, score, owner, bins=5))
    sides = test.assign(side=score >= chosen, far=np.abs(score - chosen)).sort_values("far", kind="stable")
    return {
        "chosen": chosen,
        "scores": steps.tolist(),
        "called": called,
        "intervals": intervals,
        "images": called[0],
        "specimens": int(owner.max()) + 1,
        "groups": {name: values.tolist() for name, values in groups.items() if name != "error"},
        "shown": sides.groupby(["label", "side"]).head(most).sort_values("score", kind="stable"),
    }


def with_fields(points: Mapping[str, Any], tiles: npt.NDArray, database: pd.DataFrame) -> dict[str, Any]:
    """`operating_points` as a page takes them, ``shown`` by score, label, pattern, and in one picture.

    ``tiles`` are those images' thumbnails, N x side x side, one below the other in the picture.
    """
    shown = points["shown"].assign(pattern=database["pattern"].to_numpy()[points["shown"]["row"]])
    picture = {"tile": tiles.shape[1], "sprite": data_uri(tiles.reshape(-1, tiles.shape[1]), "jpeg")}
    return {**points, "shown": shown[["score", "label", "pattern"]].to_numpy().tolist(), **picture}


def at_prevalence(called: int, prevalence: float) -> Metric:
    """A ``bootstrap.Metric``: the predictive value of decisions that call ``called`` (1 or 0).

    Decisions are 0 or 1; the prevalence is the share of positive specimens where the test is used, 0 to 1.
    """

    def metric(y: IntArray, decision: FloatArray, weight: FloatArray) -> FloatArray:
        counts = confusion(y, decision >= 0.5, weight)
        if called:
            return predictive_value(counts.sensitivity, counts.specificity, prevalence)
        return predictive_value(counts.specificity, counts.sensitivity, 1 - prevalence)

    return metric


def _bootstrap(decided: pd.DataFrame, metric: Metric, generator: np.random.Generator, name: str = "") -> str:
    """An en dash stands for an interval without width: no drawing differs, which is not certainty."""
    y, decision, specimen = decided["label"], decided["decision"], decided["specimen"]
    found = bootstrap_interval(metric, y, decision, specimen, generator=generator)
    return _with_interval(found, name)


def _with_interval(found: Interval, name: str = "") -> str:
    """In per cent, but for Matthews correlation."""
    text = estimated(found, ".2f") if name == "mcc" else estimated(found, ".1f", 100)
    return text if found.low < found.high else f"{text.partition(' ')[0]} (–)"
