import math

import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.initialisation import CLASSIFIER, calibrate, initialise
from hep2lib.cnn.layers import Kind
from hep2lib.cnn.weights import load_weights
from hep2lib.errors import InputError


@pytest.mark.parametrize(
    ("source", "bound", "bias"),
    [("random-caffe", math.sqrt(3 / (96 * 9)), 0.2), ("random-matlab", math.sqrt(6 / ((96 + 128) * 9)), 0.0)],
)
def test_uniform_schemes_fill_their_range(source, bound, bias):
    network = GoogLeNet("bvlc")
    load_weights(network, source, seed=1)
    weight = network["inception_3a-3x3"].weight.detach()
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert (network["inception_3a-3x3"].bias == bias).all()
    classifier = network[CLASSIFIER]
    assert classifier.weight.detach().abs().max().item() == pytest.approx(math.sqrt(6 / 1026), rel=1e-2)
    assert (classifier.bias == 0).all()


@pytest.mark.parametrize("source", ["random", "random-caffe", "random-matlab"])
def test_the_seed_decides(source, images):
    digests = []
    for seed in (1, 1, 2):
        network = GoogLeNet("bvlc")
        load_weights(network, source, seed=seed, images=images)
        digests.append(network.state_digest())
    assert digests[0] == digests[1] != digests[2]


def test_nothing_global_is_drawn_from(images):
    before = torch.get_rng_state()
    load_weights(GoogLeNet("bvlc"), "random", images=images)
    assert torch.equal(before, torch.get_rng_state())


def test_calibration_gives_every_convolution_unit_variance(network, images):
    load_weights(network, "random", seed=4, images=images)
    convolutions = [layer.name for layer in network.layers if layer.kind == Kind.CONVOLUTION]
    with torch.no_grad():
        values = network.activations(network.preprocess(images), convolutions)
    assert len(convolutions) == 57
    assert [v.std().item() for v in values.values()] == pytest.approx([1.0] * 57, abs=1e-3)


def test_images_without_contrast_cannot_calibrate():
    grey = torch.full((2, 3, 224, 224), 0, dtype=torch.uint8)
    network = GoogLeNet("bvlc")
    with torch.no_grad():
        network["conv1-7x7_s2"].weight.zero_()
    with pytest.raises(InputError, match="cannot calibrate conv1-7x7_s2"):
        calibrate(network, grey)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(InputError, match="initialisation 'he' is unknown"):
        initialise(GoogLeNet().learnable.items(), "he", torch.Generator())
