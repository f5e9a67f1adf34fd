import hashlib
import math
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
import torchvision

from hep2lib.cnn import weights
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.layers import CLASSIFIER, Kind, initialise
from hep2lib.cnn.weight_files import WeightsError
from hep2lib.cnn.weights import calibrate, imagenet_available, load_weights
from hep2lib.errors import InputError


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def imagenet(torch_home, monkeypatch):
    """torchvision's file of 1000 classes with auxiliary heads, in torch's cache, under its right hash."""
    model = torchvision.models.GoogLeNet(num_classes=1000, aux_logits=True, init_weights=False)
    temporary = torch_home / "new.pth"
    torch.save(model.state_dict(), temporary)
    digits = hashlib.sha256(temporary.read_bytes()).hexdigest()[:8]
    path = temporary.rename(torch_home / f"googlenet-{digits}.pth")
    monkeypatch.setattr(weights, "IMAGENET_URL", f"https://nowhere.invalid/models/{path.name}")
    return path, model.eval()


def test_random_weights_say_what_they_are(images):
    network = GoogLeNet("bvlc")
    sentence = load_weights(network, "random", seed=5, images=images)
    assert sentence == (
        "GoogLeNet (bvlc), random weights, each convolution scaled to unit variance on 3 images; seed 5"
    )
    assert network.provenance.description == sentence
    assert network.provenance.source == "random"
    assert network.provenance.variant == "bvlc"
    assert network.provenance.sha256 == network.state_digest()


def test_without_images_nothing_is_calibrated():
    network = GoogLeNet("bvlc")
    before = network.state_digest()
    with pytest.raises(WeightsError, match=r"weights random: .* give some with images"):
        load_weights(network, "random", seed=1)
    assert network.state_digest() == before


def test_imagenet_is_taken_from_the_cache_and_all_but_the_classifier_loaded(imagenet, images):
    path, model = imagenet
    network = GoogLeNet("torchvision", classes=2).eval()
    sentence = load_weights(network, "imagenet", seed=3)
    assert "ImageNet weights" in sentence
    assert path.name in sentence
    assert "its classifier of 1000 classes replaced by a fresh one for 2 classes, seed 3" in sentence
    assert network.provenance.source == "imagenet"
    assert network.provenance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    theirs = []
    model.avgpool.register_forward_hook(lambda *arguments: theirs.append(arguments[2]))
    with torch.no_grad():
        x = network.preprocess(images)
        model(x)
        ours = network.activations(x, ["pool5-7x7_s1"])["pool5-7x7_s1"]
    assert torch.allclose(ours, theirs[0], rtol=1e-3, atol=1e-5)


def test_with_1000_classes_the_classifier_is_loaded_too(imagenet):
    _, model = imagenet
    network = GoogLeNet("torchvision", classes=1000)
    assert "classifier included" in load_weights(network, "imagenet")
    assert torch.equal(network["loss3-classifier"].weight, model.fc.weight)


def test_the_seed_draws_the_fresh_classifier(imagenet):
    digests = []
    for seed in (0, 0, 1):
        network = GoogLeNet("torchvision")
        load_weights(network, "imagenet", seed=seed)
        digests.append(network.state_digest())
    assert digests[0] == digests[1] != digests[2]


def test_a_damaged_cache_is_noticed(imagenet):
    path, _ = imagenet
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match=r"is damaged \(its sha256 does not start with .*\): delete it"):
        load_weights(GoogLeNet("torchvision"), "imagenet")


def test_without_a_file_or_a_network_the_message_names_both(torch_home, monkeypatch):
    monkeypatch.setattr(weights, "IMAGENET_URL", "https://nowhere.invalid/models/googlenet-1378be20.pth")
    monkeypatch.setattr(weights, "imagenet_available", lambda **_: False)
    with pytest.raises(WeightsError) as caught:
        load_weights(GoogLeNet("torchvision"), "imagenet")
    assert str(torch_home / "googlenet-1378be20.pth") in str(caught.value)
    assert "https://nowhere.invalid/models/googlenet-1378be20.pth" in str(caught.value)


def test_a_hanging_network_counts_as_none(torch_home, monkeypatch):
    asked = threading.Event()

    def silent(*_, **__):
        asked.wait(60)
        raise OSError("timed out")

    monkeypatch.setattr(weights.urllib.request, "urlopen", silent)
    assert not imagenet_available(timeout=0.05)
    asked.set()


def test_a_refusing_network_counts_as_none(torch_home, monkeypatch):
    def refuse(*_, **__):
        raise OSError("refused")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse)
    assert not imagenet_available(timeout=5)


@pytest.mark.parametrize("proxy", ["foo", "foo:bar", "ftp://x:y", "http://[", "http://\u00e4:1", "://", " "])
def test_a_proxy_that_is_none_is_no_network_and_nothing_is_said(tmp_path, monkeypatch, capfd, proxy):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    said = []
    monkeypatch.setattr("threading.excepthook", said.append)
    imagenet_available(timeout=0.5)
    assert said == []


