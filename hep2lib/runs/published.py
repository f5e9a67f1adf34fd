"""What the pages of a run have published, read back for the prose, the book and comparisons."""

import json
from pathlib import Path
from typing import Any

from hep2lib.errors import InputError


class PublishError(InputError):
    """Something that cannot be published as it is, or a publication that cannot be read."""


def read_pages(run: Path | str) -> dict[str, dict[str, Any]]:
    """What each page of a run has published.

    Args:
        run: the run's folder.

    Returns:
        By page, in order: ``{"page", "values", "tables", "figures"}``, the last three by name. A value is
        ``{"value": ..., "interval": [lower, upper]}`` (the interval only where one was given), a table
        ``{"caption", "rows", "columns"}``, a figure ``{"alt", "caption", "width"}``.

    Raises:
        PublishError: if a page's file was damaged.
    """
    pages = {}
    for file in sorted((Path(run) / "published").glob("*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            pages[file.stem] = {key: content[key] for key in ("page", "values", "tables", "figures")}
        except (ValueError, KeyError, TypeError):
            raise PublishError(
                f"{file}: not what a page publishes; delete it and execute {file.stem} again"
            ) from None
    return pages
