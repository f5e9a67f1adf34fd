"""Running trials: on any ``concurrent.futures`` executor, keeping each result as soon as it is there."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from typing import Any

import torch
from tqdm import tqdm

from hep2lib.files import cores
from hep2lib.progress import progress_bar
from hep2lib.studies.store import Record, TrialStore

#: Processes without work, by their number.
_POOLS: dict[int, ProcessPoolExecutor] = {}


class InProcessExecutor(Executor):
    """Runs each call at once, in this process: easy to debug, and what a GPU wants."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """Call ``function`` now; the future that is returned is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        return future


@contextmanager
def executor_for(workers: int = 0) -> Iterator[Executor]:
    """An executor with one trial a core, each trial on one thread.

    Processes take seconds to start, so they stay for the next call until ``close_pools``. One thread a trial
    is faster than several threads on one trial (measured: 1.14 to 1.29 times on two cores), and makes a
    trial's result independent of the number of cores.

    Args:
        workers: number of processes; 1 runs in this process, 0 takes one a core.
    """
    workers = workers or cores()
    if workers == 1:
        with single_thread():
            yield InProcessExecutor()
        return
    context = multiprocessing.get_context("spawn")
    pool = _POOLS.pop(workers, None) or ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker
    )
    try:
        yield pool
    except BaseException:  # whatever it was, nobody knows what the workers are still at
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    if _POOLS.setdefault(workers, pool) is not pool:  # two were in use at once
        pool.shutdown(wait=False)


def close_pools() -> None:
    """End the processes that were kept for another study."""
    while _POOLS:
        _POOLS.popitem()[1].shutdown()


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block, so that a result does not depend on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_worker() -> None:
    torch.set_num_threads(1)


def run_trials(
    jobs: dict[str, tuple[Callable[..., Record], tuple[Any, ...]]],
    store: TrialStore,
    executor: Callable[[], Any],
    *,
    description: str,
    summary: Callable[[Record], str] = lambda record: "",
) -> list[Record]:
    """Run the jobs whose records are not in the store yet, and return the records of all of them.

    Args:
        jobs: for each trial's name, a function that a worker can import and its arguments.
        store: where records are kept, each as soon as it arrives.
        executor: makes the executor as a context manager; called only if something is missing, and a second
            time if its workers die.
        description: shown before the progress bar.
        summary: a few words about a finished trial, shown after the progress bar.

    Returns:
        The records in the order of ``jobs``.
    """
    missing, replaced = store.missing(jobs), False
    if missing:
        with progress_bar(
            total=len(jobs), initial=len(jobs) - len(missing), description=description, unit="trial"
        ) as bar:
            while missing:
                try:
                    _run(missing, jobs, store, executor, bar, summary)
                except BrokenExecutor:
                    if replaced:
                        raise
                    replaced = True
                missing = store.missing(missing)
    return [store.read(name) for name in jobs]


def _run(
    names: Sequence[str],
    jobs: dict[str, tuple[Callable[..., Record], tuple[Any, ...]]],
    store: TrialStore,
    executor: Callable[[], Any],
    bar: "tqdm[Any]",
    summary: Callable[[Record], str],
) -> None:
    submitted: list[Future[Record]] = []
    with executor() as pool:
        try:
            if isinstance(pool, InProcessExecutor):
                # One at a time, so that each result is kept before the next trial starts.
                futures: Iterator[Future[Record]] = (pool.submit(jobs[n][0], *jobs[n][1]) for n in names)
            else:
                submitted = [pool.submit(jobs[n][0], *jobs[n][1]) for n in names]
                futures = as_completed(submitted)
            for future in futures:
                record = future.result()
                store.write(record)
                # What took a second is worth a line of its own in a log file, where no bar moves.
                bar.set_postfix_str(summary(record), refresh=record.get("seconds", 0) >= 1)
                bar.update()
        except BaseException:
            for future in submitted:
                future.cancel()
            pool.shutdown(wait=False)
            raise
