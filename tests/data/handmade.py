"""Databases made by hand: a few small images and a sheet in whatever shape a test wants to try."""

import csv
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from openpyxl import Workbook
from PIL import Image

Rows = Sequence[Sequence[object]]


def draw(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30), **options: object) -> Path:
    """Write an image of noise; the extension says the format unless ``format`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 200, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]  # keywords go through to Pillow
    return path


def write_csv(path: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    return path


def write_xlsx(path: Path, rows: Rows, merged: Sequence[str] = ()) -> Path:
    book = Workbook()
    page = book.active
    assert page is not None
    for row in rows:
        page.append(list(row))
    for cells in merged:
        page.merge_cells(cells)
    book.save(path)
    return path


def write_xls(path: Path, rows: Rows, merged: Sequence[tuple[int, int, int, int]] = ()) -> Path:
    """Write an old workbook: BIFF8 records of one page, in a compound file of 512-byte sectors.

    ``merged`` holds first and last row, first and last column of merged cells, counted from 0.
    After Microsoft's [MS-XLS] and [MS-CFB]; no library that writes the format is kept up any more.
    """

    def record(kind: int, content: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def string(text: str, prefix: str) -> bytes:
        return struct.pack(prefix + "B", len(text), 1) + text.encode("utf-16-le")

    start, end = 0x0809, record(0x000A)
    cells = record(start, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 6))
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            place = struct.pack("<HHH", y, x, 0)
            if isinstance(value, (int, float)):
                cells += record(0x0203, place + struct.pack("<d", value))
            elif value:
                cells += record(0x0204, place + string(str(value), "<H"))
    cells += record(0x00E5, struct.pack(f"<H{4 * len(merged)}H", len(merged), *sum(merged, ())))
    cells += end
    head = record(start, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 6)) + record(0x0042, b"\xb0\x04")
    name = string("Sheet1", "<B")
    offset = len(head) + 4 + 6 + len(name) + len(end)
    stream = head + record(0x0085, struct.pack("<IH", offset, 0) + name) + end + cells
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    sectors = len(stream) // 512
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, sectors + 2), 0xFFFFFFFE]
    table = struct.pack("<128I", *(chain + [0xFFFFFFFF] * (128 - len(chain))))

    def entry(name: str, kind: int, child: int, first: int, size: int) -> bytes:
        raw = (name + "\0").encode("utf-16-le") if name else b""
        free = 0xFFFFFFFF
        tail = struct.pack("<HBBIII16sIQQIQ", len(raw), kind, 1, free, free, child, b"", 0, 0, 0, first, size)
        return raw.ljust(64, b"\0") + tail

    directory = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry("Workbook", 2, 0xFFFFFFFF, 2, len(stream))
    directory += entry("", 0, 0xFFFFFFFF, 0, 0) * 2
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6s", 0x3E, 3, 0xFFFE, 9, 6, b"")
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", 0, *([0xFFFFFFFF] * 108))
    path.write_bytes(header + table + directory + stream)
    return path


def write_png16(path: Path, pixels: np.ndarray) -> Path:
    """Write a PNG of 16 bits a channel, grey (H x W) or with 2, 3 or 4 channels."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
    return path


HEADER = ("ImageFileName", "Patient ID", "Fluorescence", "StainingPatterns")


def aida_rows(specimens: int = 10, each: int = 2, extension: str = ".png") -> list[list[object]]:
    """List images in AIDA's manner: every third specimen negative, and the fifth; of ten, four are."""
    rows: list[list[object]] = []
    for specimen in range(1, specimens + 1):
        for field in range(each):
            negative = specimen % 3 == 0 or specimen == 5
            word, pattern = ("negative", "") if negative else ("positive", "homogeneous")
            rows.append([f"{specimen:02d}_{field}{extension}", specimen, word, pattern])
    return rows


def write_aida(folder: Path, rows: Rows | None = None, header: Sequence[str] = HEADER) -> Path:
    """Write a small database in AIDA's layout, with a csv sheet."""
    rows = aida_rows() if rows is None else rows
    for seed, row in enumerate(rows):
        draw(folder / "aida_project_database" / str(row[0]), seed)
    write_csv(folder / "AIDA_HEp-2_GroundTruth.csv", [header, *rows])
    return folder
