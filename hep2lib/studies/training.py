"""One training by SGDM (stochastic gradient descent with momentum): this is the file to read first.

``train`` holds the whole loop, and its step says what happens to a mini-batch. How a device takes that step
(recorded on a GPU, in chunks where memory runs out) is left to ``hep2lib.studies.execution.Steps``.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet, Section
from hep2lib.cnn.layers import CLASSIFIER, initialise
from hep2lib.data.folds import Fold
from hep2lib.studies.execution import Chunks, Steps
from hep2lib.studies.inputs import Activations
from hep2lib.studies.trial import FineTuningTrial, random_stream


@dataclass(frozen=True, slots=True)
class EpochScores:
    """What a training has reached after an epoch."""

    epoch: int  # 1 or more
    loss: float  # mean cross-entropy of the epoch's mini-batches (natural logarithm)
    validation: np.ndarray  # P(positive) of the fold's validation images, in the fold's order
    test: np.ndarray  # the same of its test images


def train(
    network: GoogLeNet,
    activations: Activations,
    labels: Tensor,
    fold: Fold,
    trial: FineTuningTrial,
    notes: list[str] | None = None,
) -> Iterator[EpochScores]:
    """Train a network's layers behind the first ``trial.freeze``, and score after each epoch.

    The learning rate is constant, so the n-th result is what a training of n epochs would have given. A
    training whose loss is no longer finite ends early, without a result for that epoch.

    Args:
        network: the starting point, where to compute; its trainable parameters are changed in place, its
            classifier is drawn anew from the trial's seed.
        activations: input of the trainable part for every image and view.
        labels: int64, N; 1 is positive.
        fold: rows of the training, validation and test images.
        trial: the hyperparameters.
        notes: a list for what has to be said about the training (memory that ran out).

    Yields:
        The scores after each epoch.

    Raises:
        GPUMemoryError: if the GPU's memory does not suffice for a single image.
    """
    device, notes = network.device, [] if notes is None else notes
    generator = torch.Generator().manual_seed(random_stream(trial.seed, trial.fold))
    initialise([(CLASSIFIER, network[CLASSIFIER])], "matlab", generator)
    suffix = network.split(trial.freeze).suffix
    suffix.generator = dropout = torch.Generator(device).manual_seed(_draw_seed(generator))
    order, turning = _draw_seed(generator), torch.Generator().manual_seed(_draw_seed(generator))
    weights = class_weights(labels[fold.train], trial).to(device)
    labels, optimiser = labels.to(device), sgdm(network, trial)

    def step(rows: Tensor, views: Tensor, chunk: int) -> Tensor:
        optimiser.zero_grad()
        losses = []
        for part, turns in zip(rows.split(chunk), views.split(chunk), strict=True):
            with arithmetic(trial, device):
                logits = suffix(activations.batch(part, turns, training=True)).float()
            loss = functional.cross_entropy(logits, labels[part], weights, reduction="sum") / len(rows)
            if loss.requires_grad:  # not where everything is frozen
                loss.backward()
            losses.append(loss.detach())
        optimiser.step()
        return torch.stack(losses).sum()

    take = Steps(step, trial.batch_size, optimiser, dropout, activations, notes)
    chunks = Chunks(64 if device.type == "cpu" else 512, "scored images", notes)
    for epoch in range(1, trial.epochs + 1):
        if trial.shuffle == "every-epoch" and epoch > 1:
            order = _draw_seed(generator)
        suffix.train()
        batches = mini_batches(torch.as_tensor(fold.train), trial, order, turning, device)
        loss = float(torch.stack([take(rows, views) for rows, views in batches]).mean())
        validation = predict(suffix, activations, fold.validation, trial, chunks)
        test = predict(suffix, activations, fold.test, trial, chunks)
        if not (np.isfinite(loss) and np.isfinite(validation).all() and np.isfinite(test).all()):
            return
        yield EpochScores(epoch, loss, validation, test)


def class_weights(labels: Tensor, trial: FineTuningTrial) -> Tensor:
    """Weights of the two classes' losses: 1, or inversely to their share among the labels; float32, 2."""
    if trial.class_weights == "none":
        return torch.ones(2)
    return len(labels) / (2 * torch.bincount(labels, minlength=2).float())


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))


def sgdm(network: GoogLeNet, trial: FineTuningTrial) -> torch.optim.SGD:
    """The optimiser, with MATLAB's factors for learning rate and weight decay of weights and biases.

    MATLAB's step is v <- momentum v - rate (gradient + l2 w), w <- w + v, which at a constant rate is what
    ``torch.optim.SGD`` does. Parameters with the same rate and decay are one group, so that a step is a few
    calls instead of 116. Where nothing is left to train (freeze 142 to 144) a group without any stands in.
    """
    head = set(network[CLASSIFIER].parameters())
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            bias = name.endswith("bias")
            rate = trial.head_rate_factor if parameter in head else (trial.bias_rate_factor if bias else 1.0)
            key = (trial.learning_rate * rate, 0.0 if bias else trial.l2)
            groups.setdefault(key, []).append(parameter)
    parameters: list[dict] = [
        {"params": group, "lr": rate, "weight_decay": decay} for (rate, decay), group in groups.items()
    ]
    return torch.optim.SGD(parameters or [{"params": []}], lr=trial.learning_rate, momentum=trial.momentum)


def mini_batches(
    rows: Tensor,
    trial: FineTuningTrial,
    order: int,
    turning: torch.Generator,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Tensor, Tensor]]:
    """The mini-batches of an epoch as pairs (rows, views), each int64 of length batch size.

    With ``views_per_epoch`` 0 every image is shown in all its views; otherwise in that many, drawn without
    repetition. A mini-batch larger than the training part is the whole part.

    Args:
        rows: the training images, int64.
        trial: the hyperparameters.
        order: seed that the images are shuffled with; the same in every epoch gives one order.
        turning: what views are drawn from; a generator of its own, so that an image shows other views in
            every epoch even where the order is drawn once.
        device: where the pairs are wanted.
    """
    shown = min(trial.views_per_epoch or trial.rotations, trial.rotations)
    views = torch.stack([torch.randperm(trial.rotations, generator=turning)[:shown] for _ in rows])
    pairs = torch.stack([rows.repeat_interleave(shown), views.flatten()], dim=1)
    shuffled = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(order))
    size = min(trial.batch_size, len(pairs))
    for chunk in pairs[shuffled].to(device).split(size):
        if len(chunk) == size or trial.last_batch == "keep":
            yield chunk[:, 0], chunk[:, 1]


@torch.no_grad()
def predict(
    suffix: Section, activations: Activations, rows: np.ndarray, trial: FineTuningTrial, chunks: Chunks
) -> np.ndarray:
    """P(positive) of images, float32, n, without rotation; leaves the suffix in evaluation mode."""
    suffix.eval()

    def attempt(size: int) -> Tensor:
        scores = []
        for part in torch.as_tensor(rows).split(size):
            with arithmetic(trial, suffix.device):
                logits = suffix(activations.batch(part, torch.zeros_like(part)))
            scores.append(logits.float().softmax(1)[:, 1])
        return torch.cat(scores).cpu()

    return chunks.run(attempt).numpy()


def arithmetic(trial: FineTuningTrial, device: torch.device) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where the trial says so; nothing otherwise."""
    if trial.precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
