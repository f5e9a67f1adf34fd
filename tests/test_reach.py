"""Where else it runs: Binder, Colab, a dev container, GitHub's machines; Windows, as far as can be tried."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from hep2lib.files import own_name, project_root

from .data.handmade import aida_rows, write_aida
from .like_windows.sitecustomize import LONGEST, faults
from .test_commands import try_hep2, try_pip

ROOT = project_root()
START = nbformat.read(ROOT / "start.ipynb", as_version=4)
CELLS = [cell.source for cell in START.cells if cell.cell_type == "code"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"][
    "hep2_repository"
]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_the_notebook_has_three_cells_and_no_output():
    nbformat.validate(START)
    assert len(CELLS) == 3
    assert [cell for cell in START.cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert max(len(line) for cell in CELLS for line in cell.splitlines()) <= 100


def test_the_notebook_knows_the_address_that_the_book_knows():
    statement = ast.parse(CELLS[0]).body[0]
    assert ast.unparse(statement.targets[0]) == "REPOSITORY"
    assert statement.value.value == ADDRESS, (
        "start.ipynb and _config.yml (hep2_repository) name two addresses"
    )


def first_cell(monkeypatch, missing: tuple[str, ...], address: str = "") -> list[list[str]]:
    """What the first cell starts where these modules are missing."""
    started: list[list[str]] = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else object())
    monkeypatch.setattr(subprocess, "run", lambda command, check: started.append(command))
    exec(CELLS[0].replace(f'REPOSITORY = "{ADDRESS}"', f'REPOSITORY = "{address}"'), {})
    return started


def test_the_first_cell_leaves_what_is_there_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert first_cell(monkeypatch, ()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_first_cell_fetches_and_installs_what_is_missing_and_never_asks_for_another_torch(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    cloned, installed = first_cell(monkeypatch, ("hep2lib",), "https://example.org/hep2")
    assert cloned == ["git", "clone", "--depth", "1", "https://example.org/hep2", "hep2"]
    assert installed == [sys.executable, "-m", "pip", "install", "-q", "-e", f"{tmp_path / 'hep2'}[book]"]
    (tmp_path / "_toc.yml").touch()  # a clone, in which something is missing
    (installed,) = first_cell(monkeypatch, ("jupyter_book",))
    assert installed[-1] == f"{tmp_path}[book]"


def test_the_first_cell_says_what_to_fill_in(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="write the repository's address between the quotes of REPOSITORY"):
        first_cell(monkeypatch, ("hep2lib",))


def test_the_second_cell_runs_and_the_third_shows_what_is_there(tmp_path):
    (command,) = re.findall(r'^!"\{sys.executable\}" -m hep2lib (.*)$', CELLS[1], re.MULTILINE)
    words = shlex.split(command)
    try_hep2(words, tmp_path)
    assert (
        "/".join(re.findall(r'Path\("(\w+)", "([\w-]+)"\)', CELLS[2])[0]) == words[words.index("--out") + 1]
    )
    shown = re.findall(r'results / "(\w+)" / "([\w.-]+)"', CELLS[2])
    assert len(shown) == 2
    published = json.loads((ROOT / "book/run/published/05-results.json").read_text(encoding="utf-8"))
    for kind, name in shown:
        assert Path(name).stem in published[kind]
        assert (ROOT / "book" / "run" / kind / name).is_file()


def test_binder_installs_the_pinned_torch_for_a_cpu():
    folder = ROOT / ".binder"
    assert {file.name for file in folder.iterdir()} == {"postBuild", "requirements.txt", "runtime.txt"}
    assert not (ROOT / "binder").exists()  # repo2docker refuses two such folders
    assert (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()[1:] == ["uv"]
    assert os.access(folder / "postBuild", os.X_OK)  # else repo2docker refuses it
    *_, command = (folder / "postBuild").read_text(encoding="utf-8").splitlines()
    words = shlex.split(command)
    assert words[:3] == ["uv", "pip", "install"]
    assert words[5:7] == ["--torch-backend", "cpu"]
    assert {"torch", "torchvision"} <= pins().keys()  # in constraints.txt, which both come from
    try_pip(["install", *words[7:]])
    assert (folder / "runtime.txt").read_text(encoding="utf-8") == "python-3.11\n"


def test_conda_installs_what_make_installs():
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (part["pip"] for part in content["dependencies"] if isinstance(part, dict))
    try_pip(["install", *(word for line in pip for word in line.split())])
    assert "'.[book$(comma)test]'" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert pip[-1] == "-e .[book,test]"
    python = content["dependencies"][0].removeprefix("python=")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={python}"


def test_the_dev_container_installs_as_the_readme_says():
    content = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:\d+-3\.\d+-\w+", content["image"])
    words = shlex.split(content["postCreateCommand"])
    assert words[:3] == ["python", "-m", "pip"]
    try_pip(words[3:])


def workflow(path: Path) -> dict:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # "on" stays a word


def steps(path: Path) -> list[dict]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def test_there_are_three_workflows():
    assert [path.stem for path in WORKFLOWS] == ["again", "book", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_little_and_not_for_long(path):
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    assert content["concurrency"]["group"]
    for job in content["jobs"].values():
        assert 0 < int(job["timeout-minutes"]) <= 350
        assert not re.search("latest", job["runs-on"])
        writes = {name for name, may in job.get("permissions", {}).items() if may == "write"}
        assert writes in (set(), {"issues"}, {"pages", "id-token"})
        uses = [step["uses"] for step in job["steps"] if "uses" in step]
        assert not writes or not any(
            "checkout" in each for each in uses
        )  # no code of the clone has such rights
        for each in uses:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", each)
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] == "false"


def known_step(line: str, tmp_path: Path) -> bool:
    """Whether a line of a workflow calls what there is; what GitHub's machines bring is believed."""
    words = shlex.split(line.partition(" >")[0])
    match words:
        case [".ci/run"]:
            return (ROOT / ".ci" / "run").is_file()
        case ["make", target]:
            return (
                re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
                is not None
            )
        case ["python", "-m", "pip", *rest]:
            try_pip(rest)
        case ["python", "-m", "hep2lib", *rest] | [".venv/bin/hep2", *rest]:
            try_hep2(rest, tmp_path)
        case [".venv/bin/python", "-c", code]:
            compile(code, line, "exec")
        case _:
            return False
    return True


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_only_commands_that_there_are(path, tmp_path):
    runs = [step["run"] for step in steps(path) if "run" in step]
    assert runs
    for run in runs:
        script = re.fullmatch(r"\.venv/bin/python - <<'PYTHON'\n(.*\n)PYTHON\n", run, re.DOTALL)
        if script:
            compile(script[1], path.name, "exec")
        elif "gh issue" not in run:  # GitHub's own program, which its machines have
            for line in run.splitlines():
                assert known_step(line, tmp_path), line


