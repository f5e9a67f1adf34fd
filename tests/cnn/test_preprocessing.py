import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.preprocessing import CAFFE, MATLAB, TORCHVISION_TRANSFORMED, Preprocessing
from hep2lib.errors import InputError


def pixel(red: int, green: int, blue: int) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        (MATLAB, [200 - 123, 100 - 117, 0 - 104]),
        (CAFFE, [0 - 104, 100 - 117, 200 - 123]),
        (TORCHVISION_TRANSFORMED, [200 / 127.5 - 1, 100 / 127.5 - 1, -1]),
        (
            Preprocessing((1.0, 2.0, 3.0), (0.1, 0.2, 0.3), "bgr"),
            [(0 - 3) * 0.3, (100 - 2) * 0.2, (200 - 1) * 0.1],
        ),
    ],
)
def test_pixels_computed_by_hand(preprocessing, expected):
    values = preprocessing(pixel(200, 100, 0))
    assert values.dtype == torch.float32
    assert values.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_result_is_channels_last(images):
    for preprocessing in (MATLAB, CAFFE):
        assert preprocessing(images).is_contiguous(memory_format=torch.channels_last)


def test_a_mean_image_is_subtracted_pixel_by_pixel():
    mean = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    values = Preprocessing((0.0, 0.0, 0.0), mean_image=mean)(torch.full((1, 3, 2, 2), 50, dtype=torch.uint8))
    assert values[0].tolist() == (50 - mean).tolist()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 4, 4), "images must be uint8"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), "N x 3 x H x W"),
        (torch.zeros(1, 3, 4, 5, dtype=torch.uint8), "mean image of 4 x 4 pixels; the images have 4 x 5"),
    ],
)
def test_unusable_images_are_refused(images, message):
    mean = np.zeros((3, 4, 4), dtype=np.float32)
    with pytest.raises(InputError, match=message):
        Preprocessing((0.0, 0.0, 0.0), mean_image=mean)(images)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": (1.0, float("inf"), 1.0)},
        {"order": "grb"},
        {"mean_image": np.zeros((1, 4, 4), np.float32)},
        {"mean_image": np.full((3, 4, 4), np.nan, np.float32)},
    ],
)
def test_what_no_network_can_expect_is_refused(options):
    with pytest.raises(InputError, match="a preprocessing needs finite numbers"):
        Preprocessing((0.0, 0.0, 0.0), **options)


def test_the_digest_tells_all_differences():
    mean = np.zeros((3, 4, 4), dtype=np.float32)
    kinds = [MATLAB, CAFFE, Preprocessing(MATLAB.mean, (0.5, 0.5, 0.5)), TORCHVISION_TRANSFORMED]
    kinds += [Preprocessing(MATLAB.mean, mean_image=image) for image in (mean, mean + 1)]
    assert len({kind.digest() for kind in kinds}) == len(kinds)
    assert MATLAB.digest() == Preprocessing((123.0, 117.0, 104.0)).digest()


def test_each_variant_starts_with_its_own():
    assert GoogLeNet("bvlc").preprocess == MATLAB
    assert GoogLeNet("torchvision").preprocess == TORCHVISION_TRANSFORMED
