"""What every reader of a weight file yields, and how it is checked against a network and copied into it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from .googlenet import GoogLeNet
from .initialisation import CLASSIFIER
from .preprocessing import Preprocessing

#: Numbers of classes of networks that one fine-tunes from: their classifier is replaced by a fresh one.
SOURCE_CLASSES = {1000: "ImageNet", 365: "Places365"}

#: At most so many mismatches are listed one by one.
LISTED = 8

#: At most so many characters of a message are shown.
LONGEST = 1500


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


def fill(network: GoogLeNet, tensors: Mapping[str, Tensor], where: str) -> bool:
    """Check all tensors against a network, then copy them into it; on an error the network is unchanged.

    Args:
        network: takes the values.
        tensors: of any floating point type, under the names of ``network.state_dict()``.
        where: the file's name, for the message.

    Returns:
        True if the classifier was copied too; False if the file's classifies something else (1000 ImageNet or
        365 Places classes), so that the network's own is kept.

    Raises:
        WeightsError: if a tensor is missing, unknown, of another shape, no plain array of floating point
            numbers or not finite, or the number of classes is neither the network's nor one to fine-tune
            from.
    """
    own = network.state_dict()
    head = (key(CLASSIFIER, "weight"), key(CLASSIFIER, "bias"))
    with_head = head[0] not in tensors or _takes_classifier(network, tensors[head[0]], where)
    expected = {name for name in own if not name.endswith("num_batches_tracked")}
    given = {name for name in tensors if not name.endswith("num_batches_tracked")}
    if not with_head:
        expected -= set(head)
        given -= set(head)
    problems = [f"{_words(name)} is missing" for name in own if name in expected - given]
    problems += [f"{_words(name)} belongs to no layer" for name in tensors if name in given - expected]
    for name in own:
        if name not in expected & given:
            continue
        if own[name].shape != tensors[name].shape:
            theirs, ours = tuple(tensors[name].shape), tuple(own[name].shape)
            problems.append(f"{_words(name)} is {theirs}, not {ours}")
        elif not is_plain(tensors[name]):
            problems.append(f"{_words(name)} is no plain array of floating point numbers")
        elif not bool(torch.isfinite(tensors[name].float()).all()):
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
