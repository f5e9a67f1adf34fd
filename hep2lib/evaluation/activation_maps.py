"""Where in a field a network finds its reasons: class activation maps, in closed form."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.errors import InputError
from hep2lib.evaluation.metrics import IntArray

LAST_MAP, CLASSIFIER = "inception_5b-output", "loss3-classifier"
"""The last layer that still has a place for everything, and the one that weighs its means."""


class MapError(InputError):
    """A network for which no activation map can be computed."""


@torch.no_grad()
def class_activation_maps(network: GoogLeNet, images: Tensor) -> Tensor:
    """What each place adds to the log odds of "positive", exactly.

    After the last inception block come only an average over all places and a linear layer, so the log odds of
    an image are the mean over places of (w_positive - w_negative) . activation + (b_positive - b_negative):
    that summand is the map (Zhou et al. 2016, CVPR). Its mean *is* the log odds; nothing is approximated.
    (Dropout, which stands between the two, does nothing in evaluation mode.)

    Args:
        network: with two classes, 1 being positive; in evaluation mode.
        images: uint8, N x 3 x H x W.

    Returns:
        N x h x w, float32, h and w those of the layer (7 x 7 for fields of 224 pixels), in nats.

    Raises:
        MapError: another number of classes.
    """
    _two_classes(network)
    x = network.preprocess(images.to(network.device))
    values = network.activations(x, (LAST_MAP,))[LAST_MAP]
    classifier = network[CLASSIFIER]
    weight = classifier.weight[1] - classifier.weight[0]
    bias = 0.0 if classifier.bias is None else classifier.bias[1] - classifier.bias[0]
    return (torch.einsum("nchw,c->nhw", values, weight) + bias).cpu()


def on_fields(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Stretch maps over their fields, bilinearly.

    Args:
        maps: N x h x w.
        size: height and width of the fields in pixels.

    Returns:
        N x height x width, float32.
    """
    stretched = functional.interpolate(maps[:, None], tuple(size), mode="bilinear", align_corners=False)
    return stretched[:, 0]


def maps_of_tested(networks: Sequence[GoogLeNet], images: Tensor, row: IntArray, fold: IntArray) -> Tensor:
    """The map of each image by the network that was tested on it, which never trained on its specimen.

    Args:
        networks: one a fold.
        images: uint8, N x 3 x H x W, all of the database.
        row: rows of the images to explain, in any order.
        fold: number of the fold that tested each of them, likewise.

    Returns:
        One map a row, in the order of ``row``.
    """
    row, fold = np.asarray(row), np.asarray(fold)
    found: dict[int, Tensor] = {}
    for number in np.unique(fold):
        inside = row[fold == number]
        maps = class_activation_maps(networks[int(number)], images[torch.from_numpy(inside)])
        found |= dict(zip(inside.tolist(), maps, strict=True))
    return torch.stack([found[one] for one in row.tolist()])


def _two_classes(network: GoogLeNet) -> None:
    if network.classes != 2:
        raise MapError(f"the network has {network.classes} classes; log odds are of two")
