"""Odd databases: what deserves a warning, and what is fine and passes without one.

Each case takes the same small sound database and changes one thing in it.
"""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.data.report import describe
from hep2lib.errors import DatabaseError
from tests.data.handmade import HEADER, aida_rows, draw, write_aida, write_csv, write_xlsx
from tests.data.spoiling import IMAGES, SHEET, Spoil, as_jpeg, as_workbook, image, relisted, sheet

LABELS = [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_aida(tmp_path / "database")


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
    "specimens spelt alike": (sheet(spelt_alike), "specimens 'P-1' and 'p1' differ only in case, blanks,"),
    "specimen NA": (relisted(0, 1, "NA"), "the specimen 'NA' may mean that it is not known"),
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
        "only the first image .page, channel or slice. is read of 1 file with more",
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
        "5 folds divide the specimens .* 4 specimens with negative images and 6 .*; 2 folds work: --set fold",
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_warnings(case: str, root: Path) -> None:
    spoil, message = WARNINGS[case]
    spoil(root)
    report = describe(read_database(root))
    assert report.usable
    found = [warning for warning in report.warnings if "5 folds" not in warning or "5 folds" in message]
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
    (root / IMAGES / "__MACOSX").mkdir()
    (root / IMAGES / "__MACOSX" / "._x.png").write_bytes(b"litter")


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
    "UTF-16 without a byte-order mark": rewritten(encoding="utf-16-le"),
    "UTF-16, big end first": rewritten(encoding="utf-16-be"),
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
    "grey JPEG": stored("L", format="JPEG"),
    "grey BMP": stored("L", format="BMP"),
    "TIFF": stored("RGB", format="TIFF"),
    "compressed TIFF": stored("RGB", format="TIFF", compression="tiff_lzw"),
    "palette": stored("P"),
    "palette with a transparent colour": stored("P", transparency=0),
    "alpha": stored("RGBA"),
    "two colours": stored("1"),
    "progressive JPEG": image("01_0.png", lambda p: as_jpeg(p, progressive=True)),
}


@pytest.mark.parametrize("case", FINE)
def test_fine(case: str, root: Path, recwarn: pytest.WarningsRecorder) -> None:
    FINE[case](root)
    table = read_database(root)
    assert table["label"].tolist() == LABELS
    assert table["specimen"].tolist() == [str(s) for s in range(1, 11) for _ in range(2)]
    assert table.attrs["warnings"] == []
    report = describe(table)
    assert report.problems == ()
    assert [
        warning for warning in report.warnings if "5 folds" not in warning and "shortcut" not in warning
    ] == []
    assert not recwarn.list
