"""PyTorch's forms of weight file written here, loaded and refused, and batch normalisation folded in them."""

import argparse
import gzip
import io
import math
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

from hep2lib.cnn import weights
from hep2lib.cnn.googlenet import LAYERS, GoogLeNet, Provenance
from hep2lib.cnn.layers import CLASSIFIER
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.cnn.weight_files import (
    EPSILON,
    STATISTICS,
    WeightsError,
    fill,
    fold,
    from_state_dict,
    listed,
    plain_name,
    read_pth,
    torchvision_name,
    write_body,
)
from hep2lib.cnn.weights import load_weights


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        ("conv1-7x7_s2", "conv1"),
        ("conv2-3x3", "conv3"),
        ("inception_3a-1x1", "inception3a.branch1"),
        ("inception_4e-3x3_reduce", "inception4e.branch2.0"),
        ("inception_5b-5x5", "inception5b.branch3.1"),
        ("inception_5b-pool_proj", "inception5b.branch4.1"),
        ("loss3-classifier", "fc"),
    ],
)
def test_torchvisions_names(layer, name):
    assert torchvision_name(layer) == name


def test_one_name_in_all_signs():
    names = ("inception_3a-3x3_reduce", "inception_3a/3x3_reduce", "inception_3a_3x3_reduce")
    assert {plain_name(name) for name in names} == {"inception_3a_3x3_reduce"}


def test_caffes_names_in_a_parallel_wrapper():
    network = GoogLeNet("bvlc")
    state = {
        "module." + name.removeprefix("learnable.").replace("-", "/"): value
        for name, value in network.state_dict().items()
    }
    state["module.loss1/conv.weight"] = torch.zeros(1)
    assert set(from_state_dict(state, network).tensors) == set(network.state_dict())


def test_statistics_of_another_width_are_refused():
    network = GoogLeNet("torchvision", batchnorm="train")
    state = dict(network.state_dict())
    state["normalisations.conv2-3x3.running_var"] = torch.ones(3)
    with pytest.raises(WeightsError, match="it: the batch normalisation of conv2-3x3 does not fit"):
        from_state_dict(state, GoogLeNet("torchvision"))


def test_what_is_wrong_is_listed_and_the_rest_counted():
    assert listed(["a", "b"]) == "a; b"
    assert listed([str(i) for i in range(11)]) == "0; 1; 2; 3; 4; 5; 6; 7; and 3 more"


def test_an_unknown_parameter_is_named():
    network = GoogLeNet("bvlc")
    with pytest.raises(WeightsError, match=r"f\.pth does not hold .*: weight of extra belongs to no layer"):
        fill(network, network.state_dict() | {"learnable.extra.weight": torch.zeros(1)}, "f.pth")


def test_folding_one_channel_by_hand():
    statistics = {"weight": 3.0, "bias": 5.0, "running_mean": 2.0, "running_var": 4.0 - 1e-3}
    tensors = {name: torch.tensor([value]) for name, value in statistics.items()}
    weight, bias = fold(torch.full((1, 1, 1, 1), 8.0), tensors)
    assert weight.item() == pytest.approx(8 * 3 / 2)
    assert bias.item() == pytest.approx(5 - 2 * 3 / 2)


def test_a_folded_convolution_computes_the_same():
    generator = torch.Generator().manual_seed(0)
    convolution, normalisation = nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6, eps=1e-3).eval()
    for tensor in normalisation.state_dict().values():
        if tensor.ndim:
            tensor.copy_(torch.rand(6, generator=generator) + 0.5)
    weight, bias = fold(convolution.weight.detach(), normalisation.state_dict())
    x = torch.randn(2, 4, 8, 8, generator=generator)
    assert torch.allclose(
        normalisation(convolution(x)), nn.functional.conv2d(x, weight, bias), rtol=1e-5, atol=1e-5
    )


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


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """A file of a network without its classifier, and the network, whose batch normalisation is live."""
    live = GoogLeNet("torchvision", 5, batchnorm="train").eval()
    generator = torch.Generator().manual_seed(0)
    for module in live.normalisations.values():
        module.running_mean.normal_(generator=generator)
        module.running_var.uniform_(0.5, 2, generator=generator)
    live.preprocess = Preprocessing((7.0, 8.0, 9.5), (0.5, 0.1, 1 / 3), "bgr")
    live.provenance = Provenance("taught", "", "torchvision", "weights taught on dead leaves")
    path = tmp_path_factory.mktemp("body") / "body.safetensors"
    write_body(live, path)
    return path, live


