"""The figures of the page about the network: operations on a field, filters, layers, blocks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from hep2lib.cnn.googlenet import FREEZE_DEPTHS, cut_point
from hep2lib.cnn.layers import LEARNABLE, Kind, Layer, layer_table
from hep2lib.figures.style import (
    COLOURS,
    FRAME,
    GREY,
    INK,
    NEGATIVE,
    PAPER,
    POSITIVE,
    SEQUENTIAL,
    WIDTH,
    Drawing,
    channels_last,
    data_uri,
    panels,
    picture,
    shrunk,
    style,
    thumbnails,
    typeset,
)
from hep2lib.pretraining.procedural import formulas, procedural_image

Values = npt.NDArray[np.floating]

_ON_GREEN = (COLOURS[1], COLOURS[9], COLOURS[6])  # stand out from green cells, from the dark and from paper


@style()
def operation(pictures: Mapping[str, npt.NDArray]) -> Figure:
    """What goes into an operation and what comes out, by title, side by side.

    A field is uint8, 3 x height x width; one channel is float, height x width, and shown from its lowest
    (dark) to its highest value, with a scale.
    """
    figure, row = panels(1, len(pictures), WIDTH, 0.7 + 4.5 / len(pictures))
    for axes, (title, values) in zip(row[0], pictures.items(), strict=True):
        axes.set_axis_off()
        axes.set_title(title, fontsize=10)
        picture(axes, values, cmap=SEQUENTIAL)
        if values.ndim == 2:
            scale = figure.colorbar(axes.images[0], ax=axes, location="bottom", shrink=0.8)
            scale.ax.tick_params(labelsize=9)
            scale.ax.locator_params(nbins=3)
    return figure


@style()
def first_filters(kinds: Mapping[str, Values]) -> Figure:
    """The first layer's filters of networks by title, 64 x 3 x 7 x 7, stretched to their ranges around grey.

    Sixteen a row, for any number of them and any size; a title may be "".
    """
    figure, column = panels(len(kinds), 1, 5, 1.55 * len(kinds))
    for axes, (title, weight) in zip(column[:, 0], kinds.items(), strict=True):
        reach = np.maximum(np.abs(weight).max((1, 2, 3), keepdims=True), 1e-12)
        framed = np.pad(0.5 + 0.5 * weight / reach, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=1)
        framed = np.pad(framed, ((0, -len(framed) % 16), (0, 0), (0, 0), (0, 0)), constant_values=1)
        high, wide = framed.shape[2:]
        tiles = framed.reshape(-1, 16, 3, high, wide).transpose(0, 3, 1, 4, 2)  # row, y, column, x, colour
        picture(axes, tiles.reshape(-1, 16 * wide, 3))
        axes.set_axis_off()
        axes.set_title(title)
    return figure


@style()
def procedural_gallery(size: int = 72) -> Figure:
    """Nine procedural images of each family, of so many pixels, each as bright as it gets."""
    families = {"fractals": {"fractal"}, "leaves": {"leaves"}}
    families["noise"] = {one.family for one in formulas()} - {"fractal", "leaves"}
    drawn = [procedural_image(number, 0, size) for number in range(len(formulas()))]
    mosaics = {}
    for title, names in families.items():
        nine = [image / image.max() for image, label in drawn if formulas()[label].family in names][:9]
        framed = np.pad(nine, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1)
        rows = [np.concatenate([*framed[k : k + 3]], axis=2) for k in (0, 3, 6)]
        mosaics[title] = np.concatenate(rows, axis=1)
    return operation(mosaics)


def kinds_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparison of weights (``hep2lib.runs.paper.stated_weights``), for readers: one row a study."""

    def told(values: Iterable[float | np.floating], form: str) -> str:
        middle, low, high = (typeset(value, form) for value in values)
        return f"{middle} ({low} to {high})"

    table = {"Study": rows["row"]}
    for kind in ("random", "procedural"):
        table[kind.capitalize()] = rows[kind].map(lambda x: told((np.mean(x), min(x), max(x)), ".3f"))
    found = rows[[f"procedural {part}" for part in ("difference", "low", "high")]]
    return pd.DataFrame(table | {"Difference": found.apply(told, axis=1, form="+.3f")})


