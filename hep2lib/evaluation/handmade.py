"""Ten numbers that a person would think of before a network: how bright, how uneven, how fine a field is."""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from hep2lib.evaluation.metrics import FloatArray, ScoreError
from hep2lib.progress import progress

HANDMADE: dict[str, str] = {
    "mean": "mean of the green channel, 0 to 1",
    "deviation": "standard deviation over the field",
    "median": "median",
    "bright": "95th percentile",
    "brightest": "99.5th percentile: nucleoli, dots, mitoses",
    "background": "5th percentile: light between the cells",
    "skewness": "third standardised moment: few bright spots on a dark field, or an even one",
    "entropy": "of the histogram of 64 grey levels, in bits",
    "fine": "root mean square of what a 3 x 3 mean takes away: speckles and noise",
    "coarse": "root mean square between a 3 x 3 and a 15 x 15 mean: nuclei against their surroundings",
}
"""The features' names and what they measure, in the order of the columns."""

_BLOCK = 64  # images at a time


def as_images(images: npt.ArrayLike | torch.Tensor) -> torch.Tensor:
    """Return uint8 images as a tensor, or say what is wrong with them.

    Args:
        images: uint8, shape (images, 3, height, width), red, green and blue.

    Raises:
        ScoreError: another type or shape.
    """
    tensor = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.asarray(images))
    if tensor.dtype != torch.uint8 or tensor.ndim != 4 or tensor.shape[1] != 3:
        raise ScoreError(
            f"Images must be uint8 of shape (images, 3, height, width); these are {tensor.dtype} of shape "
            f"{tuple(tensor.shape)}."
        )
    return tensor


def mean_green(images: npt.ArrayLike | torch.Tensor) -> FloatArray:
    """Mean of the green channel, where the fluorescein glows.

    Args:
        images: uint8, shape (images, 3, height, width).

    Returns:
        Shape (images,), 0 to 1.

    Raises:
        ScoreError: as `as_images`.
    """
    green = as_images(images)[:, 1]
    blocks = [green[i : i + _BLOCK].double().mean(dim=(1, 2)) / 255 for i in range(0, len(green), _BLOCK)]
    return torch.cat(blocks).numpy() if blocks else np.empty(0)


def handmade_features(images: npt.ArrayLike | torch.Tensor) -> FloatArray:
    """The features of `HANDMADE`, of each image's green channel.

    Each is computed from its image alone: no fold can leak into another.

    Args:
        images: uint8, shape (images, 3, height, width), height and width at least 15.

    Returns:
        Shape (images, 10).

    Raises:
        ScoreError: as `as_images`.
    """
    green = as_images(images)[:, 1]
    starts = progress(range(0, len(green), _BLOCK), "hand-made features", unit="block")
    blocks = [_features(green[start : start + _BLOCK]) for start in starts]
    return torch.cat(blocks).numpy().astype(np.float64) if blocks else np.empty((0, len(HANDMADE)))


def _mean_filter(field: torch.Tensor, width: int) -> torch.Tensor:
    """Mean over width x width pixels around each, the border repeated; shape (images, 1, height, width)."""
    margin = width // 2
    padded = functional.pad(field, (margin,) * 4, mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (width, 1), stride=1), (1, width), stride=1)


def _quantile(cumulative: torch.Tensor, share: float) -> torch.Tensor:
    """Quantiles of images whose cumulative histograms are given, interpolated between two pixels; 0 to 1.

    Args:
        cumulative: int64, shape (images, 256), pixels at or below each grey level.
        share: 0 to 1.
    """
    place = share * (int(cumulative[0, -1]) - 1)
    below, above = (
        torch.searchsorted(cumulative, torch.full((len(cumulative), 1), int(rank)), right=True)[:, 0]
        for rank in (np.floor(place), np.ceil(place))
    )
    return (below + (above - below) * (place % 1)) / 255


def _features(green: torch.Tensor) -> torch.Tensor:
    """Features of a block: uint8 (images, height, width) -> float64 (images, features)."""
    count, pixels = len(green), green[0].numel()
    place = green.flatten(1).int() + 256 * torch.arange(count, dtype=torch.int32)[:, None]
    histogram = torch.bincount(place.flatten(), minlength=256 * count).view(count, 256)
    share, level = histogram.double() / pixels, torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level
    centred = level - mean[:, None]
    deviation = (share * centred**2).sum(dim=1).sqrt()
    skewness = (share * centred**3).sum(dim=1) / deviation.clamp_min(1e-6) ** 3
    coarser = share.view(count, 64, 4).sum(dim=2)
    entropy = -torch.special.xlogy(coarser, coarser).sum(dim=1) / np.log(2)
    cumulative = histogram.cumsum(dim=1)
    background, median, bright, brightest = (_quantile(cumulative, q) for q in (0.05, 0.5, 0.95, 0.995))
    field = green.float()[:, None] / 255
    small, large = _mean_filter(field, 3), _mean_filter(field, 15)
    fine = (field - small).square().mean(dim=(1, 2, 3)).sqrt()
    coarse = (small - large).square().mean(dim=(1, 2, 3)).sqrt()
    return torch.stack(
        [mean, deviation, median, bright, brightest, background, skewness, entropy, fine, coarse], dim=1
    )
