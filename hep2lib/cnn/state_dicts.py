"""Readers of PyTorch's weight files, .pth and .safetensors, and the writer of ours; nothing is unpickled."""

import json
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .batchnorm import fold
from .files import written_whole
from .googlenet import LAYERS, VARIANTS, GoogLeNet
from .initialisation import CLASSIFIER
from .preprocessing import Preprocessing
from .weight_files import WeightFile, WeightsError, is_plain, key

#: torchvision's names of the modules of the stem; those of the blocks follow a rule.
_STEM = {"conv1-7x7_s2": "conv1", "conv2-3x3_reduce": "conv2", "conv2-3x3": "conv3", CLASSIFIER: "fc"}
_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_METADATA = "hep2lib"

#: No layer of GoogLeNet has so many weights.
_TOO_MANY = 2**22


def torchvision_name(layer: str) -> str:
    """Name, in torchvision, of a layer with parameters: ``inception3a.branch1`` for ``inception_3a-1x1``."""
    if layer in _STEM:
        return _STEM[layer]
    block, _, branch = layer.partition("-")
    return f"{block.replace('_', '')}.{_BRANCHES[branch]}"


def plain_name(name: str) -> str:
    """A layer's name without the signs in which Caffe, MATLAB, ONNX and PyTorch differ."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower())


def read_pth(path: Path, network: GoogLeNet) -> WeightFile:
    """Read a file that ``torch.save`` wrote; only tensors are accepted, and no code in it is ever run.

    Args:
        path: the file. A dictionary of tensors under torchvision's names, this package's or Caffe's; also
            inside a checkpoint's "state_dict" or "model".
        network: whose names the result takes.

    Raises:
        WeightsError: if it holds anything but tensors.
        Exception: of any kind, if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle's version; what counts is raised
            contents: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is damaged; nothing in it was run. Save the network's "
            "state_dict() alone, or give a .safetensors file"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(contents, dict) and isinstance(contents.get(wrapper), dict):
            contents = contents[wrapper]
    if not isinstance(contents, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in contents.items()
    ):
        raise WeightsError(f"{path} does not hold a dictionary of tensors: save the network's state_dict()")
    return from_state_dict(contents, network)


def read_safetensors(path: Path, network: GoogLeNet) -> WeightFile:
    """Read a .safetensors file: this package's own (with its preprocessing) or any of the forms of a .pth.

    Raises:
        WeightsError: if it was written for the other variant.
        Exception: of any kind, if it is damaged.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    if _METADATA not in metadata:
        return from_state_dict(tensors, network)
    notes = json.loads(metadata[_METADATA])
    if notes["variant"] != network.variant:
        raise WeightsError(
            f"{path} holds the variant {notes['variant']}, the network {network.variant}: choose its variant"
        )
    image = tensors.pop("mean_image", None)
    preprocessing = Preprocessing(
        _three(notes["mean"]),
        _three(notes["scale"]),
        notes["order"],
        None if image is None else image.numpy(),
    )
    result = from_state_dict(tensors, network)
    return WeightFile(result.tensors, preprocessing, f"hep2lib file ({notes['description']})")


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def write_safetensors(network: GoogLeNet, path: Path) -> None:
    """Write a network's parameters with what its preprocessing and its provenance are.

    Args:
        network: any variant.
        path: the file, written whole or not at all.
    """
    preprocessing = network.preprocess
    tensors = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    if preprocessing.mean_image is not None:
        tensors["mean_image"] = torch.from_numpy(np.ascontiguousarray(preprocessing.mean_image))
    notes = {
        "variant": network.variant,
        "mean": preprocessing.mean,
        "scale": preprocessing.scale,
        "order": preprocessing.order,
        "description": network.provenance.description,
    }
    with written_whole(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata={_METADATA: json.dumps(notes)})


def from_state_dict(state: Mapping[str, Tensor], network: GoogLeNet) -> WeightFile:
    """Bring the tensors of a network under torchvision's, Caffe's or this package's names to ours.

    Auxiliary heads are left out. Batch normalisation is folded into the convolutions unless the network keeps
    it live. Names that no layer has stay as they are, to be reported by ``weight_files.fill``.

    Args:
        state: tensors by name.
        network: whose names the result takes.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    state = {name: value for name, value in state.items() if not re.match(r"(aux|loss)[12]\b", name)}
    if "conv1.conv.weight" in state:
        renamed, form = _from_torchvision(state), "PyTorch file with torchvision's names"
    else:
        renamed, form = _from_layer_names(state), "PyTorch file with the layers' names"
    if network.batchnorm == "folded":
        renamed = _folded(renamed)
    return WeightFile(renamed, VARIANTS[network.variant].preprocessing, form)


def _from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    layers = {torchvision_name(layer): layer for layer in LAYERS if _has_parameters(layer)}
    renamed = {}
    for name, value in state.items():
        module, _, parameter = name.rpartition(".")
        owner, _, kind = module.rpartition(".")
        if module in layers:
            renamed[key(layers[module], parameter)] = value
        elif owner in layers and kind == "conv":
            renamed[key(layers[owner], parameter)] = value
        elif owner in layers and kind == "bn":
            renamed[f"normalisations.{layers[owner]}.{parameter}"] = value
        else:
            renamed[name] = value
    return renamed


def _has_parameters(layer: str) -> bool:
    return layer in _STEM or layer.partition("-")[2] in _BRANCHES


def _from_layer_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    layers = {plain_name(layer): layer for layer in LAYERS if _has_parameters(layer)}
    renamed = {}
    for name, value in state.items():
        room = "normalisations" if name.startswith("normalisations.") else "learnable"
        module, _, parameter = name.removeprefix(f"{room}.").rpartition(".")
        layer = layers.get(plain_name(module))
        renamed[name if layer is None else f"{room}.{layer}.{parameter}"] = value
    return renamed


def _folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold every batch normalisation whose four tensors and convolution are there."""
    result = dict(state)
    for layer in LAYERS:
        names = {
            parameter: f"normalisations.{layer}.{parameter}"
            for parameter in ("weight", "bias", "running_mean", "running_var")
        }
        if key(layer, "weight") not in state or not all(name in state for name in names.values()):
            continue
        statistics = {parameter: state[name] for parameter, name in names.items()}
        weight = state[key(layer, "weight")]
        if weight.numel() > _TOO_MANY or not all(map(is_plain, (weight, *statistics.values()))):
            continue  # ``weight_files.fill`` says what is wrong
        if weight.ndim != 4 or any(value.shape != weight.shape[:1] for value in statistics.values()):
            raise WeightsError(f"the batch normalisation of {layer} does not fit its convolution")
        result[key(layer, "weight")], result[key(layer, "bias")] = fold(weight, statistics)
        for name in (*names.values(), f"normalisations.{layer}.num_batches_tracked"):
            result.pop(name, None)
    return result
