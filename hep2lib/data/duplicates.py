"""Images that are there twice, or nearly so, by their pixels and by what they look like."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import PIL
from PIL import Image

from hep2lib.data.images import Header, decode, each_new, read_header
from hep2lib.sources import code_digest

HASH_SIDE, _SHRUNK = 16, 64
"""A perceptual hash has 16 x 16 bits: signs of the lowest frequencies of the image at 64 x 64 pixels."""

NEAR = 26
"""Images are near duplicates up to this many of 256 bits: a tenth, where unrelated images differ in half."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What one decoded image is recognised by.

    Attributes:
        header: what the file says of itself.
        pixels: sha256 of the size and the decoded pixels, whatever format they were stored in.
        look: the perceptual hash, 256 bits as 4 whole numbers of 64.
        flat: whether all pixels are equal.
    """

    header: Header
    pixels: str
    look: Sequence[int]
    flat: bool


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Images that are copies of one another.

    Attributes:
        images: their names, in the order of the database.
        specimens: whom they belong to, each once.
        exact: whether their pixels are equal; near duplicates only look alike.
        labels: their labels, each once; two of them contradict one another.
    """

    images: tuple[str, ...]
    specimens: tuple[str, ...]
    exact: bool
    labels: tuple[int, ...]

    @property
    def across(self) -> bool:
        """Whether the copies belong to different specimens, and may thus be on two sides of a fold."""
        return len(self.specimens) > 1


def fingerprint(path: Path, bit_depth: int = 16) -> Fingerprint:
    """Decode an image and take its fingerprint; `bit_depth` of 16-bit images is that of `images.decode`.

    Raises:
        DatabaseError: the image cannot be read.
    """
    header = read_header(path)
    pixels = decode(path, bit_depth)
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.tobytes())
    grey = Image.fromarray(pixels).convert("L").resize((_SHRUNK, _SHRUNK), Image.Resampling.BICUBIC)
    bits = imagehash.phash(grey, hash_size=HASH_SIDE, highfreq_factor=_SHRUNK // HASH_SIDE).hash
    look = np.packbits(bits.ravel()).view(np.uint64).tolist()
    return Fingerprint(header, digest.hexdigest(), look, bool((pixels == pixels[0, 0]).all()))


def fingerprints(database: pd.DataFrame) -> tuple[list[Fingerprint | None], list[str]]:
    """Take the fingerprint of every image of a database, in parallel, and only once while it does not change.

    Returns:
        One fingerprint a row, None where the image cannot be read, and what is wrong with those.
    """
    depth, listed = int(database.attrs.get("bit_depth", 16)), database.attrs.get("places", {})
    images = [(Path(p), listed.get(i, "")) for i, p in zip(database["image"], database["path"], strict=True)]
    code = code_digest("hep2lib.data.duplicates.fingerprint")
    follows = (code, PIL.__version__, imagehash.__version__, f"{depth} bits")
    kept, problems = each_new(lambda p: astuple(fingerprint(p, depth)), images, "looking at images", follows)
    return [each and Fingerprint(Header(*each[0]), *each[1:]) for each in kept], problems


def find_duplicates(database: pd.DataFrame, prints: Sequence[Fingerprint | None]) -> list[Duplicates]:
    """Find exact and near duplicates.

    Args:
        database: columns ``image``, ``specimen`` and ``label``.
        prints: one fingerprint a row; None is passed over.

    Returns:
        Groups of exact duplicates, then pairs of near ones; of images whose pixels are equal only the first
        is compared further. Images without any structure look like one another and are no near duplicates.
    """
    seen = {row: found for row, found in enumerate(prints) if found is not None}
    by_pixels: defaultdict[str, list[int]] = defaultdict(list)
    for row, found in seen.items():
        by_pixels[found.pixels].append(row)
    groups = [_group(database, group, exact=True) for group in by_pixels.values() if len(group) > 1]
    single = [group[0] for group in by_pixels.values() if not seen[group[0]].flat]
    looks = np.array([seen[row].look for row in single], dtype=np.uint64).reshape(-1, 4).T.copy()
    for first in range(len(single)):
        differing = np.bitwise_count(looks[:, first + 1 :] ^ looks[:, first, None]).sum(axis=0)
        for second in np.flatnonzero(differing <= NEAR) + first + 1:
            groups.append(_group(database, [single[first], single[second]], exact=False))
    return groups


def _group(database: pd.DataFrame, rows: list[int], exact: bool) -> Duplicates:
    chosen = database.iloc[rows]
    return Duplicates(
        images=tuple(chosen["image"]),
        specimens=tuple(dict.fromkeys(chosen["specimen"])),
        exact=exact,
        labels=tuple(sorted({int(label) for label in chosen["label"]})),
    )
