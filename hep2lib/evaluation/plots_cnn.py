"""The figures of the page about the network: operations on a field, filters, layers, blocks."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from hep2lib.cnn.layers import Layer, layer_table
from hep2lib.evaluation.plots import COLOURS, style

Values = npt.NDArray[np.floating]


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
                drawn = axes.imshow(picture, cmap="cividis", interpolation="nearest")
                scale = figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.8)
                scale.ax.tick_params(labelsize=9)
                scale.ax.locator_params(nbins=4)
    return figure


def first_filters(weight: Values, columns: int = 16) -> Figure:
    """Filters of the first layer as small colour pictures, each stretched to its own range around grey.

    Args:
        weight: filters x 3 x height x width; channels red, green, blue.
        columns: filters a row.
    """
    rows = -(-len(weight) // columns)
    with style():
        figure, grid = plt.subplots(rows, columns, figsize=(7, 0.46 * rows), squeeze=False)
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
                axes.imshow(one, cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
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
