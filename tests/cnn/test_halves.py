import numpy as np
import pytest
import torch

from hep2lib.cnn.halves import array, number, stored
from hep2lib.cnn.loops import compiled


def numbers(bits: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(bits)):
        out[i] = number(bits[i])


def rounded(values: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(values)):
        out[i] = stored(values[i], out[i])


@pytest.fixture(params=[lambda function: function, compiled], ids=["in Python", "compiled"])
def way(request):
    return request.param


ALL = torch.arange(-(2**15), 2**15, dtype=torch.int16)


def test_all_bfloat16s_are_read_as_pytorch_reads_them(way):
    out = np.empty(len(ALL), np.float32)
    way(numbers)(ALL.numpy(), out)
    assert np.array_equal(out, ALL.view(torch.bfloat16).float().numpy(), equal_nan=True)


def test_numbers_are_rounded_as_pytorch_rounds_them(way):
    generator = torch.Generator().manual_seed(0)
    halves = ALL.view(torch.bfloat16).float()
    halves = halves[halves.isfinite()]
    # Each bfloat16, what lies half-way to the next one (a tie), and a little less and more than that.
    bits = halves.view(torch.int32)
    values = torch.cat([(bits + shift).view(torch.float32) for shift in (0, 0x7FFF, 0x8000, 0x8001)])
    values = torch.cat(
        [values, torch.randn(1000, generator=generator), torch.tensor([torch.inf, -torch.inf])]
    )
    out = torch.empty(len(values), dtype=torch.bfloat16)
    way(rounded)(values.numpy(), array(out))
    assert torch.equal(out.view(torch.int16), values.bfloat16().view(torch.int16))


def test_what_is_not_a_number_stays_so(way):
    halves = ALL.view(torch.bfloat16)
    missing = halves[halves.isnan()].float() + 1
    out = torch.zeros(len(missing), dtype=torch.bfloat16)
    way(rounded)(missing.numpy(), array(out))
    assert out.isnan().all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_other_numbers_pass_unchanged(way, dtype):
    values = np.array([1.1, -2.2e-30, np.inf], dtype)
    out = np.empty_like(values)
    way(numbers)(values, out)
    assert np.array_equal(out, values)
    out[:] = 0
    way(rounded)(values, out)
    assert np.array_equal(out, values)


def test_a_tensor_and_its_array_share_their_memory():
    x = torch.zeros(3, dtype=torch.bfloat16, requires_grad=True)
    array(x)[1] = 0x3F80
    assert x.tolist() == [0, 1, 0]
