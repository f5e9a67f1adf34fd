"""Convolutions of 3 x 3 in a half to a quarter of the multiplications: Winograd's minimal filtering.

Four neighbouring results of a filter of three values need twelve products when each is computed for itself,
and six when input and filter are first taken over into another basis, multiplied there value by value, and
the products taken back. In two dimensions that is 36 products instead of 144 for a tile of 4 x 4 results,
and 16 instead of 36 for one of 2 x 2. Summed over channels, the products are matrix products, one for each
place of the tile, which a CPU computes faster than anything else; the changes of basis are matrix products
too.

Sources: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast Algorithms for
Convolutional Neural Networks, CVPR 2016, sections 4.1 and 4.2. The gradients are the adjoints of the same
three steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.polynomial.polynomial import polyfromroots
from torch import Tensor

#: Finite points at which the polynomials of a tile are evaluated, by the tile's side; the last is infinity.
#: With 0, 3/4 and 3/2 results in float32 are more than twice as exact as with the usual 0, 1 and 2: powers
#: that stay near 1 cancel less.
_POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}

#: Values of a group of images in the other basis, input and results: 6 MB, which stay within the cache.
_GROUP = 3 * 2**19


@dataclass(frozen=True, slots=True)
class Bases:
    """The three changes of basis for tiles of m x m results, both directions of the plane at once.

    Attributes:
        image: (m + 2)^2 x (m + 2)^2, from the input's values under a tile.
        kernel: (m + 2)^2 x 9, from a filter's values.
        result: m^2 x (m + 2)^2, back from the products.
    """

    image: Tensor
    kernel: Tensor
    result: Tensor


@cache
def bases(side: int, dtype: torch.dtype = torch.float32) -> Bases:
    """The changes of basis for one tile, by Toom and Cook's construction.

    Rows of ``kernel`` evaluate a polynomial of three coefficients at each point, columns of ``result`` are
    the powers of the points, and rows of ``image`` are the coefficients of Lagrange's polynomials, whose
    denominators ``kernel`` carries.

    Args:
        side: side of the tile of results, 2 or 4.
        dtype: of the matrices, which are computed in float64.
    """
    points = _POINTS[side]
    size = len(points) + 1
    image, kernel, result = np.zeros((size, size)), np.zeros((size, 3)), np.zeros((side, size))
    for row, point in enumerate(points):
        others = [other for other in points if other != point]
        image[row, :-1] = polyfromroots(others)
        kernel[row] = point ** np.arange(3) / np.prod([point - other for other in others])
        result[:, row] = point ** np.arange(side)
    image[-1] = polyfromroots(points)  # the point at infinity picks the highest coefficient
    kernel[-1, -1] = result[-1, -1] = 1
    # np.kron of a matrix with itself acts on rows and columns of a tile that is laid out as one vector.
    return Bases(*(torch.tensor(np.kron(matrix, matrix), dtype=dtype) for matrix in (image, kernel, result)))


def tile_side(height: int, width: int) -> int | None:
    """Side of the tiles that cover a plane of results without a remainder: 4, else 2, else None."""
    return next((side for side in (4, 2) if height % side == width % side == 0), None)


def convolve_3x3(x: Tensor, weight: Tensor, bias: Tensor | None, *, rectify: bool) -> Tensor:
    """Convolve with windows of 3 x 3, stride 1 and one row of zeros around, and rectify where asked.

    A few images are computed at a time; an image's values do not depend on the others of its batch.

    Args:
        x: N x C x H x W, channels last; float32 or float64; H and W even.
        weight: C' x C x 3 x 3.
        bias: C', or None.
        rectify: set negative results to zero.

    Returns:
        N x C' x H x W, channels last. With float32 and values as in GoogLeNet the rounding error is below
        1e-5 of the largest result.
    """
    result = x.new_empty(len(x), *x.shape[2:], len(weight))
    filters = _filters(weight, x)
    for rows, room in _groups(x, len(weight)):
        torch.bmm(room.take_images(x[rows]), filters, out=room.products)
        room.give_results(result[rows], bias)
        if rectify:
            result[rows].relu_()
    return result.permute(0, 3, 1, 2)


def gradients_3x3(
    x: Tensor, weight: Tensor, gradient: Tensor, *, of_x: bool = True, of_weight: bool = True
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of ``convolve_3x3``, without bias and rectifier.

    Args:
        x: N x C x H x W, as given to ``convolve_3x3``.
        weight: C' x C x 3 x 3.
        gradient: of the results, N x C' x H x W, channels last.
        of_x: whether the input's gradient is wanted.
        of_weight: whether the weights' gradient is wanted.

    Returns:
        Gradients of the input (channels last) and of the weights; None for one that is not wanted.
    """
    channels, in_channels = weight.shape[:2]
    filters = _filters(weight, x)
    in_basis = torch.zeros_like(filters)
    result = x.new_empty(len(x), *x.shape[2:], in_channels) if of_x else None
    for rows, room in _groups(x, channels):
        room.take_gradient(gradient[rows])
        if of_weight:
            in_basis.baddbmm_(room.take_images(x[rows]).transpose(1, 2), room.products)
        if result is not None:
            torch.bmm(room.products, filters.transpose(1, 2), out=room.images)
            room.give_gradient(result[rows])
    of_weights = None
    if of_weight:
        change = bases(_side(x), x.dtype).kernel
        of_weights = (change.t() @ in_basis.flatten(1)).view(3, 3, in_channels, channels).permute(3, 2, 0, 1)
    return None if result is None else result.permute(0, 3, 1, 2), of_weights


