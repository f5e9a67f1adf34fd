"""Images: a file's header and pixels, and those of a whole database as one tensor, decoded only once."""

import hashlib
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import PIL
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import Base

from hep2lib.errors import DatabaseError
from hep2lib.files import file_digest, kept_file, user_cache, write_text
from hep2lib.processes import cores
from hep2lib.progress import progress
from hep2lib.sources import code_digest

if TYPE_CHECKING:  # importing torch takes seconds, and whoever looks at files needs none
    import torch

LARGEST_IMAGE = 100_000_000
SMALLEST_SIDE = 16
_PLUGINS: dict[bytes, Callable[[IO[bytes], str], ImageFile.ImageFile]] = {
    b"\xff\xd8\xff": JpegImagePlugin.jpeg_factory,
    b"\x89PNG": PngImagePlugin.PngImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile),
}
_WIDE = re.compile(r"(I|RGB|RGBA|RGBa|RGBX|LA);16([BLN]?)")  # samples and byte order, in Pillow's words
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
# By photometric interpretation (0 is white, 0 is black, RGB, palette, CMYK, YCbCr): channels, and their bits.
_TIFF_KINDS = {0: (1, {1, 2, 4, 8, 16}), 1: (1, {1, 2, 4, 8, 12, 16}), 2: (3, {8, 16}), 3: (1, {1, 2, 4, 8})}
_TIFF_KINDS |= {5: (4, {8}), 6: (3, {8})}
_TIFF_READ = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000)  # compressions that Pillow's libtiff decodes
_TIFF_NAMES = {33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 6: "old-style JPEG"}
_TIFF_NAMES |= {22610: "JPEG XR", 34892: "lossy JPEG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL"}
_KINDS = {  # by a file's first bytes: what it is that is not read, and what to do about it
    rb"\Z": "empty, 0 bytes; copy it anew",
    rb"GIF8": "a GIF image; convert it to png",
    rb"RIFF.{4}WEBP": "a WebP image; convert it to png",
    rb"\0{3}\x0cjP  ": "a JPEG 2000 image; convert it to png",
    rb".{4}ftyp(hei|hev|avi|mif|msf)": "a HEIC or AVIF image, as phones take them; convert it to png",
    rb".{128}DICM": "a DICOM image; convert it to png",
    rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis": "an OpenDocument file (ods); save it as xlsx",
    rb"PK\x03\x04.*Index/Document\.iwa": "a file of Apple's Numbers; export it as xlsx",
    rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b": "an archive (zip, rar, 7z or gz); unpack it",
    rb"(\xef\xbb\xbf)?\s*<(?i:!doctype|html|head|meta|table|\?xml)": "a web page; save a table in it as xlsx",
}
ASPECTS = ("stretch", "pad")
COLOURS = ("rgb", "green")
_ROTATED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Header:
    """What an image file says of itself before its pixels are decoded; of several images, the first."""

    format: str  # "JPEG", "PNG", "BMP" or "TIFF", after the contents, whatever the extension
    width: int  # in pixels; of a JPEG or PNG before it is turned as its EXIF data say
    height: int
    mode: str  # how the pixels are stored, in Pillow's words ("RGB", "L", "CMYK", "P", "I;16", ...)
    bits: int  # of a channel: 8 (or fewer), 12 or 16
    frames: int  # images in the file


def unread_kind(content: bytes) -> str:
    """Say what a file of a known kind that is not read is, and what to do about it; "" for all others."""
    return next((what for sign, what in _KINDS.items() if re.match(sign, content, re.DOTALL)), "")


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what Pillow and libtiff remark off the process's screen: enter it around a pool, never inside."""
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `read_header` has its own limit
        with suppress(OSError):  # a service may have no descriptor 2, to which libtiff writes past Python
            screen = stack.enter_context(os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace"))
            stack.callback(os.dup2, screen.fileno(), 2)
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), 2)
            if sys.stderr is sys.__stderr__:
                stack.enter_context(redirect_stderr(screen))
        yield


def each_image(
    look: Callable[[Any], Any], images: Sequence[tuple[Any, str]], what: str
) -> tuple[list[Any], list[str]]:
    """Call `look` with the first of each (image, place), in parallel: what it gave, and what it raised.

    Returns:
        One result an image, None where `look` raised a `DatabaseError`; these, each with the image's place.
    """

    def one(image: tuple[Any, str]) -> tuple[Any, str]:
        try:
            return look(image[0]), ""
        except DatabaseError as error:
            return None, f"{image[1]}: {error}" if image[1] else str(error)

    with quietly(), ThreadPoolExecutor(cores()) as pool:
        found = list(progress(pool.map(one, images), what, total=len(images), unit="image"))
    return [seen for seen, _ in found], [problem for _, problem in found if problem]


