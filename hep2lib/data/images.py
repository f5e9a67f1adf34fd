"""Images: a file's header and pixels, and those of a whole database as one tensor, decoded only once."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile

from hep2lib.errors import DatabaseError
from hep2lib.files import cores, written_whole
from hep2lib.progress import progress

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
LARGEST_IMAGE = 100_000_000
SMALLEST_SIDE = 16
_GREY_16 = ("I;16", "I;16B", "I;16L", "I;16N")
_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LA", "La", "PA", "RGBA", "RGBa")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# What Pillow's plug-ins raise on damaged files.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, IndexError, OverflowError)
ASPECTS = ("stretch", "pad")
COLOURS = ("rgb", "green")
_PREPROCESSING = 1  # counted up whenever the same files are to give other pixels
_ROTATED_AT_ONCE = 64


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
    except _DAMAGED as error:
        raise DatabaseError(f"{path}: the image cannot be read ({error})") from error


def read_header(path: Path) -> Header:
    """Read what an image file says of itself, without decoding it.

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
    """Decode one image to 8 bits of red, green and blue: uint8, height x width x 3.

    Grey is repeated, palettes are looked up, CMYK is converted, transparent pixels are black (an unlit
    field). An orientation noted in the file is not applied, as MATLAB's ``imread`` does not.

    Args:
        path: a JPEG, PNG, BMP or TIFF file; the first image of several.
        bit_depth: how many of the 16 bits of 16-bit images the *database* uses (9 to 16): value
            2^bit_depth - 1 becomes 255. One number for all images, since a scale of its own for each image
            would erase the intensity that is to be classified.

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


class ImageStore:
    """A folder of decoded databases, and an index that says what image files contain without reading them."""

    def __init__(self, folder: str | Path) -> None:
        """Open the store; its folder may be deleted at any time, and is then filled anew."""
        self.folder = Path(folder)
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)

    def checksums(self, paths: Sequence[str]) -> list[str]:
        """Give the sha256 of each file's contents; only files that are new or changed are read.

        A file is taken for unchanged while its name, size and time of modification are. One modified
        less than two seconds ago is not entered into the index, since it could change again within the
        clock's step.
        """
        known = self._read_index()
        stats = [Path(path).stat() for path in paths]
        signs = [[stat.st_size, stat.st_mtime_ns] for stat in stats]
        found = {p: known[p][2] for p, sign in zip(paths, signs, strict=True) if known.get(p, [])[:2] == sign}
        unknown = [path for path in paths if path not in found]
        if unknown:
            with ThreadPoolExecutor(cores()) as pool:
                sums = pool.map(file_checksum, unknown)
                shown = progress(sums, "checksums", total=len(unknown), unit="image")
                found.update(zip(unknown, shown, strict=True))
            settled = time.time_ns() - 2_000_000_000
            for path, (size, modified) in zip(paths, signs, strict=True):
                if modified < settled:
                    known[path] = [size, modified, found[path]]
            with self._writing(), written_whole(self.folder / "index.json") as temporary:
                temporary.write_text(json.dumps(known), encoding="utf-8")
        return [found[path] for path in paths]

    def _read_index(self) -> dict[str, list[Any]]:
        """Read the index; a damaged one is an empty one."""
        try:
            index = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(index, dict):
            return {}
        return {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 3}

    def images(
        self, key: Sequence[object], shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]
    ) -> NDArray[np.uint8]:
        """Give the stored uint8 array of a key, filling it first if it is not there.

        Args:
            key: everything that determines the array, as JSON can write it.
            shape: of the array, which is memory-mapped; writing to it changes nothing that others read.
            fill: writes the whole array in place; what it raises leaves nothing behind.
        """
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        path = self.folder / f"images-{digest[:32]}.npy"
        stored = self._mapped(path, shape)
        if stored is None:
            with self._writing(), written_whole(path) as temporary:
                array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
                _reserve(temporary)
                fill(array)
                array.flush()
            stored = self._mapped(path, shape)
            assert stored is not None, "an array that was just written can be read"
        return stored

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what goes wrong while writing the store into one `DatabaseError`."""
        try:
            yield
        except OSError as error:
            raise DatabaseError(
                f"{self.folder}: the decoded images cannot be kept here ({error.strerror or error}); give "
                "another folder with cache=..."
            ) from error

    @staticmethod
    def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Map a stored array; None where there is none, or not a whole one."""
        try:
            array = np.load(path, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return array if array.shape == shape and array.dtype == np.uint8 else None


def _reserve(path: Path) -> None:
    """Take the room on the disc now: a mapped file that finds the disc full later ends the whole program."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)


