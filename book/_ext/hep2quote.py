"""Roles that quote a number or a text: from the run, from the paper, from the run's parameters."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import yaml
from docutils import nodes
from docutils.nodes import Element, Node, system_message
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole
from sphinx.util.nodes import clean_astext, make_refnode

from hep2lib.runs.publish import PublishError, quoted, read_pages

logger = logging.getLogger(__name__)

UNKNOWN = "??"
VALUE_LINK = "hep2-value"
LONGEST = 24  # characters of a value that is kept on one line: an interval, not a sentence


class Run:
    """The run that pages quote; each file read is noted, so that a changed run renders them anew."""

    def __init__(self, env: BuildEnvironment):
        self.env = env
        self.folder = Path(env.srcdir) / env.config.hep2_run

    def find(self, kind: str, name: str) -> tuple[str, dict[str, Any]]:
        """Document and entry of what was published.

        Args:
            kind: "values", "tables" or "figures".
            name: the name it was published by.

        Raises:
            KeyError: if no page publishes it.
        """
        for file in (self.folder / "published").glob("*.json"):
            self.env.note_dependency(str(file))
        for page, content in read_pages(self.folder).items():
            if name in content[kind]:
                return f"{self.env.config.hep2_run}/{page}", content[kind][name]
        raise KeyError(name)

    def read(self, file: Path) -> Any:
        """The content of a YAML or JSON file; None where there is none."""
        self.env.note_dependency(str(file))
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None


class QuoteRole(SphinxRole, ABC):
    """A role ``{kind}`name:format``` that shows one value, or warns and so fails the build."""

    kind: ClassVar[str]

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Show the value."""
        key = self.text.partition(":")[0].strip()
        try:
            return [self.quote(Run(self.env), key)], []
        except KeyError:
            problem = f"there is no {key!r} to quote"
        except (ValueError, PublishError) as error:
            problem = f"{self.text!r} cannot be shown: {error}"
        logger.warning(
            "{%s}: %s", self.kind, problem, location=self.get_location(), type="hep2", subtype=self.kind
        )
        return [nodes.inline(self.text, UNKNOWN)], []

    @abstractmethod
    def quote(self, run: Run, key: str) -> Node:
        """The node that shows the value; KeyError where there is none, ValueError for a wrong format."""


class ValueRole(QuoteRole):
    """``{val}`name:.1%```: what this run computed; ``{val}`name:interval:.1%```: its interval."""

    kind = "val"

    def quote(self, run: Run, key: str) -> Node:
        """The value, as a link to the page that computed it."""
        document, entry = run.find("values", key)
        text = quoted({key: entry}, self.text)
        words = ["hep2-words"] if len(text) > LONGEST else []
        inline = nodes.inline(self.text, text, classes=[VALUE_LINK, *words])
        if document == self.env.docname:
            return inline
        return pending_xref(
            "",
            inline,
            refdomain="",
            reftype=VALUE_LINK,
            refdoc=self.env.docname,
            reftarget=document,
            value=key,
        )


class PaperRole(QuoteRole):
    """``{paper}`table3.freeze_11.auc:.1%```: what the paper printed, from the book's list of its numbers."""

    kind = "paper"

    def quote(self, run: Run, key: str) -> Node:
        """The value as printed."""
        printed = run.read(Path(self.env.srcdir) / self.config.hep2_paper_values)
        return nodes.inline(self.text, quoted(printed or {}, self.text), classes=["hep2-paper"])


class ParameterRole(QuoteRole):
    """``{param}`seed```: a parameter of this run."""

    kind = "param"

    def quote(self, run: Run, key: str) -> Node:
        """The parameter's value."""
        parameters = run.read(run.folder / "parameters.yaml")
        return nodes.inline(self.text, quoted(parameters or {}, self.text), classes=["hep2-parameter"])


def resolve_value(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    """Make the link of a quoted value, once all pages are known."""
    if node["reftype"] != VALUE_LINK or node["reftarget"] not in env.titles:
        return None
    chapter = clean_astext(env.titles[node["reftarget"]])
    title = f"{node['value']}, computed in “{chapter}”"
    return make_refnode(app.builder, node["refdoc"], node["reftarget"], "", content, title)
