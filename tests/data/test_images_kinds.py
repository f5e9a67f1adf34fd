"""Every kind of image file is decoded to what a viewer shows, or refused by its name."""

import base64
import io
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.data.images import decode, quietly, read_header
from hep2lib.errors import DatabaseError
from tests.data.handmade import write_aida, write_png16
from tests.data.rasters import (
    bmp_rows,
    lzw,
    packbits,
    packed,
    reversed_bits,
    write_bmp,
    write_png,
    write_tiff,
)

HEIGHT, WIDTH = 20, 21
DRAW = np.random.default_rng(0)
Write = Callable[[Path], object]


def noise(bits: int, channels: int = 1) -> np.ndarray:
    pixels = DRAW.integers(0, 2**bits, (HEIGHT, WIDTH, channels))
    pixels[0, 0], pixels[0, 1] = 0, 2**bits - 1
    return pixels


def shown(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Scale samples to 8 bits of red, green and blue."""
    return np.repeat(np.rint(pixels * (255 / (2**bits - 1))), 3 // pixels.shape[2], axis=2).astype(np.uint8)


GREY = {bits: noise(bits) for bits in (1, 2, 4, 8, 10, 12, 14, 16, 32)}
COLOUR = {bits: noise(bits, 3) for bits in (8, 16)}
ALPHA = {bits: noise(bits) for bits in (8, 16)}
INK = noise(8, 4)
PALETTE = DRAW.integers(0, 256, (256, 3))
FORMS: dict[str, dict] = {
    "plain": {},
    "strips": {"rows": 7},
    "tiles": {"tile": 16},
    "deflate": {"compression": 8, "encode": zlib.compress},
    "old deflate": {"compression": 32946, "encode": zlib.compress},
    "LZW": {"compression": 5, "encode": lzw},
    "LZW with predictor": {"compression": 5, "encode": lzw, "predictor": True},
    "PackBits, tiles": {"compression": 32773, "encode": packbits, "tile": 16},
    "BigTIFF": {"big": True},
}


def over(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Put samples whose alpha is not multiplied in on black."""
    return pixels * (ALPHA[bits] / (2**bits - 1))


def tiff(*arguments: object, **options: object) -> Write:
    return lambda path: write_tiff(path, *arguments, **options)  # type: ignore[arg-type]  # passed on


def with_alpha(pixels: np.ndarray, bits: int, meaning: int, photometric: int, **options: object) -> Write:
    stored = np.rint(over(pixels, bits)) if meaning == 1 else pixels
    both = np.concatenate([stored, ALPHA[bits]], axis=2)
    return tiff(both.astype(int), photometric, bits, tags={338: [meaning]}, **options)


READ: dict[str, tuple[Write, np.ndarray]] = {}
for form, how in FORMS.items():
    for order in "<>":
        if order == ">" and form == "BigTIFF":
            continue
        name = f"{form}, {'II' if order == '<' else 'MM'}"
        for bits in (8, 16):
            grey, colour = shown(GREY[bits], bits), shown(COLOUR[bits], bits)
            READ[f"grey of {bits} bits, {name}"] = (tiff(GREY[bits], 1, bits, order=order, **how), grey)
            READ[f"colour of {bits} bits, {name}"] = (tiff(COLOUR[bits], 2, bits, order=order, **how), colour)
        READ[f"0 is white, 8 bits, {name}"] = (
            tiff(255 - GREY[8], 0, 8, order=order, **how),
            shown(GREY[8], 8),
        )
    white = tiff(65535 - GREY[16], 0, 16, **how)
    READ[f"0 is white, 16 bits, {form}"] = (white, shown(GREY[16], 16))
for bits in (1, 2, 4):
    least, most = shown(GREY[bits], bits), 2**bits - 1
    READ[f"grey of {bits} bits"] = (tiff(GREY[bits], 1, bits), least)
    READ[f"0 is white, {bits} bits"] = (tiff(most - GREY[bits], 0, bits), least)
    READ[f"grey of {bits} bits, compressed"] = (tiff(GREY[bits], 1, bits, **FORMS["LZW"]), least)
    colours = [int(c) * 257 for c in PALETTE[: 2**bits].T.ravel()]
    looked_up = PALETTE[GREY[bits][..., 0]].astype(np.uint8)
    READ[f"palette of {bits} bits"] = (tiff(GREY[bits], 3, bits, tags={320: colours}), looked_up)
    stored = [tuple(map(int, colour)) for colour in PALETTE[: 2**bits]]
    if bits != 2:
        rows = bmp_rows(GREY[bits][..., 0], bits)
        READ[f"BMP with a palette of {bits} bits"] = (
            lambda path, a=(rows, (WIDTH, HEIGHT), bits), p=stored: write_bmp(
                path, *a, palette=p, used=len(p)
            ),
            looked_up,
        )
    READ[f"PNG, grey of {bits} bits"] = (lambda path, b=bits: write_png(path, GREY[b], 0, b), least)
    hidden = least.copy()
    hidden[GREY[bits][..., 0] == most] = 0
    READ[f"PNG, grey of {bits} bits, white transparent"] = (
        lambda path, b=bits: write_png(path, GREY[b], 0, b, [(b"tRNS", bytes([0, 2**b - 1]))]),
        hidden,
    )
READ |= {
    "palette of 8 bits": (
        tiff(GREY[8], 3, tags={320: [int(c) * 257 for c in PALETTE.T.ravel()]}),
        PALETTE[GREY[8][..., 0]].astype(np.uint8),
    ),
    "grey of 12 bits": (tiff(GREY[12], 1, 12), shown(GREY[12], 12)),
    "separate planes": (tiff(COLOUR[8], 2, separate=True), shown(COLOUR[8], 8)),
    "separate planes in strips": (tiff(COLOUR[8], 2, separate=True, rows=7), shown(COLOUR[8], 8)),
    "separate planes, LZW": (tiff(COLOUR[8], 2, separate=True, **FORMS["LZW"]), shown(COLOUR[8], 8)),
    "CMYK": (tiff(INK, 5), np.rint((255 - INK[..., :3]) * (255 - INK[..., 3:]) / 255).astype(np.uint8)),
    "alpha, 8 bits": (with_alpha(COLOUR[8], 8, 2, 2), shown(over(COLOUR[8], 8), 8)),
    "alpha, 16 bits": (with_alpha(COLOUR[16], 16, 2, 2), shown(over(COLOUR[16], 16), 16)),
    "alpha, 16 bits, LZW": (
        with_alpha(COLOUR[16], 16, 2, 2, **FORMS["LZW"]),
        shown(over(COLOUR[16], 16), 16),
    ),
    "alpha multiplied in, 8 bits": (with_alpha(COLOUR[8], 8, 1, 2), shown(over(COLOUR[8], 8), 8)),
    "alpha multiplied in, 16 bits": (with_alpha(COLOUR[16], 16, 1, 2), shown(over(COLOUR[16], 16), 16)),
    "fourth channel, 8 bits": (with_alpha(COLOUR[8], 8, 0, 2), shown(COLOUR[8], 8)),
    "fourth channel, 16 bits": (with_alpha(COLOUR[16], 16, 0, 2, order=">"), shown(COLOUR[16], 16)),
    "grey with alpha": (with_alpha(GREY[8], 8, 2, 1), shown(over(GREY[8], 8), 8)),
    "PNG, grey with alpha, 16 bits": (
        lambda path: write_png16(path, np.concatenate([GREY[16], ALPHA[16]], axis=2)),
        shown(over(GREY[16], 16), 16),
    ),
    "PNG, colour with alpha, 16 bits": (
        lambda path: write_png16(path, np.concatenate([COLOUR[16], ALPHA[16]], axis=2)),
        shown(over(COLOUR[16], 16), 16),
    ),
    "PNG, palette with transparency": (
        lambda path: write_png(
            path, GREY[8], 3, 8, [(b"PLTE", PALETTE.astype(np.uint8).tobytes()), (b"tRNS", bytes(range(256)))]
        ),
        np.rint(PALETTE[GREY[8][..., 0]] * (GREY[8] / 255)).astype(np.uint8),
    ),
    "BMP of 24 bits, highest row first": (
        lambda path: write_bmp(
            path, bmp_rows(COLOUR[8][..., ::-1].reshape(HEIGHT, -1), 8, turned=False), (WIDTH, -HEIGHT), 24
        ),
        shown(COLOUR[8], 8),
    ),
    "BMP of 32 bits, the fourth unused": (
        lambda path: write_bmp(
            path,
            np.concatenate([COLOUR[8][..., ::-1], 0 * ALPHA[8]], axis=2)[::-1].astype(np.uint8).tobytes(),
            (WIDTH, HEIGHT),
            32,
        ),
        shown(COLOUR[8], 8),
    ),
    "BMP of OS/2": (
        lambda path: write_bmp(
            path, bmp_rows(GREY[8][..., 0], 8), (WIDTH, HEIGHT), 8, header=12, palette=PALETTE.tolist()
        ),
        PALETTE[GREY[8][..., 0]].astype(np.uint8),
    ),
    "BMP in runs": (
        lambda path: write_bmp(
            path,
            b"".join(
                b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in GREY[8][::-1, :, 0].tolist()
            )
            + b"\0\1",
            (WIDTH, HEIGHT),
            8,
            compression=1,
            palette=PALETTE.tolist(),
        ),
        PALETTE[GREY[8][..., 0]].astype(np.uint8),
    ),
}
FIVE, SIX = DRAW.integers(0, 32, (HEIGHT, WIDTH, 3)), DRAW.integers(0, 64, (HEIGHT, WIDTH))


def of_16_bits(values: np.ndarray) -> bytes:
    return b"".join(row.astype("<u2").tobytes() + bytes(-2 * WIDTH % 4) for row in values[::-1])


R5, G5, B5 = np.moveaxis(FIVE, 2, 0)
READ["BMP of 5, 5 and 5 bits"] = (
    lambda path: write_bmp(path, of_16_bits(R5 << 10 | G5 << 5 | B5), (WIDTH, HEIGHT), 16),
    np.rint(FIVE * (255 / 31)).astype(np.uint8),
)
READ["BMP of 5, 6 and 5 bits"] = (
    lambda path: write_bmp(
        path,
        of_16_bits(R5 << 11 | SIX << 5 | B5),
        (WIDTH, HEIGHT),
        16,
        compression=3,
        header=56,
        masks=(0xF800, 0x7E0, 0x1F),
    ),
    np.rint(np.stack([R5 * (255 / 31), SIX * (255 / 63), B5 * (255 / 31)], axis=2)).astype(np.uint8),
)


@pytest.mark.parametrize("case", READ)
def test_pixels_are_what_a_viewer_shows(case: str, tmp_path: Path) -> None:
    write, expected = READ[case]
    path = tmp_path / "image"
    write(path)
    pixels = decode(path)
    header = read_header(path)
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    difference = np.abs(pixels.astype(int) - expected).max()
    assert difference <= (
        1 if "alpha" in case or "CMYK" in case or "transparency" in case or "BMP of 5" in case else 0
    )


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Show stored pixels as an EXIF orientation says, after its definition: where row 0 and column 0 are."""
    image = Image.fromarray(pixels)
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    return np.asarray(image if orientation == 1 else image.transpose(Image.Transpose(turns[orientation])))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_a_viewer_does(tmp_path: Path, orientation: int) -> None:
    for name, pixels, photometric, bits in (
        ("grey", GREY[8], 1, 8),
        ("deep", GREY[16], 1, 16),
        ("colour", COLOUR[8], 2, 8),
        ("both", COLOUR[16], 2, 16),
        ("white", 65535 - GREY[16], 0, 16),
    ):
        expected = turned(shown(65535 - pixels if photometric == 0 else pixels, bits), orientation)
        for form in ("plain", "LZW", "tiles"):
            path = write_tiff(
                tmp_path / f"{name}{form}.tif",
                pixels,
                photometric,
                bits,
                **FORMS[form],
                tags={274: orientation},
            )
            assert np.array_equal(decode(path), expected), path.name
    exif = Image.Exif()
    exif[0x0112] = orientation
    colour = shown(COLOUR[8], 8)
    Image.fromarray(colour).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(decode(tmp_path / "a.png"), turned(colour, orientation))
    Image.fromarray(colour).save(tmp_path / "plain.jpg", quality=95)
    Image.fromarray(colour).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    assert np.array_equal(
        decode(tmp_path / "turned.jpg"), turned(decode(tmp_path / "plain.jpg"), orientation)
    )
    chunk = exif.tobytes().removeprefix(b"Exif\0\0")
    deep = write_png(tmp_path / "deep.png", COLOUR[16], 2, 16, [(b"eXIf", chunk)])
    assert np.array_equal(decode(deep), turned(shown(COLOUR[16], 16), orientation))


def test_transparent_values_of_16_bits_are_black(tmp_path: Path) -> None:
    value = GREY[16][3, 4, 0]
    expected = shown(np.where(GREY[16] == value, 0, GREY[16]), 16)
    grey = write_png(tmp_path / "g.png", GREY[16], 0, 16, [(b"tRNS", int(value).to_bytes(2, "big"))])
    assert np.array_equal(decode(grey), expected)
    hidden = COLOUR[16][3, 4]
    colour = write_png(tmp_path / "c.png", COLOUR[16], 2, 16, [(b"tRNS", hidden.astype(">u2").tobytes())])
    assert (decode(colour)[3, 4] == 0).all()
    assert np.array_equal(decode(colour)[5], shown(COLOUR[16], 16)[5])


def test_interlaced_16_bits(tmp_path: Path) -> None:
    """Both bytes of a sample are found in each of Adam7's passes."""
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    for colour, pixels in (
        (2, COLOUR[16]),
        (0, GREY[16]),
        (4, np.concatenate([GREY[16], 0 * ALPHA[16] + 65535], 2)),
    ):
        passes = [pixels[y::dy, x::dx] for y, x, dy, dx in starts]
        data = zlib.compress(
            b"".join(
                b"\0" + packed(row.reshape(1, -1), 16, ">") for part in passes for row in part if part.size
            )
        )
        path = write_png(tmp_path / "a.png", pixels, colour, 16)
        plain = path.read_bytes()
        head = bytearray(plain[16:29])
        head[12] = 1
        end = plain[-12:]
        body = b"\0\0\0\x0dIHDR" + head + zlib.crc32(b"IHDR" + head).to_bytes(4, "big")
        idat = len(data).to_bytes(4, "big") + b"IDAT" + data + zlib.crc32(b"IDAT" + data).to_bytes(4, "big")
        path.write_bytes(plain[:8] + body + idat + end)
        assert np.array_equal(decode(path), shown(pixels[..., : 3 if colour == 2 else 1], 16))


def test_colour_profiles_and_gamma_change_nothing(tmp_path: Path) -> None:
    extra = [(b"gAMA", (22000).to_bytes(4, "big")), (b"sBIT", bytes([5, 5, 5]))]
    path = write_png(tmp_path / "a.png", COLOUR[8], 2, 8, extra)
    assert np.array_equal(decode(path), COLOUR[8])


def test_first_picture_of_a_phone(tmp_path: Path) -> None:
    first = Image.fromarray(shown(COLOUR[8], 8))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[first.resize((30, 30))])
    header = read_header(tmp_path / "a.jpg")
    assert (header.format, header.frames, header.width) == ("JPEG", 2, WIDTH)
    first.save(tmp_path / "b.jpg")
    assert np.array_equal(decode(tmp_path / "a.jpg"), decode(tmp_path / "b.jpg"))


