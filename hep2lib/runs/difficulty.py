"""The simulator's stated difficulty, measured over several seeds (``book/simulator-difficulty.json``)."""

import json
from pathlib import Path

from hep2lib.data.simulator.simulation import VERSION
from hep2lib.errors import InputError
from hep2lib.evaluation.difficulty import FIGURES
from hep2lib.evaluation.spread import Spread, spread
from hep2lib.files import write_json
from hep2lib.runs.project import project_root

HOW_TO = "measure it with `python benchmarks/difficulty.py --write`"


def difficulty_file() -> Path:
    """The file that holds it."""
    return project_root() / "book" / "simulator-difficulty.json"


def write_difficulty(measured: list[dict[str, float]], specimens: int) -> None:
    """Keep what was measured.

    Args:
        measured: for each seed, from 0 on, what `hep2lib.evaluation.difficulty.measure_difficulty` returned.
        specimens: of each database.
    """
    content = {"simulator_version": VERSION, "specimens": specimens, "seeds": measured}
    write_json(difficulty_file(), content)


def stated_difficulty() -> dict[str, Spread]:
    """The figures of `hep2lib.evaluation.difficulty.FIGURES`, each over the seeds.

    Raises:
        InputError: they were not measured, or of another version of the simulator.
    """
    path = difficulty_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["simulator_version"] != VERSION:
            raise InputError(
                f"{path}: measured of version {content['simulator_version']} of the simulator, which is now "
                f"version {VERSION}; {HOW_TO}"
            )
        seeds = content["seeds"]
        return {name: spread([seed[name] for seed in seeds]) for name in FIGURES}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: no figures of the simulator's difficulty; {HOW_TO}") from error
