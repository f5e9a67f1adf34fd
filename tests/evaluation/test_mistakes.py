"""Examples by brightness and pattern, always the same ones; errors by group, and the worst images."""

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import ScoreError
from hep2lib.evaluation.decisions import share_interval
from hep2lib.evaluation.mistakes import (
    at_quantiles,
    errors_by,
    hardest_images,
    one_a_grade,
    one_a_pattern,
)

DATABASE = pd.DataFrame(
    {
        "image": list("abcdefg"),
        "label": [1, 1, 1, 1, 0, 0, 1],
        "specimen": ["s", "s", "t", "u", "v", "w", "x"],
        "pattern": ["speckled", "speckled", "speckled", "nucleolar", "", "", "nucleolar"],
    }
)
CALLED = [1, 0, 1, 0, 1, 0, 1]
LABEL = np.array([1, 1, 1, 0, 0, 0, 1])
BRIGHTNESS = np.array([0.9, 0.1, 0.5, 0.3, 0.2, 0.1, 0.7])


def test_the_extremes_and_the_median_of_each_class() -> None:
    chosen = at_quantiles(pd.DataFrame({"label": LABEL}), BRIGHTNESS, (0.0, 0.5, 1.0))
    assert chosen[0] == [5, 4, 3]
    assert chosen[1][0] == 1
    assert chosen[1][-1] == 0


def test_of_each_single_pattern_the_image_with_most_detail_in_icaps_order() -> None:
    rows = [  # label, specimen, pattern, detail
        (1, "a", "NuMA-like", 0.5),
        (1, "b", "centromere", 0.1),
        (1, "b", "centromere", 0.9),  # not the specimen's first
        (1, "c", "Centromere", 0.3),
        (1, "d", "homogeneous + fine speckled", 0.9),
        (1, "e", "stripes", 0.2),
        (1, "e", "stripes", 0.3),
        (1, "f", "checks", 0.2),
        (1, "g", "", 0.9),
        (0, "h", "negative", 0.1),
        (0, "i", "negative, bright", 0.4),
        (0, "j", "", 0.8),
    ]
    table = pd.DataFrame(rows, columns=["label", "specimen", "pattern", "detail"])
    chosen = one_a_pattern(table, table["detail"].to_numpy())
    expected = {"centromere": 1, "Centromere": 3, "NuMA-like": 0, "stripes": 5, "checks": 7, "negative": 10}
    assert list(chosen.items()) == list(expected.items())
    assert list(one_a_pattern(table, table["detail"].to_numpy(), most=1)) == ["centromere", "negative"]


def test_without_patterns_there_is_one_image_a_class() -> None:
    table = pd.DataFrame({"label": LABEL, "pattern": [""] * 7, "specimen": range(7)})
    assert one_a_pattern(table, BRIGHTNESS) == {"positive": 0, "negative": 4}


def test_a_negative_is_found_where_every_specimen_has_a_positive_image_first() -> None:
    table = pd.DataFrame({"label": [1, 0, 1, 0], "pattern": [""] * 4, "specimen": ["a", "a", "b", "b"]})
    assert one_a_pattern(table, np.array([0.1, 0.2, 0.3, 0.4])) == {"positive": 2, "negative": 3}


def test_the_median_image_of_each_grade_from_dim_to_bright() -> None:
    table = pd.DataFrame({"label": LABEL, "intensity": ["4+", "weak", "4+", "0", "0", "", "4+"]})
    assert list(one_a_grade(table, BRIGHTNESS).items()) == [("0", 3), ("weak", 1), ("4+", 6)]
    words = table.assign(intensity=["positive", "intermediate", "1+", "", "", "", ""])
    assert list(one_a_grade(words, BRIGHTNESS)) == ["1+", "intermediate", "positive"]


def test_without_grades_there_is_one_image_a_class() -> None:
    for table in (pd.DataFrame({"label": LABEL}), pd.DataFrame({"label": LABEL, "intensity": [""] * 7})):
        assert list(one_a_grade(table, BRIGHTNESS).items()) == [("negative", 4), ("positive", 6)]


