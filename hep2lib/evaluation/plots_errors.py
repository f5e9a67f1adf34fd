"""Figures of errors: how often in which group, the worst fields, and where the network looked."""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from hep2lib.evaluation.metrics import FloatArray
from hep2lib.evaluation.style import COLOURS, DIVERGING, Drawing, style


def error_shares(tables: Mapping[str, pd.DataFrame]) -> Drawing:
    """Share of wrongly decided images in each group, with its interval; one panel a way of grouping.

    Args:
        tables: what ``mistakes.errors_by`` returns, by what the groups are; of each the
            first twelve groups are shown.
    """
    shown = {name: table.head(12) for name, table in tables.items()}
    heights = [len(table) + 1.2 for table in shown.values()]
    with style():
        figure, column = plt.subplots(
            len(shown),
            1,
            figsize=(6.4, 0.27 * sum(heights) + 0.6),
            layout="constrained",
            sharex=True,
            squeeze=False,
            height_ratios=heights,
        )
        for axes, (name, table) in zip(column[:, 0], shown.items(), strict=True):
            places = np.arange(len(table))
            axes.hlines(places, table["low"], table["high"], color=COLOURS[0], lw=2)
            axes.plot(table["share"], places, "o", color=COLOURS[0])
            names = [textwrap.shorten(group, 30, placeholder=" ...") for group in table["group"]]
            counts = zip(names, table["errors"], table["images"], strict=True)
            labels = [f"{group} ({errors} of {images})" for group, errors, images in counts]
            axes.set_yticks(places, labels)
            axes.set(title=f"by {name}", ylim=(len(table) - 0.4, -0.6), xlim=(-0.02, 1.02))
        column[-1, 0].set_xlabel("share of images decided wrongly, with 95 % interval")
        column[-1, 0].xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    words = []
    for name, table in shown.items():
        worst = table.loc[table["share"].idxmax()]
        words.append(
            f"by {name}, most often in {worst['group']}: {worst['errors']} of {worst['images']} images"
        )
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
    ones for negative, and where the map is near zero the field shows through.

    Args:
        images: uint8, N x 3 x H x W.
        maps: N x H x W, in nats, as ``activation_maps.on_fields`` returns them.
        titles: one an image.
        label: what the scale means.
        columns: fields a row.
    """
    count = len(images)
    reach = float(torch.quantile(maps.abs().flatten(), 0.995)) or 1.0
    scale = Normalize(-reach, reach)
    blocks = -(-count // columns)
    with style():
        figure, grid = plt.subplots(
            2 * blocks,
            columns,
            figsize=(2.2 * columns, 4.8 * blocks + 0.7),
            layout="constrained",
            squeeze=False,
        )
        for axes in grid.flat:
            axes.set_axis_off()
        for number in range(count):
            above, below = grid[2 * (number // columns) : 2 * (number // columns) + 2, number % columns]
            green = images[number, 1].numpy().astype(np.float64) / 255
            above.set_title(textwrap.fill(titles[number], 24), fontsize=9)
            for axes in (above, below):
                axes.imshow(_brightened(green), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            strength = (maps[number].abs() / reach).clamp(0, 1).numpy()
            below.imshow(maps[number].numpy(), cmap=DIVERGING, norm=scale, alpha=0.75 * strength**0.5)
        shown = ScalarMappable(scale, DIVERGING)
        bar = figure.colorbar(shown, ax=grid, location="bottom", shrink=0.7, aspect=30)
        bar.locator = MaxNLocator(5)
        bar.set_label(label)
    towards = (maps > 0).float().mean(dim=(1, 2))
    words = [f"{title}: {100 * part:.0f} % of the field" for title, part in zip(titles, towards, strict=True)]
    return Drawing(
        figure, f"Fields in grey, and under their maps; what speaks for positive: {'; '.join(words)}."
    )


def _brightened(green: FloatArray) -> FloatArray:
    """For the eye only: dim fields are stretched to their 99.8th percentile, with a square root's curve."""
    return np.sqrt(np.clip(green / max(np.quantile(green, 0.998), 1e-3), 0, 1))
