"""The figures of the page about the network: operations on a field, filters, layers, blocks."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import gaussian_filter

from hep2lib.cnn.layers import Layer, layer_table
from hep2lib.figures.style import COLOURS, GREY, INK, NEGATIVE, POSITIVE, SEQUENTIAL, Drawing, style

Values = npt.NDArray[np.floating]


#: Colours that stand out from green cells, from the dark and from paper.
_ON_GREEN = (COLOURS[1], COLOURS[9], COLOURS[6])


def operation(pictures: Mapping[str, npt.NDArray]) -> Figure:
    """What goes into an operation and what comes out, side by side.

    Args:
        pictures: title to a field (uint8, 3 x height x width) or to one channel (float, height x width),
            which is shown from its lowest (dark) to its highest value, with a scale.
    """
    with style():
        figure, row = plt.subplots(
            1, len(pictures), figsize=(7, 0.6 + 6.2 / len(pictures)), layout="constrained", squeeze=False
        )
        for axes, (title, picture) in zip(row[0], pictures.items(), strict=True):
            axes.set_axis_off()
            axes.set_title(title, fontsize=10)
            if picture.ndim == 3:
                axes.imshow(picture.transpose(1, 2, 0), interpolation="nearest")
            else:
                drawn = axes.imshow(picture, cmap=SEQUENTIAL, interpolation="nearest")
                scale = figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.8)
                scale.ax.tick_params(labelsize=9)
                scale.ax.locator_params(nbins=4)
    return figure


def first_filters(weight: Values) -> Figure:
    """Filters of the first layer as small pictures, 16 a row, each stretched to its own range around grey.

    Args:
        weight: filters x 3 x height x width; channels red, green, blue.
    """
    rows = -(-len(weight) // 16)
    with style():
        figure, grid = plt.subplots(rows, 16, figsize=(7, 0.46 * rows), squeeze=False)
        figure.subplots_adjust(0, 0, 1, 1, wspace=0.12, hspace=0.12)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, one in zip(grid.flat, weight, strict=False):
            reach = max(float(np.abs(one).max()), 1e-12)
            axes.imshow(0.5 + 0.5 * (one / reach).transpose(1, 2, 0), interpolation="nearest")
    return figure


def seen_by_layers(
    fields: Mapping[str, npt.NDArray[np.uint8]], activations: Mapping[str, Mapping[str, Values]]
) -> Figure:
    """One row a field: the field, then the channel of each layer that tells the two rows apart best.

    Args:
        fields: title to uint8, 3 x height x width; two of them.
        activations: layer to title to channels x height x width.
    """
    with style():
        figure, grid = plt.subplots(
            len(fields), 1 + len(activations), figsize=(7, 1.75 * len(fields)), layout="constrained"
        )
        for axes in grid.flat:
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
        for line, (title, field) in zip(grid, fields.items(), strict=True):
            line[0].imshow(field.transpose(1, 2, 0), interpolation="nearest")
            line[0].set_ylabel(title, fontsize=11)
        for column, (layer, values) in enumerate(activations.items(), start=1):
            # Borders see the zeros beside the image; they choose neither channel nor scale.
            first, second = (_inside(one) for one in values.values())
            channel = int(np.argmax(np.abs(first.mean((1, 2)) - second.mean((1, 2)))))
            shown = [one[channel] for one in values.values()]
            low, high = np.quantile(np.stack([first[channel], second[channel]]), [0.0, 1.0])
            block, _, own = layer.partition("-")
            grid[0, column].set_title(f"{block}\n{own}", fontsize=9)
            for axes, one in zip(grid[:, column], shown, strict=True):
                axes.imshow(one, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
    return figure


def by_block(blocks: pd.DataFrame) -> Figure:
    """Parameters and operations of each block as bars, the first block on top.

    Args:
        blocks: as `block_table` returns it.
    """
    places = np.arange(len(blocks))[::-1]
    columns = {
        "Parameters": ("parameters (thousands)", 1e3),
        "Multiply-adds": ("multiply-adds (millions)", 1e6),
    }
    with style():
        figure, row = plt.subplots(1, 2, figsize=(7, 4.2), sharey=True, layout="constrained")
        for axes, (column, (label, unit)), colour in zip(row, columns.items(), COLOURS, strict=False):
            axes.barh(places, blocks[column] / unit, color=colour)
            axes.set(xlabel=label)
            axes.grid(visible=False, axis="y")
        row[0].set_yticks(places, blocks["Block"])
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
    groups = table.groupby(name, sort=False)
    last = groups.last()
    return pd.DataFrame(
        {
            "Block": last.index,
            "Layers": [
                f"{a}" if a == b else f"{a} to {b}"
                for a, b in zip(groups["index"].min(), groups["index"].max(), strict=True)
            ],
            "Output": last["output"].str.replace("x", " x ").to_numpy(),
            "Receptive field": last["receptive_field"].to_numpy(),
            "Parameters": groups["parameters"].sum().to_numpy(),
            "Multiply-adds": groups["multiply_adds"].sum().to_numpy(),
        }
    )


def map_of_layers(table: pd.DataFrame, depths: Sequence[int]) -> Drawing:
    """All layers from left to right: what each computes, how large its map is, and where freezing ends.

    Args:
        table: of the whole network (`hep2lib.cnn.layers.layer_table`).
        depths: freezing depths, numbers of leading layers.
    """
    kinds = list(table["type"].unique())
    block = table["name"].str.extract(r"^inception_(\w+)-output", expand=False)
    ends = table["index"][block.notna()]
    with style():
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(2.4, 1), layout="constrained"
        )
        above.scatter(table["index"], table["type"].map(kinds.index), marker="|", s=60, color=COLOURS[0])
        above.set_yticks(range(len(kinds)), kinds)
        above.set(ylim=(len(kinds) - 0.5, -0.5), xlim=(0, len(table) + 1))
        below.step(table["index"], table["size"], where="mid", color=COLOURS[0])
        below.set(yscale="log", ylabel="side of the map", xlabel="last layer of each inception block")
        below.set_xticks(
            ends, [f"{number}\n{name}" for number, name in zip(ends, block.dropna(), strict=True)]
        )
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
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7, 4.5), layout="constrained")
        for axes, names in ((left, near), (right, far)):
            axes.imshow(field.transpose(1, 2, 0))
            axes.set_axis_off()
            _squares(axes, centre, {name: int(reach[name]) for name in names})
        left.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
        right.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    seen = ", ".join(f"{name} {reach[name]}" for name in (*near, *far))
    return Drawing(
        figure,
        f"Squares around one bright cell, on a part of the field and on the whole of {size} pixels; their "
        f"sides in pixels: {seen}.",
    )


def _squares(axes: Axes, centre: tuple[int, int], sides: Mapping[str, int]) -> None:
    """Draw squares of the given sides around a place, each with its layer's name in the legend below."""
    lines = ("solid", "dashed", "dotted", "dashdot")
    for (name, side), colour, line in zip(sides.items(), _ON_GREEN, lines, strict=False):
        corner = (centre[0] - side / 2, centre[1] - side / 2)
        square = Rectangle(corner, side, side, fill=False, edgecolor=colour, linestyle=line, linewidth=2)
        square.set_label(f"{name}: {side} x {side}")
        axes.add_patch(square)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), fontsize=9, handlelength=2.6)


