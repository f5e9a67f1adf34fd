"""Tables and figures of a run in the pages: numbered where they are computed, shown again in the prose."""

import html
import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.nodes import Element, Node
from docutils.parsers.rst import directives
from hep2quote import Run
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

TABLE = re.compile(r'<div class="hep2-table(?: hep2-wide)?" id="(?P<label>[^"]+)"')
CAPTION = re.compile(r'(?<=-caption">).*?(?=</caption>)', re.DOTALL)
STATUS = {
    "name": "Run",
    "profile": "Profile",
    "database": "Database",
    "weights": "Weights",
    "device": "Device",
    "processor": "Processor",
    "seed": "Seed",
    "date": "Date",
    "commit": "Commit",
    "version": "Version of hep2lib",
    "made from": "Made from",
    "versions": "Versions",
    "seconds": "Seconds",
}


class hep2_table(nodes.General, nodes.Element):
    """A published table as HTML, on the page that computes it: numbered, and a link can lead to it."""


class hep2_table_again(nodes.General, nodes.TextElement):
    """A published table as HTML, on another page; its one child is a link that reads as its number."""


class hep2_figure_again(nodes.figure):
    """A published figure on another page: a figure to every writer, but not numbered a second time."""


def table_title(node: Element) -> str:
    """What stands for the table in a list of tables."""
    return str(node["title"])


def visit_table(writer: Any, node: Element) -> None:
    """Write the table down to its caption, and its number."""
    writer.body.append(node["head"])
    writer.add_fignumber(node)


def visit_table_again(writer: Any, node: Element) -> None:
    """Write the table down to its caption; the link that is its number follows."""
    writer.body.append(f'{node["head"]}<span class="caption-number">')


def depart_table_again(writer: Any, node: Element) -> None:
    """Write the rest of the table."""
    writer.body.append("</span> ")
    depart_table(writer, node)


def depart_table(writer: Any, node: Element) -> None:
    """Write the table from its caption on."""
    writer.body.append(f'<span class="caption-text">{node["caption"]}</span>{node["rest"]}')


def table_parts(content: str) -> dict[str, str]:
    """The HTML of a published table before its caption, the caption, and the rest."""
    caption = CAPTION.search(content)
    if caption is None:
        raise ValueError("the HTML of a table has no caption")
    return {"head": content[: caption.start()], "caption": caption[0], "rest": content[caption.end() :]}


class NumberTables(SphinxTransform):
    """Replace what a notebook cell shows of a published table by a table that Sphinx can number."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Look through what the cells of this page show."""
        for raw in list(self.document.findall(nodes.raw)):
            found = TABLE.search(raw.astext())
            if found is None or "html" not in raw.get("format", ""):
                continue
            shown = raw.parent if raw.parent.get("nb_element") == "mime_bundle" else raw
            parts = table_parts(raw.astext())
            table = hep2_table(title=html.unescape(parts["caption"]), names=[found["label"]], **parts)
            shown.replace_self(table)
            self.document.note_explicit_target(table, table)


class LabelCells(SphinxTransform):
    """Put its column's title into each cell of a wide table of the prose; on a phone it is shown."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Look through the tables of this page that have four columns or more."""
        for table in self.document.findall(nodes.table):
            titles = [
                entry.astext()
                for entry in next(table.findall(nodes.thead), nodes.thead()).findall(nodes.entry)
            ]
            if len(titles) < 4 and titles[1:2] != ["A"]:  # of runs side by side, all
                continue
            table["classes"].append("hep2-labelled")
            for row in next(table.findall(nodes.tbody)).children:
                for title, entry in list(zip(titles, row.children, strict=False))[1:]:
                    for paragraph in entry.children[:1]:
                        paragraph.insert(0, nodes.inline("", f"{title}: ", classes=["hep2-label"]))


class NumberLinks(SphinxTransform):
    """Let ``[](#fig-NAME)`` and ``[](#table-NAME)`` read "Figure 3.1" and "Table 3.1"."""

    default_priority = 870  # before MyST makes them read the whole caption

    def apply(self, **_: Any) -> None:
        """Look through the links of this page that have no text of their own."""
        for link in list(self.document.findall(nodes.reference)):
            target = link.get("refuri", "")
            if link.get("id_link") and not link.children and target.startswith(("#fig-", "#table-")):
                link.replace_self(_number_link(self.env.docname, target[1:]))


