"""Signatures and docstrings of the package, read from its text: importing it would take seconds."""

import ast
import re
from pathlib import Path

from docutils.nodes import Node
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.docutils import SphinxDirective

import hep2lib

_STYLE = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)
_SPECIAL = re.compile(r"`+([^`]+)`+|([|*])")  # names in backticks; signs that reST would read


def definition(name: str) -> tuple[Path, ast.ClassDef | ast.FunctionDef]:
    """The file and the syntax tree of a function, a class or a method; StopIteration where there is none."""
    parts, root = name.split("."), Path(hep2lib.__file__).parents[1]
    files = (root.joinpath(*parts[:end]).with_suffix(".py") for end in range(1, len(parts)))
    file = next(file for file in files if file.is_file())
    found = ast.parse(file.read_text(encoding="utf-8"))
    for part in parts[len(file.relative_to(root).parts) :]:
        found = next(node for node in found.body if getattr(node, "name", "") == part)
    return file, found


class Api(SphinxDirective):
    """``.. api:: hep2lib.data.folds.specimen_folds`` (inside ``{eval-rst}``): its signature and docstring."""

    required_arguments = 1

    def run(self) -> list[Node]:
        """Show it as the Python domain does, so that it is in the index and can be linked to."""
        name = self.arguments[0]
        try:
            file, found = definition(name)
        except StopIteration:
            return [self.state.document.reporter.warning(f"api: there is no {name}", line=self.lineno)]
        self.env.note_dependency(str(file))
        called = found
        if isinstance(found, ast.ClassDef):  # called as its __init__, where it has one
            called = next((node for node in found.body if getattr(node, "name", "") == "__init__"), found)
        signature = ""
        if isinstance(called, ast.FunctionDef):
            signature = f"({ast.unparse(called.args).removeprefix('self').removeprefix(', ')})"
            signature += f" -> {ast.unparse(called.returns)}" if called.returns else ""
        kind = "class" if isinstance(found, ast.ClassDef) else "function"
        text = _SPECIAL.sub(
            lambda one: f"``{one[1]}``" if one[1] else rf"\{one[2]}", ast.get_docstring(found) or ""
        )
        lines = [f".. py:{kind}:: {name}{signature}", ""]
        lines += [f"   {line}" for line in GoogleDocstring(text, _STYLE).lines()]
        return self.parse_text_to_nodes("\n".join(lines) + "\n")
