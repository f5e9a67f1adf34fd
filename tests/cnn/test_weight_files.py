"""Every form of weight file, written here, loaded and refused."""

import pickle
import zipfile

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import torchvision

from hep2lib.cnn import weights
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import CAFFE, MATLAB
from hep2lib.cnn.state_dicts import plain_name, write_safetensors
from hep2lib.cnn.weights import WeightsError, load_weights

from . import reference


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
    assert network.preprocess.size == 224
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


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("variant", ["bvlc", "torchvision"])
def test_our_own_parameters_come_back(tmp_path, ending, variant):
    source = GoogLeNet(variant)
    load_weights(source, "random-caffe", seed=9)
    path = tmp_path / f"ours{ending}"
    if ending == ".pth":
        torch.save({"state_dict": source.state_dict(), "epoch": 3}, path)
    else:
        safetensors.torch.save_file({k: v.contiguous() for k, v in source.state_dict().items()}, path)
    network = GoogLeNet(variant)
    assert "classifier included" in load_weights(network, path)
    assert network.state_digest() == source.state_digest()
    assert network.preprocess == source.preprocess


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


def test_a_live_network_can_be_folded_through_a_file(tmp_path, images):
    live = GoogLeNet("torchvision", batchnorm="train").eval()
    generator = torch.Generator().manual_seed(0)
    for module in live.normalisations.values():
        module.running_mean.normal_(generator=generator)
        module.running_var.uniform_(0.5, 2, generator=generator)
    write_safetensors(live, tmp_path / "live.safetensors")
    folded = GoogLeNet("torchvision").eval()
    load_weights(folded, tmp_path / "live.safetensors")
    with torch.no_grad():
        x = live.preprocess(images)
        assert torch.allclose(folded(x), live(x), rtol=1e-3, atol=1e-4)


# What is refused, each with one message, and leaves the network as it was.


def refused(network: GoogLeNet, path, *parts: str) -> None:
    before = network.state_digest(), network.preprocess, network.provenance
    with pytest.raises(WeightsError) as caught:
        load_weights(network, path)
    message = str(caught.value)
    assert path.name in message
    assert all(part in message for part in parts), message
    assert "\n" not in message
    assert (network.state_digest(), network.preprocess, network.provenance) == before


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


class Payload:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_with_code_in_it_runs_nothing(tmp_path, writer):
    evidence, path = tmp_path / "ran", tmp_path / "code.pth"
    contents = GoogLeNet("bvlc").state_dict() | {"payload": Payload(evidence)}
    if writer == "torch":
        torch.save(contents, path)
    else:
        path.write_bytes(pickle.dumps(contents))
    refused(GoogLeNet("bvlc"), path, "nothing in it was run")
    assert not evidence.exists()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(64, 3, 7, 7).to_sparse(),
        torch.zeros(64, 3, 7, 7, device="meta"),
        torch.zeros(64, 3, 7, 7, dtype=torch.complex64),
        torch.zeros(64, 3, 7, 7, dtype=torch.int64),
    ],
)
def test_tensors_that_hold_no_plain_numbers(tmp_path, tensor):
    network = GoogLeNet("bvlc")
    torch.save(network.state_dict() | {"learnable.conv1-7x7_s2.weight": tensor}, tmp_path / "odd.pth")
    refused(
        network, tmp_path / "odd.pth", "weight of conv1-7x7_s2 is no plain array of floating point numbers"
    )


def test_numbers_too_large_for_float32(tmp_path):
    network = GoogLeNet("bvlc")
    large = torch.full((64, 3, 7, 7), 1e300, dtype=torch.float64)
    torch.save(network.state_dict() | {"learnable.conv1-7x7_s2.weight": large}, tmp_path / "large.pth")
    refused(network, tmp_path / "large.pth", "weight of conv1-7x7_s2 holds NaN or infinity")


