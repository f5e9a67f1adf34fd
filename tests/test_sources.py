import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hep2lib.sources import code_digest, commit, reached

PACKAGE = Path(__file__).resolve().parents[1] / "hep2lib"

TRAINING = "from hep2lib.studies.fine_tuning import fine_tune"


@pytest.fixture
def package(tmp_path):
    """A package of this name, of a few lines."""
    files = {
        "__init__.py": "def __getattr__(name):\n    return import_module({'begin': 'hep2lib.first'}[name])\n",
        "first.py": (
            "import torch\nfrom hep2lib.second import Tool, helper\nfrom hep2lib import third as aside\n"
            "RATE = 0.5\nUNUSED = 1\nlog.level = 3\n"
            "def begin(tool: 'Tool'):\n    return helper(tool.use(RATE), getattr(tool, 'shape'))\n"
            "def look():\n    return aside.seen()\n"
        ),
        "second.py": (
            "from abc import ABC\nimport sklearn.svm\n"
            "class Base(ABC):\n    size = 1\n    def use(self, rate): return self.inner(rate)\n"
            "    def inner(self, rate): return rate\n    def never(self): return lost()\n"
            "class Tool(Base):\n    @property\n    def shape(self): return read(self, 'depth')\n"
            "    @property\n    def depth(self): return 1\n    def __len__(self): return LENGTH\n"
            "class Model(sklearn.svm.SVC):\n    def fit(self): return 1\n"
            "def helper(*x):\n    from hep2lib.third import late\n    return late(x)\n"
            "def read(what, name): return getattr(what, name)\n"
            "def lost(): return Model\nLENGTH = 2\n"
        ),
        "third.py": "def late(x): return x\ndef seen(): return 1\ndef unseen(): return 2\n",
    }
    folder = tmp_path / "hep2lib"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def names(code, package):
    return {name.removeprefix("hep2lib.") for name in reached(code, package)}


def test_a_name_leads_to_all_that_it_needs_and_to_nothing_else(package):
    assert names("from hep2lib.first import begin", package) == {
        *("first", "first.begin", "first.RATE", "second.helper", "third.late"),
        *("second.Base", "second.Base.use", "second.Base.inner"),
        *("second.Tool", "second.Tool.shape", "second.Tool.depth", "second.LENGTH", "second.read"),
    }


def test_a_module_that_is_imported_as_a_whole_gives_what_is_asked_of_it(package):
    assert names("from hep2lib import third", package) == set()
    assert names("from hep2lib import third as t\nt.seen()", package) == {"third.seen"}
    assert names("import hep2lib.third\nhep2lib.third.late(1)", package) == {"third.late"}
    assert "third.seen" in names("from hep2lib.first import look", package)


def test_what_the_package_imports_when_it_is_first_asked_for_is_reached(package):
    assert {"__getattr__", "first.begin", "third.late"} <= names(
        "from hep2lib import begin\nbegin()", package
    )


def test_methods_that_another_package_may_call_are_reached_and_its_version_counts(package):
    found = reached("from hep2lib.second import lost", package)
    assert set(found) == {"hep2lib.second.lost", "hep2lib.second.Model", "scikit-learn"}
    text = (package / "second.py").read_text(encoding="utf-8")
    (package / "second.py").write_text(text.replace("def fit(self): return 1", "def fit(self): return 2"))
    assert reached("from hep2lib.second import lost", package) != found


@pytest.fixture
def edited(tmp_path):
    """The whole package with a text replaced in one module; a function that gives the names that change."""
    before = {}

    def changed(module: str, old: str, new: str, code: str = TRAINING) -> set[str]:
        if code not in before:
            before[code] = reached(code)
        copied = tmp_path / "hep2lib"
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copied / module).read_text(encoding="utf-8")
        assert text.count(old) >= 1, f"{module} no longer holds {old!r}: adapt this test"
        (copied / module).write_text(text.replace(old, new), encoding="utf-8")
        after = reached(code, copied)
        return {name for name in before[code] | after if before[code].get(name) != after.get(name)}

    return changed


