"""Figures and tables of the fine-tuning study: where the work lies, what was found, what a seed moves."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from pandas.core.groupby import SeriesGroupBy

from hep2lib.evaluation.scores import ROTATED, tuned
from hep2lib.figures.style import COLOURS, GREY, INK, SEQUENTIAL, WIDTH, Drawing, ends, look_of, panels, style
from hep2lib.studies.floor import training_operations
from hep2lib.studies.outcomes import FineTuningOutcome
from hep2lib.studies.trial import choices, read_trial

_SEARCHED = ["freeze", "batch_size", "learning_rate"]
_ALLOWED = ["Configurations searched", "Epochs allowed", "Views an epoch"]
"""Columns of ``FineTuningOutcome.budget``."""


@style()
def freezing_figure(layers: pd.DataFrame, depths: Sequence[int]) -> Drawing:
    """How parameters and multiplications add up over a ``layer_table``, with freezing depths (0 to 144)."""
    parameters = layers["parameters"].cumsum() / layers["parameters"].sum()
    multiplications = layers["multiply_adds"].cumsum() / layers["multiply_adds"].sum()
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6), layout="constrained")
    places = range(1, len(layers) + 1)
    axes.plot(places, parameters, "-", color=COLOURS[0], linewidth=2, label="parameters")
    axes.plot(places, multiplications, "--", color=COLOURS[1], linewidth=2, label="multiplications")
    for depth in depths:
        axes.axvline(depth, color=GREY, linewidth=1, linestyle=":")
        axes.text(depth + 1, 0.06, f"{depth} frozen", rotation=90, va="bottom")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="layer, as MATLAB counts", ylabel="share up to this layer")
    axes.set(xlim=(0, 152), ylim=(0, 1.03))
    axes.legend(loc="upper left")
    told = "; ".join(
        f"the first {depth} hold {parameters.iloc[depth - 1]:.0%} of the parameters and "
        f"{multiplications.iloc[depth - 1]:.0%} of the multiplications"
        for depth in depths
        if depth
    )
    return Drawing(figure, f"Shares of parameters and multiplications added up over the 144 layers: {told}.")


@style()
def grid_figure(means: pd.DataFrame) -> Drawing:
    """Highest validation AUC over epochs of each configuration, one map a depth, the chosen one framed.

    ``means`` are the rows without rotations of ``FineTuningOutcome.means``.
    """
    best = means.groupby(_SEARCHED, as_index=False)["validation_auc"].max()
    low, high = best["validation_auc"].min(), best["validation_auc"].max()
    scale = {"cmap": SEQUENTIAL, "vmin": low - 0.01, "vmax": high + 0.01, "cbar": False}
    depths = best.groupby("freeze")
    beside = depths["batch_size"].nunique().max() * len(depths) <= 8  # more numbers do not stand side by side
    shape = (1, len(depths), WIDTH, 3) if beside else (len(depths), 1, WIDTH, 2.3 * len(depths))
    figure, maps = panels(*shape)
    told = []
    for axes, (depth, mine) in zip(maps.flat, depths, strict=True):
        grid = mine.pivot(index="learning_rate", columns="batch_size", values="validation_auc")
        sns.heatmap(grid, ax=axes, annot=True, fmt=".3f", annot_kws={"size": 9}, linewidths=2, **scale)
        axes.grid(visible=False)
        top = FineTuningOutcome.choose(means[means["freeze"] == depth])
        place = grid.columns.get_loc(top.batch_size), grid.index.get_loc(top.learning_rate)
        corner = (place[0] + 0.04, place[1] + 0.04)
        axes.add_patch(plt.Rectangle(corner, 0.92, 0.92, fill=False, ec=INK, lw=3, clip_on=False))
        axes.set(title=f"freeze {depth}", xlabel="batch size", ylabel="")
        axes.tick_params(axis="y", rotation=0)
        told.append(
            f"freeze {depth}: "
            f"{f'{len(mine)} configurations, the highest' if len(mine) > 1 else '1 configuration,'} "
            f"{top.validation_auc:.3f} at batch size {top.batch_size:g}, learning rate {top.learning_rate:g}"
        )
    for axes in maps[:, 0]:
        axes.set_ylabel("learning rate")
    return Drawing(figure, f"Validation AUC by batch size and learning rate. {'; '.join(told)}.")


def _over_folds(axes: Axes, by_epoch: SeriesGroupBy, number: int, label: str) -> pd.Series:
    """Draw the mean of the folds and their range after each epoch, and return the mean."""
    mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
    look = look_of(number)
    axes.plot(mean.index, mean, label=label, **look)
    axes.fill_between(mean.index, low, high, color=look["color"], alpha=0.15)
    if len(mean) == 1:  # an area without width
        axes.vlines(mean.index, low, high, color=look["color"], alpha=0.5, linewidth=3)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    return mean


@style()
def learning_figure(table: pd.DataFrame) -> Drawing:
    """Validation AUC by epoch for one configuration of each freezing depth, with the spread over folds.

    ``table`` has ``freeze``, ``epoch``, ``fold``, ``validation_auc``: one configuration a depth.
    """
    told = []
    figure, axes = plt.subplots(figsize=(WIDTH, 3.8), layout="constrained")
    for number, (depth, part) in enumerate(table.groupby("freeze")):
        mean = _over_folds(axes, part.groupby("epoch")["validation_auc"], number, f"freeze {depth}")
        told.append(
            f"freeze {depth} goes from {mean.iloc[0]:.2f} to {mean.iloc[-1]:.2f} in {len(mean)} epochs, "
            f"at best {mean.max():.2f} at epoch {mean.idxmax()}"
            if len(mean) > 1
            else f"freeze {depth} has {mean.iloc[0]:.2f} after its one epoch"
        )
    axes.set(ylabel="validation AUC", ylim=(None, min(axes.get_ylim()[1], 1.008)))
    figure.legend(loc="outside lower left", ncols=3)
    return Drawing(figure, f"Validation AUC against epoch, mean of the folds: {'; '.join(told)}.")


@style()
def seed_figure(results: pd.DataFrame, spread: pd.DataFrame) -> Drawing:
    """Every configuration's validation AUC with each seed: one row a configuration, one point a seed.

    ``results`` are ``FineTuningOutcome.seed_results``, ``spread`` is its ``seed_spread``.
    """
    rows = spread.sort_values(["freeze", "mean"]).reset_index(drop=True)
    depths = sorted(rows["freeze"].unique())
    figure, axes = plt.subplots(figsize=(WIDTH, max(2.6, 0.8 + 0.3 * len(rows))), layout="constrained")
    for place, row in rows.iterrows():
        axes.plot([row["low"], row["high"]], [place, place], color=GREY, linewidth=2, zorder=1)
        mine = results.loc[(results[_SEARCHED] == row[_SEARCHED]).all(axis=1), "validation_auc"]
        look = look_of(depths.index(row["freeze"]))
        axes.scatter(mine, np.full(len(mine), place), zorder=2, label=f"freeze {row['freeze']:g}", **look)
    axes.set_yticks(range(len(rows)), [f"{r.batch_size:g}, {r.learning_rate:g}" for r in rows.itertuples()])
    axes.set(xlabel="validation AUC, mean of the folds", ylabel="batch size, learning rate")
    handles, names = axes.get_legend_handles_labels()
    kept = dict(zip(names, handles, strict=True))
    figure.legend(kept.values(), kept.keys(), loc="outside lower left", ncols=3)
    widest = rows.loc[rows["spread"] == rows["spread"].max()]
    where = "; ".join(f"freeze {d:g}, {size:g}, {rate:g}" for d, size, rate in widest[_SEARCHED].to_numpy())
    low, high = (f"{end:.3f}" for end in (rows["spread"].min(), rows["spread"].max()))
    apart = f"{low} to {high} within a configuration (depth, batch size, rate), most at {where}"
    if low == high:
        apart = f"{low} within each configuration"
    alt = f"A row for each configuration ({len(rows)}), a point a seed. Seeds differ by {apart}."
    return Drawing(figure, alt)


@style()
def batchnorm_figure(table: pd.DataFrame) -> Drawing:
    """Validation AUC with the frozen layers' batch normalisation frozen, and alive: by epoch, or by fold.

    ``table`` has ``batchnorm``, ``batch_size``, ``fold``, ``epoch``, ``validation_auc``.
    """
    sizes = table.groupby("batch_size")
    last = int(table["epoch"].max())
    figure, row = panels(1, len(sizes), min(WIDTH, 2.8 + 2.1 * len(sizes)), 3.4, sharey=True)
    for axes, (size, part) in zip(row[0], sizes, strict=True):
        if last > 1:
            for number, kind in enumerate(("frozen", "alive")):
                mine = part[part["batchnorm"] == kind]
                _over_folds(axes, mine.groupby("epoch")["validation_auc"], number, kind)
        else:
            _from_frozen_to_alive(axes, part)
        axes.set_title(f"batch size {size}")
    row[0][0].set(ylabel="validation AUC", ylim=(None, min(row[0][0].get_ylim()[1], 1.008)))
    figure.legend(*row[0][0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    found = table[table["epoch"] == last].groupby(["batch_size", "batchnorm"])["validation_auc"].mean()
    told = "; ".join(f"batch size {size}, {kind}: {value:.2f}" for (size, kind), value in found.items())
    over = "mean of the folds" if table["fold"].nunique() > 1 else "of one fold"
    return Drawing(figure, f"Validation AUC, {over}, after epoch {last}: {told}.")


def _from_frozen_to_alive(axes: Axes, table: pd.DataFrame) -> None:
    """A line for each fold."""
    for number, (fold, part) in enumerate(table.groupby("fold")):
        values = part.set_index("batchnorm")["validation_auc"].reindex(["frozen", "alive"])
        axes.plot(range(2), values, label=f"fold {int(str(fold)) + 1}", **look_of(number))
    axes.set_xticks(range(2), ["frozen", "alive"])
    axes.set(xlim=(-0.3, 1.3), xlabel="batch normalisation of frozen layers")


NAMES = {
    "freeze": "frozen layers",
    "batch_size": "mini-batch size",
    "learning_rate": "learning rate",
    "epochs": "epochs, at most",
    "fold": "folds",
    "seed": "seed",
    "momentum": "momentum",
    "l2": "weight decay of weights",
    "bias_rate_factor": "learning rate of biases, relative",
    "head_rate_factor": "learning rate of the classifier, relative",
    "class_weights": "class weights",
    "shuffle": "order drawn anew",
    "last_batch": "incomplete last mini-batch",
    "precision": "arithmetic",
    "activations": "frozen layers' values kept as",
    "rotations": "rotated views",
    "views_per_epoch": "views of an image in an epoch",
    "batchnorm": "batch normalisation of frozen layers",
}
"""Names for a reader of what a trial's fields are called in the code."""