def _side(x: Tensor) -> int:
    side = tile_side(*x.shape[2:])
    if side is None:
        raise ValueError(f"no tiles cover images of {x.shape[2]} x {x.shape[3]} pixels: both must be even")
    return side


def _filters(weight: Tensor, x: Tensor) -> Tensor:
    """The filters in the other basis: places of the tile x C x C'."""
    channels, in_channels = weight.shape[:2]
    change = bases(_side(x), x.dtype).kernel
    return (change @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(-1, in_channels, channels)


def _groups(x: Tensor, channels: int) -> Iterator[tuple[slice, "_Room"]]:
    """Which images are computed together, and the memory for it, which all groups of a size share."""
    side = _side(x)
    values = x.shape[2] * x.shape[3] // side**2 * (side + 2) ** 2 * (x.shape[1] + channels)
    size = max(1, _GROUP // values)
    room = None
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        if room is None or room.count != rows.stop - rows.start:
            room = _Room(x, channels, rows.stop - rows.start)
        yield rows, room


class _Room:
    """Memory for a few images in the other basis, and the ways there and back.

    Attributes:
        count: how many images.
        images: the input under every tile in the other basis: places of the tile x tiles x C.
        products: filters times images, summed over C: places of the tile x tiles x C'.
    """

    def __init__(self, x: Tensor, channels: int, count: int) -> None:
        """Allocate for ``count`` images like those of ``x`` and results of C' ``channels``."""
        _, in_channels, height, width = x.shape
        self.count, self._side = count, _side(x)
        self._bases = bases(self._side, x.dtype)
        self._down, self._across = height // self._side, width // self._side
        window, tiles = self._side + 2, count * self._down * self._across
        self.images = x.new_empty(window**2, tiles, in_channels)
        self.products = x.new_empty(window**2, tiles, channels)
        self._bordered = x.new_zeros(count, height + 2, width + 2, in_channels)
        self._windows = x.new_empty(window, window, count, self._down, self._across, in_channels)
        self._results = x.new_empty(self._side, self._side, count, self._down, self._across, channels)
        self._overlap: Tensor | None = None

    def take_images(self, x: Tensor) -> Tensor:
        """Bring the images (n x C x H x W) into the other basis; returns ``images``."""
        self._bordered[:, 1:-1, 1:-1].copy_(x.permute(0, 2, 3, 1))
        image, row, column, _ = self._bordered.stride()
        # Windows of neighbouring tiles overlap by two pixels: a view of the same memory, until it is copied.
        steps = (row, column, image, row * self._side, column * self._side, 1)
        self._windows.copy_(self._bordered.as_strided(self._windows.shape, steps))
        torch.mm(self._bases.image, _places(self._windows), out=self.images.flatten(1))
        return self.images

    def give_results(self, target: Tensor, bias: Tensor | None) -> None:
        """Bring ``products`` back, add the bias, and write the results to ``target`` (n x H x W x C')."""
        torch.mm(self._bases.result, self.products.flatten(1), out=_places(self._results))
        self._tiles_of(target).copy_(self._results)
        if bias is not None:
            target.add_(bias)

    def take_gradient(self, gradient: Tensor) -> None:
        """Set ``products`` to their gradient, from that of the results (n x C' x H x W)."""
        self._results.copy_(self._tiles_of(gradient.permute(0, 2, 3, 1)))
        torch.mm(self._bases.result.t(), _places(self._results), out=self.products.flatten(1))

    def give_gradient(self, target: Tensor) -> None:
        """Bring the gradient of ``images`` back to that of the images (n x H x W x C), into ``target``."""
        torch.mm(self._bases.image.t(), self.images.flatten(1), out=_places(self._windows))
        side, down, across = self._side, self._down, self._across
        if self._overlap is None:
            shape = (self.count, down + 1, side, across + 1, side, target.shape[-1])
            self._overlap = target.new_zeros(shape)
        # Each window's first rows and columns lie in its own tile, its last two in the next one: what meets
        # there is added.
        total, windows = self._overlap, self._windows.permute(2, 3, 0, 4, 1, 5)
        total[:, down], total[:, :, :, across] = 0, 0
        total[:, :down, :, :across] = windows[:, :, :side, :, :side]
        total[:, 1:, :2, :across] += windows[:, :, side:, :, :side]
        total[:, :down, :, 1:, :2] += windows[:, :, :side, :, side:]
        total[:, 1:, :2, 1:, :2] += windows[:, :, side:, :, side:]
        _, height, width, _ = target.shape
        target.copy_(total.flatten(3, 4).flatten(1, 2)[:, 1 : height + 1, 1 : width + 1])

    def _tiles_of(self, plane: Tensor) -> Tensor:
        """View n x H x W x C' as rows and columns of a tile x n x tiles down x tiles across x C'."""
        tiles = plane.unflatten(2, (self._across, self._side)).unflatten(1, (self._down, self._side))
        return tiles.permute(2, 4, 0, 1, 3, 5)


def _places(tiles: Tensor) -> Tensor:
    """View tiles of rows x columns x ... as a matrix of one row per place."""
    return tiles.view(tiles.shape[0] * tiles.shape[1], -1)
