"""The figures about the network show what they are given, and say it in words."""

import base64
import io
import json
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from hep2lib.cnn.googlenet import FREEZE_DEPTHS, architecture
from hep2lib.cnn.layers import layer_table
from hep2lib.figures import network

matplotlib.use("agg")
TABLE = layer_table(architecture("bvlc"))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(("variant", "boxes"), [("bvlc", 23), ("torchvision", 21)])
def test_the_diagram_has_every_layer_once_and_a_line_at_every_depth(variant, boxes):
    layers = architecture(variant)
    figure, alt = network.network_diagram(layers, list(FREEZE_DEPTHS))
    (axes,) = figure.axes
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    rows = [text.get_text() for text in axes.texts if re.fullmatch(r"\d+(–\d+)?", text.get_text())]
    spans = [tuple(map(int, row.split("–"))) for row in rows if texts[row][0] < 1]
    assert len(spans) == len(axes.patches) == boxes
    assert [n for span in spans for n in range(span[0], span[-1] + 1)] == list(range(1, 145))
    assert len(axes.lines) == 3
    for depth, name in zip(FREEZE_DEPTHS, ("12–25", "111", "140"), strict=True):
        end = next(row for row in rows if texts[row][0] < 1 and row.split("–")[-1] == str(depth))
        assert texts[end][1] < texts[f"freeze {depth}"][1] < texts[name][1]
        assert f"here ends the part that freeze {depth} freezes" in alt
    assert ("local response norm." in texts) == (variant == "bvlc")
    assert f"max pooling {'3 × 3' if variant == 'bvlc' else '2 × 2'}, stride 2 (111)" in alt
    assert "832 × 14 × 14" in texts


@pytest.mark.parametrize(("variant", "widest"), [("bvlc", 5), ("torchvision", 3)])
def test_a_blocks_diagram_has_its_branches_and_their_channels(variant, widest):
    figure, alt = network.block_diagram(architecture(variant), "inception_4a", size=112)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "input: 480 × 7 × 7" in texts
    assert "concatenated channels: 512 × 7 × 7" in texts
    assert f"{widest} × {widest}\n48 filters" in texts
    assert [text for text in texts if text.isdecimal()] == ["192", "208", "48", "64"]
    assert f"16 filters then {widest} × {widest}, 48 filters; maximum, 3 × 3 then 1 × 1, 64 filters" in alt


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
    small = np.zeros((3, 90, 90), np.uint8)
    figure, alt = network.receptive_fields(small, TABLE, ["pool2-3x3_s2"], ["inception_3b-output"])
    shown = [axes.get_legend().get_texts()[0].get_text() for axes in figure.axes]
    assert shown == ["pool2-3x3_s2: 27 x 27", "inception_3b-output: 91 x 91, more than the field"]
    assert alt.endswith("pool2-3x3_s2 27, inception_3b-output 91, more than the field.")


def test_the_softmax_of_two_scores_lies_on_its_curve():
    figure, alt = network.softmax_curve({"positive": np.array([1, 1 + np.log(3)]), "negative": np.zeros(2)})
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[0].lines[1:]]
    assert points[0] == pytest.approx((np.log(3), 0.75))
    assert points[1] == pytest.approx((0, 0.5))
    assert "0.75 for the positive field, 0.50 for the negative" in alt


def test_first_filters_stand_in_rows_of_sixteen_in_their_order():
    weight = np.zeros((64, 3, 7, 7))
    weight[17, 0, 2, 3] = 4.0  # in the second row, the second from the left
    figure = network.first_filters({"random": weight, "procedural": -weight})
    for axes, title, red in zip(figure.axes, ["random", "procedural"], [1.0, 0.0], strict=True):
        shown = np.asarray(axes.images[0].get_array())
        assert (axes.get_title(), shown.shape) == (title, (32, 128, 3))
        assert shown[8 + 2, 8 + 3].tolist() == [red, 0.5, 0.5]
        assert np.unique(shown).tolist() == sorted({0.5, 1.0, red})  # else grey, and white between filters


def test_the_gallery_has_nine_images_of_each_family_in_frames():
    figure = network.procedural_gallery(size=32)
    assert [axes.get_title() for axes in figure.axes] == ["fractals", "leaves", "noise"]
    for axes in figure.axes:
        shown = np.asarray(axes.images[0].get_array())
        assert shown.shape == (3 * 34, 3 * 34, 3)
        tiles = shown.reshape(3, 34, 3, 34, 3).swapaxes(1, 2)
        assert (tiles[:, :, [0, -1]] == 1).all()
        inner = tiles[:, :, 1:-1, 1:-1]
        assert (inner.max((2, 3, 4)) == 1).all()  # each as bright as it gets
        assert len({one.tobytes() for row in inner for one in row}) == 9


