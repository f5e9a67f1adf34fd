"""Files written whole or not at all."""

import json
import secrets
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` in one step; its folder is made if need be.

    Args:
        path: the file. What it held before stays in place until the new content is complete.
        content: everything the file will hold.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` in one step, as UTF-8 with plain line feeds on every system."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write ``content`` to ``path`` as JSON with sorted keys: the same content gives the same bytes."""
    write_text(
        path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    )
