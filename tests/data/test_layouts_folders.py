"""What lies in a database's folder: nothing is let in or left out without a word."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.errors import DatabaseError
from tests.data.handmade import draw, write_csv


def class_folders(root: Path, specimens: int = 4, positive: str = "positive") -> Path:
    for number in range(specimens):
        for field in (1, 2):
            label = positive if number % 2 else "negative"
            draw(root / label / f"P{number}" / f"{field}.png", 10 * number + field)
    return root


def warnings(root: Path, **options: str) -> list[str]:
    return read_database(root, **options).attrs["warnings"]


def warned(root: Path, **options: str) -> str:
    (warning,) = warnings(root, **options)
    return warning


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "db")


CLUTTER = (
    "@eaDir/1.jpg",
    ".thumbnails",
    "__MACOSX",
    "#recycle",
    "$RECYCLE.BIN",
    "lost+found",
    "thumbs",
    "Thumbnails",
)


@pytest.mark.parametrize("name", [*CLUTTER, ".ipynb_checkpoints", "System Volume Information", "@Recycle"])
def test_what_programs_put_there_is_left_out_and_counted(name: str, root: Path) -> None:
    draw(root / "positive" / "P1" / name / "x.jpg")
    assert len(read_database(root)) == 8
    folder = name.partition("/")[0]
    assert (
        warned(root)
        == f"left out, and how many: images in {folder} (1); rename what holds fields nevertheless"
    )


def test_files_of_programs_are_no_images(root: Path) -> None:
    for name in ("._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", "BMI.csv"):
        (root / "positive" / "P1" / name).write_bytes(b"BM" + bytes(3) + b"text, and no image")
    assert warnings(root) == []
    draw(root / "positive" / "P1" / ".hidden.png")
    assert "hidden images (1)" in warned(root)


def test_thumbnails_beside_listed_images_are_no_second_choice(tmp_path: Path) -> None:
    for name in ("s/1.png", "s/2.png", "s/@eaDir/1.png", "s/.thumbnails/2.png"):
        draw(tmp_path / name, len(name))
    write_csv(tmp_path / "t.csv", [("image", "specimen", "label"), ("1.png", "a", 1), ("2.png", "b", 0)])
    table = read_database(tmp_path)
    assert [Path(path).parent.name for path in table["path"]] == ["s", "s"]
    assert any("images in .thumbnails (1), images in @eaDir (1)" in text for text in table.attrs["warnings"])


def test_formats_that_are_not_read_are_counted_with_the_specimens_they_cost(root: Path) -> None:
    for number in (10, 11):
        for ending in ("webp", "GIF"):
            draw(root / "positive" / f"P{number}" / f"1.{ending}")
    draw(root / "negative" / "P2" / "3.webp")
    (root / "negative" / "P2" / "4.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n")
    (root / "negative" / "P2" / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert len(read_database(root)) == 8
    assert warned(root) == (
        "7 images in 3 specimens cannot be read and are left out: 3 .webp, 2 .gif, 1 .jp2, 1 without an "
        "ending; convert them to png; nothing is left of 2 specimens: P10, P11"
    )


def test_formats_that_are_not_read_in_flat_folders(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / ("pos" if number % 2 else "neg") / f"P{number}_1.png", number)
        draw(tmp_path / ("pos" if number % 2 else "neg") / f"P{number + 3}_2.webp", number)
    assert "nothing is left of 3 specimens: P4, P5, P6" in warnings(tmp_path, specimen_pattern=r"P\d+")[0]


def test_only_formats_that_are_not_read(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        draw(tmp_path / label / label / "1.webp")
    with pytest.raises(DatabaseError, match=r"no images in class folders .*; 2 images in 2 .* 2 .webp"):
        read_database(tmp_path, layout="folders")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF"])
@pytest.mark.parametrize("name", ["3", "3.dat", "3.001"])
def test_an_image_without_the_ending_of_one_is_read(form: str, name: str, root: Path) -> None:
    draw(root / "positive" / "P1" / name, format=form)
    table = read_database(root)
    assert f"positive/P1/{name}" in table["image"].tolist()
    assert (
        warned(root) == f"files without the ending of an image, read for what they hold: positive/P1/{name}"
    )


def test_endings_in_upper_case_and_wrong_ones(root: Path) -> None:
    Image.new("L", (20, 20)).save(root / "positive" / "P1" / "3.TIF", format="TIFF")
    draw(root / "positive" / "P1" / "4.webp", format="PNG")  # a PNG whatever it is called
    draw(root / "positive" / "P1" / "5.svs", format="TIFF")  # begins as a TIFF, and is none that is read
    images = read_database(root)["image"].tolist()
    assert {"positive/P1/3.TIF", "positive/P1/4.webp"} <= set(images)
    assert len(images) == 10
    assert [text.partition(":")[0] for text in warnings(root)] == [
        "1 image in 1 specimen cannot be read and are left out",
        "files without the ending of an image, read for what they hold",
    ]


def test_images_in_no_class_folder_are_counted_by_folder(root: Path) -> None:
    for name in ("borderline/P8/1.png", "borderline/P9/1.webp", "train/positive/P7/1.png", "1.png"):
        draw(root / name)
    assert warned(root) == (
        "4 images in the folder are not listed, hence left out: 2 in borderline, 1 in no folder, 1 in train "
        "(listed: 8 images of 4 specimens)"
    )


def test_images_that_no_row_lists_are_counted_of_all_kinds(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.webp", "4", "5.jpg"):
        draw(tmp_path / name, format="WEBP" if "webp" in name else "PNG")
    write_csv(tmp_path / "t.csv", [("image", "specimen", "label"), ("1.png", "a", 1), ("2.png", "b", 0)])
    assert "3 images in the folder are not listed, hence left out: 4, 5.jpg, 3.webp" in warnings(tmp_path)[0]


def test_class_folders_of_other_words(tmp_path: Path) -> None:
    class_folders(tmp_path, positive="homogeneous")
    (tmp_path / "negative").rename(tmp_path / "healthy")
    table = read_database(tmp_path, negative="healthy", layout="folders")
    assert table["label"][table["specimen"] == "P0"].tolist() == [0, 0]


def split(root: Path) -> None:
    for part in ("train", "test"):
        class_folders(root / part)


STRUCTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "parts above the classes": (
        split,
        "there are class folders in .*train: give that folder, or put all parts tog",
    ),
    "classes within a class": (
        lambda root: [class_folders(root), draw(root / "positive" / "Negative" / "P9" / "1.png")],
        "class folders within class folders .positive/Negative/P9/1.png.; move them apart",
    ),
    "a class twice, as unpacking does": (
        lambda root: [class_folders(root), draw(root / "positive" / "positive" / "P9" / "1.png")],
        "class folders within class folders",
    ),
    "a class behind a link": (
        lambda root: [
            class_folders(root.parent / "other"),
            class_folders(root, 1),
            (root / "positive").symlink_to(root.parent / "other" / "positive"),
        ],
        "listed images are negative; positive ones are needed too; .*the folder behind the link positive",
    ),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_structures_that_are_refused(case: str, tmp_path: Path) -> None:
    root = tmp_path / "db"
    root.mkdir()
    spoil, message = STRUCTURES[case]
    spoil(root)
    with pytest.raises(DatabaseError, match=message):
        read_database(root)


def test_links_to_folders_are_counted(root: Path, tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "1.png")
    (root / "positive" / "P9").symlink_to(tmp_path / "elsewhere")
    assert "the folder behind the link positive/P9 (1)" in warned(root)


def test_specimens_called_as_a_class_may_be(tmp_path: Path) -> None:
    for label in ("positive", "negative"):
        for specimen in ("1", "P", "0"):
            draw(tmp_path / label / f"{specimen}" / "1.png")
    assert len(read_database(tmp_path)) == 6


def test_empty_folders_and_folders_of_folders_are_told(root: Path) -> None:
    (root / "positive" / "P9").mkdir()
    draw(root / "positive" / "P1" / "day 2" / "1.png")
    texts = warnings(root)
    assert texts[0] == "folders without an image: positive/P9"
    assert texts[1].startswith(
        "folders within a folder are taken for specimens of their own (if the outer one is the patient's, "
    )
    assert texts[1].endswith(": P1, P1/day 2")
    table = read_database(root, specimen_pattern="/([^/]+)/")
    assert table["specimen"].nunique() == 4
    assert table.attrs["warnings"] == ["folders without an image: positive/P9"]


def test_notes_beside_class_folders_are_no_sheet(root: Path) -> None:
    (root / "README.txt").write_text("Fields of 2019.", encoding="utf-8")
    assert len(read_database(root)) == 8
