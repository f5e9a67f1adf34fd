"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..errors import InputError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary file in the folder of ``path`` to write to, and move it to ``path`` at the end.

    If the block fails, the temporary file is removed and ``path`` is as it was. The folder is made if needed.

    Args:
        path: the file to write.

    Yields:
        The temporary file, which exists and is empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as a ``.safetensors`` file, whole or not at all.

    Args:
        path: the file.
        tensors: by name; no two of them may share memory.
        metadata: texts by name, kept in the file's head.

    Raises:
        InputError: if the folder cannot be written, for want of permission or of room.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(plain, temporary, metadata=metadata)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{path.parent}: cannot be written ({error}); make room or choose another run folder, then start "
            "again: what was computed is kept"
        ) from None
