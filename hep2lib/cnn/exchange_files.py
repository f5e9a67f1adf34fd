"""Readers of GoogLeNet's weights in .onnx and .caffemodel files; they need the package onnx."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from hep2lib.cnn.googlenet import ALPHA, BETA, SIZE, VARIANTS, GoogLeNet, K
from hep2lib.cnn.layers import LEARNABLE, Kind, Layer
from hep2lib.cnn.preprocessing import CAFFE, Preprocessing
from hep2lib.cnn.weight_files import WeightFile, WeightsError, key, plain_name

#: Element types of weights and shapes. Types of less than a byte would take what memory their shape asks for.
_TYPES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64}

#: Operators that hand their first input on, as far as this package is concerned.
_PASSED = {"Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}

#: ONNX's operators for each kind of layer that must be there as a node.
_OPERATORS = {
    Kind.CONVOLUTION: {"Conv"},
    Kind.RELU: {"Relu"},
    Kind.MAX_POOLING: {"MaxPool"},
    Kind.LRN: {"LRN"},
    Kind.CONCATENATION: {"Concat"},
    Kind.AVERAGE_POOLING: {"AveragePool", "GlobalAveragePool", "ReduceMean"},
    Kind.FULLY_CONNECTED: {"Gemm", "MatMul", "Conv"},
}


class _AnotherGraphError(Exception):
    """The graph differs from the network's; the message says at which layer."""


def read_onnx(path: Path, network: GoogLeNet) -> WeightFile:
    """Read the parameters of an ONNX file by following its graph, whatever its values are called.

    The graph is walked from the result back to the image, side by side with the network's layers, so that two
    layers of one shape are never mistaken for each other. A file that subtracts a mean itself is MATLAB's:
    it takes the red channel first. One that does not is Caffe's and takes blue first.

    Raises:
        WeightsError: if the graph is another one; the first layer that differs is named.
        Exception: of any kind, if the file is damaged or keeps values in other files.
    """
    graph = _Graph(path)
    values = {network.layers[-1].name: graph.source(graph.output)}
    tensors: dict[str, Tensor] = {}
    preprocessing = CAFFE if network.variant == "bvlc" else VARIANTS[network.variant].preprocessing
    try:
        for layer in reversed(network.layers):
            inputs, arrays = _visit(graph, layer, values[layer.name])
            for name, value in zip(layer.inputs, map(graph.source, inputs), strict=True):
                if values.setdefault(name, value) != value:
                    raise _AnotherGraphError(f"the layers after {name} take different values")
            if layer.kind in LEARNABLE:
                weight, bias = map(torch.tensor, arrays)
                tensors |= {key(layer.name, "weight"): weight, key(layer.name, "bias"): bias}
            elif arrays:
                preprocessing = _without_mean(*arrays)
    except _AnotherGraphError as error:
        raise WeightsError(
            f"{path} is an ONNX file of another network than GoogLeNet, variant {network.variant}: {error}. "
            "Caffe's and MATLAB's are of the variant bvlc"
        ) from error
    return WeightFile(tensors, preprocessing, "ONNX file")


