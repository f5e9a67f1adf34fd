"""What the trials of a study are computed from, in a form that another process can open."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.data.folds import Fold


@dataclass(frozen=True, eq=False)
class StudyInputs:
    """Images, labels, folds and the network that training starts from.

    Attributes:
        images: uint8, N x 3 x H x W.
        labels: int64, N; 1 is positive.
        folds: rows of each fold's training, validation and test part.
        network: the network before any training, with its weights loaded; it is not changed.
        cache: folder for activations and for what workers start from; safe to delete.
        device: where the trials run ("cpu", "cuda").
        workers: number of processes (0: one a core).
    """

    images: Tensor
    labels: np.ndarray
    folds: Sequence[Fold]
    network: GoogLeNet
    cache: Path
    device: str = "cpu"
    workers: int = 0

    @cached_property
    def context(self) -> dict[str, str]:
        """Digests of all that a trial's result depends on besides the trial itself."""
        folds = hashlib.sha256()
        for fold in self.folds:
            for rows in (fold.train, fold.validation, fold.test):
                folds.update(np.ascontiguousarray(rows, dtype=np.int64).tobytes() + b"|")
        images = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for chunk in self.images.split(256):
            images.update(chunk.contiguous().numpy().tobytes())
        return {
            "images": images.hexdigest(),
            "labels": hashlib.sha256(np.asarray(self.labels, dtype=np.int64).tobytes()).hexdigest(),
            "folds": folds.hexdigest(),
            "network": self.network.state_digest(),
            "preprocessing": self.network.preprocess.digest(),
            "variant": self.network.variant,
        }

    def for_workers(self) -> "WorkerInputs":
        """The same, as files that any process on this machine can open."""
        weights = self.cache / f"start-{self.context['network'][:16]}.safetensors"
        images = self.cache / f"images-{self.context['images'][:16]}.npy"
        state = {name: tensor.cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        _write_once(weights, lambda file: save_file(state, file))
        _write_once(images, lambda file: _save_array(file, self.images.numpy()))
        return WorkerInputs(
            images=images,
            labels=tuple(int(label) for label in self.labels),
            folds=tuple(self.folds),
            weights=weights,
            variant=self.network.variant,
            preprocess=self.network.preprocess,
            cache=self.cache,
            device=self.device,
        )


@dataclass(frozen=True, slots=True, eq=False)
class WorkerInputs:
    """Study inputs that are small enough to be sent to a worker with every trial."""

    images: Path
    labels: tuple[int, ...]
    folds: tuple[Fold, ...]
    weights: Path
    variant: str
    preprocess: Preprocessing
    cache: Path
    device: str

    def network(self) -> GoogLeNet:
        """A fresh copy of the network that the study starts from."""
        network = GoogLeNet(variant=self.variant, classes=2)
        network.load_state_dict(_state(self.weights))
        network.preprocess = self.preprocess
        return network.to(self.device)

    def open_images(self) -> Tensor:
        """The images, memory-mapped."""
        return torch.from_numpy(np.load(self.images, mmap_mode="c"))


@lru_cache(maxsize=2)
def _state(file: Path) -> dict[str, Tensor]:
    return load_file(file)


def _save_array(file: Path, values: np.ndarray) -> None:
    with file.open("wb") as stream:
        np.save(stream, values)


def _write_once(file: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make ``file``, whole or not at all, unless it is there."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".writing-", suffix=file.suffix)
    os.close(descriptor)
    try:
        write(Path(temporary))
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
