"""Damaged, odd and hostile databases, each with its verdict: an error, a warning, or fine.

Each case takes the same small sound database and spoils one thing in it.
"""

import os
import shutil
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hep2lib.data import sheets
from hep2lib.data.database import DatabaseError, read_database
from hep2lib.data.report import describe
from tests.data.handmade import (
    HEADER,
    aida_rows,
    draw,
    write_aida,
    write_csv,
    write_png16,
    write_xls,
    write_xlsx,
)

IMAGES = "aida_project_database"
SHEET = "AIDA_HEp-2_GroundTruth.csv"
LABELS = [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0]
Spoil = Callable[[Path], object]


def relisted(row: int, column: int, value: object, **options: str) -> Spoil:
    """Change one cell of the sheet (row 0 is the first image, row 2 of the sheet)."""

    def spoil(root: Path) -> None:
        rows = aida_rows()
        rows[row][column] = value
        write_csv(root / SHEET, [HEADER, *rows], **options)

    return spoil


def image(name: str, spoil: Spoil) -> Spoil:
    """Do something to one image file."""
    return lambda root: spoil(root / IMAGES / name)


def sheet(spoil: Spoil) -> Spoil:
    return lambda root: spoil(root / SHEET)


def as_workbook(spoil: Spoil, name: str = "AIDA_HEp-2_GroundTruth.xls") -> Spoil:
    """Put another sheet in the place of the csv."""

    def replace(root: Path) -> None:
        (root / SHEET).unlink()
        spoil(root / name)

    return replace


def link_to(target: str) -> Spoil:
    def spoil(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.parent / target)

    return spoil


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def huge_png(path: Path) -> None:
    """Claim 60,000 x 60,000 pixels in a file of a few bytes."""
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4))


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(2**20))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def as_jpeg(path: Path, **options: object) -> None:
    """Write a JPEG under the name of a PNG."""
    draw(path, 50, format="JPEG", **options)


