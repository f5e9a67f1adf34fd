"""What a trial is, what it is called, and where its record is kept: one JSON file each, whole or none."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hep2lib.errors import InputError
from hep2lib.files import set_aside, written_whole
from hep2lib.progress import note_once

Record = dict[str, Any]


class StoreError(InputError):
    """A store that cannot be read or written."""


class TrialStore:
    """The records of one study, each in a file of its own that is named after its trial.

    Resuming a study is a difference of sets, and the results of two machines are merged by copying files. A
    record holds a checksum of its content: one that was altered counts for nothing.

    Args:
        folder: where the files are; made when the first record is written.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def __contains__(self, name: str) -> bool:
        return self._file(name).is_file()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that have no sound record yet, in the order given.

        A record that is not what was written is set aside, and said; so is, once, that there are records of
        the same trials computed by other code.
        """
        missing = [name for name in names if name not in self or self._sound(name) is None]
        kept = {_without_code(file.stem) for file in self.folder.glob("*-*.json")}
        if other := sum(_without_code(name) in kept for name in missing):
            note_once(
                f"note: {other} results in {self.folder} follow from other code; they are computed again"
            )
        return missing

    def read(self, name: str) -> Record:
        """The record of a trial; `StoreError` if there is none, or none that is as it was written."""
        record = self._sound(name)
        if record is None:
            raise StoreError(f"{self._file(name)}: no such trial; run the study to compute it")
        return record

    def _sound(self, name: str) -> Record | None:
        """The record of a trial if there is one, as it was written."""
        file = self._file(name)
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["id"] == name and record.pop("checksum") == _checksum(record):
                return record
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        set_aside(file)
        return None

    def write(self, record: Record) -> Path:
        """Keep a record under ``record["id"]``; a reader sees the whole file or none.

        Raises:
            StoreError: if the folder cannot be written, for want of permission or of room.
        """
        file = self._file(record["id"])
        try:
            with written_whole(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
                json.dump(record | {"checksum": _checksum(record)}, stream, allow_nan=False)
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot keep a result there ({error.strerror}); make room or choose another "
                "run folder, then start again: the trials already kept are not repeated"
            ) from None
        return file

    def discard(self, name: str) -> None:
        """Forget a trial's record, if there is one."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _without_code(name: str) -> str:
    return re.sub(r"-[0-9a-f]{8}\b", "", name, count=1)


