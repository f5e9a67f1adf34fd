"""Files of weights: what a reader yields, how it fills a network, and the forms .pth and .safetensors."""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from hep2lib.cnn.googlenet import VARIANTS, GoogLeNet
from hep2lib.cnn.layers import CLASSIFIER
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.errors import InputError
from hep2lib.files import written_whole

#: Numbers of classes of networks that one fine-tunes from: their classifier is replaced by a fresh one.
SOURCE_CLASSES = {1000: "ImageNet", 365: "Places365"}

#: torchvision's GoogLeNet adds this to the variance in its batch normalisation.
EPSILON = 1e-3

#: The tensors of a batch normalisation: scale, shift, mean and variance of each channel.
STATISTICS = ("weight", "bias", "running_mean", "running_var")

#: At most so many mismatches are listed one by one, and so many characters of a message are shown.
LISTED, LONGEST = 8, 1500

#: No layer of GoogLeNet has so many weights.
_TOO_MANY = 2**22

#: Under this name our own .safetensors files say what preprocessing and provenance the weights have.
_METADATA = "hep2lib"

#: torchvision's names of the modules of the stem, and of the branches of a block.
_STEM = {"conv1-7x7_s2": "conv1", "conv2-3x3_reduce": "conv2", "conv2-3x3": "conv3", CLASSIFIER: "fc"}
_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}


class WeightsError(InputError):
    """Weights that cannot be had or do not fit; the message names the file or the source.

    A message quotes names from a file that anybody may have written: signs that steer a terminal are shown as
    question marks, and it is cut where it gets too long to read.
    """

    def __init__(self, message: str) -> None:
        shown = "".join(sign if sign.isprintable() else "?" for sign in message[: LONGEST + 1])
        super().__init__(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ...")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The contents of a weight file in this package's terms.

    Attributes:
        tensors: parameters under the names of the network's ``state_dict``.
        preprocessing: what the weights expect of their input.
        form: what kind of file it is, in a few words.
    """

    tensors: Mapping[str, Tensor]
    preprocessing: Preprocessing
    form: str


def key(layer: str, parameter: str) -> str:
    """Name of a parameter ("weight" or "bias") of a layer in a network's ``state_dict``."""
    return f"learnable.{layer}.{parameter}"


def plain_name(name: str) -> str:
    """A layer's name without the signs in which Caffe, MATLAB, ONNX and PyTorch differ."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower())


def torchvision_name(layer: str) -> str:
    """Name, in torchvision, of a layer with parameters: ``inception3a.branch1`` for ``inception_3a-1x1``."""
    if layer in _STEM:
        return _STEM[layer]
    block, _, branch = layer.partition("-")
    return f"{block.replace('_', '')}.{_BRANCHES[branch]}"


def read_pth(path: Path, network: GoogLeNet) -> WeightFile:
    """Read a file that ``torch.save`` wrote; only tensors are accepted, and no code in it is ever run.

    It holds a dictionary of tensors under torchvision's names, this package's or Caffe's, or a checkpoint
    with such a dictionary as its "state_dict" or "model".

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
    (a, b, c), (x, y, z) = map(float, notes["mean"]), map(float, notes["scale"])
    mean_image = tensors.pop("mean_image").numpy() if "mean_image" in tensors else None
    preprocessing = Preprocessing((a, b, c), (x, y, z), notes["order"], mean_image)
    result = from_state_dict(tensors, network)
    return WeightFile(result.tensors, preprocessing, f"hep2lib file ({notes['description']})")


def write_safetensors(network: GoogLeNet, path: Path) -> None:
    """Write a network's parameters with its preprocessing and its provenance, whole or not at all.

    Raises:
        InputError: if the folder cannot be written.
    """
    tensors, own = dict(network.state_dict()), network.preprocess
    if own.mean_image is not None:
        tensors["mean_image"] = torch.from_numpy(own.mean_image)
    notes = {"mean": own.mean, "scale": own.scale, "order": own.order}
    notes |= {"variant": network.variant, "description": network.provenance.description}
    write_tensors(path, tensors, {_METADATA: json.dumps(notes)})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a ``.safetensors`` file, whole or not at all.

    Args:
        path: the file.
        tensors: by name; no two of them may share memory.
        metadata: texts by name, kept in the file's head.

    Raises:
        InputError: if the folder cannot be written, for want of permission or of room.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(plain, temporary, metadata=metadata)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{path.parent}: cannot be written ({error}); make room or choose another run folder, then start "
            "again: what was computed is kept"
        ) from None


def from_state_dict(state: Mapping[str, Tensor], network: GoogLeNet) -> WeightFile:
    """Bring the tensors of a network under torchvision's, Caffe's or this package's names to ours.

    Auxiliary heads are left out. Batch normalisation is folded into the convolutions unless the network keeps
    it live. Names that no layer has stay as they are, to be reported by ``fill``.
    """
    layers = {plain_name(layer): layer for layer in network.learnable}
    layers |= {plain_name(torchvision_name(layer)): layer for layer in network.learnable}
    state = {name.removeprefix("module."): value for name, value in state.items()}
    renamed = {}
    for name, value in state.items():
        if re.match(r"(aux|loss)[12]\b", name):
            continue
        module, _, parameter = name.rpartition(".")
        live = module.startswith("normalisations.") or module.endswith(".bn")
        module = module.removeprefix("normalisations.").removeprefix("learnable.")
        layer = layers.get(plain_name(module.removesuffix(".bn").removesuffix(".conv")))
        room = "normalisations" if live else "learnable"
        renamed[name if layer is None else f"{room}.{layer}.{parameter}"] = value
    if network.batchnorm == "folded":
        for layer in network.learnable:
            _fold_layer(renamed, layer)
    names = "torchvision's" if "conv1.conv.weight" in state else "the layers'"
    return WeightFile(renamed, VARIANTS[network.variant].preprocessing, f"PyTorch file with {names} names")


