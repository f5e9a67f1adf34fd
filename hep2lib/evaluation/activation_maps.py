"""Where in a field a network finds its reasons: class activation maps, in closed form and by gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.section import Section
from hep2lib.errors import InputError
from hep2lib.evaluation.metrics import IntArray

LAST_MAP, CLASSIFIER = "inception_5b-output", "loss3-classifier"
"""The last layer that still has a place for everything, and the one that weighs its means."""


class MapError(InputError):
    """A layer or a network for which no activation map can be computed."""


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


class _LogOdds(nn.Module):
    """The network as two halves, N x 3 x H x W to N log odds: captum looks at what passes between them."""

    def __init__(self, network: GoogLeNet, layer: str):
        super().__init__()
        index = next((one.index for one in network.layers if one.name == layer), 0)
        first, rest = network.layers[:index], network.layers[index:]
        taken = {name for one in rest for name in one.inputs} & {one.name for one in first}
        if taken != {layer} or CLASSIFIER not in {one.name for one in rest}:
            raise MapError(
                f"no activation map of layer {layer!r}: choose one where a single tensor flows, such as "
                "pool2-3x3_s2 or the output of an inception block"
            )
        modules = dict(network.learnable.items()), dict(network.normalisations.items())
        self.before = Section(first, *modules, dropout=network.dropout, frozen=True)
        self.after = Section(rest, *modules, dropout=network.dropout, entry=layer, frozen=True)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.after(self.before(x))
        return logits[:, 1] - logits[:, 0]


def gradient_maps(network: GoogLeNet, images: Tensor, layer: str) -> Tensor:
    """What each place of an earlier layer adds to the log odds of "positive", to first order (Grad-CAM).

    Selvaraju et al. 2017, ICCV, as captum computes it: channels weighted by the mean gradient over places.
    The sign is kept, so that reasons for "negative" can be seen too. At the last inception block it is the
    closed form without its bias, divided by the number of places; further down it is an approximation, and
    its scale means nothing.

    Args:
        network: as for ``class_activation_maps``; its parameters are not changed.
        images: uint8, N x 3 x H x W.
        layer: MATLAB's name of a layer where a single tensor flows (``inception_4e-output``).

    Returns:
        N x h x w, float32, h and w those of the layer.

    Raises:
        MapError: another number of classes, a layer inside a block, or captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError:
        raise MapError("maps of earlier layers need captum: pip install captum") from None
    _two_classes(network)
    halves = _LogOdds(network, layer)
    x = network.preprocess(images.to(network.device))
    maps = LayerGradCam(halves, halves.before).attribute(x, attr_dim_summation=True)
    return maps.detach()[:, 0].cpu()


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


def maps_of_tested(
    networks: Sequence[GoogLeNet], images: Tensor, row: IntArray, fold: IntArray, layer: str = LAST_MAP
) -> Tensor:
    """The map of each image by the network that was tested on it, which never trained on its specimen.

    Args:
        networks: one a fold.
        images: uint8, N x 3 x H x W, all of the database.
        row: rows of the images to explain, in any order.
        fold: number of the fold that tested each of them, likewise.
        layer: ``LAST_MAP`` for the closed form, an earlier layer for Grad-CAM.

    Returns:
        One map a row, in the order of ``row``.
    """
    row, fold = np.asarray(row), np.asarray(fold)
    found: dict[int, Tensor] = {}
    for number in np.unique(fold):
        inside = row[fold == number]
        network = networks[int(number)]
        part = images[torch.from_numpy(inside)]
        maps = (
            class_activation_maps(network, part) if layer == LAST_MAP else gradient_maps(network, part, layer)
        )
        found |= dict(zip(inside.tolist(), maps, strict=True))
    return torch.stack([found[one] for one in row.tolist()])


def _two_classes(network: GoogLeNet) -> None:
    if network.classes != 2:
        raise MapError(f"the network has {network.classes} classes; log odds are of two")