@style()
def seen_by_layers(
    fields: Mapping[str, npt.NDArray[np.uint8]], activations: Mapping[str, Mapping[str, Values]]
) -> Figure:
    """One column a field: the field, then the channel of each layer that tells the two columns apart best.

    Both of the ``fields`` are uint8, 3 x height x width, by title; ``activations`` are by layer, then by
    title, channels x height x width.
    """
    figure, grid = panels(1 + len(activations), len(fields), 4, 1.85 * (1 + len(activations)))
    for axes, (title, field) in zip(grid[0], fields.items(), strict=True):
        picture(axes, field)
        axes.set_title(title)
    grid[0, 0].set_ylabel("field")
    for line, (layer, values) in zip(grid[1:], activations.items(), strict=True):
        channel, low, high = _telling(*values.values())
        line[0].set_ylabel(layer.replace("-", "\n", 1))
        for axes, one in zip(line, values.values(), strict=True):
            picture(axes, one[channel], cmap=SEQUENTIAL, vmin=low, vmax=high)
    return figure


@style()
def by_block(blocks: pd.DataFrame) -> Figure:
    """Parameters and operations of each row of a `block_table` as bars, the first block on top."""
    places = np.arange(len(blocks))[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.4), sharey=True, layout="constrained")
    left.barh(places, blocks["Parameters"] / 1e3, color=COLOURS[0])
    left.set(xlabel="parameters (thousands)")
    right.barh(places, blocks["Multiply-adds"] / 1e6, color=COLOURS[1])
    right.set(xlabel="multiply-adds (millions)")
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=4)
    left.set_yticks(places, blocks["Block"])
    return figure


def _telling(first: Values, second: Values) -> tuple[int, float, float]:
    """The channel that tells two fields apart best, its lowest and its highest value.

    Borders see the zeros beside the image; they choose neither channel nor scale.
    """
    first, second = _inside(first), _inside(second)
    channel = int(np.argmax(np.abs(first.mean((1, 2)) - second.mean((1, 2)))))
    both = np.stack([first[channel], second[channel]])
    return channel, float(both.min()), float(both.max())


TILE = 32  # pixels of a map's side, at most


def layer_answers(
    layers: tuple[Layer, ...], size: int, fields: npt.NDArray[np.uint8], values: Mapping[str, Values]
) -> dict[str, Any]:
    """What the page of the network lets a reader look up of each layer (``_static/freezing.js``).

    Args:
        layers: as for `block_table`.
        size: likewise.
        fields: a positive and a negative one, 2 x 3 x height x width.
        values: their activations by layer, 2 x channels (x height x width).

    Returns:
        ``layers``: by layer what it is, and how many layers are before the cut if it is the last frozen one;
        the ``side`` of its two maps in ``sprite``, a picture of two tiles for each such layer, their
        ``channel`` (none where all channels, of one place, are the map), ``low`` and ``high``; or its
        ``numbers``, where it has one or two for each field.
    """
    rows: list[dict[str, Any]] = []
    tiles = []
    for layer, row in zip(layers, layer_table(layers, size).to_dict("records"), strict=True):
        two = np.atleast_3d(values[layer.name].squeeze())
        channels, side = two.shape[1], two.shape[-1]
        told = {name: row[name] for name in ("name", "type", "output", "parameters", "receptive_field")}
        told |= {"inputs": layer.inputs, "cut": cut_point(layers, layer.index)}
        told["window"] = _window(layer) if layer.kernel > 1 else ""
        if two[0].size <= 2:
            told["numbers"] = two.reshape(2, -1).tolist()
        else:
            if side > 1:
                told["channel"], low, high = _telling(*two)
                maps = two[:, told["channel"]]
            else:  # one number a channel: the channels as a square
                side, low, high = math.isqrt(channels - 1) + 1, float(two.min()), float(two.max())
                maps = np.pad(two[..., 0], ((0, 0), (0, side**2 - channels))).reshape(2, side, side)
            told |= {"low": low, "high": high, "side": min(TILE, side)}
            scaled = ((maps - low) / (high - low or 1)).clip(0, 1)
            small = [shrunk(one, told["side"]) for one in scaled]
            tiles.append(np.hstack([np.pad(one, (0, TILE - told["side"])) for one in small]))
        rows.append(told)
    seen = [data_uri(one, "jpeg") for one in thumbnails(fields, 112)]
    pictures = {"tile": TILE, "sprite": data_uri(np.vstack(tiles), "png")}
    pictures |= dict(zip(("positive", "negative"), seen, strict=True))
    return {"layers": rows, "depths": list(FREEZE_DEPTHS), **pictures}


def _inside(values: Values) -> Values:
    """Maps without an eighth of their width and height on each side."""
    margin = values.shape[-1] // 8
    return values[:, margin : values.shape[1] - margin, margin : values.shape[2] - margin]


