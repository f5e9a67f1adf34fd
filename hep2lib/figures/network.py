"""The figures of the page about the network: operations on a field, filters, layers, blocks."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from hep2lib.cnn.layers import Layer, layer_table
from hep2lib.figures.dataset import gallery
from hep2lib.figures.style import (
    COLOURS,
    GREY,
    INK,
    NEGATIVE,
    POSITIVE,
    SEQUENTIAL,
    Drawing,
    channels_last,
    panels,
    picture,
    style,
)
from hep2lib.pretraining.procedural import formulas, procedural_image

Values = npt.NDArray[np.floating]

_ON_GREEN = (COLOURS[1], COLOURS[9], COLOURS[6])  # stand out from green cells, from the dark and from paper


@style()
def operation(pictures: Mapping[str, npt.NDArray]) -> Figure:
    """What goes into an operation and what comes out, side by side.

    Args:
        pictures: title to a field (uint8, 3 x height x width) or to one channel (float, height x width),
            which is shown from its lowest (dark) to its highest value, with a scale.
    """
    figure, row = panels(1, len(pictures), 7, 0.6 + 6.2 / len(pictures))
    for axes, (title, values) in zip(row[0], pictures.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(title, fontsize=10)
        picture(axes, values, cmap=SEQUENTIAL)
        if values.ndim == 2:
            scale = figure.colorbar(axes.images[0], ax=axes, location="bottom", shrink=0.8)
            scale.ax.tick_params(labelsize=9)
            scale.ax.locator_params(nbins=4)
    return figure


@style()
def first_filters(weight: Values) -> Figure:
    """The first layer's filters, n x 3 x height x width, 16 a row, stretched to their ranges around grey."""
    rows = -(-len(weight) // 16)
    figure, grid = plt.subplots(rows, 16, figsize=(7, 0.46 * rows), squeeze=False)
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.12, hspace=0.12)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, one in zip(grid.flat, weight, strict=False):
        reach = max(float(np.abs(one).max()), 1e-12)
        axes.imshow(0.5 + 0.5 * (one / reach).transpose(1, 2, 0), interpolation="nearest")
    return figure


@style()
def filters_by_start(kinds: Mapping[str, Values]) -> Figure:
    """The first layer's filters of several networks, as ``first_filters`` shows those of one; by title."""
    figure, column = panels(len(kinds), 1, 7, 2.1 * len(kinds))
    for axes, (title, weight) in zip(column[:, 0], kinds.items(), strict=True):
        reach = np.maximum(np.abs(weight).max((1, 2, 3), keepdims=True), 1e-12)
        framed = np.pad(0.5 + 0.5 * weight / reach, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=1)
        high, wide = framed.shape[2:]
        tiles = framed.reshape(-1, 16, 3, high, wide).transpose(0, 3, 1, 4, 2)  # row, y, column, x, colour
        picture(axes, tiles.reshape(-1, 16 * wide, 3))
        axes.set_axis_off()
        axes.set_title(title, fontsize=10)
    return figure


def procedural_gallery() -> Drawing:
    """Images of some procedural formulas, fractals, dead leaves and every kind of noise, each stretched."""
    most = {"fractal": 4, "leaves": 4}
    drawn: dict[str, npt.NDArray[np.uint8]] = {}
    images = dict(procedural_image(number, 0, 96)[::-1] for number in range(len(formulas())))
    for label, formula in enumerate(formulas()):
        before, wanted = sum(title.startswith(formula.family) for title in drawn), most.get(formula.family, 1)
        if before < wanted and (wanted == 1 or label % 9 == 0):  # from all over a large family
            image = np.rint(images[label] * (255 / images[label].max())).astype(np.uint8)
            drawn[f"{formula.family} {before + 1}" if wanted > 1 else formula.family] = image
    return Drawing(gallery(drawn, columns=6), f"{len(drawn)} small pictures: {', '.join(drawn)}.")