def _checksum(record: Record) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def _choice(source: str, read: str, default: Any = MISSING) -> Any:
    """A field that knows where its value comes from.

    ``source`` says where it stands, ``read`` how it was read there ("at the source": in its documentation or
    code).
    """
    metadata = {"source": source, "read": read}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a network is trained, where the paper's search does not vary it.

    Where the paper is silent, the defaults are those of ``trainingOptions('sgdm')`` in MATLAB R2019a, which
    it used. Each field says where its value comes from (``choices``).

    Attributes:
        momentum: share of the previous step that is added to each step (0 to less than 1).
        l2: weight decay of weights (0 to 10); biases have none.
        bias_rate_factor: learning rate of the start network's biases relative to its weights.
        head_rate_factor: learning rate of the new classifier relative to the rest.
        class_weights: "balanced" weighs a class's losses inversely to its share of the training images.
        shuffle: a new order ``every-epoch``, or drawn ``once``.
        last_batch: whether an incomplete last mini-batch is dropped or kept.
        precision: arithmetic of the trainable part.
        activations: how the frozen layers' values are kept (bf16 takes half the room).
    """

    momentum: float = _choice("Table 1", "in the paper", 0.9)
    l2: float = _choice("MATLAB, trainingOptions('sgdm'): L2Regularization", "at the source", 1e-4)
    bias_rate_factor: float = _choice(
        "MATLAB, googlenet: BiasLearnRateFactor; Caffe: lr_mult", "at the source", 2.0
    )
    head_rate_factor: float = _choice(
        "MATLAB, a new layer's default (its example takes 10)", "not verified", 1.0
    )
    class_weights: Literal["none", "balanced"] = _choice("the paper mentions none", "in the paper", "none")
    shuffle: Literal["once", "every-epoch"] = _choice(
        "MATLAB, trainingOptions('sgdm'): Shuffle", "at the source", "once"
    )
    last_batch: Literal["drop", "keep"] = _choice("MATLAB, trainingOptions('sgdm')", "at the source", "drop")
    precision: Literal["fp32", "bf16"] = _choice("MATLAB, trainNetwork", "at the source", "fp32")
    activations: Literal["fp32", "bf16"] = _choice(
        "the same, up to rounding, as computing them in every step", "ours", "fp32"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuningTrial(TrainingOptions):
    """One training by stochastic gradient descent with momentum (SGDM) on one fold.

    Attributes:
        freeze: number of leading layers, of MATLAB's 144, whose parameters stay as they are (0 to 144).
        batch_size: images a mini-batch (1 or more).
        learning_rate: step size, constant throughout (greater than 0).
        epochs: passes over the training images (1 or more).
        fold: which fold's training part is used (0 to k - 1).
        seed: of the new classifier, the order of the images and dropout.
        rotations: views of each training image, 360 / rotations degrees apart (1: none; paper: 18).
        views_per_epoch: how many of those views an image shows in an epoch (0: all, as in the paper).
        batchnorm: "frozen" with the layers before the cut; "alive" leaves their batch normalisation in
            training mode, as a tutorial does by mistake (``hep2lib.studies.fine_tuning``).
    """

    freeze: int = _choice("Table 2", "in the paper")
    batch_size: int = _choice("Table 1", "in the paper")
    learning_rate: float = _choice("Table 1; constant: MATLAB's default", "in the paper")
    epochs: int = _choice("Table 1", "in the paper")
    fold: int = _choice("section 2.2: five folds by specimen", "in the paper")
    seed: int = _choice("drawn by us", "ours")
    rotations: int = _choice("section 2.5: steps of 20 degrees", "in the paper", 1)
    views_per_epoch: int = _choice(
        "sections 2.4 and 2.5: an epoch passes over 18 times the data", "in the paper", 0
    )
    batchnorm: Literal["frozen", "alive"] = _choice(
        "MATLAB's network has none that could live", "at the source", "frozen"
    )
    study: Literal["fine-tuning"] = "fine-tuning"

    @property
    def angles(self) -> tuple[float, ...]:
        """Angles of the views in degrees, 0 first."""
        return tuple(360.0 * view / self.rotations for view in range(self.rotations))


@dataclass(frozen=True, slots=True, kw_only=True)
class SVMVariant:
    """How an SVM study may differ from the paper's."""

    regularisation: Literal["C", "lambda"] = "C"  # what its values are; fitclinear's C = 1 / (n lambda)
    pooled: bool = False  # whether each channel's mean over the image is taken instead of all its values
    rotations: int = 1  # views of each training image, 360 / rotations degrees apart (1: none)
    refitted: bool = False  # whether test images are scored by a machine fitted to validation images too
    solver: Literal["exact", "early-stopped"] = "exact"  # or what ten passes of coordinate descent reach


@dataclass(frozen=True, slots=True, kw_only=True)
class SVMTrial(SVMVariant):
    """Linear support vector machines for all values of C, on one layer's activations and one fold."""

    layer: str  # MATLAB's name of the layer whose activations are the features
    fold: int  # which fold's training part is used (0 to k - 1)
    values: tuple[float, ...]  # the grid, as the paper gives it (10^linspace(-6, 2.5, 20)); greater than 0
    features: Literal["start", "fine-tuned"] = "start"  # or of the network fine-tuned on that part
    study: Literal["svm"] = "svm"


def choices() -> list[dict[str, Any]]:
    """Every choice that a fine-tuning trial consists of, those without a default first.

    Returns:
        One mapping a field with ``field``, ``default`` (None: the search or the study sets it), ``source``
        and ``read`` ("in the paper", "at the source", "not verified", "ours").
    """
    described = [one for one in fields(FineTuningTrial) if one.metadata]
    return [
        {"field": one.name, "default": None if one.default is MISSING else one.default, **one.metadata}
        for one in sorted(described, key=lambda one: one.default is not MISSING)
    ]


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
        context: digests of what it is computed from (images and labels, folds, network), and under "code"
            of the code that computes it (``hep2lib.sources.code_digest``).

    Returns:
        24 hexadecimal digits of a SHA-256, a hyphen, and the digest of the code.
    """
    data = {name: digest for name, digest in context.items() if name != "code"}
    what = {"trial": trial_fields(trial), "context": data}
    digits = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return f"{digits}-{context['code']}"


def random_stream(seed: int, fold: int) -> int:
    """Seed of a trial's own generator: one for each seed and fold, the same for all configurations."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0] >> np.uint64(1))
