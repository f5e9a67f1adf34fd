"""Reader of .onnx files of GoogLeNet: MATLAB's export, the ONNX model zoo's, and others of the same graph."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .googlenet import VARIANTS, GoogLeNet
from .layers import Kind, Layer
from .normalisation import ALPHA, BETA, SIZE, K
from .onnx_graph import Graph, Node
from .preprocessing import CAFFE, Preprocessing
from .weight_files import WeightFile, WeightsError, key

#: ONNX's operators for each kind of layer that must be there as a node.
_OPERATORS = {
    Kind.CONVOLUTION: ("Conv",),
    Kind.RELU: ("Relu",),
    Kind.MAX_POOLING: ("MaxPool",),
    Kind.LRN: ("LRN",),
    Kind.CONCATENATION: ("Concat",),
    Kind.AVERAGE_POOLING: ("AveragePool", "GlobalAveragePool", "ReduceMean"),
}


def read_onnx(path: Path, network: GoogLeNet) -> WeightFile:
    """Read the parameters of an ONNX file by following its graph, whatever its values are called.

    The graph is walked from the result back to the image, side by side with the network's layers, so that two
    layers of one shape are never mistaken for each other. A file that subtracts a mean itself is MATLAB's:
    it takes the red channel first. One that does not is Caffe's and takes blue first.

    Args:
        path: the file.
        network: whose layers the graph must have.

    Raises:
        WeightsError: if the graph is another one; the first layer that differs is named.
        Exception: of any kind, if it is damaged.
    """
    try:
        return _Walk(Graph(path), network).walk()
    except _AnotherGraphError as error:
        raise WeightsError(
            f"{path} is an ONNX file of another network than GoogLeNet, variant {network.variant}: {error}. "
            "Caffe's and MATLAB's are of the variant bvlc"
        ) from error


class _AnotherGraphError(Exception):
    """The graph differs from the network's; the message says at which layer."""


