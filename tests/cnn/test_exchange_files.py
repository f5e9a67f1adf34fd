"""What other programs exchange networks in, .onnx and .caffemodel: written here, loaded and refused."""

import shutil
import sys
import warnings

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import CAFFE, TORCHVISION_TRANSFORMED
from hep2lib.cnn.weight_files import WeightsError, plain_name, write_body
from hep2lib.cnn.weights import load_weights

from . import reference
from .test_weight_files import refused


@pytest.fixture(scope="module")
def steps():
    return reference.googlenet()


@pytest.fixture(scope="module")
def caffemodel(steps, tmp_path_factory):
    return reference.write_caffe(steps, tmp_path_factory.mktemp("caffe") / "googlenet.caffemodel")


@pytest.fixture(scope="module")
def blobs(steps):
    """Weights and biases by layer, without the signs in which the names differ."""
    return {plain_name(step.name): step.blobs for step in steps if step.blobs}


def loaded_as_written(network, blobs, classifier: bool) -> bool:
    names = [name for name in network.learnable if classifier or name != "loss3-classifier"]
    return all(
        np.array_equal(module.detach().numpy().reshape(blob.shape), blob)
        for name in names
        for module, blob in zip(network[name].parameters(), blobs[plain_name(name)], strict=True)
    )


@pytest.mark.parametrize("style", ["zoo", "matlab", "matmul"])
@pytest.mark.parametrize("classes", [2, 1000])
def test_onnx_in_every_style(steps, blobs, tmp_path, style, classes):
    path = reference.write_onnx(steps, tmp_path / f"{style}.onnx", style=style)
    network = GoogLeNet("bvlc", classes)
    sentence = load_weights(network, path, seed=3)
    assert loaded_as_written(network, blobs, classifier=classes == 1000)
    assert f"{style}.onnx (ONNX file; sha256 " in sentence
    assert (
        "classifier included"
        if classes == 1000
        else "; its classifier of 1000 classes replaced by a fresh one for 2 classes, seed 3"
    ) in sentence
    assert network.preprocess == CAFFE
    assert network.provenance.source == f"{style}.onnx"


@pytest.mark.parametrize(("form", "heads"), [("today", False), ("today", True), ("V1", False), ("V1", True)])
def test_caffe_models_of_both_forms(steps, blobs, tmp_path, form, heads):
    path = reference.write_caffe(steps, tmp_path / "net.caffemodel", form=form, heads=heads)
    network = GoogLeNet("bvlc", classes=1000)
    load_weights(network, path)
    assert loaded_as_written(network, blobs, classifier=True)
    assert network.preprocess == CAFFE


def test_the_mean_a_matlab_file_carries_is_used_and_its_channels_stay_red_first(steps, images, tmp_path):
    """A loader that forgets either moves pool2 by half its range, and the logits hardly at all."""
    mean = np.array([123.5, 117.25, 104.75], np.float32).reshape(1, 3, 1, 1)
    path = reference.write_onnx(steps, tmp_path / "matlab.onnx", style="matlab", mean=mean)
    network = GoogLeNet("bvlc").eval()
    load_weights(network, path)
    assert network.preprocess.mean == (123.5, 117.25, 104.75)
    assert network.preprocess.order == "rgb"
    with torch.no_grad():
        right = network.split(11).prefix(network.preprocess(images))
        pixels = images.float() - torch.from_numpy(mean)
        assert torch.allclose(network.split(11).prefix(pixels), right, atol=1e-4)
        for wrong in (images.float(), pixels.flip(1)):
            moved = network.split(11).prefix(wrong) - right
            assert moved.abs().max() > 0.1 * right.abs().max()


def test_caffe_files_take_blue_first(caffemodel, images):
    network = GoogLeNet("bvlc").eval()
    load_weights(network, caffemodel)
    with torch.no_grad():
        value = network.split(11).prefix(network.preprocess(images))
        by_hand = images.flip(1).float() - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
        assert torch.allclose(network.split(11).prefix(by_hand), value, atol=1e-4)