def test_a_body_comes_back_with_its_preprocessing_and_provenance(body, images):
    path, live = body
    assert path.stat().st_size < 11.5e6
    folded = GoogLeNet("torchvision").eval()
    sentence = load_weights(folded, path, seed=4)
    assert "hep2lib file (weights taught on dead leaves)" in sentence
    assert sentence.endswith("; without a classifier; a fresh one for 2 classes, seed 4")
    assert folded.preprocess == live.preprocess
    with torch.no_grad():
        x = live.preprocess(images)
        ours, theirs = (net.activations(x, [LAYERS[139]])[LAYERS[139]] for net in (folded, live))
    assert torch.allclose(ours, theirs, rtol=1e-2, atol=1e-2 * theirs.std())


def test_a_body_brings_its_live_normalisation_and_folds_to_what_was_rounded(body, images):
    path, live = body
    again, folded = GoogLeNet("torchvision", batchnorm="train").eval(), GoogLeNet("torchvision").eval()
    for network in (again, folded):
        load_weights(network, path, seed=4)
    with torch.no_grad():
        x = live.preprocess(images)
        assert torch.allclose(again(x), folded(x), rtol=1e-4, atol=1e-5)
        for name, theirs in live.normalisations.items():
            own, scale = again.normalisations[name], theirs.weight / (theirs.running_var + EPSILON).sqrt()
            assert torch.allclose(own.running_mean, scale * theirs.running_mean, rtol=1e-4, atol=1e-6)
            assert torch.allclose(own.running_var, scale**2 * theirs.running_var, rtol=1e-4)
            weight, statistics = live[name].weight, theirs.state_dict()
            rounded = fold(weight, statistics)[0].half().float()
            assert torch.equal(folded[name].weight, rounded)
            assert torch.equal(folded[name].bias, fold(weight, statistics)[1].half().float())


def test_a_mean_image_is_part_of_a_body(tmp_path):
    network = GoogLeNet("bvlc")
    image = np.random.default_rng(0).uniform(90, 130, (3, 224, 224)).astype(np.float32)
    network.preprocess = Preprocessing((1.0, 2.0, 3.0), mean_image=image)
    write_body(network, tmp_path / "body.safetensors")
    other = GoogLeNet("bvlc")
    load_weights(other, tmp_path / "body.safetensors")
    assert np.array_equal(other.preprocess.mean_image, image)


def test_a_body_is_of_one_variant(body, built):
    refused(built["bvlc"], body[0], "holds the variant torchvision, the network bvlc")