def again(found: dict, tmp_path: Path) -> str:
    """What the monthly run says of a comparison; "" if all is well."""
    (run,) = (
        step["run"] for step in steps(ROOT / ".github/workflows/again.yml") if "PYTHON" in step.get("run", "")
    )
    (tmp_path / "compared.json").write_text(json.dumps(found), encoding="utf-8")
    script = run.partition("\n")[2].rpartition("PYTHON")[0]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr.strip()


def test_the_monthly_run_calls_only_what_is_no_rounding_rotten(tmp_path):
    made = {"runs": {"A": {"chapters": ["03-fine-tuning", "04-svm"]}}, "not comparable": {}}
    kinds = ("same", "rounding", "differs", "missing")
    rows = {name: {"is": name, "page": "03-fine-tuning"} for name in kinds}
    assert again(made | {"values": rows}, tmp_path) == "differs\nmissing"
    fine = {name: rows[name] for name in ("same", "rounding")}
    elsewhere = {"of another chapter": {"is": "missing", "page": "01-dataset"}}
    assert again(made | {"values": fine | elsewhere}, tmp_path) == ""
    assert again(made | {"not comparable": {"B": "other images"}, "values": {}}, tmp_path) == "other images"


def test_windows_refuses_some_names(tmp_path):
    """What `like_windows` takes for a fault; the fixture of test_end_to_end looks at a whole run with it."""
    assert faults("/run/figures/roc-curve.png", "/run") == []
    for name in ("a:b", "why?", "a*", "a\\b", 'say "a"', "a.", "a ", "tab\there"):
        assert faults(f"/run/{name}/c", "/run") == ["sign"], name
    assert (
        faults("/run/aux.json", "/run")
        == faults("/run/Con", "/run")
        == faults("/run/com1.tar.gz", "/run")
        == ["device"]
    )
    assert faults("/run/console/auxiliary.json", "/run") == []
    assert faults("/run/" + "a" * (LONGEST + 1), "/run") == ["long"]
    assert faults(str(own_name(tmp_path / "file.json")), str(tmp_path)) == []


