"""The fine-tuning study (paper, sections 2.4 and 2.5): freezing depths, a grid, and rotations."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hep2lib.cnn.features import cached_activations
from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.studies.execution import executor_for, run_trials, single_thread
from hep2lib.studies.inputs import StudyInputs, WorkerInputs
from hep2lib.studies.outcome import FineTuningOutcome, auc
from hep2lib.studies.store import Record, TrialStore
from hep2lib.studies.training import (
    Activations,
    CachedActivations,
    DrawnActivations,
    LiveActivations,
    train,
)
from hep2lib.studies.trial import FineTuningTrial, trial_fields, trial_id

_OPEN: dict[tuple[Any, ...], Tensor] = {}
_OPEN_AT_MOST = 4


@dataclass(frozen=True, slots=True)
class Grid:
    """A search at some freezing depths: every batch size with every learning rate (paper, Table 1).

    Attributes:
        freeze: freezing depths, 0 to 144 (paper: 11, 110, 139).
        batch_sizes: images a mini-batch (paper: 4, 8, 16, 32, 64, 128).
        learning_rates: paper: 0.01, 0.001, 0.0001.
        epochs: the most epochs; every smaller number is part of the search (paper: 10).
    """

    freeze: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    learning_rates: tuple[float, ...]
    epochs: int


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
) -> FineTuningOutcome:
    """Run the grid on every fold, then the best configuration again with rotations.

    Trials that the store has already are not repeated, so an interrupted study goes on where it stopped.

    Args:
        inputs: images, labels, folds and the starting network.
        store: where records are kept.
        grids: what is searched.
        rotation: how to train the best configuration again, None to leave that out.
        seed: of classifiers, orders and dropout.

    Returns:
        All records, with what was chosen on validation images.
    """
    trials = [
        FineTuningTrial(
            freeze=freeze, batch_size=batch_size, learning_rate=rate, epochs=grid.epochs, fold=fold, seed=seed
        )
        for grid in grids
        for freeze, batch_size, rate in product(grid.freeze, grid.batch_sizes, grid.learning_rates)
        for fold in range(len(inputs.folds))
    ]
    records = _run(inputs, store, trials, "fine-tuning")
    outcome = FineTuningOutcome(records, inputs.labels, inputs.folds)
    if rotation is None:
        return outcome
    best = outcome.best()
    rotated = [
        FineTuningTrial(
            freeze=best.freeze,
            batch_size=best.batch_size,
            learning_rate=best.learning_rate,
            epochs=rotation.epochs,
            fold=fold,
            seed=seed,
            rotations=rotation.views,
            views_per_epoch=rotation.views_per_epoch,
        )
        for fold in range(len(inputs.folds))
    ]
    more = _run(inputs, store, rotated, f"fine-tuning, x{rotation.views} rotations")
    return FineTuningOutcome(records + more, inputs.labels, inputs.folds)


def _run(
    inputs: StudyInputs, store: TrialStore, trials: Sequence[FineTuningTrial], description: str
) -> list[Record]:
    named = {trial_id(trial, inputs.context): trial for trial in trials}
    worker_inputs = inputs.for_workers()
    prepare_activations(worker_inputs, [named[name] for name in store.missing(named)])
    jobs = {name: (fine_tune, (worker_inputs, trial, inputs.context)) for name, trial in named.items()}
    return run_trials(
        jobs,
        store,
        partial(executor_for, 1 if inputs.device != "cpu" else inputs.workers),
        description=description,
        summary=partial(_summary, inputs),
    )


def _summary(inputs: StudyInputs, record: Record) -> str:
    fold = inputs.folds[record["trial"]["fold"]]
    aucs = [auc(inputs.labels[fold.validation], epoch["validation"]) for epoch in record["epochs"]]
    reached = f"{max(aucs):.3f}" if aucs else "diverged"
    return f"freeze {record['trial']['freeze']}, fold {record['trial']['fold'] + 1}: validation AUC {reached}"


def fine_tune(inputs: WorkerInputs, trial: FineTuningTrial, context: dict[str, str]) -> Record:
    """Run one trial: open the frozen layers' activations, train the others, score after each epoch.

    Args:
        inputs: images, labels, folds and the starting network, as files.
        trial: hyperparameters, fold and seed.
        context: digests that belong to the trial's name.

    Returns:
        The record: ``id``, ``trial``, ``context``, ``epochs`` (loss, and P(positive) of the fold's validation
        and test images), ``diverged``, ``seconds``, ``device``.
    """
    start = time.perf_counter()
    epochs = trained_epochs(inputs, inputs.network(), trial)
    return {
        "id": trial_id(trial, context),
        "trial": trial_fields(trial),
        "context": context,
        "epochs": epochs,
        "diverged": len(epochs) < trial.epochs,
        "seconds": round(time.perf_counter() - start, 3),
        "device": inputs.device,
    }


def trained_epochs(inputs: WorkerInputs, network: GoogLeNet, trial: FineTuningTrial) -> list[dict[str, Any]]:
    """Train a network, which is changed in place, and list its scores after each epoch as plain values.

    Args:
        inputs: what the trial is computed from.
        network: the starting point.
        trial: hyperparameters, fold and seed.

    Returns:
        ``epoch``, ``loss``, ``validation`` and ``test`` for each epoch that was finished.
    """
    activations = _activations(inputs, network, trial)
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
            for scores in train(network, activations, labels, fold, trial, inputs.device)
        ]


def prepare_activations(inputs: WorkerInputs, trials: Sequence[FineTuningTrial]) -> None:
    """Compute what trials are fed with, on all cores, before the workers ask for it one by one."""
    for freeze, angles in dict.fromkeys(kept_views(inputs, trial) for trial in trials):
        open_activations(inputs, freeze, angles)


def kept_views(inputs: StudyInputs | WorkerInputs, trial: FineTuningTrial) -> tuple[int, tuple[float, ...]]:
    """What of a trial's input is worth keeping: the freeze depth, and the angles of the views.

    All views, unless the trainings of all folds together draw fewer of them than there are: then only the
    unrotated one, which every training is scored on, and the others are computed as they are drawn.
    """
    drawn = trial.epochs * (trial.views_per_epoch or trial.rotations)
    images_drawn = drawn * sum(len(fold.train) for fold in inputs.folds)
    if images_drawn < trial.rotations * len(inputs.labels):
        return trial.freeze, (0.0,)
    return trial.freeze, trial.angles


def _activations(inputs: WorkerInputs, network: GoogLeNet, trial: FineTuningTrial) -> Activations:
    freeze, angles = kept_views(inputs, trial)
    kept = CachedActivations(open_activations(inputs, freeze, angles), inputs.device)
    if angles == trial.angles:
        return kept
    live = LiveActivations(network, network.prefix(freeze), inputs.open_images(), trial.angles)
    return DrawnActivations(kept, live)


def open_activations(inputs: WorkerInputs, freeze: int, angles: tuple[float, ...]) -> Tensor:
    """The activations behind the frozen layers, N x V x C x H x W, computed if the cache lacks them.

    A process keeps the last few open, since opening them means hashing what they were computed from.

    Args:
        inputs: images, network and cache folder.
        freeze: freeze depth, 0 to 144.
        angles: the views in degrees, 0 first.
    """
    key: tuple[Path | str | int | tuple[float, ...], ...] = (
        inputs.cache,
        inputs.weights,
        inputs.images,
        inputs.device,
        freeze,
        angles,
    )
    if key not in _OPEN:
        while len(_OPEN) >= _OPEN_AT_MOST:
            _OPEN.pop(next(iter(_OPEN)))
        _OPEN[key] = cached_activations(
            inputs.network(),
            freeze,
            inputs.open_images(),
            views=angles,
            cache=inputs.cache,
            device=inputs.device,
        )
    return _OPEN[key]