def test_a_body_with_one_byte_changed_is_refused(body, tmp_path, built):
    """The form has no checksum: a changed weight, mean, description or name would be taken as it is."""
    data, path = body[0].read_bytes(), tmp_path / "changed.safetensors"
    places = [
        data.index(word) for word in (b'"hep2lib":', b"-sha256", b"9.5", b"dead leaves", b"inception_3a-1")
    ]
    for place in (*(place + 3 for place in places), len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        refused(built["torchvision"], path, "cannot be read as a file of safetensors", "it is damaged")


# Where a network lies in a file.


@pytest.fixture(scope="module")
def theirs():
    """torchvision's tensors, two classes."""
    return torchvision.models.GoogLeNet(2, aux_logits=False, init_weights=False).state_dict()


@pytest.fixture(scope="module")
def built():
    """Networks of both variants, built once: a file that is refused leaves them as they are."""
    return {variant: GoogLeNet(variant) for variant in ("bvlc", "torchvision")}


def behind(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def inside(prefix, state):
    """The names as they are where a part of the network was wrapped by itself."""
    return {name.replace("inception3a.", f"inception3a.{prefix}"): value for name, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda state: state, ""),
        (lambda state: behind("_orig_mod.", state), ", under _orig_mod"),
        (lambda state: behind("module._orig_mod.model.", state), ", under module._orig_mod.model"),
        (lambda state: behind("_orig_mod.module.", state), ", under _orig_mod.module"),
        (lambda state: behind("backbone.features.", state), ", under backbone.features"),
        (lambda state: behind("googlenet/", state), ", under googlenet/"),
        (lambda state: inside("_orig_mod.", state), ""),
        (lambda state: inside("_fsdp_wrapped_module.", state), ""),
        (lambda state: {"state_dict": behind("model.", state), "epoch": 3}, ", under state_dict.model"),
        (
            lambda state: {"model_state_dict": state, "loss": torch.zeros(())},
            ", under model_state_dict, without loss",
        ),
        (lambda state: {"checkpoint": {"network": state}}, ", under checkpoint.network"),
        (lambda state: {"args": argparse.Namespace(lr=1), "params": state}, ", under params"),
        (lambda state: [state, 3], ", under 0"),
        (
            lambda state: {"net": state, "opt": {"state": {0: {"step": torch.ones(1)}}}},
            ", under net, without opt",
        ),
        (
            lambda state: {"n_averaged": torch.ones(())} | behind("module.", state),
            ", under module, without n_averaged",
        ),
        (lambda state: state | {"optimizer": {"state": {0: torch.ones(1)}}}, ", without optimizer"),
        (
            lambda state: (
                behind("model.net.", state)
                | {"model.head.weight": torch.ones(1), "criterion.w": torch.ones(1)}
            ),
            ", under model.net, without model.head; criterion",
        ),
        (
            lambda state: {"model_ema": behind("module.", doubled(state)), "model": state},
            ", under model, without model_ema",
        ),
        (
            lambda state: {"online_model": state, "ema_model": doubled(state)},
            ", under online_model, without ema_model",
        ),
        (lambda state: {"ema": {"shadow": state}}, ", under ema.shadow"),
        (
            lambda state: behind("net.", state) | behind("_compiled._orig_mod.net.", state),
            ", under net, without _compiled",
        ),
    ],
)
def test_a_network_is_found_behind_keys_and_prefixes(tmp_path, theirs, wrap, words, built):
    torch.save(wrap(theirs), tmp_path / "net.pth.tar")
    network = built["torchvision"]
    sentence = load_weights(network, tmp_path / "net.pth.tar")
    assert f"(PyTorch file with torchvision's names{words}; sha256 " in sentence
    statistics = {name: theirs[f"conv3.bn.{name}"] for name in STATISTICS}
    assert torch.equal(network["conv2-3x3"].weight, fold(theirs["conv3.conv.weight"], statistics)[0])
    assert torch.equal(network["loss3-classifier"].weight, theirs["fc.weight"])


def doubled(state):
    return {name: 2 * value for name, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (
            lambda state: behind("student.", state) | behind("teacher.", doubled(state)),
            "2 networks, student; teacher",
        ),
        (
            lambda state: {"encoder_q": state, "encoder_k": behind("module.", doubled(state))},
            "encoder_q; encoder_k.module",
        ),
        (lambda state: [state, doubled(state), doubled(state)], "3 networks, 0; 1; 2"),
        (lambda state: state | behind("_orig_mod.", doubled(state)), "2 networks, no name; _orig_mod"),
    ],
)
def test_several_networks_in_one_file_are_named(tmp_path, theirs, wrap, words, built):
    torch.save(wrap(theirs), tmp_path / "several.pth")
    refused(built["torchvision"], tmp_path / "several.pth", words, "save the one that is meant alone")


