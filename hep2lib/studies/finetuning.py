"""The fine-tuning study (paper, sections 2.4 and 2.5): freezing depths, a grid, and rotations."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.studies.activations import Kept, activations_for, prepare_activations, wanted
from hep2lib.studies.execution import run_trials, single_thread
from hep2lib.studies.inputs import StudyInputs, WorkerInputs
from hep2lib.studies.outcome import FineTuningOutcome, auc
from hep2lib.studies.store import Record, TrialStore
from hep2lib.studies.training import train
from hep2lib.studies.trial import FineTuningTrial, TrainingOptions, trial_fields, trial_id


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
