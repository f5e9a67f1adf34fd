"""What a result follows from in the source: every definition that some code reaches, by its content."""

import ast
import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from hep2lib.errors import some

LIBRARIES = {"torch": "torch", "torchvision": "torchvision", "sklearn": "scikit-learn"}
"""By the name they are imported by, libraries whose version changes what they compute."""

_PACKAGE = Path(__file__).resolve().parent
# As imported: a file that is edited while a process runs is not what the process runs.
_TEXTS = {file: file.read_text(encoding="utf-8") for file in _PACKAGE.rglob("*.py")}
_INERT = {"ABC", "Enum", "Exception", "Generic", "NamedTuple", "Protocol", "StrEnum"}  # call no method


def commit(clone: Path, *left_out: str) -> str:
    """The commit that a clone is at, or why it is not known; followed by which tracked files have changes.

    Changes of ``left_out``, files and folders in it, do not count.
    """
    words = ["status", "--porcelain=v2", "--branch", "-uno", "--", "."]
    words += [f":(exclude){name}" for name in left_out]
    try:
        if not (clone / ".git").exists():  # what lies inside another repository is none of its own
            return "not known: no git repository"
        command = ["git", "-C", str(clone), *words]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"not known: {type(error).__name__} of git"
    lines = done.stdout.splitlines()
    told = [line.split()[-1] for line in lines if line.startswith(("# branch.oid", "1", "2", "u"))]
    return told[0] + (f", with changes of {some(told[1:], 3)}" if told[1:] else "")


@lru_cache
def code_digest(*names: str) -> str:
    """A short digest of the code that functions or classes of this package reach, and of its libraries.

    ``names`` are dotted, such as "hep2lib.studies.fine_tuning.fine_tune". It has 8 hexadecimal digits, which
    no change of a comment, of a docstring or of other code alters.
    """
    parts = (name.rpartition(".") for name in names)
    found = reached("\n".join(f"from {module} import {name}" for module, _, name in parts))
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:8]


def reached(code: str, package: Path = _PACKAGE) -> dict[str, str]:
    """The definitions of this package that some code reaches, each with a digest of its content.

    A name leads to its definition, or to where it is imported from, and on from there. Of a class, or of a
    module that is imported as a whole, those members count whose names are mentioned anywhere in the code
    reached so far, as a word or in a text (for ``getattr``); where a class of another package may call them,
    all. So nothing that runs is left out unless its name is put together while it runs, and some code is let
    in that does not run.

    Whatever the code, such as the code cells of a notebook, imports by name counts; ``package`` is the folder
    of ``hep2lib``. By dotted name ("hep2lib.studies.training.train", "hep2lib.runs.run.Run.folds") come 16
    hexadecimal digits; by the name of one of ``LIBRARIES`` its version.
    """
    walk = _Walk(package)
    start = _Module(code, "")
    walk.read(start, *_mentions(start.tree.body))
    for target in start.imports.values():
        walk.follow(target)
    while found := [key for key in walk.members if key.rpartition(".")[2] in walk.words]:
        for key in found:
            walk.take(key, *walk.members.pop(key))
    return walk.found


class _Module:
    """What the names at a module's top level are defined as or imported from, and what importing it runs."""

    def __init__(self, code: str, name: str) -> None:
        self.tree, self.name = ast.parse(code), name
        self.read: dict[tuple[str, bool], tuple[str, set[str], set[str]]] = {}
        self.imports: dict[str, str] = {}
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.loose: list[ast.stmt] = []
        for node in ast.walk(self.tree):  # those inside functions too
            if isinstance(node, ast.ImportFrom):
                self.imports |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                self.imports |= {a.asname or a.name.partition(".")[0]: a.name for a in node.names}
        for statement in self.tree.body:
            names = list(_defined(statement))
            for defined in names:
                self.definitions.setdefault(defined, []).append(statement)
            if not (
                names or isinstance(statement, ast.Import | ast.ImportFrom) or _is_documentation(statement)
            ):
                self.loose.append(statement)


