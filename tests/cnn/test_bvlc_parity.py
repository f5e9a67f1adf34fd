"""The bvlc variant against two other implementations, onnxruntime and OpenCV, layer by layer."""

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from hep2lib.cnn.googlenet import LAYERS, GoogLeNet
from hep2lib.cnn.weight_files import plain_name
from hep2lib.cnn.weights import load_weights

from . import reference

#: Layers that are no computation of their own: the image, dropout (which does nothing here) and the result.
COMPUTED = [name for name in LAYERS if name not in ("data", "output")]


@pytest.fixture(scope="module")
def steps():
    return reference.googlenet()


@pytest.fixture(scope="module")
def ours(steps, tmp_path_factory, full_images):
    """Values of all layers, from the .caffemodel."""
    network = GoogLeNet("bvlc", classes=1000).eval()
    path = reference.write_caffe(steps, tmp_path_factory.mktemp("caffe") / "googlenet.caffemodel")
    load_weights(network, path)
    x = network.preprocess(full_images)
    with torch.no_grad():
        return x, {name: value.numpy() for name, value in network.activations(x, COMPUTED).items()}


def agree(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    by_name = {plain_name(name): value for name, value in theirs.items()}
    assert len(by_name) == len(COMPUTED) == 142
    worst = {}
    for name, value in ours.items():
        expected = by_name[plain_name(name)].reshape(value.shape)
        worst[name] = np.abs(value - expected).max() / np.abs(expected).max()
    assert max(worst.values()) < 1e-4, max(worst, key=worst.get)
    assert all(value.std() > 1e-4 for value in ours.values())


def test_every_layer_agrees_with_onnxruntime(steps, ours, tmp_path):
    path = reference.write_onnx(steps, tmp_path / "googlenet.onnx", outputs=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x, values = ours
    results = session.run(None, {"data_0": x.contiguous().numpy()})
    agree(values, dict(zip([step.name for step in steps], results, strict=True)))


def test_every_layer_agrees_with_opencvs_caffe_importer(steps, ours, tmp_path):
    description = tmp_path / "deploy.prototxt"
    description.write_text(reference.prototxt(steps), encoding="utf-8")
    model = reference.write_caffe(steps, tmp_path / "googlenet.caffemodel")
    network = cv2.dnn.readNetFromCaffe(str(description), str(model))
    network.enableFusion(False)
    x, values = ours
    network.setInput(x.contiguous().numpy())
    names = [step.name for step in steps]
    agree(values, dict(zip(names, network.forward(names), strict=True)))
