"""Trials that worker processes can import."""

import os
import pickle
from pathlib import Path


def square(name: str, number: int) -> dict[str, object]:
    return {"id": name, "square": number * number}


def noted(name: str, notes: str) -> dict[str, object]:
    """Leave a note that the trial was computed."""
    with Path(notes).open("a", encoding="utf-8") as stream:
        stream.write(f"{name}\n")
    return {"id": name}


def refuse(name: str) -> dict[str, object]:
    raise ValueError(f"{name} cannot be computed")


def die_once(name: str, marker: str) -> dict[str, object]:
    """End the worker, as if it had been killed, the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return {"id": name}


def study(file: str) -> None:
    """Run a study whose inputs, grids and folder were pickled: the main function of another process."""
    inputs, grids, folder = pickle.loads(Path(file).read_bytes())
    from hep2lib.studies.fine_tuning import fine_tuning_study
    from hep2lib.studies.trial import TrialStore

    fine_tuning_study(inputs, TrialStore(folder), grids)
