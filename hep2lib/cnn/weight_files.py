"""Files of weights: what a reader yields, how it fills a network, and the forms .pth and .safetensors."""

import argparse
import hashlib
import json
import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
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

EPSILON = 1e-3  # torchvision's GoogLeNet adds this to the variance in its batch normalisation
STATISTICS = ("weight", "bias", "running_mean", "running_var")  # of a channel in batch normalisation
LISTED, LONGEST = 8, 1500  # mismatches that are listed one by one, and characters of a message
_TOO_MANY, _LONGEST_NAME = 2**22, 500  # no layer has so many weights, no name in a file so many letters
_WRAPPER = re.compile(r"(?<=\.)_\w+\.")  # what compilers put before a module's parts: ``a._orig_mod.b``
#: How the running average of a network's weights is called beside the weights themselves.
_AVERAGE = re.compile(r"(?<![a-z])(ema|swa|avg|averaged?|shadow)(?![a-z])", re.IGNORECASE)
#: What our own .safetensors files tell of preprocessing and provenance, and the sha256 of all of it.
_NOTES, _DIGEST = "hep2lib", "hep2lib-sha256"
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
    """The contents of a weight file in this package's terms."""

    tensors: Mapping[str, Tensor]  # parameters under the names of the network's ``state_dict``
    preprocessing: Preprocessing  # what the weights expect of their input
    form: str  # what kind of file it is, in a few words; what of it was left out too
    files: tuple[Path, ...] = ()  # the files beside it that hold values of it


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
    """Read a file that ``torch.save`` wrote; only tensors are taken, and no code in it is ever run.

    Raises:
        WeightsError: if it holds what only code in it could read, or not one GoogLeNet (``from_state_dict``).
        Exception: of any kind, if it is damaged.
    """
    try:
        # A Namespace is what many training scripts keep their options in; making one runs no code of a file.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # about the pickle's version; what counts is raised
            contents: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        kinds = re.findall(r"GLOBAL ([\w.]+)", str(error)) or ["a pickle that torch.save does not write"]
        raise WeightsError(
            f"{path} holds more than tensors ({kinds[0]}), or is damaged; nothing in it was run. Where the "
            "network can be had, give what torch.save(network.state_dict(), 'weights.pth') writes"
        ) from error
    return from_state_dict(contents, network, path)


def read_safetensors(path: Path, network: GoogLeNet) -> WeightFile:
    """Read a .safetensors file: this package's own (with its preprocessing) or any of the forms of a .pth.

    Raises:
        WeightsError: if it was written for the other variant, or does not hold one GoogLeNet.
        Exception: of any kind, if it is damaged.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    if metadata.keys().isdisjoint((_NOTES, _DIGEST)):
        return from_state_dict(tensors, network, path)
    if metadata[_DIGEST] != _sha256(metadata[_NOTES], tensors):
        raise ValueError("its values are not those that were written")
    notes = json.loads(metadata[_NOTES])
    if notes["variant"] != network.variant:
        raise WeightsError(f"{path} {other_variant(notes['variant'], network)}")
    (a, b, c), (x, y, z) = map(float, notes["mean"]), map(float, notes["scale"])
    mean_image = tensors.pop("mean_image").numpy() if "mean_image" in tensors else None
    preprocessing = Preprocessing((a, b, c), (x, y, z), notes["order"], mean_image)
    result = from_state_dict(tensors, network, path)
    return WeightFile(result.tensors, preprocessing, f"hep2lib file ({notes['description']})")


def write_body(network: GoogLeNet, path: Path) -> None:
    """Write a network for others to start from, in 11.4 MB: whole or not at all.

    The file holds the convolutions with their batch normalisation folded in, as float16, no classifier, the
    preprocessing, ``network.provenance.description``, and a sha256 of all that. Where the normalisation was
    live, one in float64 that changes no folded value takes the bias's place, so that it can live again.

    Raises:
        InputError: if the folder cannot be written.
    """
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    live = {name: value.double() for name, value in state.items() if name.startswith("normalisations.")}
    for layer in network.learnable:
        _fold_layer(state, layer, path)
    tensors = {name: value.half().contiguous() for name, value in state.items() if CLASSIFIER not in name}
    for layer in network.normalisations:
        gain, _, mean, variance = (live[f"normalisations.{layer}.{name}"] for name in STATISTICS)
        scale = gain / (variance + EPSILON).sqrt()
        mean, variance = scale * mean, scale**2 * variance  # of the folded convolution's output
        shift = tensors.pop(key(layer, "bias")).double() + mean
        values = ((variance + EPSILON).sqrt(), shift, mean, variance)
        tensors |= {f"normalisations.{layer}.{name}": x for name, x in zip(STATISTICS, values, strict=True)}
    own = network.preprocess
    if own.mean_image is not None:
        tensors["mean_image"] = torch.from_numpy(own.mean_image)
    notes = {"mean": own.mean, "scale": own.scale, "order": own.order}
    text = json.dumps(notes | {"variant": network.variant, "description": network.provenance.description})
    write_tensors(path, tensors, {_NOTES: text, _DIGEST: _sha256(text, tensors)})


def _sha256(notes: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(notes.encode())
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors, no two of which share memory, as a ``.safetensors`` file: whole or not at all.

    Raises:
        InputError: if the folder cannot be written, for want of permission or of room.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(plain, temporary, metadata=metadata)
    except (OSError, safetensors.SafetensorError) as error:
        reason = str(error).partition(" at path")[0]  # which is a temporary file's
        raise InputError(
            f"{path}: cannot be written ({reason}); make room or choose another run folder, then start "
            "again: what was computed is kept"
        ) from None


def from_state_dict(contents: object, network: GoogLeNet, where: Path | str = "it") -> WeightFile:
    """Bring the tensors of a network under torchvision's, Caffe's or this package's names to ours.

    It may lie in nested dictionaries and lists, behind any prefix, beside its running average; auxiliary
    heads are left out. Batch normalisation is folded into the convolutions unless the network keeps it live.
    Names that no layer has stay as they are, to be reported by ``fill``.

    Raises:
        WeightsError: if there is no network with these names, more than one, or a quantised one.
    """
    layers = {plain_name(layer): layer for layer in network.learnable}
    layers |= {plain_name(torchvision_name(layer)): layer for layer in network.learnable}
    state, words = _network_in(contents, layers, where)
    if any(value.is_quantized for value in state.values()):
        raise WeightsError(f"{where} is quantised (8-bit weights): give the network that it was made from")
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if not re.match(r"(aux|loss)[12]\b", name):
            own = _own_name(name, layers)
            renamed[name if own is None or own in renamed else own] = value
    if network.batchnorm == "folded":
        for layer in network.learnable:
            _fold_layer(renamed, layer, where)
    names = "torchvision's" if "conv1.conv.weight" in state else "the layers'"
    form = f"PyTorch file with {names} names{words}"
    return WeightFile(renamed, VARIANTS[network.variant].preprocessing, form)


def _own_name(name: str, layers: Mapping[str, str]) -> str | None:
    """A parameter's name in our ``state_dict``; None if the layer is none of ``layers``, by plain names."""
    module, _, parameter = _WRAPPER.sub("", name).rpartition(".")
    live = module.startswith("normalisations.") or module.endswith(".bn")
    layer = layers.get(plain_name(re.sub(r"^(learnable|normalisations)\.|\.(conv|bn)$", "", module)))
    return layer and f"{'normalisations' if live else 'learnable'}.{layer}.{parameter}"


