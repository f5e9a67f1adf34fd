"""Processes that end with the one that started them, how many to start, and torch on one thread."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS or Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def single_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block, so that a result does not depend on the machine."""
    import torch  # which takes seconds, and not everybody who starts processes needs it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Workers(ProcessPoolExecutor):
    """Processes that end with this one, however it ends, and leave Ctrl-C to it.

    They are started afresh, not forked (a fork of a process with threads, torch's, may hang), and call
    ``prepare`` first. Whoever leaves the ``with`` block by an exception, or calls ``shutdown(wait=False)``,
    ends them whatever they are at.
    """

    def __init__(self, count: int, prepare: Callable[[], object] = int):
        super().__init__(count, multiprocessing.get_context("spawn"), _begin, (prepare,))
        self._started: set[multiprocessing.process.BaseProcess] = set()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """Call ``function`` in a process; a new one is deaf to Ctrl-C from its first moment."""
        others, can_block = set(multiprocessing.active_children()), hasattr(signal, "pthread_sigmask")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if can_block else set()
        try:
            return super().submit(function, *arguments, **options)
        finally:
            self._started |= set(multiprocessing.active_children()) - others
            if can_block:  # not on Windows
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; without ``wait``, end the processes at once."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        for process in () if wait else self._started:
            process.kill()

    def __exit__(self, error: object, *more: object) -> None:
        self.shutdown(wait=error is None, cancel_futures=error is not None)


def end_with_parent(*_: object) -> None:
    """Let this process end when the one that started it does, however that one ends."""

    def watch() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(prepare: Callable[[], object]) -> None:
    """Begin a worker."""
    end_with_parent()
    prepare()
