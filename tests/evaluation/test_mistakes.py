"""Errors by group, and the worst images."""

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.metrics import ScoreError
from hep2lib.evaluation.mistakes import errors_by, hardest_images, worst_images
from hep2lib.evaluation.proportions import share_interval

DATABASE = pd.DataFrame(
    {
        "image": list("abcdefg"),
        "label": [1, 1, 1, 1, 0, 0, 1],
        "specimen": ["s", "s", "t", "u", "v", "w", "x"],
        "pattern": ["speckled", "speckled", "speckled", "nucleolar", "", "", "nucleolar"],
    }
)
CALLED = [1, 0, 1, 0, 1, 0, 1]


def test_errors_by_pattern():
    table = errors_by(DATABASE, CALLED, "pattern").set_index("group")
    assert table.index.tolist() == ["speckled", "nucleolar", "unknown"]
    assert table["images"].tolist() == [3, 2, 2]
    assert table["specimens"].tolist() == [2, 2, 2]
    assert table["missed"].tolist() == [1, 1, 0]
    assert table["false_alarms"].tolist() == [0, 0, 1]
    np.testing.assert_allclose(table["share"], [1 / 3, 1 / 2, 1 / 2])
    expected = share_interval([0, 1, 0], ["s", "s", "t"])
    assert (table["low"].iloc[0], table["high"].iloc[0]) == (expected.low, expected.high)


def test_one_specimen_tells_nothing_of_its_group():
    table = errors_by(DATABASE, CALLED, "specimen").set_index("group")
    assert (table.loc["s", "low"], table.loc["s", "high"]) == (0.0, 1.0)


def test_worst_first():
    score = [0.9, 0.4, 0.6, 0.1, 0.8, 0.2, 0.5]
    table = worst_images(DATABASE, score)
    assert table["image"].tolist() == ["d", "e", "b"]
    assert table["error"].tolist() == ["missed", "false alarm", "missed"]
    assert table["row"].tolist() == [3, 4, 1]
    np.testing.assert_allclose(table["beyond"], [0.4, 0.3, 0.1])
    assert worst_images(DATABASE, score, count=1)["image"].tolist() == ["d"]
    assert worst_images(DATABASE, score, [0.0] * 4 + [1.0] * 3)["image"].tolist() == ["g"]
    assert worst_images(DATABASE, DATABASE["label"]).empty


def test_one_field_of_a_specimen():
    score = [0.1, 0.4, 0.6, 0.2, 0.7, 0.2, 0.5]
    assert worst_images(DATABASE, score)["image"].tolist() == ["a", "d", "e", "b"]
    assert worst_images(DATABASE, score, one_a_specimen=True)["image"].tolist() == ["a", "d", "e"]


def test_the_hardest_of_both_labels_whether_wrong_or_not():
    score = [0.1, 0.4, 0.6, 0.2, 0.4, 0.2, 0.5]
    table = hardest_images(DATABASE, score, each=2)
    assert table["image"].tolist() == ["a", "d", "e", "f"]
    assert table["error"].tolist() == ["missed", "missed", "called right", "called right"]
    on_it = hardest_images(DATABASE, [0.5] * 7, each=1)
    assert on_it["error"].tolist() == ["called right", "false alarm"]


def test_grades_go_from_dim_to_bright():
    graded = DATABASE.assign(intensity=["3+", "1+", "+/-", "", "0", "0", "3+"])
    table = errors_by(graded, CALLED, "intensity")
    assert table["group"].tolist() == ["0", "+/-", "1+", "3+", "unknown"]


def test_refusals():
    with pytest.raises(ScoreError, match="no column 'laboratory'; it has image, label"):
        errors_by(DATABASE, CALLED, "laboratory")
    with pytest.raises(ScoreError, match="7 images and 2 decisions"):
        errors_by(DATABASE, [0, 1], "pattern")
    with pytest.raises(ScoreError, match="7 labels and scores"):
        worst_images(DATABASE, [0.1])