def test_jpegs_of_all_kinds(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(40), np.arange(32)).astype(np.uint8) * 3
    for mode, options in (
        ("L", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 2}),
        ("CMYK", {}),
    ):
        path = tmp_path / "a.jpg"
        Image.fromarray(smooth).convert("RGB").convert(mode).save(path, quality=98, **options)
        assert np.abs(decode(path).astype(int) - smooth[..., None]).max() <= 4, (mode, options)
        Image.fromarray(smooth).convert("RGB").save(path, format="TIFF", compression="jpeg", quality=98)
        assert np.abs(decode(path).astype(int) - smooth[..., None]).max() <= 4


def test_two_colours_of_eight_bits_are_not_taken_for_one_bit(tmp_path: Path) -> None:
    """A BMP whose palette is black and white or a ramp is read with the bits that it has, or refused."""
    rows = bmp_rows(GREY[1][..., 0], 8)
    path = write_bmp(
        tmp_path / "a.bmp", rows, (WIDTH, HEIGHT), 8, palette=[(0, 0, 0), (255, 255, 255)], used=2
    )
    with pytest.raises(DatabaseError, match=r"a.bmp: a BMP of 8 bits with such a palette is not read"):
        decode(path)
    ramp = [(value, value, value) for value in range(16)]
    path = write_bmp(
        tmp_path / "b.bmp", bmp_rows(GREY[4][..., 0], 4), (WIDTH, HEIGHT), 4, palette=ramp, used=16
    )
    with pytest.raises(DatabaseError, match=r"b.bmp: a BMP of 4 bits with such a palette is not read"):
        decode(path)


