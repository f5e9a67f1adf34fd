"""Damaged and hostile databases: each is an error that names the file and the row.

Each case takes the same small sound database and spoils one thing in it.
"""

import errno
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from hep2lib.data import sheets
from hep2lib.data.database import read_database
from hep2lib.data.report import describe
from hep2lib.errors import DatabaseError
from tests.data.handmade import HEADER, aida_rows, draw, write_aida, write_csv, write_xls
from tests.data.spoiling import (
    IMAGES,
    SHEET,
    Spoil,
    as_jpeg,
    as_workbook,
    broken_png,
    far_cell,
    fifo,
    folder_instead,
    huge_png,
    image,
    link_out,
    link_to,
    other_case_twin,
    relisted,
    sheet,
    truncated,
    zip_bomb,
)

ERRORS: dict[str, tuple[Spoil, str]] = {
    "folder gone": (lambda root: shutil.rmtree(root), "no such folder"),
    "folder empty": (lambda root: [shutil.rmtree(root), root.mkdir()], "no ground-truth sheet"),
    "image folder gone": (
        lambda root: shutil.rmtree(root / IMAGES),
        "none of the 20 listed images is in this",
    ),
    "sheet gone": (lambda root: (root / SHEET).unlink(), "no ground-truth sheet"),
    "two sheets": (
        lambda root: write_csv(root / f"copy of {SHEET}", [HEADER, *aida_rows(5)]),
        "several sheets that differ",
    ),
    "database one folder further down": (
        lambda root: [
            root.rename(root.parent / "aida"),
            root.mkdir(),
            (root.parent / "aida").rename(root / "aida"),
        ],
        "no ground-truth sheet .*there is one in .*aida, give that folder",
    ),
    "sheet of zero bytes": (sheet(lambda p: p.write_bytes(b"")), "csv: empty, 0 bytes; copy it anew"),
    "sheet without rows": (sheet(lambda p: write_csv(p, [HEADER])), "a header and no rows"),
    "sheet with headers unheard-of": (
        sheet(lambda p: write_csv(p, [list("abcd"), *aida_rows()])),
        "no column for the image was found; the sheet has 'a', 'b', 'c', 'd': say which with image_column=",
    ),
    "sheet with a column twice": (
        sheet(lambda p: write_csv(p, [[*HEADER, "Fluorescence"], *([*row, row[2]] for row in aida_rows())])),
        "2 columns are called 'Fluorescence'",
    ),
    "sheet is a web page": (
        as_workbook(lambda p: p.write_text("<html><table>")),
        r"xls: a web page; save a table in it as xlsx",
    ),
    "sheet is no text": (
        sheet(lambda p: p.write_bytes(b"ImageFileName\0\1\2")),
        "neither a workbook nor a text",
    ),
    "xls cut off": (
        as_workbook(lambda p: [write_xls(p, [HEADER, *aida_rows()]), truncated(p)]),
        "the workbook is damaged",
    ),
    "xls cut off within its header": (
        as_workbook(lambda p: p.write_bytes(write_xls(p, [HEADER, *aida_rows()]).read_bytes()[:512])),
        "the workbook is damaged",
    ),
    "xlsx that is another zip": (
        as_workbook(lambda p: zipfile.ZipFile(p, "w").writestr("a.txt", "a")),
        r"xls: an archive \(zip, rar, 7z or gz\); unpack it",
    ),
    "xlsx that is a zip bomb": (as_workbook(zip_bomb), "unpacks to 1 MiB, which no ground truth does"),
    "xlsx with a cell far out": (
        as_workbook(far_cell),
        "something stands in row 1,048,576 and in column 16,384, .* delete what is far from the table",
    ),
    "csv with more cells than any": (
        sheet(lambda p: p.write_text("a" + "," * 3000 + "\nb" * 3000)),
        "something stands in row 3,001 and in column 3,001",
    ),
    "sheet with a NUL character": (
        relisted(3, 0, "02\0_1.png"),
        f"{SHEET}: neither a workbook nor a text table",
    ),
    "sheet is a link out of the folder": (link_out(SHEET), f"{SHEET} is a link out .* with sheet=..."),
    "image folder is a link out": (link_out(IMAGES), f"{IMAGES} is a link out .* with images=..."),
    "label not understood": (relisted(3, 2, "perhaps"), rf"{SHEET}, row 5: the label 'perhaps' is not under"),
    "label borderline": (relisted(3, 2, "+/-"), rf"{SHEET}, row 5: the label '\+/-' is not understood"),
    "label empty": (relisted(3, 2, ""), f"{SHEET}, row 5: the label is empty"),
    "labels in another language": (
        sheet(lambda p: write_csv(p, [HEADER, *([*row[:2], "foo", row[3]] for row in aida_rows())])),
        r"row 2 and others: no label is understood: 'foo' \(20\).*label_column=\.\.\..*negative=\"VALUE",
    ),
    "specimen empty": (relisted(3, 1, " "), f"{SHEET}, row 5: the specimen is empty"),
    "specimen nan": (relisted(3, 1, "NaN"), f"{SHEET}, row 5: the specimen 'NaN' names nobody; give each"),
    "specimen of a broken formula": (relisted(3, 1, "#N/A"), f"{SHEET}, row 5: the specimen '#N/A' names no"),
    "label nan": (relisted(3, 2, "nan"), f"{SHEET}, row 5: the label 'nan' is not understood"),
    "file name empty": (relisted(3, 0, ""), f"{SHEET}, row 5: the image's file name is empty"),
    "listed twice": (relisted(3, 0, "01_0.png"), f"row 5: '01_0.png' is listed already, at {SHEET}, row 2"),
    "listed twice, spelt differently": (
        relisted(3, 0, "01_0.PNG"),
        f"row 5: '01_0.PNG' is the same file as the image at {SHEET}, row 2",
    ),
    "listed twice, with the other label": (
        lambda root: write_csv(root / SHEET, [HEADER, *aida_rows(), ["01_0.png", 1, "negative", ""]]),
        f"row 22: '01_0.png' is listed already, at {SHEET}, row 2; delete one of the rows",
    ),
    "name that steers the terminal": (
        relisted(3, 0, "\x1b[2J.png"),
        r"row 5: '.x1b\[2J.png' holds characters that cannot be printed; rename the file",
    ),
    "name of 5,000 letters": (relisted(3, 0, "a" * 5000), r"row 5: 'a{50}\.\.\.a{50}' is not in"),
    "two files differ in case only": (other_case_twin, "row 2: '01_0.Png' may be any of 01_0.PNG, 01_0.png"),
    "name that leaves the folder": (relisted(0, 0, f"../{SHEET}"), "row 2: '../.*' leaves the image folder"),
    "absolute name": (relisted(0, 0, "/etc/hostname"), "row 2: '/etc/hostname' leaves the image folder"),
    "name with a drive": (relisted(0, 0, r"C:\gone.png"), "row 2: 'C:.*' leaves the image folder"),
    "link out of the folder": (
        image("01_0.png", link_to(f"../{SHEET}")),
        "row 2: .* is a link out of the image",
    ),
    "link to nothing": (image("01_0.png", link_to("nothing")), "row 2: '01_0.png' is a link to nothing"),
    "link to a listed image": (
        image("01_0.png", link_to("01_1.png")),
        "row 3: '01_1.png' is the same file as",
    ),
    "image gone": (image("01_0.png", Path.unlink), f"row 2: '01_0.png' is not in .*{IMAGES}"),
    "image is a folder": (
        image("01_0.png", folder_instead),
        "row 2: '01_0.png' is a folder, not an image, in",
    ),
    "image is a pipe": (image("01_0.png", fifo), "row 2: '01_0.png' is no regular file"),
    "image of zero bytes": (image("01_0.png", lambda p: p.write_bytes(b"")), "row 2: .*01_0.png: empty, 0 b"),
    "image is text": (image("01_0.png", lambda p: p.write_text("hello")), "row 2: .*01_0.png: not a JPEG"),
    "image of another format": (
        image("01_0.png", lambda p: draw(p, format="GIF")),
        "01_0.png: a GIF image; convert it to png",
    ),
    "image is a decompression bomb": (image("01_0.png", huge_png), "row 2: .*larger than 100 megapixels"),
    "image is tiny": (
        image("01_0.png", lambda p: draw(p, size=(9, 40))),
        "9 x 40 pixels; a field has at least 16",
    ),
    "pixels without a scale": (
        image("01_0.png", lambda p: Image.new("F", (20, 20)).save(p, format="TIFF")),
        "row 2: .*01_0.png: a TIFF of a kind that is not read .numbers that are signed or have fractions",
    ),
    "one class only": (
        sheet(lambda p: write_csv(p, [HEADER, *(row for row in aida_rows() if row[2] == "positive")])),
        "all 12 listed images are positive; negative ones are needed too",
    ),
    "simulation.json damaged": (
        lambda root: (root / "simulation.json").write_text("{"),
        "simulation.json: damaged .*hep2 simulate",
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_aida(tmp_path / "database")


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "_LARGEST_SHEET", 2**19)
    spoil, message = ERRORS[case]
    spoil(root)
    with pytest.raises(DatabaseError, match=message):
        read_database(root)


def test_what_may_not_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path, *how: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", deny)
        with pytest.raises(DatabaseError, match=f"{root}: cannot be read .Permission denied."):
            read_database(root)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", deny)
        with pytest.raises(DatabaseError, match=f"{SHEET}: the sheet cannot be read .Permission denied."):
            read_database(root)
    with monkeypatch.context() as patch:
        opened = Path.open
        patch.setattr(
            Path, "open", lambda p, *how, **o: (deny if p.suffix == ".png" else opened)(p, *how, **o)
        )
        with pytest.raises(
            DatabaseError, match=r"row 2: .*01_0.png: the image cannot be read \(.*Permission"
        ):
            read_database(root)


def test_neither_a_folder_nor_a_file() -> None:
    with pytest.raises(DatabaseError, match="/dev/null: neither a folder nor a sheet"):
        read_database("/dev/null")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name themselves")
def test_file_name_that_is_no_text_is_an_error_of_its_own(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        draw(tmp_path / label / "s" / "1.png")
    path = tmp_path / "pos" / "s" / "1.png"
    path.rename(path.with_name(os.fsdecode(b"\xff.png")))
    with pytest.raises(DatabaseError, match=r"udcff.png' holds characters that cannot be printed; rename"):
        read_database(tmp_path)


OPTION_ERRORS = [
    ({"layout": "dicom"}, "layout='dicom' is unknown; it may be aida, manifest, folders, mivia, i3a"),
    ({"bits": 17}, "bits=17: 16-bit images use 8 to 16 bits"),
    ({"specimen_pattern": "["}, r"specimen_pattern='\[' is no regular expression"),
    ({"sheet": "other.csv"}, "other.csv: no such sheet"),
    ({"images": "elsewhere"}, "elsewhere: no such image folder"),
    ({"label_column": "verdict"}, "no column 'verdict' .label.; the sheet has 'ImageFileName', 'Patient ID'"),
]


@pytest.mark.parametrize(("options", "message"), OPTION_ERRORS, ids=[next(iter(o)) for o, _ in OPTION_ERRORS])
def test_options_that_do_not_fit(options: dict, message: str, root: Path) -> None:
    with pytest.raises(DatabaseError, match=message):
        read_database(root, **options)


UNREADABLE: dict[str, tuple[Spoil, str]] = {
    "JPEG cut off": (
        image("01_0.png", lambda p: [as_jpeg(p), truncated(p)]),
        f"{SHEET}, row 2: .*the image cannot be read .*trunc",
    ),
    "PNG cut off": (image("01_0.png", truncated), "01_0.png: the image cannot be read"),
    "PNG with a flipped byte": (image("01_0.png", broken_png), "01_0.png: the image cannot be read"),
    "BMP cut off": (
        image("01_0.png", lambda p: [draw(p, format="BMP"), truncated(p)]),
        "01_0.png: the image cannot be read",
    ),
    "TIFF cut off": (
        image("01_0.png", lambda p: [draw(p, format="TIFF"), p.write_bytes(p.read_bytes()[:1000])]),
        "01_0.png: the image cannot be read",
    ),
    "image wholly transparent": (
        image("01_0.png", lambda p: Image.new("RGBA", (30, 30)).save(p)),
        "01_0.png: every pixel is transparent",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_images_that_break_off_are_problems_of_the_report(case: str, root: Path) -> None:
    spoil, message = UNREADABLE[case]
    spoil(root)
    try:
        report = describe(read_database(root))
    except DatabaseError as error:  # some damage shows in the header already
        problems = error.problems
    else:
        assert not report.usable
        assert "cannot be used" in report.text()
        problems = report.problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{SHEET}, row 2: ")
    with pytest.raises(DatabaseError, match=message):
        raise DatabaseError(problems)


def test_images_that_break_off_are_named_with_all_other_problems(root: Path) -> None:
    relisted(3, 2, "perhaps")(root)
    truncated(root / IMAGES / "01_0.png")
    with pytest.raises(DatabaseError) as caught:
        read_database(root)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        f"{SHEET}, row 5",
        f"{SHEET}, row 2",
    ]
