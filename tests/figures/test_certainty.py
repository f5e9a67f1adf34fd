"""The table of limits: filled in from the run, and honest about what it does not know."""

import pandas as pd

from hep2lib.evaluation.auc import auc_interval
from hep2lib.figures.certainty import reporting_table

from ..evaluation.made_outcomes import DATABASE, LABELS, OWNER, folds, scores

AUC = auc_interval(LABELS, scores(2.0, 0), OWNER)


def filled(database):
    return reporting_table(database, folds(), "GoogLeNet, random weights", AUC, 0.25).set_index("Item")[
        "In this run"
    ]


def test_a_simulated_database_is_called_so():
    table = filled(DATABASE)
    assert "drawn by a program; no patient" in table["Data source"]
    assert table["Unit of analysis"].startswith("120 images of 60 specimens")
    assert "67% of the images" in table["Prevalence"]
    assert "3 folds by specimen" in table["Partition"]
    assert "40 / 40 / 40 images" in table["Partition"]
    assert table["Index test"].startswith("GoogLeNet, random weights")
    assert f"{100 * (AUC.high - AUC.low):.1f} points" in table["Sample size"]
    assert "25% of the specimens" in table["Missing or unclear"]


def test_what_is_not_known_is_said():
    table = filled(DATABASE)
    assert table["Who they are"] == "sex not known; age not known"
    assert "laboratories not known" in table["Where they come from"]
    assert table["Fairness"].startswith("not possible")
    known = DATABASE.assign(sex=["F", ""] * 60, age=[50.0, float("nan")] * 60, laboratory=["a", "b"] * 60)
    table = filled(known)
    assert table["Who they are"] == "sex known for 50% of the images; age known for 50% of the images"
    assert table["Where they come from"] == "2 laboratories; instruments not known"
    assert filled(known.assign(instrument="one"))["Where they come from"] == "2 laboratories; 1 instrument"
    assert table["Fairness"].startswith("errors by sex")


def test_a_real_database_is_not_described_as_a_simulated_one():
    real = DATABASE.copy()
    real.attrs = {"name": "folder AIDA", "simulated": False}
    text = " ".join(filled(real))
    assert "folder AIDA" in text
    assert "simulat" not in text
    assert isinstance(filled(real), pd.Series)
