"""Reader of Caffe's .caffemodel files, today's form and that of 2014."""

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .googlenet import GoogLeNet
from .layers import LEARNABLE, Kind
from .preprocessing import CAFFE
from .protobuf import Message, ProtobufError
from .state_dicts import plain_name
from .weight_files import WeightFile, WeightsError, key

#: Field numbers of caffe.proto: where the layers are, and in a layer its name and its blobs.
_FORMS = {"Caffe model": (100, 1, 7), "Caffe model of the V1 form": (2, 4, 6)}


def read_caffe(path: Path, network: GoogLeNet) -> WeightFile:
    """Read the parameters of a Caffe model; its auxiliary heads (loss1, loss2) are left out.

    Caffe takes images blue first with the mean subtracted, and so does the result's preprocessing.

    Args:
        path: the file.
        network: whose names the result takes.

    Raises:
        WeightsError: if it is no Caffe model.
        Exception: of any kind, if it is damaged.
    """
    model = Message(path.read_bytes())
    for form, (layers, name, blobs) in _FORMS.items():
        entries = [(layer.text(name), layer.messages(blobs)) for layer in model.messages(layers)]
        if any(values for _, values in entries):
            return WeightFile(_tensors(entries, network), CAFFE, form)
    raise WeightsError(f"{path} is no Caffe model with parameters: give the .caffemodel, not the description")


def _tensors(entries: list[tuple[str, list[Message]]], network: GoogLeNet) -> dict[str, Tensor]:
    layers = {plain_name(layer.name): layer for layer in network.layers if layer.kind in LEARNABLE}
    tensors = {}
    for name, blobs in entries:
        if not blobs or re.match(r"loss[12]/", name):
            continue
        layer = layers.get(plain_name(name))
        dimensions = 2 if layer is not None and layer.kind == Kind.FULLY_CONNECTED else 4
        for parameter, blob, size in zip(("weight", "bias"), blobs, (dimensions, 1), strict=False):
            own = f"{name}.{parameter}" if layer is None else key(layer.name, parameter)
            tensors[own] = _blob(blob, size, name)
    return tensors


def _blob(blob: Message, dimensions: int, name: str) -> Tensor:
    """The array of a blob; shapes of 2014 always have four dimensions, with leading ones."""
    described = blob.messages(7)
    shape = described[0].integers(1) if described else [blob.integer(number, 1) for number in (1, 2, 3, 4)]
    while len(shape) > dimensions and shape[0] == 1:
        shape = shape[1:]
    values = blob.floats(5)
    if not values.size:
        values = blob.doubles(8)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ProtobufError(f"layer {name} has {values.size} numbers for the shape {tuple(shape)}")
    return torch.from_numpy(values.astype(np.float32).reshape(shape))
