"""What is not read is named as what it is, with what to do: packed, of another program, empty, elsewhere."""

import re
import zipfile
from pathlib import Path

import pytest

from hep2lib.data.database import read_database
from hep2lib.data.images import read_header
from hep2lib.data.sheets import read_pages
from hep2lib.errors import DatabaseError
from tests.data.handmade import write_csv


def archive(path: Path, name: str = "truth.csv", content: str = "a,b") -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, content)
    return path


NOT_READ = {
    "images.jpg": (
        b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
        "a HEIC or AVIF image, as phones take them; convert it",
    ),
    "web.jpg": (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP image; convert it to png"),
    "page.png": (b"<!DOCTYPE html><html>404</html>", "a web page"),
    "none.tif": (b"", "empty, 0 bytes; copy it anew"),
    "rar.png": (b"Rar!\x1a\x07\x01\0", "an archive (zip, rar, 7z or gz); unpack it"),
    "truth.xls": (b"\xef\xbb\xbf \r\n<HTML><table>", "a web page; save a table in it as xlsx"),
    "empty.xlsx": (b"", "empty, 0 bytes; copy it anew"),
    "seven.xlsx": (b"7z\xbc\xaf\x27\x1c\0\4", "an archive (zip, rar, 7z or gz); unpack it"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_files_that_are_not_what_their_ending_says_are_named(name: str, tmp_path: Path) -> None:
    content, what = NOT_READ[name]
    (tmp_path / name).write_bytes(content)
    reader = read_pages if name.endswith(("xls", "xlsx")) else read_header
    with pytest.raises(DatabaseError, match=re.escape(f"{name}: {what}")):
        reader(tmp_path / name)


@pytest.mark.parametrize(
    ("inside", "content", "what"),
    [
        (
            "mimetype",
            "application/vnd.oasis.opendocument.spreadsheet",
            "an OpenDocument file (ods); save it as xlsx",
        ),
        ("Index/Document.iwa", "", "a file of Apple's Numbers; export it as xlsx"),
        ("truth.csv", "a,b", "an archive (zip, rar, 7z or gz); unpack it"),
    ],
)
def test_archives_called_a_workbook_are_named(inside: str, content: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=re.escape(f"truth.xlsx: {what}")):
        read_pages(archive(tmp_path / "truth.xlsx", inside, content))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("truth.ods", "save it as xlsx"),
        ("truth.numbers", "save it as xlsx"),
        ("AIDA.zip", "unpack it"),
        ("AIDA.part1.RAR", "unpack it"),
        (
            "~$GroundTruth.xlsx",
            "the mark of an open sheet, not the sheet; close the program and copy the sheet",
        ),
    ],
)
def test_what_lies_there_instead_of_a_sheet_is_named(name: str, what: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatabaseError, match=re.escape(f"in this folder ({name}: {what}")):
        read_database(tmp_path)
    if not name.startswith("~$"):
        with pytest.raises(DatabaseError, match=re.escape(f"({name}: {what})")):
            read_database(tmp_path / name)


def test_images_that_are_still_packed_are_named(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "truth.csv",
        [("image", "specimen", "label"), ("a.png", 1, "positive"), ("b.png", 2, "neg")],
    )
    archive(tmp_path / "images.zip")
    with pytest.raises(DatabaseError, match=r"none of the 2 listed images .* \(images\.zip: unpack it\)"):
        read_database(tmp_path)


def test_sheets_below_and_above_are_named(tmp_path: Path) -> None:
    for name in ("A", "B", "C"):
        (tmp_path / "db" / name).mkdir(parents=True)
    for name in ("A", "C"):
        write_csv(tmp_path / "db" / name / "t.csv", [("image", "label")])
    with pytest.raises(DatabaseError) as error:
        read_database(tmp_path / "db")
    assert f"there is one in {tmp_path / 'db' / 'A'} and one in {tmp_path / 'db' / 'C'}" in str(error.value)
    write_csv(tmp_path / "db" / "truth.csv", [("image", "label")])
    with pytest.raises(DatabaseError) as error:
        read_database(tmp_path / "db" / "B")
    assert f"in the folder above lies {tmp_path / 'db' / 'truth.csv'}: give that folder" in str(error.value)
