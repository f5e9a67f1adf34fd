"""The fine-tuning study (paper, sections 2.4 and 2.5): freezing depths, a grid, and rotations."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hep2lib.cnn.googlenet import GoogLeNet, Provenance
from hep2lib.cnn.weight_files import EPSILON, write_tensors
from hep2lib.errors import InputError
from hep2lib.files import find_kept, kept_file
from hep2lib.processes import single_thread
from hep2lib.ranking import auc
from hep2lib.sources import code_digest
from hep2lib.studies.execution import device_name, run_trials
from hep2lib.studies.inputs import (
    Kept,
    StudyInputs,
    WorkerInputs,
    activations_for,
    prepare_activations,
    wanted,
)
from hep2lib.studies.outcomes import Configuration, FineTuningOutcome
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

    Each configuration is trained on each fold with ``seeds`` seeds: the study's and those that follow it. The
    first alone is what is searched; the others say how much a seed moves a result.
    """

    freeze: tuple[int, ...]  # freezing depths, 0 to 144 (paper: 11, 110, 139)
    batch_sizes: tuple[int, ...]  # images a mini-batch (paper: 4, 8, 16, 32, 64, 128)
    learning_rates: tuple[float, ...]  # paper: 0.01, 0.001, 0.0001
    epochs: int  # the most epochs; every smaller number is part of the search (paper: 10)
    seeds: int = 1  # as in the paper

    def trials(
        self, folds: Sequence[int], seed: int, options: TrainingOptions | None = None
    ) -> list[FineTuningTrial]:
        """One trial a configuration, seed (``seed`` is the first) and fold (from 0), without rotations.

        ``options`` say how networks are trained apart from the search; None takes the defaults.
        """
        more = asdict(options or TrainingOptions()) | {"epochs": self.epochs}
        seeds = range(seed, seed + self.seeds)
        return [
            FineTuningTrial(freeze=depth, batch_size=size, learning_rate=rate, seed=own, fold=fold, **more)
            for depth, size, rate, own, fold in product(
                self.freeze, self.batch_sizes, self.learning_rates, seeds, folds
            )
        ]


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a chosen configuration is trained again on rotated copies, for as many epochs as without them."""

    views: int = 18  # of each training image, 360 / views degrees apart (paper: 18)
    views_per_epoch: int = 0  # shown in an epoch, drawn anew each time (0: all, as in the paper)


Job = tuple[Callable[..., Record], tuple[Any, ...]]

PAPERS_DEPTH = 11
"""The freezing depth at which the paper trained with rotations (Table 3)."""


def fine_tuning_study(
    inputs: StudyInputs,
    store: TrialStore,
    grids: Sequence[Grid],
    rotation: Rotation | None = None,
    *,
    chosen_seeds: Mapping[int, int] | None = None,
    seed: int = 0,
    options: TrainingOptions | None = None,
    starts: Callable[[int], GoogLeNet] | None = None,
) -> FineTuningOutcome:
    """Run the grid on every fold, then chosen configurations again with other seeds, and with rotations.

    Rotated are the best one of the paper's depth (of the shallowest, if that was not tried), and the best of
    all where it is another. Nothing but the seed, or the rotations, differs from the trainings of the grid.
    Trials that the store has already are not repeated, so an interrupted study goes on where it stopped.

    Args:
        inputs: images, labels, folds and the starting network.
        store: where records are kept.
        grids: what is searched.
        rotation: how to train them again, None to leave that out.
        chosen_seeds: by freezing depth, with how many seeds its best configuration is trained, the first
            included; the others have no say in any choice.
        seed: of classifiers, orders and dropout.
        options: how networks are trained apart from that; None takes the defaults.
        starts: the network that trainings with another seed start from; None takes the inputs' own. Where
            weights are random, what another draw of them changes is part of what a seed does.

    Returns:
        All records, with what was chosen on validation images.

    Raises:
        OutcomeError: if every configuration diverged, so that none can be trained again.
        StoreError: if a record cannot be read or written.
        ClusterError: if the cluster that ``inputs`` name cannot be used.
    """
    folds = range(len(inputs.folds))
    run = partial(run_trials, store=store, executor=inputs.executor, summary=partial(_summary, inputs))
    trials = [trial for grid in grids for trial in grid.trials(folds, seed, options)]
    trials.sort(key=lambda trial: trial.seed != seed)  # the search itself first; the order is kept otherwise

    def jobs_of(trials: Sequence[FineTuningTrial]) -> dict[str, Job]:
        jobs: dict[str, Job] = {}
        for own in dict.fromkeys(trial.seed for trial in trials):
            from_it = inputs if starts is None or own == seed else replace(inputs, network=starts(own))
            jobs |= _jobs(from_it, store, [trial for trial in trials if trial.seed == own])
        return jobs

    records = run(jobs_of(trials), description="fine-tuning")
    outcome = FineTuningOutcome(records, inputs.labels, inputs.folds)
    again = [
        replace(read_trial(record["trial"]), seed=seed + more)
        for depth, count in (chosen_seeds or {}).items()
        for record in (outcome.trainings(outcome.best(depth)) if count > 1 else ())
        for more in range(1, count)
    ]
    known = {record["id"] for record in records}  # a grid may have had these seeds
    jobs = {name: job for name, job in jobs_of(again).items() if name not in known}
    records += run(jobs, description="other seeds")
    if rotation is None:
        return FineTuningOutcome(records, inputs.labels, inputs.folds)
    depths = outcome.depths()
    first = PAPERS_DEPTH if PAPERS_DEPTH in depths else depths[0]
    chosen = [outcome.best(depth) for depth in dict.fromkeys((first, outcome.best().freeze))]
    trials = [
        replace(
            read_trial(record["trial"]), rotations=rotation.views, views_per_epoch=rotation.views_per_epoch
        )
        for one in chosen
        for record in outcome.trainings(one)
    ]
    records += run(_jobs(inputs, store, trials), description="fine-tuning with rotations")
    return FineTuningOutcome(records, inputs.labels, inputs.folds)


def _jobs(
    inputs: StudyInputs,
    store: TrialStore,
    trials: Sequence[FineTuningTrial],
    context: dict[str, str] | None = None,
) -> dict[str, Job]:
    """What to call for each trial, by its name; what those that the store lacks are fed with is prepared.

    ``context`` holds digests of what results depend on besides the trial; None takes the inputs' own.
    """
    context = (context or inputs.context) | {"code": code_digest("hep2lib.studies.fine_tuning.fine_tune")}
    named = {trial_id(trial, context): trial for trial in trials}
    files = inputs.for_workers()
    kept = prepare_activations(files, [named[name] for name in store.missing(named)])
    return {
        name: (fine_tune, (files, trial, context, kept.get(wanted(files, trial))))
        for name, trial in named.items()
    }


def _summary(inputs: StudyInputs, record: Record) -> str:
    trial = record["trial"]
    labels = inputs.labels[inputs.folds[trial["fold"]].validation]
    aucs = [auc(labels, epoch["validation"]) for epoch in record["epochs"]]
    reached = f"validation AUC {max(aucs):.3f}" if aucs else "diverged"
    return (
        f"freeze {trial['freeze']}, batch {trial['batch_size']}, rate {trial['learning_rate']:g}, "
        f"fold {trial['fold'] + 1}: {reached}"
    )


def fine_tune(
    inputs: WorkerInputs,
    trial: FineTuningTrial,
    context: dict[str, str],
    kept: Kept | None = None,
    network: GoogLeNet | None = None,
) -> Record:
    """Run one trial: open the frozen layers' activations, train the others, score after each epoch.

    Args:
        inputs: images, labels, folds and the starting network, as files.
        trial: hyperparameters, fold and seed.
        context: digests that belong to the trial's name.
        kept: what is kept of the activations; None takes what is wanted.
        network: the starting network, to be changed in place; None takes a copy of it.

    Returns:
        The record: ``id``, ``trial``, ``context``, ``epochs`` (of each that was finished ``epoch``, ``loss``,
        and P(positive) of the fold's ``validation`` and ``test`` images), ``diverged``, ``seconds``,
        ``device`` (its name), ``notes`` (what has to be said about it).

    Raises:
        InputError: if a file of ``inputs`` is not to be seen, or there is no batch normalisation to be alive.
        GPUMemoryError: if the GPU's memory does not suffice for a single image.
    """
    start = time.perf_counter()
    notes: list[str] = []
    network = network or inputs.network()
    activations = activations_for(inputs, network, trial, kept)
    labels, fold = torch.tensor(inputs.labels), inputs.folds[trial.fold]
    with single_thread() if inputs.device == "cpu" else torch.cuda.device(inputs.device):
        epochs = [
            {
                "epoch": scores.epoch,
                "loss": scores.loss,
                "validation": scores.validation.tolist(),
                "test": scores.test.tolist(),
            }
            for scores in train(network, activations, labels, fold, trial, notes)
        ]
    return {
        "id": trial_id(trial, context),
        "trial": trial_fields(trial),
        "context": context,
        "epochs": epochs,
        "diverged": len(epochs) < trial.epochs,
        "seconds": round(time.perf_counter() - start, 3),
        "device": device_name(inputs.device),
        "notes": notes,
    }


def unfolded(network: GoogLeNet) -> GoogLeNet:
    """The same function as a folded network, in scoring, with batch normalisation that can be kept alive.

    For random weights of variant "torchvision", which were scaled to unit variance, mean 0 and variance 1 are
    the statistics that they come with. A file with statistics of its own should be loaded instead.
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
    """Train configurations twice, with the frozen layers' normalisation frozen and alive; all else the same.

    Arguments and errors are those of ``fine_tuning_study``; ``inputs`` have ``alive``, each configuration of
    ``grid`` is trained with one seed, on the first ``folds`` (0: all). Column ``batchnorm`` of the outcome's
    table tells the two kinds apart ("frozen", "alive").

    Raises:
        InputError: if there is no network with live batch normalisation.
    """
    if inputs.alive is None:
        raise InputError("these weights have no batch normalisation that could be kept alive")
    tried = range(folds or len(inputs.folds))
    frozen = replace(grid, seeds=1).trials(tried, seed, options)
    alive = [replace(trial, batchnorm="alive") for trial in frozen]
    context = inputs.context | {"alive": inputs.alive.state_digest()}
    run = partial(run_trials, store=store, executor=inputs.executor, summary=partial(_summary, inputs))
    records = run(_jobs(inputs, store, frozen), description="batch normalisation frozen")
    records += run(_jobs(inputs, store, alive, context), description="batch normalisation alive")
    return FineTuningOutcome(records, inputs.labels, inputs.folds)


TOLERANCES = {"cpu": 1e-3, "cuda": 0.05}
"""Largest difference between a validation score (P(positive), 0 to 1) of the network that was trained again
and the one on record. On the CPU that computed the record it is 0; another CPU rounds differently, and on a
GPU sums are taken in an order that changes."""


class TunedNetworkError(InputError):
    """A fine-tuned network that cannot be had, or that is not the one on record."""


def tuned_networks(
    inputs: StudyInputs, study: FineTuningOutcome, configuration: Configuration, folder: Path
) -> list[GoogLeNet]:
    """The networks that a configuration's scores on record came from, one a fold.

    A study keeps scores, not networks: a training takes seconds and a network 24 MB. What is asked for is
    trained again up to the chosen epoch (all folds at once, like any trials), its validation scores are
    compared with the record's, and the parameters that were trained are kept in ``folder``, a
    ``.safetensors`` file a fold, for the next time.

    Returns:
        The networks in evaluation mode on ``inputs.device``, in the order of the folds. Each one's
        provenance says what it was tuned from, on and how.

    Raises:
        TunedNetworkError: if the scores are not those on record, or a kept network cannot be read.
        OutcomeError: if the study has no such training.
    """
    store = TrialStore(folder)
    files = inputs.for_workers()
    records = {
        f"{record['id']}-epoch{configuration.epoch}": record for record in study.trainings(configuration)
    }
    trials = {
        name: replace(read_trial(record["trial"]), epochs=configuration.epoch)
        for name, record in records.items()
    }
    for name in records:
        if not find_kept(folder / f"{name}.safetensors"):
            store.discard(name)
    kept = prepare_activations(files, [trials[name] for name in store.missing(trials)])
    jobs = {
        name: (keep_network, (files, records[name], trial, name, folder, kept.get(wanted(files, trial))))
        for name, trial in trials.items()
    }
    run_trials(jobs, store, inputs.executor, description="fine-tuned networks")
    start, count = inputs.network.provenance.description, len(inputs.folds)
    return [
        _opened(files.network(), folder / f"{name}.safetensors", trial, start, count)
        for name, trial in trials.items()
    ]


def keep_network(
    inputs: WorkerInputs, record: Record, trial: FineTuningTrial, name: str, folder: Path, kept: Kept | None
) -> Record:
    """Train one fold's network again and keep its trained parameters: a worker's part.

    Args:
        inputs: as for ``fine_tune``.
        record: the training's, as the study keeps it.
        trial: the same training, up to the epoch where it is to stop.
        name: of the ``.safetensors`` file, without its ending.
        folder: where it is written, whole or not at all.
        kept: as for ``fine_tune``.

    Returns:
        ``id``, ``difference`` (the largest between scores of validation images, 0 to 1) and ``seconds``.

    Raises:
        TunedNetworkError: if the difference is larger than ``TOLERANCES`` allow.
    """
    network = inputs.network()
    again = fine_tune(inputs, trial, record["context"], kept, network)
    recorded = np.asarray(record["epochs"][trial.epochs - 1]["validation"])
    difference = np.inf
    if not again["diverged"]:
        difference = float(np.abs(np.asarray(again["epochs"][-1]["validation"]) - recorded).max())
    allowed = TOLERANCES[inputs.device.partition(":")[0]]
    if not difference <= allowed:
        raise TunedNetworkError(
            f"training {record['id']} (fold {trial.fold + 1}): trained again, its validation scores differ "
            f"by up to {difference:.2g} from those on record, where {allowed:g} is allowed. The record was "
            "computed by other code or on another device; start the run in another folder"
        )
    trained: dict[str, Tensor] = {n: value for n, value in network.named_parameters() if value.requires_grad}
    metadata = {"training": f"{record['id']}, epoch {trial.epochs}"}  # of several, the order is not kept
    file = folder / f"{name}.safetensors"
    kept_file(file, lambda temporary: write_tensors(temporary, trained, metadata))
    return {"id": name, "difference": difference, "seconds": again["seconds"]}


def _opened(network: GoogLeNet, file: Path, trial: FineTuningTrial, start: str, folds: int) -> GoogLeNet:
    """The starting network with the trained parameters of a file, named but for its checksum."""
    found = find_kept(file)
    if found is None:
        raise TunedNetworkError(f"{file}: it was deleted or altered meanwhile; start again")
    network.load_state_dict(load_file(found), strict=False)
    words = (
        f"{start}; fine-tuned behind layer {trial.freeze} on fold {trial.fold + 1} of {folds} (batch size "
        f"{trial.batch_size}, learning rate {trial.learning_rate:g}, epoch {trial.epochs}, {trial.rotations} "
        f"views, seed {trial.seed})"
    )
    network.provenance = Provenance("fine-tuned", network.state_digest(), network.variant, words)
    return network.eval()
