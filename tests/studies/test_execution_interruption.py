"""Studies that are killed, that share a folder, that run out of room, or whose workers die."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from hep2lib.sources import code_digest
from hep2lib.studies import fine_tuning
from hep2lib.studies.execution import ClusterError, cluster_executor, run_trials, sees
from hep2lib.studies.fine_tuning import Grid, fine_tune, fine_tuning_study
from hep2lib.studies.trial import FineTuningTrial, StoreError, TrialStore, trial_id

from .jobs import die_once

GRID = Grid(freeze=(139,), batch_sizes=(2, 4), learning_rates=(0.01, 0.001, 0.0001), epochs=3)
REPOSITORY = Path(__file__).resolve().parents[2]


def results(records):
    """Everything that the records hold but the time."""
    return [(record["id"], record["epochs"], record["diverged"]) for record in records]


def started(inputs, folder: Path) -> subprocess.Popen:
    """A process that runs the study in a folder."""
    file = folder.with_suffix(".pickle")
    file.write_bytes(pickle.dumps((inputs, [GRID], folder)))
    code = f"from tests.studies.jobs import study; study({str(file)!r})"
    return subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)


def wait_for_records(folder: Path, count: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 120
    while len(list(folder.glob("*.json"))) < count:
        assert process.poll() is None, "the process ended before"
        assert time.monotonic() < until, "no record in two minutes"
        time.sleep(0.002)


def test_killed_at_any_moment_and_with_another_process_in_the_folder(shared_inputs, tmp_path, monkeypatch):
    whole = results(fine_tuning_study(shared_inputs, TrialStore(tmp_path / "whole"), [GRID]).records)
    killed, shared = tmp_path / "killed", tmp_path / "shared"
    first, second = started(shared_inputs, killed), started(shared_inputs, shared)
    try:
        wait_for_records(killed, 2, first)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        # Two processes in one folder: this one starts while the other is at work.
        wait_for_records(shared, 1, second)
        together = fine_tuning_study(shared_inputs, TrialStore(shared), [GRID])
        assert second.wait(120) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    assert results(together.records) == whole
    assert [file for file in shared.iterdir() if file.suffix != ".json"] == []

    kept = {file.stem for file in killed.glob("*.json")}
    assert 2 <= len(kept) < len(whole)
    computed = []

    def counted(inputs, trial, context, *more):
        computed.append(trial_id(trial, context))
        return fine_tune(inputs, trial, context, *more)

    monkeypatch.setattr(fine_tuning, "fine_tune", counted)
    resumed = fine_tuning_study(shared_inputs, TrialStore(killed), [GRID])
    assert results(resumed.records) == whole
    assert sorted([*kept, *computed]) == sorted(name for name, *_ in whole)  # none lost, none done twice


def test_a_disk_without_room_ends_the_study_and_damages_nothing(shared_inputs, tmp_path):
    store = TrialStore(tmp_path / "trials")
    grid = replace(GRID, batch_sizes=(4,), learning_rates=(0.01,), epochs=1)
    before = fine_tuning_study(shared_inputs, store, [grid])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # the kernel refuses what is longer
    try:
        with pytest.raises(StoreError, match=r"cannot keep a result there .*the trials already kept are not"):
            fine_tuning_study(shared_inputs, store, [replace(grid, learning_rates=(0.01, 0.001))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(file.stem for file in store.folder.iterdir()) == sorted(r["id"] for r in before.records)
    after = fine_tuning_study(shared_inputs, store, [replace(grid, learning_rates=(0.01, 0.001))])
    assert results(after.records)[:2] == results(before.records)


@pytest.mark.parametrize("where", [{"workers": 2}, {"local_cluster": 2}], ids=["processes", "cluster"])
def test_workers_give_the_same_records_and_the_loss_of_one_costs_a_retry(shared_inputs, tmp_path, where):
    trials = [
        FineTuningTrial(freeze=110, batch_size=4, learning_rate=0.01, epochs=1, fold=fold, seed=seed)
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    inputs = replace(shared_inputs, **where)
    context = inputs.context | {"code": "0123abcd"}
    jobs = {trial_id(t, context): (fine_tune, (inputs.for_workers(), t, context)) for t in trials}
    here = run_trials(jobs, TrialStore(tmp_path / "here"), shared_inputs.executor, description="here")
    loss = {"loss": (die_once, ("loss", str(tmp_path / "a worker died here")))}
    there = run_trials(loss | jobs, TrialStore(tmp_path / "there"), inputs.executor, description="workers")
    assert (tmp_path / "a worker died here").exists()
    assert there[0] == {"id": "loss"}
    assert results(there[1:]) == results(here)


def test_a_cluster_that_cannot_be_used_is_said(tmp_path, monkeypatch):
    with (
        pytest.raises(ClusterError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"),
        cluster_executor("tcp://127.0.0.1:9", 0, tmp_path, timeout=0.5),
    ):
        pass
    with (
        pytest.raises(ClusterError, match="choose one of them"),
        cluster_executor("tcp://127.0.0.1:9", 2, tmp_path),
    ):
        pass
    monkeypatch.setattr("hep2lib.studies.execution.find_spec", lambda name: None)
    with pytest.raises(ClusterError, match="Dask is not installed here"), cluster_executor("", 2, tmp_path):
        pass


def test_a_worker_that_does_not_see_the_folder_is_named(tmp_path):
    from hep2lib.studies.execution import check_workers

    class Client:
        def wait_for_workers(self, count, timeout):
            pass

        def run(self, function, folder):
            return {"tcp://near": function(folder), "tcp://far": function(folder + " elsewhere")}

    with pytest.raises(ClusterError, match=r"run: not seen by the worker at tcp://far; choose a run folder"):
        check_workers(Client(), tmp_path / "run")
    assert sees(str(tmp_path / "run"))


def test_a_worker_with_other_code_is_refused(tmp_path, monkeypatch):
    from hep2lib.studies.execution import check_workers

    class Client:
        def wait_for_workers(self, count, timeout):
            pass

        def run(self, function, asked):
            return {"tcp://same": function(asked), "tcp://other": function(asked) and self.other}

    client = Client()
    client.other = "0123abcd"
    with pytest.raises(ClusterError, match=r"the worker at tcp://other has other code .* install the same"):
        check_workers(client, tmp_path)
    client.other = code_digest("hep2lib.studies.fine_tuning.fine_tune")
    check_workers(client, tmp_path)


@pytest.mark.parametrize(
    ("number", "everybody", "at_work"),
    [
        (signal.SIGINT, True, True),  # Ctrl-C in a terminal reaches the workers too
        (signal.SIGINT, True, "kept"),
        (signal.SIGINT, True, False),
        (signal.SIGHUP, True, True),  # a terminal that is closed
        (signal.SIGKILL, False, True),
    ],
)
def test_whatever_ends_the_program_ends_its_workers_and_keeps_what_was_finished(
    tmp_path, number, everybody, at_work
):
    folder, said = tmp_path / "trials", tmp_path / "said"
    code = f"from tests.studies.jobs import command; command({str(folder)!r}, keep={at_work == 'kept'})"
    with said.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=REPOSITORY, stderr=stream, start_new_session=True
        )
    children = []
    try:
        if at_work:
            wait_for_records(folder, 1, process)
        while len(children) < 3:  # two workers, and what tidies up after them
            assert process.poll() is None
            children = psutil.Process(process.pid).children(recursive=True)
        start = time.monotonic()
        (os.killpg if everybody else os.kill)(process.pid, number)
        assert process.wait(60) == (-9 if number == signal.SIGKILL else 130)
        assert time.monotonic() - start < 12  # under 3 seconds where nothing else runs
        assert psutil.wait_procs(children, timeout=12)[1] == []
    finally:
        for each in psutil.wait_procs(children, timeout=0)[1]:
            each.kill()
        process.kill()
    assert [file.name for file in folder.glob("*")] == ["n0.json"] * bool(at_work)
    text = said.read_text(encoding="utf-8")
    if number == signal.SIGINT:  # nobody reads what a closed terminal shows
        assert text.startswith("hep2: stopping ...\n")  # the second line takes a machine that is not too busy
        assert "Traceback" not in text
