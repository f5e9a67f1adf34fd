"""The SVM study (paper, section 2.5): every layer, every fold and the whole path of C."""

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hep2lib.cnn.googlenet import FREEZE_DEPTHS, GoogLeNet, architecture
from hep2lib.cnn.layers import Kind
from hep2lib.data.folds import Fold
from hep2lib.files import find_kept, kept_file
from hep2lib.processes import single_thread
from hep2lib.sources import code_digest
from hep2lib.studies.execution import device_name, executor_for, run_trials
from hep2lib.studies.gram import SVMError, gram_matrices
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.outcomes import SVMOutcome
from hep2lib.studies.svm import PAPER_GRID, PathScores, early_stopped_path, svm_path
from hep2lib.studies.trial import Record, SVMTrial, SVMVariant, TrialStore, trial_fields, trial_id


def _single_tensor_layers() -> tuple[str, ...]:
    layers = architecture()
    names: list[str] = []
    live: set[str] = set()
    for layer in layers:
        if layer.kind == Kind.DROPOUT:
            break
        later = {name for other in layers[layer.index :] for name in other.inputs}
        live = {name for name in live if name in later} | {layer.name}
        if len(live) == 1:
            names.append(layer.name)
    return tuple(names)


SINGLE_TENSOR = _single_tensor_layers()
"""Layers behind which a single tensor flows: the stem's, the pools, every inception block's output."""

BLOCKS = tuple(
    name for name in SINGLE_TENSOR if name.startswith(("pool2", "pool5")) or name.endswith("output")
)
"""The fewest of them that show every depth: the stem's end, every inception block's output, the last pool."""

DIGITS = 10  # of a margin on record
WORTH_A_PROCESS = 12.0  # seconds of work below which starting processes takes longer


def svm_study(
    inputs: StudyInputs,
    store: TrialStore,
    layers: Sequence[str] = SINGLE_TENSOR,
    values: Sequence[float] = PAPER_GRID,
    variant: SVMVariant | None = None,
    *,
    networks: Sequence[GoogLeNet] | None = None,
    frozen: int | None = None,
) -> SVMOutcome:
    """Fit the whole path of C on every layer and fold.

    Args:
        inputs: images, labels, folds and the network whose activations are the features.
        store: where records are kept; what it has is not computed again.
        layers: MATLAB's names of layers.
        values: the grid, all greater than 0: C, or lambda, as ``variant`` reads it.
        variant: how the study differs from the paper's; None: not at all.
        networks: one a fold, fine-tuned on that fold's training images, whose activations are the features
            instead.
        frozen: the freeze depth they were tuned behind: the layers up to it are computed once for all.

    Returns:
        All records, with what was chosen on validation images.

    Raises:
        SVMError: if an activation is not finite, a value is not positive, or a fold's training part has one
            class.
        StoreError: if a record cannot be read or written.
        ClusterError: if the cluster that ``inputs`` name cannot be used.
    """
    variant = variant or SVMVariant()
    options = asdict(variant) | {"features": "start" if networks is None else "fine-tuned"}
    chosen = [inputs.network] * len(inputs.folds) if networks is None else list(networks)
    sources = {id(network): _Features(inputs, network, variant, frozen) for network in chosen}
    code = code_digest("hep2lib.studies.svm_study.fit_path", "hep2lib.studies.gram.gram_matrices")
    device = device_name(inputs.device)
    jobs: dict[str, tuple[Callable[..., Record], tuple[Any, ...]]] = {}
    wanted: dict[str, tuple[_Features, str]] = {}
    for layer, (number, fold) in product(dict.fromkeys(layers), enumerate(inputs.folds)):
        trial = SVMTrial(layer=layer, fold=number, values=tuple(values), **options)
        source = sources[id(chosen[number])]
        context = inputs.context | {"features": source.digest(layer), "code": code}
        del context["network"]  # a layer's features do not depend on the layers behind it
        name = trial_id(trial, context)
        jobs[name] = (fit_path, (source.file(layer), inputs.labels, fold, trial, context, device))
        wanted[name] = (source, layer)
    missing = store.missing(jobs)
    for source in sources.values():
        source.prepare([wanted[name][1] for name in missing if wanted[name][0] is source])
    # A path takes one core about 0.02 s for 200 images and 0.3 s for 2,000.
    seconds = len(missing) * (0.02 + 0.3 * (len(inputs.labels) * variant.rotations / 2000) ** 2)
    records = run_trials(
        jobs, store, partial(_executor, inputs, seconds), description="SVM", summary=_summary
    )
    return SVMOutcome(records, inputs.labels, inputs.folds)


def _summary(record: Record) -> str:
    return f"{record['trial']['layer']}, fold {record['trial']['fold'] + 1}"


def _executor(inputs: StudyInputs, seconds: float) -> AbstractContextManager[Executor]:
    """Where paths are fitted: a cluster, or this machine's cores; one, where it is done before others start.

    A GPU has no part in it: the matrices are small, and one step follows from the other.
    """
    if inputs.scheduler or inputs.local_cluster:
        return inputs.executor()
    return executor_for(1 if seconds < WORTH_A_PROCESS and not inputs.workers else inputs.workers)


