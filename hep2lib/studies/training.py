"""One training: SGDM on the layers behind the frozen ones, with its scores after every epoch."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet, Section
from hep2lib.cnn.layers import CLASSIFIER, initialise
from hep2lib.data.folds import Fold
from hep2lib.studies.execution import Chunks, recorded
from hep2lib.studies.inputs import Activations
from hep2lib.studies.trial import FineTuningTrial, random_stream


@dataclass(frozen=True, slots=True)
class EpochScores:
    """What a training has reached after an epoch.

    Attributes:
        epoch: 1 or more.
        loss: mean cross-entropy of the epoch's mini-batches (natural logarithm).
        validation: P(positive) of the fold's validation images, in the fold's order.
        test: P(positive) of the fold's test images, in the fold's order.
    """

    epoch: int
    loss: float
    validation: np.ndarray
    test: np.ndarray


def train(
    network: GoogLeNet,
    activations: Activations,
    labels: Tensor,
    fold: Fold,
    trial: FineTuningTrial,
    device: str = "cpu",
    notes: list[str] | None = None,
) -> Iterator[EpochScores]:
    """Train a network's layers behind the first ``trial.freeze``, and score after each epoch.

    The learning rate is constant, so the n-th result is what a training of n epochs would have given. A
    training whose loss is no longer finite ends early, without a result for that epoch.

    Args:
        network: the starting point; its trainable parameters are changed in place, its classifier is drawn
            anew from the trial's seed.
        activations: input of the trainable part for every image and view.
        labels: int64, N; 1 is positive.
        fold: rows of the training, validation and test images.
        trial: the hyperparameters.
        device: where to compute.
        notes: a list for what has to be said about the training (memory that ran out).

    Yields:
        The scores after each epoch.
    """
    notes = [] if notes is None else notes
    generator = torch.Generator().manual_seed(random_stream(trial.seed, trial.fold))
    initialise([(CLASSIFIER, network[CLASSIFIER])], "matlab", generator)
    suffix = network.split(trial.freeze).suffix
    suffix.generator = torch.Generator(device).manual_seed(_draw_seed(generator))
    order = _draw_seed(generator)
    turning = torch.Generator().manual_seed(_draw_seed(generator))
    step = _step(suffix, network, activations, labels, fold, trial, device, notes)
    chunks = Chunks(64 if device == "cpu" else 512, "scored images", notes)
    for epoch in range(1, trial.epochs + 1):
        if trial.shuffle == "every-epoch" and epoch > 1:
            order = _draw_seed(generator)
        suffix.train()
        shuffled = torch.Generator().manual_seed(order)
        batches = mini_batches(torch.as_tensor(fold.train), trial, shuffled, turning, device)
        loss = float(torch.stack([step(rows, views) for rows, views in batches]).mean())
        validation, test = (
            predict(suffix, activations, rows, trial, device, chunks) for rows in (fold.validation, fold.test)
        )
        if not (np.isfinite(loss) and np.isfinite(validation).all() and np.isfinite(test).all()):
            return
        yield EpochScores(epoch, loss, validation, test)


@dataclass(slots=True)
class Step:
    """One step of SGDM on a mini-batch, in chunks where memory does not suffice for all of it at once.

    Attributes:
        suffix: the layers behind the cut.
        optimiser: of the trained parameters.
        activations: what the suffix is fed with.
        labels: int64, N, on the device.
        weights: of the two classes, on the device.
        trial: the hyperparameters.
        device: where to compute.
        chunks: how many images at a time.
    """

    suffix: Section
    optimiser: torch.optim.SGD
    activations: Activations
    labels: Tensor
    weights: Tensor
    trial: FineTuningTrial
    device: str
    chunks: Chunks

    def __call__(self, rows: Tensor, views: Tensor) -> Tensor:
        """Take the step and return the mini-batch's mean loss, a scalar on the device."""
        before = self.suffix.generator.get_state() if self.suffix.generator else None

        def attempt(size: int) -> Tensor:
            if self.suffix.generator and before is not None:
                self.suffix.generator.set_state(before)
            return self.compute(rows, views, size)

        return self.chunks.run(attempt)

    def compute(self, rows: Tensor, views: Tensor, chunk: int) -> Tensor:
        """Gradients of the mean loss, ``chunk`` images at a time, and then the step."""
        self.optimiser.zero_grad()
        losses = []
        for part, angles in zip(rows.split(chunk), views.split(chunk), strict=True):
            with arithmetic(self.trial, self.device):
                logits = self.suffix(self.activations.batch(part, angles, training=True)).float()
            labels = self.labels[part]
            loss = functional.cross_entropy(logits, labels, self.weights, reduction="sum") / len(rows)
            if loss.requires_grad:  # not where everything is frozen
                loss.backward()
            losses.append(loss.detach())
        self.optimiser.step()
        return torch.stack(losses).sum()