class _Graph:
    """Which node makes which value from which, and the constants among the values."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
        if not graph.node or not graph.output:
            raise ValueError("it holds no graph")
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = {node.output[0]: node for node in graph.node if node.output}
        self.inputs = {value.name for value in graph.input} - self._initializers.keys()
        self.output = graph.output[0].name

    def node(self, name: str) -> NodeProto:
        """The node that makes the value ``name``; an empty one if none does."""
        return self._nodes.get(name, NodeProto())

    def source(self, name: str) -> str:
        """The value that ``name`` is a mere copy or rearrangement of."""
        for _ in self._nodes:  # so often at most: a damaged file may go round in circles
            node = self.node(name)
            if node.op_type not in _PASSED or not node.input:
                break
            name = node.input[0]
        return name

    def constant(self, name: str, depth: int = 8) -> np.ndarray | None:
        """The value of ``name`` if it is a constant, rearranged at most ``depth`` times."""
        if name in self._initializers:
            return _array(self._initializers[name])
        node = self.node(name)
        if node.op_type == "Constant":
            tensor = _attribute(node, "value", None)
            return _array(tensor) if isinstance(tensor, TensorProto) else None
        if node.op_type not in {"Transpose", *_PASSED} or not node.input or not depth:
            return None
        # At most a value and its shape: a damaged file may branch without end.
        values = [self.constant(other, depth - 1) for other in node.input[:2]]
        value, shape = values[0], values[-1]
        if value is None or shape is None:
            return None
        if node.op_type == "Reshape":
            sizes = shape if len(values) == 2 else _attribute(node, "shape", ())
            return value.reshape([value.shape[i] if size == 0 else size for i, size in enumerate(sizes)])
        if node.op_type == "Transpose":
            return value.transpose(_attribute(node, "perm", None))
        if node.op_type == "Flatten":
            return value.reshape(int(np.prod(value.shape[: _attribute(node, "axis", 1)])), -1)
        return value

    def parameter(self, layer: Layer, name: str) -> np.ndarray:
        value = self.constant(name)
        if value is None:
            raise _AnotherGraphError(f"{layer.name} has no constant parameters ({name})")
        return value


def _array(tensor: TensorProto) -> np.ndarray:
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ValueError(f"the values of {tensor.name} are in another file: save the model as a single one")
    if tensor.data_type not in _TYPES:
        raise ValueError(f"{tensor.name} is of element type {tensor.data_type}, which no weights here have")
    shape = tuple(tensor.dims)
    try:
        return numpy_helper.to_array(tensor)
    except ValueError:
        raise ValueError(f"{tensor.name} does not have the numbers that its shape {shape} needs") from None


def _attribute(node: NodeProto, name: str, default: object) -> Any:
    found = [entry for entry in node.attribute if entry.name == name]
    return helper.get_attribute_value(found[0]) if found else default


def _visit(graph: _Graph, layer: Layer, value: str) -> tuple[Sequence[str], list[np.ndarray]]:
    """Check that ``value`` is the layer's; give the values it takes, and its weight and bias if it has any.

    The input layer's only array is the mean that the graph takes off the image.
    """
    node, biases = graph.node(value), []
    if layer.kind == Kind.INPUT:
        if not node.op_type and value in graph.inputs:
            return (), []
        if node.op_type == "Sub" and graph.source(node.input[0]) in graph.inputs:
            return (), [graph.parameter(layer, node.input[1])]
        raise _AnotherGraphError(f"the image reaches {layer.name} through {_words(node)}")
    if layer.kind == Kind.SOFTMAX and node.op_type == "Softmax":
        return node.input[:1], []
    if layer.kind not in _OPERATORS:
        return [value], []
    if layer.kind == Kind.FULLY_CONNECTED and node.op_type == "Add":  # a product, and its bias apart
        constants = {name: graph.constant(name) for name in node.input[:2]}
        biases = [constant for constant in constants.values() if constant is not None]
        product = next((name for name, constant in constants.items() if constant is None), "")
        node = graph.node(graph.source(product))
    if node.op_type not in _OPERATORS[layer.kind]:
        raise _AnotherGraphError(f"{layer.name} is {_words(node)}, not {layer.kind}")
    inputs = node.input if layer.kind == Kind.CONCATENATION else node.input[:1]
    if len(inputs) != len(layer.inputs):
        raise _AnotherGraphError(f"{layer.name} joins {len(inputs)} values, not {len(layer.inputs)}")
    _check_attributes(layer, node)
    if layer.kind not in LEARNABLE:
        return inputs, []
    if len(node.input) < 2:
        raise _AnotherGraphError(f"{layer.name} has no weights")
    weight, *own = (graph.parameter(layer, name) for name in node.input[1:3])
    if layer.kind == Kind.FULLY_CONNECTED:
        weight = weight.reshape(weight.shape[:2] if node.op_type == "Conv" else weight.shape[-2:])
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0)):
            weight = weight.T
    biases = [*own, *biases, np.zeros(len(weight))]
    return inputs, [weight, biases[0].reshape(-1)]


def _check_attributes(layer: Layer, node: NodeProto) -> None:
    """Refuse a node whose window, constants or factors are not the layer's."""

    def check(what: str, given: Sequence[float], own: Sequence[float]) -> None:
        if len(given) != len(own) or not np.allclose(given, own):  # a file's numbers are of single precision
            raise _AnotherGraphError(f"{layer.name} has the {what} {tuple(given)}, not {tuple(own)}")

    if layer.kind == Kind.LRN:
        defaults = {"size": 0, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
        constants = [_attribute(node, name, default) for name, default in defaults.items()]
        check("constants", constants, (SIZE, ALPHA, BETA, K))
    if layer.kind == Kind.FULLY_CONNECTED:
        check("factors", (_attribute(node, "alpha", 1), _attribute(node, "beta", 1)), (1, 1))
    if layer.kind == Kind.MAX_POOLING:
        check("window", _attribute(node, "kernel_shape", ()), (layer.kernel,) * 2)
    if layer.kind in (Kind.CONVOLUTION, Kind.MAX_POOLING):
        check("stride", _attribute(node, "strides", (1, 1)), (layer.stride,) * 2)
    if layer.kind == Kind.CONVOLUTION:
        same = _attribute(node, "auto_pad", b"").startswith(b"SAME")
        padding = _attribute(node, "pads", (layer.padding if same else 0,) * 4)
        check("padding", padding, (layer.padding,) * 4)
        check("dilation", _attribute(node, "dilations", (1, 1)), (1, 1))


def _without_mean(mean: np.ndarray) -> Preprocessing:
    """What takes off a mean of three numbers, or a mean image."""
    image = mean.astype(np.float32)
    image = image.reshape(image.shape[-3:] if image.ndim >= 3 else (-1, 1, 1))
    if len(image) != 3:
        raise _AnotherGraphError(f"the mean that is taken off has the shape {mean.shape}")
    red, green, blue = image.mean(axis=(1, 2), dtype=np.float64).tolist()
    if (image == image[:, :1, :1]).all():
        return Preprocessing((red, green, blue))
    return Preprocessing((red, green, blue), mean_image=image)


def _words(node: NodeProto) -> str:
    return f"a node {node.op_type}" if node.op_type else "an input"


#: The part of caffe.proto that holds parameters: the fields of each message, with their numbers and types. A
#: field that is there once is a list of one here.
_CAFFE = {
    "Net": {"layer": (100, "Layer"), "layers": (2, "LayerOf2014")},
    "Layer": {"name": (1, "bytes"), "blobs": (7, "Blob")},
    "LayerOf2014": {"name": (4, "bytes"), "blobs": (6, "Blob")},
    "Blob": {"data": (5, "float"), "double_data": (8, "double"), "shape": (7, "Shape")}
    | {"num": (1, "int32"), "channels": (2, "int32"), "height": (3, "int32"), "width": (4, "int32")},
    "Shape": {"dim": (1, "int64")},
}


def read_caffe(path: Path, network: GoogLeNet) -> WeightFile:
    """Read the parameters of a Caffe model, today's form or that of 2014, without its auxiliary heads.

    Caffe takes images blue first with the mean subtracted, and so does the result's preprocessing.

    Raises:
        WeightsError: if it is no Caffe model.
        Exception: of any kind, if it is damaged.
    """
    model = _caffe_model().FromString(path.read_bytes())
    layers = {plain_name(layer.name): layer for layer in network.layers if layer.kind in LEARNABLE}
    tensors = {}
    for entry in (*model.layer, *model.layers):
        name = b"".join(entry.name).decode("utf-8", "replace")
        if re.match(r"loss[12]/", name):
            continue
        layer = layers.get(plain_name(name))
        dimensions = 2 if layer is not None and layer.kind == Kind.FULLY_CONNECTED else 4
        for parameter, blob, size in zip(("weight", "bias"), entry.blobs, (dimensions, 1), strict=False):
            own = f"{name}.{parameter}" if layer is None else key(layer.name, parameter)
            tensors[own] = _blob(blob, size, name)
    if not tensors:
        raise WeightsError(
            f"{path} is no Caffe model with parameters: give the .caffemodel, not the description"
        )
    return WeightFile(tensors, CAFFE, "Caffe model" if model.layer else "Caffe model of the V1 form")


def _caffe_model() -> Any:
    """The class of protobuf's parser for ``_CAFFE``."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe", package="caffe")
    for message, fields in _CAFFE.items():
        entry = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            own = {"type_name": f".caffe.{kind}"} if kind in _CAFFE else {"type": f"TYPE_{kind.upper()}"}
            entry.field.add(name=name, number=number, label="LABEL_REPEATED", **own)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.Net"))


def _blob(blob: Any, dimensions: int, name: str) -> Tensor:
    """The array of a blob; shapes of 2014 always have four dimensions, with leading ones."""
    sides = (blob.num, blob.channels, blob.height, blob.width)
    shape = list(blob.shape[0].dim) if blob.shape else [[1, *side][-1] for side in sides]
    while len(shape) > dimensions and shape[0] == 1:
        shape = shape[1:]
    numbers = blob.data or blob.double_data
    if len(numbers) != np.prod(shape, dtype=np.int64):
        raise ValueError(f"layer {name} has {len(numbers)} numbers for the shape {tuple(shape)}")
    return torch.from_numpy(np.fromiter(numbers, np.float32, len(numbers)).reshape(shape))
