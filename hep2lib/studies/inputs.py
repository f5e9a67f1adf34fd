"""What the trials of a study are computed from, in a form that another process can open."""

import copy
import hashlib
import platform
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from hep2lib.cnn.activations import activations_file, cached_activations
from hep2lib.cnn.googlenet import GoogLeNet, architecture, cut_point
from hep2lib.cnn.layers import layer_table
from hep2lib.cnn.preprocessing import Preprocessing
from hep2lib.cnn.weight_files import write_tensors
from hep2lib.data.folds import Fold
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.files import kept_file
from hep2lib.studies.execution import Chunks, InProcessExecutor, cluster_executor, executor_for, resident
from hep2lib.studies.trial import FineTuningTrial

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_OPEN: dict[tuple[Any, ...], Tensor] = {}
_OPEN_AT_MOST = 4
_OPENING = threading.RLock()


@dataclass(frozen=True, eq=False)
class StudyInputs:
    """Images, labels, folds and the network that training starts from."""

    images: Tensor  # uint8, N x 3 x H x W
    labels: np.ndarray  # int64, N; 1 is positive
    folds: Sequence[Fold]  # rows of each fold's training, validation and test part
    network: GoogLeNet  # before any training, with its weights loaded; it is not changed
    cache: Path  # folder for activations and for what workers start from; safe to delete
    device: str = "cpu"  # where the trials run ("cpu", "cuda")
    workers: int = 0  # processes on the CPU; 0: one a core
    scheduler: str = ""  # address of a Dask scheduler whose workers run the trials; "" for none
    local_cluster: int = 0  # Dask workers to start on this machine for them; 0 for none
    cache_limit: int = 0  # room for activations, bytes; 0 for no limit
    alive: GoogLeNet | None = None  # with batch normalisation not folded, for trials that leave it alive
    images_file: Path | None = None  # the .npy file that ``images`` were read from, if there is one

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

        def images(temporary: Path) -> None:
            with temporary.open("wb") as stream:
                np.save(stream, self.images.numpy())

        alive = self.alive
        own = self.cache / f"images-{self.context['images'][:16]}.npy"
        return WorkerInputs(
            images=self.images_file or kept_file(own, images),
            labels=tuple(int(label) for label in self.labels),
            folds=tuple(self.folds),
            weights=kept_network(self.network, self.cache),
            variant=self.network.variant,
            preprocess=self.network.preprocess,
            cache=self.cache,
            device=self.device,
            cache_limit=self.cache_limit,
            alive=None if alive is None else kept_network(alive, self.cache),
        )

    def executor(self) -> AbstractContextManager[Executor]:
        """Where trials run: in this process (a GPU's do), on its cores, or on a cluster."""
        if self.scheduler or self.local_cluster:
            return cluster_executor(self.scheduler, self.local_cluster, self.cache)
        if self.device != "cpu":
            return nullcontext(InProcessExecutor())
        return executor_for(self.workers)


def kept_network(network: GoogLeNet, cache: Path) -> Path:
    """The ``.safetensors`` file in a cache that holds a network's parameters, made if need be."""
    return kept_file(
        network_file(cache, network.state_digest()),
        lambda temporary: write_tensors(temporary, network.state_dict()),
    )


def network_file(cache: Path, digest: str) -> Path:
    """What ``kept_network`` names the file of a network with this ``state_digest``, but for its checksum."""
    return cache / f"network-{digest[:16]}.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class WorkerInputs:
    """Study inputs that are small enough to be sent to a worker: files for the large ones.

    A machine that does not see a file raises InputError when it opens it.
    """

    images: Path  # ``.npy`` file, uint8, N x 3 x H x W
    labels: tuple[int, ...]
    folds: tuple[Fold, ...]
    weights: Path  # ``.safetensors`` file of the starting network's parameters
    variant: str  # of the network, "bvlc" or "torchvision"
    preprocess: Preprocessing  # what images pass through in front of it
    cache: Path
    device: str
    cache_limit: int
    alive: Path | None  # file of the network with its batch normalisation not folded, if there is one

    def network(self) -> GoogLeNet:
        """A fresh copy of the network that the study starts from, on ``device``."""
        return self._placed(copy.deepcopy(_network(_seen(self.weights), self.variant)))

    def alive_network(self) -> GoogLeNet:
        """The same network with its batch normalisation alive.

        Raises:
            InputError: if it has none, or this machine does not see its file.
        """
        if self.alive is None:
            raise InputError("these weights have no batch normalisation that could be kept alive")
        network = GoogLeNet(variant=self.variant, batchnorm="train")
        network.load_state_dict(load_file(_seen(self.alive)))
        return self._placed(network)

    def _placed(self, network: GoogLeNet) -> GoogLeNet:
        network.preprocess = self.preprocess
        return network.to(self.device)

    def open_images(self) -> Tensor:
        """The images, uint8, N x 3 x H x W, memory-mapped."""
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


class Activations(Protocol):
    """What the trainable part of the network is fed with."""

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """Activations at the cut, float32, B x C x H x W, of the images ``rows`` in their views ``views``.

        Args:
            rows: int64, B.
            views: int64, B; 0 to the number of views - 1.
            training: whether the batch is trained on, which changes nothing in a frozen prefix.
        """


@dataclass(frozen=True, slots=True)
class CachedActivations:
    """Activations computed beforehand, in memory, memory-mapped, or on the device."""

    tensor: Tensor  # float32 or bfloat16, N x V x C x H x W
    device: str = "cpu"  # where batches are wanted

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        where = self.tensor.device
        chosen = self.tensor[rows.to(where), views.to(where)]
        if chosen.ndim == 4:
            chosen = chosen.contiguous(memory_format=torch.channels_last)
        return chosen.to(self.device, torch.float32)


