"""The paper's claims, judged by code on a run's scores: supported, not supported, or undecided.

A claim is data: which results it is about, what it says of them, and how much difference matters. It says
that a quantity (a result's figure, or the difference of two results' figures) lies in a region. It is
supported where the whole confidence interval lies in that region, not supported where the whole interval lies
outside, and undecided where the interval reaches across the border, or where the run has no such result.
Several claims are judged at once, so the intervals that decide are widened together (Bonferroni): the chance
that any verdict is wrong by chance is held at 1 - level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from hep2lib.errors import InputError
from hep2lib.evaluation.auc import LEVEL, IntArray, ScoreError, auc_interval, compare_auc, holm
from hep2lib.evaluation.bootstrap import bootstrap_p, weighted_auc
from hep2lib.evaluation.decisions import compare_shares, share_interval
from hep2lib.evaluation.scores import Result

KINDS: dict[str, str] = {
    "reaches": "the first result's figure is at least `reference` - `margin`",
    "equals": "the first result's figure is within `margin` of `reference`",
    "beats": "the first result's figure is more than `margin` above the second's",
    "not worse": "the first result's figure is at most `margin` below the second's",
    "as good": "the two results' figures are within `margin` of each other",
}


METRICS: tuple[str, ...] = ("auc", "pooled auc", "accuracy", "sensitivity", "specificity")


class ClaimError(InputError):
    """A claim that says nothing that can be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of the paper, in a form that can be judged.

    Attributes:
        id: short, unique, for links.
        sentence: what the paper says, in words.
        kind: one of `KINDS`.
        first: name of the result that the claim is about.
        second: name of the one it is compared with; "" for "reaches" and "equals".
        metric: one of `METRICS`; "auc" is the mean of the folds' AUCs where a result knows its folds.
        reference: the paper's figure (0 to 1), or its difference for a comparison; needed for "reaches" and
            "equals".
        margin: how much difference matters, 0 to 1; above 0 for "equals" and "as good".
        source: page or table of the paper.
    """

    id: str
    sentence: str
    kind: str
    first: str
    second: str = ""
    metric: str = "auc"
    reference: float | None = None
    margin: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be judged."""
        problem = self._problem()
        if problem:
            raise ClaimError(f"Claim {self.id!r}: {problem}")

    @property
    def compares(self) -> bool:
        """Whether two results are compared."""
        return self.kind in ("beats", "not worse", "as good")

    def _problem(self) -> str:
        if self.kind not in KINDS:
            return f"kind is {self.kind!r}; use one of {', '.join(KINDS)}."
        if self.metric not in METRICS:
            return f"metric is {self.metric!r}; use one of {', '.join(METRICS)}."
        if self.compares != bool(self.second):
            return f"{self.kind!r} {'needs' if self.compares else 'has no'} second result."
        if not self.compares and self.reference is None:
            return f"{self.kind!r} needs a reference."
        if self.reference is not None and abs(self.reference) > 1:
            return f"reference is {self.reference:g}; write a share (0.984), not a percentage."
        if not 0 <= self.margin < 1 or (self.margin == 0 and self.kind in ("equals", "as good")):
            return (
                f"margin is {self.margin:g}; {self.kind!r} needs a share of 1 that is large enough to matter."
            )
        return ""

    def region(self) -> tuple[float, float]:
        """Where the quantity lies if the claim holds: low and high end, perhaps infinite."""
        reference = self.reference or 0.0
        return {
            "reaches": (reference - self.margin, np.inf),
            "equals": (reference - self.margin, reference + self.margin),
            "beats": (self.margin, np.inf),
            "not worse": (-self.margin, np.inf),
            "as good": (-self.margin, self.margin),
        }[self.kind]


