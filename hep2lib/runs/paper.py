"""What the paper printed, number by number, with the place where it stands (``book/paper-values.yaml``)."""

from functools import lru_cache
from typing import Any

import yaml

from hep2lib.errors import InputError
from hep2lib.runs.project import project_root


@lru_cache(maxsize=1)
def _values() -> dict[str, Any]:
    file = project_root() / "book" / "paper-values.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def printed(key: str) -> Any:
    """A number or word of the paper.

    Args:
        key: dotted, as in ``table3.freeze_11.auc``.

    Raises:
        InputError: if the list has no such key.
    """
    found: Any = _values()
    for word in key.split("."):
        if not isinstance(found, dict) or word not in found:
            raise InputError(f"book/paper-values.yaml has no {key!r}: add it with the place where it stands")
        found = found[word]
    return found["value"] if isinstance(found, dict) and "value" in found else found
