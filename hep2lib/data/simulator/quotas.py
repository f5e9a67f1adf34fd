"""Numbers drawn so that a small database keeps the shares of a large one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def quotas(shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Split ``total`` in proportion to ``shares`` by largest remainders.

    Args:
        shares: relative, non-negative.
        total: what is split.

    Returns:
        As many whole numbers as shares; they add up to ``total``.
    """
    exact = np.asarray(shares, float) / np.sum(shares) * total
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def dealt(rng: np.random.Generator, shares: Sequence[float], total: int) -> NDArray[np.int64]:
    """Give each of ``total`` things one of the kinds, each kind as often as its share says, in random order.

    Returns:
        ``total`` numbers of kinds.
    """
    return rng.permutation(np.repeat(np.arange(len(shares)), quotas(shares, total)))


def stratified(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw one number from each of ``count`` equal parts of 0 to 1, in random order: evenly spread."""
    return (rng.permutation(count) + rng.random(count)) / count


def image_counts(
    rng: np.random.Generator, shares: Sequence[float], mean: float, specimens: int
) -> NDArray[np.int64]:
    """Draw how many images each specimen has, ``round(mean * specimens)`` in all.

    The shares' own mean need not be ``mean``: random specimens gain or lose an image until the sum fits.

    Args:
        rng: the random stream.
        shares: share of the specimens with 1, 2, ... images.
        mean: images a specimen.
        specimens: number of specimens.
    """
    counts = dealt(rng, shares, specimens) + 1
    surplus = int(counts.sum()) - round(mean * specimens)
    step = 1 if surplus > 0 else -1
    while surplus:
        movable = np.flatnonzero((counts - step >= 1) & (counts - step <= len(shares)))
        counts[rng.choice(movable)] -= step
        surplus -= step
    return counts


def share_of_images(rng: np.random.Generator, counts: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Choose specimens at random whose images make up ``share`` of all, as nearly as whole specimens allow.

    Args:
        rng: the random stream.
        counts: images of each specimen.
        share: 0 to 1.

    Returns:
        For each specimen whether it is chosen.
    """
    wanted = round(share * int(counts.sum()))
    chosen = np.zeros(len(counts), bool)
    for specimen in rng.permutation(len(counts)):
        if counts[specimen] <= wanted:
            chosen[specimen] = True
            wanted -= int(counts[specimen])
    return chosen


def both_labels(rng: np.random.Generator, counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Give each specimen a label, ``share`` of the images positive, both labels at least once.

    Args:
        rng: the random stream.
        counts: images of each specimen, at least two specimens.
        share: of positive images, 0 to 1.

    Returns:
        1 or 0 for each specimen.
    """
    label = share_of_images(rng, counts, share).astype(np.int64)
    if label.min() == label.max():
        label[rng.integers(len(label))] ^= 1
    return label
