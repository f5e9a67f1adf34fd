"""The paper's claims, judged by code on a run's scores: supported, not supported, or undecided.

A claim is data: which scores it is about, what it says of them, and how much difference matters. It says
that a quantity (a figure of some scores, or the difference of two such figures) lies in a region. It is
supported where the whole confidence interval lies in that region, not supported where the whole interval lies
outside, and undecided where the interval reaches across the border, or where the run has no such scores. Of
two results that no specimen tells apart neither beats the other; whether one is as good is undecided, because
other specimens may, unless they rank all images alike.
Several claims are judged at once, so the intervals that decide are widened together (Bonferroni): the chance
that any verdict is wrong by chance is held at 1 - level.
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
        metric: one of `METRICS`; "auc" is the mean of the folds' AUCs (of two with other folds: pooled).
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
        if problem := self._problem():
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
            wanted = f"{self.kind!r} needs a share of 1 that is large enough to matter."
            return f"margin is {self.margin:g}; {wanted}"
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
            raise ClaimError(f"Claim {name!r}: {unknown[0]!r} is unknown; known: {', '.join(sorted(known))}.")
        if missing := sorted({"id", "sentence", "kind", "first"} - set(record)):
            raise ClaimError(f"Claim {name!r}: {missing[0]!r} is missing.")
        if record["id"] in {claim.id for claim in claims}:
            raise ClaimError(f"Claim {name!r} is there twice; give every claim an id of its own.")
        claims.append(Claim(**record))
    return claims


def judge(claims: Sequence[Claim], scores: Mapping[str, Scores], database: pd.DataFrame) -> pd.DataFrame:
    """Judge each claim on the scores of a run; the intervals that decide are widened for their number.

    Args:
        claims: what is claimed.
        scores: what the run obtained, by names that the claims use; two are compared on the rows both have.
        database: `attrs["name"]` and `attrs["simulated"]` say what it was obtained on.

    Returns:
        One row a claim, in the claims' order: `claim`; `verdict` ("supported", "not supported" or
        "undecided"); `alone` (the verdict if this had been the only claim); `estimate` (of the figure or the
        difference), `low` and `high` (its 95 % interval, for itself alone); `specimens` (their number);
        `database`; `reason`. Scores that are missing, or cannot be used, leave the claim undecided with the
        reason and NaN for the figures; otherwise the reason is "".
    """
    where = str(database.attrs.get("name", "without a name"))
    where = where.removesuffix(f" ({database.attrs.get('layout')})")  # the folder's name is enough
    kind = "simulated database" if database.attrs.get("simulated") else "database"
    where = where if where.startswith(kind) else f"{kind} {where}"
    decisive = 1 - (1 - LEVEL) / max(len(claims), 1)  # Bonferroni
    rows = []
    for claim in claims:
        try:
            bounded, *found = _quantity(claim, scores, LEVEL)
            _, _, *ends, _ = _quantity(claim, scores, decisive)
            verdicts = [_decide(claim, low, high, bounded) for low, high in (ends, found[1:3])]
            rows.append((claim, *verdicts, *found, where, ""))
        except ScoreError as error:
            nothing = (np.nan, np.nan, np.nan, 0)
            rows.append((claim, "undecided", "undecided", *nothing, where, str(error)))
    columns = "claim verdict alone estimate low high specimens database reason"
    return pd.DataFrame(rows, columns=columns.split())


def _decide(claim: Claim, low: float, high: float, bounded: bool) -> str:
    """What an interval says of a claim; "beats" asks for more than its border, the other regions hold it."""
    least, most = claim.region()
    inside = (low > least if claim.kind == "beats" else low >= least) and high <= most
    if inside:
        return "supported" if bounded else "undecided"
    return "not supported" if high < least or low > most or low == high else "undecided"


def _quantity(
    claim: Claim, scores: Mapping[str, Scores], level: float
) -> tuple[bool, float, float, float, int]:
    """Whether the interval bounds what a claim is about; its estimate, ends and number of specimens."""
    names = [claim.first, claim.second] if claim.compares else [claim.first]
    for name in names:
        if name not in scores:
            raise ScoreError(f"this run has no result {name!r}.")
    first, *others = (
        (scores[name].test if "auc" in claim.metric else scores[name].decided()).sort_values("row")
        for name in names
    )
    if not others:
        if "auc" in claim.metric:
            fold = first["fold"] if claim.metric == "auc" else None
            one = auc_interval(first["label"], first["score"], first["specimen"], level, fold=fold)
        else:
            one = share(first, claim.metric, level)
        return True, one.estimate, one.low, one.high, one.specimens
    (second,) = others
    first, second = first[first["row"].isin(second["row"])], second[second["row"].isin(first["row"])]
    if first.empty:
        raise ScoreError("No image was tested by both results.")
    if "auc" in claim.metric:
        same = claim.metric == "auc" and np.array_equal(first["fold"], second["fold"])
        fold = first["fold"] if same else None
        pair = first["score"], second["score"]
        two = compare_auc(first["label"], *pair, first["specimen"], level, fold=fold)
    else:
        right, other = hits(first, claim.metric), hits(second, claim.metric)
        two = compare_shares(right["correct"], other["correct"], right["specimen"], level)
    return two.low < two.high or two.same, two.difference, two.low, two.high, two.specimens


def against_each(
    first: Scores, others: Sequence[Scores], *, generator: np.random.Generator, repetitions: int = 2000
) -> pd.DataFrame:
    """Differences of the AUC (mean of the folds) between one strategy and each of the others.

    Three p values of the same difference: DeLong's, which takes images for independent and is therefore too
    small where a specimen has several; Obuchowski's, which does not; and the bootstrap's, which needs no
    formula. Holm's correction is of the second, over all comparisons of the table.

    Args:
        first: the scores that are compared.
        others: what they are compared with, each of the same rows in the same folds.
        generator: where the bootstrap's chance comes from.
        repetitions: of the bootstrap.

    Returns:
        One row a comparison: ``against``, ``difference`` (first minus other), ``low``, ``high`` (95 %
        interval over specimens, each for itself), ``p_images``, ``p_specimens``, ``p_bootstrap``, ``p_holm``,
        ``specimens``.

    Raises:
        ScoreError: as `auc.compare_auc`; rows or folds that differ.
    """
    own = first.by_row()
    y, specimen, fold = own["label"], own["specimen"], own["fold"]
    rows = []
    for other in others:
        their = other.by_row()
        if not own[["row", "fold"]].equals(their[["row", "fold"]]):
            raise ScoreError(f"{first.name!r} and {other.name!r} were tested on other images or folds.")
        pair = (own["score"], their["score"])
        aware = compare_auc(y, *pair, specimen, fold=fold)
        naive = compare_auc(y, *pair, None, fold=fold)
        bootstrap = bootstrap_p(
            weighted_auc, y, *pair, specimen, generator=generator, repetitions=repetitions, fold=fold
        )
        figures = (aware.difference, aware.low, aware.high, naive.p, aware.p, bootstrap, np.nan)
        rows.append((other.name, *figures, aware.specimens))
    columns = "against difference low high p_images p_specimens p_bootstrap p_holm specimens"
    table = pd.DataFrame(rows, columns=columns.split())
    return table.assign(p_holm=holm(table["p_specimens"]))
