"""Readers of GoogLeNet's weights in .onnx and .caffemodel files; they need the package onnx."""

import math
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from hep2lib.cnn.googlenet import ALPHA, BETA, SIZE, VARIANTS, GoogLeNet, K, architecture
from hep2lib.cnn.layers import LEARNABLE, Kind, Layer
from hep2lib.cnn.preprocessing import CAFFE, TORCHVISION_TRANSFORMED, Preprocessing
from hep2lib.cnn.weight_files import WeightFile, WeightsError, from_state_dict, key, other_variant

#: Element types of weights and shapes. Types of less than a byte would take what memory their shape asks for.
_TYPES = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_TYPES |= {TensorProto.INT32, TensorProto.INT64}

#: Operators that hand their first input on, as far as this package is concerned.
_PASSED = {"Cast", "CastLike", "Dropout", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"}
#: By what torchvision's ``transform_input`` multiplies the channels of the image, and what it adds.
_TRANSFORM_INPUT = [[0.458, 0.448, 0.45], [-0.03, -0.088, -0.188]]
_LARGEST = 256 << 20  # bytes of values that are read from files beside a graph
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


@np.errstate(all="ignore")  # a damaged file's numbers are refused later
def read_onnx(path: Path, network: GoogLeNet) -> WeightFile:
    """Read the parameters of an ONNX file by following its graph, whatever its values are called.

    The graph is walked from a result back to the image, side by side with the network's layers, so that two
    layers of one shape are never mistaken for each other. What it does to the image is made part of the
    preprocessing. A bvlc graph that does nothing to it is Caffe's and takes blue first.

    Raises:
        WeightsError: if the graph is another one (the first layer that differs is named), of the other
            variant, or quantised, or if a file that holds its values is missing.
        Exception: of any kind, if the file is damaged.
    """
    graph, differences = _Graph(path), list[_AnotherGraphError]()
    for variant in (network.variant, *(VARIANTS.keys() - {network.variant})):
        layers = architecture(variant)
        # A body ends before the classifier; auxiliary heads have outputs of their own.
        for end, output in product((None, -3), graph.outputs):
            try:
                tensors, image = _walk(graph, output, layers[:end])
            except _AnotherGraphError as error:
                differences.append(error)
                continue
            if variant != network.variant:
                raise WeightsError(f"{path} {other_variant(variant, network)}")
            untouched = CAFFE if variant == "bvlc" else VARIANTS[variant].preprocessing
            preprocessing = _preprocessing(graph, image, untouched)
            form = "ONNX file" if preprocessing is untouched else "ONNX file with its own preprocessing"
            return WeightFile(tensors, preprocessing, form, graph.files)
    raise WeightsError(
        f"{path} has another graph than GoogLeNet's, variant {network.variant}: {differences[0]}. Give the "
        "network as it is exported for evaluation, or its state_dict()"
    )


def _walk(graph: "_Graph", output: str, layers: Sequence[Layer]) -> tuple[dict[str, Tensor], str]:
    """The parameters of all layers, and the value that the first convolution takes."""
    values = {layers[-1].name: graph.source(output)}
    tensors: dict[str, Tensor] = {}
    for layer in reversed(layers[1:]):
        inputs, arrays = _visit(graph, layer, values[layer.name])
        for name, value in zip(layer.inputs, map(graph.source, inputs), strict=True):
            if values.setdefault(name, value) != value:
                raise _AnotherGraphError(f"the layers after {name} take different values")
        for parameter, array in zip(("weight", "bias"), arrays, strict=False):
            tensors[key(layer.name, parameter)] = torch.tensor(array)
    return tensors, values[layers[0].name]


class _Graph:
    """Which node makes which value from which, and the constants among the values."""

    def __init__(self, path: Path) -> None:
        graph = onnx.ModelProto.FromString(path.read_bytes()).graph
        if not graph.node or not graph.output:
            raise ValueError("it holds no graph")
        operators = {node.op_type for node in graph.node}
        if quantised := sorted(name for name in operators if re.search("Quantize|QLinear|Integer", name)):
            raise WeightsError(
                f"{path} is quantised ({', '.join(quantised)}): give the network that it was made from"
            )
        self.path, self._room = path, _LARGEST
        self.files: tuple[Path, ...] = ()
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = {node.output[0]: node for node in graph.node if node.output}
        self.inputs = {value.name for value in graph.input} - self._initializers.keys()
        self.outputs = [value.name for value in graph.output[:200]]

    def node(self, name: str) -> NodeProto:
        """The node that makes the value ``name``; one without inputs if none does."""
        return self._nodes.get(name, NodeProto(op_type="Input"))

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
            return self._array(self._initializers[name])
        node = self.node(name)
        if node.op_type == "Constant" and node.attribute:
            value = helper.get_attribute_value(node.attribute[0])
            return self._array(value) if isinstance(value, TensorProto) else np.asarray(value, np.float64)
        if node.op_type not in {"Transpose", *_PASSED} or not node.input or not depth:
            return None
        value = self.constant(node.input[0], depth - 1)
        if value is None or node.op_type not in ("Reshape", "Transpose"):
            return value
        if node.op_type == "Transpose":
            return value.transpose(_attribute(node, "perm", None))
        return value.reshape(self.integers(node, 1) or _attribute(node, "shape", ()))

    def integers(self, node: NodeProto, place: int) -> list[int]:
        """The constant whole numbers that are a node's input at ``place``; none if there are none."""
        value = self.constant(node.input[place]) if len(node.input) > place else None
        return [] if value is None else value.ravel().astype(int).tolist()

    def linear(self, name: str) -> tuple[str, np.ndarray, np.ndarray] | None:
        """If a value is another one times constants plus constants: that one, the factors, the terms."""
        node, one, zero = self.node(name), np.ones(()), np.zeros(())
        if node.op_type not in ("Add", "Sub", "Mul", "Div", "BatchNormalization"):
            return None
        source, *others = node.input[:5]
        if node.op_type in ("Add", "Mul") and self.constant(source) is not None:
            source, *others = node.input[1], source
        values = [value.astype(np.float64) for value in map(self.constant, others) if value is not None]
        if len(values) < len(others):
            return None
        if node.op_type == "BatchNormalization":
            gain, shift, mean, variance = (value.reshape(-1, 1, 1) for value in values)
            gain = gain / np.sqrt(variance + _attribute(node, "epsilon", 1e-5))
            return source, gain, shift - gain * mean
        [value] = values
        made = {"Add": (one, value), "Sub": (one, -value), "Mul": (value, zero), "Div": (1 / value, zero)}
        return source, *made[node.op_type]

    def _array(self, tensor: TensorProto) -> np.ndarray:
        if tensor.data_type not in _TYPES:
            raise ValueError(f"{tensor.name} is of element type {tensor.data_type}, which no weights are")
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor = self._beside(tensor)
        return numpy_helper.to_array(tensor)

    def _beside(self, tensor: TensorProto) -> TensorProto:
        """A tensor with its values, which lie in another file of the same folder."""
        entries = {entry.key: entry.value for entry in tensor.external_data}
        file, data = self.path.with_name(entries["location"]), b""
        length = int(entries.get("length", 8 * math.prod(tensor.dims)))
        if file.is_file():
            with file.open("rb") as stream:
                stream.seek(int(entries.get("offset", 0)))
                data = stream.read(max(0, min(length, self._room)))
        if len(data) < int(entries.get("length", 1)):
            raise WeightsError(f"{self.path} keeps its values in {file}, which is missing or ends early")
        self._room -= len(data)
        self.files = tuple(dict.fromkeys((*self.files, file)))
        return TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, raw_data=data)


