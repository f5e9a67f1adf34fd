"""The fine-tuned network of each fold: trained again to the chosen epoch, checked, and kept in the run."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hep2lib.cnn.googlenet import GoogLeNet, Provenance
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.errors import InputError
from hep2lib.studies.activations import Kept, prepare_activations, wanted
from hep2lib.studies.execution import run_trials
from hep2lib.studies.finetuning import trained_epochs
from hep2lib.studies.inputs import StudyInputs, WorkerInputs
from hep2lib.studies.outcome import Configuration, FineTuningOutcome
from hep2lib.studies.store import Record, TrialStore
from hep2lib.studies.trial import FineTuningTrial, read_trial

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
