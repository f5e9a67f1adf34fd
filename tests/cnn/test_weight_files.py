"""PyTorch's forms of weight file written here, loaded and refused, and batch normalisation folded in them."""

import pickle
import zipfile

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

from hep2lib.cnn import weights
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weight_files import (
    WeightsError,
    fill,
    fold,
    from_state_dict,
    listed,
    plain_name,
    read_pth,
    torchvision_name,
    write_safetensors,
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
    with pytest.raises(WeightsError, match="batch normalisation of conv2-3x3 does not fit"):
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
    monkeypatch.setitem(weights.READERS, ".pth", (read_pth, 1))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", bytes(2**20 + 1))
    assert (tmp_path / "bomb.pth").stat().st_size < 2000
    refused(GoogLeNet("bvlc"), tmp_path / "bomb.pth", "is larger than 1 MB")


def test_a_file_larger_than_any_network_is_not_read(tmp_path):
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2**40)
    refused(GoogLeNet("bvlc"), tmp_path / "large.onnx", "is larger than 64 MB")


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


def test_nan_in_the_weights(tmp_path):
    state = GoogLeNet("bvlc").state_dict()
    state["learnable.inception_4c-3x3.bias"][5] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    refused(GoogLeNet("bvlc"), tmp_path / "nan.pth", "bias of inception_4c-3x3 holds NaN or infinity")
