"""What the book adds to Sphinx: results of the run in its pages, and a banner that says whose they are.

The run lies in ``book/run`` of the book that is built. What a page asks for and the run does not have is a
warning, and warnings fail the build: no page can show a number that this run did not compute.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

import hep2api
import hep2cite
import hep2math
import hep2show
from docutils.nodes import document as Doctree
from hep2quote import PaperRole, ParameterRole, ValueRole, resolve_value
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)

NOT_PUBLISHED = "This is a run of your own, not the published one{}."
AGAINST = "book/against-published"  # where it is compared with that one
TRIAL = "A run of the profile smoke only tries out that everything works: its numbers mean nothing."
EXPLORER = re.compile(r'<div class="hep2-explorer" data-explorer="([a-z0-9-]+)">')
FIRST_RUN = "This is a first run: small enough for a class, and too small to judge the paper by."


def read_statement(app: Sphinx, config: Config) -> None:
    """Read what the run's results were obtained on, before any page is written."""
    file = Path(app.srcdir) / config.hep2_run / "run.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        statement = str(about["statement"]).strip()
    except (OSError, ValueError, KeyError):
        logger.warning("%s: does not say what the results were obtained on (statement)", file, type="hep2")
        return
    statement = statement.replace("Obtained on:", "Obtained on, unless a caption says otherwise:", 1)
    profile, own = about.get("profile"), not about.get("published", True)
    notes = {TRIAL: profile == "smoke", FIRST_RUN: profile == "quick", NOT_PUBLISHED: own}
    config.hep2_statement = [statement, *(note for note, holds in notes.items() if holds)]


def leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Keep off the pages the scripts of a live kernel, which Jupyter Book always loads."""
    for listeners in list(app.events.listeners.values()):
        for listener in list(listeners):
            if listener.handler.__module__.partition(".")[0] == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files[:] = [each for each in app.registry.css_files if each[0] != "sphinx-thebe.css"]


def add_banner(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Doctree
) -> None:
    """Say below the title of each page what the results were obtained on, and whether a chapter is fresh."""
    if doctree is None or not app.config.hep2_statement or "</h1>" not in context.get("body", ""):
        return
    folder, _, page = pagename.rpartition("/")
    file, line = Path(app.srcdir) / app.config.hep2_run / "freshness.json", ""
    if folder == app.config.hep2_run and file.is_file():
        line = html.escape(json.loads(file.read_text(encoding="utf-8"))[page], quote=False)
        line = f'\n<p class="hep2-freshness">{line}</p>'
    sentences = " ".join(
        f"<span>{html.escape(each, quote=False)}</span>" for each in app.config.hep2_statement
    )
    address = html.escape(app.config.html_baseurl)
    back = f', which is <a href="{address}">here</a>' if address else " (<code>hep2 book</code>)"
    if AGAINST in app.env.found_docs and pagename != AGAINST:
        back += f'; <a href="{context["pathto"](AGAINST)}">a page compares the two</a>'
    sentences = sentences.replace(NOT_PUBLISHED, NOT_PUBLISHED.format(back))
    banner = f'<aside class="hep2-banner" aria-label="About these results"><p>{sentences}</p></aside>'
    context["body"] = context["body"].replace("</h1>", f"</h1>{line}\n{banner}", 1)


def add_explorers(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Doctree
) -> None:
    """Put into a page the modules of what a reader can move there (``Publication.explorer``).

    They stand in the page itself: opened as a file, it has no origin, and browsers fetch a module for none.
    """
    for name in dict.fromkeys(EXPLORER.findall(context.get("body", ""))):
        module = (Path(app.srcdir) / "book" / "_static" / f"{name}.js").read_text(encoding="utf-8")
        context["body"] += f'<script type="module">\n{module}</script>\n'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything; called by Sphinx."""
    app.add_config_value("hep2_run", "book/run", "env")
    app.add_config_value("hep2_paper_values", "book/paper-values.yaml", "env")
    app.add_config_value("hep2_repository", "", "env")
    app.add_config_value("hep2_statement", [], "html")
    for name, role in (("val", ValueRole), ("paper", PaperRole), ("param", ParameterRole)):
        app.add_role(name, role())
    app.add_directive("api", hep2api.Api)
    hep2cite.setup()
    hep2show.setup(app)
    hep2math.setup(app)
    app.connect("config-inited", leave_out_thebe)
    app.connect("config-inited", read_statement)
    app.connect("missing-reference", resolve_value)
    app.connect("html-page-context", add_banner)
    app.connect("html-page-context", add_explorers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