def block_table(layers: tuple[Layer, ...], size: int = 224) -> pd.DataFrame:
    """The table of layers, condensed: one row an inception block, one row what lies before and between.

    ``layers`` are the whole network (`hep2lib.cnn.googlenet.architecture`), ``size`` is the side of the input
    image in pixels; ``Receptive field`` is that of a row's last layer, in pixels, ``Multiply-adds`` are for
    one image.
    """
    table = layer_table(layers, size)
    name = table["name"].str.partition("-")[0].where(table["name"].str.startswith("inception"))
    name = name.where(name.notna(), table["name"].str.extract(r"^(pool[34])", expand=False))
    name[table["index"] <= 11] = "stem (to pool2)"
    name = name.fillna("input to output").mask(table["index"] >= 140, "pool5 and classifier")
    of = {"receptive_field": "last", "parameters": "sum", "multiply_adds": "sum"}
    blocks = table.groupby(name, sort=False).agg(of)
    blocks.columns = pd.Index(["Receptive field", "Parameters", "Multiply-adds"])
    return blocks.rename_axis("Block").reset_index()


_NAMES = {Kind.LRN: "local response norm.", Kind.AVERAGE_POOLING: "mean of each map"}


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure whose coordinates are inches from its upper left corner."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def _box(axes: Axes, middle: tuple[float, float], size: tuple[float, float], text: str, kind: Kind) -> None:
    corner = (middle[0] - size[0] / 2, middle[1] - size[1] / 2)
    looks = (kind in LEARNABLE, kind.endswith("pooling"), kind == Kind.CONCATENATION)
    colour = COLOURS[looks.index(True)] if any(looks) else GREY
    axes.add_patch(Rectangle(corner, *size, facecolor=(colour, 0.25), edgecolor=INK, linewidth=0.8))
    axes.text(*middle, text, ha="center", va="center")


def _arrow(axes: Axes, *ends: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "linewidth": 0.8}
    axes.annotate("", ends[1], ends[0], arrowprops=look)


def _window(layer: Layer) -> str:
    stride = f", stride {layer.stride}" if layer.stride > 1 else ""
    return f"{layer.kernel} × {layer.kernel}{stride}"


@style()
def network_diagram(layers: Sequence[Layer], depths: Sequence[int], size: int = 224) -> Drawing:
    """The network as a column of boxes, an inception block in one, with lines where the frozen part ends.

    ``depths`` are freezing depths, numbers of leading layers; other arguments as for `block_table`.
    """
    output = layer_table(layers, size)["output"].str.replace("x", " × ").tolist()
    steps: list[tuple[str, Kind, int]] = []  # what is computed, and the last layer's number
    for layer in layers:
        if layer.name.startswith("inception"):
            words, kind = layer.name.partition("-")[0].replace("_", " "), Kind.CONCATENATION
        elif layer.kind in (Kind.RELU, Kind.IDENTITY, Kind.OUTPUT):
            words, kind = steps[-1][:2]  # in the box of the layer before
        else:
            words, kind = _NAMES.get(layer.kind, layer.kind), layer.kind
            words += f" {_window(layer)}" if kind in (Kind.CONVOLUTION, Kind.MAX_POOLING) else ""
        if steps and words == steps[-1][0]:
            steps.pop()
        steps.append((words, kind, layer.index))
    gaps = [0.42 if last in depths else 0.1 for _, _, last in steps]
    figure, axes = _canvas(4.4, 0.5 + 0.24 * len(steps) + sum(gaps[:-1]))
    heads = ((0.6, "layers", "right"), (1.85, "what is computed", "center"), (3.1, "output", "left"))
    for x, title, side in heads:
        axes.text(x, 0.15, title, ha=side, va="center", weight="bold")
    y, first, told = 0.45, 1, []
    for (words, kind, last), gap in zip(steps, gaps, strict=True):
        numbers = f"{first}" if first == last else f"{first}–{last}"
        _box(axes, (1.85, y), (2.3, 0.24), words, kind)
        axes.text(0.6, y, numbers, ha="right", va="center")
        axes.text(3.1, y, output[last - 1].removesuffix(" × 1 × 1"), ha="left", va="center")
        told.append(f"{words} ({numbers})")
        if last < len(layers):
            _arrow(axes, (1.85, y + 0.12), (1.85, y + 0.12 + gap))
        if last in depths:
            line = y + 0.12 + gap / 2
            axes.axhline(line, color=FRAME, linestyle="--", linewidth=1.5)
            label = axes.text(3.1, line, f"freeze {last}", ha="left", va="center", color=FRAME, weight="bold")
            label.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 2})
            told.append(f"here ends the part that freeze {last} freezes")
        y, first = y + 0.24 + gap, last + 1
    return Drawing(figure, f"A column of boxes, each with its layers: {'; '.join(told)}.")


