"""Decoded images kept in a memory-mapped file, found again by the contents of the files they came from."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hep2lib.data.database import file_checksum
from hep2lib.errors import DatabaseError
from hep2lib.files import cores, written_whole
from hep2lib.progress import progress

_INDEX = "index.json"
_SETTLED_NS = 2_000_000_000


class ImageStore:
    """A folder of decoded databases, and an index that says what image files contain without reading them."""

    def __init__(self, folder: str | Path) -> None:
        """Open the store, and make its folder if it is not there.

        Args:
            folder: where the store lies; may be deleted at any time, and is then filled anew.
        """
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
            settled = time.time_ns() - _SETTLED_NS
            for path, (size, modified) in zip(paths, signs, strict=True):
                if modified < settled:
                    known[path] = [size, modified, found[path]]
            with self._writing(), written_whole(self.folder / _INDEX) as temporary:
                temporary.write_text(json.dumps(known), encoding="utf-8")
        return [found[path] for path in paths]

    def _read_index(self) -> dict[str, list[Any]]:
        """Read the index; a damaged one is an empty one."""
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(index, dict):
            return {}
        return {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 3}

    def images(
        self, key: Sequence[object], shape: tuple[int, ...], fill: Callable[[NDArray[np.uint8]], None]
    ) -> NDArray[np.uint8]:
        """Give the stored array of a key, filling it first if it is not there.

        Args:
            key: everything that determines the array, as JSON can write it.
            shape: of the array.
            fill: writes the whole array in place; what it raises leaves nothing behind.

        Returns:
            A memory-mapped uint8 array; writing to it changes neither the file nor what others read.
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
