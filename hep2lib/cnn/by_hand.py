"""The operations of an inception block once more, in plain NumPy: slow, short, and made to be read."""

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hep2lib.cnn.googlenet import GoogLeNet

Values = NDArray[np.floating]


def convolution(x: Values, weight: Values, bias: Values, stride: int = 1, padding: int = 0) -> Values:
    """Weigh the window around each pixel with each filter: sum over input channels and window, plus bias.

    Args:
        x: channels x height x width.
        weight: filters x channels x k x k.
        bias: one number a filter.
        stride: pixels between two windows.
        padding: rows and columns of zeros on each side.

    Returns:
        filters x height x width of the output.
    """
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(weight, windows, axes=([1, 2, 3], [0, 3, 4])) + bias[:, None, None]


def relu(x: Values) -> Values:
    """Keep what is positive and put zero for the rest; any shape."""
    return np.maximum(x, 0)


def max_pooling(x: Values, kernel: int = 3, stride: int = 2, padding: int = 0) -> Values:
    """Take the largest value of each window; sizes are rounded up, as Caffe does.

    ``x`` is channels x height x width; ``padding`` are rows and columns that can never be the largest.
    """
    extra = [-(size + 2 * padding - kernel) % stride for size in x.shape[1:]]
    margins = ((0, 0), (padding, padding + extra[0]), (padding, padding + extra[1]))
    padded = np.pad(x, margins, constant_values=-np.inf)
    return sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride].max((3, 4))


def inception(network: GoogLeNet, block: str, x: Values) -> Values:
    """Four branches over the same input, their outputs one behind the other along the channels.

    The input of a block, such as "inception_3a" of a network whose batch normalisation is folded, and its
    output are channels x height x width.
    """
    branches = (("1x1",), ("3x3_reduce", "3x3"), ("5x5_reduce", "5x5"), ("pool", "pool_proj"))
    outputs = []
    for branch in branches:
        value = x
        for step in branch:
            if step == "pool":
                value = max_pooling(value, 3, 1, 1)
            else:
                filters = network[f"{block}-{step}"]
                weight, bias = (filters.state_dict()[name].cpu().numpy() for name in ("weight", "bias"))
                value = relu(convolution(value, weight, bias, padding=weight.shape[-1] // 2))
        outputs.append(value)
    return np.concatenate(outputs)


class Agreement:
    """Values that were computed twice, by hand and by the library, and how far they differ."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, float, float]] = []

    def compare(self, operation: str, by_hand: Values, by_library: Values) -> str:
        """Note the values of an operation, and say how far they differ, in millionths of the largest one."""
        largest, difference = float(np.abs(by_hand).max()), float(np.abs(by_hand - by_library).max())
        millionths = 1e6 * difference / max(largest, 1e-30)
        self._rows.append((operation, by_hand.size, largest, millionths))
        return f"largest difference: {millionths:.2f} millionths"

    def table(self) -> pd.DataFrame:
        """One row an operation: how many values, the largest, the largest difference in its millionths."""
        columns = ["Operation", "Values", "Largest value", "Largest difference (millionths)"]
        return pd.DataFrame(self._rows, columns=columns)