def each_new(
    look: Callable[[Path], Any],
    images: Sequence[tuple[Path, str]],
    what: str,
    follows: Sequence[str] = (),
    index: Path | None = None,
) -> tuple[list[Any], list[str]]:
    """Do as `each_image` does, but look only at files that are new or changed since the last call.

    A file is taken for unchanged while its path, size, times and number on the disc are, and what the results
    follow from besides (`follows`). Of one modified in the last two seconds nothing is kept: it could change
    again within the clock's step. Nor is what `look`, which gives what JSON can hold and not None, raised:
    that file is complained of every time. The file to keep the rest in, `index`, is else one in the user's
    cache, by `what` and the first image's folder; where it is missing or damaged, all files are looked at.
    """
    if index is None:
        folder = hashlib.sha256(os.fsencode(images[0][0].parent) if images else b"").hexdigest()[:16]
        index = user_cache() / f"{what.replace(' ', '-')}-{folder}.json"
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        digest, content = index.read_text(encoding="utf-8").split("\n")
        if digest == hashlib.sha256(content.encode()).hexdigest():
            known = json.loads(content)
    settled = time.time_ns() - 2_000_000_000
    new, signs = [], []
    for path, place in images:
        sign: list[Any] = []
        with suppress(OSError):  # `look` will say so
            s = path.stat()
            sign = [*follows, s.st_size, s.st_ino, s.st_ctime_ns, s.st_mtime_ns]
        if not sign or known.get(str(path), [0])[0] != sign:
            new.append((path, place))
            signs.append(sign)
    found, problems = each_image(look, new, what)
    known |= {str(path): each for (path, _), *each in zip(new, signs, found, strict=True)}
    if new:
        sound = (each for each in known.items() if each[1][0] and each[1][1] is not None)
        content = json.dumps({path: each for path, each in sound if each[0][-1] < settled})
        with suppress(OSError):
            write_text(index, f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}")
    return [known[str(path)][1] for path, _ in images], problems


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open an image of a kind that is read; whatever goes wrong until it is closed is one `DatabaseError`.

    Pillow's plug-ins say why they do not take a file, which `Image.open` keeps to itself. They get no name:
    where they can map a file into memory, they scramble a TIFF that is noted as turned.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
            plugin = next((plugin for sign, plugin in _PLUGINS.items() if start.startswith(sign)), None)
            if plugin is None:
                raise DatabaseError(f"{path}: {unread_kind(start) or 'not a JPEG, PNG, BMP or TIFF image'}")
            if plugin is TiffImagePlugin.TiffImageFile and (odd := _odd_tiff(start, stream)):
                raise DatabaseError(f"{path}: a TIFF of a kind that is not read ({odd}); save it anew as PNG")
            stream.seek(0)
            with plugin(stream, "") as image:
                if image.format == "BMP" and image.mode in "1L":
                    bits = int.from_bytes(start[24:26] if start[14] == 12 else start[28:30], "little")
                    if bits != (1 if image.mode == "1" else 8):  # taken for so many because of its palette
                        raise DatabaseError(f"{path}: a BMP of {bits} bits with such a palette is not read")
                yield image
    except DatabaseError:
        raise
    except Exception as error:  # a plug-in raises whatever its parsing stumbles on
        cause = error.__cause__ or error
        said = cause if isinstance(cause, (OSError, SyntaxError, ValueError)) else f"damaged: {cause!r}"
        raise DatabaseError(f"{path}: the image cannot be read ({said})") from error


