"""One small book, rendered once for all the tests that look at it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hep2lib.files import write_text
from hep2lib.runs.book import build_book, published_run

from .small_book import BOOK, PUBLISHED, SOURCE, write_clone, write_run


@dataclass(frozen=True)
class SmallBook:
    """Where the clone, its run and its pages are."""

    project: Path
    run: Path
    index: Path

    def page(self, name: str) -> str:
        return (self.index.parent / "book" / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A complete run; copy it before changing anything."""
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def small_book(tmp_path_factory, small_run):
    project = write_clone(tmp_path_factory.mktemp("clone"))
    config = (project / "_config.yml").read_text(encoding="utf-8")
    write_text(
        project / "_config.yml",
        config.replace('repository: ""', f"repository: {SOURCE}").replace(
            ' baseurl: ""', f" baseurl: {BOOK}"
        ),
    )
    write_text(published_run(project) / "parameters.yaml", PUBLISHED)
    run = project / "runs" / "first"
    shutil.copytree(small_run, run)
    return SmallBook(project, run, build_book(run, project=project))
