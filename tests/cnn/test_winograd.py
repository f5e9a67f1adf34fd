import pytest
import torch
from torch.nn import functional

from hep2lib.cnn import convolution, winograd
from hep2lib.cnn.winograd import bases, convolve_3x3, gradients_3x3, tile_side

#: In and out channels, height, width: tiles of 4 and of 2, squares and not, one tile and many.
CASES = [(5, 7, 8, 12), (3, 4, 6, 4), (2, 3, 4, 4), (1, 1, 2, 2), (8, 16, 14, 14)]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else values


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("group", [1, 2**30])
def test_results_and_gradients_are_those_of_the_definition(case, rectify, group, monkeypatch):
    monkeypatch.setattr(winograd, "_GROUP", group)
    in_channels, channels, height, width = case
    x, bias = draw(3, in_channels, height, width), draw(channels, seed=2)
    weight = draw(channels, in_channels, 3, 3, seed=1)
    expected = functional.conv2d(x, weight, bias, padding=1)
    ours = convolve_3x3(x, weight, bias, rectify=rectify)
    torch.testing.assert_close(ours, expected.relu() if rectify else expected, rtol=1e-12, atol=1e-12)
    gradient = draw(*expected.shape, seed=3)
    of_x = torch.nn.grad.conv2d_input(x.shape, weight, gradient, padding=1)
    of_weight = torch.nn.grad.conv2d_weight(x, weight.shape, gradient, padding=1)
    for one, other in zip(gradients_3x3(x, weight, gradient), (of_x, of_weight), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-11)


def test_no_bias_and_unwanted_gradients():
    x, weight = draw(2, 3, 8, 8), draw(4, 3, 3, 3, seed=1)
    expected = functional.conv2d(x, weight, padding=1)
    torch.testing.assert_close(convolve_3x3(x, weight, None, rectify=False), expected)
    assert gradients_3x3(x, weight, expected, of_x=False)[0] is None
    assert gradients_3x3(x, weight, expected, of_weight=False)[1] is None


@pytest.mark.parametrize("case", [(64, 192, 56), (128, 192, 28), (160, 320, 14)])
def test_rounding_in_float32_stays_below_a_hundred_thousandth_of_the_largest_result(case):
    in_channels, channels, size = case
    x = draw(2, in_channels, size, size).relu()
    weight, gradient = draw(channels, in_channels, 3, 3, seed=1), draw(2, channels, size, size, seed=2)
    exact = (convolve_3x3(x, weight, None, rectify=False), *gradients_3x3(x, weight, gradient))
    x, weight, gradient = x.float(), weight.float(), gradient.float()
    ours = (convolve_3x3(x, weight, None, rectify=False), *gradients_3x3(x, weight, gradient))
    for one, other in zip(ours, exact, strict=True):
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


@pytest.mark.skipif(not convolution.MATRIX_PRODUCTS, reason="Winograd's way is taken on AVX2 only")
def test_an_image_has_the_same_bits_alone_and_among_others_on_one_thread_and_on_two():
    x, weight = draw(5, 96, 14, 14, dtype=torch.float32), draw(208, 96, 3, 3, seed=1, dtype=torch.float32)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        together = convolve_3x3(x, weight, None, rectify=True)
        torch.set_num_threads(2)
        alone = torch.cat([convolve_3x3(image[None], weight, None, rectify=True) for image in x])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(together, alone)


@pytest.mark.parametrize("side", [2, 4])
def test_as_many_products_as_the_method_needs_and_transforms_of_a_known_filter(side):
    change = bases(side, torch.float64)
    assert change.image.shape == ((side + 2) ** 2, (side + 2) ** 2)
    assert change.result.shape == (side**2, (side + 2) ** 2)
    middle = torch.zeros(9, dtype=torch.float64)
    middle[4] = 1  # the filter that returns the pixel under its middle
    window = draw((side + 2) ** 2)
    result = change.result @ ((change.image @ window) * (change.kernel @ middle))
    torch.testing.assert_close(result.view(side, side), window.view(side + 2, side + 2)[1:-1, 1:-1])


def test_tiles_cover_even_images_only():
    assert [tile_side(56, 28), tile_side(14, 14), tile_side(4, 6), tile_side(7, 7)] == [4, 2, 2, None]
    with pytest.raises(ValueError, match="7 x 8 pixels: both must be even"):
        convolve_3x3(draw(1, 2, 7, 8), draw(2, 2, 3, 3), None, rectify=False)


def test_only_wide_layers_with_many_pixels_take_winograds_way(monkeypatch):
    monkeypatch.setattr(convolution, "MATRIX_PRODUCTS", True)
    assert convolution.by_winograd(192, 64, 3, 1, 56, 56)
    assert not convolution.by_winograd(192, 64, 3, 2, 56, 56)
    assert not convolution.by_winograd(192, 64, 1, 1, 56, 56)
    assert not convolution.by_winograd(192, 32, 3, 1, 56, 56)
    assert not convolution.by_winograd(384, 192, 3, 1, 7, 7)
    monkeypatch.setattr(convolution, "MATRIX_PRODUCTS", False)
    assert not convolution.by_winograd(192, 64, 3, 1, 56, 56)