def _odd_tiff(start: bytes, stream: IO[bytes]) -> str:
    """Say what of a TIFF's tags (TIFF 6.0) keeps it from being read, "" if nothing does.

    Pillow takes more, but some of it wrongly (signed numbers, separate planes of other than 8 bits).
    """
    if start.startswith(b"MM\0+"):
        return "big-endian BigTIFF"
    tags = TiffImagePlugin.ImageFileDirectory_v2(start[: 16 if start[2] == 43 else 8])
    stream.seek(tags.next)
    tags.load(stream)
    if Base.ImageWidth not in tags:
        raise OSError("its tags are missing")
    method, colours = tags.get(Base.Compression, 1), tags.get(Base.PhotometricInterpretation, -1)
    bits, extra = set(tags.get(Base.BitsPerSample, (1,))), tags.get(Base.ExtraSamples, ())
    samples, separate = tags.get(Base.SamplesPerPixel, 1), tags.get(Base.PlanarConfiguration, 1) == 2
    channels, depths = _TIFF_KINDS.get(colours, (0, {8}))
    uncounted = samples != channels + len(extra) or len(extra) > 1
    beside_grey = channels == 1 and bool(extra) and (bits, extra) != ({8}, (2,))  # no alpha that Pillow takes
    of_bits = f"{' and '.join(map(str, sorted(bits)))} bits a channel"
    odd = {
        f"{_TIFF_NAMES.get(method, method)} compression": method not in _TIFF_READ,
        f"photometric interpretation {colours}": not channels,
        "numbers that are signed or have fractions": set(tags.get(Base.SampleFormat, (1,))) != {1},
        f"{of_bits}, photometric interpretation {colours}": len(bits) > 1 or not bits <= depths,
        f"{of_bits}, big-endian": start[:2] == b"MM" and (bits == {12} or (bits == {16} and colours == 0)),
        f"{samples} channels, {len(extra)} of them extra": uncounted or beside_grey,
        "bits that are filled from below": tags.get(Base.FillOrder, 1) == 2,
        "separate planes": separate and (bits != {8} or bool(extra) or colours == 0),
        "YCbCr without JPEG compression": colours == 6 and method != 7,
        "JPEG compression with such channels": method == 7 and (bits != {8} or separate or colours in (3, 5)),
        "a palette of 8 bits": colours == 3 and max(tags.get(Base.ColorMap, (0,))) < 256,
        "a thumbnail or a mask before the image": bool(tags.get(Base.NewSubfileType, 0) & 5),
    }
    return next((what for what, holds in odd.items() if holds), "")


