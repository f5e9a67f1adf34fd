"""Random starting points: Caffe's, MATLAB's, and one calibrated on images for training from scratch."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from .layers import Kind

if TYPE_CHECKING:
    from .googlenet import GoogLeNet

#: The name of MATLAB's classifier layer, always drawn Glorot's way whatever the other layers are.
CLASSIFIER = "loss3-classifier"


def initialise(modules: Iterable[tuple[str, nn.Module]], scheme: str, generator: torch.Generator) -> None:
    """Draw all weights and biases anew.

    Args:
        modules: names and modules of the layers with parameters.
        scheme: "caffe" (uniform within sqrt(3 / fan-in), biases 0.2, as GoogLeNet was trained in Caffe),
            "matlab" (Glorot and Bengio 2010: uniform within sqrt(6 / (fan-in + fan-out)), biases 0) or
            "orthogonal" (Saxe et al. 2014, biases 0; what ``calibrate`` starts from). The classifier is
            always drawn as "matlab", as a fresh fully connected layer is in MATLAB R2019a.
        generator: where the numbers come from; on the CPU.
    """
    for name, module in modules:
        weight, bias = cast(Tensor, module.weight), cast("Tensor | None", module.bias)
        own = "matlab" if name == CLASSIFIER else scheme
        with torch.no_grad():
            weight.copy_(_draw(tuple(weight.shape), own, generator))
            if bias is not None:
                bias.fill_(0.2 if own == "caffe" else 0.0)


def _draw(shape: tuple[int, ...], scheme: str, generator: torch.Generator) -> Tensor:
    values = torch.empty(shape)
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    if scheme == "orthogonal":
        return nn.init.orthogonal_(values, generator=generator)
    if scheme not in ("caffe", "matlab"):
        raise InputError(f"initialisation {scheme!r} is unknown; choose caffe, matlab or orthogonal")
    bound = math.sqrt(3 / fan_in) if scheme == "caffe" else math.sqrt(6 / (fan_in + fan_out))
    return values.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def calibrate(network: "GoogLeNet", images: Tensor) -> None:
    """Scale each convolution so that its output has unit variance on the given images.

    Source: Mishkin and Matas 2016, All you need is a good init (LSUV). One pass is enough, because a layer's
    output is proportional to its weights while all biases are zero. Without it a network without batch
    normalisation that is trained from scratch loses the signal in depth.

    Args:
        network: initialised, with zero biases; its convolutions are changed.
        images: uint8, N x 3 x H x W. Use images that belong to no fold: then one starting point serves all
            folds, and nothing about a test image reaches it.

    Raises:
        InputError: if a layer's output does not vary over the images.
    """
    values = {network.layers[0].name: network.preprocess(images.to(network.device))}
    for layer in network.layers[1:]:
        if layer.kind == Kind.AVERAGE_POOLING:
            break  # no convolution follows, and dropout, which does, would draw
        output = network.compute(layer, [values[name] for name in layer.inputs])
        if layer.kind == Kind.CONVOLUTION:
            deviation = output.std()
            if not 1e-12 < deviation < math.inf:
                raise InputError(f"images without contrast cannot calibrate {layer.name}: give other images")
            network[layer.name].weight.div_(deviation)
            output.div_(deviation)
        values[layer.name] = output
