"""The SVM study of a run from its images to its choice: seconds of each part, and peak memory.

    python benchmarks/svm_study.py [--profile quick] [--layers all] [--out RUN]
    python benchmarks/svm_study.py --profile paper --layers single-tensor --out RUN

The first measures all 144 layers on 208 images, the second the 23 at which a single tensor flows on 2,080.
Images, folds and weights are made first if the run has none, and are not part of the time; activations, Gram
matrices and all machines are, computed anew in a temporary folder whatever the run has already.
"""

import argparse
import os
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from hep2lib.runs.run import open_run
from hep2lib.studies.svm_study import svm_study
from hep2lib.studies.trial import TrialStore


def main() -> None:
    options = _options()
    run = open_run(options.out, options.profile, svm_layers=options.layers)
    inputs = run.inputs
    print(f"{len(inputs.labels)} images, {len(run.parameters.svm_layers)} layers, {len(inputs.folds)} folds, "
          f"{run.parameters.svm_values} values, {os.cpu_count()} cores", flush=True)  # fmt: skip
    _ = inputs.context  # digests of the images, which every study of the run shares
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        fresh = replace(inputs, cache=Path(folder) / "cache")
        start = time.perf_counter()
        outcome = svm_study(
            fresh, TrialStore(Path(folder) / "trials"), run.parameters.svm_layers, run.parameters.svm_grid
        )
        best = outcome.best()
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in fresh.cache.iterdir()) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{outcome.fits} machines in {seconds:.1f} s, {outcome.seconds:.1f} s of one core for fitting; "
        f"largest relative duality gap {outcome.gap:.0e}; best {best.layer}, C = {best.value:.4g}; "
        f"peak memory {peak:.1f} GiB, matrices on disk {size:.2f} GiB"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--layers", default="all", choices=("all", "single-tensor"))
    parser.add_argument("--out", default="", help="the run's folder (default: as `hep2 run` chooses it)")
    parser.add_argument("--folder", help="for the temporary folder (default: the system's)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
