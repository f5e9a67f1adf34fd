import pytest
import torch
from torch import Tensor

from hep2lib.cnn.googlenet import GoogLeNet


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("HEP2_PROGRESS", "0")


def structured(size: int) -> Tensor:
    """Three colourful uint8 images with structure at several scales."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.rand(3, 3, 14, 14, generator=generator)
    fine = torch.rand(3, 3, size, size, generator=generator)
    field = torch.nn.functional.interpolate(coarse, size, mode="bilinear") * 0.8 + fine * 0.2
    return (field * 255).to(torch.uint8)


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Images of half the usual size, which show the same and cost a quarter."""
    return structured(112)


@pytest.fixture(scope="session")
def full_images() -> Tensor:
    """Images of the size that the network is made for."""
    return structured(224)


@pytest.fixture(params=["bvlc", "torchvision"])
def network(request) -> GoogLeNet:
    return GoogLeNet(request.param).eval()


@pytest.fixture
def batch(network, images) -> Tensor:
    """The images as the network wants them."""
    return network.preprocess(images)
