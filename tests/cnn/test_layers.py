import pytest

from hep2lib.cnn.googlenet import architecture
from hep2lib.cnn.layers import Kind, Layer, layer_table


@pytest.fixture(scope="module")
def table():
    return layer_table(architecture("bvlc", classes=1000)).set_index("name")


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("data", "3x224x224"),
        ("conv1-7x7_s2", "64x112x112"),
        ("pool1-3x3_s2", "64x56x56"),
        ("pool2-3x3_s2", "192x28x28"),
        ("inception_3a-output", "256x28x28"),
        ("inception_3b-output", "480x28x28"),
        ("pool3-3x3_s2", "480x14x14"),
        ("inception_4a-5x5_reduce", "16x14x14"),
        ("inception_4d-output", "528x14x14"),
        ("inception_4e-output", "832x14x14"),
        ("pool4-3x3_s2", "832x7x7"),
        ("inception_5b-output", "1024x7x7"),
        ("pool5-7x7_s1", "1024x1x1"),
        ("loss3-classifier", "1000x1x1"),
        ("output", "1000x1x1"),
    ],
)
def test_output_shapes_are_those_of_the_publication(table, name, output):
    assert table.loc[name, "output"] == output


def test_the_original_network_has_6998552_parameters(table):
    assert table["parameters"].sum() == 6_998_552


def test_parameters_of_one_layer(table):
    assert table.loc["conv1-7x7_s2", "parameters"] == 7 * 7 * 3 * 64 + 64
    assert table.loc["inception_3a-5x5", "parameters"] == 5 * 5 * 16 * 32 + 32
    assert table.loc["pool1-norm1", "parameters"] == 0


def test_multiply_adds_of_torchvisions_network_are_its_published_1498_million():
    total = layer_table(architecture("torchvision", 1000))["multiply_adds"].sum()
    assert round(total / 1e6) == 1498


def test_receptive_fields_follow_from_the_windows(table):
    fields = table["receptive_field"]
    assert fields["conv1-7x7_s2"] == 7
    assert fields["pool1-3x3_s2"] == 7 + 2 * 2
    assert fields["conv2-3x3"] == 11 + 2 * 4
    assert fields["pool2-3x3_s2"] == 19 + 2 * 4
    assert fields["inception_3a-1x1"] == 27
    assert fields["inception_3a-output"] == 27 + 4 * 8
    assert fields["pool5-7x7_s1"] == fields["inception_5b-output"] + 6 * 32
    assert table.loc["inception_5b-output", "step"] == 32


def test_pooling_rounds_up_and_convolution_down():
    window = {"inputs": (), "in_channels": 1, "channels": 1, "kernel": 3, "stride": 2}
    assert Layer(1, "pool", Kind.MAX_POOLING, **window).output_size(112) == 56
    assert Layer(1, "conv", Kind.CONVOLUTION, **window).output_size(112) == 55