def test_a_mean_image_is_kept_and_a_constant_one_is_three_numbers(steps, tmp_path):
    image = np.random.default_rng(0).uniform(90, 130, (1, 3, 224, 224)).astype(np.float32)
    network = GoogLeNet("bvlc")
    load_weights(network, reference.write_onnx(steps, tmp_path / "a.onnx", mean=image))
    assert np.array_equal(network.preprocess.mean_image, image[0])
    assert network.preprocess.mean_image.shape == (3, 224, 224)
    constant = np.full((1, 3, 224, 224), 100, np.float32)
    load_weights(network, reference.write_onnx(steps, tmp_path / "b.onnx", mean=constant))
    assert network.preprocess.mean_image is None
    assert network.preprocess.mean == (100.0, 100.0, 100.0)


def test_onnx_tensors_of_other_encodings(steps, blobs, tmp_path):
    """Numbers in a list instead of raw bytes, and a bias as a constant node."""
    path = reference.write_onnx(steps, tmp_path / "a.onnx", style="matlab")
    model = onnx.load(path)
    first, second = (tensor for tensor in model.graph.initializer if tensor.name.startswith("conv1"))
    listed = onnx.helper.make_tensor(
        first.name, onnx.TensorProto.FLOAT, first.dims, onnx.numpy_helper.to_array(first).ravel()
    )
    constant = onnx.helper.make_node("Constant", [], [second.name], value=second)
    model.graph.initializer.remove(first)
    model.graph.initializer.remove(second)
    model.graph.initializer.append(listed)
    model.graph.node.insert(0, constant)
    onnx.save(model, path)
    network = GoogLeNet("bvlc", 1000)
    load_weights(network, path)
    assert loaded_as_written(network, blobs, classifier=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("ending", [".onnx", ".caffemodel", ".pth", ".safetensors"])
def test_truncated_files(steps, caffemodel, tmp_path, ending, share):
    network = GoogLeNet("bvlc")
    whole = tmp_path / f"whole{ending}"
    match ending:
        case ".onnx":
            reference.write_onnx(steps, whole)
        case ".caffemodel":
            whole.write_bytes(caffemodel.read_bytes())
        case ".pth":
            torch.save(network.state_dict(), whole)
        case ".safetensors":
            write_body(network, whole)
    cut = tmp_path / f"cut{ending}"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    protobuf = ending in (".onnx", ".caffemodel")  # whose parser does not tell why it stops
    words = "is damaged or cut off" if protobuf else "ends early (is truncated)"
    refused(network, cut, words if share else "is empty")


def damage_external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"


def damage_shape(model):
    model.graph.initializer[0].dims[:] = [2**40, 2**40, 3]


def damage_type(model):
    """Four bits an element: a reader that believes the shape takes half a terabyte."""
    model.graph.initializer[0].data_type = onnx.TensorProto.INT4
    model.graph.initializer[0].dims[:] = [2**40]


def damage_convolution(model):
    del model.graph.node[0].input[1:]


def damage_reshape(model):
    shape = next(tensor for tensor in model.graph.initializer if tensor.name == "shape")
    shape.CopyFrom(onnx.numpy_helper.from_array(np.array([7, -1]), "shape"))


def damage_branches(model):
    """A constant behind eight nodes of forty inputs each: 40 to the 8th paths lead to it."""
    for i in range(8):
        source = f"i{i - 1}" if i else "loss3/classifier_w_0"
        model.graph.node.append(onnx.helper.make_node("Identity", [source] * 40, [f"i{i}"]))
    next(node for node in model.graph.node if node.op_type == "Reshape").input[0] = "i7"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_external, "Invalid name '../../../etc/passwd'"),
        (damage_shape, "cannot reshape array of size 9408 into shape (1099511627776,"),
        (damage_type, "conv1/7x7_s2_w_0 is of element type 22, which no weights are"),
        (damage_convolution, "conv1-7x7_s2 has no constant parameters"),
        (damage_reshape, "cannot reshape array"),
        (damage_branches, "loss3-classifier has no constant parameters"),
    ],
)
def test_damaged_onnx_files(steps, tmp_path, damage, words):
    model = onnx.load(reference.write_onnx(steps, tmp_path / "whole.onnx"))
    damage(model)
    (tmp_path / "damaged.onnx").write_bytes(model.SerializeToString())
    refused(GoogLeNet("bvlc"), tmp_path / "damaged.onnx", words)


