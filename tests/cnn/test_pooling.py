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


@pytest.mark.parametrize("window", [(3, 1, 1), (3, 2, 0), (3, 2, 1), (2, 2, 0), (2, 2, 1), (1, 1, 0)])
@pytest.mark.parametrize("size", [(7, 7), (14, 9), (3, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_pytorchs_exactly_where_values_repeat(window, size, dtype):
    generator = torch.Generator().manual_seed(0)
    whole = torch.randint(0, 3, (3, 9, *size), generator=generator).to(dtype)
    whole = whole.contiguous(memory_format=torch.channels_last).requires_grad_()
    x = whole[:, 2:7]
    ours = max_pooling(x, *window)
    expected = functional.max_pool2d(x, *window, ceil_mode=True)
    assert torch.equal(ours, expected)
    upstream = torch.randint(-5, 5, ours.shape, generator=generator).to(dtype)
    one, other = (torch.autograd.grad(value, whole, upstream)[0] for value in (ours, expected))
    assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_not_a_number_stays_so(dtype):
    x = torch.zeros(1, 4, 6, 6, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x[0, 1, 2, 3] = torch.nan
    assert max_pooling(x, 3, 1, 1)[0, 1, 1:4, 2:5].isnan().all()


def test_a_gradient_in_bf16_is_rounded_once_for_every_window():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 7, 7, generator=generator).bfloat16().contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    ours = max_pooling(x, 3, 1, 1)
    upstream = torch.randn(ours.shape, generator=generator).bfloat16()
    other = x.detach().float().requires_grad_()
    expected = torch.autograd.grad(functional.max_pool2d(other, 3, 1, 1), other, upstream.float())[0]
    found = torch.autograd.grad(ours, x, upstream)[0].float()
    # Up to nine windows meet in a pixel; each sum is rounded to 8 binary digits.
    torch.testing.assert_close(found, expected, rtol=0, atol=9 * 2**-8 * float(expected.abs().max()))
    assert (found - expected).abs().mean() < 2**-8 * expected.abs().mean()


def test_two_threads_compute_what_one_does(monkeypatch):
    monkeypatch.setattr("hep2lib.cnn.loops._MUCH", 0)
    x = torch.randn(5, 8, 9, 9, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            value = max_pooling(x, 3, 2, 0)
            results.append((value, torch.autograd.grad(value.square().sum(), x)[0]))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