@style()
def block_diagram(layers: Sequence[Layer], block: str, size: int = 224) -> Drawing:
    """An inception ``block`` ("inception_3a"): its input, four branches, and what they are put together to.

    Other arguments as for `block_table`.
    """
    own = {layer.name.removeprefix(f"{block}-"): layer for layer in layers if layer.name.startswith(block)}
    side = layer_table(layers, size).set_index("name")["size"][f"{block}-output"]
    branches = (("1x1",), ("3x3_reduce", "3x3"), ("5x5_reduce", "5x5"), ("pool", "pool_proj"))
    figure, axes = _canvas(4.4, 3.5)
    _box(axes, (2.2, 0.25), (4.3, 0.32), f"input: {own['1x1'].in_channels} × {side} × {side}", Kind.INPUT)
    told = []
    for number, branch in enumerate(branches):
        x, above, words = 0.57 + 1.085 * number, 0.41, []
        for y, name in zip((0.98, 1.82)[-len(branch) :], branch, strict=True):
            layer = own[name]
            pooling = layer.kind == Kind.MAX_POOLING
            _arrow(axes, (x, above), (x, y - 0.27))
            text = f"maximum\n{_window(layer)}" if pooling else f"{_window(layer)}\n{layer.channels} filters"
            _box(axes, (x, y), (1.02, 0.54), text, layer.kind)
            above = y + 0.27
            words.append(text.replace("\n", ", "))
        _arrow(axes, (x, above), (x, 2.55))
        axes.text(x + 0.05, 2.32, f"{own[branch[-1]].channels}", ha="left", va="center")
        told.append(" then ".join(words))
    end = own["output"]
    text = f"concatenated channels: {end.channels} × {side} × {side}"
    _box(axes, (2.2, 2.71), (4.3, 0.32), text, end.kind)
    _arrow(axes, (2.2, 2.87), (2.2, 3.15))
    axes.text(2.2, 3.28, "to the next block", ha="center", va="center")
    return Drawing(figure, f"{block} as boxes: four branches from one input, {'; '.join(told)}; {text}.")


@style()
def receptive_fields(
    field: npt.NDArray[np.uint8], table: pd.DataFrame, near: Sequence[str], far: Sequence[str]
) -> Drawing:
    """What one value of each of several layers sees of a field: squares around its brightest cell.

    ``field`` is uint8, 3 x size x size, ``table`` a `layer_table` of the whole network; layers ``near`` are
    drawn on an enlarged part of the field, those ``far`` on the whole.
    """
    size = field.shape[-1]
    reach = table.set_index("name")["receptive_field"]
    smooth = gaussian_filter(field[1].astype(float), size / 64)
    inner = slice(size // 3, -(size // 3))  # not at the border, where a square would leave the field
    row, column = np.unravel_index(smooth[inner, inner].argmax(), smooth[inner, inner].shape)
    centre = (int(column) + size // 3, int(row) + size // 3)
    half = 0.75 * max(reach[name] for name in near)
    figure, (above, below) = plt.subplots(2, 1, figsize=(3.6, 7.9), layout="constrained")
    for axes, names in ((above, near), (below, far)):
        axes.imshow(channels_last(field))
        axes.set_axis_off()
        for name, colour, line in zip(names, _ON_GREEN, ("solid", "dashed", "dotted"), strict=False):
            side = int(reach[name])
            corner = (centre[0] - side / 2, centre[1] - side / 2)
            label = f"{name}: {side} x {side}{', more than the field' * (side > size)}"
            look = {"edgecolor": colour, "linestyle": line, "label": label}
            axes.add_patch(Rectangle(corner, side, side, fill=False, linewidth=2, **look))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), fontsize=9, handlelength=2.6)
    above.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] + half, centre[1] - half))
    below.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
    seen = ", ".join(f"{n} {reach[n]}{', more than the field' * int(reach[n] > size)}" for n in (*near, *far))
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
    figure, axes = plt.subplots(figsize=(WIDTH, 3), layout="constrained")
    axes.plot(x, expit(x), color=GREY)
    looks = ({"color": POSITIVE, "marker": "o"}, {"color": NEGATIVE, "marker": "^"})
    for (name, value), look in zip(differences.items(), looks, strict=False):
        axes.plot(value, expit(value), linestyle="none", markersize=9, label=f"the {name} field", **look)
    axes.set(xlabel="score of positive minus score of negative", ylabel="P(positive)", ylim=(0, 1))
    axes.legend(loc="upper left")
    words = ", ".join(f"{expit(value):.2f} for the {name} field" for name, value in differences.items())
    alt = f"An S-shaped curve from 0 to 1 through one half at equal scores; P(positive) is {words}."
    return Drawing(figure, alt)