class _Walk:
    """What was reached, what was mentioned, and members that are reached once they are mentioned."""

    def __init__(self, package: Path) -> None:
        self.package = package
        self.found: dict[str, str] = {}
        self.words: set[str] = set()
        self.members: dict[str, tuple[_Module, list[ast.stmt]]] = {}
        self.modules: dict[str, _Module | None] = {}

    def module(self, name: str) -> _Module | None:
        """A module of the package by its dotted name; None where there is none."""
        if name not in self.modules:
            first, *parts = name.split(".")
            path = self.package.joinpath(*parts)
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            known = first == "hep2lib" and file.is_file()
            text = _TEXTS.get(file) or file.read_text(encoding="utf-8") if known else ""
            self.modules[name] = _parsed(text, name) if known else None
        return self.modules[name]

    def follow(self, target: str) -> None:
        """Reach what a dotted name means: members of a module, or a name in one."""
        library = LIBRARIES.get(target.partition(".")[0])
        if library:
            self.found[library] = _version(library)
        owner, _, name = target.rpartition(".")
        if whole := self.module(target):
            self.members |= {f"{target}.{own}": (whole, nodes) for own, nodes in whole.definitions.items()}
        elif module := self.module(owner):
            self.resolve(module, name if name in module.definitions | module.imports else "__getattr__")

    def resolve(self, module: _Module, name: str) -> None:
        """Reach what a name means inside a module."""
        if name in module.definitions:
            self.take(f"{module.name}.{name}", module, module.definitions[name])
        elif name in module.imports:
            self.follow(module.imports[name])

    def take(self, key: str, module: _Module, nodes: list[ast.stmt]) -> None:
        """Reach a definition: keep its digest, and read on in it."""
        if key in self.found:
            return
        later = [method for node in nodes for method in self.methods(module, node)]
        if (key, bool(later)) not in module.read:
            content = repr([_plain(node, later) for node in nodes]).encode()
            digest = hashlib.sha256(content).hexdigest()[:16]
            module.read[key, bool(later)] = (digest, *_mentions(nodes, later))
        self.found[key], *mentions = module.read[key, bool(later)]
        self.members |= {f"{key}.{method.name}": (module, [method]) for method in later}
        self.read(module, *mentions)
        if module.loose:
            self.take(module.name, module, module.loose)

    def methods(self, module: _Module, node: ast.stmt) -> list[ast.FunctionDef]:
        """Those methods of a class that run only where their names are mentioned in this package."""
        if not isinstance(node, ast.ClassDef) or self.foreign(module, node):
            return []
        return [p for p in node.body if isinstance(p, ast.FunctionDef) and not p.name.startswith("__")]

    def foreign(self, module: _Module, node: ast.ClassDef) -> bool:
        """Whether a class has a base elsewhere, near or far, that may call its methods."""
        for base in node.bases:
            name = ast.unparse(base).partition("[")[0]
            owner = self.module(module.imports.get(name, "").rpartition(".")[0]) or module
            known = [part for part in owner.definitions.get(name, ()) if isinstance(part, ast.ClassDef)]
            if any(self.foreign(owner, part) for part in known):
                return True
            if not known and name.rpartition(".")[2] not in _INERT:
                return True
        return False

    def read(self, module: _Module, words: set[str], names: set[str]) -> None:
        """Follow the names in some code of a module, and note what is asked of others."""
        self.words |= words
        for name in names:
            self.follow(name) if "." in name else self.resolve(module, name)


@lru_cache(maxsize=256)  # several pieces of code reach the same modules
def _parsed(code: str, name: str) -> _Module:
    return _Module(code, name)


_version = lru_cache(version)


def _mentions(nodes: Sequence[ast.AST], without: Sequence[ast.AST] = ()) -> tuple[set[str], set[str]]:
    """What some code asks of others, by attribute or text; and the names in it, dotted ones in texts."""
    words, names, left = set(), set(), list(nodes)
    while left:
        node = left.pop()
        left += [part for part in _children(node) if part not in without]
        text = _text(node)
        if isinstance(node, ast.Attribute):
            words.add(node.attr)
        elif isinstance(node, ast.Call | ast.Dict):  # texts for ``getattr`` come as arguments, or as keys
            words |= {_text(part) for part in (node.args if isinstance(node, ast.Call) else node.keys)}
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif text.replace(".", "").isidentifier():
            names.add(text)
    return words, names


def _text(node: object) -> str:
    """The text that a constant is; "" for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_documentation(node: object) -> bool:
    """Whether it is a text that stands by itself."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a piece of code that are not documentation."""
    for _, value in ast.iter_fields(node):
        parts = value if isinstance(value, list) else [value]
        yield from (part for part in parts if isinstance(part, ast.AST) and not _is_documentation(part))


def _defined(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module's top level defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            names = (part for part in ast.walk(target) if isinstance(part, ast.Name))
            yield from (part.id for part in names if isinstance(part.ctx, ast.Store))


def _plain(node: object, without: Sequence[ast.AST] = ()) -> object:
    """Code as nested tuples that are the same in every version of Python, without its documentation."""
    if isinstance(node, list):
        parts = (part for part in node if part not in without and not _is_documentation(part))
        return tuple(_plain(part, without) for part in parts)
    if not isinstance(node, ast.AST):
        return node
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return (type(node).__name__, *((name, _plain(value, without)) for name, value in fields))
