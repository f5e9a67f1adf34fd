"""One training: SGDM on the layers behind the frozen ones, with its scores after every epoch."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.initialisation import CLASSIFIER, initialise
from hep2lib.data.folds import Fold
from hep2lib.data.images import rotate
from hep2lib.studies.trial import FineTuningTrial, random_stream


class Activations(Protocol):
    """What the trainable part of the network is fed with."""

    def batch(self, rows: Tensor, views: Tensor) -> Tensor:
        """Activations at the cut, float B x C x H x W, of the images ``rows`` in their views ``views``."""


@dataclass(frozen=True, slots=True)
class CachedActivations:
    """Activations computed beforehand: float N x V x C x H x W, in memory or memory-mapped."""

    tensor: Tensor
    device: str = "cpu"

    def batch(self, rows: Tensor, views: Tensor) -> Tensor:
        """See :class:`Activations`."""
        chosen = self.tensor[rows, views]
        if chosen.ndim == 4:
            chosen = chosen.contiguous(memory_format=torch.channels_last)
        return chosen.to(self.device, torch.float32)


@dataclass(frozen=True, slots=True)
class LiveActivations:
    """Activations computed anew for every batch, as a tutorial does: the check on the cached ones."""

    network: GoogLeNet
    prefix: nn.Module
    images: Tensor
    angles: Sequence[float]

    def batch(self, rows: Tensor, views: Tensor) -> Tensor:
        """See :class:`Activations`."""
        turned = torch.stack(
            [
                rotate(self.images[row][None], self.angles[view])[0]
                for row, view in zip(rows.tolist(), views.tolist(), strict=True)
            ]
        )
        with torch.no_grad():
            return self.prefix(self.network.preprocess(turned))


@dataclass(frozen=True, slots=True)
class DrawnActivations:
    """Unrotated views from the cache, rotated ones as they are drawn: where few of many views are shown.

    Attributes:
        still: the unrotated views' activations.
        turned: computes the rotated ones.
    """

    still: CachedActivations
    turned: LiveActivations

    def batch(self, rows: Tensor, views: Tensor) -> Tensor:
        """See :class:`Activations`."""
        return (self.turned if views.any() else self.still).batch(rows, views)


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

    Yields:
        The scores after each epoch.
    """
    generator = torch.Generator().manual_seed(random_stream(trial.seed, trial.fold))
    initialise([(CLASSIFIER, network[CLASSIFIER])], "matlab", generator)
    suffix = network.split(trial.freeze).suffix
    suffix.generator = torch.Generator(device).manual_seed(_draw_seed(generator))
    optimiser = sgdm(network, trial)
    labels = labels.to(device)
    order = _draw_seed(generator)
    turning = torch.Generator().manual_seed(_draw_seed(generator))
    for epoch in range(1, trial.epochs + 1):
        if trial.shuffle == "every-epoch" and epoch > 1:
            order = _draw_seed(generator)
        losses = []
        suffix.train()
        shuffled = torch.Generator().manual_seed(order)
        for rows, views in mini_batches(torch.as_tensor(fold.train), trial, shuffled, turning):
            with arithmetic(trial, device):
                loss = functional.cross_entropy(suffix(activations.batch(rows, views)).float(), labels[rows])
            if loss.requires_grad:  # not where everything is frozen
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        validation, test = (
            predict(suffix, activations, rows, trial, device) for rows in (fold.validation, fold.test)
        )
        if not (np.isfinite(mean) and np.isfinite(validation).all() and np.isfinite(test).all()):
            return
        yield EpochScores(epoch, mean, validation, test)


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
    rows: Tensor, trial: FineTuningTrial, order: torch.Generator, turning: torch.Generator
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
    """
    shown = min(trial.views_per_epoch or trial.rotations, trial.rotations)
    views = torch.stack(
        [torch.randperm(trial.rotations, generator=turning)[:shown] for _ in range(len(rows))]
    )
    pairs = torch.stack([rows.repeat_interleave(shown), views.flatten()], dim=1)
    pairs = pairs[torch.randperm(len(pairs), generator=order)]
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
    device: str = "cpu",
    batch: int = 64,
) -> np.ndarray:
    """P(positive) of images, float32, without rotation."""
    suffix.eval()
    scores = []
    for chunk in torch.as_tensor(rows).split(batch):
        with arithmetic(trial, device):
            logits = suffix(activations.batch(chunk, torch.zeros_like(chunk)))
        scores.append(logits.float().softmax(1)[:, 1].cpu())
    return torch.cat(scores).numpy()


def arithmetic(trial: FineTuningTrial, device: str) -> contextlib.AbstractContextManager:
    """Autocast to bfloat16 where the trial says so; nothing otherwise."""
    if trial.precision == "bf16":
        return torch.autocast(device.partition(":")[0], torch.bfloat16)
    return contextlib.nullcontext()
