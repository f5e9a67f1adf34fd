"""NumPy's version of each operation agrees with PyTorch's, and with what one can work out."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from hep2lib.cnn import by_hand
from hep2lib.cnn.googlenet import GoogLeNet


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(7, 11, 12))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 3), (3, 1)])
def test_convolution_is_pytorchs(x: np.ndarray, stride: int, padding: int) -> None:
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(4, 7, 5, 5)), rng.normal(size=4)
    wanted = functional.conv2d(*map(torch.from_numpy, (x, weight, bias)), stride=stride, padding=padding)
    np.testing.assert_allclose(by_hand.convolution(x, weight, bias, stride, padding), wanted, atol=1e-10)


def test_a_filter_with_a_single_one_moves_the_image() -> None:
    weight = np.zeros((1, 1, 3, 3))
    weight[0, 0, 0, 1] = 1
    x = np.arange(9.0).reshape(1, 3, 3)
    moved = by_hand.convolution(x, weight, np.array([10.0]), padding=1)
    assert moved.tolist() == [[[10, 10, 10], [10, 11, 12], [13, 14, 15]]]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 0), (3, 1, 1), (2, 2, 0)])
def test_max_pooling_rounds_up_as_pytorch_can(x: np.ndarray, kernel: int, stride: int, padding: int) -> None:
    wanted = functional.max_pool2d(torch.from_numpy(x), kernel, stride, padding, ceil_mode=True)
    np.testing.assert_array_equal(by_hand.max_pooling(x, kernel, stride, padding), wanted)


@pytest.mark.parametrize("variant", ["bvlc", "torchvision"])
def test_inception_is_the_networks(variant: str) -> None:
    network = GoogLeNet(variant).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        value = network.activations(x, ("pool2-3x3_s2", "inception_3a-output"))
    found = by_hand.inception(network, "inception_3a", value["pool2-3x3_s2"][0].numpy())
    np.testing.assert_allclose(found, value["inception_3a-output"][0], rtol=1e-3, atol=1e-5)


def test_relu_keeps_what_is_positive() -> None:
    assert by_hand.relu(np.array([-2.0, 0.0, 3.0])).tolist() == [0, 0, 3]


def test_agreement_states_the_largest_difference() -> None:
    both = by_hand.Agreement()
    said = both.compare("sum", np.array([1.0, -4.0]), np.array([1.5, -4.0]))
    assert said == "largest difference: 125000.00 millionths"
    assert both.table().iloc[0].tolist() == ["sum", 2, 4.0, 125_000.0]
    assert both.compare("nothing", np.zeros(2), np.zeros(2)).startswith("largest difference: 0.00 ")
