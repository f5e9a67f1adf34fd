"""Figures of the fine-tuning study: where the work lies, what a seed moves, what live layers do."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hep2lib.evaluation.scores import scored_auc
from hep2lib.figures.style import COLOURS, GREY, INK, MARKERS, SEQUENTIAL, Drawing, style
from hep2lib.studies.floor import training_operations
from hep2lib.studies.outcomes import Configuration, FineTuningOutcome
from hep2lib.studies.trial import choices, read_trial


def freezing_figure(layers: pd.DataFrame, depths: Sequence[int]) -> Drawing:
    """How parameters and multiplications add up over the 144 layers, with the freezing depths.

    Args:
        layers: one row a layer, in order: ``parameters``, ``multiply_adds`` (``hep2lib.cnn.layers``).
        depths: numbers of frozen layers.
    """
    shares = {
        "parameters": layers["parameters"].cumsum() / layers["parameters"].sum(),
        "multiplications": layers["multiply_adds"].cumsum() / layers["multiply_adds"].sum(),
    }
    with style():
        figure, axes = plt.subplots(figsize=(6.6, 3.6), layout="constrained")
        for (name, share), colour, line in zip(shares.items(), COLOURS, ("-", "--"), strict=False):
            axes.plot(range(1, len(share) + 1), share, line, color=colour, linewidth=2, label=name)
        for depth in depths:
            axes.axvline(depth, color=GREY, linewidth=1, linestyle=":")
            axes.text(depth + 1, 0.06, f"{depth} frozen", rotation=90, va="bottom")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set(xlabel="layer, as MATLAB counts", ylabel="share up to this layer")
        axes.set(xlim=(0, 152), ylim=(0, 1.03))
        axes.legend(loc="upper left")
    told = "; ".join(
        f"the first {depth} hold {shares['parameters'].iloc[depth - 1]:.0%} of the parameters and "
        f"{shares['multiplications'].iloc[depth - 1]:.0%} of the multiplications"
        for depth in depths
        if depth
    )
    return Drawing(figure, f"Shares of parameters and multiplications added up over the 144 layers: {told}.")


def grid_figure(means: pd.DataFrame) -> Drawing:
    """Best validation AUC over epochs by batch size and learning rate, one map a depth, the best cell framed.

    Args:
        means: columns ``freeze``, ``batch_size``, ``learning_rate``, ``validation_auc``, without rotations.
    """
    cell = ["freeze", "batch_size", "learning_rate"]
    best = means.groupby(cell, as_index=False)["validation_auc"].max()
    depths = sorted(best["freeze"].unique())
    low, high = best["validation_auc"].min(), best["validation_auc"].max()
    columns = [max(1, best[best["freeze"] == depth]["batch_size"].nunique()) for depth in depths]
    told = []
    with style():
        figure, row = plt.subplots(
            1,
            len(depths),
            figsize=(7, 3),
            layout="constrained",
            squeeze=False,
            width_ratios=[count**0.5 for count in columns],
        )
        for axes, depth in zip(row[0], depths, strict=True):
            mine = best[best["freeze"] == depth]
            grid = mine.pivot(index="learning_rate", columns="batch_size", values="validation_auc")
            scale = {"cmap": SEQUENTIAL, "vmin": low - 0.01, "vmax": high + 0.01, "cbar": False}
            sns.heatmap(grid, ax=axes, annot=True, fmt=".3f", annot_kws={"size": 9}, linewidths=2, **scale)
            axes.grid(visible=False)
            place = np.unravel_index(np.nanargmax(grid.to_numpy()), grid.shape)
            corner = (place[1] + 0.04, place[0] + 0.04)
            axes.add_patch(
                plt.Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=INK, linewidth=3, clip_on=False)
            )
            axes.set(title=f"freeze {depth}", xlabel="batch size", ylabel="")
            axes.tick_params(axis="y", rotation=0)
            top = mine.loc[mine["validation_auc"].idxmax()]
            told.append(
                f"freeze {depth}: {len(mine)} cell{'s' * (len(mine) > 1)}, the highest "
                f"{top['validation_auc']:.3f} at batch size {top['batch_size']:g}, learning rate "
                f"{top['learning_rate']:g}"
            )
        row[0][0].set_ylabel("learning rate")
    return Drawing(figure, f"Validation AUC by batch size and learning rate. {'; '.join(told)}.")


def learning_figure(table: pd.DataFrame) -> Drawing:
    """Validation AUC by epoch for one cell of each freezing depth, with the spread over folds.

    Args:
        table: columns ``freeze``, ``epoch``, ``fold``, ``validation_auc``: one cell a depth.
    """
    told = []
    with style():
        figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
        for number, (depth, part) in enumerate(table.groupby("freeze")):
            by_epoch = part.groupby("epoch")["validation_auc"]
            mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.plot(mean.index, mean, marker=marker, color=colour, label=f"freeze {depth}")
            if len(mean) == 1:
                axes.vlines(mean.index, low, high, color=colour, alpha=0.5, linewidth=3)
            axes.fill_between(mean.index, low, high, color=colour, alpha=0.15)
            told.append(
                f"freeze {depth} goes from {mean.iloc[0]:.2f} to {mean.iloc[-1]:.2f} in {len(mean)} "
                f"epoch{'s' * (len(mean) > 1)}, at best {mean.max():.2f} at epoch {mean.idxmax()}"
            )
        axes.set(xlabel="epoch", ylabel="validation AUC")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right")
    return Drawing(figure, f"Validation AUC against epoch, mean of the folds: {'; '.join(told)}.")


def seed_figure(results: pd.DataFrame, spread: pd.DataFrame) -> Drawing:
    """Every cell's validation AUC with each seed: one row a cell, one point a seed.

    Args:
        results: columns ``freeze``, ``batch_size``, ``learning_rate``, ``seed``, ``validation_auc``.
        spread: one row a cell in the order to be drawn, with ``spread`` (AUC, 0 to 1).
    """
    cell = ["freeze", "batch_size", "learning_rate"]
    rows = spread.sort_values(["freeze", "mean"]).reset_index(drop=True)
    with style():
        figure, axes = plt.subplots(figsize=(6.6, 0.8 + 0.3 * len(rows)), layout="constrained")
        depths = sorted(rows["freeze"].unique())
        for place, row in rows.iterrows():
            mine = results[(results[cell] == row[cell].to_numpy()).all(axis=1)]
            number = depths.index(row["freeze"])
            axes.plot([row["low"], row["high"]], [place, place], color=GREY, linewidth=2, zorder=1)
            axes.scatter(
                mine["validation_auc"],
                np.full(len(mine), place),
                color=[COLOURS[number]],
                marker=MARKERS[number],
                zorder=2,
                label=f"freeze {row['freeze']:g}",
            )
        labels = [f"{r.batch_size:g}, {r.learning_rate:g}" for r in rows.itertuples()]
        axes.set_yticks(range(len(rows)), labels)
        axes.set(xlabel="validation AUC, best epoch, mean of the folds", ylabel="batch size, learning rate")
        handles, names = axes.get_legend_handles_labels()
        kept = dict(zip(names, handles, strict=True))
        axes.legend(kept.values(), kept.keys(), loc="upper left")
    widest = rows.loc[rows["spread"].idxmax()]
    alt = (
        f"A row for each of {len(rows)} cell{'s' * (len(rows) > 1)}, a point a seed. Seeds differ by "
        f"{rows['spread'].min():.3f} to {rows['spread'].max():.3f} within a cell, most at freeze "
        f"{widest['freeze']:g}, batch size {widest['batch_size']:g}, rate {widest['learning_rate']:g}."
    )
    return Drawing(figure, alt)


def batchnorm_figure(table: pd.DataFrame) -> Drawing:
    """Validation AUC with the frozen layers' batch normalisation frozen, and alive: by epoch, or by fold.

    Args:
        table: columns ``batchnorm``, ``batch_size``, ``fold``, ``epoch``, ``validation_auc``.
    """
    sizes = sorted(table["batch_size"].unique())
    last = int(table["epoch"].max())
    with style():
        width = min(7.0, 2.8 + 2.1 * len(sizes))
        figure, row = plt.subplots(
            1, len(sizes), figsize=(width, 3.4), layout="constrained", sharey=True, squeeze=False
        )
        for axes, size in zip(row[0], sizes, strict=True):
            (_by_epoch if last > 1 else _by_fold)(axes, table[table["batch_size"] == size])
            axes.set_title(f"batch size {size}")
        row[0][0].set_ylabel("validation AUC")
        row[0][0].legend(loc="lower right" if last > 1 else "lower left")
    ends = table[table["epoch"] == last].groupby(["batch_size", "batchnorm"])["validation_auc"].mean()
    told = "; ".join(f"batch size {size}, {kind}: {value:.2f}" for (size, kind), value in ends.items())
    return Drawing(figure, f"Validation AUC, mean of the folds, after epoch {last}: {told}.")


def _by_epoch(axes: plt.Axes, table: pd.DataFrame) -> None:
    """Mean and range of the folds after each epoch."""
    for number, kind in enumerate(("frozen", "alive")):
        by_epoch = table[table["batchnorm"] == kind].groupby("epoch")["validation_auc"]
        mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
        axes.plot(mean.index, mean, marker=MARKERS[number], color=COLOURS[number], label=kind)
        axes.fill_between(mean.index, low, high, color=COLOURS[number], alpha=0.15)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _by_fold(axes: plt.Axes, table: pd.DataFrame) -> None:
    """A line from frozen to alive for each fold."""
    for number, (fold, part) in enumerate(table.groupby("fold")):
        values = part.set_index("batchnorm")["validation_auc"].reindex(["frozen", "alive"])
        style_of_fold = {"marker": MARKERS[number % len(MARKERS)], "color": COLOURS[number % len(COLOURS)]}
        axes.plot(range(2), values, label=f"fold {int(str(fold)) + 1}", **style_of_fold)
    axes.set_xticks(range(2), ["frozen", "alive"])
    axes.set(xlim=(-0.3, 1.3), xlabel="batch normalisation of frozen layers")


#: Names for a reader of what a trial's fields are called in the code.
NAMES = {
    "freeze": "frozen layers",
    "batch_size": "mini-batch size",
    "learning_rate": "learning rate",
    "epochs": "epochs",
    "fold": "fold",
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
    "views_per_epoch": "views shown in an epoch",
    "batchnorm": "batch normalisation of frozen layers",
}


def choices_table(used: Mapping[str, object]) -> pd.DataFrame:
    """Every choice that a training consists of, with its source and how sure it is that the paper made it.

    Args:
        used: this run's values by field, where they are not the defaults.

    Returns:
        One row a choice, the searched ones first.
    """
    rows = []
    for one in choices():
        default = one["default"]
        value = used.get(one["field"], "searched" if default is None else default)
        rows.append(
            {
                "Choice": NAMES[one["field"]],
                "Here": f"{value:g}" if isinstance(value, float) else str(value),
                "Source": one["source"],
                "Source was read": one["read"],
                "The paper did so": one["used"],
            }
        )
    return pd.DataFrame(rows)


def selection_table(study: FineTuningOutcome, database: pd.DataFrame) -> pd.DataFrame:
    """Test AUC of one configuration for all folds, and of one chosen for each fold alone, at each depth.

    Args:
        study: the fine-tuning study.
        database: its ``specimen`` column says which images belong together.
    """
    depths = sorted(study.means()["freeze"].unique())
    rows = []
    for depth in [*depths, None]:
        one, each = study.best(depth), study.nested(depth)
        aucs = [scored_auc(study.scores(chosen), database) for chosen in (one, each)]
        found = [f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})" for found in aucs]
        rows.append(
            {
                "Frozen layers": "any" if depth is None else str(depth),
                "One for all folds": found[0],
                "One for each fold": found[1],
                "Different ones": len({(c.freeze, c.batch_size, c.learning_rate, c.epoch) for c in each}),
            }
        )
    return pd.DataFrame(rows)


def rotation_table(study: FineTuningOutcome) -> pd.DataFrame:
    """The best configuration without rotations and with them, both trained for as many epochs.

    Returns:
        One row, or two where rotations were tried: the best epoch on validation, and both AUCs there.
    """
    means, best = study.means(), study.best()
    cell = (means["freeze"] == best.freeze) & (means["batch_size"] == best.batch_size)
    mine = means[cell & (means["learning_rate"] == best.learning_rate)]
    rotated = mine[mine["rotations"] > 1]
    longest = rotated["epoch"].max() if len(rotated) else mine["epoch"].max()
    rows = []
    for views, part in mine[mine["epoch"] <= longest].groupby("rotations"):
        top = part.loc[part["validation_auc"].idxmax()]
        rows.append(
            {
                "Views": int(views),
                "Epoch": int(top["epoch"]),
                "Validation AUC": top["validation_auc"],
                "Test AUC": top["test_auc"],
            }
        )
    return pd.DataFrame(rows)


def cost_table(study: FineTuningOutcome, rate: float, *, variant: str, size: int) -> pd.DataFrame:
    """Seconds of a training at each depth beside what its multiplications alone would take.

    Trainings on rotated views have no floor here: part of their views may be computed as they are drawn.

    Args:
        study: the fine-tuning study.
        rate: floating-point operations a second of one core (``hep2lib.studies.floor.best_rate``).
        variant: of the network.
        size: side of an image, pixels.
    """
    rows = []
    for record in study.records:
        trial = read_trial(record["trial"])
        operations = training_operations(trial, study.folds[trial.fold], variant=variant, size=size)
        rows.append((trial.freeze, trial.rotations, record["seconds"], operations / rate))
    frame = pd.DataFrame(rows, columns=["freeze", "views", "seconds", "floor"])
    grouped = frame.groupby(["freeze", "views"], as_index=False).agg(
        count=("seconds", "size"), each=("seconds", "mean"), floor=("floor", "mean"), total=("seconds", "sum")
    )
    grouped.loc[grouped["views"] > 1, "floor"] = np.nan
    grouped["share"] = grouped["floor"] / grouped["each"]
    columns = {
        "freeze": "Frozen layers",
        "views": "Views",
        "count": "Trainings",
        "total": "In all, s",
        "each": "Each, s",
        "floor": "Floor, s",
        "share": "Floor's share",
    }
    return grouped[list(columns)].rename(columns=columns)


def table_3(
    outcome: FineTuningOutcome, database: pd.DataFrame, printed: Mapping[int, float], printed_rotated: float
) -> pd.DataFrame:
    """The paper's Table 3: the best AUC at each freezing depth, and of the best depth with rotations.

    Args:
        outcome: the fine-tuning study.
        database: the database's table.
        printed: the paper's AUC by freezing depth, where it gives one.
        printed_rotated: the paper's AUC with rotations.

    Returns:
        One row a depth, then the rotated one: what was chosen on validation, AUC and interval, the paper's.
    """
    rows = []
    depths = sorted({record["trial"]["freeze"] for record in outcome.records})
    choices = [outcome.best(depth) for depth in depths]
    if any(record["trial"]["rotations"] > 1 for record in outcome.records):
        choices.append(outcome.best(rotated=True))
    for choice in choices:
        found = scored_auc(outcome.scores(choice), database)
        paper = printed_rotated if choice.rotations > 1 else printed.get(choice.freeze)
        rows.append(
            {
                "Training": _name(choice),
                "Batch size, rate, epoch": f"{choice.batch_size}, {choice.learning_rate:g}, {choice.epoch}",
                "Validation AUC": choice.validation_auc,
                "Test AUC": found.estimate,
                "95 % interval": f"{found.low:.3f} to {found.high:.3f}",
                "Paper's AUC": np.nan if paper is None else paper,
            }
        )
    return pd.DataFrame(rows)


def _name(choice: Configuration) -> str:
    rotations = f", x{choice.rotations} rotations" if choice.rotations > 1 else ""
    return f"freeze {choice.freeze}{rotations}"