def test_the_table_of_weights_has_means_ranges_and_intervals():
    found = {"difference": 0.0225, "low": -0.0002, "high": 0.0451}
    row = {"row": "a study", "random": [0.9, 0.92, 0.88], "procedural": [0.93, 0.92, 0.9175]}
    table = network.kinds_table(pd.DataFrame([row | {f"procedural {k}": v for k, v in found.items()}]))
    assert table.to_dict("records") == [
        {
            "Study": "a study",
            "Random": "0.900 (0.880 to 0.920)",
            "Procedural": "0.922 (0.917 to 0.930)",
            "Difference": "+0.022 (−0.000 to +0.045)",
        }
    ]


def test_a_filter_of_zeros_is_grey_and_a_place_without_a_filter_white():
    weight = np.zeros((3, 3, 7, 7))
    weight[1, 0, 2, 2] = -4.0
    shown = np.asarray(network.first_filters({"": weight}).axes[0].images[0].get_array())
    assert shown.shape == (8, 128, 3)
    assert (shown[:7, :7] == 0.5).all()
    assert shown[2, 8 + 2].tolist() == [0, 0.5, 0.5]
    assert (shown[:, 24:] == 1).all()


def test_the_channel_that_tells_two_fields_apart_is_shown_on_one_scale():
    fields = {name: np.zeros((3, 32, 32), np.uint8) for name in ("positive", "negative")}
    first = np.zeros((4, 16, 16))
    first[2] = 3
    first[1, 0] = 1000  # a border, which must not choose
    figure = network.seen_by_layers(
        fields, {"conv1-relu_7x7": dict(zip(fields, (first, 0 * first), strict=True))}
    )
    images = [axes.images[0] for axes in figure.axes][2:]
    assert figure.axes[2].get_ylabel() == "conv1\nrelu_7x7"
    assert [image.get_array().max() for image in images] == [3, 0]
    assert images[0].get_clim() == images[1].get_clim() == (0, 3)


def test_a_layer_answers_two_fields_with_two_maps_a_square_or_numbers():
    layers = architecture("torchvision")
    sides = layer_table(layers, 64).set_index("name")["size"]
    values = {
        one.name: np.zeros((2, min(one.channels, 5), sides[one.name], sides[one.name])) for one in layers
    }
    first = values["conv1-7x7_s2"]  # 32 x 32 places
    first[0, 3], first[1, 3] = 2, -2
    first[:, 3, :, 16:] *= 0.5
    values["pool5-7x7_s1"] = np.arange(2 * 1024.0).reshape(2, 1024, 1, 1)
    values["prob"] = np.array([[0.25, 0.75], [0.5, 0.5]])
    fields = np.full((2, 3, 64, 64), 100, np.uint8)
    found = network.layer_answers(layers, 64, fields, values)
    assert found["depths"] == list(FREEZE_DEPTHS)
    told = {one["name"]: one for one in found["layers"]}
    assert list(told) == [one.name for one in layers]
    conv = told["conv1-7x7_s2"]
    assert (conv["channel"], conv["low"], conv["high"], conv["side"]) == (3, -2, 2, 32)
    assert (conv["parameters"], conv["cut"], conv["window"]) == (
        9472,
        5,
        "7 × 7, stride 2",
    )  # pool1 and what follows have none
    assert told["prob"]["numbers"] == [[0.25, 0.75], [0.5, 0.5]]
    picture = Image.open(io.BytesIO(base64.b64decode(found["sprite"].partition(",")[2])))
    tiles = np.asarray(picture).reshape(-1, 32, 2, 32).swapaxes(1, 2)
    assert len(tiles) == sum("side" in one for one in found["layers"]) == 141
    assert (tiles[1, :, 5, 5].tolist(), tiles[1, :, 5, 20].tolist()) == ([255, 0], [191, 64])
    pool5 = tiles[139]
    assert (pool5[0, 0, 0], pool5[1, 31, 31]) == (0, 255)
    assert "channel" not in told["pool5-7x7_s1"]
    assert len(json.dumps(found)) < 60_000


def test_blocks_add_up_to_the_network():
    blocks = network.block_table(architecture("bvlc"))
    assert blocks["Parameters"].sum() == TABLE["parameters"].sum()
    assert blocks["Multiply-adds"].sum() == TABLE["multiply_adds"].sum()
    assert blocks["Block"].tolist()[:2] == ["stem (to pool2)", "inception_3a"]
    assert blocks["Receptive field"].tolist()[:2] == [27, 59]
    bars = network.by_block(blocks).axes[0].patches
    assert [bar.get_width() * 1e3 for bar in bars] == pytest.approx(blocks["Parameters"].tolist())


def test_an_operation_is_drawn_with_a_scale_for_each_channel():
    figure = network.operation({"field": np.zeros((3, 8, 8), np.uint8), "channel": np.eye(8)})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["field", "channel"]
    assert len(figure.axes) == 3