@dataclass(frozen=True, slots=True)
class LiveActivations:
    """Activations computed anew for every batch, as a tutorial does: the check on the cached ones.

    They differ from those in the last digits, because the cache was filled in batches of another size.

    Where batch normalisation is left alive, they depend on the batch. ``requires_grad = False`` stops the
    optimiser, not the normalisation: in training mode it takes mean and variance of the batch at hand instead
    of those it was trained with, and lets its running statistics, which scoring uses, drift after them.
    """

    network: GoogLeNet  # whose preprocessing and layers the images go through
    freeze: int  # freeze depth, 0 to 144
    images: Tensor  # uint8, N x 3 x H x W
    angles: Sequence[float]  # of the views, in degrees
    dtype: torch.dtype = torch.float32  # what values are rounded to, as cached ones are
    alive: bool = False  # whether normalisation in front of the cut is: every training batch changes it

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        pairs = zip(rows.tolist(), views.tolist(), strict=True)
        turned = torch.stack([rotate(self.images[row][None], self.angles[view])[0] for row, view in pairs])
        layer = self.network.layers[cut_point(self.network.layers, self.freeze) - 1].name
        if self.alive:
            self.network.train(training)
        with torch.no_grad():
            shown = self.network.preprocess(turned.to(self.network.device))
            return self.network.activations(shown, [layer])[layer].to(self.dtype).float()


@dataclass(frozen=True, slots=True)
class DrawnActivations:
    """Unrotated views from the cache, rotated ones as they are drawn: where few of many views are shown."""

    still: CachedActivations  # of the unrotated views
    turned: LiveActivations  # computes the rotated ones

    def batch(self, rows: Tensor, views: Tensor, *, training: bool = False) -> Tensor:
        """See :class:`Activations`."""
        return (self.turned if views.any() else self.still).batch(rows, views)


class Kept(NamedTuple):
    """A set of activations worth keeping."""

    freeze: int  # 0 to 144
    angles: tuple[float, ...]  # in degrees, 0 first; none where everything is computed as it is drawn
    precision: str = "fp32"  # or "bf16"


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
    """Room that a set of activations takes, bytes."""
    table = layer_table(architecture(inputs.variant), inputs.open_images().shape[-1])
    at_cut = table.iloc[cut_point(architecture(inputs.variant), kept.freeze) - 1]
    values = len(inputs.labels) * len(kept.angles) * int(at_cut["channels"]) * int(at_cut["size"]) ** 2
    return values * DTYPES[kept.precision].itemsize


def prepare_activations(inputs: WorkerInputs, trials: Iterable[FineTuningTrial]) -> dict[Kept, Kept]:
    """Compute what trials are fed with, on all cores, before the workers ask for it one by one.

    The cache stays within its limit: the smallest sets are kept first; of a set without room only the
    unrotated views are kept, or nothing, and the rest is computed as it is drawn, which gives the same
    results later, up to rounding. Files that no trial here needs make way, those first that were not used for
    longest. Trials that leave batch normalisation alive need nothing.

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
    mine = {_of_kept(activations_file, inputs, kept).stem for kept in needed}
    others = [file for file in inputs.cache.glob("activations-*.npy") if Path(file.stem).stem not in mine]
    room = inputs.cache_limit - sum(size_in_bytes(inputs, kept) for kept in needed)
    for file in sorted(others, key=lambda file: file.stat().st_mtime, reverse=True):
        room -= file.stat().st_size
        if room < 0:
            file.unlink(missing_ok=True)  # whoever has it open keeps it until they are done


def _of_kept(function: Callable[..., Any], inputs: WorkerInputs, kept: Kept, **more: Any) -> Any:
    """Call ``cached_activations``, or ``activations_file``, for a set of activations."""
    options = {"views": kept.angles, "cache": inputs.cache, "dtype": DTYPES[kept.precision]} | more
    return function(inputs.network(), kept.freeze, inputs.open_images(), device=inputs.device, **options)


def activations_for(
    inputs: WorkerInputs, network: GoogLeNet, trial: FineTuningTrial, kept: Kept | None = None
) -> Activations:
    """What a trial's network is fed with.

    Args:
        inputs: images and cache folder.
        network: the network before training.
        trial: its freeze depth, views, precision of activations and batch normalisation matter.
        kept: what is kept of the activations; None takes what is wanted.

    Raises:
        InputError: if the trial leaves batch normalisation alive and there is none.
    """
    images = inputs.open_images()
    if trial.batchnorm == "alive":
        return LiveActivations(inputs.alive_network(), trial.freeze, images, trial.angles, alive=True)
    kept = kept or wanted(inputs, trial)
    live = LiveActivations(network, trial.freeze, images, trial.angles, DTYPES[trial.activations])
    if not kept.angles:
        return live
    cached = CachedActivations(open_activations(inputs, kept), inputs.device)
    return cached if kept.angles == trial.angles else DrawnActivations(cached, live)


def open_activations(inputs: WorkerInputs, kept: Kept) -> Tensor:
    """The activations behind the frozen layers, N x V x C x H x W, computed if the cache lacks them.

    V is the number of ``kept``'s angles. A process keeps the last few open, since opening them means hashing
    what they were computed from. On a GPU they are on the device as far as they fit.
    """
    key = (inputs.cache, inputs.weights, inputs.images, inputs.device, kept)
    with _OPENING:
        if key not in _OPEN:
            while len(_OPEN) >= _OPEN_AT_MOST:
                _OPEN.pop(next(iter(_OPEN)))
            chunks = Chunks(32 if inputs.device == "cpu" else 256, "activations")
            values = chunks.run(lambda size: _of_kept(cached_activations, inputs, kept, batch=size))
            _OPEN[key] = resident(values, inputs.device)
        return _OPEN[key]
