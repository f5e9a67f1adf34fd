import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.state_dicts import from_state_dict, plain_name, torchvision_name
from hep2lib.cnn.weight_files import WeightsError, fill, listed


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
