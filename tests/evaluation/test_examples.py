"""Examples are chosen by brightness and pattern, always the same ones."""

import numpy as np
import pandas as pd

from hep2lib.evaluation.mistakes import at_quantiles, one_a_grade, one_a_pattern

LABEL = np.array([1, 1, 1, 0, 0, 0, 1])
BRIGHTNESS = np.array([0.9, 0.1, 0.5, 0.3, 0.2, 0.1, 0.7])


def test_the_extremes_and_the_median_of_each_class() -> None:
    chosen = at_quantiles(pd.DataFrame({"label": LABEL}), BRIGHTNESS, (0.0, 0.5, 1.0))
    assert chosen[0] == [5, 4, 3]
    assert chosen[1][0] == 1
    assert chosen[1][-1] == 0


def test_the_median_image_of_each_pattern_and_negatives_last() -> None:
    pattern = ["nucleolar", "nucleolar", "nucleolar", "negative", "negative", "negative", "centromere"]
    chosen = one_a_pattern(pd.DataFrame({"label": LABEL, "pattern": pattern}), BRIGHTNESS)
    assert list(chosen.items()) == [("nucleolar", 2), ("centromere", 6), ("negative", 4)]


def test_without_patterns_there_is_one_image_a_class() -> None:
    table = pd.DataFrame({"label": LABEL, "pattern": [""] * 7})
    assert list(one_a_pattern(table, BRIGHTNESS)) == ["positive", "negative"]


def test_negatives_are_kept_where_there_are_many_patterns() -> None:
    table = pd.DataFrame({"label": [1] * 14 + [0], "pattern": [*"abcdefghijklmn", ""]})
    assert list(one_a_pattern(table, np.zeros(15))) == [*"abcdefghijk", "negative"]


def test_the_median_image_of_each_grade_from_dim_to_bright() -> None:
    table = pd.DataFrame({"label": LABEL, "intensity": ["4+", "weak", "4+", "0", "0", "", "4+"]})
    assert list(one_a_grade(table, BRIGHTNESS).items()) == [("0", 3), ("weak", 1), ("4+", 6)]
    words = table.assign(intensity=["positive", "intermediate", "1+", "", "", "", ""])
    assert list(one_a_grade(words, BRIGHTNESS)) == ["1+", "intermediate", "positive"]


def test_without_grades_there_is_one_image_a_class() -> None:
    for table in (pd.DataFrame({"label": LABEL}), pd.DataFrame({"label": LABEL, "intensity": [""] * 7})):
        assert list(one_a_grade(table, BRIGHTNESS).items()) == [("negative", 4), ("positive", 6)]
