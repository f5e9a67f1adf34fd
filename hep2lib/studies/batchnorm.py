"""What happens when the batch normalisation of frozen layers is left alive, as a tutorial does by mistake."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hep2lib.cnn.googlenet import GoogLeNet, cut_point
from hep2lib.cnn.weight_files import EPSILON
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.studies.finetuning import Grid, run_fine_tuning
from hep2lib.studies.inputs import StudyInputs, WorkerInputs
from hep2lib.studies.outcome import FineTuningOutcome
from hep2lib.studies.store import TrialStore
from hep2lib.studies.trial import FineTuningTrial, TrainingOptions


@dataclass(frozen=True, slots=True)
class AliveActivations:
    """Values at the cut of a network whose frozen layers normalise by each training batch.

    ``requires_grad = False`` stops the optimiser, not the normalisation: in training mode it takes mean and
    variance of the batch at hand instead of those it was trained with, and lets its running statistics,
    which are what scoring uses, drift after them.

    Attributes:
        network: with live batch normalisation; its statistics change with every training batch.
        layer: MATLAB's name of the layer at the cut.
        images: uint8, N x 3 x H x W.
        angles: of the views, in degrees.
    """

    network: GoogLeNet
    layer: str
    images: Tensor
    angles: Sequence[float]

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`hep2lib.studies.activations.Activations`."""
        turned = torch.stack(
            [
                rotate(self.images[row][None], self.angles[view])[0]
                for row, view in zip(rows.tolist(), views.tolist(), strict=True)
            ]
        )
        self.network.train(training)
        with torch.no_grad():
            shown = self.network.preprocess(turned.to(self.network.device))
            return self.network.activations(shown, [self.layer])[self.layer]


def alive_activations(inputs: WorkerInputs, trial: FineTuningTrial) -> AliveActivations:
    """What a trial with live normalisation is fed with."""
    if inputs.alive is None:
        raise InputError("these weights have no batch normalisation that could be kept alive")
    network = GoogLeNet(variant=inputs.variant, batchnorm="train")
    network.load_state_dict(load_file(inputs.alive))
    network.preprocess = inputs.preprocess
    network.to(inputs.device).requires_grad_(True)
    layer = network.layers[cut_point(network.layers, trial.freeze) - 1].name
    return AliveActivations(network, layer, inputs.open_images(), trial.angles)


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