@pytest.mark.parametrize("form", ["onnx", "caffemodel"])
@pytest.mark.parametrize("classes", [3, 0])
def test_a_body_of_any_number_of_classes(tmp_path, form, classes):
    steps = reference.googlenet(classes=classes or 2)
    if not classes:
        steps = steps[: next(i for i, step in enumerate(steps) if step.name == "loss3/classifier")]
    path = getattr(reference, f"write_{form.removesuffix('model')}")(steps, tmp_path / f"net.{form}")
    network = GoogLeNet("bvlc")
    words = "its classifier of 3 classes replaced by" if classes else "without a classifier;"
    assert load_weights(network, path).endswith(f"); {words} a fresh one for 2 classes, seed 0")
    blobs = {plain_name(step.name): step.blobs for step in steps if step.blobs}
    assert loaded_as_written(network, blobs, classifier=False)


def test_a_graph_that_yields_features_too_has_its_classifier(steps, blobs, tmp_path):
    model = onnx.load(reference.write_onnx(steps, tmp_path / "both.onnx"))
    model.graph.output.insert(0, onnx.ValueInfoProto(name="pool5/7x7_s1_1"))
    onnx.save(model, tmp_path / "both.onnx")
    network = GoogLeNet("bvlc", 1000)
    assert load_weights(network, tmp_path / "both.onnx").endswith("; classifier included")
    assert loaded_as_written(network, blobs, classifier=True)


def test_a_damaged_blob(steps, tmp_path):
    other = [step for step in steps if step.name != "inception_5b/1x1"]
    refused(
        GoogLeNet("bvlc"),
        reference.write_caffe(other, tmp_path / "lost.caffemodel"),
        "weight of inception_5b-1x1 is missing",
    )


def test_a_description_instead_of_a_caffe_model(steps, tmp_path):
    empty = [reference.Step(step.name, step.type, step.bottoms) for step in steps]
    path = reference.write_caffe(empty, tmp_path / "empty.caffemodel")
    refused(GoogLeNet("bvlc"), path, "holds no GoogLeNet", "Tensors: none")


def changed(steps, **edits):
    """The steps with the fields of one of them replaced."""
    name = edits.pop("name")
    return [reference.Step(**(vars(step) | (edits if step.name == name else {}))) for step in steps]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"name": "pool1/norm1", "type": "ReLU"}, "pool1-norm1 is a node Relu, not LRN"),
        ({"name": "conv1/7x7_s2", "stride": 1}, "conv1-7x7_s2 has strides [1, 1], not [2, 2]"),
        ({"name": "pool4/3x3_s2", "kernel": 2}, "pool4-3x3_s2 has kernel_shape [2, 2], not [3, 3]"),
        ({"name": "inception_4b/5x5", "pad": 0}, "inception_4b-5x5 has pads [0, 0, 0, 0], not [2, 2, 2, 2]"),
        (
            {"name": "inception_3a/output", "bottoms": ["inception_3a/relu_1x1", "inception_3a/relu_3x3"]},
            "inception_3a-output joins 2 values, not 4",
        ),
        (
            {"name": "inception_4c/1x1", "bottoms": ["inception_4a/output"]},
            "the layers after inception_4b-output take different values",
        ),
        ({"name": "loss3/classifier", "type": "ReLU"}, "loss3-classifier is a node Relu"),
        (
            {"name": "conv1/7x7_s2", "bottoms": ["conv1/7x7_s2"]},
            "changes the image in a way that is not read here (a node Conv)",
        ),
        (
            {"name": "pool5/drop_7x7_s1", "bottoms": ["pool5/drop_7x7_s1"]},
            "pool5-7x7_s1 is a node Dropout",
        ),
    ],
)
def test_onnx_files_of_another_graph(steps, tmp_path, edits, words):
    path = reference.write_onnx(changed(steps, **edits), tmp_path / "other.onnx")
    refused(GoogLeNet("bvlc"), path, words)


def test_two_layers_of_one_shape_are_told_apart_by_the_graph(steps, blobs, tmp_path):
    """In block 3b the 1x1 and the 3x3 reduce have the same shape; the file lists them the other way round."""
    names = [step.name for step in steps]
    one, reduce = names.index("inception_3b/1x1"), names.index("inception_3b/3x3_reduce")
    order = [*range(one), reduce, reduce + 1, one, one + 1, *range(reduce + 2, len(steps))]
    path = reference.write_onnx([steps[i] for i in order], tmp_path / "swapped.onnx", style="matlab")
    network = GoogLeNet("bvlc", 1000)
    load_weights(network, path)
    assert loaded_as_written(network, blobs, classifier=True)