def choices_table(used: Mapping[str, object], paper: Mapping[str, object]) -> pd.DataFrame:
    """Every choice that a training consists of: this run's, the paper's, whether they agree, and the source.

    Args:
        used: this run's values by field, where they are not the defaults; several are a list.
        paper: the paper's by field, where it prints them.

    Returns:
        ``Choice``, ``Here``, ``Paper`` ("silent" where it prints none), ``As in the paper`` ("yes", "no" or
        "unknown") and ``Source``: of the paper's value, or of our default where it is silent.
    """
    rows = []
    for one in choices():
        field, default = one["field"], one["default"]
        value, printed = used.get(field, default), paper.get(field)
        same = "unknown" if field not in paper else "yes" if value == printed else "no"
        source = one["source"] + ", not verified" * (one["read"] == "not verified")
        if field not in paper and value != default and default is not None:
            source = f"chosen for this run, not {_shown(default)}: {source}"
        theirs = _shown(printed) if field in paper else "silent"
        rows.append((NAMES[field], _shown(value), theirs, same, source))
    return pd.DataFrame(rows, columns=["Choice", "Here", "Paper", "As in the paper", "Source"])


def _shown(value: object) -> str:
    """A value of a field, or several."""
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def selection_table(study: FineTuningOutcome, database: pd.DataFrame) -> pd.DataFrame:
    """Test AUC of one configuration for all folds, and of one chosen for each fold alone, at each depth.

    One row a depth, without rotations, then one for any, with them. ``Different ones`` is the number of the
    folds' configurations, ``Tied`` the fewest and most configurations and epochs that share a fold's best
    AUC. The ``specimen`` column of the database says which images belong together.
    """
    rows = []
    for depth in [*study.depths(), None]:
        rotated = None if depth is None else False
        one, each = study.best(depth, rotated=rotated), study.nested(depth, rotated=rotated)
        aucs = [tuned(study, chosen, database).auc() for chosen in (one, each)]
        different = len({(c.freeze, c.batch_size, c.learning_rate, c.rotations, c.epoch) for c in each})
        shown = [f"{found.estimate:.3f} ({ends(found)})" for found in aucs]
        tied = " to ".join(map(str, sorted({min(c.tied for c in each), max(c.tied for c in each)})))
        allowed = study.budget(depth)[:2]
        name = "any, also rotated" if study.depths(rotated=True) else "any"
        rows.append((name if depth is None else str(depth), *allowed, *shown, different, tied))
    names = ["One for all folds", "One for each fold", "Different ones", "Tied"]
    return pd.DataFrame(rows, columns=["Frozen layers", *_ALLOWED[:2], *names])


