import os
import signal
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial

import pytest
import torch

from hep2lib.studies.execution import InProcessExecutor, close_pools, executor_for, run_trials
from hep2lib.studies.trial import TrialStore

from .jobs import noted, refuse, square

HERE = partial(executor_for, 1)


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path / "trials")


def squares(count):
    return {f"n{number}": (square, (f"n{number}", number)) for number in range(count)}


def test_the_records_come_in_the_order_of_the_jobs(store):
    records = run_trials(squares(4), store, HERE, description="squares")
    assert [record["square"] for record in records] == [0, 1, 4, 9]


def test_only_missing_trials_run(store, tmp_path):
    notes = tmp_path / "notes"
    jobs = {name: (noted, (name, str(notes))) for name in ("a", "b", "c")}
    store.write({"id": "b"})
    run_trials(jobs, store, HERE, description="notes")
    run_trials(jobs, store, HERE, description="notes")
    assert notes.read_text(encoding="utf-8").split() == ["a", "c"]


def test_without_missing_trials_no_executor_is_made(store):
    store.write({"id": "n0", "square": 0})

    def none():
        raise AssertionError("an executor was asked for")

    assert run_trials(squares(1), store, none, description="squares") == [{"id": "n0", "square": 0}]


def test_an_error_keeps_what_was_finished(store):
    jobs = {"a": (square, ("a", 1)), "b": (refuse, ("b",)), "c": (square, ("c", 3))}
    with pytest.raises(ValueError, match="b cannot be computed"):
        run_trials(jobs, store, HERE, description="squares")
    assert store.missing(jobs) == ["b", "c"]


def test_a_summary_is_asked_for_each_finished_trial(store):
    seen = []

    def summary(record):
        seen.append(record["id"])
        return record["id"]

    run_trials(squares(3), store, HERE, description="squares", summary=summary)
    assert seen == ["n0", "n1", "n2"]


class Dying(Executor):
    """Stands for workers that die whatever they are given."""

    def submit(self, function, /, *arguments, **options):
        raise BrokenProcessPool("a worker died")


def test_workers_that_keep_dying_end_the_study(store):
    made = []

    @contextmanager
    def dying():
        made.append(1)
        yield Dying()

    with pytest.raises(BrokenProcessPool):
        run_trials(squares(1), store, dying, description="squares")
    assert len(made) == 2


def test_in_process_an_interrupt_is_not_swallowed():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InProcessExecutor().submit(interrupted)


def test_one_thread_inside_and_as_many_as_before_outside():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with executor_for(1) as executor:
            assert executor.submit(torch.get_num_threads).result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_processes_are_kept_for_the_next_study_unless_something_went_wrong():
    close_pools()
    with executor_for(3) as first:
        pass
    with executor_for(3) as second, executor_for(3) as another:
        assert second is first
        assert another is not first
    with pytest.raises(RuntimeError, match="whatever"), executor_for(3) as failed:
        raise RuntimeError("whatever")
    with executor_for(3) as fresh:
        assert fresh is not failed
    close_pools()
    with executor_for(3) as later:
        assert later is not fresh
    close_pools()


def test_an_interruption_of_a_kernel_is_not_a_workers():
    with executor_for(2) as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert worker in [pool.submit(os.getpid).result() for _ in range(9)]
    close_pools()
