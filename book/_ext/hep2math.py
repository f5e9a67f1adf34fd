"""Formulas as MathML, which every browser draws by itself: nothing is fetched when a page is read."""

from typing import Any

from docutils import nodes
from docutils.nodes import Element
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def visit_inline(writer: Any, node: Element) -> None:
    """Write a formula that stands in a line."""
    writer.body.append(f'<span class="math">{_mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def visit_block(writer: Any, node: Element) -> None:
    """Write a formula that stands alone, with its number where it has one."""
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    writer.body.append(_mathml(node, block=True))
    if node.get("number"):
        writer.body.append(f'<span class="eqno">({node["number"]})</span>')
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def _mathml(node: Element, block: bool) -> str:
    formula = node.astext()
    try:
        return " ".join(line.strip() for line in tex2mathml(formula, as_block=block).splitlines())
    except (MathError, SyntaxError) as error:
        logger.warning(
            "formula %r cannot be drawn: %s", formula, error, location=node, type="hep2", subtype="math"
        )
        return "??"


def setup(app: Sphinx) -> None:
    """Make "mathml" known as a way to draw formulas."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
