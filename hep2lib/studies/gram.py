"""Gram matrices of a network's layers, in double precision, holding a bounded share of the features.

A linear SVM depends on its features through their inner products alone (representer theorem; Hastie,
Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., section 18.3.5): with n images and d
features, n x n numbers say all that n x d do.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hep2lib.cnn.activations import cached_activations
from hep2lib.cnn.googlenet import GoogLeNet, Section
from hep2lib.cnn.layers import Kind, layer_table
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.progress import progress

MEMORY = 5 * 2**29
"""Bytes of activations, in single precision, that are held at a time: 2.5 GiB."""

_CHUNK = 2**22  # numbers in double precision at a time: 32 MB
_TILE = 512  # rows of a symmetric matrix at a time: what lies right of them is not computed
_BATCH = 16  # images that pass through the network at a time
_SAME = (Kind.IDENTITY, Kind.DROPOUT, Kind.OUTPUT)  # of a network that is not in training


class SVMError(InputError):
    """Features, labels or values of C that no SVM can be fitted with."""


def gram_matrix(features: Tensor | NDArray) -> NDArray[np.float64]:
    """Inner products of all pairs of rows, summed in double precision, a chunk of features at a time.

    Args:
        features: n x ..., any floating type, maybe memory-mapped; flattened behind the first dimension.

    Returns:
        float64, n x n, symmetric.

    Raises:
        SVMError: if a feature is not finite.
    """
    rows = torch.as_tensor(features).flatten(1)
    return _finite(_products(rows, rows, (False,))[False], len(rows), "")


def gram_matrices(
    network: GoogLeNet,
    images: Tensor,
    layers: Sequence[str],
    *,
    views: Sequence[float] = (0.0,),
    pooled: bool = False,
    frozen: int | None = None,
    cache: Path | None = None,
    device: str | torch.device = "cpu",
    memory: int = MEMORY,
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Gram matrices of several layers' activations, each as soon as it is complete.

    All pairs of images have to meet in every feature. As many consecutive layers as ``memory`` allows are
    taken in one pass of the images through the network, which ends at the last layer that is wanted. A layer
    that is too large by itself is taken in blocks of images, and a block is computed again for each one it
    has to meet: its values are the same bits every time.

    Some matrices need no features of their own: a rectifier's are those of its convolution with the negative
    ones set to zero, a concatenation's inner products are the sums of its inputs', and a layer that changes
    nothing (dropout after training, an identity) has its input's.

    Args:
        network: in the state whose activations are the features; it is moved to ``device``.
        images: uint8, N x 3 x H x W.
        layers: MATLAB's names.
        views: rotations of the images in degrees; row v N + i of a matrix is image i in view v.
        pooled: take each channel's mean over the image instead of all its values.
        frozen: a freeze depth in front of all ``layers``: its activations are computed once, or found in
            ``cache``, and the rest of the network starts from them. None starts from the images.
        cache: folder for those activations (``hep2lib.cnn.activations.cached_activations``).
        device: where to compute.
        memory: bytes of activations that are held at a time. Besides those there are the activations of 16
            images, 32 MB in double precision and the matrices that are not complete yet.

    Yields:
        Name and matrix (float64, V N x V N, symmetric), in the order in which they become complete.

    Raises:
        InputError: if the network has no layer of a name.
        SVMError: if an activation is not finite.
    """
    network.to(device).eval()
    angles = tuple(map(float, views))
    kept = None
    if frozen is not None:
        kept = cached_activations(network, frozen, images, views=angles, cache=cache, device=device)
        network = copy.deepcopy(network)  # splitting marks parameters
    section = network if frozen is None else network.split(frozen).suffix
    work = _Work(network, section, images, kept, angles, tuple(dict.fromkeys(layers)), pooled)
    waiting = dict(work.recipes)
    grams: dict[_Term, Tensor] = {}
    for sources, block in progress(work.groups(memory), "Gram matrices", unit="group"):
        grams |= work.products(sources, block)
        for layer in [name for name, terms in waiting.items() if all(term in grams for term in terms)]:
            total = torch.stack([grams[term] for term in waiting.pop(layer)]).sum(0)
            yield layer, _finite(total, len(images), f" at {layer}")
        wanted = {term for terms in waiting.values() for term in terms}
        grams = {term: gram for term, gram in grams.items() if term in wanted}


class _Term(NamedTuple):
    """A summand of a Gram matrix: the inner products of a layer's values, rectified first or not."""

    source: str
    rectified: bool


