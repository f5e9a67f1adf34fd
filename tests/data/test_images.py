import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hep2lib.data import images as images_module
from hep2lib.data.database import read_database
from hep2lib.data.images import load_images, prepared, rotate
from hep2lib.errors import DatabaseError
from tests.data.handmade import aida_rows, write_aida


@pytest.fixture
def database(tmp_path: Path) -> pd.DataFrame:
    return read_database(write_aida(tmp_path / "database", aida_rows(6)))


def age_files(database: pd.DataFrame) -> None:
    """Make the files look as if they had been there for a minute."""
    for path in database["path"]:
        os.utime(path, (time.time() - 60, time.time() - 60))


def test_row_i_of_the_tensor_is_row_i_of_the_database(database: pd.DataFrame) -> None:
    tensor = load_images(database, 32)
    assert tensor.shape == (12, 3, 32, 32)
    assert tensor.dtype == torch.uint8
    for row, path in enumerate(database["path"]):
        with Image.open(path) as image:
            expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        assert np.array_equal(tensor[row].numpy(), expected)
    assert torch.equal(load_images(database.iloc[[5, 2]], 32), tensor[[5, 2]])


def test_cache_gives_the_same_and_is_used(database: pd.DataFrame, tmp_path: Path, monkeypatch) -> None:
    age_files(database)
    cache = tmp_path / "cache"
    fresh = load_images(database, 24, cache=cache)
    assert torch.equal(fresh, load_images(database, 24))
    assert sorted(p.suffix for p in cache.iterdir()) == [".json", ".npy"]

    def refuse(*arguments: object) -> None:
        raise AssertionError("nothing is decoded or read twice")

    monkeypatch.setattr(images_module, "decode", refuse)
    monkeypatch.setattr("hep2lib.data.images.file_checksum", refuse)
    kept = load_images(database, 24, cache=cache)
    assert torch.equal(kept, fresh)
    kept.zero_()  # a copy of its own: what others read stays as it was
    assert torch.equal(load_images(database, 24, cache=cache), fresh)


def test_cache_notices_changed_files_and_parameters(database: pd.DataFrame, tmp_path: Path) -> None:
    age_files(database)
    cache = tmp_path / "cache"
    before = load_images(database, 24, cache=cache)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(database["path"][3])
    after = load_images(database, 24, cache=cache)
    assert torch.equal(after[3], torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None].expand(3, 24, 24))
    assert torch.equal(after[:3], before[:3])
    assert load_images(database, 20, cache=cache).shape[-1] == 20
    assert not torch.equal(load_images(database, 24, cache=cache, colour="green"), after)


def test_damaged_cache_is_made_anew(database: pd.DataFrame, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    expected = load_images(database, 24)
    load_images(database, 24, cache=cache)
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(load_images(database, 24, cache=cache), expected)


def test_all_unreadable_images_are_named_and_nothing_is_left(database: pd.DataFrame, tmp_path: Path) -> None:
    for row in (1, 4):
        path = Path(database["path"][row])
        path.write_bytes(path.read_bytes()[:1000])
    cache = tmp_path / "cache"
    with pytest.raises(DatabaseError) as caught:
        load_images(database, 24, cache=cache)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("AIDA_HEp-2_GroundTruth.csv, row 3: ")
    assert "01_1.png: the image cannot be read" in caught.value.problems[0]
    assert "03_0.png: the image cannot be read" in caught.value.problems[1]
    assert [path.name for path in cache.iterdir() if path.suffix != ".json"] == []
    Path(database["path"][0]).unlink()
    with pytest.raises(DatabaseError, match="no longer there"):
        load_images(database, 24, cache=cache)


def test_pad_keeps_the_aspect_on_black() -> None:
    white = np.full((30, 60, 3), 255, dtype=np.uint8)
    padded = prepared(white, 20, "pad")
    assert (padded[:, 5:15] == 255).all()
    assert (padded[:, :5] == 0).all()
    assert (padded[:, 15:] == 0).all()
    assert (prepared(white, 20) == 255).all()


def test_green_is_the_green_channel_three_times() -> None:
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[...] = (10, 20, 30)
    assert (prepared(pixels, 8, colour="green") == 20).all()
    assert prepared(pixels, 8, colour="green").shape == (3, 8, 8)


def test_resizing_has_matlabs_bicubic_kernel() -> None:
    """Keys' kernel with a = -0.5, a quarter of a pixel off: (-9, 111, 29, -3) / 128, or mirrored."""
    row = np.zeros(16, dtype=np.uint8)
    row[8] = 128
    enlarged = prepared(np.repeat(np.tile(row, (16, 1))[..., None], 3, axis=2), 32)[0, 10].astype(int)
    assert enlarged[13:21].tolist() == [0, 0, 29, 111, 111, 29, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size 0"),
        ({"aspect": "crop"}, "aspect 'crop': it may be stretch or pad"),
        ({"colour": "grey"}, "colour 'grey': it may be rgb or green"),
    ],
)
def test_impossible_parameters(database: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        load_images(database, **options)


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.randint(
        0, 256, (3, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_quarter_turns_are_exact_and_anticlockwise(noise: torch.Tensor) -> None:
    for quarters in range(-1, 5):
        assert torch.equal(rotate(noise, 90.0 * quarters), torch.rot90(noise, quarters, (2, 3)))


def test_no_rotation_is_the_identity_and_a_copy(noise: torch.Tensor) -> None:
    turned = rotate(noise, 0)
    assert torch.equal(turned, noise)
    assert turned.data_ptr() != noise.data_ptr()


def test_rotation_does_not_depend_on_the_batch(noise: torch.Tensor) -> None:
    many = noise.repeat(50, 1, 1, 1)
    for degrees in range(0, 360, 20):
        turned = rotate(many, degrees)
        assert turned.dtype == torch.uint8
        assert turned.shape == many.shape
        assert torch.equal(turned[147:148], rotate(noise[:1], degrees))


def test_rotation_is_bilinear_about_the_centre() -> None:
    """A plane stays a plane under rotation, and the centre stays where it is."""
    y, x = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    plane = (100 + 2 * (x - 20)).to(torch.uint8)[None, None]
    turned = rotate(plane, 30)[0, 0].float()
    angle = torch.deg2rad(torch.tensor(30.0))
    expected = 100 + 2 * (torch.cos(angle) * (x - 20) - torch.sin(angle) * (y - 20))
    inside = (x - 20) ** 2 + (y - 20) ** 2 < 19**2
    assert (turned - expected).abs()[inside].max() <= 0.51
    assert turned[20, 20] == 100
    assert turned[0, 0] == 0


def test_the_corners_are_black() -> None:
    bright = torch.full((1, 1, 20, 20), 200, dtype=torch.uint8)
    assert rotate(bright, 45)[0, 0, 0, 0] == 0


def test_rotation_refuses_what_is_no_image(noise: torch.Tensor) -> None:
    with pytest.raises(DatabaseError, match="only uint8 images"):
        rotate(noise.float(), 20)
    with pytest.raises(DatabaseError, match="nan degrees"):
        rotate(noise, float("nan"))