FAULTY = """
import os, shutil
from pathlib import Path
root = Path(os.environ["HEP2_WATCHED"])
with (root / "a").open("w", encoding="utf-8"):
    (root / "a").rename(root / "b")
    (root / "b").unlink()
(root / "d").mkdir()
(root / "d" / "x:y").touch()
shutil.rmtree(root / "d")
if os.fork() == 0:
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells which files are open, and forks")
def test_what_windows_would_refuse_is_noted(tmp_path):
    watched = {"HEP2_WATCHED": str(tmp_path / "run"), "HEP2_WATCHER": str(tmp_path / "notes")}
    (tmp_path / "run").mkdir()
    environment = os.environ | watched | {"PYTHONPATH": str(ROOT / "tests" / "like_windows")}
    subprocess.run([sys.executable, "-c", FAULTY], check=True, env=environment)
    lines = [line.split("\t") for line in (tmp_path / "notes").read_text(encoding="utf-8").splitlines()]
    assert [(kind, Path(path).name) for _, kind, path in lines if kind not in ("begun", "made")] == [
        ("open at os.rename", "a"),
        ("open at os.remove", "b"),
        ("sign", "x:y"),
        ("fork", ""),
    ]
    assert [Path(path).name for _, kind, path in lines if kind == "made"] == ["a", "b", "d", "x:y"]


def text_without_newline(path: Path) -> list[int]:
    """Lines that write a text file without saying how its lines end: Windows would put another end."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [part.value for part in node.args if isinstance(part, ast.Constant)]
            modes += [part.value.value for part in node.keywords if part.arg == "mode"]
            texts = any(isinstance(mode, str) and re.fullmatch("[wax]t?[+]?", mode) for mode in modes)
            given = {part.arg for part in node.keywords}
            if (name == "open" and texts and "newline" not in given) or (
                name == "write_text" and isinstance(node.func, ast.Attribute) and "newline" not in given
            ):
                found.append(node.lineno)
            if name == "to_csv" and "lineterminator" not in given:
                found.append(node.lineno)
    return found


#: What is read as text, and of which no checksum is kept; one has a single line.
OF_THE_SYSTEM = {"pretraining.py": "history.csv", "writing.py": "README.txt", "trial.py": "one line of JSON"}


def test_files_have_the_same_lines_on_every_system():
    found = {path for path in (ROOT / "hep2lib").rglob("*.py") if text_without_newline(path)}
    assert {path.name for path in found} == set(OF_THE_SYSTEM)


def test_text_is_read_and_written_in_a_stated_encoding():
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--preview",
        "--select",
        "PLW1514",
        "hep2lib",
        "book",
        "benchmarks",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout
    for path in sorted((ROOT / "hep2lib").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given = {part.arg for part in getattr(node, "keywords", ())}
            assert not given & {"text", "universal_newlines"} or "encoding" in given, f"{path}:{node.lineno}"


#: What is called only where ``hasattr`` finds it.
ASKED_FOR = {"pthread_sigmask", "SIG_BLOCK", "SIG_SETMASK", "sched_getaffinity"}


def test_nothing_is_called_that_windows_has_not():
    """mypy knows what the standard library has where; other packages are left aside, which takes seconds."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "hep2lib").rglob("*.py")}
    used = re.compile(r"\b(signal\.[A-Z]|signal\.p|os\.(kill|sched|fork|get|set|wait)|(time|signal)\.set)")
    files = [str(path) for path, text in texts.items() if used.search(text)]
    assert {Path(file).name for file in files} >= {"processes.py", "files.py", "cli.py"}
    command = [sys.executable, "-m", "mypy", "--platform", "win32", "--follow-imports", "skip", "--cache-dir"]
    done = subprocess.run(
        [*command, "/dev/null", *files], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.stderr == ""
    missing = set(re.findall(r'Module has no attribute "(\w+)"', done.stdout))
    assert missing <= ASKED_FOR
    assert "pthread_sigmask" in missing, "mypy did not look"


@pytest.mark.parametrize("command", [["data", "DATA"], ["nonsense"]])
def test_a_console_of_windows_shows_what_is_said(command, tmp_path):
    """Its cp1252 has no Greek letters, and Python writes texts in it that go through a pipe."""
    database = write_aida(tmp_path / "Größe ΩΣ", aida_rows(specimens=20))
    words = [str(database) if word == "DATA" else word for word in command]
    done = subprocess.run(
        [sys.executable, "-m", "hep2lib", *words],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    )
    said = (done.stdout + done.stderr).decode("utf-8")
    assert "Traceback" not in said
    assert "�" not in said
    assert said
    assert "DATA" not in command or done.returncode == 0
