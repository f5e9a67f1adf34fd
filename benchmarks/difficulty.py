"""How hard the simulated database is, over several seeds; what its data card quotes.

    python benchmarks/difficulty.py              print the figures: about half a minute a seed on 2 cores
    python benchmarks/difficulty.py --write      and keep them in book/simulator-difficulty.json

The simulator's parameters were chosen so that classifiers without a network find its fields as hard as real
ones: logistic regression on hand-made features reaches an accuracy between 0.83 and 0.88 (on real fields:
0.855, Benammar 2016; 0.857, Di Cataldo 2016), brightness alone an AUC between 0.80 and 0.92, and what
the files say of themselves nothing. Ends with code 1 if a mean over the seeds is outside of that, or if
nearest neighbours, which keep every image, do not look better under folds by image than by specimen.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from hep2lib.evaluation.leak import FIGURES, TARGETS, measure_difficulty
from hep2lib.evaluation.scores import spread
from hep2lib.runs.paper import write_difficulty


def main() -> int:
    """Measure, print, perhaps keep, and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--specimens", type=int, default=100, help="of each database (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="keep the figures for the data card")
    options = parser.parse_args()
    if options.write and options.first:
        parser.error("--write keeps the seeds from 0 on: leave --first out")
    measured = []
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            measured.append(measure_difficulty(Path(folder) / "database", seed, options.specimens))
        shown = ", ".join(f"{name} {measured[-1][name]:.3f}" for name in TARGETS)
        print(f"seed {seed}: {shown}", flush=True)
    print(f"{'':80}   mean  lowest  highest")
    found = {name: spread([figures[name] for figures in measured]) for name in FIGURES}
    for name, meaning in FIGURES.items():
        print(f"{meaning:80}{found[name].mean:7.3f}{found[name].lowest:8.3f}{found[name].highest:9.3f}")
    if options.write:
        write_difficulty(measured, options.specimens)
    reached = all(low <= found[name].mean <= high for name, (low, high) in TARGETS.items())
    return 0 if reached and found["nearest neighbours, leak"].mean > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