class RunDirective(SphinxDirective):
    """A directive that shows something of the run, or warns and so fails the build."""

    required_arguments = 1
    has_content = False

    def missing(self, kind: str, name: str) -> list[Node]:
        """Warn that the run has no such thing."""
        message = f"{{run-{kind}}}: this run has no {kind} {name!r}"
        return [self.state.document.reporter.warning(message, line=self.lineno)]


class RunTable(RunDirective):
    """``{run-table} NAME``: a table of the run; its number leads to the chapter that computes it."""

    def run(self) -> list[Node]:
        """Show the table."""
        run, name = Run(self.env), self.arguments[0]
        file = run.folder / "tables" / f"{name}.html"
        self.env.note_dependency(str(file))
        try:
            run.find("tables", name)
            content = file.read_text(encoding="utf-8")
        except (KeyError, FileNotFoundError):
            return self.missing("table", name)
        parts = table_parts(content.replace(f'"table-{name}', f'"shown-table-{name}'))
        return [hep2_table_again("", "", _number_link(self.env.docname, f"table-{name}"), **parts)]


class RunFigure(RunDirective):
    """``{run-figure} NAME``: a figure of the run; its number leads to the chapter that computes it."""

    option_spec: ClassVar = {"width": directives.length_or_percentage_or_unitless}

    def run(self) -> list[Node]:
        """Show the figure."""
        name = self.arguments[0]
        try:
            _, about = Run(self.env).find("figures", name)
        except KeyError:
            return self.missing("figure", name)
        width = self.options.get("width", f"{about['width']}px")
        uri = f"/{self.config.hep2_run}/figures/{name}.png"
        number = nodes.inline(
            "", "", _number_link(self.env.docname, f"fig-{name}"), classes=["caption-number"]
        )
        caption = nodes.caption(about["caption"], "", number, nodes.Text(f" {about['caption']}"))
        return [hep2_figure_again("", nodes.image("", uri=uri, alt=about["alt"], width=width), caption)]


class RunStatus(SphinxDirective):
    """``{run-status}``: what this run is, and what made it."""

    def run(self) -> list[Node]:
        """Show run.json as a table."""
        run = Run(self.env)
        about = run.read(run.folder / "run.json")
        if about is None:
            return [
                self.state.document.reporter.warning("{run-status}: there is no run.json", line=self.lineno)
            ]
        rows = "\n".join(
            f'<tr><th scope="row">{title}</th><td>{_described(about[key])}</td></tr>'
            for key, title in STATUS.items()
            if about.get(key) not in (None, "", {}, [])
        )
        table = f"<table>\n<caption>What made this run.</caption>\n<tbody>\n{rows}\n</tbody>\n</table>"
        return [nodes.raw("", f'<div class="hep2-table hep2-status">\n{table}\n</div>', format="html")]


class Repository(SphinxDirective):
    """``{repository}``: where the source is, if ``_config.yml`` gives its address."""

    def run(self) -> list[Node]:
        """Show a sentence, or nothing."""
        address = self.config.hep2_repository
        link = nodes.reference("", address, refuri=address)
        return [nodes.paragraph("", "Source, questions, corrections: ", link)] if address else []


def _described(value: object) -> str:
    """A value of run.json as HTML: a mapping line by line, a fraction of a second with one decimal."""
    if isinstance(value, dict):
        return "<br>".join(f"{html.escape(str(key))}: {_described(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_described(each) for each in value)
    return html.escape(f"{value:.1f}" if isinstance(value, float) else str(value), quote=False)


def _number_link(docname: str, label: str) -> pending_xref:
    """A link that reads "Table 3.1"."""
    return pending_xref(
        "",
        nodes.inline("", label),
        refdomain="std",
        reftype="numref",
        refdoc=docname,
        reftarget=label,
        refexplicit=False,
        refwarn=True,
    )


def setup(app: Sphinx) -> None:
    """Register nodes, transforms and directives."""
    app.add_enumerable_node(hep2_table, "table", table_title, html=(visit_table, depart_table))
    app.add_node(hep2_table_again, html=(visit_table_again, depart_table_again))
    app.add_node(
        hep2_figure_again,
        html=(
            lambda writer, node: writer.visit_figure(node),
            lambda writer, node: writer.depart_figure(node),
        ),
    )
    app.add_transform(NumberTables)
    app.add_transform(LabelCells)
    app.add_transform(NumberLinks)
    for name, directive in (("run-table", RunTable), ("run-figure", RunFigure), ("run-status", RunStatus)):
        app.add_directive(name, directive)
    app.add_directive("repository", Repository)