def test_an_onnx_file_without_a_graph(tmp_path):
    (tmp_path / "page.onnx").write_text("<!doctype html><title>Not found</title>")
    refused(GoogLeNet("bvlc"), tmp_path / "page.onnx", "is a web page")


@pytest.mark.parametrize("name", ["net.onnx", "net.caffemodel"])
def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "hep2lib.cnn.exchange_files", raising=False)
    (tmp_path / name).write_bytes(b"\x08\x07" if name == "net.onnx" else b"\n\x03net\0")
    words = "the package onnx, which is not installed here; install it with `pip install -e '.[weights]'`"
    refused(GoogLeNet("bvlc"), tmp_path / name, words)


# torchvision's network as its own exporter writes it.

MEAN, DEVIATION = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


class Normalised(nn.Module):
    """A network that normalises the image itself, as people export theirs."""

    def __init__(self, network, unit):
        super().__init__()
        self.network, self.mean, self.deviation = network, MEAN * unit, DEVIATION * unit

    def forward(self, x):
        return self.network((x - self.mean) / self.deviation)


class Swapped(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.flip(1))


@pytest.fixture(scope="module")
def theirs():
    """torchvision's network, two classes, whose statistics change what it computes."""
    return reference.drawn_torchvision(5, transform_input=True)


@pytest.fixture(scope="module")
def expected(theirs, full_images):
    """What torchvision's network makes of the images, normalised as its pre-trained weights ask for."""
    with torch.no_grad():
        return theirs((full_images / 255 - MEAN) / DEVIATION)


@pytest.fixture(scope="module")
def built():
    """Networks of both variants, built once."""
    return {variant: GoogLeNet(variant).eval() for variant in ("bvlc", "torchvision")}


def export(module, path, **options):
    """Write a module with PyTorch's exporter of TorchScript."""
    options = {"opset_version": 13, "dynamo": False} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is a newer exporter
        torch.onnx.export(module, torch.zeros(1, 3, 224, 224), path, **options)
    return path


@pytest.fixture(scope="module")
def exported(theirs, tmp_path_factory):
    """A file with batch normalisation folded into the convolutions, and one with its nodes."""
    folder = tmp_path_factory.mktemp("exported")
    folded = export(theirs, folder / "folded.onnx")
    return {"folded": folded, "live": export(theirs, folder / "live.onnx", do_constant_folding=False)}


def edited(path, target, edit):
    model = onnx.load(path)
    edit(model.graph)
    onnx.save(model, target)
    return target


def in_half_precision(graph):
    """Weights of 16 bits behind casts, as converters leave them."""
    for tensor in list(graph.initializer):
        array = onnx.numpy_helper.to_array(tensor)
        if array.ndim > 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}_half"))
            name = tensor.name.removesuffix("_half")
            graph.node.insert(0, onnx.helper.make_node("Cast", [tensor.name], [name], to=1))


def as_the_newer_exporter(graph):
    """The mean over two axes, a Reshape and a Dropout instead of pooling and Flatten."""
    for node in graph.node:
        if node.op_type == "GlobalAveragePool":
            node.op_type = "ReduceMean"
            node.attribute.append(onnx.helper.make_attribute("axes", [2, 3]))
        elif node.op_type == "Flatten":
            node.op_type = "Reshape"
            del node.attribute[:]
            graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 1024]), "flat"))
            node.input.append("flat")


def with_two_heads(graph):
    """An auxiliary head's result before the network's own."""
    graph.node.append(onnx.helper.make_node("GlobalAveragePool", [graph.node[30].output[0]], ["aux"]))
    graph.output.insert(0, onnx.helper.make_tensor_value_info("aux", 1, None))


def with_log_softmax(graph):
    graph.node.append(onnx.helper.make_node("LogSoftmax", [graph.output[0].name], ["scores"]))
    graph.output[0].name = "scores"