def test_two_names_of_one_layer_are_not_merged(tmp_path, theirs, built):
    state = theirs | {"inception3a.branch1._spare.conv.weight": torch.zeros(64, 192, 1, 1)}
    torch.save(state, tmp_path / "twice.pth")
    words = "weight of inception3a.branch1._spare.conv belongs to no layer"
    refused(built["torchvision"], tmp_path / "twice.pth", words)


def test_a_safetensors_file_behind_a_prefix_and_under_another_ending(tmp_path, theirs):
    safetensors.torch.save_file(behind("module.model.", theirs), tmp_path / "pytorch_model.bin")
    sentence = load_weights(GoogLeNet("torchvision"), tmp_path / "pytorch_model.bin")
    assert "torchvision's names, under module.model; sha256" in sentence


# The classifier: the network's own number of classes, another one, or none.


def with_classifier(state, weight, bias):
    return {name: value for name, value in state.items() if not name.startswith("fc.")} | {
        f"fc.{name}": value for name, value in (("weight", weight), ("bias", bias)) if value is not None
    }


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (1, "its classifier of 1 classes replaced by a fresh one for 2 classes, seed 3"),
        (3, "its classifier of 3 classes replaced by a fresh one for 2 classes, seed 3"),
        (100, "its classifier of 100 classes replaced by a fresh one for 2 classes, seed 3"),
        (2**22, "its classifier of 4194304 classes replaced by a fresh one for 2 classes, seed 3"),
        (0, "without a classifier; a fresh one for 2 classes, seed 3"),
    ],
)
def test_a_body_loads_whatever_was_classified(tmp_path, theirs, classes, words):
    """The largest takes no memory, as its file does not: it is one number, shown four billion times."""
    one = torch.zeros(1)
    head = (one.expand(classes, 1024), one.expand(classes)) if classes else (None, None)
    torch.save(with_classifier(theirs, *head), tmp_path / "net.pth")
    network = GoogLeNet("torchvision")
    assert load_weights(network, tmp_path / "net.pth", seed=3).endswith(f"); {words}")
    assert network[CLASSIFIER].weight.shape == (2, 1024)
    assert 0 < network[CLASSIFIER].weight.abs().max() <= math.sqrt(6 / 1026)
    assert (network[CLASSIFIER].bias == 0).all()
    statistics = {name: theirs[f"conv3.bn.{name}"] for name in STATISTICS}
    assert torch.equal(network["conv2-3x3"].weight, fold(theirs["conv3.conv.weight"], statistics)[0])


@pytest.mark.parametrize(
    ("weight", "bias", "words"),
    [
        ((100, 512), (100,), "weight of loss3-classifier is (100, 512), not (100, 1024)"),
        ((100, 1024), (99,), "bias of loss3-classifier is (99,), not (100,)"),
        ((100, 1024, 1, 1), (100,), "weight of loss3-classifier is (100, 1024, 1, 1), not (100, 1024)"),
        ((2, 1024), (3,), "bias of loss3-classifier is (3,), not (2,)"),
        ((0, 1024), (0,), "weight of loss3-classifier is (0, 1024), not (1, 1024)"),
        ((), (), "weight of loss3-classifier is (), not (2, 1024)"),
        ((100, 1024), None, "bias of loss3-classifier is missing"),
        (None, (2,), "weight of loss3-classifier is missing"),
    ],
)
def test_an_odd_classifier_is_named(tmp_path, theirs, weight, bias, words, built):
    head = (None if shape is None else torch.zeros(shape) for shape in (weight, bias))
    torch.save(with_classifier(theirs, *head), tmp_path / "odd.pth")
    refused(built["torchvision"], tmp_path / "odd.pth", words)


