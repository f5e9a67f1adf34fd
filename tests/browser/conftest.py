"""One browser for all tests of rendered pages: opened pages, both widths, both themes, axe.

`HEP2_BROWSER` says which browser to use (a path), or `none` where a machine has none and needs none.
`HEP2_BOOK` says which rendered book to look at (its folder `html`), if not the published run's.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, sync_playwright

from hep2lib.runs.book import build_book

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_BROWSER = (
    "no browser found: install one with `apt-get install chromium` or `playwright install chromium`, say "
    "where it is with HEP2_BROWSER=PATH, or leave these tests out with HEP2_BROWSER=none"
)
PHONE, DESKTOP = 390, 1280
HEIGHT = 900
AXE = """async options => (await axe.run(document, {
    resultTypes: ["violations"], elementRef: false, ...options,
})).violations.flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html.slice(0, 300)}`))"""

Opener = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    asked = os.environ.get("HEP2_BROWSER", "")
    if asked == "none":
        pytest.skip("HEP2_BROWSER=none: this machine has no browser")
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = asked or next(filter(None, map(shutil.which, NAMES)), own)
        if not Path(found).is_file():
            pytest.fail(f"HEP2_BROWSER: there is no {asked}" if asked else NO_BROWSER)
        # Who tests as root, as in a container, has no sandbox.
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def book() -> Path:
    """The folder of a rendered book."""
    given = os.environ.get("HEP2_BOOK")
    return Path(given).absolute() if given else build_book().parent


@pytest.fixture(scope="session")
def opened(browser: Browser) -> Iterator[Opener]:
    """Open a file at a width, in the light or the dark theme; fails where the page has an error."""
    window = browser.new_context(reduced_motion="reduce")
    page = window.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_page(file: Path, width: int = DESKTOP) -> Page:
        errors.clear()
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.goto(file.as_uri())
        assert errors == []
        return page

    yield open_page
    window.close()


def in_theme(page: Page, theme: str) -> None:
    """Show an opened page in its light or its dark colours."""
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)


def axe_findings(page: Page, **options: object) -> list[str]:
    """What axe finds on an opened page, with the given options of axe.run: "RULE: HTML of the element"."""
    if not page.evaluate("() => typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(AXE, options)
