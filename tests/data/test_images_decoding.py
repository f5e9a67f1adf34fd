import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hep2lib.data.images import decode, quietly, read_header
from hep2lib.errors import DatabaseError
from tests.data.handmade import draw, write_png16
from tests.data.rasters import write_tiff


def deep(channels: int = 1, bits: int = 12, seed: int = 0) -> np.ndarray:
    shape = (18, 20) if channels == 1 else (18, 20, channels)
    pixels = np.random.default_rng(seed).integers(0, 2**bits, shape)
    pixels.flat[0] = 2**bits - 1
    return pixels


def scaled(pixels: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(pixels * (255 / (2**bits - 1))).astype(np.uint8)


def test_contents_decide_the_format(tmp_path: Path) -> None:
    path = draw(tmp_path / "image.png", size=(50, 40), format="BMP")
    header = read_header(path)
    assert (header.format, header.width, header.height, header.mode) == ("BMP", 50, 40, "RGB")
    assert (header.bits, header.frames) == (8, 1)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_grey_of_16_bits_is_scaled_by_the_depth_given(tmp_path: Path, bits: int) -> None:
    pixels = deep(1, bits)
    png = write_png16(tmp_path / "a.png", pixels)
    Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / "a.tif")
    for path in (png, tmp_path / "a.tif"):
        assert read_header(path).bits == 16
        assert np.array_equal(decode(path, bits), np.repeat(scaled(pixels, bits)[..., None], 3, axis=2))


def test_colour_of_16_bits_keeps_all_of_them(tmp_path: Path) -> None:
    pixels = deep(3)
    paths = [
        write_png16(tmp_path / "a.png", pixels),
        write_tiff(tmp_path / "little.tif", pixels, 2, 16),
        write_tiff(tmp_path / "big.tif", pixels, 2, 16, order=">"),
    ]
    for path in paths:
        assert read_header(path).bits == 16
        assert np.array_equal(decode(path, 12), scaled(pixels, 12))


def test_values_beyond_the_depth_are_refused_not_clipped(tmp_path: Path) -> None:
    path = write_png16(tmp_path / "a.png", deep(1, 13))
    with pytest.raises(DatabaseError, match=r"a.png: holds 8,191, and 12 bits end at 4,095"):
        decode(path, 12)


def test_modes_become_red_green_and_blue(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (16, 20)).astype(np.uint8)
    for mode in ("L", "P", "RGB", "RGBA", "LA", "RGBX", "PA"):
        suffix = ".tif" if mode in ("RGBX", "PA", "LA") else ".png"
        path = tmp_path / f"{mode}{suffix}"
        Image.fromarray(grey).convert("RGB" if mode == "RGBX" else mode).save(path)
        assert np.array_equal(decode(path), np.repeat(grey[..., None], 3, axis=2)), mode


def test_transparent_is_black(tmp_path: Path) -> None:
    pixels = np.full((16, 16, 4), 200, dtype=np.uint8)
    pixels[:8, :, 3] = 0
    pixels[8:, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    decoded = decode(tmp_path / "a.png")
    assert (decoded[:8] == 0).all()
    assert (decoded[8:] == 200).all()


def test_cmyk_of_white_is_white(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert (decode(tmp_path / "a.jpg") >= 254).all()


def test_broken_metadata_are_passed_over_in_silence(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = draw(tmp_path / "a.jpg")
    content = path.read_bytes()
    segment = b"Exif\0\0II*\0\xff\xff\0\0"
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:])
    with quietly():
        assert decode(path).shape == (30, 40, 3)
    assert not recwarn.list


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"gone.png: the image cannot be read"):
        read_header(tmp_path / "gone.png")
