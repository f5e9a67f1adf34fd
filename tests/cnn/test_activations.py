import shutil

import pytest
import torch

from hep2lib.cnn import activations
from hep2lib.cnn.activations import cached_activations
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.data.images import rotate
from hep2lib.errors import InputError


def direct(network, depth, images):
    with torch.no_grad():
        return network.split(depth).prefix(network.preprocess(images))


@pytest.mark.parametrize("depth", [11, 110, 139])
def test_values_are_the_prefixs_bit_for_bit_in_memory_and_from_a_file(network, images, tmp_path, depth):
    expected = direct(network, depth, images)
    for cache in (None, tmp_path, tmp_path):
        values = cached_activations(network, depth, images, cache=cache, batch=3)
        assert values.shape == (3, 1, *expected.shape[1:])
        assert torch.equal(values[:, 0], expected)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_batch_comes_out_channels_last(images, tmp_path):
    values = cached_activations(GoogLeNet(), 11, images, cache=tmp_path)
    assert values[torch.tensor([2, 0]), 0].is_contiguous(memory_format=torch.channels_last)


def test_a_second_call_computes_nothing(images, tmp_path, monkeypatch):
    network = GoogLeNet()
    first = cached_activations(network, 139, images, cache=tmp_path)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(activations, "rotate", refuse)
    assert torch.equal(cached_activations(network, 139, images, cache=tmp_path), first)


def test_changing_the_tensor_leaves_the_file(images, tmp_path):
    network = GoogLeNet()
    first = cached_activations(network, 139, images, cache=tmp_path)
    kept = first.clone()
    first.zero_()
    assert torch.equal(cached_activations(network, 139, images, cache=tmp_path), kept)


def test_everything_that_matters_is_in_the_key_and_nothing_else(images, tmp_path):
    network = GoogLeNet()

    def files(**options) -> int:
        arguments = {"network": network, "depth": 139, "images": images, "cache": tmp_path} | options
        cached_activations(**arguments)
        return len(list(tmp_path.iterdir()))

    assert files() == 1
    with torch.no_grad():
        network["loss3-classifier"].weight += 1
    assert files(batch=2) == 1
    assert files(depth=142) == 1
    assert files(depth=11) == 2
    assert files(dtype=torch.bfloat16) == 3
    assert files(images=images.flip(0)) == 4
    with torch.no_grad():
        network["conv1-7x7_s2"].bias[0] += 1
    assert files() == 5
    network.preprocess = GoogLeNet("torchvision").preprocess
    assert files() == 6


def test_each_view_is_the_rotated_image(images, tmp_path):
    network = GoogLeNet()
    values = cached_activations(network, 139, images, views=(0, 20, 90), cache=tmp_path, batch=2)
    assert values.shape == (3, 3, 1024, 1, 1)
    for view, degrees in enumerate((0.0, 20.0, 90.0)):
        rotated = rotate(images, degrees)
        expected = direct(network, 139, rotated)  # in one batch, hence rounded differently
        atol = 1e-5 * float(expected.abs().max())
        torch.testing.assert_close(values[:, view], expected, rtol=0, atol=atol)
    for other in ({"views": (0.0, 20.0)}, {"views": (0.0, 20.0, 80.0)}):
        cached_activations(network, 139, images, cache=tmp_path, **other)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions_are_the_rounded_values(images, tmp_path, dtype):
    network = GoogLeNet()
    expected = direct(network, 139, images).to(dtype)
    for cache in (None, tmp_path):
        values = cached_activations(network, 139, images, cache=cache, dtype=dtype)
        assert values.dtype == dtype
        assert torch.equal(values[:, 0], expected)


def test_which_parameters_are_trained_stays_as_it_was(images):
    network = GoogLeNet()
    network.split(11)
    before = [p.requires_grad for p in network.parameters()]
    values = cached_activations(network, 139, images)
    assert [p.requires_grad for p in network.parameters()] == before
    assert not values.requires_grad


def test_a_failure_leaves_no_file(images, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(activations, "rotate", fail)
    with pytest.raises(KeyboardInterrupt):
        cached_activations(GoogLeNet(), 139, images, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_known_before(images, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(activations.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"need 0\.0 GB, and .* free: choose another cache folder"):
        cached_activations(GoogLeNet(), 139, images, cache=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": torch.float64}, "dtype is torch.float64; choose"),
        ({"views": ()}, "0 views"),
        ({"batch": 0}, "batch 0"),
        ({"images": torch.zeros(0, 3, 224, 224, dtype=torch.uint8)}, "0 images"),
    ],
)
def test_bad_arguments_are_refused(images, options, message):
    with pytest.raises(InputError, match=message):
        cached_activations(**({"network": GoogLeNet(), "depth": 139, "images": images} | options))
