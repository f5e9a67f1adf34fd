"""The simulator's difficulty: every figure is measured, and a second time it is the same."""

from hep2lib.evaluation.leak import FIGURES, measure_difficulty


def test_every_figure_is_measured_and_twice_the_same(tmp_path):
    options = {"seed": 1, "specimens": 24, "scale": 0.15, "divisions": 2}
    found = measure_difficulty(tmp_path / "database", **options)
    assert list(found) == list(FIGURES)
    leaks = [name for name in found if name.endswith(", leak")]
    assert len(leaks) == 2
    assert all(0 <= value <= 1 for name, value in found.items() if name not in leaks)
    for name in leaks:
        classifier = name.removesuffix(", leak")
        assert found[name] == found[f"{classifier}, by image"] - found[f"{classifier}, by specimen"]
    assert measure_difficulty(tmp_path / "database", **options) == found
