"""The figures about the database show what they are given."""

import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from hep2lib.data.folds import specimen_folds
from hep2lib.figures import dataset

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_gallery_turns_channels_and_shrinks_what_is_too_wide():
    small = torch.zeros(3, 8, 10, dtype=torch.uint8)
    large = np.zeros((900, 1800, 3), np.uint8)
    figure = dataset.gallery({"small": small, "large": large, "a title of many words": small}, columns=2)
    assert [axes.images[0].get_array().shape for axes in figure.axes[:3]] == [
        (8, 10, 3),
        (350, 700, 3),
        (8, 10, 3),
    ]
    assert [axes.get_title() for axes in figure.axes[:2]] == ["small", "large"]


def test_folds_are_drawn_by_specimen_with_positives_first():
    database = pd.DataFrame(
        {"image": range(40), "specimen": np.arange(40) // 2, "label": np.arange(40) // 20}
    )
    axes = dataset.fold_picture(specimen_folds(database, 5), database).axes[0]
    parts = axes.images[0].get_array()
    assert parts.shape == (5, 20)
    assert ((parts == 2).sum(axis=0) == 1).all()  # tested once each
    assert axes.get_xlabel() == "specimens: 10 positive | 10 negative"


def test_the_leak_has_a_panel_a_classifier_and_a_bar_at_each_mean():
    rows = [
        {"classifier": name, "folds": kind, "auc": area}
        for name in ("logistic regression", "nearest neighbours")
        for kind, areas in (("by image", (0.9, 0.8)), ("by specimen", (0.6, 0.5)))
        for area in areas
    ]
    figure = dataset.leak_figure(pd.DataFrame(rows))
    assert [axes.get_title() for axes in figure.axes] == ["logistic regression", "nearest neighbours"]
    marks, bar, others, below = figure.axes[0].lines
    assert marks.get_ydata().tolist() == [0.9, 0.8]
    assert bar.get_ydata() == pytest.approx([0.85, 0.85])
    assert others.get_ydata().tolist() == [0.6, 0.5]
    assert below.get_ydata() == pytest.approx([0.55, 0.55])


def test_histograms_are_shares_of_their_class():
    axes = dataset.intensity_histograms(np.array([0.1, 0.2, 0.6]), [0, 0, 1]).axes[0]
    for bars in axes.containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([0.15 * 255, 0.6 * 255])
    assert axes.get_legend() is None  # it stands outside, where no median is


def small_database():
    """Ten positive and ten negative specimens of two images; a positive one has a negative image too."""
    database = pd.DataFrame({"image": range(40), "specimen": np.arange(40) // 2, "label": np.arange(40) < 20})
    database["label"] = database["label"].astype(int)
    database.loc[0, "label"] = 0
    return database


def numbers(texts):
    return [tuple(int(n.replace(",", "")) for n in re.findall(r"[\d,]+", text)) for text in texts]


def test_the_flow_adds_up():
    database = small_database()
    folds = specimen_folds(database, 5)
    figure, alt = dataset.flow_diagram(folds, database)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0] == "20 specimens, 40 images"
    assert "positive (+)\n10 specimens\n19 images" in texts
    assert "negative (−)\n10 specimens\n21 images" in texts
    cells = numbers(text for text in texts if text.startswith("+ "))
    assert len(cells) == 15
    for number in range(5):  # each fold holds everything
        assert np.sum(cells[3 * number : 3 * number + 3], axis=0).tolist() == [10, 19, 10, 21]
    assert np.sum(cells[2::3], axis=0).tolist() == [10, 19, 10, 21]  # each is tested once
    assert "tested in each fold" in alt
    figure.draw_without_rendering()
    limits = figure.axes[0].get_window_extent()
    for box in figure.axes[0].patches:
        assert limits.x0 - 1 <= box.get_window_extent().x0 < box.get_window_extent().x1 <= limits.x1 + 1


def test_characteristics_of_a_database_that_knows_nothing_else():
    database = small_database()
    table = dataset.characteristics(specimen_folds(database, 5), database).set_index("Characteristic")
    assert table.index.tolist() == ["Specimens", "Positive specimens", "Images", "Positive images"]
    assert table.columns.tolist() == ["All", "1", "2", "3", "4", "5"]
    assert table["All"].tolist() == ["20", "50%", "40", "48%"]
    assert table.loc["Specimens", "1":].astype(int).sum() == 20
    empty = database.assign(pattern="", laboratory=None, age=np.nan)
    again = dataset.characteristics(specimen_folds(database, 5), empty)
    assert again["Characteristic"].tolist() == table.index.tolist()


def test_characteristics_count_what_is_known():
    database = small_database().assign(
        intensity=["1+", "0", "+/-", ""] * 10,
        laboratory=[f"L{n}" for n in range(40)],
        instrument=["one", "instrument 2"] * 20,
        pattern=["", "x", "y", "x"] * 5 + ["negative"] * 20,
        age=[40, 60] * 20,
    )
    folds = specimen_folds(database, 5)
    table = dataset.characteristics(folds, database).set_index("Characteristic")
    grades = [f"Intensity {name}" for name in ("0", "+/-", "1+", "not known")]
    rest = ["Laboratory, kinds", "instrument 2", "Instrument one", "Pattern, kinds", "Age, median"]
    assert table.index[4:].tolist() == [*grades, *rest]
    assert table["All"].tolist()[4:] == ["10", "10", "10", "10", "40", "20", "20", "2", "50"]
    for name in (*grades, "Instrument one"):
        assert table.loc[name, "1":].astype(int).sum() == int(table.loc[name, "All"])


def test_a_pattern_has_its_codes_where_it_is_one_of_the_consensus():
    assert dataset.with_code("fine speckled") == "AC-4: fine speckled"
    assert dataset.with_code("homogeneous + fine speckled") == "AC-1 + AC-4: homogeneous + fine speckled"
    assert [dataset.with_code(name) for name in ("negative", "Speckled", "")] == ["negative", "Speckled", ""]