def load_images(
    database: pd.DataFrame,
    size: int = 224,
    *,
    aspect: str = "stretch",
    colour: str = "rgb",
    cache: str | Path | None = None,
) -> torch.Tensor:
    """Decode and resize the images of a database, in parallel, and only once if there is a cache.

    MATLAB's ``augmentedImageDatastore`` resizes to the network's input size without keeping the aspect ratio;
    that is ``aspect="stretch"``. Its documentation as known to us names no interpolation: bicubic with
    antialiasing is ``imresize``'s default (Keys' kernel with a = -0.5, widened when an image shrinks), which
    is Pillow's ``BICUBIC``, and is an assumption here.

    Args:
        database: a table as `read_database` returns it, or some of its rows.
        size: height and width of the images returned, in pixels, 1 to 4096.
        aspect: "stretch" to fill the square, or "pad" to keep the aspect ratio on black.
        colour: "rgb", or "green" for the green channel three times (fluorescein is green).
        cache: a folder for the memory-mapped store; None to keep the images in memory only.

    Returns:
        uint8 tensor, N x 3 x size x size; row i is row i of the database.

    Raises:
        DatabaseError: images that cannot be read, all of them named; an impossible parameter. Nothing is left
            in the cache then.
    """
    if not 1 <= size <= 4096:
        raise DatabaseError(f"size {size}: the images can be made 1 to 4096 pixels wide")
    if aspect not in ASPECTS:
        raise DatabaseError(f"aspect {aspect!r}: it may be {' or '.join(ASPECTS)}")
    if colour not in COLOURS:
        raise DatabaseError(f"colour {colour!r}: it may be {' or '.join(COLOURS)}")
    paths = [str(path) for path in database["path"]]
    listed = database.attrs.get("places", {})
    places = [f"{listed[image]}: " if image in listed else "" for image in database["image"]]
    depth = database.attrs.get("bit_depth")
    bit_depth = int(depth) if depth is not None else measured_bit_depth([Path(path) for path in paths])
    shape = (len(paths), 3, size, size)

    def fill(array: NDArray[np.uint8]) -> None:
        def one(row: int) -> str | None:
            try:
                array[row] = prepared(decode(Path(paths[row]), bit_depth), size, aspect, colour)
            except DatabaseError as error:
                return f"{places[row]}{error}"
            return None

        with quietly(), ThreadPoolExecutor(cores()) as pool:
            found = pool.map(one, range(len(paths)))
            problems = [p for p in progress(found, "decoding", total=len(paths), unit="image") if p]
        if problems:
            raise DatabaseError(problems)

    if cache is None or not paths:
        array = np.empty(shape, dtype=np.uint8)
        fill(array)
        return torch.from_numpy(array)
    store = ImageStore(cache)
    gone = [path for path in paths if not Path(path).is_file()]
    if gone:
        raise DatabaseError(f"{path}: the image is no longer there; read the database again" for path in gone)
    key = (_PREPROCESSING, PIL.__version__, size, aspect, colour, bit_depth, store.checksums(paths))
    return torch.from_numpy(store.images(key, shape, fill))


def prepared(
    pixels: NDArray[np.uint8], size: int, aspect: str = "stretch", colour: str = "rgb"
) -> NDArray[np.uint8]:
    """Resize one decoded image, uint8, height x width x 3, as `load_images` does: uint8, 3 x size x size."""
    if colour == "green":
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 1]))
    else:
        image = Image.fromarray(pixels)
    if aspect == "stretch":
        resized = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        longer = max(image.size)
        inner = (max(1, round(image.width * size / longer)), max(1, round(image.height * size / longer)))
        corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
        resized = Image.new(image.mode, (size, size))
        resized.paste(image.resize(inner, Image.Resampling.BICUBIC), corner)
    result = np.asarray(resized)
    return np.broadcast_to(result, (3, size, size)) if result.ndim == 2 else result.transpose(2, 0, 1)


def rotate(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotate images about their centre, bilinearly; the corners are black, as an unlit field is.

    Args:
        images: uint8 tensor, N x C x H x W.
        degrees: anticlockwise as the image is looked at; multiples of 360 give the images back exactly.

    Returns:
        uint8 tensor of the same shape, on the same device. An image's rotation does not depend on the images
        it is rotated with, and is the same every time.

    Raises:
        DatabaseError: not a batch of uint8 images, or an angle that is NaN or infinite.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DatabaseError(
            f"only uint8 images, N x C x H x W, can be rotated, not {images.dtype} of {images.ndim} axes"
        )
    if not np.isfinite(degrees):
        raise DatabaseError(f"an angle of {degrees} degrees is no rotation")
    if degrees % 360 == 0:
        return images.clone()
    height, width = images.shape[-2:]
    grid = _sampling_grid(height, width, degrees).to(images.device)
    turned = torch.empty_like(images)
    for start in range(0, len(images), _ROTATED_AT_ONCE):
        chunk = images[start : start + _ROTATED_AT_ONCE]
        grids = grid.expand(len(chunk), -1, -1, -1)
        sampled = torch.nn.functional.grid_sample(
            chunk.float(), grids, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        turned[start : start + _ROTATED_AT_ONCE] = sampled.round_().clamp_(0, 255).to(torch.uint8)
    return turned


def _sampling_grid(height: int, width: int, degrees: float) -> torch.Tensor:
    """Say where each pixel of the rotated image comes from: 1 x H x W x 2, x and y in -1 to 1."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
    # The image's y axis points down, hence the signs: the inverse of an anticlockwise turn, as it is seen.
    from_x = torch.cos(angle) * x - torch.sin(angle) * y
    from_y = torch.sin(angle) * x + torch.cos(angle) * y
    return torch.stack((from_x * 2 / width, from_y * 2 / height), dim=-1)[None].float()


def measured_bit_depth(paths: list[Path]) -> int:
    """Measure how many bits 16-bit images use: the smallest of 9 to 16 that hold the values of them all.

    Images of 8 bits are passed over.

    Raises:
        DatabaseError: an image cannot be read.
    """
    with quietly(), ThreadPoolExecutor(cores()) as pool:
        found = pool.map(largest_value, paths)
        values = list(progress(found, "measuring bit depth", total=len(paths), unit="image"))
    return min(max(max(values, default=0).bit_length(), 9), 16)


def file_checksum(path: str | Path) -> str:
    """Compute the sha256 of a file's contents in hexadecimal digits.

    Raises:
        DatabaseError: the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror or error})") from error
