"""What happens when the batch normalisation of frozen layers is left alive, as a tutorial does by mistake."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weight_files import EPSILON
from hep2lib.errors import InputError
from hep2lib.studies.finetuning import Grid, run_fine_tuning
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.outcome import FineTuningOutcome
from hep2lib.studies.store import TrialStore
from hep2lib.studies.trial import TrainingOptions


def unfolded(network: GoogLeNet) -> GoogLeNet:
    """The same function as a folded network, in scoring, with batch normalisation that can be kept alive.

    For random weights, which were scaled to unit variance, mean 0 and variance 1 are the statistics that
    they come with. A file with statistics of its own should be loaded instead.

    Args:
        network: of variant "torchvision".
    """
    alive = GoogLeNet(variant=network.variant, classes=network.classes, batchnorm="train")
    alive.preprocess, alive.provenance = network.preprocess, network.provenance
    with torch.no_grad():
        for name, module in network.learnable.items():
            alive[name].weight.copy_(cast(nn.Conv2d, module).weight)
            if name not in alive.normalisations:
                cast(Tensor, alive[name].bias).copy_(cast(Tensor, module.bias))
                continue
            normalisation = cast(nn.BatchNorm2d, alive.normalisations[name])
            normalisation.reset_parameters()
            normalisation.weight.fill_((1 + EPSILON) ** 0.5)
            normalisation.bias.copy_(cast(Tensor, module.bias))
    return alive


def batchnorm_study(
    inputs: StudyInputs,
    store: TrialStore,
    grid: Grid,
    *,
    folds: int = 0,
    seed: int = 0,
    options: TrainingOptions | None = None,
) -> FineTuningOutcome:
    """Train some cells twice, with the frozen layers' normalisation frozen and alive; all else is the same.

    Args:
        inputs: of the fine-tuning study, with ``alive``.
        store: that study's.
        grid: which cells.
        folds: number of folds, the first ones; 0 takes all.
        seed: of the trainings.
        options: how networks are trained apart from that.

    Returns:
        The records; column ``batchnorm`` of the table tells the two kinds apart.
    """
    if inputs.alive is None:
        raise InputError("these weights have no batch normalisation that could be kept alive")
    tried = range(folds or len(inputs.folds))
    frozen = replace(grid, seeds=1).trials(tried, seed, options)
    alive = [replace(trial, batchnorm="alive") for trial in frozen]
    context = inputs.context | {"alive": inputs.alive.state_digest()}
    records = run_fine_tuning(inputs, store, frozen, "batch normalisation frozen")
    records += run_fine_tuning(inputs, store, alive, "batch normalisation alive", context)
    return FineTuningOutcome(records, inputs.labels, inputs.folds)