def make_claims(records: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """Make claims of records read from a file.

    Args:
        records: mappings with the names of `Claim`'s attributes.

    Raises:
        ClaimError: an unknown or missing name, two claims with one id, or a claim that cannot be judged.
    """
    known = {field.name for field in fields(Claim)}
    claims: list[Claim] = []
    for number, record in enumerate(records):
        name = record.get("id", f"number {number + 1}")
        if unknown := sorted(set(record) - known):
            raise ClaimError(
                f"Claim {name!r}: {unknown[0]!r} is unknown; a claim has {', '.join(sorted(known))}."
            )
        if missing := sorted({"id", "sentence", "kind", "first"} - set(record)):
            raise ClaimError(f"Claim {name!r}: {missing[0]!r} is missing.")
        if record["id"] in {claim.id for claim in claims}:
            raise ClaimError(f"Claim {name!r} is there twice; give every claim an id of its own.")
        claims.append(Claim(**record))
    return claims


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says of a claim.

    Attributes:
        claim: the claim.
        verdict: "supported", "not supported" or "undecided".
        estimate: the figure or the difference; NaN where it could not be computed.
        low: lower end of its 95 % interval, for itself alone.
        high: upper end.
        specimens: number of specimens behind it.
        database: what it was obtained on.
        reason: why there is no estimate; "" where there is one.
    """

    claim: Claim
    verdict: str
    estimate: float
    low: float
    high: float
    specimens: int
    database: str
    reason: str = ""

    @property
    def alone(self) -> str:
        """The verdict if this had been the only claim: from its own interval, not the widened one."""
        return "undecided" if self.reason else _decide(self.claim, self.low, self.high)


def judge(claims: Sequence[Claim], results: Sequence[Result], database: pd.DataFrame) -> list[Verdict]:
    """Judge each claim on the scores of a run; the intervals that decide are widened for their number.

    Args:
        claims: what is claimed.
        results: what the run obtained, by names that the claims use; two results are compared on the rows
            both have.
        database: `label` and `specimen`; `attrs["name"]` and `attrs["simulated"]` say what it is.

    Returns:
        One verdict a claim, in the claims' order. A result that is missing, or whose scores cannot be used,
        leaves the claim undecided with the reason.
    """
    named = {result.name: result for result in results}
    decisive = 1 - (1 - LEVEL) / max(len(claims), 1)  # Bonferroni
    return [_judge(claim, named, database, decisive) for claim in claims]


def _judge(claim: Claim, named: Mapping[str, Result], database: pd.DataFrame, decisive: float) -> Verdict:
    where = str(database.attrs.get("name", "database without a name"))
    if database.attrs.get("simulated") and "simulated" not in where:
        where = f"simulated {where}"
    try:
        estimate, low, high, specimens = _quantity(claim, named, database, LEVEL)
        verdict = _decide(claim, *_quantity(claim, named, database, decisive)[1:3])
    except ScoreError as error:
        nan = float("nan")
        return Verdict(claim, "undecided", nan, nan, nan, 0, where, str(error))
    return Verdict(claim, verdict, estimate, low, high, specimens, where)


def _decide(claim: Claim, low: float, high: float) -> str:
    """What an interval says of a claim."""
    least, most = claim.region()
    if low >= least and high <= most:
        return "supported"
    return "not supported" if high < least or low > most else "undecided"


def _quantity(
    claim: Claim, named: Mapping[str, Result], database: pd.DataFrame, level: float
) -> tuple[float, float, float, int]:
    """Estimate, ends and number of specimens of what a claim is about."""
    pair = [_named(name, named) for name in (claim.first, claim.second) if name]
    row = pair[0].row if len(pair) == 1 else np.intersect1d(pair[0].row, pair[1].row)
    if not row.size:
        raise ScoreError("No image was tested by both results.")
    y = database["label"].to_numpy(dtype=np.int64)[row]
    specimen = database["specimen"].to_numpy()[row]
    place = [np.searchsorted(result.row, row) for result in pair]
    if "auc" in claim.metric:
        scores = [result.score[at] for result, at in zip(pair, place, strict=True)]
        fold = _common_fold(pair, place) if claim.metric == "auc" else None
        if len(pair) == 1:
            one = auc_interval(y, scores[0], specimen, level, fold=fold)
            return one.estimate, one.low, one.high, one.specimens
        two = compare_auc(y, scores[0], scores[1], specimen, level, fold=fold)
        return two.difference, two.low, two.high, two.specimens
    kept = {"accuracy": y >= 0, "sensitivity": y == 1, "specificity": y == 0}[claim.metric]
    hits = [(_decision(result)[at] == y)[kept] for result, at in zip(pair, place, strict=True)]
    if len(pair) == 1:
        one = share_interval(hits[0], specimen[kept], level)
        return one.estimate, one.low, one.high, one.specimens
    two = compare_shares(hits[0], hits[1], specimen[kept], level)
    return two.difference, two.low, two.high, two.specimens


def _named(name: str, named: Mapping[str, Result]) -> Result:
    if name not in named:
        raise ScoreError(f"this run has no result {name!r}.")
    return named[name]


def _decision(result: Result) -> IntArray:
    if result.decision is None:
        raise ScoreError(f"the result {result.name!r} has no decisions, only scores.")
    return result.decision


def _common_fold(pair: Sequence[Result], place: Sequence[IntArray]) -> IntArray | None:
    """The fold of each row where all results agree on it; None (pooled) where not."""
    found = [None if result.fold is None else result.fold[at] for result, at in zip(pair, place, strict=True)]
    first = found[0]
    same = first is not None and all(fold is not None and np.array_equal(fold, first) for fold in found)
    return first if same else None


def against_each(
    first: Result,
    others: Sequence[Result],
    database: pd.DataFrame,
    *,
    generator: np.random.Generator,
    repetitions: int = 2000,
) -> pd.DataFrame:
    """Differences of the AUC (mean of the folds) between one result and each of the others.

    Three p values of the same difference: DeLong's, which takes images for independent and is therefore too
    small where a specimen has several; Obuchowski's, which does not; and that of drawn specimens, which needs
    no formula. Holm's correction is of the second, over all comparisons of the table.

    Args:
        first: the result that is compared.
        others: what it is compared with, each tested on the same rows in the same folds.
        database: `label` and `specimen`, one row an image.
        generator: where the bootstrap's chance comes from.
        repetitions: of the bootstrap.

    Returns:
        One row a comparison: ``against``, ``difference`` (first minus other), ``low``, ``high`` (95 %
        interval over specimens, each for itself), ``p_images``, ``p_specimens``, ``p_drawn``, ``p_holm``,
        ``specimens``.

    Raises:
        ScoreError: as `inference.compare_auc`; rows or folds that differ.
    """
    y = database["label"].to_numpy(dtype=np.int64)[first.row]
    specimen = database["specimen"].to_numpy()[first.row]
    rows = []
    for other in others:
        same = np.array_equal(first.row, other.row)
        if first.fold is not None and other.fold is not None:
            same = same and np.array_equal(first.fold, other.fold)
        if not same:
            raise ScoreError(
                f"{first.name!r} and {other.name!r} were not tested on the same images and folds."
            )
        scores = (first.score, other.score)
        fold = None if other.fold is None else first.fold
        aware = compare_auc(y, *scores, specimen, fold=fold)
        naive = compare_auc(y, *scores, None, fold=fold)
        drawn = bootstrap_p(
            weighted_auc, y, *scores, specimen, generator=generator, repetitions=repetitions, fold=fold
        )
        rows.append(
            {
                "against": other.name,
                "difference": aware.difference,
                "low": aware.low,
                "high": aware.high,
                "p_images": naive.p,
                "p_specimens": aware.p,
                "p_drawn": drawn,
                "specimens": aware.specimens,
            }
        )
    table = pd.DataFrame(rows)
    table.insert(7, "p_holm", holm(table["p_specimens"]))
    return table
