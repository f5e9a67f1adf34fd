import torch
from torch.nn import functional

from hep2lib.cnn.googlenet import local_response_normalisation


def test_values_computed_by_hand():
    x = torch.tensor([10.0, 0.0, 20.0, 0.0, 0.0, 30.0]).view(1, 6, 1, 1)
    energies = [500, 500, 500, 1300, 1300, 900]
    expected = [v / (1 + 1e-4 / 5 * e) ** 0.75 for v, e in zip(x.flatten().tolist(), energies, strict=True)]
    assert torch.allclose(local_response_normalisation(x).flatten(), torch.tensor(expected), rtol=1e-6)


def test_values_and_gradient_agree_with_pytorchs_form():
    x = (torch.randn(2, 64, 5, 7, generator=torch.Generator().manual_seed(0)) * 200).requires_grad_()
    other = x.detach().clone().requires_grad_()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    ours = local_response_normalisation(x)
    theirs = functional.local_response_norm(other, 5, 1e-4, 0.75, 1.0)
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-4)
    assert torch.allclose(x.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_memory_order_is_kept_and_half_precision_computed_in_float32():
    x = (torch.randn(1, 8, 4, 4) * 300).contiguous(memory_format=torch.channels_last)
    assert local_response_normalisation(x).is_contiguous(memory_format=torch.channels_last)
    half = local_response_normalisation(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), local_response_normalisation(x), rtol=2e-2, atol=1e-2)
