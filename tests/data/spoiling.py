"""Ways to spoil one thing in a small sound database."""

import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from openpyxl import Workbook

from tests.data.handmade import HEADER, aida_rows, draw, write_csv

IMAGES = "aida_project_database"
SHEET = "AIDA_HEp-2_GroundTruth.csv"
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


def far_cell(path: Path) -> None:
    """Write a workbook with something in its last cell: 17 thousand million cells up to there."""
    book = Workbook()
    page = book.active
    assert page is not None
    for row in (HEADER, *aida_rows()):
        page.append(list(row))
    page.cell(1_048_576, 16_384, "x")
    book.save(path)


def link_out(name: str) -> Spoil:
    """Move a file or folder out of the database, and leave a link to it."""

    def spoil(root: Path) -> None:
        outside = root.parent / "outside"
        (root / name).rename(outside)
        (root / name).symlink_to(outside)

    return spoil


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