class _Walk:
    """Walks the graph and the layers side by side, from the result back to the image."""

    def __init__(self, graph: Graph, network: GoogLeNet) -> None:
        self.graph = graph
        self.network = network
        self.tensors: dict[str, Tensor] = {}
        self.mean: np.ndarray | None = None

    def walk(self) -> WeightFile:
        """Visit every layer once and collect its parameters."""
        layers = {layer.name: layer for layer in self.network.layers}
        pending = [(self.network.layers[-1], self.graph.output)]
        seen: dict[str, str] = {}
        while pending:
            layer, value = pending.pop()
            value = self.graph.source(value)
            if layer.name in seen:
                if seen[layer.name] != value:
                    raise _AnotherGraphError(f"the layers after {layer.name} take different values")
                continue
            seen[layer.name] = value
            inputs = self._visit(layer, value)
            pending += [(layers[name], other) for name, other in zip(layer.inputs, inputs, strict=True)]
        return WeightFile(self.tensors, self._preprocessing(), "ONNX file")

    def _visit(self, layer: Layer, value: str) -> tuple[str, ...]:
        """Check that ``value`` is the layer's, keep its parameters, and name the values it takes."""
        node = self.graph.node(value)
        if layer.kind == Kind.INPUT:
            return self._input(layer, value, node)
        if layer.kind == Kind.SOFTMAX:
            return (node.inputs[0],) if node is not None and node.op == "Softmax" else (value,)
        if layer.kind == Kind.FULLY_CONNECTED:
            return (self._fully_connected(layer, node),)
        if layer.kind not in _OPERATORS:
            return (value,)
        if node is None or node.op not in _OPERATORS[layer.kind]:
            raise _AnotherGraphError(f"{layer.name} is {_words(node)}, not {layer.kind}")
        if layer.kind == Kind.CONVOLUTION:
            self._convolution(layer, node)
        elif layer.kind == Kind.MAX_POOLING:
            _check(layer, "window", node.numbers("kernel_shape", ()), (layer.kernel,) * 2)
            _check(layer, "stride", node.numbers("strides", (1, 1)), (layer.stride,) * 2)
        elif layer.kind == Kind.LRN:
            own = tuple(
                node.number(*default)
                for default in (("size", 0), ("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
            )
            if not np.allclose(own, (SIZE, ALPHA, BETA, K), rtol=1e-5):
                raise _AnotherGraphError(f"{layer.name} has the constants {own}")
        count = len(layer.inputs) if layer.kind == Kind.CONCATENATION else 1
        if len(node.inputs) < count or (layer.kind == Kind.CONCATENATION and len(node.inputs) > count):
            raise _AnotherGraphError(f"{layer.name} joins {len(node.inputs)} values, not {count}")
        return node.inputs[:count]

    def _convolution(self, layer: Layer, node: Node) -> None:
        if not node.numbers("pads", ()) and str(node.attributes.get("auto_pad", "")).startswith("SAME"):
            padding: tuple[int, ...] = (layer.padding,) * 4
        else:
            padding = node.numbers("pads", (0,) * 4)
        _check(layer, "stride", node.numbers("strides", (1, 1)), (layer.stride,) * 2)
        _check(layer, "padding", padding, (layer.padding,) * 4)
        _check(layer, "dilation", node.numbers("dilations", (1, 1)), (1, 1))
        if len(node.inputs) < 2:
            raise _AnotherGraphError(f"{layer.name} has no weights")
        self._keep(layer, "weight", self._constant(layer, node.inputs[1]))
        bias = self._constant(layer, node.inputs[2]) if len(node.inputs) > 2 else np.zeros(layer.channels)
        self._keep(layer, "bias", bias.reshape(-1))

    def _fully_connected(self, layer: Layer, node: Node | None) -> str:
        """Gemm, MatMul followed by Add, or a 1x1 convolution: whatever the exporter chose."""
        bias: np.ndarray | None = None
        if node is not None and node.op == "Add":
            constants = [self.graph.constant(name) for name in node.inputs]
            bias = next((value for value in constants if value is not None), None)
            node = self.graph.node(
                next((n for n, c in zip(node.inputs, constants, strict=True) if c is None), "")
            )
        if node is None or node.op not in ("Gemm", "MatMul", "Conv") or len(node.inputs) < 2:
            raise _AnotherGraphError(f"{layer.name} is {_words(node)}, not {layer.kind}")
        if (node.number("alpha", 1), node.number("beta", 1)) != (1, 1):
            raise _AnotherGraphError(f"{layer.name} scales its product")
        weight = self._constant(layer, node.inputs[1])
        if node.op == "Conv":
            weight = weight.reshape(weight.shape[0], -1)
        elif node.op == "MatMul" or not node.number("transB", 0):
            weight = weight.reshape(weight.shape[-2:]).T
        if node.op != "MatMul" and len(node.inputs) > 2:
            bias = self._constant(layer, node.inputs[2])
        self._keep(layer, "weight", weight.reshape(weight.shape[-2:]))
        self._keep(layer, "bias", np.zeros(weight.shape[-2]) if bias is None else bias.reshape(-1))
        return node.inputs[0]

    def _input(self, layer: Layer, value: str, node: Node | None) -> tuple[str, ...]:
        if node is None and value in self.graph.inputs:
            return ()
        if node is not None and node.op == "Sub" and self.graph.source(node.inputs[0]) in self.graph.inputs:
            self.mean = self._constant(layer, node.inputs[1])
            return ()
        raise _AnotherGraphError(f"the image reaches {layer.name} through {_words(node)}")

    def _constant(self, layer: Layer, name: str) -> np.ndarray:
        value = self.graph.constant(name)
        if value is None:
            raise _AnotherGraphError(f"{layer.name} has no constant parameters ({name})")
        return value

    def _keep(self, layer: Layer, parameter: str, value: np.ndarray) -> None:
        array = np.array(value, np.float32, order="C")
        self.tensors[key(layer.name, parameter)] = torch.from_numpy(array)

    def _preprocessing(self) -> Preprocessing:
        if self.mean is None:
            return CAFFE if self.network.variant == "bvlc" else VARIANTS[self.network.variant].preprocessing
        mean = np.array(self.mean, np.float32)
        mean = mean.reshape(mean.shape[-3:]) if mean.ndim >= 3 else mean.reshape(-1, 1, 1)
        if len(mean) != 3:
            raise _AnotherGraphError(f"the mean that is taken off has the shape {self.mean.shape}")
        red, green, blue = (float(value) for value in mean.mean(axis=(1, 2), dtype=np.float64))
        constant = bool((mean == mean[:, :1, :1]).all())
        if constant:
            return Preprocessing((red, green, blue))
        return Preprocessing((red, green, blue), mean_image=mean, size=len(mean[0]))


def _check(layer: Layer, what: str, given: tuple[int, ...], own: tuple[int, ...]) -> None:
    if given != own:
        raise _AnotherGraphError(f"{layer.name} has the {what} {given}, not {own}")


def _words(node: Node | None) -> str:
    return "an input" if node is None else f"a node {node.op}"
