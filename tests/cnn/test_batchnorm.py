import pytest
import torch
from torch import nn

from hep2lib.cnn.batchnorm import fold


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
