"""Intervals and tests beside what one would write instead, on scores of AIDA's size.

    python benchmarks/intervals.py

Each line is the same figure twice, which is checked; ends with code 1 if two differ.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from hep2lib.evaluation.auc import auc_interval, fold_sums
from hep2lib.evaluation.bootstrap import bootstrap_interval, weighted_auc
from hep2lib.evaluation.evidence import ClusteredDesign, simulate_coverage

DESIGN = ClusteredDesign(specimens=1000, images_per_specimen=(1, 2, 3, 2, 2, 2, 3, 2, 2, 2), positive=0.72)
Y, SPECIMEN = DESIGN.labels()
SCORE = DESIGN.scores(1, np.random.default_rng(0))[0]


def delong() -> float:
    return float(fold_sums(Y, SCORE, None)[0].variances()[0])


def direct_delong() -> float:
    """DeLong's variance as defined, over all pairs."""
    positive, negative = SCORE[Y == 1][:, None], SCORE[Y == 0][None]
    kernel = (positive > negative) + 0.5 * (positive == negative)
    above, below = kernel.mean(axis=1), kernel.mean(axis=0)
    return float(np.var(above, ddof=1) / above.size + np.var(below, ddof=1) / below.size)


def drawn_one_by_one(repetitions: int) -> float:
    """Standard error of the AUC over drawn specimens, a call of scikit-learn a drawing."""
    draw = np.random.default_rng(1)
    kinds = [np.unique(SPECIMEN[label == Y]) for label in (1, 0)]
    rows = [np.flatnonzero(one == SPECIMEN) for one in range(DESIGN.specimens)]
    values = []
    for _ in range(repetitions):
        drawn = np.concatenate([draw.choice(kind, kind.size) for kind in kinds])
        inside = np.concatenate([rows[one] for one in drawn])
        values.append(roc_auc_score(Y[inside], SCORE[inside]))
    return float(np.std(values, ddof=1))


def drawn_at_once(repetitions: int) -> float:
    """The same, as rows of weights."""
    found = bootstrap_interval(
        weighted_auc, Y, SCORE, SPECIMEN, generator=np.random.default_rng(1), repetitions=repetitions
    )
    return found.standard_error


SMALL = ClusteredDesign(specimens=100)


def covered_one_by_one() -> float:
    """Coverage of specimen-aware intervals, a call a data set."""
    y, specimen = SMALL.labels()
    made = SMALL.scores(1000, np.random.default_rng(0))
    found = [auc_interval(y, row, specimen) for row in made]
    return float(np.mean([one.low <= SMALL.area <= one.high for one in found]))


def covered_at_once() -> float:
    """The same for all data sets at once (and two other kinds of interval with it)."""
    return simulate_coverage(SMALL)["specimens"]


def timed(function: Callable[[], float]) -> tuple[float, float]:
    """The best of three times, in seconds, and the figure."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        value = function()
        times.append(time.perf_counter() - start)
    return min(times), value


def main() -> int:
    """Time both forms of each figure and compare them."""
    lines: list[tuple[str, Callable[[], float], Callable[[], float], float]] = [
        ("DeLong's variance, midranks / all pairs", delong, direct_delong, 1e-12),
        (
            "1,000 drawings of specimens, weights / scikit-learn",
            lambda: drawn_at_once(1000),
            lambda: drawn_one_by_one(1000),
            0.1,
        ),
        ("coverage over 1,000 data sets, at once / one by one", covered_at_once, covered_one_by_one, 1e-9),
    ]
    agree = True
    for name, ours, theirs, tolerance in lines:
        (fast, one), (slow, other) = timed(ours), timed(theirs)
        agree &= bool(np.isclose(one, other, rtol=tolerance))
        print(
            f"{name:56}{1e3 * fast:8.1f} ms{1e3 * slow:9.1f} ms  x{slow / fast:5.1f}  {one:.5g} / {other:.5g}"
        )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
