"""What the paper printed, number by number, with the place where it stands, and what it claims.

The numbers are in ``book/paper-values.yaml``, the claims in ``book/claims.yaml``.
"""

from functools import lru_cache
from typing import Any

import yaml

from hep2lib.errors import InputError
from hep2lib.evaluation.claims import Claim, make_claims
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


def printed_claims() -> list[Claim]:
    """The paper's claims, in the order of ``book/claims.yaml``, each with the figure it refers to.

    Raises:
        InputError: a figure that ``book/paper-values.yaml`` does not have, or a claim that cannot be judged.
    """
    file = project_root() / "book" / "claims.yaml"
    records = yaml.safe_load(file.read_text(encoding="utf-8"))
    return make_claims([_with_reference(record) for record in records])


def _with_reference(record: dict[str, Any]) -> dict[str, Any]:
    """A claim's record with the figure that its ``paper`` names as ``reference``."""
    others = {name: value for name, value in record.items() if name != "paper"}
    return others | {"reference": printed(record["paper"])} if "paper" in record else others
