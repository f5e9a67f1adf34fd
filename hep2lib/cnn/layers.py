"""One layer of a network as data: the table of all layers, and the weights that a layer starts from."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import pandas as pd
import torch
from torch import Tensor, nn

from hep2lib.errors import InputError


class Kind(StrEnum):
    """What a layer computes, in MATLAB's words."""

    INPUT = "image input"
    CONVOLUTION = "convolution"
    RELU = "relu"
    MAX_POOLING = "max pooling"
    LRN = "LRN"
    IDENTITY = "identity"
    CONCATENATION = "depth concatenation"
    AVERAGE_POOLING = "average pooling"
    DROPOUT = "dropout"
    FULLY_CONNECTED = "fully connected"
    SOFTMAX = "softmax"
    OUTPUT = "classification output"


LEARNABLE = (Kind.CONVOLUTION, Kind.FULLY_CONNECTED)  # the kinds that carry parameters
CLASSIFIER = "loss3-classifier"  # MATLAB's name of it


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: what it computes, from which layers, and with which window."""

    index: int  # position in MATLAB's list, from 1
    name: str  # MATLAB's name, for example ``conv1-7x7_s2``
    kind: Kind  # what it computes
    inputs: tuple[str, ...]  # names of the layers whose values it takes, in order
    in_channels: int  # of its input; of a concatenation: of all inputs together
    channels: int  # of its output
    kernel: int = 1  # side of the square window, in pixels (1 where there is no window)
    stride: int = 1  # step of the window, in pixels
    padding: int = 0  # pixels of padding on each side

    @property
    def weights(self) -> int:
        """Number of weights, without biases."""
        return self.in_channels * self.channels * self.kernel**2 if self.kind in LEARNABLE else 0

    @property
    def parameters(self) -> int:
        """Number of learnable parameters: weights and one bias per output channel."""
        return self.weights + self.channels if self.kind in LEARNABLE else 0

    def output_size(self, size: int) -> int:
        """Side of the output for an input of side ``size``, both in pixels.

        Pooling rounds up, as Caffe does, so that no border pixel is dropped; convolution rounds down.
        """
        if self.kind in (Kind.AVERAGE_POOLING, Kind.FULLY_CONNECTED):
            return 1
        steps = size + 2 * self.padding - self.kernel
        return (-(-steps // self.stride) if self.kind == Kind.MAX_POOLING else steps // self.stride) + 1


class LayerList:
    """Layers as they are added, one after the other; each takes the value of the one before unless told."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.channels: dict[str, int] = {}

    def add(
        self,
        name: str,
        kind: Kind,
        channels: int | None = None,
        *,
        inputs: tuple[str, ...] = (),
        window: tuple[int, int, int] = (1, 1, 0),
    ) -> str:
        """Append a layer (``channels`` None: as many as its inputs have; window: kernel, stride, padding)."""
        if not inputs and self.layers:
            inputs = (self.layers[-1].name,)
        taken = sum(self.channels[name] for name in inputs) if inputs else 3
        given = self.channels[name] = taken if channels is None else channels
        self.layers.append(Layer(len(self.layers) + 1, name, kind, inputs, taken, given, *window))
        return name

    def convolve(
        self, name: str, channels: int, kernel: int, *, stride: int = 1, inputs: tuple[str, ...] = ()
    ) -> str:
        """Append a convolution that keeps the size (for stride 1) and its rectifier, named as MATLAB does."""
        block, _, own = name.partition("-")
        self.add(name, Kind.CONVOLUTION, channels, inputs=inputs, window=(kernel, stride, kernel // 2))
        return self.add(f"{block}-relu_{own.removesuffix('_s2')}", Kind.RELU)


def layer_table(layers: Sequence[Layer], size: int = 224) -> pd.DataFrame:
    """Tabulate the layers of a network: shapes, parameters, operations and receptive fields.

    Args:
        layers: the whole network, input first (``hep2lib.cnn.googlenet.architecture``).
        size: side of the input image in pixels.

    Returns:
        One row per layer with the columns ``index``, ``name``, ``type``, ``output`` (channels x height x
        width, as text), ``channels``, ``size`` (side of the output, pixels), ``parameters`` (learnable),
        ``multiply_adds`` (for one image; learnable layers only, as is the custom), ``receptive_field`` (side
        of the square of input pixels that can reach one output value, not clipped at the image's border)
        and ``step`` (input pixels between two neighbouring output values).

    Source of the receptive fields: each window of side k over an input with step s adds (k - 1) s pixels
    (Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016).
    """
    sizes: dict[str, int] = {}
    fields: dict[str, tuple[int, int]] = {}
    rows = []
    for layer in layers:
        before = sizes[layer.inputs[0]] if layer.inputs else size
        after = layer.output_size(before)
        field, step = max([fields[name] for name in layer.inputs], default=(1, 1))
        field += ((before if layer.kind == Kind.AVERAGE_POOLING else layer.kernel) - 1) * step
        step *= layer.stride
        sizes[layer.name], fields[layer.name] = after, (field, step)
        rows.append(
            {"index": layer.index, "name": layer.name, "type": str(layer.kind)}
            | {"output": f"{layer.channels}x{after}x{after}", "channels": layer.channels, "size": after}
            | {"parameters": layer.parameters, "multiply_adds": layer.weights * after**2}
            | {"receptive_field": field, "step": step}
        )
    return pd.DataFrame(rows)


def initialise(modules: Iterable[tuple[str, nn.Module]], scheme: str, generator: torch.Generator) -> None:
    """Draw all weights and biases anew.

    Args:
        modules: names and modules of the layers with parameters.
        scheme: "caffe" (uniform within sqrt(3 / fan-in), biases 0.2, as GoogLeNet was trained in Caffe),
            "matlab" (Glorot and Bengio 2010: uniform within sqrt(6 / (fan-in + fan-out)), biases 0) or
            "orthogonal" (Saxe et al. 2014, biases 0; what ``calibrate`` starts from). The classifier is
            always drawn as "matlab", as a fresh fully connected layer is in MATLAB R2019a.
        generator: where the numbers come from; on the CPU.

    Raises:
        InputError: if there is no such scheme.
    """
    for name, module in modules:
        weight, bias = cast(Tensor, module.weight), cast("Tensor | None", module.bias)
        own = "matlab" if name == CLASSIFIER else scheme
        values = torch.empty(weight.shape, dtype=weight.dtype)
        fan_in, fan_out = weight[0].numel(), len(weight) * math.prod(weight.shape[2:])
        bounds = {"caffe": math.sqrt(3 / fan_in), "matlab": math.sqrt(6 / (fan_in + fan_out))}
        if own == "orthogonal":
            nn.init.orthogonal_(values, generator=generator)
        elif own in bounds:
            values.uniform_(-bounds[own], bounds[own], generator=generator)
        else:
            raise InputError(f"initialisation {own!r} is unknown; choose caffe, matlab or orthogonal")
        with torch.no_grad():
            weight.copy_(values)
            if bias is not None:
                bias.fill_(0.2 if own == "caffe" else 0.0)
