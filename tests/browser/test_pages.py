"""Every page as a browser shows it: nothing wider than its room, and nothing that axe finds."""

from pathlib import Path

import pytest
import yaml

from .conftest import DESKTOP, PHONE, axe_findings, in_theme

REPOSITORY = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((REPOSITORY / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(each["file"] for part in TOC["parts"] for each in part["chapters"])]

THEMES_OWN = (
    # sphinx-book-theme: the title of the book stands outside of any landmark
    'region: <div class="sidebar-primary-item">',
    # docutils: entries of a list of references are divisions with a role that ARIA 1.2 has given up
    'aria-allowed-role: <div class="citation"',
    'aria-deprecated-role: <div class="citation"',
    'aria-required-children: <div role="list" class="citation-list">',
)
"""What is not this book's to mend."""

WIDER = """() => {
    const wide = [];
    if (document.documentElement.scrollWidth > innerWidth) wide.push("the page");
    for (const table of document.querySelectorAll("article table")) {
        const room = table.closest(".hep2-table") ?? table.parentElement;
        if (room.clientWidth && Math.max(table.scrollWidth, room.scrollWidth) > room.clientWidth + 1)
            wide.push(room.id || table.textContent.trim().slice(0, 40));
    }
    return wide;
}"""
LETTERS = """() => [...document.querySelectorAll("article figure img")].map(image => {
        for (let at = image; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
        return image;
    })
    .filter(image => image.clientWidth && 12 * image.clientWidth / parseFloat(image.style.width) < 9)
    .map(image => image.closest("figure").id)"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window_and_axe_finds_nothing(name, book, opened):
    page = opened(book / f"{name}.html", DESKTOP)
    assert page.evaluate(WIDER) == []
    findings = axe_findings(page)
    in_theme(page, "dark")
    findings += axe_findings(page, runOnly=["color-contrast"])
    page = opened(book / f"{name}.html", PHONE)
    assert page.evaluate(WIDER) == []
    findings += axe_findings(page, rules={"color-contrast": {"enabled": False}})  # by far the slowest
    assert [finding for finding in findings if not finding.startswith(THEMES_OWN)] == []


@pytest.mark.parametrize(
    "name", [name for name in PAGES if name[:11] in ("book/run/03", "book/run/04", "book/run/05")]
)
def test_letters_of_a_figure_have_nine_pixels_on_a_phone(name, book, opened):
    assert opened(book / f"{name}.html", PHONE).evaluate(LETTERS) == []


def test_a_figure_opens_large_from_the_keyboard(book, opened):
    page = opened(book / "book/run/05-results.html", PHONE)
    link = page.locator("article figure a:has(img)").first
    assert len(link.locator("img").get_attribute("alt")) >= 40
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/*.png")
    assert page.evaluate("document.images[0].naturalWidth") > PHONE


def test_a_field_is_as_bright_in_the_dark_theme_and_has_one_frame(book, opened):
    page = opened(book / "book/run/01-dataset.html", DESKTOP)
    in_theme(page, "dark")
    image = page.locator("article figure img").first
    look = {
        name: image.evaluate(f"image => getComputedStyle(image).{name}") for name in ("filter", "padding")
    }
    assert look == {"filter": "none", "padding": "0px"}
