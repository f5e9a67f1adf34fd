"""The network that a run starts from: which weights it takes, settled once, and kept in the run's folder."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hep2lib.cnn.googlenet import GoogLeNet, Provenance
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.cnn.weights import RANDOM, WeightsError, imagenet_available, load_weights
from hep2lib.data.simulate import simulated_images
from hep2lib.files import write_json
from hep2lib.runs.parameters import Parameters
from hep2lib.studies.batchnorm import unfolded

CALIBRATION_IMAGES = 16
"""Simulated images that random weights are calibrated on."""


def settle_weights(parameters: Parameters, file: Path) -> dict[str, str]:
    """Decide which weights a run uses, and keep the decision, so that every page of it uses the same.

    Args:
        parameters: the run's; ``auto`` takes ImageNet's weights if they can be had, random ones otherwise.
        file: where the decision is kept.

    Returns:
        ``asked`` (the parameter), ``used`` (a source for ``load_weights``), ``reason`` ("" if as asked).
    """
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    asked = parameters.weights
    settled = {"asked": asked, "used": asked, "reason": ""}
    if asked == "auto":
        if parameters.variant != "torchvision":
            settled["used"] = "random"
            settled["reason"] = "the bvlc variant's weights are not offered for download"
        elif imagenet_available():
            settled["used"] = "imagenet"
        else:
            settled["used"] = "random"
            settled["reason"] = "the ImageNet weights could not be reached from this machine"
    write_json(file, settled)
    return settled


def starting_network(parameters: Parameters, used: str, cache: Path) -> GoogLeNet:
    """The network before any training.

    Random weights are calibrated on simulated images that belong to no database, so that one starting point
    serves all folds and no test image has a part in it. They take seconds to draw, so they are kept.

    Args:
        parameters: the run's: variant and seed.
        used: a source for ``load_weights``.
        cache: folder where drawn weights are kept; safe to delete.
    """
    network = GoogLeNet(variant=parameters.variant, classes=2)
    if used != "random":
        load_weights(network, used, seed=parameters.seed)
        return network
    file = cache / f"random-{parameters.variant}-seed{parameters.seed}.safetensors"
    if file.is_file():
        with safe_open(file, framework="pt") as stored:
            provenance = Provenance(**stored.metadata())
        network.load_state_dict(load_file(file))
        if network.state_digest() == provenance.sha256:
            network.provenance = provenance
            return network
    images = torch.from_numpy(simulated_images(CALIBRATION_IMAGES, parameters.seed))
    load_weights(
        network,
        used,
        seed=parameters.seed,
        images=images,
        images_are="simulated images that belong to no database",
    )
    write_tensors(
        file, network.state_dict(), {name: str(value) for name, value in asdict(network.provenance).items()}
    )
    return network


def network_with_batchnorm(network: GoogLeNet, parameters: Parameters, used: str) -> GoogLeNet | None:
    """The starting network with its batch normalisation not folded; None where there is none to keep.

    Args:
        network: the run's starting network.
        parameters: the run's.
        used: the source of its weights.
    """
    if network.variant != "torchvision":
        return None
    if used in RANDOM:
        return unfolded(network)
    alive = GoogLeNet(variant=network.variant, classes=2, batchnorm="train")
    try:
        load_weights(alive, used, seed=parameters.seed)
    except WeightsError:
        return None  # a file whose normalisation was folded before it was written
    return alive