@pytest.mark.parametrize("classes", [2, 100])
def test_a_body_has_to_fit_wholly(tmp_path, theirs, classes, built):
    state = with_classifier(theirs, torch.zeros(classes, 1024), torch.zeros(classes))
    del state["inception4c.branch1.conv.weight"]
    torch.save(state, tmp_path / "lost.pth")
    refused(built["torchvision"], tmp_path / "lost.pth", "weight of inception_4c-1x1 is missing")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_points_are_cast(tmp_path, dtype):
    source, network = GoogLeNet("bvlc"), GoogLeNet("bvlc")
    load_weights(source, "random-caffe", seed=9)
    state = {name: value.to(dtype).contiguous() for name, value in source.state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "cast.safetensors")
    assert "classifier included" in load_weights(network, tmp_path / "cast.safetensors")
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[name].float())


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
    network = GoogLeNet("torchvision", batchnorm="train")
    state = dict(network.state_dict())
    for name in ("weight", "bias", "running_mean", "running_var"):
        state[f"normalisations.conv1-7x7_s2.{name}"] = one.expand(2**22)
    state["learnable.conv1-7x7_s2.weight"] = one.expand(2**22, 1000, 1, 1)
    torch.save(state, tmp_path / "huge.pth")
    refused(
        GoogLeNet("torchvision"),
        tmp_path / "huge.pth",
        "the batch normalisation of conv1-7x7_s2 does not fit",
    )


def test_an_archive_that_unpacks_to_more_than_any_network(tmp_path, monkeypatch):
    monkeypatch.setitem(weights.READERS, "PyTorch", (read_pth, 1))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(2**20 + 1))
    assert (tmp_path / "bomb.pth").stat().st_size < 2000
    refused(GoogLeNet("bvlc"), tmp_path / "bomb.pth", "is larger than 1 MB")


def test_a_file_larger_than_any_network_is_not_read(tmp_path):
    with (tmp_path / "large.onnx").open("wb") as file:
        file.write(b"\x08")
        file.truncate(2**40)
    refused(GoogLeNet("bvlc"), tmp_path / "large.onnx", "is larger than 64 MB")


def test_names_in_a_file_cannot_steer_the_terminal(tmp_path):
    network = GoogLeNet("bvlc")
    torch.save(network.state_dict() | {"\x1b[31m\n" * 5000: torch.zeros(1)}, tmp_path / "names.pth")
    refused(network, tmp_path / "names.pth", "?[31m??[31m?", "belongs to no layer")
    torch.save({1: torch.zeros(1)}, tmp_path / "number.pth")
    refused(network, tmp_path / "number.pth", "holds no GoogLeNet", "Tensors: 1")


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
    refused(GoogLeNet("bvlc"), tmp_path / "a.safetensors", "cannot be read as a file of safetensors")


def test_something_else_than_tensors(tmp_path):
    torch.save([1, 2, 3], tmp_path / "list.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "list.pth", "holds no GoogLeNet", "Tensors: none")


def test_another_networks_weights(tmp_path):
    tensors = {f"features.{i}.weight": torch.zeros(64, 3, 11, 11) for i in range(11)}
    torch.save({"epoch": 3, "net": tensors}, tmp_path / "alexnet.pth")
    refused(
        GoogLeNet("bvlc"),
        tmp_path / "alexnet.pth",
        "holds no GoogLeNet under torchvision's, Caffe's or this package's names",
        "keys: epoch; net",
        "Tensors: net.features.0.weight; net.features.1.weight; ",
        "and 3 more",
    )


@pytest.mark.parametrize(("written", "built"), [("bvlc", "torchvision"), ("torchvision", "bvlc")])
def test_the_other_variants_weights(tmp_path, written, built):
    torch.save(GoogLeNet(written).state_dict(), tmp_path / "other.pth")
    words = f"it holds the variant {written}, the network {built}: choose variant={written}"
    refused(GoogLeNet(built), tmp_path / "other.pth", "weight of inception_3a-5x5 is (32, 16,", words)


def test_torchvisions_file_into_the_bvlc_variant(tmp_path, theirs, built):
    torch.save({f"module.{name}": value for name, value in theirs.items()}, tmp_path / "tv.pth")
    refused(built["bvlc"], tmp_path / "tv.pth", "it holds the variant torchvision, the network bvlc")


def test_the_other_variant_is_named_only_where_the_file_is_of_it(tmp_path, theirs, built):
    state = {name: value for name, value in theirs.items() if not name.startswith("inception4c")}
    torch.save(state, tmp_path / "lost.pth")
    with pytest.raises(WeightsError, match="weight of inception_4c-1x1 is missing") as caught:
        load_weights(built["torchvision"], tmp_path / "lost.pth")
    assert "variant=" not in str(caught.value)


def test_nan_in_the_weights(tmp_path):
    state = GoogLeNet("bvlc").state_dict()
    state["learnable.inception_4c-3x3.bias"][5] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "nan.pth", "bias of inception_4c-3x3 holds NaN or infinity")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"best": np.float64(0.5)}, "multiarray.scalar"),
        ({"root": Path("x")}, "pathlib."),
        ({"model": nn.Conv2d(1, 1, 1)}, "torch.nn.modules.conv.Conv2d"),
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_what_only_code_could_read_is_named(tmp_path, extra, words, new, built):
    torch.save({"state_dict": {}} | extra, tmp_path / "run.ckpt", _use_new_zipfile_serialization=new)
    refused(
        built["bvlc"],
        tmp_path / "run.ckpt",
        "holds more than tensors",
        words,
        "torch.save(network.state_dict()",
    )