def cost_table(study: FineTuningOutcome, rate: float, *, variant: str, size: int) -> pd.DataFrame:
    """Seconds of a training at each depth beside what its multiplications alone would take.

    ``rate`` is the floating-point operations a second of one core (``floor.best_rate``); ``variant`` and
    ``size`` (pixels) are those of the network. Trainings on rotated views have no floor here: part of their
    views may be computed as they are drawn. Nor do those on a GPU, of which a core's rate says nothing.
    """
    rows = []
    for record in study.records:
        trial = read_trial(record["trial"])
        operations = training_operations(trial, study.folds[trial.fold], variant=variant, size=size)
        known = trial.rotations == 1 and record["device"] == "cpu"
        floor = operations / rate if known else np.nan
        rows.append((trial.freeze, trial.rotations, record["seconds"], floor))
    table = pd.DataFrame(rows, columns=["Frozen layers", "Angles", "seconds", "floor"])
    seconds, floor = (table.groupby(["Frozen layers", "Angles"])[name] for name in ("seconds", "floor"))
    costs = {"Trainings": seconds.size(), "In all, s": seconds.sum(), "Each, s": seconds.mean()}
    found = pd.DataFrame(costs | {"Floor, s": floor.mean()})
    return found.assign(**{"Floor's share": found["Floor, s"] / found["Each, s"]}).reset_index()


