"""The figures about the network show what they are given, and say it in words."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from hep2lib.cnn.googlenet import FREEZE_DEPTHS, architecture
from hep2lib.cnn.layers import layer_table
from hep2lib.figures import network
from hep2lib.pretraining.procedural import formulas

matplotlib.use("agg")
TABLE = layer_table(architecture("bvlc"))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_map_marks_every_layer_and_every_depth():
    figure, alt = network.map_of_layers(TABLE, list(FREEZE_DEPTHS))
    above, below = figure.axes
    places = above.collections[0].get_offsets()
    kinds = [text.get_text() for text in above.get_yticklabels()]
    assert [kinds[int(row)] for row in places[:, 1]] == list(TABLE["type"])
    assert list(places[:, 0]) == list(range(1, 145))
    assert [line.get_xdata()[0] for line in above.lines] == [11.5, 110.5, 139.5]
    assert below.lines[0].get_ydata().tolist() == TABLE["size"].tolist()
    assert below.get_xticklabels()[0].get_text() == "25\n3a"
    assert "110 after inception_4e-output" in alt


def test_receptive_fields_are_squares_of_their_size_around_the_brightest_cell():
    field = np.zeros((3, 224, 224), np.uint8)
    field[1, 95:106, 125:136] = 200
    field[1, 3:14, 3:14] = 255  # brighter, but at the border
    figure, alt = network.receptive_fields(
        field, TABLE, ["conv1-7x7_s2", "pool2-3x3_s2"], ["inception_3b-output"]
    )
    squares = [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [square.get_width() for square in squares] == [7, 27, 91]
    assert all(square.get_center() == pytest.approx((130, 100)) for square in squares)
    assert "conv1-7x7_s2 7, pool2-3x3_s2 27, inception_3b-output 91" in alt


def test_the_softmax_of_two_scores_lies_on_its_curve():
    figure, alt = network.softmax_curve({"positive": np.array([1, 1 + np.log(3)]), "negative": np.zeros(2)})
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines[1:]]
    assert points[0] == pytest.approx((np.log(3), 0.75))
    assert points[1] == pytest.approx((0, 0.5))
    assert "0.75 for the positive field, 0.50 for the negative" in alt


def test_filters_by_start_stand_in_rows_of_sixteen_in_their_order():
    weight = np.zeros((64, 3, 7, 7))
    weight[17, 0, 2, 3] = 4.0  # in the second row, the second from the left
    figure = network.filters_by_start({"random": weight, "procedural": -weight})
    for axes, title, red in zip(figure.axes, ["random", "procedural"], [1.0, 0.0], strict=True):
        shown = np.asarray(axes.images[0].get_array())
        assert (axes.get_title(), shown.shape) == (title, (32, 128, 3))
        assert shown[8 + 2, 8 + 3].tolist() == [red, 0.5, 0.5]
        assert np.unique(shown).tolist() == sorted({0.5, 1.0, red})  # else grey, and white between filters


def test_the_gallery_shows_every_family_of_formulas_and_each_formula_once():
    figure, alt = network.procedural_gallery()
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == len(set(titles)) == 18
    assert {title.partition(" ")[0] for title in titles} == {one.family for one in formulas()}
    assert all(np.asarray(axes.images[0].get_array()).max() == 255 for axes in figure.axes if axes.images)
    assert alt.startswith("18 small pictures: fractal 1, ")


def test_the_table_of_weights_gives_every_kind_its_range_and_the_difference_its_interval():
    row = {"row": "fine-tuning, freeze 11", "procedural": [0.9, 0.92], "random": [0.85, 0.9]}
    row |= {"procedural mean": 0.91, "random mean": 0.875}
    row |= {"procedural difference": 0.035, "procedural low": -0.01, "procedural high": 0.08}
    assert network.weights_table(pd.DataFrame([row])).to_dict("records") == [
        {
            "Study": "fine-tuning, freeze 11",
            "Random": "0.875 (0.850 to 0.900)",
            "Procedural": "0.910 (0.900 to 0.920)",
            "Procedural less random": "+0.035 (-0.010 to +0.080)",
        }
    ]


def test_filters_are_drawn_around_grey():
    weight = np.zeros((3, 3, 7, 7))
    weight[1, 0, 2, 2] = -4.0
    figure = network.first_filters(weight)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 3
    assert (shown[0] == 0.5).all()
    assert shown[1][2, 2].tolist() == [0, 0.5, 0.5]


def test_the_channel_that_tells_two_fields_apart_is_shown_on_one_scale():
    fields = {name: np.zeros((3, 32, 32), np.uint8) for name in ("positive", "negative")}
    first = np.zeros((4, 16, 16))
    first[2] = 3
    first[1, 0] = 1000  # a border, which must not choose
    figure = network.seen_by_layers(
        fields, {"conv1-relu_7x7": dict(zip(fields, (first, 0 * first), strict=True))}
    )
    images = [axes.images[0] for axes in figure.axes if axes.get_title() or axes.images][1::2]
    assert [image.get_array().max() for image in images] == [3, 0]
    assert images[0].get_clim() == images[1].get_clim() == (0, 3)


def test_blocks_add_up_to_the_network():
    blocks = network.block_table(architecture("bvlc"))
    assert blocks["Parameters"].sum() == TABLE["parameters"].sum()
    assert blocks["Multiply-adds"].sum() == TABLE["multiply_adds"].sum()
    assert blocks["Layers"].tolist()[:2] == ["1 to 11", "12 to 25"]
    assert blocks["Layers"].iloc[-1] == "140 to 144"
    bars = network.by_block(blocks).axes[0].patches
    assert [bar.get_width() * 1e3 for bar in bars] == pytest.approx(blocks["Parameters"].tolist())


def test_an_operation_is_drawn_with_a_scale_for_each_channel():
    figure = network.operation({"field": np.zeros((3, 8, 8), np.uint8), "channel": np.eye(8)})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["field", "channel"]
    assert len(figure.axes) == 3
