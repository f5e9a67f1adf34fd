import pytest
import torch
from torch import nn

from hep2lib.cnn import branches, convolution, pooling
from hep2lib.cnn.branches import first_layers
from hep2lib.cnn.convolution import convolve

from .processor import needs_bf16


def layer(channels: int, in_channels: int = 48) -> nn.Conv2d:
    module = nn.Conv2d(in_channels, channels, 1).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(channels)
    for parameter in module.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) / in_channels**0.5)
    return module


def images(order: torch.memory_format = torch.channels_last) -> torch.Tensor:
    x = torch.randn(3, 48, 9, 7, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=order)


@pytest.fixture(params=["one step", "without compiled loops", "by PyTorch's operators"])
def way(request, monkeypatch):
    """Every way there is to compute the same."""
    if request.param == "without compiled loops":
        monkeypatch.setattr(convolution, "COMPILED", False)
        monkeypatch.setattr(pooling, "COMPILED", False)
    if request.param == "by PyTorch's operators":
        monkeypatch.setattr(branches, "fused_input", lambda x: None)
        monkeypatch.setattr(convolution, "fused_input", lambda x: None)
    return request.param


@pytest.mark.parametrize("window", [None, (3, 1, 1), (3, 2, 0)])
@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.usefixtures("way")
def test_layers_of_one_input_agree_together_and_apart(window, order):
    layers, x = [layer(channels) for channels in (16, 24, 8)], images(order).requires_grad_()
    parameters = [x, *(parameter for module in layers for parameter in module.parameters())]
    apart = [torch.relu(module(x)) for module in layers]
    if window:
        apart.append(nn.functional.max_pool2d(x, *window, ceil_mode=True))
    together = first_layers(layers, x, window)
    upstream = [torch.randn(value.shape, generator=torch.Generator().manual_seed(1)) for value in apart]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    expected = torch.autograd.grad(apart, parameters, upstream)
    for one, other in zip(torch.autograd.grad(together, parameters, upstream), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("window", [None, (3, 1, 1)])
@pytest.mark.usefixtures("way")
def test_in_bf16_they_are_near_single_precision(window):
    layers, x = [layer(channels) for channels in (16, 24, 8)], images().requires_grad_()
    parameters = [x, *(parameter for module in layers for parameter in module.parameters())]
    single = first_layers(layers, x, window)
    with torch.autocast("cpu", torch.bfloat16):
        half = first_layers(layers, x, window)
    upstream = [torch.rand(value.shape, generator=torch.Generator().manual_seed(1)) for value in single]
    expected = torch.autograd.grad(single, parameters, upstream)
    found = torch.autograd.grad([value.float() for value in half], parameters, upstream)
    for one, other in zip([*half, *found], [*single, *expected], strict=True):
        # Rounding also moves a few values across a rectifier's zero, which the weights' gradients show most.
        assert (one.float() - other).abs().mean() < 0.04 * other.abs().mean()
    assert {gradient.dtype for gradient in found} == {torch.float32}


@pytest.mark.parametrize("half", [False, pytest.param(True, marks=needs_bf16)])
def test_an_image_has_the_same_bits_alone_and_among_others(half):
    layers, x = [layer(channels) for channels in (16, 24, 8)], images()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        together = first_layers(layers, x, (3, 1, 1))
        alone = [first_layers(layers, image[None], (3, 1, 1)) for image in x]
    for number, value in enumerate(together):
        assert torch.equal(torch.cat([values[number] for values in alone]), value)


@pytest.mark.usefixtures("way")
def test_a_value_that_nobody_uses_takes_part_in_no_gradient():
    layers, x = [layer(16), layer(24)], images().requires_grad_()
    first_layers(layers, x, (3, 1, 1))[1].sum().backward()
    expected = torch.autograd.grad(convolve(layers[1], x, rectify=True).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("way")
def test_one_layer_frozen_among_others_gets_no_gradient():
    layers = [layer(16), layer(24)]
    layers[0].requires_grad_(False)
    sum(value.sum() for value in first_layers(layers, images())).backward()
    assert layers[0].weight.grad is None
    assert layers[1].weight.grad is not None


@pytest.mark.usefixtures("way")
def test_behind_a_frozen_input_the_pooling_asks_for_no_gradient():
    *convolved, pooled = first_layers([layer(16), layer(24)], images(), (3, 1, 1))
    assert all(value.requires_grad for value in convolved)
    assert not pooled.requires_grad
