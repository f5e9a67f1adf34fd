"""The images of a database as one uint8 tensor, and their rotations."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image

from hep2lib.data.database import measured_bit_depth
from hep2lib.data.decoding import decode, quietly
from hep2lib.data.store import ImageStore
from hep2lib.errors import DatabaseError
from hep2lib.files import cores
from hep2lib.progress import progress

ASPECTS = ("stretch", "pad")
COLOURS = ("rgb", "green")
FILLS = {"black": "zeros", "edge": "border", "mirror": "reflection"}
_PREPROCESSING = 1  # counted up whenever the same files are to give other pixels
_ROTATED_AT_ONCE = 64


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
        _decode_all(paths, places, array, aspect, colour, bit_depth)

    if cache is None or not paths:
        array = np.empty(shape, dtype=np.uint8)
        fill(array)
        return torch.from_numpy(array)
    store = ImageStore(cache)
    _check_files(paths)
    key = (_PREPROCESSING, PIL.__version__, size, aspect, colour, bit_depth, store.checksums(paths))
    return torch.from_numpy(store.images(key, shape, fill))


def _check_files(paths: Sequence[str]) -> None:
    """Check that the files are still where `read_database` found them."""
    gone = [
        f"{path}: the image is no longer there; read the database again"
        for path in paths
        if not Path(path).is_file()
    ]
    if gone:
        raise DatabaseError(gone)


def _decode_all(
    paths: Sequence[str],
    places: Sequence[str],
    array: NDArray[np.uint8],
    aspect: str,
    colour: str,
    bit_depth: int,
) -> None:
    """Decode every file into its row of the array, or raise one error for all that cannot be."""

    def one(row: int) -> str | None:
        try:
            array[row] = prepared(decode(Path(paths[row]), bit_depth), array.shape[-1], aspect, colour)
        except DatabaseError as error:
            return f"{places[row]}{error}"
        return None

    with quietly(), ThreadPoolExecutor(cores()) as pool:
        found = list(progress(pool.map(one, range(len(paths))), "decoding", total=len(paths), unit="image"))
    problems = [problem for problem in found if problem is not None]
    if problems:
        raise DatabaseError(problems)


def prepared(
    pixels: NDArray[np.uint8], size: int, aspect: str = "stretch", colour: str = "rgb"
) -> NDArray[np.uint8]:
    """Resize one decoded image to what the network takes.

    Args:
        pixels: uint8 array, height x width x 3.
        size: height and width of the result.
        aspect: "stretch" or "pad".
        colour: "rgb" or "green".

    Returns:
        uint8 array, 3 x size x size.
    """
    if colour == "green":
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 1]))
    else:
        image = Image.fromarray(pixels)
    if aspect == "stretch":
        resized = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        longer = max(image.size)
        inner = (max(1, round(image.width * size / longer)), max(1, round(image.height * size / longer)))
        resized = Image.new(image.mode, (size, size))
        resized.paste(
            image.resize(inner, Image.Resampling.BICUBIC), ((size - inner[0]) // 2, (size - inner[1]) // 2)
        )
    result = np.asarray(resized)
    return np.broadcast_to(result, (3, size, size)) if result.ndim == 2 else result.transpose(2, 0, 1)


def rotate(images: torch.Tensor, degrees: float, fill: str = "black") -> torch.Tensor:
    """Rotate images about their centre, bilinearly.

    Args:
        images: uint8 tensor, N x C x H x W.
        degrees: anticlockwise as the image is looked at; multiples of 360 give the images back exactly.
        fill: what comes in at the corners: "black" (an unlit field), "edge" (the nearest pixel) or "mirror".

    Returns:
        uint8 tensor of the same shape, on the same device. An image's rotation does not depend on the images
        it is rotated with, and is the same every time.

    Raises:
        DatabaseError: not a batch of uint8 images, an angle that is no number, or an unknown fill.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DatabaseError(
            f"only uint8 images, N x C x H x W, can be rotated, not {images.dtype} of {images.ndim} axes"
        )
    if fill not in FILLS:
        raise DatabaseError(f"fill {fill!r}: it may be {', '.join(FILLS)}")
    if not np.isfinite(degrees):
        raise DatabaseError(f"an angle of {degrees} degrees is no rotation")
    if degrees % 360 == 0:
        return images.clone()
    height, width = images.shape[-2:]
    grid = _sampling_grid(height, width, degrees).to(images.device)
    turned = torch.empty_like(images)
    for start in range(0, len(images), _ROTATED_AT_ONCE):
        chunk = images[start : start + _ROTATED_AT_ONCE]
        sampled = torch.nn.functional.grid_sample(
            chunk.float(),
            grid.expand(len(chunk), -1, -1, -1),
            mode="bilinear",
            padding_mode=FILLS[fill],
            align_corners=False,
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