def a_script(path):
    """What torch.jit.save writes, as far as names go."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "code/__torch__/torch/nn/modules/linear.py", "constants.pkl", "version"):
            archive.writestr(f"net/{name}", b"")


def a_tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_text("<!DOCTYPE html><title>Sign in</title>"), "is a web page"),
        (lambda path: path.write_text("\n <html><body>404</body></html>"), "is a web page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1"), "Git LFS"),
        (
            lambda path: path.write_text('name: "GoogleNet"'),
            "(its first bytes are b'name: \"GoogleNet'): give",
        ),
        (lambda path: path.write_bytes(gzip.compress(b"weights")), "is a packed archive"),
        (a_tar, "is a packed archive"),
        (a_script, "is a program of TorchScript"),
        (
            lambda path: np.savez(path.open("wb"), fc=np.zeros(3)),
            "is an archive that torch.save did not write",
        ),
        (
            lambda path: np.save(path.open("wb"), np.zeros(3)),
            'its first bytes are b"\\x93NUMPY',
        ),
        (
            lambda path: path.write_bytes(pickle.dumps({"a": 1}, protocol=4)),
            "a pickle that torch.save does not write",
        ),
    ],
)
@pytest.mark.parametrize("ending", [".pth", ".onnx"])
def test_what_is_no_weight_file_is_named(tmp_path, write, words, ending, built):
    write(tmp_path / f"googlenet{ending}")
    refused(built["bvlc"], tmp_path / f"googlenet{ending}", words)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantised_network_is_named(tmp_path, theirs, built):
    state = theirs | {
        "conv1.conv.weight": torch.quantize_per_tensor(torch.zeros(64, 3, 7, 7), 1, 0, torch.qint8)
    }
    torch.save(state, tmp_path / "int8.pth")
    refused(built["torchvision"], tmp_path / "int8.pth", "is quantised")


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated_is_said_of_truncated_files_only(tmp_path, theirs, form, built):
    whole, broken = tmp_path / "whole.pth", tmp_path / "broken.pth"
    if form == "safetensors":
        safetensors.torch.save_file(theirs, whole)
    else:
        torch.save(theirs, whole, _use_new_zipfile_serialization=form == "zip")
    data = whole.read_bytes()
    for size in (len(data) // 3, len(data) - 1):
        broken.write_bytes(data[:size])
        refused(built["torchvision"], broken, "ends early (is truncated)")
    broken.write_bytes(data[:60] + bytes(60) + data[120:])
    with pytest.raises(WeightsError) as caught:
        load_weights(built["torchvision"], broken)
    assert "ends early" not in str(caught.value)