def with_a_bias_apart(graph):
    """The last convolution without bias, and a sum and a product behind it."""
    node = [node for node in graph.node if node.op_type == "Conv"][-1]
    bias = next(tensor for tensor in graph.initializer if tensor.name == node.input[2])
    array = onnx.numpy_helper.to_array(bias).reshape(-1, 1, 1)
    bias.CopyFrom(onnx.numpy_helper.from_array(array / 2, bias.name))
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))
    first, last = f"{node.output[0]}_half", node.output[0]
    graph.node.append(onnx.helper.make_node("Div", [f"{first}_sum", "half"], [last]))
    graph.node.append(onnx.helper.make_node("Add", [node.input[2], f"{first}_scaled"], [f"{first}_sum"]))
    graph.node.append(onnx.helper.make_node("Mul", ["half", first], [f"{first}_scaled"]))
    del node.input[2]
    node.output[0] = first


@pytest.mark.parametrize("form", ["folded", "live"])
@pytest.mark.parametrize(
    ("edit", "tolerance"),
    [
        (lambda graph: None, 1e-4),
        (in_half_precision, 1e-2),
        (as_the_newer_exporter, 1e-4),
        (with_two_heads, 1e-4),
        (with_log_softmax, 1e-4),
    ],
)
def test_torchvisions_export_computes_what_torchvision_does(
    exported, expected, built, full_images, tmp_path, form, edit, tolerance
):
    network = built["torchvision"]
    sentence = load_weights(network, edited(exported[form], tmp_path / "net.onnx", edit))
    assert "(ONNX file; sha256 " in sentence
    assert network.preprocess == TORCHVISION_TRANSFORMED
    with torch.no_grad():
        assert (network(network.preprocess(full_images)) - expected).abs().max() < tolerance * expected.std()


def test_factors_and_terms_behind_a_convolution_are_folded(exported, expected, built, full_images, tmp_path):
    network = built["torchvision"]
    load_weights(network, edited(exported["folded"], tmp_path / "net.onnx", with_a_bias_apart))
    with torch.no_grad():
        assert (network(network.preprocess(full_images)) - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize(
    ("unit", "opset", "mean", "scale"),
    [
        (1, 9, (127.5, 127.5, 127.5), (1 / 127.5, 1 / 127.5, 1 / 127.5)),
        (255, 18, (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)),
    ],
)
def test_a_graph_that_normalises_the_image(
    theirs, built, full_images, tmp_path, monkeypatch, unit, opset, mean, scale
):
    """Of values 0 to 1, with torchvision's own transformation behind it, and of pixels, without that."""
    monkeypatch.setattr(theirs, "transform_input", unit == 1)
    module, network = Normalised(theirs, unit).eval(), built["torchvision"]
    sentence = load_weights(network, export(module, tmp_path / "net.onnx", opset_version=opset))
    assert "(ONNX file with its own preprocessing; " in sentence
    assert network.preprocess.mean == pytest.approx(mean, rel=1e-5)
    assert network.preprocess.scale == pytest.approx(scale, rel=1e-5)
    with torch.no_grad():
        expected = module(full_images * (unit / 255))
        assert (network(network.preprocess(full_images)) - expected).abs().max() < 1e-4 * expected.std()


def test_values_in_a_file_beside_the_graph(exported, built, tmp_path):
    model = onnx.load(exported["folded"])
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data")
    network = built["torchvision"]
    load_weights(network, exported["folded"])
    digest = network.state_digest()
    load_weights(network, tmp_path / "net.onnx")
    assert network.state_digest() == digest
    sha256 = network.provenance.sha256
    data = (tmp_path / "net.onnx.data").read_bytes()
    (tmp_path / "net.onnx.data").write_bytes(data[:-4] + bytes(4))
    load_weights(network, tmp_path / "net.onnx")
    assert network.provenance.sha256 != sha256
    for left in (data[: len(data) // 2], None):
        (tmp_path / "net.onnx.data").unlink()
        if left is not None:
            (tmp_path / "net.onnx.data").write_bytes(left)
        refused(
            network, tmp_path / "net.onnx", "keeps its values in", "net.onnx.data, which is missing or ends"
        )


def quantised(graph):
    graph.node[-1].op_type = "QGemm"
    next(node for node in graph.node if node.op_type == "Conv").op_type = "QLinearConv"


def scaled(graph):
    """Nothing tells whether this takes pixels, or pixels / 255."""
    first = next(node for node in graph.node if node.op_type == "Conv")
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(2), "two"))
    graph.node.append(onnx.helper.make_node("Mul", [graph.input[0].name, "two"], ["twice"]))
    first.input[0] = "twice"


def gone_round(graph):
    """A sum of itself."""
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(2), "two"))
    graph.node.append(onnx.helper.make_node("Add", ["round", "two"], ["round"]))
    graph.node[-2].input[0] = "round"
    next(node for node in graph.node if node.op_type == "Conv").input[0] = "round"


