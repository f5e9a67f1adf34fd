"""How many bits the 16-bit images of a database use: one number, its reason, and what is doubtful."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hep2lib.data.database import read_database
from hep2lib.data.images import load_images
from hep2lib.data.report import describe
from hep2lib.errors import DatabaseError
from tests.data.handmade import aida_rows, write_aida, write_png16
from tests.data.rasters import write_tiff

IMAGES = [f"{specimen:02d}_{field}.png" for specimen in range(1, 7) for field in (0, 1)]


def written(root: Path, largest: Sequence[int], step: int = 1, values: Sequence[int] = (0, 3, 7)) -> Path:
    """Write a database whose first images are of 16 bits: noise of some values, and a largest one."""
    write_aida(root, aida_rows(6))
    for image, top in zip(IMAGES, largest, strict=False):
        pixels = np.random.default_rng(len(image)).choice(values, (20, 20)) * step
        pixels[:3, :3] = top
        write_png16(root / "aida_project_database" / image, pixels)
    return root


def doubts(database: pd.DataFrame) -> list[str]:
    return [text for text in database.attrs["warnings"] if "bits" in text]


ALL = len(IMAGES)
DARK = "16-bit images reach"
DEPTHS: dict[str, tuple[Sequence[int], int, int, str, list[str]]] = {
    "full range": ([65535] * ALL, 1, 16, "16 bits are used; the largest value is 65,535, in 12 images", []),
    "full range, none saturated": ([40000 + 11 * n for n in range(ALL)], 1, 16, "16 bits are used", []),
    "12 bits, saturated": (
        [4095] * 5 + [900] * 7, 1, 12,
        "12 bits are used; the largest value is 4,095, in 5 images, the most that 12 bits hold", [],
    ),
    "14 bits, saturated": ([16383] * 2 + [90] * 10, 1, 14, "14 bits are used", []),
    "10 bits, saturated": ([1023] * 12, 1, 10, "10 bits are used", []),
    "13 bits, saturated": ([8191] * 12, 1, 13, "13 bits are used", []),
    "8 bits in files of 16": ([255] * 12, 1, 8, "8 bits are used", []),
    "15 bits, as of signed numbers": ([32767] * 12, 1, 15, "15 bits are used", []),
    "12 bits at the upper end": ([65520] * 12, 16, 16, "16 bits are used", []),
    "12 bits at the upper end, all dark": ([5200] * 12, 16, 16, "16 bits are used", []),
    "10 bits at the upper end of 12": ([4092] * 12, 4, 12, "12 bits are used", []),
    "a dark full range": (
        [6000, 5000] * 6, 1, 16,
        "16 bits are used; the largest value is 6,000, in 6 images",
        [f"{DARK} 6,000 of 65,535 and are dark: give bits=14 if their camera had 14, else bits=16: "
         "01_0.png, 02_0.png, 03_0.png, 04_0.png, 05_0.png and 1 more"],
    ),
    "12 bits, none saturated": (
        [3521] + [900] * 11, 1, 16, "16 bits are used",
        [f"{DARK} 3,521 of 65,535 and are dark: give bits=12 if their camera had 12, else bits=16: "
         "01_0.png"],
    ),
    "12 bits, one image saturated": (
        [4095] + [900] * 11, 1, 16, "16 bits are used",
        [f"{DARK} 4,095 of 65,535 and are dark: give bits=12 if their camera had 12, else bits=16: "
         "01_0.png"],
    ),
    "two cameras": (
        [4095] * 2 + [60000 + n for n in range(10)], 1, 16, "16 bits are used; the largest value is 60,009",
        ["2 16-bit images stop at 4,095, as with 12 bits, others reach 60,009: is it one scale? "
         "01_0.png, 01_1.png"],
    ),
    "all black": ([0] * ALL, 0, 16, "16 bits are used; the largest value is 0", [
        f"{DARK} 0 of 65,535 and are dark: give bits=8 if their camera had 8, else bits=16: "
        "01_0.png, 01_1.png, 02_0.png, 02_1.png, 03_0.png and 7 more"]),
    "flat, a power of two": ([4096] * ALL, 0, 16, "16 bits are used; the largest value is 4,096", []),
    "8 bits beside 16": (
        [60000, 50000], 1, 16, "16 bits are used; the largest value is 60,000, in 1 image",
        ["only 2 of 12 images have 16 bits, is their white that of 8? 01_0.png, 01_1.png"],
    ),
    "8 bits beside 12": (
        [4095, 4095], 1, 12, "12 bits are used",
        ["only 2 of 12 images have 16 bits, is their white that of 8? 01_0.png, 01_1.png"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DEPTHS)
def test_depth(case: str, tmp_path: Path) -> None:
    largest, step, depth, reason, warnings = DEPTHS[case]
    database = read_database(written(tmp_path / "db", largest, step))
    assert database.attrs["bit_depth"] == depth
    assert database.attrs["depth"].startswith(reason)
    assert doubts(database) == warnings


def test_the_depth_stands_in_the_report_and_scales_the_images(tmp_path: Path) -> None:
    """A dim image stays dim beside a bright one, and alone: never is an image scaled to its own maximum."""
    database = read_database(written(tmp_path / "db", [4095, 4095, *[400] * 10], values=(400,)))
    report = describe(database)
    line = "12 bits are used; the largest value is 4,095, in 2 images, the most that 12 bits hold"
    assert report.depth == line
    assert f"  16-bit images: {line} (bits=... sets it)" in report.text().splitlines()
    images = load_images(database, 16)
    assert images[0].max() == 255
    assert images[5].unique().tolist() == [round(400 * 255 / 4095)]
    assert load_images(database.iloc[[5]], 16).unique().tolist() == [25]
    bare = database.iloc[[5]].copy()
    bare.attrs = {}
    assert load_images(bare, 16).unique().tolist() == [round(400 * 255 / 65535)]


def test_the_depth_can_be_set(tmp_path: Path) -> None:
    root = written(tmp_path / "db", [3521, *[900] * 11])
    database = read_database(root, bits=12)
    assert (database.attrs["bit_depth"], doubts(database)) == (12, [])
    assert database.attrs["depth"] == "12 bits are used, as asked for"
    assert load_images(database, 20)[0].max() == round(3521 * 255 / 4095)
    assert doubts(read_database(root, bits=16)) == []


def test_values_beyond_the_depth_that_was_set_are_named(tmp_path: Path) -> None:
    database = read_database(written(tmp_path / "db", [900, 60000, *[900] * 10]), bits=12)
    problem = r"csv, row 3: .*01_1.png: holds 60,000, and 12 bits end at 4,095"
    assert not describe(database).usable
    with pytest.raises(DatabaseError, match=problem):
        raise DatabaseError(describe(database).problems)
    with pytest.raises(DatabaseError, match=problem):
        load_images(database, 16)


def test_images_of_8_bits_have_no_depth(tmp_path: Path) -> None:
    database = read_database(write_aida(tmp_path / "db"))
    assert (database.attrs["bit_depth"], database.attrs["depth"], doubts(database)) == (8, "", [])
    assert "16-bit" not in describe(database).text()
    asked = read_database(tmp_path / "db", bits=12)
    assert asked.attrs["bit_depth"] == 8
    assert doubts(asked) == ["bits=12 changes nothing: no image has 16 bits a channel"]


def test_tiffs_of_12_bits_say_their_scale_themselves(tmp_path: Path) -> None:
    root = write_aida(tmp_path / "db")
    pixels = np.full((20, 20), 2048)
    write_tiff(root / "aida_project_database" / "01_0.png", pixels, 1, 12)
    database = read_database(root)
    assert (database.attrs["bit_depth"], database.attrs["depth"]) == (8, "")
    assert load_images(database, 16)[0].unique().tolist() == [round(2048 * 255 / 4095)]


def test_an_image_that_breaks_off_is_named_with_its_row(tmp_path: Path) -> None:
    root = written(tmp_path / "db", [60000] * ALL)
    path = root / "aida_project_database" / "01_1.png"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatabaseError, match=r"csv, row 3: .*01_1.png: the image cannot be read"):
        read_database(root)


def test_a_negative_image_of_the_full_range_stays_dark(tmp_path: Path) -> None:
    """Negatives saved with 16 bits beside positives with 8: they were made eight times as bright once."""
    root = written(tmp_path / "db", [6000, 6000])
    images = load_images(read_database(root), 20)
    assert images[:2].max() == round(6000 * 255 / 65535)
