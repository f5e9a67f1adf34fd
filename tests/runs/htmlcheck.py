"""What is wrong with rendered pages: dead links, images without words, headings out of order, errors."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HEADINGS = re.compile(r"h[1-6]")
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_UNSAID = re.compile(r"\{(?:val|paper|param|numref|ref|doc|cite(?::\w+)?|run-\w+)\}")
_CRASH = re.compile(r"Traceback \(most recent call last\)")
_FETCHING = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
_GENERATED = {"genindex.html", "search.html", "py-modindex.html"}


@dataclass(slots=True)
class _Page:
    """What the check needs to know of one page."""

    language: str = ""
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    images: list[tuple[str, str | None]] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    text: list[str] = field(default_factory=list)
    forwards: bool = False


class _Reader(HTMLParser):
    """Reads one page; text inside code, script and style is not prose and left out."""

    def __init__(self) -> None:
        super().__init__()
        self.page = _Page()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in _VOID:
            self._open.append(tag)
        if values.get("id"):
            self.page.ids.add(str(values["id"]))
        self.page.classes.update((values.get("class") or "").split())
        self._note(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            code = "pre" in self._open or "code" in self._open
            self.page.text.append(f"\0{data}" if code else data)

    def _note(self, tag: str, values: dict[str, str | None]) -> None:
        page = self.page
        if tag == "html":
            page.language = values.get("lang") or ""
        elif tag == "a" and values.get("href"):
            page.links.append(str(values["href"]))
        elif tag == "img":
            page.images.append((values.get("src") or "", values.get("alt")))
        elif tag == "meta" and (values.get("http-equiv") or "").lower() == "refresh":
            page.forwards = True
        elif _HEADINGS.fullmatch(tag) and "article" in self._open:
            page.headings.append(int(tag[1]))
        fetched = values.get(_FETCHING.get(tag, ""))
        if fetched and (tag != "link" or (values.get("rel") or "") in ("stylesheet", "preload", "icon")):
            page.fetched.append(fetched)


def check_html(folder: Path) -> list[str]:
    """Look for what a reader of rendered pages would stumble over.

    Args:
        folder: holds the pages; all .html files in it and below are read.

    Returns:
        One sentence for each problem, beginning with the page's name: an image without alt text or whose file
        is missing, a link or an anchor that leads nowhere inside the book, something fetched from elsewhere
        when the page is read, a value or a role that was not resolved, the output of an error, a page with
        no or several titles, a heading that skips a level, a page that does not say its language.
    """
    folder = Path(folder).resolve()
    pages = {}
    for file in sorted(folder.rglob("*.html")):
        if "_static" not in file.relative_to(folder).parts:
            reader = _Reader()
            reader.feed(file.read_text(encoding="utf-8"))
            pages[file] = reader.page
    if not pages:
        return [f"{folder}: there is no page"]
    problems = []
    for file, page in pages.items():
        name = file.relative_to(folder).as_posix()
        found = [*_links(file, page, pages, folder), *_images(file, page), *_words(page)]
        if not page.forwards and name not in _GENERATED:
            found += _headings(page)
        problems += [f"{name}: {problem}" for problem in dict.fromkeys(found)]
    return problems


def _links(file: Path, page: _Page, pages: dict[Path, _Page], folder: Path) -> list[str]:
    problems = []
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if not target.is_file() or not target.is_relative_to(folder):
            problems.append(f"the link {link} leads nowhere")
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
            problems.append(f"the link {link} leads to no place on that page")
    return problems


def _images(file: Path, page: _Page) -> list[str]:
    problems = [
        f"the image {source} has no alt text" for source, alt in page.images if not (alt or "").strip()
    ]
    for source in page.fetched:
        parts = urlsplit(source)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            problems.append(f"{source} is fetched from elsewhere")
        elif not (file.parent / unquote(parts.path)).is_file():
            problems.append(f"there is no file {source}")
    return problems


def _words(page: _Page) -> list[str]:
    prose = "".join(piece for piece in page.text if not piece.startswith("\0"))
    everything = "".join(page.text)
    problems = []
    if "??" in prose:
        problems.append("something is shown as ??")
    problems += [f"the role {role[0]} is shown as text" for role in _UNSAID.finditer(prose)]
    if _CRASH.search(everything) or {"traceback", "stderr"} & page.classes:
        problems.append("a cell shows an error")
    return problems


def _headings(page: _Page) -> list[str]:
    problems = [] if page.language else ["the page does not say its language"]
    if page.headings.count(1) != 1:
        problems.append(f"there are {page.headings.count(1)} titles (h1)")
    if page.headings and page.headings[0] != 1:
        problems.append(f"the first heading is h{page.headings[0]}")
    for above, below in zip(page.headings, page.headings[1:], strict=False):
        if below > above + 1:
            problems.append(f"a heading h{below} follows h{above}")
    return problems
