"""The fine-tuning study (paper, sections 2.4 and 2.5): freezing depths, a grid, and rotations."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hep2lib.cnn.googlenet import GoogLeNet, Provenance
from hep2lib.cnn.weight_files import EPSILON, write_tensors
from hep2lib.errors import InputError
from hep2lib.studies.execution import run_trials, single_thread
from hep2lib.studies.inputs import (
    Kept,
    StudyInputs,
    WorkerInputs,
    activations_for,
    prepare_activations,
    wanted,
)
from hep2lib.studies.outcomes import Configuration, FineTuningOutcome, auc
from hep2lib.studies.training import train
from hep2lib.studies.trial import (
    FineTuningTrial,
    Record,
    TrainingOptions,
    TrialStore,
    read_trial,
    trial_fields,
    trial_id,
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A search at some freezing depths: every batch size with every learning rate (paper, Table 1).

    Attributes:
        freeze: freezing depths, 0 to 144 (paper: 11, 110, 139).
        batch_sizes: images a mini-batch (paper: 4, 8, 16, 32, 64, 128).
        learning_rates: paper: 0.01, 0.001, 0.0001.
        epochs: the most epochs; every smaller number is part of the search (paper: 10).
        seeds: trainings of each cell on each fold, with the study's seed and those that follow it. The
            first alone is what is searched; the others say how much a seed moves a result (paper: 1).
    """

    freeze: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    learning_rates: tuple[float, ...]
    epochs: int
    seeds: int = 1

    def trials(
        self, folds: Sequence[int], seed: int, options: TrainingOptions | None = None
    ) -> list[FineTuningTrial]:
        """One trial a cell, seed and fold, without rotations.

        Args:
            folds: numbers of the folds, from 0.
            seed: the first of the grid's seeds.
            options: how networks are trained apart from the search; None takes the defaults.
        """
        return [
            FineTuningTrial(
                freeze=freeze,
                batch_size=batch_size,
                learning_rate=rate,
                epochs=self.epochs,
                fold=fold,
                seed=seed + further,
                **asdict(options or TrainingOptions()),
            )
            for freeze, batch_size, rate in product(self.freeze, self.batch_sizes, self.learning_rates)
            for further in range(self.seeds)
            for fold in folds
        ]


@dataclass(frozen=True, slots=True)
class Rotation:
    """How the best configuration is trained again on rotated copies.

    Attributes:
        views: number of views of each training image, 360 / views degrees apart (paper: 18).
        views_per_epoch: how many of them an image shows in an epoch, drawn anew each time (0: all, as in the
            paper; fewer cost less).
        epochs: the most epochs.
    """

    views: int = 18
    views_per_epoch: int = 0
    epochs: int = 10


def fine_tuning_study(
    inputs: StudyInputs,
    store: TrialStore,
    grids: Sequence[Grid],
    rotation: Rotation | None = None,
    *,
    seed: int = 0,
    options: TrainingOptions | None = None,
) -> FineTuningOutcome:
    """Run the grid on every fold, then the best configuration again with rotations.

    Trials that the store has already are not repeated, so an interrupted study goes on where it stopped.

    Args:
        inputs: images, labels, folds and the starting network.
        store: where records are kept.
        grids: what is searched.
        rotation: how to train the best configuration again, None to leave that out.
        seed: of classifiers, orders and dropout.
        options: how networks are trained apart from that; None takes the defaults.

    Returns:
        All records, with what was chosen on validation images.
    """
    folds = range(len(inputs.folds))
    trials = [trial for grid in grids for trial in grid.trials(folds, seed, options)]
    trials.sort(key=lambda trial: trial.seed != seed)  # the search itself first; the order is kept otherwise
    records = run_fine_tuning(inputs, store, trials, "fine-tuning")
    outcome = FineTuningOutcome(records, inputs.labels, inputs.folds)
    if rotation is None:
        return outcome
    best = outcome.best()
    chosen = Grid((best.freeze,), (best.batch_size,), (best.learning_rate,), rotation.epochs)
    rotated = [
        replace(trial, rotations=rotation.views, views_per_epoch=rotation.views_per_epoch)
        for trial in chosen.trials(folds, seed, options)
    ]
    more = run_fine_tuning(inputs, store, rotated, f"fine-tuning, x{rotation.views} rotations")
    return FineTuningOutcome(records + more, inputs.labels, inputs.folds)


