"""How hard the simulated database is, over several seeds; what its data card quotes.

    python benchmarks/difficulty.py              print the figures: about half a minute a seed on 2 cores
    python benchmarks/difficulty.py --write      and keep them in book/simulator-difficulty.json

Ends with code 1 if brightness alone does not reach an AUC between 0.85 and 0.95 on average, or if nearest
neighbours, which keep every image, do not look better under folds by image than by specimen for every seed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from hep2lib.evaluation.leak import FIGURES, measure_difficulty
from hep2lib.evaluation.scores import spread
from hep2lib.runs.paper import write_difficulty


def main() -> int:
    """Measure, print, perhaps keep, and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many (default: %(default)s)")
    parser.add_argument("--specimens", type=int, default=100, help="of each database (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="keep the figures for the data card")
    options = parser.parse_args()
    measured = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            measured.append(measure_difficulty(Path(folder) / "database", seed, options.specimens))
        print(f"seed {seed}: brightness alone reaches an AUC of {measured[-1]['intensity']:.3f}", flush=True)
    print(f"{'':68}   mean  lowest  highest")
    found = {name: spread([figures[name] for figures in measured]) for name in FIGURES}
    for name, meaning in FIGURES.items():
        print(f"{meaning:68}{found[name].mean:7.3f}{found[name].lowest:8.3f}{found[name].highest:9.3f}")
    if options.write:
        write_difficulty(measured, options.specimens)
    leak = found["nearest neighbours, leak"].lowest
    return 0 if 0.85 <= found["intensity"].mean <= 0.95 and leak > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
