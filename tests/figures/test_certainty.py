"""What is not known is said: on reporting, sample sizes, calibration and the paper's printed numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.calibration import brier_score, recalibration, reliability
from hep2lib.evaluation.evidence import claim_curves
from hep2lib.figures.certainty import (
    calibration_table,
    false_claims_figure,
    false_claims_table,
    printed_areas_table,
    reported,
    sample_size_table,
    scaling_words,
)

from ..evaluation.made_outcomes import DATABASE, LABELS, OWNER, scores


def filled(database):
    return reported(database, "GoogLeNet, random weights", ["pattern", "sex"])


def test_a_simulated_database_is_called_so():
    told = filled(DATABASE)
    assert "drawn by a program; no serum" in told["source"]
    assert told["reference"] == "What the simulator drew"
    assert told["weights"] == "GoogLeNet, random weights"
    assert told["failures"] == "Errors are counted by pattern, sex"
    assert filled(DATABASE.assign(sex="F"))["fairness"] == "sex was drawn at random"


def test_what_is_not_known_is_said():
    told = filled(DATABASE)
    assert told["people"].startswith("sex not known; age not known;")
    assert told["places"] == "laboratories not known; instruments not known"
    assert told["fairness"].startswith("not possible")
    known = DATABASE.assign(sex=["F", ""] * 60, age=[50.0, float("nan")] * 60, laboratory=["a", "b"] * 60)
    told = filled(known)
    assert told["people"].startswith("sex known for 50% of the images; age known for 50% of the images")
    assert told["places"] == "2 laboratories; instruments not known"
    assert filled(known.assign(instrument="one"))["places"] == "2 laboratories; 1 instrument"


def test_a_real_database_is_not_described_as_a_simulated_one():
    real = DATABASE.assign(sex="F")
    real.attrs = {"name": "folder AIDA", "simulated": False}
    told = filled(real)
    assert told["source"].startswith("folder AIDA")
    assert told.keys() == filled(DATABASE).keys()
    assert told["fairness"].startswith("errors by sex")
    for word in ("simulat", "drawn"):
        assert word not in " ".join(told.values())


def test_the_ends_of_a_false_claim_s_curves():
    curves = claim_curves([(0.93, 0.928), (0.5, 0.5)], {"images": 2080, "specimens": 1000})
    drawing = false_claims_figure(curves)
    assert [axes.get_title() for axes in drawing.figure.axes] == ["93.0 % over 92.8 %", "50.0 % over 50.0 %"]
    assert "93.0 % over 92.8 %, 2,080 images: 0.41 to 0.03" in drawing.alt
    rows = false_claims_table(curves).to_numpy().tolist()
    assert rows[0] == ["93.0 % over 92.8 %", "2,080 images", "4 to 296", "0.03 to 0.41", "4 or fewer"]
    assert rows[1][2:] == ["2 to 142", "0.12 to 0.43", "none"]
    assert rows[3] == ["50.0 % over 50.0 %", "1,000 specimens", "0 to 1000", "0.50 to 0.50", "none"]


def test_printed_aucs_are_compared_with_the_first():
    areas = {"best": 0.984, "plain": 0.98, "svm": 0.973, "equal": 0.984}
    table = printed_areas_table(areas, 1498, 582, 2.08)
    rows = table.to_numpy().tolist()
    assert rows[0] == ["0.984, best", 0, "0.979 to 0.988", "–", "–"]
    assert rows[3] == ["0.980, plain", 0, "0.974 to 0.985", "0.263", "0.68 or more"]
    assert rows[6][3:] == ["0.005", "no correlation"]
    assert rows[8] == ["0.973, svm", 1, "0.963 to 0.981", "0.053", "0.02 or more"]
    few = printed_areas_table({"best": 0.99, "next": 0.9899}, 5, 5, 1)
    assert few["Paired test needs"].tolist()[3:] == ["1.00 or more"] * 3


def test_the_table_of_calibration():
    frame = pd.DataFrame({"label": LABELS, "score": 1 / (1 + np.exp(-scores(2.0, 0))), "specimen": OWNER})
    perfect, equal = frame.assign(score=0.1 + 0.8 * LABELS), frame.assign(score=0.5)
    sure = frame.assign(score=LABELS.astype(float))
    table = calibration_table({"own": frame, "perfect": perfect, "equal": equal, "sure": sure}, bins=5)
    table = table.set_index("Scores")
    assert table.loc["own", "Brier score"] == pytest.approx(brier_score(LABELS, frame["score"]))
    assert table.loc["own", "ECE"] == pytest.approx(
        reliability(LABELS, frame["score"], frame["specimen"], bins=5).error
    )
    slope = recalibration(LABELS, frame["score"], OWNER)["slope"]
    assert table.loc["own", "Slope"] == f"{slope.estimate:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    assert table.loc["perfect", "Slope"] == "none: the probabilities separate the labels"
    assert table.loc["equal", "Slope"] == "none: all probabilities are equal"
    assert table.loc["equal", "Intercept"].startswith("0.69 (")
    assert table.loc["sure", "Intercept"] == "none: 120 probabilities are 0 or 1 to rounding"


def test_what_scaling_did_is_said_as_it_is():
    table = pd.DataFrame({"Scores": ["a", "b"], "Brier score": [0.2, 0.1], "ECE": [0.0871, 0.1382]})
    table["Slope"] = ["0.41 (−0.75 to 1.26)", "4.04 (1.37 to 6.71)"]
    better_and_worse = (
        "Here scaling makes the Brier score better (0.200 to 0.100) and the ECE worse (0.087 to 0.138), and "
        "moves the calibration slope from 0.41 (−0.75 to 1.26) to 4.04 (1.37 to 6.71), farther from 1, the "
        "right value"
    )
    assert scaling_words(table, "a", "b") == better_and_worse
    back = scaling_words(table, "b", "a")
    assert "Brier score worse (0.100 to 0.200) and the ECE better" in back
    assert back.endswith("to 0.41 (−0.75 to 1.26), nearer to 1, the right value")
    wide = table.assign(Slope=["0.04 (−9.06 to 9.13)", "0.75 (−8.20 to 9.70)"])
    for first, second in ("ab", "ba"):
        unsure = "the two intervals overlap: which is nearer to 1, the right value, is not known"
        assert scaling_words(wide, first, second).endswith(unsure)
    negative = table.assign(Slope=["−0.20 (−1.00 to 0.60)", "2.20 (1.37 to 6.71)"])
    assert scaling_words(negative, "a", "b").endswith("as far from 1, the right value")
    same = table.assign(**{"Brier score": [0.2001, 0.1999]})
    assert "the Brier score no different (0.200)" in scaling_words(same, "a", "b")
    none = table.assign(Slope=["0.41 (−0.75 to 1.56)", "none: all probabilities are equal"])
    assert scaling_words(none, "a", "b").endswith("a calibration slope that cannot be given for both")


def judged(**changes):
    claim = SimpleNamespace(sentence="A beats B.", border=0.0)
    row = {
        "claim": claim,
        "verdict": "undecided",
        "estimate": 0.02,
        "decisive_low": -0.02,
        "decisive_high": 0.06,
    }
    return row | {"specimens": 100} | changes


def test_each_undecided_claim_has_the_number_that_would_decide_it():
    same = {"estimate": 0.0, "decisive_low": 0.0, "decisive_high": 0.0}
    rows = [
        judged(),
        judged(verdict="supported"),
        judged(estimate=0.0),
        judged(**same),
        judged(**dict.fromkeys(same, np.nan)),
        judged(verdict="not tested"),
    ]
    table = sample_size_table(pd.DataFrame(rows))
    assert table["Specimens to decide"].tolist() == [
        "400",
        "cannot be decided: the estimate is on the border",
        "not known: no specimen here tells the two apart",
        "not known: there is no estimate",
    ]


def test_where_nothing_is_undecided_the_table_says_so():
    table = sample_size_table(pd.DataFrame([judged(verdict="supported")]))
    assert table.to_numpy().tolist() == [["none", "", ""]]