def test_a_change_of_the_training_is_seen_where_it_was_made(edited):
    assert edited("studies/training.py", "momentum=", "momentum=0.5 * ") == {"hep2lib.studies.training.sgdm"}
    assert edited("studies/trial.py", '"in the paper", 0.9)', '"in the paper", 0.8)') == {
        "hep2lib.studies.trial.TrainingOptions"
    }
    assert edited("cnn/googlenet.py", "ceil_mode=True", "ceil_mode=False") != set()
    assert edited("data/images.py", "round_().clamp_(0, 255)", "clamp_(0, 255)") == {
        "hep2lib.data.images.rotate"
    }


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("studies/training.py", "    Args:", "    Other words.\n\n    Args:"),
        ("studies/training.py", "  # ", "  # other words, "),
        ("studies/training.py", "\n\n\n", "\n\n\n\n"),
        ("figures/tuning.py", " = ", "=None or "),
        ("studies/outcomes.py", "max(", "min("),
        ("studies/svm.py", "abs(", "sum("),
        ("data/layouts.py", "sorted(", "list("),
    ],
)
def test_words_and_other_code_change_no_training(edited, module, old, new):
    assert edited(module, old, new) == set()


def test_a_digest_is_the_same_every_time_and_of_what_was_asked():
    first = "hep2lib.studies.fine_tuning.fine_tune"
    assert code_digest(first) == code_digest(first) != code_digest("hep2lib.studies.svm_study.fit_path")
    assert re.fullmatch(r"[0-9a-f]{8}", code_digest(first, "hep2lib.cnn.weights.load_weights"))


def test_attributes_are_asked_for_by_a_name_that_can_be_read_or_are_fields():
    """``reached`` sees no name that is put together while the program runs: look, then add to the list."""
    seen = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
                seen.add(ast.unparse(node)) if not isinstance(node.args[1], ast.Constant) else None
    assert seen <= {
        "getattr(confusion(y, score >= threshold, weight), rate)",  # keys of a dictionary, and arguments
        "getattr(fold, part)",  # fields, as are those below
        "getattr(outcome.folds[record['trial']['fold']], part)",
        "getattr(fold, name)",
        "getattr(choice, name)",
        "getattr(best, name)",
        "getattr(optics, name)",
        "getattr(camera, name)",
        "getattr(parameters, n)",
        "getattr(parameters, stage.name)",
        "getattr(group, item.name)",
        "getattr(self, name)",
        "getattr(options, name)",  # of the command line
        "getattr(run, name)",  # where a whole run is executed: all of it
        "getattr(import_module(f'hep2lib.runs.{homes[name]}'), name)",
        "getattr(error, n, None)",  # of a YAML error: its problem or context, and where that is
        "getattr(error, f'{n}_mark', None)",
    }


def test_the_commit_of_a_clone_is_known_with_what_changed_or_why_it_is_not(tmp_path, monkeypatch):
    def git(*words):
        author = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *author, *words], check=True, capture_output=True)

    (tmp_path / "book" / "run").mkdir(parents=True)
    for name in ("a.py", "b.py", "book/run/run.json"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    assert commit(tmp_path, "book/run") == "not known: no git repository"
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = commit(tmp_path, "book/run")
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "book" / "run" / "run.json").write_text("2", encoding="utf-8")
    (tmp_path / "new.py").write_text("1", encoding="utf-8")
    assert commit(tmp_path, "book/run") == clean
    (tmp_path / "a.py").write_text("2", encoding="utf-8")
    (tmp_path / "b.py").unlink()
    assert commit(tmp_path, "book/run") == f"{clean}, with changes of a.py, b.py"
    assert commit(tmp_path / "book", "run") == "not known: no git repository"  # one inside another's
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path, "book/run") == "not known: FileNotFoundError of git"