TWELVE_BITS = base64.b64decode(
    "/9j/wQARDAAQABADAREAAhEBAxEB"  # the frame's header says all that is asked
)
REFUSED: dict[str, tuple[Write, str]] = {
    f"{what} compression": (tiff(GREY[8], 1, compression=number), f"not read .{what} compression.")
    for number, what in (
        (6, "old-style JPEG"),
        (33003, "JPEG 2000"),
        (34712, "JPEG 2000"),
        (34887, "LERC"),
        (22610, "JPEG XR"),
        (50001, "WebP"),
        (50002, "JPEG XL"),
        (34933, "34933"),
        (32809, "32809"),
    )
}
REFUSED |= {
    "signed, 8 bits": (tiff(GREY[8], 1, tags={339: 2}), "numbers that are signed or have fractions"),
    "signed, 16 bits": (tiff(GREY[16], 1, 16, tags={339: 2}), "numbers that are signed or have fractions"),
    "signed colour": (tiff(COLOUR[16], 2, 16, tags={339: [2, 2, 2]}), "numbers that are signed"),
    "fractions": (tiff(GREY[32], 1, 32, tags={339: 3}), "numbers that are signed or have fractions"),
    "32 bits": (tiff(GREY[32], 1, 32), "32 bits a channel"),
    "filled from below": (
        tiff(GREY[8], 1, encode=reversed_bits, tags={266: 2}),
        "bits that are filled from below",
    ),
    "10 bits": (tiff(GREY[10], 1, 10), "10 bits a channel"),
    "14 bits": (tiff(GREY[14], 1, 14), "14 bits a channel"),
    "12 bits, big-endian": (tiff(GREY[12], 1, 12, order=">"), "12 bits a channel, big-endian"),
    "0 is white, 16 bits, big-endian": (
        tiff(65535 - GREY[16], 0, 16, order=">"),
        "16 bits a channel, big-endian",
    ),
    "5, 6 and 5 bits": (tiff(COLOUR[8], 2, tags={258: [5, 6, 5]}), "5 and 6 bits a channel"),
    "palette of 16 bits": (
        tiff(GREY[16], 3, 16, tags={320: [0, 1, 2]}),
        "16 bits a channel, photometric inter",
    ),
    "palette up to 255": (
        tiff(GREY[8], 3, tags={320: [int(c) for c in PALETTE.T.ravel()]}),
        "a palette of 8 bits",
    ),
    "CMYK of 16 bits": (
        tiff(np.concatenate([COLOUR[16], ALPHA[16]], 2), 5, 16),
        "16 bits a channel, photometric",
    ),
    "YCbCr without compression": (tiff(COLOUR[8], 6), "YCbCr without JPEG compression"),
    "no photometric interpretation": (tiff(GREY[8], 1, tags={262: None}), "photometric interpretation -1"),
    "colour filter array": (tiff(GREY[16], 32803, 16), "photometric interpretation 32803"),
    "linear raw": (tiff(COLOUR[16], 34892, 16), "photometric interpretation 34892"),
    "L*a*b*": (tiff(COLOUR[8], 8), "photometric interpretation 8"),
    "separate planes, 16 bits": (tiff(COLOUR[16], 2, 16, separate=True), "separate planes"),
    "separate planes, 16 bits, LZW": (
        tiff(COLOUR[16], 2, 16, separate=True, **FORMS["LZW"]),
        "separate planes",
    ),
    "separate plane, 0 is white": (tiff(255 - GREY[8], 0, separate=True), "separate planes"),
    "separate plane of 16 bits": (tiff(GREY[16], 1, 16, tags={284: 2}), "separate planes"),
    "separate planes and alpha": (with_alpha(COLOUR[8], 8, 0, 2, separate=True), "separate planes"),
    "fourth channel that is not said": (
        tiff(np.concatenate([COLOUR[8], ALPHA[8]], axis=2), 2),
        "4 channels, 0 of them extra",
    ),
    "two channels of grey": (with_alpha(GREY[8], 8, 0, 1), "2 channels, 1 of them extra"),
    "grey with alpha of 16 bits": (with_alpha(GREY[16], 16, 2, 1), "2 channels, 1 of them extra"),
    "grey with alpha multiplied in": (with_alpha(GREY[8], 8, 1, 1), "2 channels, 1 of them extra"),
    "thumbnail first": (tiff(GREY[8], 1, tags={254: 1}), "a thumbnail or a mask before the image"),
    "mask first": (tiff(GREY[8], 1, tags={254: 4}), "a thumbnail or a mask before the image"),
    "big-endian BigTIFF": (tiff(GREY[8], 1, big=True, order=">"), "big-endian BigTIFF"),
    "JPEG of 12 bits": (lambda path: path.write_bytes(TWELVE_BITS), "cannot handle 12-bit layers"),
    "BMP of JPEG": (
        lambda path: write_bmp(path, bytes(4 * WIDTH * HEIGHT), (WIDTH, HEIGHT), 24, compression=4),
        "Unsupported BMP compression .4.",
    ),
    "BMP of 4, 4 and 4 bits": (
        lambda path: write_bmp(
            path,
            of_16_bits(FIVE[..., 0]),
            (WIDTH, HEIGHT),
            16,
            compression=3,
            header=56,
            masks=(0xF00, 0xF0, 0xF),
        ),
        "Unsupported BMP bitfields layout",
    ),
    "PNG of a kind that there is not": (
        lambda path: write_png(path, GREY[16], 3, 16),
        "image cannot be read",
    ),
    "wholly transparent, 16 bits": (
        lambda path: write_png16(path, np.concatenate([GREY[16], 0 * ALPHA[16]], axis=2)),
        "every pixel is transparent",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_kinds_are_refused_by_their_names(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    write, message = REFUSED[case]
    path = tmp_path / "image"
    write(path)
    with quietly(), pytest.raises(DatabaseError, match=message) as caught:
        decode(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(caught.value.problems) == 1
    assert capfd.readouterr() == ("", "")


def test_damage_is_one_message_and_nothing_on_the_screen(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """Cut off and overwritten files of all kinds: libtiff writes its own remarks past Python."""
    files = []
    for form in FORMS:
        files.append(write_tiff(tmp_path / f"{form}.tif", COLOUR[16], 2, 16, **FORMS[form]))
    for mode, name in (
        ("RGB", "a.png"),
        ("RGB", "a.jpg"),
        ("P", "a.bmp"),
        ("L", "zstd.tif"),
        ("RGB", "jpeg.tif"),
    ):
        compression = {"compression": name.removesuffix(".tif")} if name.endswith("tif") else {}
        Image.fromarray(shown(COLOUR[8], 8)).convert(mode).save(tmp_path / name, **compression)
        files.append(tmp_path / name)
    generator = np.random.default_rng(1)
    refused = []
    with quietly():
        for file in files:
            content = file.read_bytes()
            for trial in range(12):
                spoilt = bytearray(content if trial % 3 else content[: len(content) * (trial + 1) // 13])
                for place in generator.integers(0, len(spoilt), trial):
                    spoilt[place] = generator.integers(0, 256)
                (tmp_path / "spoilt").write_bytes(spoilt)
                try:
                    header = read_header(tmp_path / "spoilt")
                    if header.width * header.height < 10**5:  # another size takes time and shows nothing
                        decode(tmp_path / "spoilt")
                except DatabaseError as error:
                    refused.append(str(error))
    assert len(refused) > 50
    assert all(text.startswith(f"{tmp_path / 'spoilt'}: ") for text in refused)
    assert capfd.readouterr() == ("", "")


def test_the_bar_keeps_the_screen_while_libtiff_is_silent(capfd: pytest.CaptureFixture, monkeypatch) -> None:
    with os.fdopen(os.dup(2), "w", buffering=1) as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(sys, "__stderr__", screen)  # as in a program that nothing redirects
        with quietly():
            print("a bar", file=sys.stderr)
            os.write(2, b"a remark of libtiff")
        os.write(2, b"and what comes after\n")
    assert capfd.readouterr().err == "a bar\nand what comes after\n"
    with io.StringIO() as notebook:
        monkeypatch.setattr(sys, "stderr", notebook)
        with quietly():
            print("a bar", file=sys.stderr)
        assert notebook.getvalue() == "a bar\n"


def test_every_refusal_has_its_row(tmp_path: Path) -> None:
    root = write_aida(tmp_path / "db")
    write_tiff(root / "aida_project_database" / "01_1.png", GREY[8], 1, compression=34712)
    with pytest.raises(
        DatabaseError, match=r"csv, row 3: .*01_1.png: a TIFF of a kind that is not read .JPEG 2000"
    ):
        read_database(root)


def test_further_channels_are_a_warning(tmp_path: Path) -> None:
    """ImageJ writes the channels of an image one after the other: the second may be the green one."""
    root = write_aida(tmp_path / "db")
    pages = [Image.fromarray(GREY[8][..., 0].astype(np.uint8))] * 2
    note = {270: "ImageJ=1.54f\nimages=2\nchannels=2\nmode=composite\n"}
    path = root / "aida_project_database" / "01_1.png"
    pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:], tiffinfo=note)
    warnings = read_database(root).attrs["warnings"]
    assert "only the first image (page, channel or slice) is read of 1 file with more: 01_1.png" in warnings
