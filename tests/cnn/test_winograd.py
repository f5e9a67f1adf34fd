import numpy as np
import pytest
import torch
from torch.nn import functional

from hep2lib.cnn import convolution, winograd, winograd_bases
from hep2lib.cnn.winograd import convolve_3x3, gradients_3x3

#: In and out channels, height, width: tiles that fit and tiles that reach beyond, squares and not.
CASES = [
    (5, 7, 8, 12),
    (3, 4, 6, 4),
    (2, 3, 4, 4),
    (1, 1, 1, 2),
    (8, 16, 14, 14),
    (4, 3, 7, 9),
    (3, 2, 5, 15),
]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("group", [1, 2**30])
def test_results_and_gradients_are_those_of_the_definition(case, rectify, group, monkeypatch):
    monkeypatch.setattr(winograd, "_GROUP", group)
    in_channels, channels, height, width = case
    x, bias = draw(3, in_channels, height, width).requires_grad_(), draw(channels, seed=2).requires_grad_()
    weight = draw(channels, in_channels, 3, 3, seed=1).requires_grad_()
    expected = functional.conv2d(x, weight, bias, padding=1)
    expected = expected.relu() if rectify else expected
    ours, known = convolve_3x3(x, weight, bias, rectify=rectify, keep=True)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    gradient = draw(*expected.shape, seed=3)
    of = gradients_3x3(known, gradient, ours if rectify else None)
    exact = torch.autograd.grad(expected, (x, weight, bias), gradient)
    for one, other in zip((of.x, of.weight, of.bias), exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-11)


def test_a_slice_of_channels_and_other_memory_orders_are_the_same():
    whole, weight = draw(2, 12, 7, 7), draw(4, 5, 3, 3, seed=1)
    x, gradient = whole[:, 3:8], draw(2, 9, 7, 7, seed=3)[:, 2:6]
    expected, known = convolve_3x3(x, weight, None, rectify=True, keep=True)
    of = gradients_3x3(known, gradient, expected)
    ours, known = convolve_3x3(x.contiguous(), weight.contiguous(), None, rectify=True, keep=True)
    assert torch.equal(ours, expected)
    again = gradients_3x3(known, gradient.contiguous(), expected.contiguous())
    assert all(torch.equal(getattr(of, name), getattr(again, name)) for name in ("x", "weight", "bias"))


def test_no_bias_and_unwanted_gradients():
    x, weight = draw(2, 3, 8, 8), draw(4, 3, 3, 3, seed=1)
    expected = functional.conv2d(x, weight, padding=1)
    ours, known = convolve_3x3(x, weight, None, rectify=False)
    torch.testing.assert_close(ours, expected)
    assert not known.images
    of = gradients_3x3(known, expected, wanted=(True, False, False))
    assert of.x is not None
    assert of.weight is of.bias is None
    of = gradients_3x3(known, expected, wanted=(False, False, True))
    assert of.x is of.weight is None
    torch.testing.assert_close(of.bias, expected.sum((0, 2, 3)))


def test_what_is_not_a_number_stays_so():
    x, weight = draw(1, 2, 8, 8), draw(3, 2, 3, 3, seed=1)
    x[0, 0, 5, 5] = torch.nan
    assert convolve_3x3(x, weight, None, rectify=True)[0].isnan().any()


@pytest.mark.parametrize("case", [(64, 192, 56), (128, 192, 28), (160, 320, 14), (192, 384, 7)])
def test_rounding_in_float32_stays_below_a_hundred_thousandth_of_the_largest_result(case):
    in_channels, channels, size = case
    x = draw(2, in_channels, size, size).relu()
    weight, gradient = draw(channels, in_channels, 3, 3, seed=1), draw(2, channels, size, size, seed=2)

    def compute(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        results, known = convolve_3x3(x.to(dtype), weight.to(dtype), None, rectify=False, keep=True)
        of = gradients_3x3(known, gradient.to(dtype))
        return results, of.x, of.weight, of.bias

    for one, other in zip(compute(torch.float32), compute(torch.float64), strict=True):
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


def test_an_image_has_the_same_bits_alone_and_among_others_on_one_thread_and_on_two(monkeypatch):
    monkeypatch.setattr("hep2lib.cnn.loops._MUCH", 0)
    x, weight = draw(5, 96, 14, 14, dtype=torch.float32), draw(208, 96, 3, 3, seed=1, dtype=torch.float32)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        together = convolve_3x3(x, weight, None, rectify=True)[0]
        torch.set_num_threads(2)
        alone = torch.cat([convolve_3x3(image[None], weight, None, rectify=True)[0] for image in x])
        shared = convolve_3x3(x, weight, None, rectify=True)[0]
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(together, alone)
    assert torch.equal(together, shared)


def test_filters_in_the_other_basis_are_those_of_lavin_and_gray_at_other_points(monkeypatch):
    """F(4 x 4, 3 x 3) at the points 0, 1, -1, 2, -2 is printed in their paper, up to each row's sign."""
    monkeypatch.setitem(winograd_bases.POINTS, 4, (1.0, 2.0))
    printed = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    change_anew = winograd_bases.change_of_filters.__wrapped__
    assert change_anew(4) == pytest.approx(np.array(printed) / 24)


@pytest.mark.parametrize(("sides", "tile"), [((56, 56), 4), ((28, 28), 4), ((14, 14), 5), ((7, 7), 4)])
def test_tiles_are_those_with_the_fewest_products(sides, tile):
    assert winograd.tile_for(*sides) == tile


@pytest.mark.parametrize("tile", [4, 5])
def test_a_line_in_and_out_of_a_basis_is_a_convolution_to_the_last_bit(tile):
    """With one value in the image and one tap in the filter; the bases' constants, float32, are exact."""
    names = (f"into_basis_{tile}", f"from_basis_{tile}")
    into, back = (getattr(function, "py_func", function) for function in map(vars(winograd_bases).get, names))
    for place, tap in np.ndindex(tile + 2, 3):
        image = [np.float32(place == number) for number in range(tile + 2)]
        products = np.array(into(*image)) * winograd_bases.change_of_filters(tile)[:, tap]
        results = [float(place == number + tap) for number in range(tile)]
        assert back(*products) == pytest.approx(results, abs=1e-15)


def test_only_layers_of_3x3_with_some_channels_and_pixels_take_winograds_way(monkeypatch):
    monkeypatch.setattr(convolution, "MATRIX_PRODUCTS", True)
    monkeypatch.setattr(convolution, "COMPILED", True)
    assert convolution.by_winograd(192, 64, 3, 1, 56, 56)
    assert convolution.by_winograd(384, 192, 3, 1, 7, 7)
    assert not convolution.by_winograd(192, 64, 3, 2, 56, 56)
    assert not convolution.by_winograd(192, 64, 1, 1, 56, 56)
    assert not convolution.by_winograd(192, 3, 3, 1, 56, 56)
    assert not convolution.by_winograd(384, 192, 3, 1, 6, 6)
    monkeypatch.setattr(convolution, "COMPILED", False)
    assert not convolution.by_winograd(192, 64, 3, 1, 56, 56)
    monkeypatch.setattr(convolution, "COMPILED", True)
    monkeypatch.setattr(convolution, "MATRIX_PRODUCTS", False)
    assert not convolution.by_winograd(192, 64, 3, 1, 56, 56)
