"""What the trials of a study are computed from, in a form that another process can open."""

import copy
import hashlib
import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hep2lib.cnn.activations import activations_file, cached_activations
from hep2lib.cnn.googlenet import GoogLeNet, architecture, cut_point
from hep2lib.cnn.layers import layer_table
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.data.folds import Fold
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.files import written_whole
from hep2lib.studies.execution import Chunks, cluster_executor, executor_for, resident, stream_executor
from hep2lib.studies.trial import FineTuningTrial


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


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


_OPEN: dict[tuple[Any, ...], Tensor] = {}


_OPEN_AT_MOST = 4


_OPENING = threading.RLock()


class Activations(Protocol):
    """What the trainable part of the network is fed with."""

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """Activations at the cut, float B x C x H x W, of the images ``rows`` in their views ``views``.

        Args:
            rows: int64, B.
            views: int64, B.
            training: whether the batch is trained on, which changes nothing in a frozen prefix.
        """


@dataclass(frozen=True, slots=True)
class CachedActivations:
    """Activations computed beforehand: N x V x C x H x W, in memory, memory-mapped, or on the device."""

    tensor: Tensor
    device: str = "cpu"

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        where = self.tensor.device
        chosen = self.tensor[rows.to(where), views.to(where)]
        if chosen.ndim == 4:
            chosen = chosen.contiguous(memory_format=torch.channels_last)
        return chosen.to(self.device, torch.float32)


def turned_images(images: Tensor, rows: Tensor, views: Tensor, angles: Sequence[float]) -> Tensor:
    """The images ``rows``, uint8, each turned by the angle of its view, in degrees."""
    pairs = zip(rows.tolist(), views.tolist(), strict=True)
    return torch.stack([rotate(images[row][None], angles[view])[0] for row, view in pairs])


@dataclass(frozen=True, slots=True)
class LiveActivations:
    """Activations computed anew for every batch, as a tutorial does: the check on the cached ones.

    They differ from those in the last digits, because the cache was filled in batches of another size.

    Attributes:
        network: whose preprocessing the images go through.
        prefix: its frozen layers.
        images: uint8, N x 3 x H x W.
        angles: of the views, in degrees.
        dtype: what values are rounded to, as cached ones are.
    """

    network: GoogLeNet
    prefix: nn.Module
    images: Tensor
    angles: Sequence[float]
    dtype: torch.dtype = torch.float32

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        turned = turned_images(self.images, rows, views, self.angles)
        with torch.no_grad():
            values = self.prefix(self.network.preprocess(turned.to(self.network.device)))
        return values.to(self.dtype).float()


@dataclass(frozen=True, slots=True)
class AliveActivations:
    """Values at the cut of a network whose frozen layers normalise by each training batch.

    ``requires_grad = False`` stops the optimiser, not the normalisation: in training mode it takes mean and
    variance of the batch at hand instead of those it was trained with, and lets its running statistics,
    which are what scoring uses, drift after them.

    Attributes:
        network: with live batch normalisation; its statistics change with every training batch.
        layer: MATLAB's name of the layer at the cut.
        images: uint8, N x 3 x H x W.
        angles: of the views, in degrees.
    """

    network: GoogLeNet
    layer: str
    images: Tensor
    angles: Sequence[float]

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        turned = turned_images(self.images, rows, views, self.angles)
        self.network.train(training)
        with torch.no_grad():
            shown = self.network.preprocess(turned.to(self.network.device))
            return self.network.activations(shown, [self.layer])[self.layer]


@dataclass(frozen=True, slots=True)
class DrawnActivations:
    """Unrotated views from the cache, rotated ones as they are drawn: where few of many views are shown.

    Attributes:
        still: the unrotated views' activations.
        turned: computes the rotated ones.
    """

    still: CachedActivations
    turned: LiveActivations

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        return (self.turned if views.any() else self.still).batch(rows, views)


class Kept(NamedTuple):
    """A set of activations worth keeping.

    Attributes:
        freeze: freeze depth, 0 to 144.
        angles: of the views in degrees, 0 first; none at all where everything is computed as it is drawn.
        precision: "fp32" or "bf16".
    """

    freeze: int
    angles: tuple[float, ...]
    precision: str = "fp32"


def wanted(inputs: WorkerInputs, trial: FineTuningTrial) -> Kept:
    """What of a trial's input is worth keeping.

    All views, unless the trainings of all folds together draw fewer of them than there are: then only the
    unrotated one, which every training is scored on, and the others are computed as they are drawn.
    """
    drawn = trial.epochs * (trial.views_per_epoch or trial.rotations)
    images_drawn = drawn * sum(len(fold.train) for fold in inputs.folds)
    few = images_drawn < trial.rotations * len(inputs.labels)
    return Kept(trial.freeze, (0.0,) if few else trial.angles, trial.activations)


def size_in_bytes(inputs: WorkerInputs, kept: Kept) -> int:
    """Room that a set of activations takes."""
    table = layer_table(architecture(inputs.variant), inputs.open_images().shape[-1])
    at_cut = table.iloc[cut_point(architecture(inputs.variant), kept.freeze) - 1]
    values = len(inputs.labels) * len(kept.angles) * int(at_cut["channels"]) * int(at_cut["size"]) ** 2
    return values * DTYPES[kept.precision].itemsize


