"""The figures about the database show what they are given."""

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
