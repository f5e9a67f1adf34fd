import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.data.images import decode, largest_value, load_images, measured_bit_depth, quietly, read_header
from hep2lib.errors import DatabaseError
from tests.data.handmade import draw, write_aida, write_png16


def deep(channels: int = 1, bits: int = 12, seed: int = 0) -> np.ndarray:
    shape = (18, 20) if channels == 1 else (18, 20, channels)
    pixels = np.random.default_rng(seed).integers(0, 2**bits, shape)
    pixels.flat[0] = 2**bits - 1
    return pixels


def scaled(pixels: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(pixels * (255 / (2**bits - 1))).astype(np.uint8)


def write_tiff16(path: Path, pixels: np.ndarray, order: str) -> Path:
    """Write 16 bits a channel, uncompressed, in byte order "<" or ">", which Pillow cannot do of colour."""
    height, width, channels = pixels.shape
    tags = [(256, 3, width), (257, 3, height), (259, 3, 1), (262, 3, 2), (277, 3, channels), (278, 3, height)]
    offset = 8 + 2 + 12 * (len(tags) + 3) + 4
    entries = {tag: struct.pack(order + "HHIHH", tag, kind, 1, value, 0) for tag, kind, value in tags}
    entries[258] = struct.pack(order + "HHII", 258, 3, channels, offset)
    entries[273] = struct.pack(order + "HHII", 273, 4, 1, offset + 2 * channels)
    entries[279] = struct.pack(order + "HHII", 279, 4, 1, pixels.size * 2)
    directory = (
        struct.pack(order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    )
    mark = b"II" if order == "<" else b"MM"
    head = (
        mark
        + struct.pack(order + "HI", 42, 8)
        + directory
        + struct.pack(order + f"{channels}H", *[16] * channels)
    )
    path.write_bytes(head + pixels.astype(order + "u2").tobytes())
    return path


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
        assert largest_value(path) == 2**bits - 1
        assert np.array_equal(decode(path, bits), np.repeat(scaled(pixels, bits)[..., None], 3, axis=2))


def test_colour_of_16_bits_keeps_all_of_them(tmp_path: Path) -> None:
    pixels = deep(3)
    paths = [
        write_png16(tmp_path / "a.png", pixels),
        write_tiff16(tmp_path / "little.tif", pixels, "<"),
        write_tiff16(tmp_path / "big.tif", pixels, ">"),
    ]
    for path in paths:
        assert read_header(path).bits == 16
        assert largest_value(path) == 4095
        assert np.array_equal(decode(path, 12), scaled(pixels, 12))


def test_alpha_of_16_bits_is_left_out(tmp_path: Path) -> None:
    pixels = deep(4)
    assert np.array_equal(decode(write_png16(tmp_path / "a.png", pixels), 12), scaled(pixels[..., :3], 12))


def test_one_factor_for_the_whole_database(tmp_path: Path) -> None:
    """A dim image stays dim beside a bright one, and alone: never is an image scaled to its own maximum."""
    root = write_aida(tmp_path / "db")
    folder = root / "aida_project_database"
    write_png16(folder / "01_0.png", np.full((20, 20), 4095))
    write_png16(folder / "01_1.png", np.full((20, 20), 400))
    database = read_database(root)
    assert database.attrs["bit_depth"] == 12
    images = load_images(database, 16)
    assert images[0].unique().tolist() == [255]
    assert images[1].unique().tolist() == [round(400 * 255 / 4095)]
    assert load_images(database.iloc[[1]], 16).unique().tolist() == [25]
    known = read_database(root, bit_depth=16)
    assert load_images(known, 16)[0].unique().tolist() == [round(4095 * 255 / 65535)]
    bare = database.iloc[[1]].copy()
    bare.attrs = {}
    assert load_images(bare, 16).unique().tolist() == [round(400 * 255 / 511)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 65535))
def test_measured_bit_depth(tmp_path_factory: pytest.TempPathFactory, value: int) -> None:
    path = write_png16(tmp_path_factory.mktemp("depth") / "a.png", np.full((16, 16), value))
    depth = measured_bit_depth([path])
    assert 9 <= depth <= 16
    assert value < 2**depth
    assert depth == 9 or value >= 2 ** (depth - 1)


def test_8_bit_images_have_no_depth_to_measure(tmp_path: Path) -> None:
    assert largest_value(draw(tmp_path / "a.png")) == 0
    assert read_database(write_aida(tmp_path / "db"), bit_depth=12).attrs["bit_depth"] == 8


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


def test_noted_orientation_is_not_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert decode(tmp_path / "a.jpg").shape == (20, 40, 3)


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
