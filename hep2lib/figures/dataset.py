"""The figures of the page about the database: fields, brightness, folds, the leak, the simulator's stages."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from hep2lib.data.folds import PARTS, Fold
from hep2lib.data.images import decode
from hep2lib.data.report import SUSPICIOUS_AUC, Shortcut
from hep2lib.evaluation.auc import FloatArray
from hep2lib.evaluation.mistakes import GRADES, MOST_GROUPS
from hep2lib.figures.style import (
    COLOURS,
    INK,
    NEGATIVE,
    PAPER,
    PART_COLOURS,
    POSITIVE,
    WIDTH,
    Drawing,
    channels_last,
    panels,
    picture,
    style,
)
from hep2lib.simulator.patterns import LOOK_FOR, codes
from hep2lib.simulator.writing import dividing_cells

_WIDEST = 1000  # pixels across it: more are neither seen nor quick to draw
_CUT = 220  # pixels: side of a close-up


@style()
def gallery(pictures: Mapping[str, npt.NDArray[np.uint8] | torch.Tensor], columns: int = 4) -> Figure:
    """Fields side by side, each with its title above; uint8, height x width x 3 or 3 x height x width."""
    titles = [textwrap.fill(title, 60 // columns) for title in pictures]
    shown = [_shrunk(channels_last(one), _WIDEST // columns) for one in pictures.values()]
    starts = range(0, len(shown), columns)
    heights = [max(one.shape[0] / one.shape[1] for one in shown[i : i + columns]) for i in starts]
    lines = sum(max(title.count("\n") + 1 for title in titles[i : i + columns]) for i in starts)
    height = WIDTH / columns * sum(heights) + 0.18 * lines
    figure, grid = panels(len(starts), columns, WIDTH, height, height_ratios=heights)
    for axes in grid.flat:
        axes.set_axis_off()
        axes.set_anchor("N")
    for axes, title, one in zip(grid.flat, titles, shown, strict=False):
        picture(axes, one)
        axes.set_title(title, fontsize=10)
    return figure


@style()
def close_ups(database: pd.DataFrame, rows: Mapping[str, int]) -> Drawing:
    """A part of each field in the file's own pixels, times a factor, with an arrow at each dividing cell.

    The part is the one with the strongest contrast, around a dividing cell where one is known. All its values
    are multiplied so that the brightest 0.5 % of its green ones are at full scale; the factor is shown.
    ``rows`` are by pattern (or class) those of the database (`hep2lib.data.database.read_database`).
    """
    images = database["image"].iloc[list(rows.values())]
    folder, depth = Path(database.attrs.get("folder", "")).parent, database.attrs.get("bit_depth", 16)
    known = dividing_cells(folder, set(images)) if database.attrs.get("simulated") else {}
    named = set(rows) - {"positive", "negative"}  # patterns, where the database knows any
    height = 3.35 * -(-len(rows) // 2)
    figure, grid = panels(-(-len(rows) // 2), 2, WIDTH, height)
    grid.flat[-1].set_axis_off()
    told = []
    for axes, (name, row) in zip(grid.flat, rows.items(), strict=False):
        axes.set_axis_on()
        field = decode(Path(database["path"].iloc[row]), depth)
        places = known.get(database["image"].iloc[row], np.empty((0, 2))) * field.shape[1::-1]
        left, top = _corner(field[..., 1], places)
        part = field[top : top + _CUT, left : left + _CUT]
        factor = max(255 / max(float(np.quantile(part[..., 1], 0.995)), 1), 1)
        picture(axes, np.clip(part * factor, 0, 255).astype(np.uint8))
        size, places = np.array(part.shape[1::-1]), places - (left, top)
        shown = places[((places > 0) & (places < size)).all(axis=1)]
        for place in shown:  # an arrow from the middle to the cell's edge
            way = (size / 2 - place) / max(float(np.hypot(*(size / 2 - place))), 1)
            look = {"arrowstyle": "-|>", "color": PAPER, "linewidth": 2, "mutation_scale": 14}
            axes.annotate("", place + 24 * way, place + 56 * way, arrowprops=look)
        axes.text(0.98, 0.02, f"× {factor:.1f}", color=PAPER, ha="right", transform=axes.transAxes)
        title, code = with_code(name), " + ".join(codes(name))
        words = LOOK_FOR.get(code, "no pattern" if name == "negative" and named else "")
        axes.set_title(textwrap.fill(title, 27), weight="bold", fontsize=10)
        axes.set_xlabel(textwrap.fill(words, 32), fontsize=10)
        arrows = f", {len(shown)} at dividing cells" if len(shown) else ""
        told.append(f"{title} (times {factor:.1f}{arrows}){': ' if words else ''}{words}")
    return Drawing(figure, f"{len(rows)} parts of fields, each times a factor. {'; '.join(told)}.")


def _corner(green: npt.NDArray[np.uint8], places: npt.NDArray[np.floating]) -> tuple[int, int]:
    """Left and top of the square of `_CUT` pixels with the strongest contrast around one of some places."""
    size = np.array(green.shape[::-1])
    inside = places[((places > 30) & (places < size - 30)).all(axis=1)]
    grid = np.stack(np.meshgrid(*(np.arange(0, n, _CUT // 4) for n in size)), -1).reshape(-1, 2)
    near = [grid[(np.abs(grid - place) < _CUT / 2 - 30).all(axis=1)] for place in inside]
    corners = np.clip(np.vstack(near or [grid]) - _CUT // 2, 0, np.maximum(size - _CUT, 0)).tolist()
    left, top = max(corners, key=lambda c: float(green[c[1] : c[1] + _CUT, c[0] : c[0] + _CUT].std()))
    return left, top


def _shrunk(field: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """A field at most ``width`` pixels wide."""
    if field.shape[1] <= width:
        return field
    size = (width, round(field.shape[0] * width / field.shape[1]))
    return np.asarray(Image.fromarray(field).resize(size, Image.Resampling.LANCZOS))


@style()
def intensity_histograms(brightness: FloatArray, labels: npt.ArrayLike) -> Figure:
    """Distribution of the mean green value (``brightness``, 0 to 1) in both classes."""
    y, level = np.asarray(labels), 255 * np.asarray(brightness)
    bins = np.linspace(0, max(float(level.max()), 1.0), 25).tolist()
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")
    for label, name, colour, hatch in ((0, "negative", NEGATIVE, "//"), (1, "positive", POSITIVE, "")):
        values = level[y == label]
        weights = np.full(values.size, 1 / values.size)
        look = {"color": colour, "alpha": 0.55, "hatch": hatch, "edgecolor": PAPER}
        axes.hist(values, bins, weights=weights, label=f"{name} ({values.size} images)", **look)
        axes.axvline(float(np.median(values)), color=colour, linestyle="--")
    axes.set(xlabel="mean of the green channel (grey levels, 0 to 255)", ylabel="share of the class")
    figure.legend(loc="outside lower left", ncols=2)
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
    figure, axes = plt.subplots(figsize=(WIDTH, 0.36 * len(folds) + 1.5), layout="constrained")
    colours = ListedColormap(list(PART_COLOURS.values()))
    axes.imshow(part, aspect="auto", interpolation="nearest", cmap=colours)
    axes.set_yticks(range(len(folds)), [str(number + 1) for number in range(len(folds))])
    axes.set_yticks(np.arange(1, len(folds)) - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(visible=True, which="minor", axis="y", color=PAPER, linewidth=2, alpha=1)
    axes.axvline(positives - 0.5, color=INK, linewidth=2)
    axes.set(xlabel=f"specimens: {positives} positive | {len(first) - positives} negative", ylabel="fold")
    patches = [Patch(color=colour, label=name) for name, colour in PART_COLOURS.items()]
    figure.legend(handles=patches, loc="outside lower left", ncols=3)
    return figure


@style()
def flow_diagram(folds: Sequence[Fold], database: pd.DataFrame) -> Drawing:
    """From what was read to what each fold trains on and tests: specimens and images, by class.

    A specimen counts as positive if one of its images is; images count by their own label.
    """
    owner = database.groupby("specimen")["label"].transform("max")

    def count(label: int, rows: npt.NDArray | slice, words: str = "{:,} / {:,}") -> str:
        part, of = database.iloc[rows], owner.iloc[rows]
        return words.format(part.loc[of == label, "specimen"].nunique(), int((part["label"] == label).sum()))

    height = 2.75 + 0.5 * len(folds)
    middle: Any = {"ha": "center", "va": "center"}
    figure, axes = plt.subplots(figsize=(4.5, height), layout="constrained")
    axes.set(xlim=(0, 4.5), ylim=(height, 0), aspect="equal")  # in inches, from the top
    axes.set_axis_off()

    def box(x: float, y: float, size: tuple[float, float], text: str, colour: str = PAPER) -> None:
        axes.add_patch(Rectangle((x, y), *size, facecolor=colour, edgecolor=INK, linewidth=0.8))
        ink = PAPER if colour == PART_COLOURS["test"] else INK
        axes.text(x + size[0] / 2, y + size[1] / 2, text, color=ink, **middle)

    everything = f"{database['specimen'].nunique():,} specimens, {len(database):,} images"
    box(0.65, 0.05, (3.2, 0.4), everything)
    words = {1: "positive (+)", 0: "negative (−)"}
    for label, x in ((1, 0.1), (0, 2.4)):
        box(x, 0.8, (2, 0.75), words[label] + count(label, slice(None), "\n{:,} specimens\n{:,} images"))
        for start, end in (((2.25, 0.45), (x + 1, 0.8)), ((x + 1, 1.55), (x + 1, 1.9))):
            axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": INK})
    axes.text(2.25, 2.02, "divided by specimen (specimens / images)", style="italic", **middle)
    axes.text(0.2, 2.3, "fold", **middle)
    for column, part in enumerate(PARTS):
        axes.text(1.1 + 1.35 * column, 2.3, part, weight="bold", **middle)
    for number, fold in enumerate(folds):
        y = 2.5 + 0.5 * number
        axes.text(0.2, y + 0.22, str(number + 1), **middle)
        for column, part in enumerate(PARTS):
            rows = getattr(fold, part)
            text = f"+ {count(1, rows)}\n− {count(0, rows)}"
            box(0.45 + 1.35 * column, y, (1.3, 0.45), text, PART_COLOURS[part])
    tested = "; ".join(f"{count(1, fold.test)} and {count(0, fold.test)}" for fold in folds)
    both = " and ".join(f"{words[n][:8]} {count(n, slice(None))}" for n in (1, 0))
    told = f"Specimens / images, {both}; tested in each fold, positive and negative: {tested}."
    return Drawing(figure, f"A flow diagram from {everything} to {len(folds)} folds. {told}")


def characteristics(folds: Sequence[Fold], database: pd.DataFrame) -> pd.DataFrame:
    """What is known of the images that each fold tests; every image is tested once.

    Returns:
        ``Characteristic``, ``All`` and one column a fold, as texts. Specimens and images, with the share of
        positive ones; then images by each known value of ``intensity``, ``laboratory``, ``instrument`` and
        ``sex`` (of more than 12: how many there are), the number of positive patterns, and the median
        ``age``. What the database does not know has no row, nor have instruments that each belong to one
        laboratory.
    """
    pairs = database.reindex(columns=["laboratory", "instrument"]).astype(object).fillna("")
    if pairs["laboratory"].ne("").all() and (pairs.nunique() == len(pairs.drop_duplicates())).all():
        database = database.assign(instrument="")  # each laboratory has its own
    parts = {"All": database} | {str(n): database.iloc[fold.test] for n, fold in enumerate(folds, start=1)}
    positive = database.groupby("specimen")["label"].max()

    def share(value: float) -> str:
        return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"

    rows = {
        "Specimens": [part["specimen"].nunique() for part in parts.values()],
        "Positive specimens": [share(positive[part["specimen"].unique()].mean()) for part in parts.values()],
        "Images": [len(part) for part in parts.values()],
        "Positive images": [share(part["label"].mean()) for part in parts.values()],
    }
    for column in ("intensity", "laboratory", "instrument", "sex", "pattern"):
        among = [part[part["label"] == 1] if column == "pattern" else part for part in parts.values()]
        told = [part[column].fillna("").astype(str) for part in among if column in part]
        values = sorted(set(told[0]) - {""}, key=lambda v: ((*GRADES, v).index(v), v)) if told else []
        if len(values) > MOST_GROUPS or (values and column == "pattern"):
            rows[f"{column.capitalize()}, kinds"] = [each[each != ""].nunique() for each in told]
        elif values:
            for value in (*values, *([""] if (told[0] == "").any() else [])):
                named = value.casefold().startswith(column)  # "Laboratory 1"
                rows[value if named else f"{column.capitalize()} {value or 'not known'}"] = [
                    (each == value).sum() for each in told
                ]
    if "age" in database and (age := pd.to_numeric(database["age"], errors="coerce")).notna().any():
        rows["Age, median"] = [f"{age[part.index].median():.0f}" for part in parts.values()]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(parts)).astype(str)
    return table.rename_axis("Characteristic").reset_index()


def with_code(pattern: str) -> str:
    """A pattern's name behind its ICAP codes ("AC-4 fine speckled"), where they are known."""
    known = codes(pattern)
    return f"{' + '.join(known)} {pattern}" if known and known[0] not in pattern.upper() else pattern


