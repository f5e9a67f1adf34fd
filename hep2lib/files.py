"""The clone that notebooks and pages are read from, paths as people give them, files written whole."""

import glob
import hashlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hep2lib.errors import InputError
from hep2lib.progress import note_once


class ProjectError(InputError):
    """There is no clone where one is needed."""


class RunError(Exception):
    """Our own code or pages failed in a run: not the input's fault, worth a report (exit code 1)."""


CARD = "data-card.md"  # of a run: the owner of its images answers there what code cannot know
BESIDE = Path(__file__).resolve().parents[1]
"""The folder that holds the package: the clone, unless the package was installed without it."""


def project_root(needed: str = "the notebooks and pages of the book", instead: str = "") -> Path:
    """The clone, which holds ``_toc.yml``, ``book`` and ``notebooks`` beside the package.

    Raises:
        ProjectError: if the package was installed without it: what of it is ``needed``, and what a person
            can give ``instead`` ("" for nothing), are in the message.
    """
    if not (BESIDE / "_toc.yml").is_file():
        raise ProjectError(
            f"{BESIDE}: hep2lib is installed without its clone, which holds {needed}; "
            f"{instead}{instead and ', or '}clone the repository and install the package from the clone with "
            "`pip install -e '.[book]'`"
        )
    return BESIDE


def typed_path(typed: str | Path, folder: str | Path = "") -> Path:
    """Make a path that a person gave absolute: it then means the same file wherever it is read.

    It may begin with ``~`` or ``~user``, or be relative to ``folder`` ("" for the working folder).

    Raises:
        InputError: if nobody has the home folder that ``~`` stands for.
    """
    try:
        path = Path(folder, Path(typed).expanduser()).absolute()
    except RuntimeError:
        raise InputError(f"{typed}: nobody here has that home folder; write the whole path") from None
    if ".." not in path.parts:
        return path
    # A link at the end keeps its name, whose ending may say what it is.
    return path.resolve() if path.name == ".." else path.parent.resolve() / path.name


def parameters_of(run: Path) -> Path:
    """The file beside a run's folder that says its parameters, as ``hep2 new-run`` writes it."""
    return run.with_name(f"{run.name}.yaml")


def named_run(typed: str) -> Path:
    """The run that a person means by a path, or by the name that it has in the clone's ``runs``.

    Raises:
        InputError: if it may be either of two.
    """
    path, named = Path(typed), BESIDE / "runs" / typed
    known = named.is_dir() or parameters_of(named).is_file()
    if path.name != typed or path.resolve() == named or not known:
        return path
    if (path / "parameters.yaml").is_file():
        raise InputError(f"there are {path.absolute()} and {named}; write the whole path")
    return named


def database_part(typed: str | Path, data: Path, folder: str | Path = "") -> Path:
    """Find a sheet or an image folder: in the database's folder (that of ``data``), or where it was written.

    Raises:
        InputError: if there are two.
    """
    places = [typed_path(typed, data if data.is_dir() else data.parent), typed_path(typed, folder)]
    found = [path for path in places if os.path.exists(path)]  # noqa: PTH110 (pathlib's may raise)
    if len(found) == 2 and not found[0].samefile(found[1]):
        raise InputError(f"{typed}: there are {found[0]} and {found[1]}; write the whole path")
    return [*found, *places][0]


def own_name(path: Path) -> Path:
    """A new hidden name beside ``path`` for what will take its place; it tells this machine and process."""
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return path.with_name(f".{path.name}.{machine}-{os.getpid()}-{secrets.token_hex(4)}.part")


def remove_left(path: Path) -> None:
    """Remove what processes that were killed on this machine left under such names of ``path``."""
    ours = own_name(path).name.rsplit("-", 2)[0]
    for left in path.parent.glob(f"{glob.escape(ours)}-*.part") if os.name == "posix" else ():
        try:
            os.kill(int(left.name.split("-")[-2]), 0)  # asks whether it lives; on Windows it would end it
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        except PermissionError:  # it lives, and is somebody else's
            pass


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary file beside ``path`` to write to, which takes the place of ``path`` at the end.

    Whoever reads ``path`` meanwhile, or after an interruption or a power cut at any moment, finds the old
    contents or the new ones, never a part. Of several writers at once the last one wins. The folder of
    ``path`` is made if need be; if the block raises, ``path`` is as it was.

    Raises:
        OSError: if the folder cannot be written, for want of permission or of room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = own_name(path)
    try:
        temporary.touch(exist_ok=False)
        permissions = temporary.stat().st_mode
        yield temporary
        temporary.chmod(permissions)  # safetensors makes the file anew, for its owner alone
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):  # which nobody has heard of
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        temporary.unlink(missing_ok=True)
    remove_left(path)


def user_cache() -> Path:
    """The folder for what may be deleted at any time: ``HEP2_CACHE``, else ``hep2lib`` in the system's."""
    system = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(os.environ.get("HEP2_CACHE") or Path(system, "hep2lib")).expanduser()
    except RuntimeError:  # there is no home folder
        return Path(os.devnull)  # in which nothing can be kept


def file_digest(path: Path) -> str:
    """The sha256 of a file's contents, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def kept_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Find what was kept under this name, or write it, whole or not at all, with a checksum in its name.

    Of ``NAME-CODE.npy``, where CODE is the digest of the code that the content follows from, it becomes
    ``NAME-CODE.0123456789abcdef.npy``. A file whose content is not what was written is set aside, and
    written again by ``write`` (to the temporary file that it is given).
    """
    found = find_kept(path)
    if found is None:
        with written_whole(path) as temporary:
            write(temporary)
        found = path.replace(path.with_name(f"{path.stem}.{file_digest(path)[:16]}{path.suffix}"))
    return found


def find_kept(path: Path) -> Path | None:
    """The file that ``kept_file`` keeps under this name, if there is one with the content that was written.

    That there is the same of other code is said, once.
    """
    for file in sorted(path.parent.glob(f"{glob.escape(path.stem)}.{'?' * 16}{path.suffix}")):
        if file_digest(file)[:16] == file.suffixes[-2][1:]:
            return file
        set_aside(file)
    kind = path.stem.rpartition("-")[0]
    if any(path.parent.glob(f"{glob.escape(kind)}-{'?' * 8}.{'?' * 16}{path.suffix}")):
        note_once(f"note: what is kept in {path.parent} follows from other code; it is computed again")
    return None


def set_aside(file: Path) -> None:
    """Rename a file whose content is not what was written, and say so."""
    with suppress(FileNotFoundError):  # another process was faster
        file.replace(file.with_name(f"{file.name}.damaged"))
    note_once(f"note: {file}: not what was written there; it is set aside (.damaged) and computed again")


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a text whole or not at all, as UTF-8 with the line ends it has."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write JSON whole or not at all, its keys sorted: the same content gives the same bytes."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, f"{text}\n")
