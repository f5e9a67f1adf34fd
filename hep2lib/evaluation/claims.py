"""The paper's claims, judged by code on a run's scores: supported, not supported, undecided, or not tested.

A claim is data: which scores it is about, what it says of them, and how much difference matters. It says
that a quantity (a figure of some scores, or the difference of two such figures) lies above a border. It is
supported where the whole confidence interval lies above, not supported where the whole interval lies below,
and undecided where the interval reaches across. Of two results that no specimen tells apart neither beats the
other; whether one is no worse is undecided, because other specimens may, unless they rank all images alike.

A claim is not tested where the run could not have refuted it: a result had a smaller budget than the paper's,
or is not there, or an absolute number was obtained under other conditions. What was found is still shown.
Several claims are tested at once, so the intervals that decide are widened together (Bonferroni): the chance
that any verdict is wrong by chance is held at 1 - level. What is not tested does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from hep2lib.errors import InputError
from hep2lib.evaluation.auc import LEVEL, ScoreError, auc_interval, compare_auc, holm
from hep2lib.evaluation.bootstrap import bootstrap_p, weighted_auc
from hep2lib.evaluation.decisions import compare_shares, hits, share
from hep2lib.evaluation.scores import Scores

KINDS: dict[str, str] = {
    "reaches": "the first result's figure is at least `reference` - `margin`",
    "beats": "the first result's figure is more than `margin` above the second's",
    "not worse": "the first result's figure is at most `margin` below the second's",
}

METRICS: tuple[str, ...] = ("auc", "accuracy", "sensitivity", "specificity")

VERDICTS: tuple[str, ...] = ("supported", "not supported", "undecided", "not tested")

SMALLER, ELSEWHERE = "a smaller budget than the paper's", "an absolute number under other conditions"
MISSING = "no such result"
"""Why a claim is not tested."""


class ClaimError(InputError):
    """A claim that says nothing that can be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of the paper, in a form that can be judged; `ClaimError` for one that cannot."""

    id: str  # short, unique, for links
    sentence: str  # what the paper says, in words
    kind: str  # one of `KINDS`
    first: str  # name of the result that the claim is about
    second: str = ""  # name of the one it is compared with; "" for "reaches"
    metric: str = "auc"  # one of `METRICS`; "auc" is the mean of the folds' AUCs (of other folds: pooled)
    reference: float | None = None  # the paper's figure, 0 to 1, for "reaches"; None for a comparison
    margin: float = 0.0  # how much difference matters, 0 to less than 1
    source: str = ""  # page or table of the paper

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise ClaimError(f"Claim {self.id!r}: {problem}")

    def _problem(self) -> str:
        if self.kind not in KINDS:
            return f"kind is {self.kind!r}; use one of {', '.join(KINDS)}."
        if self.metric not in METRICS:
            return f"metric is {self.metric!r}; use one of {', '.join(METRICS)}."
        alone = self.kind == "reaches"
        if alone == bool(self.second):
            return f"{self.kind!r} {'has no' if alone else 'needs a'} second result."
        if alone != (self.reference is not None):
            return f"{self.kind!r} {'needs a' if alone else 'has no'} reference."
        if not 0 <= (self.reference or 0) <= 1:
            return f"reference is {self.reference:g}; write a share (0.984), not a percentage."
        if not 0 <= self.margin < 1:
            return f"margin is {self.margin:g}; write a share of 1 (0.011), not points."
        return ""

    @property
    def border(self) -> float:
        """What the figure or the difference reaches if the claim holds; "beats" asks for more than that."""
        return self.margin if self.kind == "beats" else (self.reference or 0.0) - self.margin


def make_claims(records: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """Make claims of records read from a file: mappings with the names of `Claim`'s attributes.

    Raises:
        ClaimError: an unknown or missing name, two claims with one id, or a claim that cannot be judged.
    """
    known = {field.name for field in fields(Claim)}
    claims: list[Claim] = []
    for number, record in enumerate(records):
        name = record.get("id", f"number {number + 1}")
        if unknown := sorted(set(record) - known):
            raise ClaimError(f"Claim {name!r}: {unknown[0]!r} is unknown; known: {', '.join(sorted(known))}.")
        if missing := sorted({"id", "sentence", "kind", "first"} - set(record)):
            raise ClaimError(f"Claim {name!r}: {missing[0]!r} is missing.")
        if record["id"] in {claim.id for claim in claims}:
            raise ClaimError(f"Claim {name!r} is there twice; give every claim an id of its own.")
        claims.append(Claim(**record))
    return claims


def judge(
    claims: Sequence[Claim], scores: Mapping[str, Scores], less: Mapping[str, Sequence[str]], elsewhere: str
) -> pd.DataFrame:
    """Judge each claim on the scores of a run; the intervals that decide are widened for those it tests.

    Args:
        claims: what is claimed.
        scores: what the run obtained, by names that the claims use; two are compared on the rows both have.
        less: by result, what it was given less of than in the paper, in words; none where it had enough.
            The budget of a result that is not named here is not known, and counts as too small.
        elsewhere: what keeps absolute numbers from being judged by the paper's, in words; "" for nothing.

    Returns:
        One row a claim, in the claims' order: `claim`; `verdict` (one of `VERDICTS`); `estimate` (of the
        figure or the difference), `low` and `high` (its 95 % interval, for itself alone), `specimens` (their
        number), all NaN where scores are missing or cannot be used; `level`, `decisive_low` and
        `decisive_high` (the interval that decides), NaN where nothing is tested; `reasons` why not: those of
        `SMALLER`, `ELSEWHERE` and `MISSING` that hold, with details.
    """
    rows = []
    for claim in claims:
        names = [name for name in (claim.first, claim.second) if name in scores]
        parts = [part for name in names for part in less.get(name, ["a budget that is not known"])]
        reasons = {SMALLER: ", ".join(dict.fromkeys(parts))} if parts else {}
        if elsewhere and not claim.second:
            reasons[ELSEWHERE] = elsewhere
        row: dict[str, Any] = {"claim": claim, "verdict": "not tested", "reasons": reasons}
        try:
            _, row["estimate"], row["low"], row["high"], row["specimens"] = _quantity(claim, scores, LEVEL)
        except ScoreError as error:
            reasons[MISSING] = str(error)
        rows.append(row)
    tested = [row for row in rows if not row["reasons"]]
    level = 1 - (1 - LEVEL) / max(len(tested), 1)  # Bonferroni
    for row in tested:
        bounded, _, low, high, _ = _quantity(row["claim"], scores, level)
        verdict = _decide(row["claim"], low, high, bounded)
        row |= {"verdict": verdict, "level": level, "decisive_low": low, "decisive_high": high}
    columns = "claim verdict estimate low high specimens level decisive_low decisive_high reasons"
    return pd.DataFrame(rows, columns=columns.split())


def _decide(claim: Claim, low: float, high: float, bounded: bool) -> str:
    """What an interval says of a claim; "beats" asks for more than its border."""
    if low > claim.border or (low == claim.border and claim.kind != "beats"):
        return "supported" if bounded else "undecided"
    return "not supported" if high < claim.border or low == high else "undecided"


def _quantity(
    claim: Claim, scores: Mapping[str, Scores], level: float
) -> tuple[bool, float, float, float, int]:
    """Whether the interval bounds what a claim is about; its estimate, ends and number of specimens."""
    names = [claim.first, claim.second] if claim.second else [claim.first]
    for name in names:
        if name not in scores:
            raise ScoreError(f"this run has no result {name!r}.")
    first, *others = (
        (scores[name].test if claim.metric == "auc" else scores[name].decided()).sort_values("row")
        for name in names
    )
    if not others:
        if claim.metric == "auc":
            one = auc_interval(first["label"], first["score"], first["specimen"], level, fold=first["fold"])
        else:
            one = share(first, claim.metric, level)
        return True, one.estimate, one.low, one.high, one.specimens
    (second,) = others
    first, second = first[first["row"].isin(second["row"])], second[second["row"].isin(first["row"])]
    if first.empty:
        raise ScoreError("No image was tested by both results.")
    if claim.metric == "auc":
        fold = first["fold"] if np.array_equal(first["fold"], second["fold"]) else None
        pair = first["score"], second["score"]
        two = compare_auc(first["label"], *pair, first["specimen"], level, fold=fold)
    else:
        right, other = hits(first, claim.metric), hits(second, claim.metric)
        two = compare_shares(right["correct"], other["correct"], right["specimen"], level)
    return two.low < two.high or two.same, two.difference, two.low, two.high, two.specimens


def compare_each(
    pairs: Sequence[tuple[Scores, Scores]], *, generator: np.random.Generator, repetitions: int = 2000
) -> pd.DataFrame:
    """Differences of the AUC (mean of the folds) between the two strategies of each pair, one a row.

    ``low`` and ``high`` are the ends of its 95 % interval over specimens, for itself alone. Three p values of
    the same difference: DeLong's, which takes images for independent and is therefore too small where a
    specimen has several; Obuchowski's, which does not; and the bootstrap's, which needs no formula. Holm's
    correction is of the second, over all comparisons of the table.

    Args:
        pairs: of scores of the same rows in the same folds.
        generator: where the bootstrap's chance comes from.
        repetitions: of the bootstrap.

    Raises:
        ScoreError: as `auc.compare_auc`; rows or folds that differ.
    """
    rows = []
    for first, other in pairs:
        own, their = first.by_row(), other.by_row()
        y, specimen, fold = own["label"], own["specimen"], own["fold"]
        if not own[["row", "fold"]].equals(their[["row", "fold"]]):
            raise ScoreError(f"{first.name!r} and {other.name!r} were tested on other images or folds.")
        pair = (own["score"], their["score"])
        aware = compare_auc(y, *pair, specimen, fold=fold)
        naive = compare_auc(y, *pair, None, fold=fold)
        bootstrap = bootstrap_p(
            weighted_auc, y, *pair, specimen, generator=generator, repetitions=repetitions, fold=fold
        )
        figures = (aware.difference, aware.low, aware.high, naive.p, aware.p, bootstrap, np.nan)
        rows.append((first.name, other.name, *figures, aware.specimens))
    columns = "first second difference low high p_images p_specimens p_bootstrap p_holm specimens"
    table = pd.DataFrame(rows, columns=columns.split())
    return table.assign(p_holm=holm(table["p_specimens"]))