def read_header(path: Path) -> Header:
    """Read what an image file says of itself, without decoding it.

    Raises:
        DatabaseError: no such image, not JPEG, PNG, BMP or TIFF, of a kind that is not read (each is named),
            more than 100 megapixels or less than 16 pixels a side.
    """
    with _opened(path) as image:
        if image.width * image.height > LARGEST_IMAGE:
            raise DatabaseError(f"{path}: larger than {LARGEST_IMAGE // 10**6} megapixels, which is refused")
        if min(image.size) < SMALLEST_SIDE:
            raise DatabaseError(
                f"{path}: {image.width} x {image.height} pixels; a field has at least {SMALLEST_SIDE} a side"
            )
        rawmode = _rawmode(image)
        bits = 16 if _WIDE.fullmatch(rawmode) else 12 if rawmode == "I;12" else 8
        kind = "JPEG" if image.format == "MPO" else str(image.format)  # a JPEG with further pictures
        return Header(kind, image.width, image.height, image.mode, bits, int(getattr(image, "n_frames", 1)))


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Name the layout of the pixels in the file, as Pillow's decoder is told it."""
    arguments = image.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _upright(image: Image.Image) -> Image.Image:
    """Decode an image, and turn it in place as its EXIF data say; damaged ones turn nothing."""
    image.load()
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def wide_pixels(path: Path) -> NDArray[np.uint16]:
    """Decode 12 or 16 bits a channel: uint16, height x width x 1 or 3; transparent pixels are black.

    Pillow keeps one byte of 16-bit colour; unpacked in either byte order, it gives each of them once.

    Raises:
        DatabaseError: the image cannot be read.
    """

    def unpacked(rawmode: str) -> NDArray[np.uint16]:
        with _opened(path) as image:
            for number, tile in enumerate(image.tile):
                args = (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
                image.tile[number] = tile._replace(args=args)
            return np.asarray(_upright(image)).astype(np.uint16)

    with _opened(path) as image:
        layout = _WIDE.fullmatch(_rawmode(image))
        samples, order = layout.groups() if layout else ("I", "")
        hidden = image.info.get("transparency")
        white = getattr(image, "tag_v2", {}).get(Base.PhotometricInterpretation) == 0
        wide = np.asarray(_upright(image)).astype(np.uint16)[..., None] if samples == "I" else None
    if samples == "LA":  # four bytes a pixel, high before low, for which Pillow has no mode
        four = unpacked("RGBA")
        wide = four[..., ::2] * np.uint16(256) + four[..., 1::2]
    elif wide is None:
        low_first = order == "L" or (order == "N" and sys.byteorder == "little")
        high, low = (unpacked(f"{samples.upper()};16{which}") for which in ("LB" if low_first else "BL"))
        wide = high * np.uint16(256) + low
    elif white:
        wide = 65535 - wide
    if samples in ("LA", "RGBA"):
        if not wide[..., -1].any():
            raise DatabaseError(f"{path}: every pixel is transparent")
        wide = np.rint(wide[..., :-1] * (wide[..., -1:] / 65535.0)).astype(np.uint16)
    if hidden is not None:
        wide[(wide == hidden).all(axis=-1)] = 0
    return wide[..., :3]


def decode(path: Path, bit_depth: int = 16) -> NDArray[np.uint8]:
    """Decode one image to 8 bits of red, green and blue as a viewer shows it: uint8, height x width x 3.

    Transparent pixels are black (an unlit field), an EXIF orientation is applied. Colour profiles, gamma and
    the display range that ImageJ notes are not: the stored numbers are what was measured.

    Args:
        path: a JPEG, PNG, BMP or TIFF file; the first image of several.
        bit_depth: how many of the 16 bits of 16-bit images the *database* uses (8 to 16): value
            2^bit_depth - 1 becomes 255. One number for all images, since a scale of its own for each image
            would erase the intensity that is to be classified. TIFFs of 12 bits say their scale themselves.

    Raises:
        DatabaseError: the file cannot be read whole, is of a kind that `read_header` refuses, or holds values
            beyond `bit_depth`.
    """
    header = read_header(path)
    if header.bits > 8:
        depth = bit_depth if header.bits == 16 else header.bits
        wide = wide_pixels(path)
        if wide.max() >= 2**depth:
            raise DatabaseError(f"{path}: holds {wide.max():,}, and {depth} bits end at {2**depth - 1:,}")
        narrow = np.rint(wide.astype(np.float32) * (255.0 / (2**depth - 1))).astype(np.uint8)
        pixels = np.repeat(narrow, 3 // narrow.shape[2], axis=2)
    else:
        with _opened(path) as image:
            hidden = image.info.get("transparency")
            if isinstance(hidden, int):  # as stored, where Pillow stretches 2 and 4 bits to 8
                image.info["transparency"] = hidden * {"L;2": 85, "L;4": 17}.get(_rawmode(image), 1)
            lit: Image.Image = _upright(image)
            if header.mode in _ALPHA or hidden is not None:
                lit = image.convert("RGBA")
                if not lit.getchannel("A").getextrema()[1]:
                    raise DatabaseError(f"{path}: every pixel is transparent")
                lit = Image.alpha_composite(Image.new("RGBA", lit.size, (0, 0, 0, 255)), lit)
            pixels = np.asarray(lit.convert("RGB"))
    if sorted(pixels.shape) != sorted((header.width, header.height, 3)):
        raise DatabaseError(f"{path}: decoded to {pixels.shape}, not to {header.width} x {header.height}")
    return pixels


def kept_images(
    folder: Path, key: Sequence[object], shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]
) -> Path:
    """Give the .npy file in a folder, which may be deleted at any time, of the uint8 array of a key.

    The key is everything that determines the array besides the code, as JSON can write it. If there is no
    such file, `fill` writes the whole array in place; what it raises leaves nothing behind. A `DatabaseError`
    says that the folder cannot be written.
    """

    def write(path: Path) -> None:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(path)
        fill(array)
        array.flush()

    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    code = code_digest("hep2lib.data.images.decode", "hep2lib.data.images.prepared")
    try:
        return kept_file(folder / f"images-{digest[:32]}-{code}.npy", write)
    except OSError as error:
        raise DatabaseError(
            f"{folder}: the decoded images cannot be kept here ({error.strerror or error}); give another "
            "folder with cache=..."
        ) from error


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
) -> "torch.Tensor":
    """Decode and resize the images of a database, in parallel, and only once if there is a cache.

    ``aspect="stretch"`` is MATLAB's ``augmentedImageDatastore``. Its documentation names no interpolation:
    Pillow's ``BICUBIC``, ``imresize``'s default (Keys' kernel with a = -0.5, widened when an image shrinks),
    is an assumption here.

    Args:
        database: a table as `read_database` returns it, or some of its rows.
        size: height and width of the images returned, in pixels, 1 to 4096.
        aspect: "stretch" to fill the square, or "pad" to keep the aspect ratio on black.
        colour: "rgb", or "green" for the green channel three times (fluorescein is green).
        cache: a folder for the memory-mapped store; None to keep the images in memory only.

    Returns:
        uint8 tensor, N x 3 x size x size; row i is row i of the database. From a cache it is mapped: writing
        to it changes nothing there.

    Raises:
        DatabaseError: images that cannot be read, all of them named; an impossible parameter. Nothing is left
            in the cache then.
    """
    import torch

    if cache is None or database.empty:
        shape, fill = _decoding(database, size, aspect, colour)
        array = np.empty(shape, dtype=np.uint8)
        fill(array)
        return torch.from_numpy(array)
    file = image_file(database, size, aspect=aspect, colour=colour, cache=cache)
    return torch.from_numpy(np.load(file, mmap_mode="c"))