def _network_in(contents: object, layers: Mapping[str, str], where: object) -> tuple[dict[str, Tensor], str]:
    """The tensors of the one network in a file, and words on where they lie and what was left out."""
    tensors = dict(_tensors(contents))
    found: dict[str, set[str]] = {}  # the names of layers behind each prefix
    for name in tensors:
        for sign in re.finditer(r"[\0./]", name[:_LONGEST_NAME]):
            if own := _own_name(name[sign.end() :], layers):
                found.setdefault(name[: sign.end()], set()).add(own.split(".")[1])
                break
    most = max(map(len, found.values()), default=0)
    if 2 * most < len(set(layers.values())):
        keys = f"keys: {listed(contents)}. " if isinstance(contents, Mapping) else ""
        raise WeightsError(
            f"{where} holds no GoogLeNet under torchvision's, Caffe's or this package's names: give this "
            f"network's state_dict(). What is in it: {keys}Tensors: {listed(tensors) or 'none'}"
        )
    # One may lack its classifier; and where a network lies beside its running average, the network is meant.
    places = [place for place, own in found.items() if len(own) >= most - 1]
    places = [place for place in places if not _AVERAGE.search(place)] or places
    states = [
        {name.removeprefix(place): tensors[name] for name in tensors if name.startswith(place)}
        for place in places
    ]
    memory = [{name: value.data_ptr() for name, value in state.items()} for state in states[1:] and states]
    if any(other != memory[0] for other in memory):  # one network under two names is one
        raise WeightsError(
            f"{where} holds {len(places)} networks, {listed(places)}: save the one that is meant alone"
        )
    place = places[0]
    outside = []
    for name in tensors:
        heads = accumulate(re.findall(r"[\0./]*[^\0./]*", name))
        if not name.startswith(place):
            outside.append(next((head for head in heads if not place.startswith(head)), name))
    words = "" if place == "\0" else f", under {listed([place])}"
    return states[0], words + (f", without {listed(outside)}" if outside else "")


def _tensors(contents: object) -> Iterator[tuple[str, Tensor]]:
    r"""All tensors in dictionaries and lists within others: the keys that lead there, ``\0``, the own one."""
    waiting, seen = [("", contents)], set()
    for path, value in waiting:
        if id(value) in seen or len(path) > _LONGEST_NAME or not isinstance(value, Mapping | list | tuple):
            continue
        seen.add(id(value))  # a file may hold one thing in many places, or in itself
        for name, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(entry, Tensor):
                yield f"{path}\0{name}", entry
            else:
                waiting.append((f"{path}.{name}".lstrip("."), entry))


