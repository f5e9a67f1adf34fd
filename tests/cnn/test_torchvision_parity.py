"""The torchvision variant against torchvision's own module, with random weights and random statistics."""

import pytest
import torch
from torch import nn

from hep2lib.cnn.googlenet import BLOCKS, GoogLeNet
from hep2lib.cnn.preprocessing import TORCHVISION_TRANSFORMED, Preprocessing
from hep2lib.cnn.weights import load_weights

from .reference import drawn_torchvision


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """torchvision's network for two classes in evaluation mode, all parameters and statistics drawn."""
    return drawn_torchvision(11)


@pytest.fixture(scope="module")
def file(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "googlenet.pth"
    torch.save(theirs.state_dict(), path)
    return path


#: torchvision's usual normalisation by ImageNet's mean and standard deviation.
TORCHVISION = Preprocessing(
    (0.485 * 255, 0.456 * 255, 0.406 * 255), (1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255))
)


@pytest.mark.parametrize("batchnorm", ["folded", "train"])
@pytest.mark.parametrize(
    ("transform_input", "preprocessing"), [(True, TORCHVISION_TRANSFORMED), (False, TORCHVISION)]
)
def test_logits_agree(theirs, file, full_images, batchnorm, transform_input, preprocessing):
    ours = GoogLeNet("torchvision", classes=2, batchnorm=batchnorm).eval()
    load_weights(ours, file)
    theirs.transform_input = transform_input
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (full_images / 255 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        expected = theirs(x)
        difference = (ours(preprocessing(full_images)) - expected).abs().max().item()
    assert expected.std() > 0.01
    assert difference < 1e-4


def test_every_block_agrees(theirs, file, images):
    ours = GoogLeNet("torchvision", classes=2).eval()
    load_weights(ours, file)
    theirs.transform_input = False
    modules = {"pool1-norm1": "maxpool1", "pool2-3x3_s2": "maxpool2", "pool4-3x3_s2": "maxpool4"}
    modules |= {f"{block}-output": block.replace("_", "") for block in BLOCKS}
    x = ours.preprocess(images)
    caught = {}
    for layer, name in modules.items():
        theirs.get_submodule(name).register_forward_hook(
            lambda *arguments, layer=layer: caught.__setitem__(layer, arguments[2])
        )
    with torch.no_grad():
        theirs(x)
        values = ours.activations(x, list(modules))
    for layer, expected in caught.items():
        assert (values[layer] - expected).abs().max() <= 1e-4 * expected.abs().max(), layer


def test_live_batch_normalisation_trains_as_torchvisions(theirs, file, images):
    """One training step on the same batch: the same loss, statistics and gradients."""
    theirs.transform_input = False
    theirs.dropout.p = 0.0
    ours = GoogLeNet("torchvision", classes=2, batchnorm="train")
    load_weights(ours, file)
    ours.train().dropout = 0.0
    theirs.train()
    x, labels = ours.preprocess(images), torch.tensor([0, 1, 1])
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    losses = [nn.functional.cross_entropy(network(x), labels) for network in (ours, theirs)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-3)
    mean = ours.normalisations["conv2-3x3"].running_mean
    assert torch.allclose(mean, theirs.conv3.bn.running_mean, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(mean, before["conv3.bn.running_mean"], rtol=1e-3, atol=1e-4)
    gradient, expected = ours["loss3-classifier"].weight.grad, theirs.fc.weight.grad
    assert (gradient - expected).abs().max() < 1e-3 * expected.abs().max()
    theirs.load_state_dict(before)
    theirs.eval()


def test_training_mode_moves_live_statistics_and_folded_ones_cannot_move(file, images):
    live = GoogLeNet("torchvision", batchnorm="train")
    folded = GoogLeNet("torchvision")
    for network, moves in ((live, True), (folded, False)):
        load_weights(network, file)
        before = network.state_digest()
        with torch.no_grad():
            network.train()(network.preprocess(images))
        assert (network.state_digest() != before) == moves
