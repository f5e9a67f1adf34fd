"""A trial: one training of one model on one fold, what determines it, and the name that follows from that."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np

TRIAL_VERSION = 2
"""Raised when a change of the code changes what a trial computes, so that old records are not reused."""


class Trial(Protocol):
    """What every study's trial has: a fold, and the name of the study that it belongs to."""

    study: str
    fold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuningTrial:
    """One training by stochastic gradient descent with momentum (SGDM) on one fold.

    Where the paper is silent, the defaults are those of ``trainingOptions('sgdm')`` in MATLAB R2019a, which
    it used.

    Attributes:
        freeze: number of leading layers, of MATLAB's 144, whose parameters stay as they are (0 to 144).
        batch_size: images a mini-batch (1 or more).
        learning_rate: step size, constant throughout (greater than 0).
        epochs: passes over the training images (1 or more).
        fold: which fold's training part is used (0 to k - 1).
        seed: of the new classifier, the order of the images and dropout.
        momentum: share of the previous step that is added to each step (paper, Table 1: 0.9).
        l2: weight decay of weights; biases have none (Caffe's and MATLAB's convention).
        bias_rate_factor: learning rate of pre-trained biases relative to weights (Caffe's ``lr_mult: 2``).
        head_rate_factor: learning rate of the new classifier relative to the rest (MATLAB's example uses 10).
        shuffle: a new order ``every-epoch``, or drawn ``once`` (MATLAB's default).
        last_batch: whether an incomplete last mini-batch is dropped (MATLAB) or kept.
        rotations: views of each training image, 360 / rotations degrees apart (1: none; paper: 18).
        views_per_epoch: how many of those views an image shows in an epoch (0: all, as in the paper).
        precision: arithmetic of the trainable part.
    """

    freeze: int
    batch_size: int
    learning_rate: float
    epochs: int
    fold: int
    seed: int
    momentum: float = 0.9
    l2: float = 1e-4
    bias_rate_factor: float = 2.0
    head_rate_factor: float = 1.0
    shuffle: Literal["once", "every-epoch"] = "once"
    last_batch: Literal["drop", "keep"] = "drop"
    rotations: int = 1
    views_per_epoch: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    study: Literal["fine-tuning"] = "fine-tuning"

    @property
    def angles(self) -> tuple[float, ...]:
        """Angles of the views in degrees, 0 first."""
        return tuple(360.0 * view / self.rotations for view in range(self.rotations))

    @property
    def cell(self) -> tuple[int, int, float, int]:
        """What the grid varies: freeze depth, batch size, learning rate, number of rotations."""
        return (self.freeze, self.batch_size, self.learning_rate, self.rotations)


@dataclass(frozen=True, slots=True, kw_only=True)
class SVMTrial:
    """Linear support vector machines for all values of C, on one layer's activations and one fold.

    Attributes:
        layer: MATLAB's name of the layer whose activations are the features.
        fold: which fold's training part is used (0 to k - 1).
        values: the grid, ascending, as the paper gives it (10^linspace(-6, 2.5, 20)).
        reading: whether ``values`` are C of the soft-margin SVM, or fitclinear's lambda (C = 1 / (n lambda)).
    """

    layer: str
    fold: int
    values: tuple[float, ...]
    reading: Literal["C", "lambda"] = "C"
    study: Literal["svm"] = "svm"


def trial_fields(trial: FineTuningTrial | SVMTrial) -> dict[str, Any]:
    """The trial as plain JSON values."""
    return json.loads(json.dumps(asdict(trial)))


def read_trial(fields: Mapping[str, Any]) -> FineTuningTrial:
    """The trial that ``trial_fields`` made JSON values of."""
    return FineTuningTrial(**fields)


def trial_id(trial: FineTuningTrial | SVMTrial, context: Mapping[str, str]) -> str:
    """Name of a trial: a hash of everything that its result depends on.

    Args:
        trial: its hyperparameters, fold and seed.
        context: digests of what it is computed from (images and labels, folds, network).

    Returns:
        24 hexadecimal digits of a SHA-256.
    """
    what = {"version": TRIAL_VERSION, "trial": trial_fields(trial), "context": dict(context)}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]


def random_stream(seed: int, fold: int) -> int:
    """Seed of a trial's own generator: one for each seed and fold, the same for all cells of the grid."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0] >> np.uint64(1))
