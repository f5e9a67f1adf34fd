import pytest
import torch
from torch.nn import functional

from hep2lib.cnn.pooling import max_pooling


@pytest.mark.parametrize("window", [(3, 1, 1), (3, 2, 1), (2, 2, 1)])
@pytest.mark.parametrize("size", [(7, 7), (14, 9), (2, 5), (1, 4)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_values_are_pytorchs_exactly(window, size, order):
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=order)
    kept = x.clone()
    result = max_pooling(x, *window)
    assert torch.equal(result, functional.max_pool2d(x, *window, ceil_mode=True))
    assert result.is_contiguous(memory_format=order)
    assert torch.equal(x, kept)


def test_caffe_rounds_up():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert max_pooling(x, 3, 2, 0).tolist() == [[[[10, 11], [14, 15]]]]


def test_where_a_gradient_is_wanted_there_is_one():
    x = torch.tensor([[1.0, 5.0, 2.0], [0.0, 3.0, 4.0]]).view(1, 1, 2, 3).requires_grad_()
    max_pooling(x, 3, 1, 1).sum().backward()
    assert x.grad.flatten().tolist() == [0, 6, 0, 0, 0, 0]