def run_fine_tuning(
    inputs: StudyInputs,
    store: TrialStore,
    trials: Sequence[FineTuningTrial],
    description: str,
    context: dict[str, str] | None = None,
) -> list[Record]:
    """Run those of the trials that the store lacks, and return the records of all of them, in their order.

    Args:
        inputs: images, labels, folds and the starting network, and where to run.
        store: where records are kept.
        trials: what to run.
        description: shown before the progress bar.
        context: digests of what results depend on besides the trial; None takes the inputs' own.
    """
    context = context or inputs.context
    named = {trial_id(trial, context): trial for trial in trials}
    worker_inputs = inputs.for_workers()
    kept = prepare_activations(worker_inputs, [named[name] for name in store.missing(named)])
    jobs = {
        name: (fine_tune, (worker_inputs, trial, context, kept.get(wanted(worker_inputs, trial))))
        for name, trial in named.items()
    }
    return run_trials(
        jobs, store, inputs.executor, description=description, summary=partial(_summary, inputs)
    )


def _summary(inputs: StudyInputs, record: Record) -> str:
    trial = record["trial"]
    fold = inputs.folds[trial["fold"]]
    aucs = [auc(inputs.labels[fold.validation], epoch["validation"]) for epoch in record["epochs"]]
    reached = f"validation AUC {max(aucs):.3f}" if aucs else "diverged"
    return (
        f"freeze {trial['freeze']}, batch {trial['batch_size']}, rate {trial['learning_rate']:g}, "
        f"fold {trial['fold'] + 1}: {reached}"
    )


def fine_tune(
    inputs: WorkerInputs, trial: FineTuningTrial, context: dict[str, str], kept: Kept | None = None
) -> Record:
    """Run one trial: open the frozen layers' activations, train the others, score after each epoch.

    Args:
        inputs: images, labels, folds and the starting network, as files.
        trial: hyperparameters, fold and seed.
        context: digests that belong to the trial's name.
        kept: what is kept of the activations; None takes what is wanted.

    Returns:
        The record: ``id``, ``trial``, ``context``, ``epochs`` (loss, and P(positive) of the fold's validation
        and test images), ``diverged``, ``seconds``, ``device``, ``notes`` (what has to be said about it).
    """
    start = time.perf_counter()
    notes: list[str] = []
    epochs = trained_epochs(inputs, inputs.network(), trial, kept, notes)
    return {
        "id": trial_id(trial, context),
        "trial": trial_fields(trial),
        "context": context,
        "epochs": epochs,
        "diverged": len(epochs) < trial.epochs,
        "seconds": round(time.perf_counter() - start, 3),
        "device": inputs.device,
        "notes": notes,
    }