@style()
def leak_figure(table: pd.DataFrame) -> Figure:
    """AUC of each division in a `leak.leak_table` by kind of folds, one panel a classifier, means as bars."""
    classifiers = table.groupby("classifier", sort=False)
    figure, row = panels(1, len(classifiers), WIDTH, 3.2, sharey=True)
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


@style()
def shortcut_figure(found: Mapping[str, Sequence[Shortcut]]) -> Figure:
    """AUC of files' attributes alone: a group of bars each, in one colour what was found in a database."""
    names = list(dict.fromkeys(shortcut.attribute for shortcuts in found.values() for shortcut in shortcuts))
    width = 0.8 / len(found)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")
    for number, (title, shortcuts) in enumerate(found.items()):
        area = {shortcut.attribute: shortcut.auc for shortcut in shortcuts}
        place = np.arange(len(names)) + (number - (len(found) - 1) / 2) * width
        heights = [area.get(name, np.nan) for name in names]
        bars = axes.bar(place, heights, 0.92 * width, color=COLOURS[number], label=title)
        axes.bar_label(bars, fmt="%.3f", padding=2)
    axes.axhline(SUSPICIOUS_AUC, color=INK, linestyle="--", label="warning above")
    axes.axhline(0.5, color=INK, linestyle=":", label="tells nothing")
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="AUC of the files alone", ylim=(0, 1.05))
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside lower left", ncols=2)
    return figure