def weights_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Test AUC by kind of weights, and what procedural ones change, a row a study.

    Args:
        compared: as ``hep2lib.runs.paper.stated_weights`` gives it: columns ``row`` and, for each kind, its
            AUCs in a list, ``KIND mean``, and, less random, ``KIND difference``, ``KIND low``, ``KIND high``.

    Returns:
        Columns ``Study``, one a kind (mean, and range of its starts), and the difference with its interval.
    """
    kinds = [name.removesuffix(" mean") for name in compared if name.endswith(" mean")]
    table = pd.DataFrame({"Study": compared["row"]})
    for kind in sorted(kinds, key="random".__ne__):
        mean = compared[f"{kind} mean"]
        table[kind.capitalize()] = [
            f"{m:.3f} ({min(a):.3f} to {max(a):.3f})" for m, a in zip(mean, compared[kind], strict=True)
        ]
    for kind in kinds:
        if kind != "random":
            ends = compared[[f"{kind} {name}" for name in ("difference", "low", "high")]].to_numpy()
            words = [f"{d:+.3f} ({low:+.3f} to {high:+.3f})" for d, low, high in ends]
            table[f"{kind.capitalize()} less random"] = words
    return table


@style()
def seen_by_layers(
    fields: Mapping[str, npt.NDArray[np.uint8]], activations: Mapping[str, Mapping[str, Values]]
) -> Figure:
    """One row a field: the field, then the channel of each layer that tells the two rows apart best.

    Args:
        fields: title to uint8, 3 x height x width; two of them.
        activations: layer to title to channels x height x width.
    """
    figure, grid = panels(len(fields), 1 + len(activations), 7, 1.75 * len(fields))
    for line, (title, field) in zip(grid, fields.items(), strict=True):
        picture(line[0], field)
        line[0].set_ylabel(title, fontsize=11)
    for column, (layer, values) in enumerate(activations.items(), start=1):
        # Borders see the zeros beside the image; they choose neither channel nor scale.
        first, second = (_inside(one) for one in values.values())
        channel = int(np.argmax(np.abs(first.mean((1, 2)) - second.mean((1, 2)))))
        both = np.stack([first[channel], second[channel]])
        block, _, own = layer.partition("-")
        grid[0, column].set_title(f"{block}\n{own}", fontsize=9)
        for axes, one in zip(grid[:, column], values.values(), strict=True):
            picture(axes, one[channel], cmap=SEQUENTIAL, vmin=both.min(), vmax=both.max())
    return figure


@style()
def by_block(blocks: pd.DataFrame) -> Figure:
    """Parameters and operations of each row of a `block_table` as bars, the first block on top."""
    places = np.arange(len(blocks))[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.2), sharey=True, layout="constrained")
    left.barh(places, blocks["Parameters"] / 1e3, color=COLOURS[0])
    left.set(xlabel="parameters (thousands)")
    right.barh(places, blocks["Multiply-adds"] / 1e6, color=COLOURS[1])
    right.set(xlabel="multiply-adds (millions)")
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
    left.set_yticks(places, blocks["Block"])
    return figure


def _inside(values: Values) -> Values:
    """Maps without an eighth of their width and height on each side."""
    margin = values.shape[-1] // 8
    return values[:, margin : values.shape[1] - margin, margin : values.shape[2] - margin]


def block_table(layers: tuple[Layer, ...], size: int = 224) -> pd.DataFrame:
    """The table of layers, condensed: one row an inception block, one row what lies before and between.

    Args:
        layers: the whole network (`hep2lib.cnn.googlenet.architecture`).
        size: side of the input image, in pixels.

    Returns:
        Columns ``Block``, ``Layers`` (first to last, as MATLAB counts), ``Output`` (of the last),
        ``Receptive field`` (pixels), ``Parameters`` and ``Multiply-adds`` (for one image).
    """
    table = layer_table(layers, size)
    name = table["name"].str.partition("-")[0].where(table["name"].str.startswith("inception"))
    name = name.where(name.notna(), table["name"].str.extract(r"^(pool[34])", expand=False))
    name[table["index"] <= 11] = "stem (to pool2)"
    name = name.fillna("input to output").mask(table["index"] >= 140, "pool5 and classifier")
    blocks = table.groupby(name, sort=False).agg(
        first=("index", "first"),
        last=("index", "last"),
        Output=("output", "last"),
        reach=("receptive_field", "last"),
        Parameters=("parameters", "sum"),
        work=("multiply_adds", "sum"),
    )
    ends = zip(blocks.pop("first"), blocks.pop("last"), strict=True)
    blocks.insert(0, "Layers", [f"{a}" if a == b else f"{a} to {b}" for a, b in ends])
    blocks["Output"] = blocks["Output"].str.replace("x", " x ")
    names = {"reach": "Receptive field", "work": "Multiply-adds"}
    return blocks.rename(columns=names).rename_axis("Block").reset_index()


@style()
def map_of_layers(table: pd.DataFrame, depths: Sequence[int]) -> Drawing:
    """All layers from left to right: what each computes, how large its map is, and where freezing ends.

    Args:
        table: of the whole network (`hep2lib.cnn.layers.layer_table`).
        depths: freezing depths, numbers of leading layers.
    """
    kinds = list(table["type"].unique())
    block = table["name"].str.extract(r"^inception_(\w+)-output", expand=False)
    ends = table["index"][block.notna()]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(2.4, 1), layout="constrained"
    )
    above.scatter(table["index"], table["type"].map(kinds.index), marker="|", s=60, color=COLOURS[0])
    above.set_yticks(range(len(kinds)), kinds)
    above.set(ylim=(len(kinds) - 0.5, -0.5), xlim=(0, len(table) + 1))
    below.step(table["index"], table["size"], where="mid", color=COLOURS[0])
    below.set(yscale="log", ylabel="side of the map", xlabel="last layer of each inception block")
    below.set_xticks(ends, [f"{number}\n{name}" for number, name in zip(ends, block.dropna(), strict=True)])
    below.set_yticks(sides := sorted(set(table["size"])), map(str, sides))
    below.minorticks_off()
    for depth in depths:
        for axes in (above, below):
            axes.axvline(depth + 0.5, color=INK, linewidth=1, linestyle="--")
        above.text(depth + 0.5, -0.7, f"freeze {depth}", ha="center", va="bottom")
    last = ", ".join(f"{depth} after {table['name'][depth - 1]}" for depth in depths)
    return Drawing(
        figure,
        f"{len(table)} layers in order, each marked in the row of what it computes; below, the side of its "
        f"map, from {table['size'].iloc[0]} down to {table['size'].iloc[-1]}. Lines end the frozen part: "
        f"{last}.",
    )


@style()
def receptive_fields(
    field: npt.NDArray[np.uint8], table: pd.DataFrame, near: Sequence[str], far: Sequence[str]
) -> Drawing:
    """What one value of each of several layers sees of a field: squares around its brightest cell.

    Args:
        field: uint8, 3 x size x size.
        table: of the whole network (`hep2lib.cnn.layers.layer_table`).
        near: layers that are drawn on an enlarged part of the field.
        far: layers that are drawn on the whole field.
    """
    size = field.shape[-1]
    reach = table.set_index("name")["receptive_field"]
    smooth = gaussian_filter(field[1].astype(float), size / 64)
    inner = slice(size // 3, -(size // 3))  # not at the border, where a square would leave the field
    row, column = np.unravel_index(smooth[inner, inner].argmax(), smooth[inner, inner].shape)
    centre = (int(column) + size // 3, int(row) + size // 3)
    half = 0.75 * max(reach[name] for name in near)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.5), layout="constrained")
    for axes, names in ((left, near), (right, far)):
        axes.imshow(channels_last(field))
        axes.set_axis_off()
        for name, colour, line in zip(names, _ON_GREEN, ("solid", "dashed", "dotted"), strict=False):
            side = int(reach[name])
            corner = (centre[0] - side / 2, centre[1] - side / 2)
            look = {"edgecolor": colour, "linestyle": line, "label": f"{name}: {side} x {side}"}
            axes.add_patch(Rectangle(corner, side, side, fill=False, linewidth=2, **look))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), fontsize=9, handlelength=2.6)
    left.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
    right.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    seen = ", ".join(f"{name} {reach[name]}" for name in (*near, *far))
    return Drawing(
        figure,
        f"Squares around one bright cell, on a part of the field and on the whole of {size} pixels; their "
        f"sides in pixels: {seen}.",
    )


@style()
def softmax_curve(scores: Mapping[str, Values]) -> Drawing:
    """P(positive) against the difference of an image's two scores (negative first), with images by title."""
    differences = {name: float(pair[1] - pair[0]) for name, pair in scores.items()}
    reach = max(4.0, 1.2 * max(abs(value) for value in differences.values()))
    x = np.linspace(-reach, reach, 201)
    figure, axes = plt.subplots(figsize=(5.4, 3), layout="constrained")
    axes.plot(x, expit(x), color=GREY)
    looks = ({"color": POSITIVE, "marker": "o"}, {"color": NEGATIVE, "marker": "^"})
    for (name, value), look in zip(differences.items(), looks, strict=False):
        axes.plot(value, expit(value), linestyle="none", markersize=9, label=f"the {name} field", **look)
    axes.set(xlabel="score of positive minus score of negative", ylabel="P(positive)", ylim=(0, 1))
    axes.legend(loc="upper left")
    words = ", ".join(f"{expit(value):.2f} for the {name} field" for name, value in differences.items())
    alt = f"An S-shaped curve from 0 to 1 through one half at equal scores; P(positive) is {words}."
    return Drawing(figure, alt)
