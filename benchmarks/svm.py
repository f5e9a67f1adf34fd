"""The whole path of C on every fold, by the Gram matrix and directly on the features, on the same numbers.

    python benchmarks/svm.py [--images 2080] [--features 200704] [--folds 5] [--share 0.1] [--passes 1000]

Each way runs in a process of its own, so that its peak memory is its own, and reads the same file of float32
features: non-negative and sparse, as a rectifier leaves them, with a weak signal of the label.

"ours" is ``hep2lib.studies.svm``: the Gram matrix in double precision, then 20 values of C on each fold, with
the scores of its validation and test images. "SVC" is scikit-learn's ``SVC(kernel="linear")``, "LinearSVC"
its ``LinearSVC(loss="hinge")``, with their default tolerances, on the features themselves. They are measured
on a part and scaled: each fits the paper's value of C alone, on the first fold's training images, with a
share of the features (the work of both is proportional to their number), and the time is divided by the share
and multiplied by values and folds. LinearSVC stops after ``--passes`` passes over the images (its default),
done or not; it penalises the bias, so its objective stays above. Their peak memory is that of all features,
with a single iteration.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SCALE = 1e-3  # of the features, which brings the paper's C to where classes are not yet separated


def main() -> None:
    options = _options()
    # libsvm asks BLAS for one inner product at a time: more threads only wait for each other.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = Path(folder) / "features.npy"
        labels = write_features(file, options.images, options.features)
        print(
            f"{options.images} images, {options.features} features ({file.stat().st_size / 1e9:.2f} GB), "
            f"{options.folds} folds, 20 values of C, {os.cpu_count()} cores",
            flush=True,
        )
        ours = in_process(by_gram, file, labels, options)
        print(
            f"ours: {ours['seconds']:.1f} s for all (matrix {ours['gram']:.1f} s), peak memory "
            f"{ours['peak']:.1f} GiB, largest relative duality gap {ours['gap']:.0e}",
            flush=True,
        )
        for name in ("SVC", "LinearSVC"):
            part = in_process(direct, name, file, labels, options, options.share, None)
            whole = in_process(direct, name, file, labels, options, 1.0, 1)
            fits = 20 * options.folds
            scaled = part["seconds"] / options.share * fits
            print(
                f"{name}: one fit on {options.share:.0%} of the features {part['seconds']:.1f} s"
                f"{part['note']}; scaled to {fits} fits on all {scaled / 3600:.1f} h, "
                f"{scaled / ours['seconds']:.0f} times as long; peak memory {whole['peak']:.1f} GiB; "
                f"objective of that fit {part['objective'] / ours['objective']:.5f} times ours",
                flush=True,
            )


def write_features(file: Path, images: int, features: int) -> np.ndarray:
    """Write float32 features, a chunk of images at a time, and return the labels."""
    draw = np.random.default_rng(0)
    labels = draw.permutation(np.arange(images) % 7 < 5).astype(np.int64)  # 71 % positive, as AIDA
    common, signal = draw.normal(size=(2, features)).astype(np.float32)
    values = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(images, features))
    for start in range(0, images, 64):
        rows = slice(start, min(start + 64, images))
        noise = draw.standard_normal((rows.stop - start, features), dtype=np.float32)
        values[rows] = np.maximum(0, noise + common + 0.02 * signal * (2 * labels[rows, None] - 1)) * SCALE
    values.flush()
    return labels


def folds_of(labels: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Training, validation and test rows: 64, 16 and 20 %."""
    parts = np.array_split(np.random.default_rng(1).permutation(len(labels)), 5)
    found = []
    for number in range(count):
        rest = np.concatenate([part for place, part in enumerate(parts) if place != number % 5])
        cut = len(rest) * 4 // 5
        found.append((np.sort(rest[:cut]), np.sort(rest[cut:]), np.sort(parts[number % 5])))
    return found


def in_process(way: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """What a way finds in a fresh process, with that process's peak memory in GiB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found, peak = pool.apply(_with_peak, (way, arguments))
    return found | {"peak": peak}


def _with_peak(way: Callable[..., dict[str, Any]], arguments: tuple[object, ...]) -> tuple[dict, float]:
    return way(*arguments), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def by_gram(file: Path, labels: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """The whole search, and the objective of the fit that the other ways are asked for."""
    from hep2lib.data.folds import Fold
    from hep2lib.processes import single_thread
    from hep2lib.studies.gram import gram_matrix
    from hep2lib.studies.svm import PAPER_GRID, centred, fit_svm, svm_path

    features = np.load(file, mmap_mode="c")
    start = time.perf_counter()
    gram = gram_matrix(features)
    given = time.perf_counter() - start
    folds = [Fold(*parts) for parts in folds_of(labels, options.folds)]
    with single_thread():
        gap = max(svm_path(gram, labels, fold).gap for fold in folds)
    seconds = time.perf_counter() - start
    train = folds[0].train
    part = gram_matrix(features[train, : round(options.features * options.share)])
    machine = fit_svm(centred(part, np.arange(len(train))), labels[train], PAPER_GRID[15])
    return {"seconds": seconds, "gram": given, "gap": gap, "objective": machine.objective}


def direct(
    name: str, file: Path, labels: np.ndarray, options: argparse.Namespace, share: float, steps: int | None
) -> dict[str, Any]:
    """One fit by scikit-learn on a share of the features, ended after some steps (None: when it is done)."""
    from sklearn.svm import SVC, LinearSVC

    from hep2lib.studies.svm import PAPER_GRID

    C = PAPER_GRID[15]
    machine: Any = (
        SVC(kernel="linear", C=C, cache_size=1000, max_iter=steps or -1)
        if name == "SVC"
        else LinearSVC(loss="hinge", C=C, max_iter=steps or options.passes)
    )
    train, validation, test = folds_of(labels, 1)[0]
    features = np.load(file, mmap_mode="r")[:, : round(options.features * share)]
    x = features[train]
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        machine.fit(x, labels[train])
    if steps is None:
        for rows in (validation, test):
            machine.decision_function(features[rows])
    seconds = time.perf_counter() - start
    scores = machine.decision_function(x) if steps is None else np.zeros(len(train))
    losses = np.maximum(0, 1 - (2 * labels[train] - 1) * scores).sum()
    note = " (stopped before it was done)" if any("converge" in str(w.message) for w in caught) else ""
    objective = 0.5 * float((np.asarray(machine.coef_, dtype=np.float64) ** 2).sum()) + C * float(losses)
    return {"seconds": seconds, "objective": objective, "note": note}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=2080)
    parser.add_argument("--features", type=int, default=200704)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.1, help="of the features, for the direct ways")
    parser.add_argument("--passes", type=int, default=1000, help="at most, for LinearSVC")
    parser.add_argument("--folder", help="where the features are written (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
