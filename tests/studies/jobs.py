"""Trials that worker processes can import."""

import os
import pickle
import sys
import time
from functools import partial
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


def lasting(name: str, seconds: float) -> dict[str, object]:
    time.sleep(seconds)
    return {"id": name}


def command(folder: str, *, keep: bool = False) -> None:
    """Stand for ``hep2`` with a study of one short and of long trials in two processes.

    With ``keep`` the processes are at work still when they are kept for another study.
    """
    from hep2lib import cli
    from hep2lib.runs import book
    from hep2lib.studies.execution import executor_for, run_trials
    from hep2lib.studies.trial import TrialStore

    def kept(run: Path) -> None:
        with executor_for(2) as pool:
            for _ in range(2):
                pool.submit(time.sleep, 300)
        cli.PATIENCE = 60
        store.write({"id": "n0"})
        time.sleep(300)

    jobs = {f"n{number}": (lasting, (f"n{number}", 300 if number else 0)) for number in range(6)}
    store, two = TrialStore(Path(folder)), partial(executor_for, 2)
    book.build_book = kept if keep else lambda run: run_trials(jobs, store, two, description="lasting")
    sys.argv = ["hep2", "book"]
    sys.exit(cli.main())
