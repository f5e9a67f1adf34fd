"""The rules that the code keeps: style, types, imports that point one way, and a house that stays small."""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = sorted((REPOSITORY / "hep2lib").rglob("*.py"))


def check(*command: str) -> None:
    """Run a tool of this environment on the repository; what it says is the failure's message."""
    done = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_follows_the_rules():
    check("-m", "ruff", "check")


def test_the_code_is_formatted():
    check("-m", "ruff", "format", "--check")


def test_the_types_agree():
    check("-m", "mypy")


def test_imports_point_one_way():
    check(
        "-c",
        "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())",
    )


def imports_of_modules() -> dict[str, set[str]]:
    """For each module of the package the modules it imports anywhere, inside functions too."""
    paths = {".".join(p.relative_to(REPOSITORY).with_suffix("").parts): p for p in MODULES}
    known = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    found = {}
    for name, path in known.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found[name] |= {one for one in names if one in known and known[one].name != "__init__.py"}
    return found


def test_no_import_leads_back_to_where_it_came_from():
    imports = imports_of_modules()
    assert sum(map(len, imports.values())) > len(imports), "the test finds no imports: it would miss circles"
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_imports_are_written_one_way():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}:{node.lineno} is relative"


def test_a_module_is_found_by_its_name():
    names = Counter(path.name for path in MODULES if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_the_house_stays_small():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert len(lines) <= 83
    assert sum(lines.values()) <= 21_700
    assert {str(path): count for path, count in lines.items() if count > 650} == {}


def test_nothing_private_of_a_library_is_used():
    private = re.compile(r"torch\.ops\.(mkldnn|aten)|torch\._(?!_)|\bnumba\b|\bctypes\b")
    for path in MODULES:
        assert private.search(path.read_text(encoding="utf-8")) is None, path


def test_a_notebook_takes_its_run_from_the_package_which_costs_nothing_until_then():
    check(
        "-c",
        "import sys, hep2lib; assert not {'torch', 'pandas'} & set(sys.modules)\n"
        "from hep2lib import open_run, printed\n"
        "assert open_run.__module__ == 'hep2lib.runs.run' and printed('best.auc') > 0.9\n"
        "assert not hasattr(hep2lib, 'close_run')",
    )


def test_what_the_table_of_places_names_is_there():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = re.findall(r"\| `(hep2lib/[\w/]+\.py)` \| `([\w.]+)` \|", text)
    assert len(places) >= 15
    for path, name in places:
        nodes = ast.parse((REPOSITORY / path).read_text(encoding="utf-8")).body
        for part in name.split("."):
            named = {getattr(node, "name", None): node for node in nodes}
            assert part in named, f"CONTRIBUTING.md: {path} has no {name}"
            nodes = getattr(named[part], "body", [])
