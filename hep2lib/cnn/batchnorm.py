"""Batch normalisation of a trained network, folded into the convolution before it: the same function."""

from torch import Tensor

#: torchvision's GoogLeNet adds this to the variance.
EPSILON = 1e-3


def fold(weight: Tensor, statistics: dict[str, Tensor], epsilon: float = EPSILON) -> tuple[Tensor, Tensor]:
    """Merge a convolution without bias and the batch normalisation after it into one convolution with bias.

    In evaluation mode the normalisation is ``g (y - m) / sqrt(v + epsilon) + b`` for the convolution's output
    ``y = W x``: a linear map, so ``W' = s W`` and ``b' = b - s m`` with ``s = g / sqrt(v + epsilon)``.
    Computed in float64, so that the result is rounded once.

    Args:
        weight: convolution weights, out x in x k x k.
        statistics: "weight" (g), "bias" (b), "running_mean" (m) and "running_var" (v), each of length out.
        epsilon: added to the variance.

    Returns:
        The merged weights, of the same shape, and the bias, of length out; float32.
    """
    gain, shift, mean, variance = (
        statistics[name].double() for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / (variance + epsilon).sqrt()
    return (weight.double() * scale[:, None, None, None]).float(), (shift - scale * mean).float()
