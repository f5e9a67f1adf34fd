"""Convolutions of 3 x 3 in a quarter of the multiplications: Winograd's minimal filtering.

Four neighbouring results of a filter of three values need twelve products when each is computed for itself,
and six when input and filter are first taken over into another basis, multiplied there value by value, and
the products taken back. In two dimensions that is 36 products instead of 144 for a tile of 4 x 4 results.
Summed over channels, the products are matrix products, one for each place of the tile, which a CPU computes
faster than anything else; the changes of basis are a few additions (``hep2lib.cnn.winograd_loops``). Tiles of
5 x 5 results, with 49 products, are taken where they cover a plane with fewer products in all: GoogLeNet's
14 x 14, of which nine of them waste less than sixteen of the smaller ones.

The bases are those of Toom and Cook: a polynomial is evaluated at a few points, their negatives and infinity,
and found again from what it is there.

Sources: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks, CVPR 2016, sections 4.1 and 4.2. The gradients are the adjoints of the same
three steps.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import winograd_filters, winograd_loops
from .loops import over_images, pixels
from .winograd_bases import POINTS, change_of_filters

#: Values of a group of images in the other basis, input and results, at least: 2 MB, which stay in the cache.
_GROUP = 2**19


@dataclass(frozen=True, slots=True)
class InBasis:
    """What a convolution was computed from, in the other basis; its gradients need it again.

    Attributes:
        images: the input under every tile, places x tiles x C for each group of images; empty if it was not
            kept. There are 36 places for tiles of 4 x 4 results, and 49 for those of 5 x 5.
        filters: places x C' x C.
    """

    images: Sequence[Tensor]
    filters: Tensor


@dataclass(frozen=True, slots=True)
class Gradients:
    """Gradients of a convolution; None for one that is not wanted.

    Attributes:
        x: N x C x H x W, channels last.
        weight: C' x C x 3 x 3.
        bias: C'.
    """

    x: Tensor | None
    weight: Tensor | None
    bias: Tensor | None


def convolve_3x3(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, rectify: bool, keep: bool = False
) -> tuple[Tensor, InBasis]:
    """Convolve with windows of 3 x 3, stride 1 and one row of zeros around, and rectify where asked.

    A few images are computed at a time; an image's values do not depend on the others of its batch.

    Args:
        x: N x C x H x W, float32 or float64; fastest with channels innermost.
        weight: C' x C x 3 x 3.
        bias: C', or None.
        rectify: set negative results to zero.
        keep: keep the input in the other basis (two to three times as many values) for the weights' gradient.

    Returns:
        N x C' x H x W, channels last, and what gradients need. With float32 and values as in GoogLeNet the
        rounding error is below 1e-5 of the largest result.
    """
    height, width = x.shape[2:]
    result = x.new_empty(len(x), height, width, len(weight))
    added = (x.new_zeros(len(weight)) if bias is None else bias.detach()).numpy()
    tile = tile_for(height, width)
    filters, points = _filters(weight, tile), POINTS[tile]
    kept: list[Tensor] = []
    images = products = None
    for rows, tiles in _groups(len(x), height, width, filters):
        count = rows.stop - rows.start
        images = _room(filters, tiles, x.shape[1], None if keep else images)
        products = _room(filters, tiles, len(weight), products)
        plane, under_tiles = (*pixels(x[rows]), height, width), images.numpy()
        over_images(winograd_loops.images_into_basis, count, points, *plane, under_tiles)
        torch.bmm(images, filters.transpose(1, 2), out=products)
        finish = (products.numpy(), added, rectify, height, width, result[rows].numpy())
        over_images(winograd_loops.results_from_basis, count, points, *finish)
        if keep:
            kept.append(images)
    return result.permute(0, 3, 1, 2), InBasis(kept, filters)


def gradients_3x3(
    known: InBasis,
    gradient: Tensor,
    rectified: Tensor | None = None,
    *,
    wanted: tuple[bool, bool, bool] = (True, True, True),
) -> Gradients:
    """Gradients of ``convolve_3x3``.

    Args:
        known: as ``convolve_3x3`` returned it, with the images where the weights' gradient is wanted.
        gradient: of the results, N x C' x H x W.
        rectified: the results, where they were rectified, N x C' x H x W; None where they were not.
        wanted: whether the gradients of the input, the weights and the bias are.
    """
    wants_x, wants_weight, wants_bias = wanted
    filters = known.filters
    tile = _tile_of(filters)
    points = POINTS[tile]
    _, channels, in_channels = filters.shape
    height, width = gradient.shape[2:]
    of_filters = torch.empty_like(filters) if wants_weight else None
    of_x = gradient.new_empty(len(gradient), height, width, in_channels) if wants_x else None
    sums = gradient.new_empty(len(gradient), channels)
    images = products = None
    for number, (rows, tiles) in enumerate(_groups(len(gradient), height, width, filters)):
        count = rows.stop - rows.start
        products = _room(filters, tiles, channels, products)
        upstream = pixels(gradient[rows])
        results = (np.ones(1, sums.numpy().dtype), 0) if rectified is None else pixels(rectified[rows])
        computed = (products.numpy(), sums[rows].numpy())
        plane = (*upstream, *results, height, width)
        over_images(winograd_loops.gradient_into_basis, count, points, *plane, *computed)
        if of_filters is not None:
            transposed = products.transpose(1, 2)
            if number == 0:
                torch.bmm(transposed, known.images[0], out=of_filters)
            else:
                of_filters.baddbmm_(transposed, known.images[number])
        if of_x is not None:
            images = _room(filters, tiles, in_channels, images)
            torch.bmm(products, filters, out=images)
            computed = (images.numpy(), of_x[rows].numpy())
            over_images(winograd_loops.gradient_of_images, count, points, *computed)
    return Gradients(
        None if of_x is None else of_x.permute(0, 3, 1, 2),
        None if of_filters is None else _gradient_of_filters(of_filters),
        sums.sum(0) if wants_bias else None,
    )


def tile_for(height: int, width: int) -> int:
    """Results along a side of the tiles that cover a plane with the fewest products: 4, or 5 where better."""
    return min((4, 5), key=lambda tile: -(-height // tile) * -(-width // tile) * (tile + 2) ** 2)


def _tile_of(filters: Tensor) -> int:
    """Results along a side of the tiles that filters, places x C' x C, were made for."""
    return math.isqrt(len(filters)) - 2