def _fold_layer(state: dict[str, Tensor], layer: str, where: object) -> None:
    """Fold a layer's batch normalisation, if its four tensors and the convolution are there."""
    prefix, own = f"normalisations.{layer}.", key(layer, "weight")
    if not {own, *(prefix + name for name in STATISTICS)} <= state.keys():
        return
    weight, statistics = state[own], {name: state[prefix + name] for name in STATISTICS}
    alike = all(value.shape == weight.shape[:1] and is_plain(value) for value in statistics.values())
    if not alike or weight.ndim != 4 or weight.numel() > _TOO_MANY or not is_plain(weight):
        raise WeightsError(f"{where}: the batch normalisation of {layer} does not fit its convolution")
    state[own], state[key(layer, "bias")] = fold(weight, statistics)
    for name in (*STATISTICS, "num_batches_tracked"):
        state.pop(prefix + name, None)


def fold(weight: Tensor, statistics: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Merge a convolution without bias and the batch normalisation after it into one convolution with bias.

    In evaluation mode the normalisation is ``g (y - m) / sqrt(v + EPSILON) + b`` for the convolution's output
    ``y = W x``: a linear map, so ``W' = s W`` and ``b' = b - s m`` with ``s = g / sqrt(v + EPSILON)``. The
    weights W are out x in x k x k; ``statistics`` are "weight" (g), "bias" (b), "running_mean" (m) and
    "running_var" (v), each of length out. Computed in float64, so that the result is rounded once: float32.
    """
    gain, shift, mean, variance = (statistics[name].double() for name in STATISTICS)
    scale = gain / (variance + EPSILON).sqrt()
    return (weight.double() * scale[:, None, None, None]).float(), (shift - scale * mean).float()


def fill(network: GoogLeNet, tensors: Mapping[str, Tensor], where: str) -> int:
    """Check all tensors against a network, then copy them into it; on an error the network is unchanged.

    They are of any floating point type, under the names of ``network.state_dict()``.

    Returns:
        The file's number of classes, 0 if it has no classifier. If it is not the network's number, the
        network's own classifier is kept.

    Raises:
        WeightsError: if a tensor is missing, unknown, of another shape or no plain array of finite floating
            point numbers. A classifier may be missing, or be of any number of classes.
    """
    own, given = (
        {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
        for state in (network.state_dict(), tensors)
    )
    weight, classes = given.get(key(CLASSIFIER, "weight")), 0
    if any(CLASSIFIER in name for name in given):
        classes = network.classes if weight is None or not weight.ndim else max(1, len(weight))
    if classes != network.classes:
        own = {name: value for name, value in own.items() if CLASSIFIER not in name}
    expected: dict[str, tuple[int, ...]] = {name: tuple(value.shape) for name, value in own.items()}
    if classes:
        expected |= {key(CLASSIFIER, "weight"): (classes, 1024), key(CLASSIFIER, "bias"): (classes,)}
    problems = []
    for name in expected | given:
        if name not in given:
            problem = "is missing"
        elif name not in expected:
            problem = "belongs to no layer"
        elif given[name].shape != expected[name]:
            problem = f"is {tuple(given[name].shape)}, not {expected[name]}"
        elif not is_plain(given[name]):
            problem = "is no plain array of floating point numbers"
        elif name in own and not bool(torch.isfinite(given[name].float()).all()):
            problem = "holds NaN or infinity"
        else:
            continue
        layer, _, parameter = re.sub(r"^(learnable|normalisations)\.", "", name).rpartition(".")
        problems.append(f"{parameter[:60]}{' of ' if layer else ''}{layer[:60]} {problem}")
    if problems:
        advice = "give a file of this network"
        for variant in VARIANTS.keys() - {network.variant}:
            convolutions = {k: v.shape for k, v in GoogLeNet(variant).state_dict().items() if v.ndim == 4}
            if convolutions.items() <= {name: value.shape for name, value in given.items()}.items():
                advice = f"it {other_variant(variant, network)}"
        raise WeightsError(
            f"{where} does not hold weights of GoogLeNet, variant {network.variant}: {listed(problems)}. "
            f"Nothing was loaded; {advice}"
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(given[name])
    return classes


def other_variant(variant: str, network: GoogLeNet) -> str:
    """Words for a file of the variant that the network is not."""
    return f"holds the variant {variant}, the network {network.variant}: choose variant={variant}"


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds floating point numbers; not if it is sparse, quantised or without data."""
    dense = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    return dense and tensor.is_floating_point()


def listed(names: Iterable[object]) -> str:
    """Join names or problems, each once, to one line that stays readable."""
    shown = list(dict.fromkeys(str(name)[:120].replace("\0", ".").strip(".") or "no name" for name in names))
    more = len(shown) - LISTED
    return "; ".join(shown[:LISTED]) + (f"; and {more} more" if more > 0 else "")
