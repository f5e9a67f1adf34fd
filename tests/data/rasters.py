"""TIFF, BMP and PNG files written by hand, tag by tag, so that their right pixels are known."""

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Values = int | Sequence[int] | bytes


def packed(pixels: NDArray, bits: int, order: str = "<") -> bytes:
    """Pack samples, rows x samples a row, with ``bits`` each; rows begin with a whole byte."""
    if bits in (16, 32):
        return pixels.astype(f"{order}u{bits // 8}").tobytes()
    shifts = np.arange(bits - 1, -1, -1)
    ones = (pixels.astype(np.int64)[..., None] >> shifts) & 1
    return np.packbits(ones.astype(np.uint8).reshape(len(pixels), -1), axis=1).tobytes()


def reversed_bits(content: bytes) -> bytes:
    """Give each byte its bits the other way round (FillOrder 2)."""
    return np.packbits(np.unpackbits(np.frombuffer(content, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()


def packbits(content: bytes) -> bytes:
    """Compress by Apple's PackBits, in literal runs."""
    parts = (content[at : at + 128] for at in range(0, len(content), 128))
    return b"".join(bytes([len(part) - 1]) + part for part in parts)


def lzw(content: bytes) -> bytes:
    """Compress by TIFF's LZW, with the table cleared before it needs longer codes."""
    codes = []
    for at, byte in enumerate(content):
        codes += [256, byte] if at % 200 == 0 else [byte]
    return packed(np.array([[*codes, 257]]), 9)


def differences(pixels: NDArray, bits: int) -> NDArray:
    """Replace samples, height x width x channels, by their differences along a row (Predictor 2)."""
    before = np.concatenate([np.zeros_like(pixels[:, :1]), pixels[:, :-1]], axis=1)
    return (pixels.astype(np.int64) - before) % 2**bits


def write_tiff(
    path: Path,
    pixels: NDArray,
    photometric: int,
    bits: int = 8,
    *,
    order: str = "<",
    compression: int = 1,
    encode: Callable[[bytes], bytes] = bytes,
    tile: int = 0,
    rows: int = 0,
    separate: bool = False,
    predictor: bool = False,
    big: bool = False,
    tags: dict[int, Values | None] | None = None,
) -> Path:
    """Write a TIFF after TIFF 6.0: pixels are height x width (x channels), as they are to be stored.

    ``tags`` add to or replace what follows from the rest; None leaves one out.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    planes = [pixels[..., [channel]] for channel in range(channels)] if separate else [pixels]
    step = tile or rows or height
    parts = []
    for plane in planes:
        if tile:
            plane = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
        for top in range(0, len(plane), step):
            for left in range(0, plane.shape[1], tile or plane.shape[1]):
                block = plane[top : top + step, left : left + (tile or plane.shape[1])]
                block = differences(block, bits) if predictor else block
                parts.append(encode(packed(block.reshape(len(block), -1), bits, order)))
    start, entry, word = (16, 20, "Q") if big else (8, 12, "I")
    offsets = [start]
    for part in parts:
        offsets.append(offsets[-1] + len(part) + len(part) % 2)
    known: dict[int, Values | None] = {256: width, 257: height, 258: [bits] * channels, 259: compression}
    known |= {262: photometric, 277: channels, 284: 2 if separate else 1, 317: 2 if predictor else 1}
    known |= {322: tile, 323: tile, 324: offsets[:-1], 325: [len(part) for part in parts]} if tile else {}
    known |= {} if tile else {273: offsets[:-1], 278: step, 279: [len(part) for part in parts]}
    known |= tags or {}
    written = {tag: values for tag, values in known.items() if values is not None}
    body = b"".join(part + bytes(len(part) % 2) for part in parts)
    directory, beyond = b"", b""
    after = offsets[-1] + (8 if big else 2) + entry * len(written) + struct.calcsize(word)
    for tag in sorted(written):
        values = written[tag]
        if isinstance(values, bytes):
            kind, count, content = 2, len(values), values
        else:
            numbers = [values] if isinstance(values, int) else list(values)
            kind, count = (4, len(numbers)) if max(numbers) > 65535 else (3, len(numbers))
            content = struct.pack(f"{order}{count}{'I' if kind == 4 else 'H'}", *numbers)
        if len(content) > struct.calcsize(word):
            at = after + len(beyond)
            beyond += content + bytes(len(content) % 2)
            content = struct.pack(order + word, at)
        directory += struct.pack(order + "HH" + word, tag, kind, count) + content.ljust(
            struct.calcsize(word), b"\0"
        )
    count_of_tags = struct.pack(order + ("Q" if big else "H"), len(written))
    version = (
        struct.pack(order + "HHHQ", 43, 8, 0, offsets[-1])
        if big
        else struct.pack(order + "HI", 42, offsets[-1])
    )
    mark = b"II" if order == "<" else b"MM"
    path.write_bytes(
        mark + version + body + count_of_tags + directory + bytes(struct.calcsize(word)) + beyond
    )
    return path


def write_bmp(
    path: Path,
    rows: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    palette: Sequence[tuple[int, int, int]] = (),
    compression: int = 0,
    masks: Sequence[int] = (),
    header: int = 40,
    used: int = 0,
) -> Path:
    """Write a BMP; rows are as stored: padded, the lowest first unless the height is negative."""
    width, height = size
    colours = b"".join(
        bytes((blue, green, red) + ((0,) if header > 12 else ())) for red, green, blue in palette
    )
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows), 0, 0, used, 0
        )
        info = (info + struct.pack(f"<{len(masks)}I", *masks)).ljust(header, b"\0")
    offset = 14 + len(info) + len(colours)
    path.write_bytes(b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + colours + rows)
    return path


def bmp_rows(pixels: NDArray, bits: int, turned: bool = True) -> bytes:
    """Pack rows for a BMP, the lowest first, each padded to four bytes."""
    whole = [packed(row[None], bits) for row in (pixels[::-1] if turned else pixels)]
    return b"".join(row + bytes(-len(row) % 4) for row in whole)


def write_png(
    path: Path, pixels: NDArray, colour: int, bits: int, chunks: Sequence[tuple[bytes, bytes]] = ()
) -> Path:
    """Write a PNG: height x width (x channels) samples of a colour type, with chunks before the pixels."""
    height, width = pixels.shape[:2]
    rows = (packed(row.reshape(1, -1), bits, ">") for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    middle = b"".join(chunk(*each) for each in chunks)
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + middle + data + chunk(b"IEND", b""))
    return path
