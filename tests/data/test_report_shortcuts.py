import numpy as np
import pandas as pd
import pytest

from hep2lib.data.images import Header
from hep2lib.data.report import find_shortcuts


def database(specimens: int = 100, **columns: object) -> pd.DataFrame:
    """Two images of each specimen, one specimen in four negative."""
    specimen = np.repeat(np.arange(specimens), 2)
    table = pd.DataFrame({"label": (specimen % 4 > 0).astype("int8"), "specimen": specimen.astype(str)})
    return table.assign(**columns)


def headers(sizes: list[tuple[int, int]], formats: list[str]) -> list[Header]:
    return [Header(name, *size, "RGB", 8, 1) for size, name in zip(sizes, formats, strict=True)]


def test_equal_files_tell_nothing() -> None:
    table = database()
    assert find_shortcuts(table, headers([(640, 480)] * 200, ["PNG"] * 200)) == []


def test_a_format_that_is_the_label_is_found() -> None:
    table = database()
    formats = ["PNG" if label else "BMP" for label in table["label"]]
    (shortcut,) = find_shortcuts(table, headers([(640, 480)] * 200, formats))
    assert shortcut.attribute == "format"
    assert shortcut.auc == 1.0
    assert shortcut.suspicious
    assert shortcut.table == {"PNG, RGB": (0, 150), "BMP, RGB": (50, 0)}


def test_sizes_that_are_all_different_are_compared_by_their_pixels() -> None:
    table = database()
    sizes = [(640 + 2 * row + 300 * int(label), 480) for row, label in enumerate(table["label"])]
    (shortcut,) = find_shortcuts(table, headers(sizes, ["PNG"] * 200))
    assert shortcut.attribute == "size"
    assert shortcut.auc > 0.8
    assert shortcut.suspicious
    assert list(shortcut.table)[-1].endswith(" others")
    assert sum(negative for negative, _ in shortcut.table.values()) == 50


def test_a_partial_shortcut_and_all_together() -> None:
    """An instrument used for 80 % of the positive and 40 % of the negative specimens: AUC 0.7."""
    generator = np.random.default_rng(0)
    table = database(400)
    share = np.where(np.arange(400) % 4 > 0, 0.8, 0.4)
    instrument = np.repeat(np.where(generator.random(400) < share, "A", ""), 2)
    formats = list(np.repeat(np.where(generator.random(400) < 0.5, "PNG", "BMP"), 2))
    found = find_shortcuts(table.assign(instrument=instrument), headers([(640, 480)] * 800, formats))
    by_name = {shortcut.attribute: shortcut for shortcut in found}
    assert list(by_name) == ["format", "instrument", "all together"]
    assert by_name["instrument"].auc == pytest.approx(0.7, abs=0.05)
    assert by_name["instrument"].suspicious
    assert set(by_name["instrument"].table) == {"A", "unknown"}
    assert not by_name["format"].suspicious
    assert by_name["format"].auc < 0.58
    assert by_name["all together"].table == {}
    assert by_name["all together"].auc == pytest.approx(0.7, abs=0.06)


def test_what_few_specimens_show_by_chance_is_no_shortcut() -> None:
    suspicious = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        table = database(16)
        formats = list(np.repeat(generator.choice(["PNG", "BMP", "TIFF"], 16), 2))
        suspicious += any(s.suspicious for s in find_shortcuts(table, headers([(640, 480)] * 32, formats)))
    assert suspicious <= 3


def test_specimens_of_the_test_part_are_unseen() -> None:
    """An instrument of its own for each specimen says nothing of another specimen."""
    table = database(40)
    (shortcut,) = find_shortcuts(
        table.assign(instrument=table["specimen"]), headers([(640, 480)] * 80, ["PNG"] * 80)
    )
    assert shortcut.auc <= 0.55
    assert not shortcut.suspicious


def test_mixed_specimens_are_shuffled_too() -> None:
    table = database(12).assign(label=[0, 1] * 12)
    formats = ["PNG" if label else "BMP" for label in table["label"]]
    (shortcut,) = find_shortcuts(table, headers([(640, 480)] * 24, formats))
    assert shortcut.auc == 1.0
    assert shortcut.suspicious