def _step(
    suffix: Section,
    network: GoogLeNet,
    activations: Activations,
    labels: Tensor,
    fold: Fold,
    trial: FineTuningTrial,
    device: str,
    notes: list[str],
) -> Callable[[Tensor, Tensor], Tensor]:
    """What takes a step on a mini-batch: on a GPU a recorded one, wherever that is possible."""
    weights = class_weights(labels[torch.as_tensor(fold.train)], trial).to(device)
    chunks = Chunks(trial.batch_size, "mini-batches", notes)
    step = Step(suffix, sgdm(network, trial), activations, labels.to(device), weights, trial, device, chunks)
    if device == "cpu":
        return step
    return recorded(step, trial.batch_size, notes)


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
    ``torch.optim.SGD`` does. Where nothing is left to train (freeze 142 to 144) a group without parameters
    stands in.
    """
    head = set(network[CLASSIFIER].parameters())
    groups = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        bias = name.endswith("bias")
        rate = trial.head_rate_factor if parameter in head else (trial.bias_rate_factor if bias else 1.0)
        decay = 0.0 if bias else trial.l2
        groups.append({"params": [parameter], "lr": trial.learning_rate * rate, "weight_decay": decay})
    return torch.optim.SGD(_merged(groups), lr=trial.learning_rate, momentum=trial.momentum)


def _merged(groups: list[dict]) -> list[dict]:
    """Parameters with the same rate and decay as one group, so that a step is a few calls instead of 116."""
    merged: dict[tuple[float, float], dict] = {}
    for group in groups:
        key = (group["lr"], group["weight_decay"])
        merged.setdefault(key, {**group, "params": []})["params"].extend(group["params"])
    return list(merged.values()) or [{"params": []}]


def mini_batches(
    rows: Tensor,
    trial: FineTuningTrial,
    order: torch.Generator,
    turning: torch.Generator,
    device: str = "cpu",
) -> Iterator[tuple[Tensor, Tensor]]:
    """The mini-batches of an epoch as pairs (rows, views), each int64 of length batch size.

    With ``views_per_epoch`` 0 every image is shown in all its views; otherwise in that many, drawn without
    repetition. A mini-batch larger than the training part is the whole part.

    Args:
        rows: the training images, int64.
        trial: the hyperparameters.
        order: what the images are shuffled with; in the same state in every epoch, it gives one order.
        turning: what views are drawn from; a generator of its own, so that an image shows other views in
            every epoch even where the order is drawn once.
        device: where the pairs are wanted.
    """
    shown = min(trial.views_per_epoch or trial.rotations, trial.rotations)
    views = torch.stack(
        [torch.randperm(trial.rotations, generator=turning)[:shown] for _ in range(len(rows))]
    )
    pairs = torch.stack([rows.repeat_interleave(shown), views.flatten()], dim=1)
    pairs = pairs[torch.randperm(len(pairs), generator=order)].to(device)
    size = min(trial.batch_size, len(pairs))
    for chunk in pairs.split(size):
        if len(chunk) == size or trial.last_batch == "keep":
            yield chunk[:, 0], chunk[:, 1]


@torch.no_grad()
def predict(
    suffix: nn.Module,
    activations: Activations,
    rows: np.ndarray,
    trial: FineTuningTrial,
    device: str,
    chunks: Chunks,
) -> np.ndarray:
    """P(positive) of images, float32, without rotation."""
    suffix.eval()

    def attempt(size: int) -> Tensor:
        scores = []
        for part in torch.as_tensor(rows).split(size):
            with arithmetic(trial, device):
                logits = suffix(activations.batch(part, torch.zeros_like(part)))
            scores.append(logits.float().softmax(1)[:, 1])
        return torch.cat(scores).cpu()

    return chunks.run(attempt).numpy()


def arithmetic(trial: FineTuningTrial, device: str) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where the trial says so; nothing otherwise."""
    if trial.precision == "bf16":
        return torch.autocast(device.partition(":")[0], torch.bfloat16)
    return contextlib.nullcontext()
