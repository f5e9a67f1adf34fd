"""What other programs exchange networks in, .onnx and .caffemodel: written here, loaded and refused."""

import sys

import numpy as np
import onnx
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import CAFFE, MATLAB
from hep2lib.cnn.weight_files import WeightsError, plain_name, write_safetensors
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
        "classifier included" if classes == 1000 else "fresh classifier for 2 classes, seed 3"
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


def test_our_own_file_keeps_preprocessing_and_provenance(caffemodel, tmp_path):
    source = GoogLeNet("bvlc")
    load_weights(source, caffemodel)
    write_safetensors(source, tmp_path / "tuned" / "net.safetensors")
    network = GoogLeNet("bvlc")
    sentence = load_weights(network, tmp_path / "tuned" / "net.safetensors")
    assert network.state_digest() == source.state_digest()
    assert network.preprocess == CAFFE != MATLAB
    assert source.provenance.description in sentence
    with pytest.raises(WeightsError, match="holds the variant bvlc, the network torchvision"):
        load_weights(GoogLeNet("torchvision"), tmp_path / "tuned" / "net.safetensors")


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
            write_safetensors(network, whole)
    cut = tmp_path / f"cut{ending}"
    data = whole.read_bytes()
    cut.write_bytes(data[: int(len(data) * share)])
    refused(network, cut)


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
        (damage_external, "the values of conv1/7x7_s2_w_0 are in another file"),
        (damage_shape, "does not have the numbers that its shape (1099511627776, 1099511627776, 3) needs"),
        (damage_type, "conv1/7x7_s2_w_0 is of element type 22, which no weights here have"),
        (damage_convolution, "conv1-7x7_s2 has no weights"),
        (damage_reshape, "cannot reshape array"),
        (damage_branches, "loss3-classifier has no constant parameters"),
    ],
)
def test_damaged_onnx_files(steps, tmp_path, damage, words):
    model = onnx.load(reference.write_onnx(steps, tmp_path / "whole.onnx"))
    damage(model)
    (tmp_path / "damaged.onnx").write_bytes(model.SerializeToString())
    refused(GoogLeNet("bvlc"), tmp_path / "damaged.onnx", words)


@pytest.mark.parametrize("classes", [1000, 2])
def test_a_wrong_number_of_classes(steps, tmp_path, classes):
    three = reference.write_caffe(reference.googlenet(classes=3), tmp_path / "three.caffemodel")
    refused(
        GoogLeNet("bvlc", classes), three, f"classifies 3 classes, the network {classes}", "1000 (ImageNet)"
    )


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
    refused(GoogLeNet("bvlc"), path, "is no Caffe model with parameters")


def changed(steps, **edits):
    """The steps with the fields of one of them replaced."""
    name = edits.pop("name")
    return [reference.Step(**(vars(step) | (edits if step.name == name else {}))) for step in steps]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"name": "pool1/norm1", "type": "ReLU"}, "pool1-norm1 is a node Relu, not LRN"),
        ({"name": "conv1/7x7_s2", "stride": 1}, "conv1-7x7_s2 has the stride (1, 1), not (2, 2)"),
        ({"name": "pool4/3x3_s2", "kernel": 2}, "pool4-3x3_s2 has the window (2, 2), not (3, 3)"),
        ({"name": "inception_4b/5x5", "pad": 0}, "inception_4b-5x5 has the padding (0, 0, 0, 0)"),
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
            "the image reaches data through a node Conv",
        ),
        (
            {"name": "pool5/drop_7x7_s1", "bottoms": ["pool5/drop_7x7_s1"]},
            "pool5-7x7_s1 is a node Dropout",
        ),
    ],
)
def test_onnx_files_of_another_graph(steps, tmp_path, edits, words):
    path = reference.write_onnx(changed(steps, **edits), tmp_path / "other.onnx")
    refused(GoogLeNet("bvlc"), path, "another network", words)


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
    refused(GoogLeNet("bvlc"), tmp_path / "page.onnx", "cannot be read as a .onnx file")


@pytest.mark.parametrize("name", ["net.onnx", "net.caffemodel"])
def test_without_the_package_the_message_says_how_to_install_it(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "hep2lib.cnn.exchange_files", raising=False)
    (tmp_path / name).write_bytes(b"")
    words = "the package onnx, which is not installed here; install it with `pip install -e '.[weights]'`"
    refused(GoogLeNet("bvlc"), tmp_path / name, words)
