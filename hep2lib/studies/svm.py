"""The SVM study (paper, section 2.5): linear SVMs on a layer's activations, exactly, by their Gram matrix."""

import hashlib
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hep2lib.cnn.googlenet import LAYERS, GoogLeNet
from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.progress import progress
from hep2lib.studies.execution import InProcessExecutor, run_trials
from hep2lib.studies.hinge import TOLERANCE, Machine, fit_hinge
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.outcome import SVMOutcome
from hep2lib.studies.store import Record, TrialStore
from hep2lib.studies.trial import SVMTrial, trial_fields, trial_id

PAPER_GRID: tuple[float, ...] = tuple(float(value) for value in 10.0 ** np.linspace(-6, 2.5, 20))
"""The paper's 20 values; its best, 5.1348, is the 16th."""

LAYERS_TAKEN: tuple[str, ...] = tuple(
    name for name in LAYERS if name.startswith(("pool2", "pool5-7x7")) or name.endswith("-output")
)
"""Where a single tensor flows: the end of the stem, every inception block's output, the pooled last one."""


class SVMError(InputError):
    """Features or values of C that no SVM can be fitted with."""


def gram_matrix(features: Tensor | NDArray, chunk: int = 16384) -> NDArray[np.float64]:
    """Inner products of all pairs of rows, summed in double precision.

    A linear SVM depends on its features through these alone (representer theorem; Hastie, Tibshirani and
    Friedman, The Elements of Statistical Learning, 2nd ed., section 18.3.5): with n images and d features,
    n x n numbers say all that n x d do.

    Args:
        features: n x d, any floating type; may be memory-mapped.
        chunk: features at a time, so that only n x chunk numbers are held in double precision.

    Returns:
        float64, n x n.

    Raises:
        SVMError: if a feature is not finite.
    """
    features = torch.as_tensor(features).flatten(1)
    gram = torch.zeros(len(features), len(features), dtype=torch.float64)
    for start in range(0, features.shape[1], chunk):
        part = features[:, start : start + chunk].to(torch.float64)
        gram.addmm_(part, part.T)
    damaged = ~torch.isfinite(gram.diagonal())  # of a damaged row the whole row and column are
    if damaged.any():
        row = int(damaged.nonzero()[0])
        raise SVMError(f"features of image {row} are not finite: the network's weights may be damaged")
    return gram.numpy()


def fit_svm(gram_train: NDArray[np.float64], y: ArrayLike, C: float) -> Machine:
    """Fit a soft-margin SVM with hinge loss and a free bias, given the training images' Gram matrix.

    Minimises 1/2 |b|^2 + C sum_i max(0, 1 - y_i (x_i b + b0)), which is fitclinear's objective with
    C = 1 / (n lambda).

    Args:
        gram_train: float64, n x n; centred, where features share a large offset (``centred``).
        y: n labels, 0 or 1.
        C: weight of the losses, greater than 0.

    Returns:
        The machine; its ``decision_function`` takes inner products with the training images.

    Raises:
        SVMError: if there is one class only, or C is not positive.
    """
    labels = np.asarray(y)
    if len(np.unique(labels)) < 2:
        raise SVMError("an SVM needs images of both classes to learn from; these have one")
    if not C > 0:
        raise SVMError(f"C = {C}: it must be greater than 0")
    return fit_hinge(gram_train, np.where(labels == 1, 1.0, -1.0), C)