def broken_png(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def other_case_twin(root: Path) -> None:
    draw(root / IMAGES / "01_0.PNG", 70)
    relisted(0, 0, "01_0.Png")(root)


ERRORS: dict[str, tuple[Spoil, str]] = {
    "folder gone": (lambda root: shutil.rmtree(root), "no such folder"),
    "folder empty": (lambda root: [shutil.rmtree(root), root.mkdir()], "no ground-truth sheet"),
    "image folder gone": (
        lambda root: shutil.rmtree(root / IMAGES),
        "none of the 12 listed images is in this",
    ),
    "sheet gone": (lambda root: (root / SHEET).unlink(), "no ground-truth sheet"),
    "two sheets": (lambda root: shutil.copy(root / SHEET, root / f"copy of {SHEET}"), "several sheets"),
    "database one folder further down": (
        lambda root: [
            root.rename(root.parent / "aida"),
            root.mkdir(),
            (root.parent / "aida").rename(root / "aida"),
        ],
        "no ground-truth sheet .*there is one in .*aida, give that folder",
    ),
    "sheet of zero bytes": (sheet(lambda p: p.write_bytes(b"")), "the sheet is empty"),
    "sheet without rows": (sheet(lambda p: write_csv(p, [HEADER])), "a header and no rows"),
    "sheet with headers unheard-of": (
        sheet(lambda p: write_csv(p, [list("abcd"), *aida_rows()])),
        "no column for the image was found; the sheet has 'a', 'b', 'c', 'd': say which with image_column",
    ),
    "sheet with a column twice": (
        sheet(lambda p: write_csv(p, [[*HEADER, "Fluorescence"], *([*row, row[2]] for row in aida_rows())])),
        "two columns are called 'Fluorescence'",
    ),
    "sheet is a web page": (as_workbook(lambda p: p.write_text("<html><table>")), "a web page, not a table"),
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
        "the workbook is damaged",
    ),
    "xlsx that is a zip bomb": (as_workbook(zip_bomb), "unpacks to 1 MiB, which no ground truth does"),
    "label not understood": (relisted(3, 2, "perhaps"), rf"{SHEET}, row 5: the label 'perhaps' is not under"),
    "label borderline": (relisted(3, 2, "+/-"), rf"{SHEET}, row 5: the label '\+/-' is not understood"),
    "label empty": (relisted(3, 2, ""), f"{SHEET}, row 5: the label is empty"),
    "labels in another language": (
        sheet(lambda p: write_csv(p, [HEADER, *([*row[:2], "foo", row[3]] for row in aida_rows())])),
        r"row 2 and all others: no label is understood \('foo'\).*label_column",
    ),
    "specimen empty": (relisted(3, 1, " "), f"{SHEET}, row 5: the specimen is empty"),
    "file name empty": (relisted(3, 0, ""), f"{SHEET}, row 5: the image's file name is empty"),
    "listed twice": (relisted(3, 0, "01_0.png"), f"row 5: '01_0.png' is listed already, at {SHEET}, row 2"),
    "listed twice, spelt differently": (
        relisted(3, 0, "01_0.PNG"),
        f"row 5: '01_0.PNG' is the same file as the image at {SHEET}, row 2",
    ),
    "two files differ in case only": (other_case_twin, "row 2: '01_0.Png' may be any of 01_0.PNG, 01_0.png"),
    "name that leaves the folder": (relisted(0, 0, f"../{SHEET}"), "row 2: '../.*' leaves the image folder"),
    "absolute name": (relisted(0, 0, "/etc/hostname"), "row 2: '/etc/hostname' leaves the image folder"),
    "name with a drive": (relisted(0, 0, r"C:\01_0.png"), "row 2: 'C:.*' leaves the image folder"),
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
    "image is a folder": (image("01_0.png", folder_instead), "row 2: '01_0.png' is not in"),
    "image is a pipe": (image("01_0.png", fifo), "row 2: '01_0.png' is no regular file"),
    "image of zero bytes": (image("01_0.png", lambda p: p.write_bytes(b"")), "row 2: .*01_0.png: not a JPEG"),
    "image is text": (image("01_0.png", lambda p: p.write_text("hello")), "row 2: .*01_0.png: not a JPEG"),
    "image of another format": (
        image("01_0.png", lambda p: draw(p, format="GIF")),
        "01_0.png: not a JPEG, PNG",
    ),
    "image is a decompression bomb": (image("01_0.png", huge_png), "row 2: .*larger than 100 megapixels"),
    "image is tiny": (
        image("01_0.png", lambda p: draw(p, size=(9, 40))),
        "9 x 40 pixels; a field has at least 16",
    ),
    "pixels without a scale": (
        image("01_0.png", lambda p: Image.new("F", (20, 20)).save(p, format="TIFF")),
        "row 2: .*pixels of the kind 'F' have no known scale",
    ),
    "one class only": (
        sheet(lambda p: write_csv(p, [HEADER, *(row for row in aida_rows() if row[2] == "positive")])),
        "holds only images of label 1; images of both classes are needed",
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


OPTION_ERRORS = [
    ({"layout": "dicom"}, "layout 'dicom' is unknown; it may be aida, manifest, folders, mivia, i3a"),
    ({"bit_depth": 17}, "bit_depth 17: 16-bit images use 9 to 16 bits"),
    ({"specimen_pattern": "["}, r"specimen_pattern '\[' is no regular expression"),
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
        "the image cannot be read .*trunc",
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
    with pytest.raises(DatabaseError, match=message):
        raise DatabaseError(problems)


def unlisted(root: Path) -> None:
    draw(root / IMAGES / "extra.png")


def two_pages(path: Path) -> None:
    pages = [Image.fromarray(np.full((20, 20), value, np.uint8)) for value in (9, 10)]
    pages[0].paste(99, (0, 0, 5, 5))
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:])


def one_image_each(path: Path) -> None:
    write_csv(path, [HEADER, *([row[0], f"s{number}", *row[2:]] for number, row in enumerate(aida_rows()))])


def spelt_alike(path: Path) -> None:
    rows = aida_rows()
    rows[0][1], rows[1][1] = "P-1", "p1"
    write_csv(path, [HEADER, *rows])


def brighter(source: str) -> Spoil:
    """Write a slightly brighter JPEG of another image."""

    def spoil(path: Path) -> None:
        with Image.open(path.parent / source) as original:
            pixels = np.asarray(original)
        Image.fromarray((pixels * 1.1).astype(np.uint8)).save(path, format="JPEG", quality=95)

    return spoil


WARNINGS: dict[str, tuple[Spoil, str]] = {
    "image not listed": (unlisted, "1 image in the folder is not listed, hence left out: extra.png"),
    "specimens spelt alike": (sheet(spelt_alike), "specimens 'P-1', 'p1' differ only in case, spaces or"),
    "one image each": (sheet(one_image_each), "every specimen has one image"),
    "negative with a pattern": (
        relisted(4, 3, "nucleolar"),
        "1 negative image with a staining pattern: 03_0.png",
    ),
    "positive without one": (
        relisted(0, 3, "AC-0"),
        "1 positive image with a pattern that means negative: 01_0",
    ),
    "several pages in a file": (
        image("01_0.png", two_pages),
        "only the first image is read of 1 file with more",
    ),
    "two columns for the label": (
        sheet(lambda p: write_csv(p, [[*HEADER, "Result"], *([*row, ""] for row in aida_rows())])),
        "'Fluorescence' is taken for the label .not 'Result'.",
    ),
    "specimen with both labels": (relisted(0, 2, "neg"), "1 specimen has images of both classes: 1"),
    "same pixels across specimens": (
        lambda root: shutil.copy(root / IMAGES / "01_0.png", root / IMAGES / "02_0.png"),
        "1 duplicate across specimens, .*: 01_0.png = 02_0.png",
    ),
    "looks alike, across specimens": (
        image("02_0.png", brighter("01_0.png")),
        "1 duplicate across specimens, .*: 01_0.png = 02_0.png",
    ),
    "same pixels, other label": (
        lambda root: shutil.copy(root / IMAGES / "01_0.png", root / IMAGES / "03_0.png"),
        "1 duplicate with contradictory labels: 01_0.png = 03_0.png",
    ),
    "image without structure": (
        image("01_0.png", lambda p: Image.new("RGB", (40, 30), (3, 3, 3)).save(p)),
        "1 image without any structure, all pixels equal: 01_0.png",
    ),
    "too few specimens": (
        lambda root: None,
        "five folds cannot be made: .* only 2 specimens with negative images",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings(case: str, root: Path) -> None:
    spoil, message = WARNINGS[case]
    spoil(root)
    report = describe(read_database(root))
    assert report.usable
    found = [warning for warning in report.warnings if "five folds" not in warning or "five folds" in message]
    with pytest.raises(DatabaseError, match=message):
        raise DatabaseError(found)
    assert found[0] in report.text()


def decorated(path: Path) -> None:
    rows = [
        ["AIDA HEp-2 database"],
        [],
        ["ImageFileName", "Diagnosis", "", ""],
        ["", *HEADER[1:]],
        *aida_rows(),
    ]
    write_xlsx(path, rows, merged=("A1:D1", "A3:A4", "B3:D3"))


def decomposed(root: Path) -> None:
    """Name a file as macOS does, accents apart, and list it as Windows does."""
    (root / IMAGES / "01_0.png").rename(root / IMAGES / unicodedata.normalize("NFD", "è.png"))
    relisted(0, 0, "è.png")(root)


def litter(root: Path) -> None:
    for name in (
        f"{IMAGES}/._01_0.png",
        f"{IMAGES}/.DS_Store",
        f"{IMAGES}/Thumbs.db",
        "README.txt",
        f"~${SHEET}",
    ):
        (root / name).write_bytes(b"litter")
    draw(root / IMAGES / "__MACOSX" / "x.png")


def lettered(words: tuple[str, str], root: Path) -> None:
    rows = [[*row[:2], words[row[2] == "positive"], row[3]] for row in aida_rows()]
    write_csv(root / SHEET, [HEADER, *rows])


def rewritten(**options: str) -> Spoil:
    return lambda root: write_csv(root / SHEET, [HEADER, *aida_rows()], **options)


def with_header(*header: str) -> Spoil:
    return sheet(lambda p: write_csv(p, [header, *aida_rows()]))


def stored(mode: str, **options: object) -> Spoil:
    """Store the first image in another mode."""

    def spoil(path: Path) -> None:
        with Image.open(path) as original:
            converted = original.convert(mode)
        converted.save(path, **options)  # type: ignore[arg-type]  # keywords go through to Pillow

    return image("01_0.png", spoil)


FINE: dict[str, Spoil] = {
    "semicolons": rewritten(delimiter=";"),
    "tabs": rewritten(delimiter="\t"),
    "byte-order mark": rewritten(encoding="utf-8-sig"),
    "UTF-16": rewritten(encoding="utf-16"),
    "Windows-1252": relisted(0, 3, "homogène", encoding="cp1252"),
    "Excel's sep= line": sheet(lambda p: p.write_text("sep=,\n" + p.read_text(encoding="utf-8"))),
    "csv called xls": as_workbook(lambda p: write_csv(p, [HEADER, *aida_rows()], delimiter="\t")),
    "xlsx called xls": as_workbook(
        lambda p: write_xlsx(p.with_suffix(".xlsx"), [HEADER, *aida_rows()]).rename(p)
    ),
    "title and merged header": as_workbook(decorated, "AIDA_HEp-2_GroundTruth.xlsx"),
    "blank rows": sheet(lambda p: write_csv(p, [[], HEADER, [], *aida_rows(), [], []])),
    "header in other words": with_header(
        " image_file name ", "PATIENT-ID", "Positive / Negative fluorescence", "pattern"
    ),
    "Italian": lambda root: lettered(("Negativo", "Positivo"), root),
    "numbers": lambda root: lettered(("0.0", "1.0"), root),
    "letters": lambda root: lettered(("n", "P"), root),
    "truth values": lambda root: lettered(("FALSE", "true"), root),
    "name without extension": relisted(0, 0, "01_0"),
    "name in upper case": relisted(0, 0, "01_0.PNG"),
    "name with its folder": lambda root: [
        (root / IMAGES / "sub").mkdir(),
        (root / IMAGES / "01_0.png").rename(root / IMAGES / "sub" / "01_0.png"),
        relisted(0, 0, r"SUB\01_0.png")(root),
    ],
    "accents encoded otherwise": decomposed,
    "what file managers leave behind": litter,
    "JPEG called png": image("01_0.png", as_jpeg),
    "CMYK": stored("CMYK", format="JPEG"),
    "grey": stored("L"),
    "palette": stored("P"),
    "palette with a transparent colour": stored("P", transparency=0),
    "alpha": stored("RGBA"),
    "two colours": stored("1"),
    "16 bits, grey": image("01_0.png", lambda p: write_png16(p, np.arange(30 * 40).reshape(30, 40))),
    "16 bits, colour": image("01_0.png", lambda p: write_png16(p, np.arange(30 * 40 * 3).reshape(30, 40, 3))),
    "progressive JPEG": image("01_0.png", lambda p: as_jpeg(p, progressive=True)),
}


@pytest.mark.parametrize("case", FINE)
def test_fine(case: str, root: Path, recwarn: pytest.WarningsRecorder) -> None:
    FINE[case](root)
    table = read_database(root)
    assert table["label"].tolist() == LABELS
    assert table["specimen"].tolist() == [str(s) for s in range(1, 7) for _ in range(2)]
    assert table.attrs["warnings"] == []
    report = describe(table)
    assert report.problems == ()
    assert [
        warning for warning in report.warnings if "five folds" not in warning and "shortcut" not in warning
    ] == []
    assert not recwarn.list
