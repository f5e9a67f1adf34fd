from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from hep2lib.data.report import NEAR, find_duplicates, fingerprint, fingerprints


def field(seed: int) -> np.ndarray:
    """Draw discs on a dark ground, as cells lie in a field."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :160]
    image = generator.normal(20, 3, (120, 160))
    for _ in range(25):
        cx, cy, light = generator.uniform((0, 0, 40), (160, 120, 160))
        image += light * ((x - cx) ** 2 + (y - cy) ** 2 < 64)
    return np.clip(image, 0, 255).astype(np.uint8)


def table(folder: Path, files: list[tuple[str, str, int]]) -> pd.DataFrame:
    rows = [(name, str(folder / name), label, specimen) for name, specimen, label in files]
    return pd.DataFrame(rows, columns=["image", "path", "label", "specimen"])


def distance(a: Path, b: Path) -> int:
    looks = zip(fingerprint(a).look, fingerprint(b).look, strict=True)
    return sum((one ^ other).bit_count() for one, other in looks)


def test_same_pixels_in_another_format_are_exact_duplicates(tmp_path: Path) -> None:
    for name, seed in (("a.png", 1), ("b.bmp", 1), ("c.png", 2), ("d.tif", 1)):
        Image.fromarray(field(seed)).save(tmp_path / name)
    database = table(tmp_path, [("a.png", "p", 1), ("b.bmp", "q", 0), ("c.png", "q", 0), ("d.tif", "p", 1)])
    prints, problems = fingerprints(database)
    assert problems == []
    (group,) = find_duplicates(database, prints)
    assert group.images == ("a.png", "b.bmp", "d.tif")
    assert group.specimens == ("p", "q")
    assert group.labels == (0, 1)
    assert group.exact
    assert group.across


def test_copies_that_look_alike_are_near_duplicates(tmp_path: Path) -> None:
    pixels = field(1)
    Image.fromarray(pixels).save(tmp_path / "original.png")
    Image.fromarray(pixels).save(tmp_path / "compressed.jpg", quality=60)
    Image.fromarray((pixels * 0.7).astype(np.uint8)).save(tmp_path / "darker.png")
    Image.fromarray(pixels).resize((80, 60)).save(tmp_path / "smaller.png")
    Image.fromarray(pixels[2:-2, 2:-2]).save(tmp_path / "cropped.png")
    for name in ("compressed.jpg", "darker.png", "smaller.png"):
        assert distance(tmp_path / "original.png", tmp_path / name) <= NEAR, name
    database = table(tmp_path, [("original.png", "p", 1), ("compressed.jpg", "p", 1)])
    (group,) = find_duplicates(database, fingerprints(database)[0])
    assert not group.exact
    assert not group.across
    assert group.labels == (1,)


def test_fields_of_one_specimen_are_no_duplicates(tmp_path: Path) -> None:
    names = [f"{seed}.png" for seed in range(12)]
    for seed, name in enumerate(names):
        Image.fromarray(field(seed)).save(tmp_path / name)
    database = table(tmp_path, [(name, "p", 1) for name in names])
    assert find_duplicates(database, fingerprints(database)[0]) == []
    distances = [distance(tmp_path / names[0], tmp_path / name) for name in names[1:]]
    assert min(distances) > 3 * NEAR


def test_flat_images_are_compared_by_pixels_only(tmp_path: Path) -> None:
    for name, light in (("a.png", 0), ("b.png", 1), ("c.png", 1)):
        Image.new("L", (20, 20), light).save(tmp_path / name)
    database = table(tmp_path, [("a.png", "p", 1), ("b.png", "q", 1), ("c.png", "q", 1)])
    groups = find_duplicates(database, fingerprints(database)[0])
    assert [group.images for group in groups] == [("b.png", "c.png")]


def test_unreadable_images_are_passed_over(tmp_path: Path) -> None:
    Image.fromarray(field(1)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    database = table(tmp_path, [("a.png", "p", 1), ("b.png", "q", 1)])
    prints, problems = fingerprints(database)
    assert prints[1] is None
    assert len(problems) == 1
    assert "b.png: empty, 0 bytes" in problems[0]
    assert find_duplicates(database, prints) == []
    assert find_duplicates(database.iloc[:0], []) == []