def _attribute(node: NodeProto, name: str, default: object) -> Any:
    found = [entry for entry in node.attribute if entry.name == name]
    return helper.get_attribute_value(found[0]) if found else default


def _visit(graph: _Graph, layer: Layer, value: str) -> tuple[Sequence[str], list[np.ndarray]]:
    """Check that ``value`` is the layer's; give the values it takes, and its weight and bias, if any."""
    factor, term, depth = np.ones(()), np.zeros(()), 8 if layer.kind in LEARNABLE else 0
    while depth and (step := graph.linear(value)):  # batch normalisation, or a bias apart
        value, factor, term = graph.source(step[0]), factor * step[1], factor * step[2] + term
        depth -= 1
    node = graph.node(value)
    if layer.kind == Kind.SOFTMAX and node.op_type in ("Softmax", "LogSoftmax"):
        return node.input[:1], []
    if layer.kind not in _OPERATORS:
        return [value], []
    if node.op_type not in _OPERATORS[layer.kind]:
        raise _AnotherGraphError(f"{layer.name} is a node {node.op_type}, not {layer.kind}")
    inputs = node.input if layer.kind == Kind.CONCATENATION else node.input[:1]
    if len(inputs) != len(layer.inputs):
        raise _AnotherGraphError(f"{layer.name} joins {len(inputs)} values, not {len(layer.inputs)}")
    _check_attributes(layer, node)
    if layer.kind not in LEARNABLE:
        return inputs, []
    names = [name for name in node.input[1:3] if name]
    arrays = [value.astype(np.float64) for value in map(graph.constant, names) if value is not None]
    if not arrays or len(arrays) < len(names):
        raise _AnotherGraphError(f"{layer.name} has no constant parameters")
    weight, *own = arrays
    if layer.kind == Kind.FULLY_CONNECTED:
        weight = weight.reshape(weight.shape[:2] if node.op_type == "Conv" else weight.shape[-2:])
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0)):
            weight = weight.T
    bias = factor.ravel() * (own[0].ravel() if own else 0) + term.ravel()
    weight = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    return inputs, [weight, np.broadcast_to(bias, len(weight)).copy()]


