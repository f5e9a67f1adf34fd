"""Every command that README, the pages and the messages name: tried here, or listed with why not."""

import ast
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hep2lib.cli import _parser, main
from hep2lib.runs.notebooks import notebook_parameters
from hep2lib.runs.pairs import read_source
from hep2lib.runs.parameters import make_parameters, parse_settings

from .data.handmade import aida_rows, write_aida

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("book/*.md"))]
TEXTS += sorted(ROOT.glob("notebooks/*.md"))
PROGRAMS = "hep2|pip|python|make|jupyter|jupytext|papermill|dask|conda|pytest|ruff|mypy|git|source(?= )"
FENCE = re.compile(r"^```(\w*).*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(rf"`((?:\.venv/bin/)?(?:{PROGRAMS})(?:\s[^`]*)?)`")

FIRST_PAGE = "_build/html/book/introduction.html"

NOT_TRIED = {
    "python -m venv .venv": "makes an environment: make does it for every run of the tests",
    r".venv\Scripts\Activate.ps1": "PowerShell's",
    "source .venv/bin/activate": "changes the shell that it is typed in",
    "conda env create -f environment.yml": "needs conda, and installs everything again",
    "conda activate hep2": "needs conda",
    "jupyter lab --config notebooks/lab.py": "a server, of the extra lab, that runs until it is stopped; its "
    "configuration is tried in test_the_notebooks.py",
    "jupyter lab X": "a server that runs until it is stopped, of the extra lab",
    "jupyter nbconvert --to html out.ipynb": "of the extra lab, on what papermill wrote",
    f"chromium --headless --no-pdf-header-footer --print-to-pdf=summary.pdf {FIRST_PAGE}": "needs a browser",
    "git lfs pull": "fetches images of a database that lies on a server",
    "python -m pytest": "the tests themselves",
    "ruff check && ruff format": "tried in test_architecture.py",
    "mypy": "tried in test_architecture.py",
    "dask scheduler": "a server that runs until it is stopped",
    "hep2": "a name",
    ".venv/bin/hep2": "a name",
    "python -m hep2lib": "a name",
}


def commands_of_text(text: str) -> set[str]:
    """The lines of a text's shell blocks, and what stands between backticks and starts with a program."""
    found = set()
    for language, block in FENCE.findall(text):
        if language in ("sh", "powershell", "bash", "console"):
            lines = (re.sub(r"\s+# .*", "", line).strip() for line in block.splitlines())
            found |= {line for line in lines if line and not line.startswith("#")}
    inline = INLINE.findall(FENCE.sub("", text))
    return found | {" ".join(command.split()) for command in inline}


def commands_of_module(path: Path) -> set[str]:
    """What stands between backticks in a module's texts, X for what is filled in when it runs."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node] if id(node) not in inside else []
        text = "".join(
            str(part.value) if isinstance(part, ast.Constant) else "X"
            for part in parts
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
        found |= {" ".join(command.split()) for command in INLINE.findall(text)}
    return found


def all_commands() -> list[str]:
    found = set()
    for path in TEXTS:
        found |= commands_of_text(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "hep2lib").rglob("*.py")):
        found |= commands_of_module(path)
    return sorted(found)


COMMANDS = all_commands()


def try_hep2(words: list[str], tmp_path: Path) -> None:
    """Let the real parser read it, the settings too; what is cheap and writes nothing is executed."""
    if len(words) == 1:  # `hep2 data`, as a name
        words = [*words, "--help"]
    if words[-1] == "--help":
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        return
    options = _parser().parse_args(words)
    if words[0] in ("run", "study"):
        settings = parse_settings(options.set)
        typed = options.profile or "quick"
        profile = "quick" if typed.endswith(".yaml") else typed
        make_parameters(profile, settings)
    elif words[0] == "layers" or words == ["pair", "--check"]:
        assert main(words) == 0
    elif words == ["data", "PATH"]:
        assert main(["data", str(write_aida(tmp_path / "data", aida_rows(specimens=20)))]) == 0
    elif words[0] == "pair":
        assert all((ROOT / "notebooks" / f"{name}.md").is_file() or name == "X" for name in options.from_md)


def try_pip(words: list[str]) -> None:
    """An install of the clone is editable and takes extras that it has; -c names a file of the clone."""
    assert words[0] == "install"
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    target = re.fullmatch(r"\.(?:\[([\w,]+)\])?", words[words.index("-e") + 1])
    assert target, words
    assert set((target[1] or "book").split(",")) <= set(known["optional-dependencies"])
    assert "-c" not in words or (ROOT / words[words.index("-c") + 1]).is_file()
    assert len(words) == 3 + 2 * ("-c" in words), f"a package that an index may not have: {words}"


def try_papermill(words: list[str]) -> None:
    words = words[words[0] == "--help-notebook" :]
    source = ROOT / Path(words[0]).with_suffix(".md")
    assert (ROOT / words[0]).is_file()
    known = notebook_parameters(read_source(source), source.name)
    assert {words[at + 1] for at, word in enumerate(words) if word in ("-p", "-r")} <= set(known)


def try_dask(words: list[str]) -> None:
    cli = pytest.importorskip(f"distributed.cli.dask_{words[0]}")
    cli.main.make_context("dask", words[1:])


def test_there_are_commands_to_try():
    assert len(COMMANDS) > 40
    assert {"hep2 data PATH", "pip install -e '.[cluster]'", "hep2 pair --from-md X"} <= set(COMMANDS)


def test_what_is_listed_is_still_named():
    assert set(NOT_TRIED) <= set(COMMANDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in NOT_TRIED])
def test_a_command_works(command, tmp_path, capsys):
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "hep2lib"]:
        words = ["hep2", *words[3:]]
    if words[:3] == ["python", "-m", "pip"]:
        words = words[2:]
    match words:
        case ["hep2", *rest]:
            try_hep2(rest, tmp_path)
        case ["pip", *rest]:
            try_pip(rest)
        case ["papermill", *rest]:
            try_papermill(rest)
        case ["dask", *rest]:
            try_dask(rest)
        case ["make", *rest]:
            if shutil.which("make"):
                done = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
        case ["pytest", *files]:
            assert all((ROOT / file).exists() for file in files)
        case ["python", script, *options]:  # they take minutes
            assert script.startswith("benchmarks/")
            text = (ROOT / script).read_text(encoding="utf-8")
            compile(text, script, "exec")
            assert all(f'"{option}"' in text for option in options if option.startswith("--"))
        case _:
            pytest.fail(
                f"{command!r}: nobody has said how to try it; add it here, or to NOT_TRIED with a reason"
            )