def table_3(
    outcome: FineTuningOutcome, database: pd.DataFrame, printed: Mapping[tuple[int, int], float]
) -> pd.DataFrame:
    """The paper's Table 3: the best AUC at each freezing depth, then those with rotations, one a row.

    Args:
        outcome: the fine-tuning study.
        database: its ``specimen`` column says which images belong together.
        printed: the paper's AUC by freezing depth and views of an image in an epoch (1: no rotations), where
            it gives one. It stands only beside trainings that show all angles in every epoch, as the paper's.
    """
    rows = []
    for rotated in (False, True):
        for depth in outcome.depths(rotated=rotated):
            one, allowed = outcome.best(depth, rotated=rotated), outcome.budget(depth, rotated=rotated)
            found = tuned(outcome, one, database).auc()
            words = f"{one.batch_size}, {one.learning_rate:g}, {one.epoch}"
            name = f"freeze {depth}{ROTATED * rotated}"
            paper = printed.get((depth, one.rotations), np.nan) if allowed[2] == one.rotations else np.nan
            judged = (one.validation_auc, found.estimate, ends(found), paper)
            rows.append((name, *allowed, words, *judged))
    chosen = ["Batch size, rate, epoch", "Validation AUC", "Test AUC", "95 % interval", "Paper's AUC"]
    return pd.DataFrame(rows, columns=["Training", *_ALLOWED, *chosen])