def _check_attributes(layer: Layer, node: NodeProto) -> None:
    """Refuse a node whose window, constants or factors are not the layer's."""
    stride = ([1, 1], [layer.stride] * 2)
    # What each attribute is in ONNX where it is left out, and what it is in the layer.
    attributes: dict[str, dict[str, tuple[Any, Any]]] = {
        Kind.LRN: {"size": (0, SIZE), "alpha": (1e-4, ALPHA), "beta": (0.75, BETA), "bias": (1.0, K)},
        Kind.FULLY_CONNECTED: {"alpha": (1.0, 1.0), "beta": (1.0, 1.0)},
        Kind.MAX_POOLING: {"kernel_shape": ([], [layer.kernel] * 2), "strides": stride},
        Kind.CONVOLUTION: {"strides": stride, "pads": ([0] * 4, [layer.padding] * 4)}
        | {"dilations": ([1, 1], [1, 1])},
    }
    for name, (default, own) in attributes.get(layer.kind, {}).items():
        given = _attribute(node, name, default)
        # A file's numbers are of single precision.
        if np.shape(given) != np.shape(own) or not np.allclose(given, own):
            raise _AnotherGraphError(f"{layer.name} has {name} {given}, not {own}")


def _channel(graph: _Graph, name: str, channel: int) -> tuple[int, float, np.ndarray]:
    """What a graph makes a channel of: one of the image's, times a factor, plus a term (1 x 1 or H x W)."""
    factor, term, apart = 1.0, np.zeros((1, 1)), False
    for _ in range(24):
        name = graph.source(name)
        node = graph.node(name)
        if name in graph.inputs and not apart:
            return channel, factor, term
        if step := graph.linear(name):
            name, *own = step
            own = [one.reshape(one.shape[-3:] if one.ndim > 2 else (-1, 1, 1)) for one in own]
            gain, shift = (one[channel if len(one) > 1 else 0] for one in own)
            factor, term = factor * gain.item(), factor * shift + term
        elif node.op_type == "Concat" and not apart and _attribute(node, "axis", 0) == 1:
            name, channel, apart = node.input[channel], 0, True
        elif node.op_type == "Gather" and apart and _attribute(node, "axis", 0) == 1:
            [channel] = graph.integers(node, 1)
            name, apart = node.input[0], False
        else:
            break
    raise WeightsError(
        f"{graph.path} changes the image in a way that is not read here (a node {node.op_type}): leave it out"
    )


def _preprocessing(graph: _Graph, image: str, untouched: Preprocessing) -> Preprocessing:
    """What to do to pixels of 0 to 255 so that the first convolution takes what it does in the graph.

    The value that the graph maps to 0 tells in which unit it takes the image: pixels, or pixels / 255.
    torchvision's ``transform_input`` undoes the normalisation by ImageNet's mean and deviation.
    """
    parts = [_channel(graph, image, channel) for channel in range(3)]
    channels, scale = [part[0] for part in parts], np.array([part[1] for part in parts])
    zero = -np.array(np.broadcast_arrays(*(part[2] for part in parts))) / scale.reshape(3, 1, 1)
    mean = zero.mean(axis=(1, 2))
    if channels == [0, 1, 2] and (scale == 1).all() and not zero.any():
        return untouched
    if channels == [0, 1, 2] and np.allclose([scale, -mean * scale], _TRANSFORM_INPUT, atol=1e-3):
        return TORCHVISION_TRANSFORMED
    least, most = mean.min(), mean.max()
    pixels = 1 < least <= most < 255 or bool((zero == 0).all() and np.allclose(scale, 1 / 255))
    if channels != [0, 1, 2] or not (pixels or 0 < least <= most <= 1):
        raise WeightsError(
            f"{graph.path} takes the channels {channels} of the image, maps {mean.round(4).tolist()} to 0, "
            f"multiplies by {scale.round(4).tolist()}: which pixels that means is unknown; export the "
            "network without it"
        )
    unit = 1 if pixels else 255
    (a, b, c), (x, y, z) = (mean * unit).tolist(), (scale / unit).tolist()
    own = None if (zero == zero[:, :1, :1]).all() else (zero * unit).astype(np.float32)
    return Preprocessing((a, b, c), (x, y, z), mean_image=own)


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
        WeightsError: if it does not hold one GoogLeNet (``from_state_dict``).
        Exception: of any kind, if it is damaged.
    """
    model, tensors = _caffe_model().FromString(path.read_bytes()), {}
    for entry in (*model.layer, *model.layers):
        name = b"".join(entry.name).decode("utf-8", "replace")
        for parameter, blob in zip(("weight", "bias"), entry.blobs, strict=False):
            sides = (blob.num, blob.channels, blob.height, blob.width)
            shape = list(blob.shape[0].dim) if blob.shape else [[1, *side][-1] for side in sides]
            while shape[0] == 1 and len(shape) > (1 if parameter == "bias" else 2):
                del shape[0]  # in 2014 all had four dimensions, with leading ones
            numbers = blob.data or blob.double_data
            array = np.fromiter(numbers, np.float32, len(numbers)).reshape(shape)
            tensors[f"{name}.{parameter}"] = torch.from_numpy(array)
    form = "Caffe model" if model.layer else "Caffe model of the V1 form"
    return WeightFile(from_state_dict(tensors, network, path).tensors, CAFFE, form)


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