@dataclass(frozen=True)
class _Work:
    """Which features are wanted, and what they are computed from."""

    network: GoogLeNet
    section: Section
    images: Tensor
    kept: Tensor | None
    views: tuple[float, ...]
    layers: tuple[str, ...]
    pooled: bool

    @property
    def rows(self) -> int:
        return len(self.views) * len(self.images)

    @cached_property
    def recipes(self) -> dict[str, tuple[_Term, ...]]:
        """For each wanted layer the terms whose sum is its Gram matrix."""
        steps = {layer.name: layer for layer in self.section.layers}

        def terms(name: str) -> tuple[_Term, ...]:
            layer = steps.get(name)
            if layer is None:
                raise InputError(f"there is no layer {name!r}; `hep2 layers` lists all names")
            if layer.kind in _SAME:
                return terms(layer.inputs[0])
            if layer.kind == Kind.RELU and not self.pooled and layer.inputs[0] in self.layers:
                return (_Term(layer.inputs[0], rectified=True),)
            if layer.kind == Kind.CONCATENATION and all(name in self.layers for name in layer.inputs):
                return tuple(term for name in layer.inputs for term in terms(name))
            return (_Term(name, rectified=False),)

        return {name: terms(name) for name in self.layers}

    def groups(self, memory: int) -> list[tuple[tuple[str, ...], int]]:
        """Layers to be held together, and how many rows of them at a time."""
        needed = {term.source for terms in self.recipes.values() for term in terms}
        table = layer_table(self.network.layers, self.images.shape[-1])
        table = table[table["name"].isin(needed)]
        width = table["channels"] if self.pooled else table["channels"] * table["size"] ** 2
        groups: list[tuple[list[str], int]] = []
        for name, size in zip(table["name"], 4 * width, strict=True):
            if groups and self.rows * (groups[-1][1] + size) <= memory:
                groups[-1] = ([*groups[-1][0], name], groups[-1][1] + size)
            else:
                groups.append(([name], size))
        return [
            (tuple(names), self.rows if self.rows * size <= memory else max(1, memory // (2 * size)))
            for names, size in groups
        ]

    def products(self, sources: tuple[str, ...], block: int) -> dict[_Term, Tensor]:
        """All inner products of the terms that rest on some sources, ``block`` rows at a time."""
        terms = {term for recipe in self.recipes.values() for term in recipe if term.source in sources}
        grams: dict[_Term, Tensor] = {}
        for first in range(0, self.rows, block):
            upper = slice(first, min(first + block, self.rows))
            held = self.features(upper.start, upper.stop, sources)
            for start in range(0, first + 1, block):
                lower = slice(start, min(start + block, self.rows))
                other = held if lower == upper else self.features(lower.start, lower.stop, sources)
                for source in sources:
                    forms = tuple(sorted(term.rectified for term in terms if term.source == source))
                    for rectified, product in _products(held[source], other[source], forms).items():
                        term = _Term(source, rectified)
                        if term not in grams:
                            grams[term] = product.new_empty(self.rows, self.rows)
                        grams[term][upper, lower] = product
                        grams[term][lower, upper] = product.T
                del other
        return grams

    @torch.no_grad()
    def features(self, start: int, stop: int, sources: tuple[str, ...]) -> dict[str, Tensor]:
        """Values of some rows, float32, rows x features; the order of features is the memory's."""
        held: dict[str, Tensor] = {}
        count, done = len(self.images), 0
        for view in range(start // count, (stop - 1) // count + 1):
            end = min(stop - view * count, count)
            for first in range(max(start - view * count, 0), end, _BATCH):
                rows = slice(first, min(first + _BATCH, end))
                if self.kept is not None:
                    x = self.kept[rows, view].to(self.network.device)
                else:
                    turned = rotate(self.images[rows], self.views[view])
                    x = self.network.preprocess(turned.to(self.network.device))
                for name, value in self.section.activations(x, sources).items():
                    if value.ndim == 4 and self.pooled:
                        value = value.mean((2, 3))
                    elif value.ndim == 4:  # channels innermost, as they lie in memory
                        value = value.permute(0, 2, 3, 1).flatten(1)
                    if name not in held:
                        held[name] = value.new_empty(stop - start, value.shape[1])
                    held[name][done : done + len(x)] = value
                done += len(x)
        return held


def _products(left: Tensor, right: Tensor, forms: Sequence[bool]) -> dict[bool, Tensor]:
    """Inner products of two matrices' rows (m x d, n x d), in double precision, as they are and rectified.

    Of a matrix with itself little more than half of them is computed, where there are many rows. NumPy, which
    knows how to compute just half, is left out: its threads and PyTorch's, in turns, wait for each other.
    ``forms``: False, True (negative values set to zero first) or both, in this order.
    """
    total = {form: left.new_zeros(len(left), len(right), dtype=torch.float64) for form in forms}
    step = max(1, _CHUNK // len(left))
    for start in range(0, left.shape[1], step):
        x = left[:, start : start + step].to(torch.float64)
        y = x if right is left else right[:, start : start + step].to(torch.float64)
        for form in forms:
            if form:
                x = x.clamp_(min=0)
                y = x if right is left else y.clamp_(min=0)
            for row in range(0, len(x), _TILE):
                tile = slice(row, row + _TILE)
                until = row + _TILE if right is left else len(y)
                total[form][tile, :until].addmm_(x[tile], y[:until].T)
    if right is left:
        total = {form: gram.tril() + gram.tril(-1).T for form, gram in total.items()}
    return total


def _finite(gram: Tensor, images: int, where: str) -> NDArray[np.float64]:
    damaged = ~torch.isfinite(gram.diagonal())  # of a damaged row the whole row and column are
    if damaged.any():
        row = int(damaged.nonzero()[0]) % images
        raise SVMError(f"features of image {row}{where} are not finite: the network's weights may be damaged")
    return gram.cpu().numpy()