def joined_without_end(graph):
    """Twenty joins of three values each: 3 to the 20th paths lead to the image."""
    for i in range(20):
        parts = [f"j{i - 1}" if i else graph.input[0].name] * 3
        graph.node.append(onnx.helper.make_node("Concat", parts, [f"j{i}"], axis=1))
    next(node for node in graph.node if node.op_type == "Conv").input[0] = "j19"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (joined_without_end, "changes the image in a way that is not read here (a node Concat)"),
        (quantised, "is quantised (QLinearConv)"),
        (scaled, "multiplies by [2.0, 2.0, 2.0]: which pixels that means is unknown"),
        (gone_round, "pool5-7x7_s1 is a node Add, not average pooling"),
    ],
)
def test_exports_that_are_named_for_what_they_are(exported, built, tmp_path, edit, words):
    refused(built["torchvision"], edited(exported["folded"], tmp_path / "net.onnx", edit), words)


def test_a_graph_that_swaps_the_channels_is_refused(theirs, built, tmp_path):
    path = export(Swapped(theirs).eval(), tmp_path / "bgr.onnx")
    refused(built["torchvision"], path, "changes the image in a way that is not read here (a node Slice)")


@pytest.mark.parametrize("form", ["folded", "live"])
def test_an_export_of_the_other_variant_is_called_so(exported, built, form):
    words = "holds the variant torchvision, the network bvlc: choose variant=torchvision"
    refused(built["bvlc"], exported[form], words)


def test_a_bvlc_graph_for_the_torchvision_variant(steps, built, tmp_path):
    words = "holds the variant bvlc, the network torchvision: choose variant=bvlc"
    refused(built["torchvision"], reference.write_onnx(steps, tmp_path / "zoo.onnx"), words)


@pytest.mark.parametrize("ending", [".pth", ".caffemodel", ""])
def test_the_ending_of_the_name_does_not_matter(exported, built, tmp_path, ending):
    shutil.copy(exported["folded"], tmp_path / f"net{ending}")
    assert "ONNX file" in load_weights(built["torchvision"], tmp_path / f"net{ending}")


@pytest.mark.slow
def test_sixty_files_broken_at_random(exported, theirs, steps, caffemodel, built, tmp_path):
    """One message or the numbers of the file; no other error, and never a part of a file."""
    torch.save({"model": theirs.state_dict(), "epoch": 3}, tmp_path / "whole.pth")
    write_body(built["torchvision"], tmp_path / "whole.safetensors")
    wholes = [exported["live"], tmp_path / "whole.pth", tmp_path / "whole.safetensors", caffemodel]
    generator = np.random.default_rng(16)
    path = tmp_path / "broken"

    def numbers(network):
        return [float(value.sum()) for value in network.state_dict().values()]

    before = {variant: numbers(network) for variant, network in built.items()}
    for i in range(60):
        whole = wholes[i % 4]
        variant = "bvlc" if whole == caffemodel else "torchvision"
        data = bytearray(whole.read_bytes())
        place = int(generator.integers(min(len(data), 10 ** int(generator.integers(1, 7)))))
        match i // 4 % 3:
            case 0:
                del data[int(generator.integers(len(data))) :]
            case 1:
                for near in generator.integers(0, place + 1, 8):
                    data[near] ^= int(generator.integers(1, 256))
            case 2:
                data[place : place + int(generator.integers(40))] = generator.bytes(20)
        path.write_bytes(data)
        caught = None
        try:
            load_weights(built[variant], path)
        except WeightsError as error:
            caught = error
        if caught is not None:
            assert str(path) in str(caught)
            assert "\n" not in str(caught)
            assert numbers(built[variant]) == before[variant]
        before[variant] = numbers(built[variant])