def test_a_small_file_that_describes_huge_tensors_takes_no_memory(tmp_path):
    """One number, shown four billion times, before a batch normalisation that is to be folded into it."""
    one = torch.zeros(1)
    state = {
        f"conv1.bn.{name}": one.expand(2**22) for name in ("weight", "bias", "running_mean", "running_var")
    }
    torch.save(state | {"conv1.conv.weight": one.expand(2**22, 1000, 1, 1)}, tmp_path / "huge.pth")
    refused(GoogLeNet("torchvision"), tmp_path / "huge.pth", "bias of conv1-7x7_s2 is missing")


def test_an_archive_that_unpacks_to_more_than_any_network(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "LARGEST", 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(2**20 + 1))
    assert (tmp_path / "bomb.pth").stat().st_size < 2000
    refused(GoogLeNet("bvlc"), tmp_path / "bomb.pth", "is larger than 1 MB")


def test_a_file_larger_than_any_network_is_not_read(tmp_path):
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2**40)
    refused(GoogLeNet("bvlc"), tmp_path / "large.onnx", "is larger than 256 MB")


def test_names_in_a_file_cannot_steer_the_terminal(tmp_path):
    network = GoogLeNet("bvlc")
    torch.save(network.state_dict() | {"\x1b[31m\n" * 5000: torch.zeros(1)}, tmp_path / "names.pth")
    refused(network, tmp_path / "names.pth", "?[31m??[31m?", "belongs to no layer")
    torch.save({1: torch.zeros(1)}, tmp_path / "number.pth")
    refused(network, tmp_path / "number.pth", "does not hold a dictionary of tensors")


@pytest.mark.parametrize(
    "notes",
    [
        "null",
        '{"variant": "bvlc"}',
        '{"variant": "bvlc", "mean": [1], "scale": [1, 1, 1], "order": "rgb", "description": ""}',
        '{"variant": "bvlc", "mean": [NaN, 1, 1], "scale": [1, 1, 1], "order": "rgb", "description": ""}',
        '{"variant": "bvlc", "mean": [1, 1, 1], "scale": [1, 1, 1], "order": "grb", "description": ""}',
    ],
)
def test_damaged_notes_of_our_own_files(tmp_path, notes):
    safetensors.torch.save_file(
        {"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"hep2lib": notes}
    )
    refused(GoogLeNet("bvlc"), tmp_path / "a.safetensors", "cannot be read as a .safetensors file")


def damage_external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"


def damage_shape(model):
    model.graph.initializer[0].dims[:] = [2**40, 2**40, 3]


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


def test_something_else_than_tensors(tmp_path):
    torch.save([1, 2, 3], tmp_path / "list.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "list.pth", "does not hold a dictionary of tensors")


def test_another_networks_weights(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "alexnet.pth")
    refused(
        GoogLeNet("bvlc"),
        tmp_path / "alexnet.pth",
        "weight of conv1-7x7_s2 is missing",
        "and 109 more",
    )


@pytest.mark.parametrize(("written", "built"), [("bvlc", "torchvision"), ("torchvision", "bvlc")])
def test_the_other_variants_weights(tmp_path, written, built):
    torch.save(GoogLeNet(written).state_dict(), tmp_path / "other.pth")
    refused(
        GoogLeNet(built), tmp_path / "other.pth", "weight of inception_3a-5x5 is (32, 16,", "other variant"
    )


def test_torchvisions_file_into_the_bvlc_variant(tmp_path):
    torch.save(torchvision.models.GoogLeNet(1000, init_weights=False).state_dict(), tmp_path / "tv.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "tv.pth", "choose the other variant")


@pytest.mark.parametrize("classes", [1000, 2])
def test_a_wrong_number_of_classes(steps, tmp_path, classes):
    three = reference.write_caffe(reference.googlenet(classes=3), tmp_path / "three.caffemodel")
    refused(
        GoogLeNet("bvlc", classes), three, f"classifies 3 classes, the network {classes}", "1000 (ImageNet)"
    )


def test_nan_in_the_weights(tmp_path):
    state = GoogLeNet("bvlc").state_dict()
    state["learnable.inception_4c-3x3.bias"][5] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "nan.pth", "bias of inception_4c-3x3 holds NaN or infinity")


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