def test_a_file_in_the_cache_counts(imagenet):
    assert imagenet_available()


def test_imagenet_belongs_to_torchvisions_variant():
    with pytest.raises(WeightsError, match="belong to the variant torchvision, this network is bvlc"):
        load_weights(GoogLeNet("bvlc"), "imagenet")


@pytest.mark.parametrize("source", ["imagnet", "no/such/file.onnx", 300 * "x" + ".pth"])
def test_an_unknown_source_is_refused(source):
    with pytest.raises(WeightsError, match=f"weights '{source}': no such file; give an existing .pth"):
        load_weights(GoogLeNet(), source)


def test_the_contents_decide_not_the_ending(tmp_path):
    (tmp_path / "net.xyz").write_bytes(b"\xff\x00\xff\x01")
    with pytest.raises(WeightsError, match=r"net\.xyz is not a file of weights that is read"):
        load_weights(GoogLeNet(), tmp_path / "net.xyz")


def test_the_digest_of_a_file_covers_the_files_beside_it(tmp_path):
    """Two graphs of one name and other values are two sets of weights."""
    (tmp_path / "a").write_bytes(b"graph")
    (tmp_path / "b").write_bytes(b"values")
    assert weights._file_sha256(tmp_path / "a") == hashlib.sha256(b"graph").hexdigest()
    both = weights._file_sha256(tmp_path / "a", tmp_path / "b")
    assert both == hashlib.sha256(b"graphvalues").hexdigest()


here = pytest.mark.skipif(
    not weights.PROCEDURAL.is_file(), reason="the file of procedural weights was left out"
)


@here
def test_procedural_weights_come_with_the_package_and_a_card():
    network, live = GoogLeNet("torchvision"), GoogLeNet("torchvision", batchnorm="train")
    sentence = load_weights(network, "procedural", seed=3)
    load_weights(live, "procedural", seed=3)
    assert sentence == (
        "GoogLeNet (torchvision), procedural weights, learnt from images that formulas draw (sha256 "
        f"{weights.PROCEDURAL_SHA256[:8]}); without a classifier; a fresh one for 2 classes, seed 3"
    )
    assert (network.provenance.source, network.provenance.sha256) == ("procedural", weights.PROCEDURAL_SHA256)
    assert weights.PROCEDURAL.stat().st_size < 12e6
    card = weights.PROCEDURAL.with_suffix(".md").read_text(encoding="utf-8")
    assert weights.PROCEDURAL_SHA256 in card


@here
def test_procedural_weights_that_cannot_be_had_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="procedural: these weights belong to the variant torchvision"):
        load_weights(GoogLeNet("bvlc"), "procedural")
    data, path = bytearray(weights.PROCEDURAL.read_bytes()), tmp_path / "procedural.safetensors"
    monkeypatch.setattr(weights, "PROCEDURAL", path)
    with pytest.raises(WeightsError, match=r"procedural: .*procedural.safetensors is missing: fetch it"):
        load_weights(GoogLeNet("torchvision"), "procedural")
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"procedural: .*procedural.safetensors is damaged"):
        load_weights(GoogLeNet("torchvision"), "procedural")


def test_the_address_of_the_imagenet_weights_is_torchvisions():
    assert torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1.url == weights.IMAGENET_URL


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
    assert [v.std().item() for v in values.values()] == pytest.approx([1.0] * 57, abs=0.016)


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


def test_a_calibrated_network_does_not_depend_on_the_number_of_threads(images):
    before, digests = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            network = GoogLeNet(variant="torchvision", classes=2)
            load_weights(network, "random", seed=0, images=images)
            digests.add(network.state_digest())
    finally:
        torch.set_num_threads(before)
    assert len(digests) == 1


def test_random_weights_are_the_same_on_every_processor(tmp_path, images):
    """Instruction sets stand in for processors: PyTorch's, oneDNN's and MKL's can be limited."""
    np.save(tmp_path / "images.npy", images.numpy())
    code = (
        "import sys, numpy, torch; from hep2lib.cnn.googlenet import GoogLeNet; "
        "from hep2lib.cnn.weights import load_weights; network = GoogLeNet('torchvision', 2); "
        "load_weights(network, 'random', images=torch.from_numpy(numpy.load(sys.argv[1]))); "
        "print(torch.backends.cpu.get_cpu_capability(), network.state_digest())"
    )
    old = {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    }
    said = [
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / "images.npy"],
            env=os.environ | limits,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for limits in ({}, old)
    ]
    assert said[1][0] in ("DEFAULT", "NO"), "the limit was understood"
    assert said[0][-1] == said[1][-1]
