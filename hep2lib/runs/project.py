"""The clone of the repository that notebooks and pages are read from, and what may go wrong there."""

from pathlib import Path

from hep2lib.errors import InputError


class ProjectError(InputError):
    """There is no clone where one is needed."""


class RunError(Exception):
    """Our own code or pages failed in a run: not the input's fault, worth a report (exit code 1)."""


def project_root() -> Path:
    """The folder that holds ``_toc.yml``, ``book`` and ``notebooks`` beside the package.

    Raises:
        ProjectError: if the package was installed without them.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "_toc.yml").is_file():
        raise ProjectError(
            f"{root}: the notebooks and pages of the book are not here; clone the repository and install the "
            "package from the clone with `pip install -e .`"
        )
    return root