def fit_path(
    gram: Path,
    labels: NDArray,
    fold: Fold,
    trial: SVMTrial,
    context: dict[str, str],
    device: str = "cpu",
) -> Record:
    """Run one trial: the path of C on one layer and fold.

    Args:
        gram: file of the layer's Gram matrix, float64, but for its checksum; row v N + i is image i in
            view v.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        trial: layer, fold, grid and options.
        context: digests that belong to the trial's name.
        device: name of what the matrix was computed on.

    Returns:
        The record: ``id``, ``trial``, ``context``, ``device``, ``validation`` and ``test`` (margins by value
        of the grid and image), ``gap`` (the largest relative duality gap; None of an early-stopped solver)
        and ``seconds``.

    Raises:
        SVMError: if the file is not to be seen or not readable, a value is not positive and finite, or the
            training images have one class.
    """
    start = time.perf_counter()
    matrix = _opened(gram)
    solve = svm_path if trial.solver == "exact" else early_stopped_path

    def fitted(train: NDArray) -> PathScores:
        views = np.concatenate([view * len(labels) + train for view in range(trial.rotations)])
        learned = Fold(views, fold.validation, fold.test)
        return solve(matrix, np.tile(labels, trial.rotations), learned, trial.values, trial.regularisation)

    with single_thread():
        scores = fitted(fold.train)
        test, gap = scores.test, scores.gap
        if trial.refitted:
            again = fitted(np.sort(np.concatenate([fold.train, fold.validation])))
            test, gap = again.test, max(gap, again.gap)
    return {
        "id": trial_id(trial, context),
        "trial": trial_fields(trial),
        "context": context,
        "device": device,
        "validation": _rounded(scores.validation),
        "test": _rounded(test),
        "gap": gap if trial.solver == "exact" else None,
        "seconds": round(time.perf_counter() - start, 4),
    }


def _opened(gram: Path) -> NDArray[np.float64]:
    """A Gram matrix, memory-mapped."""
    file = find_kept(gram)
    if file is None:
        raise SVMError(f"{gram}: not to be seen from here; give the study a folder that every worker sees")
    return np.load(file, mmap_mode="r")


def _write(gram: NDArray[np.float64], file: Path) -> None:
    with file.open("wb") as stream:  # NumPy would give another ending to a name
        np.save(stream, gram)


def _rounded(margins: list[list[float]]) -> list[list[float]]:
    return [[float(f"{margin:.{DIGITS}g}") for margin in row] for row in margins]


class _Features:
    """One network's Gram matrices as files in the cache."""

    def __init__(
        self, inputs: StudyInputs, network: GoogLeNet, variant: SVMVariant, frozen: int | None
    ) -> None:
        self.inputs = inputs
        self.frozen = frozen
        self.network = network
        self.pooled = variant.pooled
        self.views = tuple(360.0 * view / variant.rotations for view in range(variant.rotations))
        self.parameters = {
            name: hashlib.sha256(
                b"|".join(p.detach().cpu().contiguous().numpy().tobytes() for p in module.parameters())
            ).hexdigest()
            for name, module in network.learnable.items()
        }
        self.steps = {layer.name: layer for layer in network.layers}

    def digest(self, layer: str) -> str:
        """Of what a layer's activations follow from: its own parameters, and those of layers before it."""
        needed: set[str] = set()
        names = [layer]
        while names:
            name = names.pop()
            if name in self.steps and name not in needed:
                needed.add(name)
                names.extend(self.steps[name].inputs)
        parameters = [(name, self.parameters[name]) for name in sorted(needed & set(self.parameters))]
        context = self.inputs.context
        parts = [context[part] for part in ("images", "preprocessing", "variant")]
        return hashlib.sha256(repr((layer, parameters, parts, self.views, self.pooled)).encode()).hexdigest()

    def file(self, layer: str) -> Path:
        code = code_digest("hep2lib.studies.gram.gram_matrices")
        return self.inputs.cache / f"gram-{layer}-{self.digest(layer)[:24]}-{code}.npy"

    def prepare(self, layers: Sequence[str]) -> None:
        """Compute the matrices that the cache lacks, each kept as soon as it is there."""
        missing = [layer for layer in dict.fromkeys(layers) if not find_kept(self.file(layer))]
        depth = self.frozen or self._stem()
        kept = 0 if depth is None else len(self.network.prefix(depth).layers)
        # A layer that there is not is early too: ``gram_matrices`` names it.
        early = [name for name in missing if name not in self.steps or self.steps[name].index <= kept]
        late = [layer for layer in missing if layer not in early]
        inputs = self.inputs
        options: dict[str, Any] = {"views": self.views, "pooled": self.pooled, "cache": inputs.cache}
        for part, frozen in ((early, None), (late, depth)):
            if not part:
                continue
            grams = gram_matrices(
                self.network, inputs.images, part, frozen=frozen, device=inputs.device, **options
            )
            for layer, gram in grams:
                kept_file(self.file(layer), partial(_write, gram))

    def _stem(self) -> int | None:
        """The paper's first freeze depth, if its activations are worth keeping and there is room for them.

        They are what the fine-tuning study keeps, and every group of later layers starts from them. Rotated
        copies pass through the network once or twice only.
        """
        images, _, height, width = self.inputs.images.shape
        size = 4 * images * 192 * height * width // 64  # 192 channels on an eighth of the sides
        room = not self.inputs.cache_limit or size <= self.inputs.cache_limit
        return min(FREEZE_DEPTHS) if len(self.views) == 1 and room else None