def softmax_curve(scores: Mapping[str, Values]) -> Drawing:
    """P(positive) against the difference of the two scores, with some images on the curve.

    Args:
        scores: an image's title to its two scores, negative first.
    """
    differences = {name: float(pair[1] - pair[0]) for name, pair in scores.items()}
    reach = max(4.0, 1.2 * max(abs(value) for value in differences.values()))
    x = np.linspace(-reach, reach, 201)
    with style():
        figure, axes = plt.subplots(figsize=(5.4, 3), layout="constrained")
        axes.plot(x, 1 / (1 + np.exp(-x)), color=GREY)
        for (name, value), colour, marker in zip(
            differences.items(), (POSITIVE, NEGATIVE), "o^", strict=False
        ):
            label = f"the {name} field"
            axes.plot(value, 1 / (1 + np.exp(-value)), marker, color=colour, markersize=9, label=label)
        axes.set(xlabel="score of positive minus score of negative", ylabel="P(positive)", ylim=(0, 1))
        axes.legend(loc="upper left")
    words = ", ".join(
        f"{1 / (1 + np.exp(-value)):.2f} for the {name} field" for name, value in differences.items()
    )
    return Drawing(
        figure, f"An S-shaped curve from 0 to 1 through one half at equal scores; P(positive) is {words}."
    )
