"""GoogLeNet from Caffe's model, for onnxruntime and OpenCV, and torchvision's with drawn weights."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
import torchvision
from onnx import TensorProto, helper, numpy_helper
from torch import nn

#: Widths as in table 1 of Szegedy et al. 2015: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
TABLE = """
3a  64  96 128 16  32  32
3b 128 128 192 32  96  64
4a 192  96 208 16  48  64
4b 160 112 224 24  64  64
4c 128 128 256 24  64  64
4d 112 144 288 32  64  64
4e 256 160 320 32 128 128
5a 256 160 320 32 128 128
5b 384 192 384 48 128 128
"""


@dataclass
class Step:
    """One layer in Caffe's terms; ``name`` is Caffe's, with a slash."""

    name: str
    type: str
    bottoms: list[str]
    outputs: int = 0
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    blobs: list[np.ndarray] = field(default_factory=list)


def googlenet(classes: int = 1000, seed: int = 0) -> list[Step]:
    """The layers after the input, with weights that keep the signal's size."""
    generator = np.random.default_rng(seed)
    return list(_with_blobs(_steps(classes), generator))


def _steps(classes: int) -> Iterator[Step]:
    def convolution(name: str, bottom: str, outputs: int, kernel: int, stride: int = 1) -> Iterator[Step]:
        block, own = name.split("/")
        yield Step(name, "Convolution", [bottom], outputs, kernel, stride, kernel // 2)
        yield Step(f"{block}/relu_{own.removesuffix('_s2')}", "ReLU", [name])

    yield from convolution("conv1/7x7_s2", "data", 64, 7, 2)
    yield Step("pool1/3x3_s2", "MaxPool", ["conv1/relu_7x7"], kernel=3, stride=2)
    yield Step("pool1/norm1", "LRN", ["pool1/3x3_s2"])
    yield from convolution("conv2/3x3_reduce", "pool1/norm1", 64, 1)
    yield from convolution("conv2/3x3", "conv2/relu_3x3_reduce", 192, 3)
    yield Step("conv2/norm2", "LRN", ["conv2/relu_3x3"])
    yield Step("pool2/3x3_s2", "MaxPool", ["conv2/norm2"], kernel=3, stride=2)
    bottom = "pool2/3x3_s2"
    for line in TABLE.split("\n")[1:-1]:
        number, *widths = line.split()
        block, (a, b, c, d, e, f) = f"inception_{number}", map(int, widths)
        yield from convolution(f"{block}/1x1", bottom, a, 1)
        yield from convolution(f"{block}/3x3_reduce", bottom, b, 1)
        yield from convolution(f"{block}/3x3", f"{block}/relu_3x3_reduce", c, 3)
        yield from convolution(f"{block}/5x5_reduce", bottom, d, 1)
        yield from convolution(f"{block}/5x5", f"{block}/relu_5x5_reduce", e, 5)
        yield Step(f"{block}/pool", "MaxPool", [bottom], kernel=3, pad=1)
        yield from convolution(f"{block}/pool_proj", f"{block}/pool", f, 1)
        branches = [f"{block}/relu_{name}" for name in ("1x1", "3x3", "5x5", "pool_proj")]
        yield Step(f"{block}/output", "Concat", branches)
        bottom = f"{block}/output"
        if number in ("3b", "4e"):
            pool = f"pool{int(number[0])}/3x3_s2"
            yield Step(pool, "MaxPool", [bottom], kernel=3, stride=2)
            bottom = pool
    yield Step("pool5/7x7_s1", "AveragePool", [bottom], kernel=7)
    yield Step("pool5/drop_7x7_s1", "Dropout", ["pool5/7x7_s1"])
    yield Step("loss3/classifier", "InnerProduct", ["pool5/drop_7x7_s1"], classes)
    yield Step("prob", "Softmax", ["loss3/classifier"])


def _with_blobs(steps: Iterator[Step], generator: np.random.Generator) -> Iterator[Step]:
    channels = {"data": 3}
    for step in steps:
        inputs = sum(channels[bottom] for bottom in step.bottoms)
        channels[step.name] = step.outputs or inputs
        if step.outputs:
            shape = (step.outputs, inputs, step.kernel, step.kernel)
            deviation = (2 / (inputs * step.kernel**2)) ** 0.5
            weight = generator.normal(0, deviation, shape).astype(np.float32)
            step.blobs = [weight, generator.normal(0, 0.5, step.outputs).astype(np.float32)]
        yield step


def write_onnx(
    steps: list[Step],
    path: Path,
    *,
    style: str = "zoo",
    mean: np.ndarray | None = None,
    outputs: bool = False,
) -> Path:
    """Write the network as ONNX.

    ``style``: "zoo" (the model zoo's: names with slashes, the classifier's weights behind a Reshape),
    "matlab" (names with underscores, Gemm) or "matmul" (the same with MatMul and Add). ``mean`` is subtracted
    first. ``outputs`` makes every layer's value a result.
    """
    nodes, weights = [], []
    values = {"data": "data_0"}

    def constant(name: str, array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    if mean is not None:
        nodes.append(helper.make_node("Sub", ["data_0", constant("data_Mean", mean)], ["data_1"]))
        values["data"] = "data_1"
    for step in steps:
        name = step.name if style == "zoo" else step.name.replace("/", "_")
        values[step.name] = f"{name}_1"
        own = ("_w_0", "_b_0") if style == "zoo" else ("_W", "_B")
        nodes += _nodes(
            step, name, own, style, [values[b] for b in step.bottoms], values[step.name], constant
        )
    results = [values[step.name] for step in steps] if outputs else [values[steps[-1].name]]
    graph = helper.make_graph(
        nodes,
        "googlenet",
        [helper.make_tensor_value_info("data_0", TensorProto.FLOAT, ["N", 3, 224, 224])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8), path)
    return path


def _nodes(step, name, own, style, inputs, output, constant) -> list:
    node = helper.make_node
    window = {"kernel_shape": [step.kernel] * 2, "strides": [step.stride] * 2}
    if step.type == "Convolution":
        blobs = [constant(f"{name}{end}", blob) for end, blob in zip(own, step.blobs, strict=True)]
        return [node("Conv", [*inputs, *blobs], [output], pads=[step.pad] * 4, **window)]
    if step.type == "MaxPool":
        pads = [step.pad] * 4 if step.pad else [0, 0, 1, 1]
        return [node("MaxPool", inputs, [output], pads=pads, **window)]
    if step.type == "AveragePool":
        return [node("AveragePool", inputs, [output], **window)]
    if step.type == "LRN":
        return [node("LRN", inputs, [output], size=5, alpha=1e-4, beta=0.75, bias=1.0)]
    if step.type == "Concat":
        return [node("Concat", inputs, [output], axis=1)]
    if step.type == "InnerProduct":
        return _classifier(step, name, own, style, inputs[0], output, constant)
    return [node({"ReLU": "Relu"}.get(step.type, step.type), inputs, [output])]


def _classifier(step, name, own, style, value, output, constant) -> list:
    node = helper.make_node
    weight = step.blobs[0][:, :, 0, 0]
    flat = node("Flatten", [value], [f"{name}_flat"])
    bias = constant(f"{name}{own[1]}", step.blobs[1])
    if style == "matmul":
        product = node("MatMul", [f"{name}_flat", constant(f"{name}{own[0]}", weight.T)], [f"{name}_p"])
        return [flat, product, node("Add", [f"{name}_p", bias], [output])]
    if style == "matlab":
        return [flat, node("Gemm", [f"{name}_flat", constant(f"{name}{own[0]}", weight.T), bias], [output])]
    stored = constant(f"{name}{own[0]}", weight[None, None])
    shape = constant("shape", np.array(weight.shape))
    return [
        flat,
        node("Reshape", [stored, shape], [f"{name}_w_1"]),
        node("Gemm", [f"{name}_flat", f"{name}_w_1", bias], [output], transB=1),
    ]


def prototxt(steps: list[Step]) -> str:
    """Caffe's description of the network, for OpenCV."""
    text = ['input: "data" input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }']
    for step in steps:
        bottoms = " ".join(f'bottom: "{bottom}"' for bottom in step.bottoms)
        window = f"kernel_size: {step.kernel} stride: {step.stride} pad: {step.pad}"
        kind, parameters = {
            "Convolution": (
                "Convolution",
                f"convolution_param {{ num_output: {step.outputs} {window} }}",
            ),
            "ReLU": ("ReLU", ""),
            "MaxPool": ("Pooling", f"pooling_param {{ pool: MAX {window} }}"),
            "AveragePool": ("Pooling", f"pooling_param {{ pool: AVE {window} }}"),
            "LRN": ("LRN", "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"),
            "Concat": ("Concat", ""),
            "Dropout": ("Dropout", "dropout_param { dropout_ratio: 0.4 }"),
            "InnerProduct": ("InnerProduct", f"inner_product_param {{ num_output: {step.outputs} }}"),
            "Softmax": ("Softmax", ""),
        }[step.type]
        text.append(
            f'layer {{ name: "{step.name}" type: "{kind}" {bottoms} top: "{step.name}" {parameters} }}'
        )
    return "\n".join(text)


def write_caffe(steps: list[Step], path: Path, *, form: str = "today", heads: bool = False) -> Path:
    """Write the parameters as a .caffemodel, bit by bit as caffe.proto has it.

    ``form``: "today" (LayerParameter, shapes as BlobShape) or "V1" (V1LayerParameter of 2014, four
    dimensions). ``heads`` adds auxiliary heads with parameters of their own.
    """
    entries = [(step.name, step.type, step.blobs) for step in steps]
    if heads:
        entries += [
            (f"loss{i}/{n}", "Convolution", [np.ones((128, 512, 1, 1), np.float32)])
            for i in (1, 2)
            for n in ("conv", "classifier")
        ]
    layers = []
    for name, kind, blobs in entries:
        full = kind == "InnerProduct"
        if form == "today":
            parts = [_bytes(1, name.encode()), _bytes(2, kind.encode())]
            parts += [
                _bytes(7, _blob(blob[:, :, 0, 0] if full and blob.ndim == 4 else blob)) for blob in blobs
            ]
            layers.append(_bytes(100, b"".join(parts)))
        else:
            legacy = [blob[:, :, 0, 0][None, None] if full and blob.ndim == 4 else blob for blob in blobs]
            parts = [_bytes(4, name.encode()), _integer(5, 4), *(_bytes(6, _blob_v1(b)) for b in legacy)]
            layers.append(_bytes(2, b"".join(parts)))
    path.write_bytes(_bytes(1, b"GoogleNet") + b"".join(layers))
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _blob(array: np.ndarray) -> bytes:
    shape = _bytes(1, b"".join(map(_varint, array.shape)))
    return _bytes(7, shape) + _bytes(5, array.astype("<f4").tobytes())


def _blob_v1(array: np.ndarray) -> bytes:
    shape = (1,) * (4 - array.ndim) + array.shape
    dimensions = b"".join(_integer(i, size) for i, size in enumerate(shape, 1))
    return dimensions + _bytes(5, array.astype("<f4").tobytes())


def drawn_torchvision(seed: int, **options: bool) -> nn.Module:
    """torchvision's network for two classes in evaluation mode, all parameters and statistics drawn."""
    model = torchvision.models.GoogLeNet(2, aux_logits=False, init_weights=False, **options).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("conv.weight"):
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "bn.weight")):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif name.endswith(("running_mean", "bn.bias")):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
    return model
