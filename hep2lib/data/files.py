"""Which of a folder's files a sheet means."""

import os
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from hep2lib.errors import DatabaseError, quoted, some

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".png", ".tif", ".tiff")


class MissingImage(DatabaseError):
    """A listed image that is not in the folder."""


def _key(name: str) -> str:
    """Make names equal that differ only in case or in how accents are encoded."""
    return unicodedata.normalize("NFC", name).casefold()


class ImageFolder:
    """The regular files below a folder, found by the names that people write into sheets."""

    def __init__(self, folder: Path) -> None:
        """List the folder once, without following links.

        Args:
            folder: the image folder.

        Raises:
            DatabaseError: there is no such folder, or it cannot be read.
        """
        if not folder.is_dir():
            raise DatabaseError(f"{folder}: no such image folder; give it with images=...")

        def refuse(error: OSError) -> None:
            raise DatabaseError(f"{error.filename}: the folder cannot be read ({error.strerror})") from error

        self.folder = folder
        self._real = folder.resolve()
        self._by_path: dict[str, list[Path]] = {}
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        for parent, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
            for name in sorted(files):
                if not name.startswith("."):
                    self._add(Path(parent) / name)

    def _add(self, path: Path) -> None:
        inside = path.relative_to(self.folder).as_posix()
        self._by_path.setdefault(_key(inside), []).append(path)
        self._by_name.setdefault(_key(path.name), []).append(path)
        if path.suffix.casefold() in IMAGE_SUFFIXES:
            self._by_stem.setdefault(_key(path.stem), []).append(path)

    def images(self) -> list[Path]:
        """List the files that have the extension of an image."""
        return sorted(path for paths in self._by_stem.values() for path in paths)

    def find(self, name: str) -> Path:
        r"""Find the file that a sheet means.

        Args:
            name: the file's name as the sheet has it: any case, with or without sub-folders (``/`` or
                ``\``), and without its extension where no second file has the same name.

        Returns:
            The file below the folder, absolute, with all links followed.

        Raises:
            DatabaseError: it is missing, ambiguous, no regular file, or outside the folder.
        """
        inside = name.strip().replace("\\", "/").removeprefix("./")
        if PurePosixPath(inside).is_absolute() or PureWindowsPath(inside).drive or ".." in inside.split("/"):
            raise DatabaseError(
                f"{quoted(name)} leaves the image folder, which is refused; put the file into it"
            )
        exact = self.folder / inside
        found = self._by_path.get(_key(inside), [])
        if exact in found:
            found = [exact]
        if not found and "/" not in inside:
            found = self._by_name.get(_key(inside), []) or self._by_stem.get(_key(inside), [])
        if not found:
            what = "a folder, not an image," if self._is_folder(inside) else "not"
            raise MissingImage(f"{quoted(name)} is {what} in {self.folder}")
        if len(found) > 1:
            names = some(path.relative_to(self.folder).as_posix() for path in found)
            raise DatabaseError(f"{quoted(name)} may be any of {names}; write the whole name into the sheet")
        return self.inside(found[0], name)

    def _is_folder(self, inside: str) -> bool:
        try:
            return (self.folder / inside).is_dir()
        except (OSError, ValueError):  # too long a name
            return False

    def inside(self, path: Path, name: str) -> Path:
        """Follow all links of a file, and check that it is a regular one below the folder.

        Args:
            path: the file.
            name: what a person calls it.

        Raises:
            DatabaseError: it is not.
        """
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise DatabaseError(f"{quoted(name)} is a link to nothing ({path})") from error
        if not real.is_relative_to(self._real):
            raise DatabaseError(
                f"{quoted(name)} is a link out of the image folder, which is refused; copy the file into it"
            )
        if not real.is_file():
            raise DatabaseError(f"{quoted(name)} is no regular file ({path})")
        return real
