"""What the trials of a study are computed from, in a form that another process can open."""

import copy
import hashlib
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.files import written_whole
from hep2lib.studies.cluster import cluster_executor
from hep2lib.studies.execution import executor_for
from hep2lib.studies.gpu import stream_executor


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
        scheduler: address of a Dask scheduler whose workers run the trials; "" for none.
        local_cluster: number of Dask workers to start on this machine for them; 0 for none.
        cache_limit: room for activations, bytes; 0 for no limit.
        alive: the network with its batch normalisation not folded, for trials that leave it alive.
    """

    images: Tensor
    labels: np.ndarray
    folds: Sequence[Fold]
    network: GoogLeNet
    cache: Path
    device: str = "cpu"
    workers: int = 0
    scheduler: str = ""
    local_cluster: int = 0
    cache_limit: int = 0
    alive: GoogLeNet | None = None

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
        _write_once(weights, partial(write_tensors, tensors=self.network.state_dict()))
        alive = None
        if self.alive is not None:
            alive = self.cache / f"alive-{self.alive.state_digest()[:16]}.safetensors"
            _write_once(alive, partial(write_tensors, tensors=self.alive.state_dict()))
        _write_once(images, partial(_save_array, values=self.images.numpy()))
        return WorkerInputs(
            images=images,
            labels=tuple(int(label) for label in self.labels),
            folds=tuple(self.folds),
            weights=weights,
            variant=self.network.variant,
            preprocess=self.network.preprocess,
            cache=self.cache,
            device=self.device,
            cache_limit=self.cache_limit,
            alive=alive,
        )

    def executor(self) -> AbstractContextManager[Executor]:
        """Where trials run: in this process, on its cores, on a GPU's streams, or on a cluster."""
        if self.scheduler or self.local_cluster:
            return cluster_executor(self.scheduler, self.local_cluster, self.cache)
        if self.device != "cpu":
            return stream_executor(self.device, self.workers)
        return executor_for(self.workers)


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
    cache_limit: int = 0
    alive: Path | None = None

    def network(self) -> GoogLeNet:
        """A fresh copy of the network that the study starts from."""
        network = copy.deepcopy(_network(_seen(self.weights), self.variant))
        network.preprocess = self.preprocess
        return network.to(self.device)

    def open_images(self) -> Tensor:
        """The images, memory-mapped."""
        return torch.from_numpy(np.load(_seen(self.images), mmap_mode="c"))


def _seen(file: Path) -> Path:
    """The file, if this machine sees it."""
    if not file.is_file():
        raise InputError(
            f"{file}: not there as seen from {platform.node()}; the run's folder must lie where all workers "
            "find it under the same path (a shared file system), and its cache must not be deleted meanwhile"
        )
    return file


@lru_cache(maxsize=2)
def _network(file: Path, variant: str) -> GoogLeNet:
    """The network of a file, which is named after its content; to be copied, since that takes a tenth."""
    network = GoogLeNet(variant=variant, classes=2)
    network.load_state_dict(load_file(file))
    return network


def _save_array(file: Path, values: np.ndarray) -> None:
    try:
        with written_whole(file) as temporary, temporary.open("wb") as stream:
            np.save(stream, values)
    except OSError as error:
        raise InputError(
            f"{file.parent}: cannot be written ({error}); make room or choose another run folder, then start "
            "again: what was computed is kept"
        ) from None


def _write_once(file: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make ``file``, whole or not at all, unless it is there."""
    if not file.exists():
        write(file)