def centred(gram: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Gram matrix after the training images' mean is taken off all features, rows x training images.

    With a free bias this changes no score; without it, features that share a large offset lose their
    differences in libsvm's single precision.

    Args:
        gram: float64, N x N.
        train: row numbers of the training images.

    Returns:
        float64, N x n.
    """
    with_train = gram[:, train]
    inner = with_train[train]
    return (
        with_train - with_train.mean(axis=1, keepdims=True) - inner.mean(axis=0, keepdims=True) + inner.mean()
    )


def svm_path(
    gram: NDArray[np.float64],
    labels: NDArray,
    fold: Fold,
    values: Sequence[float] = PAPER_GRID,
    reading: str = "C",
) -> tuple[list[list[float]], list[list[float]]]:
    """Scores of a fold's validation and test images along the grid.

    Args:
        gram: float64, N x N, of all images.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        values: the grid.
        reading: whether the values are "C" or fitclinear's "lambda" (C = 1 / (n lambda)).

    Returns:
        Margins, one list a value: of the validation images, and of the test images, in the fold's order.
    """
    kernel = centred(gram, fold.train)
    scale = max(float(np.abs(np.diag(kernel[fold.train])).mean()), np.finfo(float).tiny)
    validation: list[list[float]] = []
    test: list[list[float]] = []
    for value in values:
        C = value if reading == "C" else 1.0 / (len(fold.train) * value)
        # (K / s, s C) has the solution of (K, C): it keeps single precision away from its limits.
        machine = fit_svm(kernel[fold.train] / scale, labels[fold.train], C * scale)
        for part, scores in ((fold.validation, validation), (fold.test, test)):
            scores.append(machine.decision_function(kernel[part] / scale).tolist())
    return validation, test


def gram_matrices(
    network: GoogLeNet,
    images: Tensor,
    layers: Sequence[str],
    scratch: Path,
    *,
    device: str = "cpu",
    batch: int = 32,
) -> dict[str, NDArray[np.float64]]:
    """Gram matrices of several layers' activations, from one pass of the images through the network.

    Args:
        network: in the state whose activations are the features.
        images: uint8, N x 3 x H x W.
        layers: MATLAB's names.
        scratch: folder for the activations in single precision, which are deleted before returning.
        device: where the network computes.
        batch: images at a time.

    Returns:
        float64, N x N, for each layer.
    """
    network.eval()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="features-") as folder:
        features: dict[str, np.memmap] = {}
        for rows in progress(
            torch.arange(len(images)).split(batch), "activations of all layers", unit="batch"
        ):
            with torch.no_grad():
                values = network.activations(network.preprocess(images[rows]).to(device), layers)
            for number, (layer, value) in enumerate(values.items()):
                if layer not in features:
                    shape = (len(images), value[0].numel())
                    features[layer] = np.memmap(Path(folder) / str(number), np.float32, "w+", shape=shape)
                features[layer][rows] = value.flatten(1).cpu().numpy()
        grams = {}
        for layer in progress(layers, "Gram matrices", unit="layer"):
            grams[layer] = gram_matrix(torch.from_numpy(features[layer]))
            del features[layer]
    return grams


def svm_study(
    inputs: StudyInputs,
    store: TrialStore,
    layers: Sequence[str] = LAYERS_TAKEN,
    values: Sequence[float] = PAPER_GRID,
    *,
    reading: str = "C",
) -> SVMOutcome:
    """Fit the whole path of C on every layer and fold.

    Args:
        inputs: images, labels, folds and the network whose activations are the features.
        store: where records are kept; what it has is not computed again.
        layers: MATLAB's names of layers.
        values: the grid, ascending.
        reading: whether the values are "C" or "lambda".

    Returns:
        All records, with what was chosen on validation images.
    """
    trials = [
        SVMTrial(layer=layer, fold=fold, values=tuple(values), reading=reading)  # type: ignore[arg-type]
        for layer in layers
        for fold in range(len(inputs.folds))
    ]
    context = {**inputs.context, "tolerance": str(TOLERANCE)}
    named = {trial_id(trial, context): trial for trial in trials}
    wanted = tuple(dict.fromkeys(named[name].layer for name in store.missing(named)))
    grams = _kept_grams(inputs, wanted)
    jobs = {
        name: (fit_path, (grams.get(trial.layer), inputs.labels, inputs.folds[trial.fold], trial, context))
        for name, trial in named.items()
    }
    records = run_trials(
        jobs, store, partial(_in_process), description="SVM", summary=lambda record: record["trial"]["layer"]
    )
    return SVMOutcome(records, inputs.labels, inputs.folds)


def _in_process() -> InProcessExecutor:
    return InProcessExecutor()


def _kept_grams(inputs: StudyInputs, layers: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Gram matrices from the cache, those that it lacks computed in one pass and kept there."""
    parts = "|".join(inputs.context[part] for part in ("images", "network", "preprocessing", "variant"))
    digest = hashlib.sha256(parts.encode()).hexdigest()[:16]
    files = {layer: inputs.cache / f"gram-{layer}-{digest}.npy" for layer in layers}
    missing = [layer for layer in layers if not files[layer].is_file()]
    grams = (
        gram_matrices(inputs.network, inputs.images, missing, inputs.cache, device=inputs.device)
        if missing
        else {}
    )
    for layer, gram in grams.items():
        with tempfile.NamedTemporaryFile(dir=inputs.cache, delete=False) as stream:
            np.save(stream, gram)
        Path(stream.name).replace(files[layer])
    return {layer: grams[layer] if layer in grams else np.load(files[layer]) for layer in layers}


def fit_path(
    gram: NDArray[np.float64], labels: NDArray, fold: Fold, trial: SVMTrial, context: dict[str, str]
) -> Record:
    """Run one trial: the path of C on one layer and fold.

    Args:
        gram: float64, N x N, of the layer's activations.
        labels: N; 1 is positive.
        fold: rows of the three parts.
        trial: layer, fold and grid.
        context: digests that belong to the trial's name.

    Returns:
        The record: ``id``, ``trial``, ``context``, ``validation`` and ``test`` (margins by value of the grid
        and image), ``seconds``.
    """
    start = time.perf_counter()
    validation, test = svm_path(gram, labels, fold, trial.values, trial.reading)
    return {
        "id": trial_id(trial, context),
        "trial": trial_fields(trial),
        "context": context,
        "validation": validation,
        "test": test,
        "seconds": round(time.perf_counter() - start, 3),
    }