def image_file(
    database: pd.DataFrame, size: int, *, aspect: str = "stretch", colour: str = "rgb", cache: str | Path
) -> Path:
    """The .npy file in which `load_images` keeps its result, made if need be; it raises what that raises."""
    shape, fill = _decoding(database, size, aspect, colour)
    files = [(Path(path), "") for path in database["path"]]
    if gone := [path for path, _ in files if not path.is_file()]:
        raise DatabaseError(f"{path}: the image is no longer there; read the database again" for path in gone)
    checksums, problems = each_new(file_checksum, files, "checksums", index=Path(cache, "index.json"))
    if problems:
        raise DatabaseError(problems)
    bit_depth = int(database.attrs.get("bit_depth", 16))
    key = (PIL.__version__, size, aspect, colour, bit_depth, checksums)
    return kept_images(Path(cache), key, shape, fill)


def _decoding(
    database: pd.DataFrame, size: int, aspect: str, colour: str
) -> tuple[tuple[int, ...], Callable[[NDArray[np.uint8]], None]]:
    """The shape of a database's images, and what fills an array with them."""
    if not 1 <= size <= 4096:
        raise DatabaseError(f"size {size}: the images can be made 1 to 4096 pixels wide")
    for name, value, choices in (("aspect", aspect, ASPECTS), ("colour", colour, COLOURS)):
        if value not in choices:
            raise DatabaseError(f"{name} {value!r}: it may be {' or '.join(choices)}")
    paths, bit_depth = list(map(Path, database["path"])), int(database.attrs.get("bit_depth", 16))
    listed = database.attrs.get("places", {})
    places = [listed.get(image, "") for image in database["image"]]

    def fill(array: NDArray[np.uint8]) -> None:
        def draw(row: int) -> None:
            array[row] = prepared(decode(paths[row], bit_depth), size, aspect, colour)

        _, problems = each_image(draw, list(enumerate(places)), "decoding")
        if problems:
            raise DatabaseError(problems)

    return (len(paths), 3, size, size), fill


def prepared(
    pixels: NDArray[np.uint8], size: int, aspect: str = "stretch", colour: str = "rgb"
) -> NDArray[np.uint8]:
    """Resize one decoded image, uint8, height x width x 3, as `load_images` does: uint8, 3 x size x size."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 1]) if colour == "green" else pixels)
    width = height = size
    if aspect == "pad":
        width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    square = Image.new(image.mode, (size, size))
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    result = np.asarray(square)
    return np.broadcast_to(result, (3, size, size)) if result.ndim == 2 else result.transpose(2, 0, 1)


def rotate(images: "torch.Tensor", degrees: float) -> "torch.Tensor":
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
    import torch

    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DatabaseError(
            f"only uint8 images, N x C x H x W, can be rotated, not {images.dtype} of {images.ndim} axes"
        )
    if not np.isfinite(degrees):
        raise DatabaseError(f"an angle of {degrees} degrees is no rotation")
    if degrees % 360 == 0:
        return images.clone()
    height, width = images.shape[-2:]
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
    # The image's y axis points down, hence the signs: the inverse of an anticlockwise turn, as it is seen.
    from_x = torch.cos(angle) * x - torch.sin(angle) * y
    from_y = torch.sin(angle) * x + torch.cos(angle) * y
    grid = torch.stack((from_x * 2 / width, from_y * 2 / height), dim=-1)[None].float().to(images.device)
    turned = torch.empty_like(images)
    for chunk, result in zip(images.split(_ROTATED_AT_ONCE), turned.split(_ROTATED_AT_ONCE), strict=True):
        sampled = torch.nn.functional.grid_sample(
            chunk.float(), grid.expand(len(chunk), -1, -1, -1), padding_mode="zeros", align_corners=False
        )
        result.copy_(sampled.round_().clamp_(0, 255))
    return turned


def file_checksum(path: str | Path) -> str:
    """The sha256 of a file's contents in hexadecimal digits; a `DatabaseError` if it cannot be read."""
    try:
        return file_digest(Path(path))
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({error.strerror or error})") from error
