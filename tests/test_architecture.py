"""The rules that the code keeps: style, types, and imports that point one way."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


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