def _filters(weight: Tensor, tile: int) -> Tensor:
    """Bring C' x C x 3 x 3 into the other basis: places x C' x C."""
    channels, in_channels = weight.shape[:2]
    values = weight.detach().permute(0, 2, 3, 1).reshape(channels, 9, in_channels).numpy()
    result = weight.new_empty((tile + 2) ** 2, channels, in_channels)
    change = change_of_filters(tile, values.dtype)
    over_images(winograd_filters.filters_into_basis, channels, values, change, result.flatten(1).numpy())
    return result


def _gradient_of_filters(of_filters: Tensor) -> Tensor:
    """Bring places x C' x C back: the gradient of C' x C x 3 x 3, channels last."""
    _, channels, in_channels = of_filters.shape
    tile = _tile_of(of_filters)
    result = of_filters.new_empty(channels, 9, in_channels)
    values = of_filters.flatten(1).numpy()
    change = change_of_filters(tile, values.dtype)
    over_images(winograd_filters.gradient_of_filters, channels, POINTS[tile], values, change, result.numpy())
    return result.view(channels, 3, 3, in_channels).permute(0, 3, 1, 2)


def _groups(count: int, height: int, width: int, filters: Tensor) -> Iterator[tuple[slice, int]]:
    """Which images are computed together, and how many tiles they have; the same in both directions."""
    places, channels, in_channels = filters.shape
    tile = _tile_of(filters)
    tiles = -(-height // tile) * -(-width // tile)
    room = max(_GROUP, 2 * filters.numel())  # a group should be worth the filters that are read for it
    parts = -(-count // max(1, room // (places * tiles * (in_channels + channels))))
    for part in range(parts):
        rows = slice(count * part // parts, count * (part + 1) // parts)
        yield rows, tiles * (rows.stop - rows.start)


def _room(like: Tensor, tiles: int, channels: int, last: Tensor | None) -> Tensor:
    """Memory for places x tiles x channels values: the last group's, if it has the right size."""
    return last if last is not None and last.shape[1] == tiles else like.new_empty(len(like), tiles, channels)
