"""What the hardware allows: the operations of a training by their definition, and how fast they could go."""

import time
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hep2lib.cnn.googlenet import architecture, cut_point
from hep2lib.cnn.layers import LEARNABLE, layer_table
from hep2lib.data.folds import Fold
from hep2lib.studies.trial import FineTuningTrial

#: Channels and sides (pixels) of convolutions that suit a machine: of GoogLeNet's own sizes.
_PROBES = ((128, 28), (160, 14), (192, 28))


def image_operations(freeze: int, *, variant: str = "torchvision", size: int = 224) -> tuple[int, int]:
    """Floating-point operations on one image behind the frozen layers: forward, and backward.

    Multiplications and additions of convolutions and the classifier, two for each weight and place. What lies
    before the cut is not counted, since it is computed once for a whole study. Backward are gradients of the
    trained weights, and of the inputs wherever something before them is trained.

    Args:
        freeze: freeze depth, 0 to 144.
        variant: of the network, "bvlc" or "torchvision".
        size: side of the image, pixels.
    """
    layers = architecture(variant)
    operations = 2 * layer_table(layers, size)["multiply_adds"].to_numpy()
    cut = cut_point(layers, freeze)
    forward = backward = 0
    reached: set[str] = set()  # layers with something trained at or before them
    for layer, cost in zip(layers[cut:], operations[cut:].tolist(), strict=True):
        from_trained = any(name in reached for name in layer.inputs)
        trained = layer.kind in LEARNABLE and layer.index > freeze
        forward += cost
        backward += cost * (trained + from_trained)
        if trained or from_trained:
            reached.add(layer.name)
    return int(forward), int(backward)


def training_operations(
    trial: FineTuningTrial, fold: Fold, *, variant: str = "torchvision", size: int = 224
) -> int:
    """Floating-point operations of a whole training with its scores after every epoch.

    Of the fold only the numbers of images count; other arguments as for ``image_operations``.
    """
    forward, backward = image_operations(trial.freeze, variant=variant, size=size)
    shown = len(fold.train) * min(trial.views_per_epoch or trial.rotations, trial.rotations)
    if trial.last_batch == "drop" and shown > trial.batch_size:
        shown -= shown % trial.batch_size
    scored = len(fold.validation) + len(fold.test)
    return trial.epochs * (shown * (forward + backward) + scored * forward)


@torch.no_grad()
def best_rate(*, precision: Literal["fp32", "bf16"] = "fp32", batch: int = 16, repeats: int = 6) -> float:
    """Floating-point operations a second of the best of three convolutions of GoogLeNet's sizes.

    Measured on the CPU, with as many threads as torch has now; the fastest of ``repeats`` turns of each
    counts. ``precision`` is that of inputs, weights and results (``TrainingOptions.precision``), ``batch``
    the images at a time.
    """
    rates = []
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    for channels, side in _PROBES:
        layer = nn.Conv2d(channels, 192, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
        x = torch.ones(batch, channels, side, side, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        for _ in range(repeats):
            start = time.perf_counter()
            functional.conv2d(x, layer.weight, layer.bias, padding=1)
            rates.append(2 * batch * channels * 192 * 9 * side**2 / (time.perf_counter() - start))
    return max(rates)


def bf16_is_faster() -> bool:
    """Whether this processor convolves faster in bfloat16 than in float32; measured, in some milliseconds."""
    return best_rate(precision="bf16", batch=2, repeats=3) > best_rate(batch=2, repeats=3)