def trained_epochs(
    inputs: WorkerInputs,
    network: GoogLeNet,
    trial: FineTuningTrial,
    kept: Kept | None = None,
    notes: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Train a network, which is changed in place, and list its scores after each epoch as plain values.

    Args:
        inputs: what the trial is computed from.
        network: the starting point.
        trial: hyperparameters, fold and seed.
        kept: what is kept of the activations; None takes what is wanted.
        notes: a list for what has to be said about the training.

    Returns:
        ``epoch``, ``loss``, ``validation`` and ``test`` for each epoch that was finished.
    """
    activations = activations_for(inputs, network, trial, kept)
    labels = torch.tensor(inputs.labels)
    fold = inputs.folds[trial.fold]
    with single_thread() if inputs.device == "cpu" else nullcontext():
        return [
            {
                "epoch": scores.epoch,
                "loss": scores.loss,
                "validation": np.asarray(scores.validation, dtype=float).tolist(),
                "test": np.asarray(scores.test, dtype=float).tolist(),
            }
            for scores in train(network, activations, labels, fold, trial, inputs.device, notes)
        ]


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


TOLERANCES = {"cpu": 1e-3, "cuda": 0.05}
"""Largest difference between a validation score (P(positive), 0 to 1) of the network that was trained again
and the one on record. On the CPU that computed the record it is 0; another CPU rounds differently, and on a
GPU sums are taken in an order that changes."""


class TunedNetworkError(InputError):
    """A fine-tuned network that cannot be had, or that is not the one on record."""


def tuned_networks(
    inputs: StudyInputs,
    study: FineTuningOutcome,
    configuration: Configuration,
    folder: Path,
) -> list[GoogLeNet]:
    """The networks that a configuration's scores on record came from, one a fold.

    A study keeps scores, not networks: a training takes seconds and a network 24 MB. What is asked for is
    trained again up to the chosen epoch (all folds at once, like any trials), its validation scores are
    compared with the record's, and the parameters that were trained are kept in ``folder`` for the next
    time.

    Args:
        inputs: what the study was computed from.
        study: its outcome.
        configuration: a cell and an epoch.
        folder: where the networks are kept, one ``.safetensors`` file a fold.

    Returns:
        The networks in evaluation mode on ``inputs.device``, in the order of the folds. Each one's
        provenance says what it was tuned from, on and how.

    Raises:
        TunedNetworkError: if the study has no such training, or the scores are not those on record.
    """
    records = study.trainings(configuration)
    store = TrialStore(folder)
    names = [f"{record['id']}-epoch{configuration.epoch}" for record in records]
    for name in names:
        if not (folder / f"{name}.safetensors").is_file():
            store.discard(name)
    worker_inputs = inputs.for_workers()
    trials = [replace(read_trial(record["trial"]), epochs=configuration.epoch) for record in records]
    missing = [trial for name, trial in zip(names, trials, strict=True) if name not in store]
    kept = prepare_activations(worker_inputs, missing)
    jobs = {
        name: (
            keep_network,
            (worker_inputs, record, trial, name, folder, kept.get(wanted(worker_inputs, trial))),
        )
        for name, record, trial in zip(names, records, trials, strict=True)
    }
    run_trials(jobs, store, inputs.executor, description="fine-tuned networks")
    return [
        _opened(inputs, worker_inputs, folder / f"{name}.safetensors", record, configuration.epoch)
        for name, record in zip(names, records, strict=True)
    ]


def keep_network(
    inputs: WorkerInputs, record: Record, trial: FineTuningTrial, name: str, folder: Path, kept: Kept | None
) -> Record:
    """Train one fold's network again and keep its trained parameters: a worker's part.

    Args:
        inputs: images, labels, folds and the starting network, as files.
        record: the training's, as the study keeps it.
        trial: the same training, up to the epoch where it is to stop.
        name: of the file, without its ending.
        folder: where it is written, whole or not at all.
        kept: what is kept of the activations; None takes what is wanted.

    Returns:
        ``id``, ``difference`` (the largest between scores of validation images) and ``seconds``.

    Raises:
        TunedNetworkError: if the difference is larger than ``TOLERANCES`` allow.
    """
    start = time.perf_counter()
    network = inputs.network()
    epochs = trained_epochs(inputs, network, trial, kept)
    recorded = np.asarray(record["epochs"][trial.epochs - 1]["validation"])
    reached = len(epochs) == trial.epochs
    difference = float(np.abs(np.asarray(epochs[-1]["validation"]) - recorded).max()) if reached else np.inf
    allowed = TOLERANCES[inputs.device.partition(":")[0]]
    if not difference <= allowed:
        raise TunedNetworkError(
            f"training {record['id']} (fold {trial.fold + 1}): trained again, its validation scores differ "
            f"by up to {difference:.2g} from those on record, where {allowed:g} is allowed. The record was "
            "computed by other code or on another device; start the run in another folder"
        )
    trained: dict[str, Tensor] = {n: value for n, value in network.named_parameters() if value.requires_grad}
    metadata = {"training": record["id"], "epoch": str(trial.epochs)}
    write_tensors(folder / f"{name}.safetensors", trained, metadata)
    return {"id": name, "difference": difference, "seconds": round(time.perf_counter() - start, 3)}


def _opened(
    inputs: StudyInputs, worker_inputs: WorkerInputs, file: Path, record: Record, epoch: int
) -> GoogLeNet:
    network = worker_inputs.network()
    trial = read_trial(record["trial"])
    network.split(trial.freeze)
    wanted = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    try:
        tensors = load_file(file)
        if set(tensors) != wanted:
            raise TunedNetworkError(f"{file}: not the layers behind {trial.freeze}; delete it, start again")
        network.load_state_dict(tensors, strict=False)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise TunedNetworkError(f"{file}: not readable ({error}); delete it and start again") from None
    start = inputs.network.provenance
    words = (
        f"{start.description}; fine-tuned behind layer {trial.freeze} on fold {trial.fold + 1} of "
        f"{len(inputs.folds)} (batch size {trial.batch_size}, learning rate {trial.learning_rate:g}, epoch "
        f"{epoch}, {trial.rotations} views, seed {trial.seed})"
    )
    network.provenance = Provenance("fine-tuned", network.state_digest(), network.variant, words)
    return network.eval()
