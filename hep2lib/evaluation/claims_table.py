"""The verdicts of a run as the book shows them: what is claimed, and what this run says of it."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from hep2lib.evaluation.claims import Verdict

VERDICTS: tuple[str, ...] = ("supported", "not supported", "undecided")
"""In the order in which they are counted."""


def claims_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """One row a claim: the sentence and its source, what this run obtained, and the verdict.

    Args:
        verdicts: what ``claims.judge`` returned.

    Returns:
        ``Claim``; ``This run`` (estimate, 95 % interval, number of specimens); ``Verdict``, which names the
        database it was obtained on, and says where the claim alone would have been decided. Figures in per
        cent, differences in points.
    """
    return pd.DataFrame(
        {
            "Claim": [f"{one.claim.sentence} ({one.claim.source})" for one in verdicts],
            "This run": [_obtained(one) for one in verdicts],
            "Verdict": [_verdict(one) for one in verdicts],
        }
    )


def count_verdicts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many claims got each verdict of ``VERDICTS``."""
    counts = Counter(one.verdict for one in verdicts)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def _obtained(one: Verdict) -> str:
    if one.reason:
        return one.reason
    low, high, sign = 100 * one.low, 100 * one.high, "+" if one.claim.compares else ""
    metric = one.claim.metric.replace("auc", "AUC")
    unit = "points" if one.claim.compares else "%"
    text = f"{metric} {100 * one.estimate:{sign}.1f} {unit} ({low:{sign}.1f} to {high:{sign}.1f})"
    return f"{text.replace('-', '−')}; {one.specimens} specimens"


def _verdict(one: Verdict) -> str:
    alone = "" if one.alone == one.verdict else f" (alone: {one.alone})"
    return f"{one.verdict}{alone} on the {one.database}"