def test_errors_by_pattern():
    table = errors_by(DATABASE, CALLED, "pattern").set_index("group")
    assert table.index.tolist() == ["speckled", "negative", "nucleolar"]
    assert table["images"].tolist() == [3, 2, 2]
    assert table["specimens"].tolist() == [2, 2, 2]
    assert table["missed"].tolist() == [1, 0, 1]
    assert table["false_alarms"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(table["share"], [1 / 3, 1 / 2, 1 / 2])
    expected = share_interval([0, 1, 0], ["s", "s", "t"])
    assert (table["low"].iloc[0], table["high"].iloc[0]) == (expected.low, expected.high)


def test_only_a_positive_image_has_a_pattern_that_may_be_unknown():
    told = DATABASE.assign(pattern=["", "speckled", None, "nucleolar", "", "negative, bright", ""])
    groups = errors_by(told, CALLED, "pattern").set_index("group")["images"].to_dict()
    assert groups == {"unknown": 3, "speckled": 1, "nucleolar": 1, "negative": 1, "negative, bright": 1}
    nowhere = errors_by(DATABASE.assign(laboratory=""), CALLED, "laboratory")
    assert nowhere["group"].tolist() == ["unknown"]


def test_the_smallest_of_many_groups_are_put_together_and_none_is_lost():
    names = ["b", "b", "a", "c", "d", "e", "b"]
    told = DATABASE.assign(laboratory=names)
    table = errors_by(told, CALLED, "laboratory", most=3)
    assert table["group"].tolist() == ["b", "a", "3 smaller groups"]
    assert table["images"].tolist() == [3, 1, 3]
    assert table["errors"].sum() == (np.array(CALLED) != DATABASE["label"]).sum()
    whole = errors_by(told, CALLED, "laboratory", most=5)
    assert whole["group"].tolist() == ["b", "a", "c", "d", "e"]
    graded = DATABASE.assign(intensity=["0", "+/-", "1+", "2+", "3+", "4+", ""])
    assert len(errors_by(graded, CALLED, "intensity", most=2)) == 7  # an order is not broken


def test_one_specimen_tells_nothing_of_its_group():
    table = errors_by(DATABASE, CALLED, "specimen").set_index("group")
    assert (table.loc["s", "low"], table.loc["s", "high"]) == (0.0, 1.0)


def test_the_hardest_of_both_labels_whether_wrong_or_not():
    score = np.array([0.1, 0.4, 0.6, 0.2, 0.4, 0.2, 0.5]) - 0.5
    table = hardest_images(DATABASE, score)
    assert table["image"].tolist() == ["a", "d", "g", "e", "f"]
    assert table["row"].tolist() == [0, 3, 6, 4, 5]
    assert table["error"].tolist() == ["missed", "missed", "called right", "called right", "called right"]
    np.testing.assert_allclose(table["beyond"], [0.4, 0.3, 0.0, -0.1, -0.3], atol=1e-15)
    on_it = hardest_images(DATABASE, [0] * 7)
    assert on_it["error"].tolist() == ["called right"] * 3 + ["false alarm"] * 2


def test_grades_go_from_dim_to_bright():
    graded = DATABASE.assign(intensity=["3+", "1+", "weak", "", "0", "0", "3+"])
    table = errors_by(graded, CALLED, "intensity")
    assert table["group"].tolist() == ["0", "weak", "1+", "3+", "unknown"]


def test_refusals():
    with pytest.raises(ScoreError, match="no column 'laboratory'; there are image, label"):
        errors_by(DATABASE, CALLED, "laboratory")
    with pytest.raises(ScoreError, match=r"7 images and decisions of shape \(2,\)"):
        errors_by(DATABASE, [0, 1], "pattern")
    with pytest.raises(ScoreError, match="7 images and scores"):
        hardest_images(DATABASE, [0.1])
