"""One image file: what its header says, and its pixels as eight bits of red, green and blue."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from hep2lib.errors import DatabaseError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
LARGEST_IMAGE = 100_000_000
SMALLEST_SIDE = 16
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LA", "La", "PA", "RGBA", "RGBa")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself before its pixels are decoded.

    Attributes:
        format: "JPEG", "PNG", "BMP" or "TIFF", after the contents, whatever the extension.
        width: in pixels.
        height: in pixels.
        mode: how the pixels are stored, in Pillow's words ("RGB", "L", "CMYK", "P", "I;16", ...).
        bits: of a channel, 8 or 16.
        frames: images in the file; only the first is ever read.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    frames: int


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow's remarks on broken metadata, which do not concern the pixels, off the screen.

    Python's warning filters belong to the whole process: enter this in the main thread, around a pool of
    threads that decode, never inside of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open an image; whatever goes wrong until it is closed becomes one `DatabaseError`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except DatabaseError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatabaseError(
            f"{path}: larger than {LARGEST_IMAGE // 10**6} megapixels, which is refused"
        ) from error
    except Image.UnidentifiedImageError as error:
        raise DatabaseError(f"{path}: not a JPEG, PNG, BMP or TIFF image") from error
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        KeyError,
        TypeError,
        IndexError,
        OverflowError,
    ) as error:
        # Pillow's plug-ins raise all of these on damaged files.
        raise DatabaseError(f"{path}: the image cannot be read ({error})") from error


def read_header(path: Path) -> Header:
    """Read what an image file says of itself, without decoding it.

    Args:
        path: the file.

    Returns:
        Its header.

    Raises:
        DatabaseError: no such image, not JPEG, PNG, BMP or TIFF, of a kind whose scale is unknown (32 bits
            a channel), more than 100 megapixels or less than 16 pixels a side.
    """
    with _opened(path) as image:
        if image.width * image.height > LARGEST_IMAGE:
            raise DatabaseError(f"{path}: larger than {LARGEST_IMAGE // 10**6} megapixels, which is refused")
        if min(image.size) < SMALLEST_SIDE:
            raise DatabaseError(
                f"{path}: {image.width} x {image.height} pixels; a field has at least {SMALLEST_SIDE} a side"
            )
        if image.mode not in _EIGHT_BIT + _GREY_16:
            raise DatabaseError(
                f"{path}: pixels of the kind {image.mode!r} have no known scale; convert the whole database "
                "to 8 or 16 bits a channel, with one factor for all images"
            )
        bits = 16 if image.mode in _GREY_16 or _wide_colour(image) else 8
        frames = int(getattr(image, "n_frames", 1))
        return Header(str(image.format), image.width, image.height, image.mode, bits, frames)


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Name the layout of the pixels in the file, as Pillow's decoder is told it."""
    arguments = image.tile[0].args if image.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _wide_colour(image: ImageFile.ImageFile) -> bool:
    """Say whether the file holds 16 bits a colour channel, of which Pillow keeps the upper 8."""
    return ";16" in _rawmode(image) and image.mode not in _GREY_16


def _wide_pixels(path: Path) -> NDArray[np.uint16]:
    """Decode 16 bits a channel.

    Pillow keeps the upper byte of 16-bit colour. Read once more with the bytes the other way round, it keeps
    the lower one; both together are exact.
    """
    with _opened(path) as image:
        if not _wide_colour(image):
            return np.asarray(image).astype(np.uint16)
        upper = np.asarray(image).astype(np.uint16)
        kept = image.mode
    with _opened(path) as image:
        rawmode = _rawmode(image)
        swapped = rawmode[:-1] + {"B": "L", "L": "B", "N": "B" if np.little_endian else "L"}[rawmode[-1]]
        tiles = []
        for tile in image.tile:
            arguments = (swapped, *tile.args[1:]) if isinstance(tile.args, tuple) else swapped
            tiles.append(tile._replace(args=arguments))
        image.tile = tiles
        lower = np.asarray(image).astype(np.uint16)
    wide = upper * np.uint16(256) + lower
    return wide[..., :3] if kept in ("RGB", "RGBX", "RGBA") else wide


def largest_value(path: Path) -> int:
    """Find the largest pixel value of a 16-bit image, 0 of any other.

    Raises:
        DatabaseError: the image cannot be read.
    """
    if read_header(path).bits == 8:
        return 0
    return int(_wide_pixels(path).max())


def decode(path: Path, bit_depth: int = 16) -> NDArray[np.uint8]:
    """Decode one image to 8 bits of red, green and blue.

    Grey is repeated, palettes are looked up, CMYK is converted, transparent pixels are black (an unlit
    field). An orientation noted in the file is not applied, as MATLAB's ``imread`` does not.

    Args:
        path: a JPEG, PNG, BMP or TIFF file; the first image of several.
        bit_depth: how many of the 16 bits of 16-bit images the *database* uses (9 to 16): value
            2^bit_depth - 1 becomes 255. One number for all images, since a scale of its own for each image
            would erase the intensity that is to be classified.

    Returns:
        uint8 array, height x width x 3.

    Raises:
        DatabaseError: the file cannot be read whole, or is of a kind that `read_header` refuses.
    """
    header = read_header(path)
    if header.bits == 16:
        wide = _wide_pixels(path).astype(np.float32)
        narrow = np.minimum(np.rint(wide * (255.0 / (2**bit_depth - 1))), 255.0).astype(np.uint8)
        return np.repeat(narrow[..., None], 3, axis=2) if narrow.ndim == 2 else narrow
    with _opened(path) as image:
        if header.mode in _ALPHA or "transparency" in image.info:
            lit = image.convert("RGBA")
            if not lit.getchannel("A").getextrema()[1]:
                raise DatabaseError(f"{path}: every pixel is transparent")
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            return np.asarray(Image.alpha_composite(black, lit).convert("RGB"))
        return np.asarray(image.convert("RGB"))
