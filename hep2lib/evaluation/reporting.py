"""What a reader of a diagnostic study asks, answered for a run: a table in the manner of STARD-AI.

STARD-AI (Sounderajah et al. 2025, Nature Medicine) adds to STARD 2015 what studies of artificial
intelligence have to say of their data, their index test and its fairness. The table is a short form of it in
our own words.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hep2lib.data.folds import Fold
from hep2lib.evaluation.inference import Interval


def reporting_table(
    database: pd.DataFrame, folds: Sequence[Fold], weights: str, auc: Interval, review_rate: float
) -> pd.DataFrame:
    """Fill in the table.

    Args:
        database: as ``read_database`` returns it.
        folds: rows of each fold's parts.
        weights: where the network's weights come from, in words.
        auc: of the best fine-tuned network, on test images.
        review_rate: share of specimens that three zones send to a person, 0 to 1.

    Returns:
        ``Item`` and ``In this run``, one row an item.
    """
    rows = [
        *_data(database),
        *_test(database, folds, weights),
        *_analysis(auc, review_rate),
        *_open(database),
    ]
    return pd.DataFrame(rows, columns=["Item", "In this run"])


def _data(database: pd.DataFrame) -> list[tuple[str, str]]:
    name, specimens = database.attrs.get("name", "a database"), database["specimen"].nunique()
    owner = database.groupby("specimen")["label"].max()
    if database.attrs.get("simulated"):
        origin = f"{name}: drawn by a program; no patient, no serum, no microscope"
        chosen = "specimens of every grade as the simulator draws them; no selection by readers"
        reference = "what the simulator drew; no reader, no second opinion"
    else:
        origin = f"{name}: images that were given to this run"
        chosen = "as the database's makers chose; AIDA holds only sera on which three readers agreed"
        reference = "the positive or negative of the database's sheet; this run does not know who read it"
    return [
        ("Intended use", "none: a study of a method, not a device for diagnosis"),
        ("Data source", origin),
        ("Selection", chosen),
        (
            "Unit of analysis",
            f"{len(database)} images of {specimens} specimens; a specimen is the unit of chance",
        ),
        (
            "Prevalence",
            f"{database['label'].mean():.0%} of the images, {owner.mean():.0%} of the specimens are positive",
        ),
        ("Who they are", _known(database, ("sex", "age"))),
        ("Where they come from", _places(database)),
        ("Reference standard", reference),
    ]


def _test(database: pd.DataFrame, folds: Sequence[Fold], weights: str) -> list[tuple[str, str]]:
    parts = [
        np.mean([len(getattr(fold, part)) for fold in folds]) for part in ("train", "validation", "test")
    ]
    sizes = " / ".join(f"{size:.0f}" for size in parts)
    return [
        ("Index test", f"{weights}; a linear SVM on its activations; both as the earlier chapters describe"),
        (
            "Partition",
            f"{len(folds)} folds by specimen, training / validation / test of {sizes} images on average; no "
            "specimen on two sides, which is checked whenever the folds are read",
        ),
        (
            "Choices",
            "freezing depth, batch size, learning rate, epoch, layer, C, thresholds, temperatures and review "
            "zones: all on validation images; a test shuffles the test labels and finds no choice changed",
        ),
        ("Threshold", "four rules, each fold's own, on validation images; the paper does not name its own"),
    ]


def _analysis(auc: Interval, review_rate: float) -> list[tuple[str, str]]:
    return [
        (
            "Sample size",
            f"not planned; it gives an AUC interval {100 * (auc.high - auc.low):.1f} points wide",
        ),
        (
            "Uncertainty",
            "AUC: Obuchowski's variance over specimens, logit scale; rates: Wilson's for clustered images, "
            "or drawn specimens; conditional on the trained networks",
        ),
        (
            "Many comparisons",
            "p values after Holm; verdicts on claims with intervals widened after Bonferroni",
        ),
        (
            "Missing or unclear",
            "a file that cannot be read stops a run, none is left out; three zones send "
            f"{review_rate:.0%} of the specimens to a person",
        ),
        (
            "Calibration",
            "reliability, Brier score and expected calibration error, before and after one temperature",
        ),
        ("Failures", "errors by grade, laboratory and pattern, the hardest fields, activation maps"),
    ]


def _open(database: pd.DataFrame) -> list[tuple[str, str]]:
    known = "sex" in database and (database["sex"] != "").any()
    fairness = (
        "errors by sex are in the figure of errors" if known else "not possible: sex and age are not known"
    )
    return [
        ("Fairness", f"{fairness}; nothing is known of ethnicity, disease or treatment"),
        ("Other laboratories", "not held out: folds mix laboratories, so nothing is said of a new one"),
        ("Human readers", "none were compared"),
        (
            "Availability",
            "code under BSD-3-Clause; parameters, seeds, folds, versions and checksums in the run",
        ),
    ]


def _known(database: pd.DataFrame, columns: Sequence[str]) -> str:
    words = []
    for name in columns:
        given = database[name].notna() & (database[name] != "") if name in database else None
        words.append(
            f"{name} not known" if given is None else f"{name} known for {given.mean():.0%} of the images"
        )
    return "; ".join(words)


def _places(database: pd.DataFrame) -> str:
    words = []
    for name, plural in (("laboratory", "laboratories"), ("instrument", "instruments")):
        count = database.loc[database[name] != "", name].nunique() if name in database else 0
        words.append(f"{count} {plural}" if count else f"{plural} not known")
    return "; ".join(words)