def _fold_layer(state: dict[str, Tensor], layer: str) -> None:
    """Fold a layer's batch normalisation, if its four tensors and the convolution are there."""
    prefix = f"normalisations.{layer}."
    if not {key(layer, "weight"), *(prefix + name for name in STATISTICS)} <= state.keys():
        return
    weight, statistics = state[key(layer, "weight")], {name: state[prefix + name] for name in STATISTICS}
    if weight.numel() > _TOO_MANY or not all(map(is_plain, (weight, *statistics.values()))):
        return  # ``fill`` says what is wrong
    if weight.ndim != 4 or any(value.shape != weight.shape[:1] for value in statistics.values()):
        raise WeightsError(f"the batch normalisation of {layer} does not fit its convolution")
    state[key(layer, "weight")], state[key(layer, "bias")] = fold(weight, statistics)
    for name in (*statistics, "num_batches_tracked"):
        state.pop(prefix + name, None)


def fold(weight: Tensor, statistics: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Merge a convolution without bias and the batch normalisation after it into one convolution with bias.

    In evaluation mode the normalisation is ``g (y - m) / sqrt(v + EPSILON) + b`` for the convolution's output
    ``y = W x``: a linear map, so ``W' = s W`` and ``b' = b - s m`` with ``s = g / sqrt(v + EPSILON)``.
    Computed in float64, so that the result is rounded once.

    Args:
        weight: convolution weights, out x in x k x k.
        statistics: "weight" (g), "bias" (b), "running_mean" (m) and "running_var" (v), each of length out.

    Returns:
        The merged weights, of the same shape, and the bias, of length out; float32.
    """
    gain, shift, mean, variance = (statistics[name].double() for name in STATISTICS)
    scale = gain / (variance + EPSILON).sqrt()
    return (weight.double() * scale[:, None, None, None]).float(), (shift - scale * mean).float()


def fill(network: GoogLeNet, tensors: Mapping[str, Tensor], where: str) -> bool:
    """Check all tensors against a network, then copy them into it; on an error the network is unchanged.

    Args:
        network: to fill.
        tensors: of any floating point type, under the names of ``network.state_dict()``.
        where: the file's name, for the message.

    Returns:
        True if the classifier was copied too; False if the file's classifies something else (1000 ImageNet or
        365 Places classes), so that the network's own is kept.

    Raises:
        WeightsError: if a tensor is missing, unknown, of another shape or no plain array of finite floating
            point numbers, or the number of classes is neither the network's nor one to fine-tune from.
    """
    own = network.state_dict()
    weight = tensors.get(key(CLASSIFIER, "weight"))
    with_head = weight is None or _takes_classifier(network, weight, where)
    kept = set() if with_head else {key(CLASSIFIER, "weight"), key(CLASSIFIER, "bias")}
    expected, given = (
        {name for name in names if not name.endswith("num_batches_tracked")} - kept
        for names in (own, tensors)
    )
    problems = [f"{_words(name)} is missing" for name in own if name in expected - given]
    problems += [f"{_words(name)} belongs to no layer" for name in tensors if name in given - expected]
    for name in [name for name in own if name in expected & given]:
        tensor, shape = tensors[name], tuple(own[name].shape)
        if tensor.shape != shape:
            problems.append(f"{_words(name)} is {tuple(tensor.shape)}, not {shape}")
        elif not is_plain(tensor):
            problems.append(f"{_words(name)} is no plain array of floating point numbers")
        elif not bool(torch.isfinite(tensor.float()).all()):
            problems.append(f"{_words(name)} holds NaN or infinity")
    if problems:
        raise WeightsError(
            f"{where} does not hold weights of GoogLeNet, variant {network.variant}: {listed(problems)}. "
            "Nothing was loaded; give a file of this network, or choose the other variant"
        )
    with torch.no_grad():
        for name in expected:
            own[name].copy_(tensors[name])
    return with_head


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds floating point numbers; not if it is sparse, quantised or without data."""
    dense = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    return dense and tensor.is_floating_point()


def listed(problems: list[str]) -> str:
    """Join problems to one line that stays readable."""
    more = len(problems) - LISTED
    return "; ".join(problems[:LISTED]) + (f"; and {more} more" if more > 0 else "")


def _takes_classifier(network: GoogLeNet, weight: Tensor, where: str) -> bool:
    classes = weight.shape[0] if weight.ndim else 0
    if classes == network.classes:
        return True
    if classes in SOURCE_CLASSES:
        return False
    known = " or ".join(f"{number} ({name})" for number, name in SOURCE_CLASSES.items())
    raise WeightsError(
        f"{where} classifies {classes} classes, the network {network.classes}: give a file of "
        f"{network.classes} classes, or one to fine-tune from, of {known}"
    )


def _words(name: str) -> str:
    """A state_dict's name in words: ``weight of conv1-7x7_s2``."""
    layer, _, parameter = name.removeprefix("learnable.").removeprefix("normalisations.").rpartition(".")
    return f"{parameter} of {layer[:60]}" if layer else name[:60]
