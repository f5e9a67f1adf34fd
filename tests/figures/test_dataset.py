"""The figures about the database show what they are given."""

import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.data.folds import specimen_folds
from hep2lib.figures import dataset
from hep2lib.simulator.writing import write_database

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
        (250, 500, 3),
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
    assert table["All"].tolist() == ["20", "50.0\N{NO-BREAK SPACE}%", "40", "47.5\N{NO-BREAK SPACE}%"]
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
    assert dataset.with_code("fine speckled") == "AC-4 fine speckled"
    assert dataset.with_code("homogeneous + fine speckled") == "AC-1 + AC-4 homogeneous + fine speckled"
    for name in ("negative", "Speckled", "", "ac-4", "AC-4 fine speckled"):
        assert dataset.with_code(name) == name


def test_an_instrument_that_goes_with_the_laboratory_is_not_counted_again():
    database = small_database()
    database["laboratory"] = ["Laboratory 1", "Laboratory 2"] * 20
    database["instrument"] = ["B", "A"] * 20
    folds = specimen_folds(database, 5)
    table = dataset.characteristics(folds, database)
    assert table["Characteristic"].tolist()[4:] == ["Laboratory 1", "Laboratory 2"]
    assert table["All"].tolist()[4:] == ["20", "20"]
    alone = dataset.characteristics(folds, database.assign(laboratory=""))
    assert alone["Characteristic"].tolist()[4:] == ["Instrument A", "Instrument B"]
    database.loc[0, "instrument"] = "A"
    rows = dataset.characteristics(folds, database)["Characteristic"].tolist()[4:]
    assert rows == ["Laboratory 1", "Laboratory 2", "Instrument A", "Instrument B"]


def test_a_close_up_shows_the_files_own_pixels_brighter_with_arrows_in_it(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    field = np.zeros((400, 600, 3), np.uint8)
    field[..., 1] = rng.integers(40, 52, (400, 600))  # the 99.5th percentile is 51
    for name, pixels in {"a.png": field, "b.png": field[:100, :90]}.items():
        Image.fromarray(pixels).save(tmp_path / name)
    database = pd.DataFrame(
        {"image": ["a.png", "b.png"], "path": [str(tmp_path / n) for n in ("a.png", "b.png")]}
    )
    places = np.array([[0.8, 0.2], [0.0, 0.1], [0.9, 1.2]])  # one inside
    monkeypatch.setattr(dataset, "dividing_cells", lambda folder, images: {"a.png": places})
    database.attrs = {"simulated": True, "folder": str(tmp_path)}
    rows = {"fine speckled": 0, "stripes": 1, "negative": 1}
    figure, alt = dataset.close_ups(database, rows)
    first, second, third, nothing = figure.axes
    shown = first.images[0].get_array()
    assert shown.shape == (220, 220, 3)
    left, top = dataset._corner(field[..., 1], places * (600, 400))
    assert np.array_equal(shown, field[top : top + 220, left : left + 220] * 5)
    (arrow,) = [text for text in first.texts if text.get_text() == ""]
    assert np.hypot(*(arrow.xy - np.array([480 - left, 80 - top]))) == pytest.approx(24)
    assert "× 5.0" in [text.get_text() for text in first.texts]
    assert first.get_title() == "AC-4 fine speckled"
    assert first.get_xlabel().replace("\n", " ") == "tiny speckles, dividing chromosomes dark"
    assert second.images[0].get_array().shape == (100, 90, 3)
    assert (second.get_title(), second.get_xlabel()) == ("stripes", "")
    assert third.get_xlabel() == "no pattern"
    assert third.axison
    assert not nothing.axison
    assert "AC-4 fine speckled (times 5.0, 1 at dividing cells): tiny speckles" in alt
    assert "stripes (times 5.0); negative" in alt
    database.attrs = {}
    assert "dividing cells" not in dataset.close_ups(database, rows).alt
    assert "no pattern" not in dataset.close_ups(database, {"positive": 0, "negative": 1}).alt


def test_the_dividing_cell_that_every_first_image_has_is_in_its_close_up(tmp_path):
    write_database(tmp_path / "a", specimens=4, scale=0.5)
    alt = dataset.close_ups(read_database(tmp_path / "a"), {"first": 0}).alt
    assert re.fullmatch(
        r"1 parts of fields, each times a factor. first \(times [\d.]+, [1-9] at dividing cells\).", alt
    )
