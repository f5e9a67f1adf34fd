"""Which file a sheet's name means: as written first, by the end of a whole path, never by a guess."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from hep2lib.data.database import read_database
from hep2lib.errors import DatabaseError
from tests.data.handmade import draw, write_csv


def database(root: Path, names: Sequence[str], files: Sequence[str]) -> Path:
    """Write files below "images", and a sheet that lists names for them, half of them negative."""
    for seed, name in enumerate(files):
        draw(root / "images" / name, seed, format="PNG")
    rows = [(name, f"s{n}", ("positive", "negative")[n % 2]) for n, name in enumerate(names)]
    write_csv(root / "truth.csv", [("image", "specimen", "label"), *rows])
    return root


def found(root: Path) -> list[str]:
    table = read_database(root, images="images")
    return [Path(path).relative_to(root.resolve() / "images").as_posix() for path in table["path"]]


NFD = unicodedata.normalize("NFD", "è.png")
FOUND: dict[str, tuple[list[str], list[str], list[str]]] = {
    "two blanks": (["a  1.png", "a 1.png"], ["a  1.png", "a 1.png"], ["a  1.png", "a 1.png"]),
    "no-break blank on disc": (["a 1.png", "b.png"], ["a\xa01.png", "b.png"], ["a\xa01.png", "b.png"]),
    "one blank more in the sheet": (["a  1.png", "b.png"], ["a 1.png", "b.png"], ["a 1.png", "b.png"]),
    "another dash": (["a\u20131.png", "b.png"], ["a-1.png", "b.png"], ["a-1.png", "b.png"]),
    "cases that differ by intention": (["a.png", "A.png"], ["A.png", "a.png"], ["a.png", "A.png"]),
    "accents as written": (["è.png", NFD], [NFD, "è.png"], ["è.png", NFD]),
    "no extension": (["im01.1", "b"], ["im01.1.png", "b.png", "im01.2.png"], ["im01.1.png", "b.png"]),
    "folder and no extension": (["s/a", "t/a"], ["s/a.png", "t/a.png"], ["s/a.png", "t/a.png"]),
    "a file without extension": (["a", "b"], ["a", "a.png", "b.png"], ["a", "b.png"]),
    "Windows": ([r"C:\data\s\1.png", r"C:\data\t\1.png"], ["s/1.png", "t/1.png"], ["s/1.png", "t/1.png"]),
    "Unix": (["/home/x/a.png", "/home/x/b.png"], ["a.png", "p/b.png"], ["a.png", "p/b.png"]),
    "server": ([r"\\srv\share\a.png", r"\\srv\share\B.PNG"], ["a.png", "b.png"], ["a.png", "b.png"]),
    "URL": (["file:///C:/d/a%20b.png", "file:///C:/d/c.png"], ["a b.png", "c.png"], ["a b.png", "c.png"]),
    "home": (["~/d/a.png", "~/d/b"], ["a.png", "b.png"], ["a.png", "b.png"]),
    "relative to another folder": (["images/a.png", "images/b.png"], ["a.png", "b.png"], ["a.png", "b.png"]),
    "beside the sheet's folder": (
        ["../images/a.png", "../images/b.png"],
        ["a.png", "b.png"],
        ["a.png", "b.png"],
    ),
    "down and up": (["s/../a.png", "./b.png"], ["a.png", "b.png"], ["a.png", "b.png"]),
    "a backslash in the name": ([r"s\a.png", "a.png"], [r"s\a.png", "a.png"], [r"s\a.png", "a.png"]),
    "the longest end": ([r"D:\x\s\1.png", "1.png"], ["s/1.png", "1.png"], ["s/1.png", "1.png"]),
}


@pytest.mark.parametrize("case", FOUND)
def test_names_that_are_found(case: str, tmp_path: Path) -> None:
    names, files, expected = FOUND[case]
    assert found(database(tmp_path, names, files)) == expected


def test_an_absolute_path_of_this_very_folder(tmp_path: Path) -> None:
    names = [str(tmp_path / "images" / "s" / f"{n}.png") for n in (1, 2)]
    assert found(database(tmp_path, names, ["s/1.png", "s/2.png", "t/1.png"])) == ["s/1.png", "s/2.png"]


REFUSED: dict[str, tuple[list[str], list[str], str]] = {
    "several of the name": (
        [r"C:\1.png", "a.png"],
        ["s/1.png", "t/1.png", "a.png"],
        "may be any of s/1.png, t/1",
    ),
    "several of the stem": (["1", "a.png"], ["1.png", "1.bmp", "a.png"], "'1' may be any of 1.bmp, 1.png"),
    "several in spite of blanks": (
        ["a  1.png", "b"],
        ["a 1.png", "a\xa01.png", "b.png"],
        "'a  1.png' may be any",
    ),
    "another row's file": (["A.png", "a.png"], ["a.png"], "row 3: 'a.png' is the same file as .* row 2"),
    "another patient's file": (["s/1.png", "t/1.png"], ["s/1.png"], "row 3: 't/1.png' is not in"),
    "another patient's file, whole paths": (
        [r"C:\d\s\1.png", r"C:\d\t\1.png", r"C:\d\s\2.png"],
        ["s/1.png", "s/2.png"],
        r"row 3: 'C:.*t.*1.png' leaves the image folder",
    ),
    "out of the folder": (["../truth.csv", "a.png"], ["a.png"], "'../truth.csv' leaves the image folder"),
    "absolute, outside": (["/etc/hostname", "a.png"], ["a.png"], "'/etc/hostname' leaves the image folder"),
    "another ending": (["a.jpg", "b.png"], ["a.png", "b.png"], "'a.jpg' is not in .*images, but a.png is"),
    "all other endings": (
        ["a.jpg", "b.jpg"],
        ["a.png", "b.png"],
        r"none of the 2 .*\(a.jpg, b.jpg\), but a.png is",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_are_refused(case: str, tmp_path: Path) -> None:
    names, files, message = REFUSED[case]
    with pytest.raises(DatabaseError, match=message):
        found(database(tmp_path, names, files))


def test_what_was_found_otherwise_than_written_is_one_remark(tmp_path: Path) -> None:
    root = database(tmp_path, [r"C:\d\a.png", r"C:\d\b.png", "c  1.png"], ["a.png", "b.png", "c 1.png"])
    (remark,) = (text for text in read_database(root, images="images").attrs["warnings"] if "as here" in text)
    assert remark.startswith("3 names in the sheet are not as here: found by the ends of whole paths")
    assert r"('C:\d\a.png' is a.png, 'C:\d\b.png' is b.png and 1 more)" in remark


def test_a_listed_image_of_a_kind_that_is_not_read_says_what_to_do(tmp_path: Path) -> None:
    root = database(tmp_path, ["a.webp", "b.png", "c.png"], ["b.png", "c.png"])
    draw(root / "images" / "a.webp")
    with pytest.raises(
        DatabaseError, match=r"row 2: 'a.webp' is an image of a kind that is not read; convert"
    ):
        found(root)
    write_csv(root / "truth.csv", [("image", "specimen", "label"), ("a", "s", 1), ("b", "t", 0)])
    with pytest.raises(DatabaseError, match=r"'a' is not in .*, but a.webp is; convert it to png"):
        found(root)