def prepare_activations(inputs: WorkerInputs, trials: Iterable[FineTuningTrial]) -> dict[Kept, Kept]:
    """Compute what trials are fed with, on all cores, before the workers ask for it one by one.

    The cache stays within its limit: the smallest sets are kept first; of a set without room only the
    unrotated views are kept, or nothing, and the rest is computed as it is drawn, which gives the same
    results later, up to rounding. Files that no trial here needs make way, those first that were not used
    for longest.

    Args:
        inputs: images, network and cache folder with its limit.
        trials: those to be run.

    Returns:
        What is kept for each set that is wanted.
    """
    plan: dict[Kept, Kept] = {}
    room = inputs.cache_limit or float("inf")
    sets = dict.fromkeys(wanted(inputs, trial) for trial in trials if trial.batchnorm == "frozen")
    for kept in sorted(sets, key=lambda kept: size_in_bytes(inputs, kept)):
        less = (kept, kept._replace(angles=(0.0,)), kept._replace(angles=()))
        plan[kept] = next(one for one in less if size_in_bytes(inputs, one) <= room)
        room -= size_in_bytes(inputs, plan[kept])
    needed = [kept for kept in dict.fromkeys(plan.values()) if kept.angles]
    if inputs.cache_limit:
        _make_room(inputs, needed)
    for kept in needed:
        open_activations(inputs, kept)
    return plan


def _make_room(inputs: WorkerInputs, needed: Sequence[Kept]) -> None:
    """Remove the longest unused activations until those needed and the others are within the limit."""
    network, images = inputs.network(), inputs.open_images()
    mine = {
        activations_file(
            network,
            kept.freeze,
            images,
            views=kept.angles,
            cache=inputs.cache,
            dtype=DTYPES[kept.precision],
            device=inputs.device,
        )
        for kept in needed
    }
    others = [file for file in inputs.cache.glob("activations-*.npy") if file not in mine]
    room = inputs.cache_limit - sum(size_in_bytes(inputs, kept) for kept in needed)
    for file in sorted(others, key=lambda file: file.stat().st_mtime, reverse=True):
        room -= file.stat().st_size
        if room < 0:
            file.unlink(missing_ok=True)  # whoever has it open keeps it until they are done


def activations_for(
    inputs: WorkerInputs, network: GoogLeNet, trial: FineTuningTrial, kept: Kept | None = None
) -> Activations:
    """What a trial's network is fed with.

    Args:
        inputs: images and cache folder.
        network: the network before training.
        trial: its freeze depth and views matter.
        kept: what is kept of them; None takes what is wanted.
    """
    if trial.batchnorm == "alive":
        return alive_activations(inputs, trial)
    kept = kept or wanted(inputs, trial)
    images, prefix = inputs.open_images(), network.prefix(trial.freeze)
    live = LiveActivations(network, prefix, images, trial.angles, DTYPES[trial.activations])
    if not kept.angles:
        return live
    cached = CachedActivations(open_activations(inputs, kept), inputs.device)
    return cached if kept.angles == trial.angles else DrawnActivations(cached, live)


def alive_activations(inputs: WorkerInputs, trial: FineTuningTrial) -> AliveActivations:
    """What a trial with live normalisation is fed with."""
    if inputs.alive is None:
        raise InputError("these weights have no batch normalisation that could be kept alive")
    network = GoogLeNet(variant=inputs.variant, batchnorm="train")
    network.load_state_dict(load_file(inputs.alive))
    network.preprocess = inputs.preprocess
    network.to(inputs.device).requires_grad_(True)
    layer = network.layers[cut_point(network.layers, trial.freeze) - 1].name
    return AliveActivations(network, layer, inputs.open_images(), trial.angles)


def open_activations(inputs: WorkerInputs, kept: Kept) -> Tensor:
    """The activations behind the frozen layers, N x V x C x H x W, computed if the cache lacks them.

    A process keeps the last few open, since opening them means hashing what they were computed from. On a
    GPU they are on the device as far as they fit.

    Args:
        inputs: images, network and cache folder.
        kept: which.
    """
    key = (inputs.cache, inputs.weights, inputs.images, inputs.device, kept)
    with _OPENING:
        if key not in _OPEN:
            while len(_OPEN) >= _OPEN_AT_MOST:
                _OPEN.pop(next(iter(_OPEN)))
            _OPEN[key] = resident(_computed(inputs, kept), inputs.device)
        return _OPEN[key]


def _computed(inputs: WorkerInputs, kept: Kept) -> Tensor:
    def compute(batch: int) -> Tensor:
        return cached_activations(
            inputs.network(),
            kept.freeze,
            inputs.open_images(),
            views=kept.angles,
            cache=inputs.cache,
            batch=batch,
            dtype=DTYPES[kept.precision],
            device=inputs.device,
        )

    return Chunks(32 if inputs.device == "cpu" else 256, "activations").run(compute)
