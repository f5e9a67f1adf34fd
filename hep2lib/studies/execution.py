"""Running trials: on any ``concurrent.futures`` executor, keeping each result as soon as it is there.

No figure of this project was measured on a GPU yet. What can be tested without one is: the bookkeeping around
a recorded step, the way back to plain steps, and trials in several threads.
"""

import logging
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from hep2lib.errors import InputError
from hep2lib.files import cores
from hep2lib.progress import progress_bar
from hep2lib.studies.trial import Record, TrialStore

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


RETRIES = 2  # of a trial that failed


class ClusterError(InputError):
    """A cluster that cannot be used."""


@contextmanager
def cluster_executor(scheduler: str, local: int, shared: Path, *, timeout: float = 10) -> Iterator[Executor]:
    """An executor on a Dask scheduler's workers, or on some that are started here.

    Dask gives the trial of a worker that died to another one, so a death costs a trial's time. The workers
    read images, weights and activations from the run's folder, and send back scores alone: the folder must
    be on a file system that all of them see under the same path. Each worker should have one thread
    (``dask worker --nthreads 1``): a trial takes one core.

    Args:
        scheduler: its address, for example ``tcp://10.0.0.5:8786``; "" starts a cluster on this machine.
        local: number of workers to start, where there is no scheduler.
        shared: a folder that every worker must see.
        timeout: seconds after which a silent scheduler counts as none.

    Raises:
        ClusterError: if Dask is missing, no scheduler answers, there are no workers, or one of them does not
            see the folder or cannot import this package.
    """
    if find_spec("distributed") is None:
        raise ClusterError("Dask is not installed here; install it with: pip install 'hep2lib[cluster]'")
    from distributed import Client, KilledWorker, LocalCluster

    if scheduler and local:
        raise ClusterError("a scheduler's address and a local cluster were given; choose one of them")
    with _client(Client, LocalCluster, scheduler, local, timeout) as client:
        check_workers(client, shared)
        executor = client.get_executor(pure=False, retries=RETRIES)
        try:
            yield executor
        except KilledWorker as error:
            raise ClusterError(
                f"trial after trial, workers died ({error}); look into their logs: too little memory is the "
                "usual reason. What was computed is kept"
            ) from None
        except CancelledError:
            raise ClusterError(
                f"the scheduler at {client.scheduler.address} is gone; start it again, then the study: what "
                "was computed is kept"
            ) from None
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _client(client: Any, local_cluster: Any, scheduler: str, local: int, timeout: float) -> Iterator[Any]:
    if scheduler:
        try:
            opened = client(scheduler, timeout=timeout)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {scheduler!r} ({error}); start one with `dask scheduler`"
            ) from None
        with opened:
            yield opened
        return
    with (
        local_cluster(
            n_workers=local, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        client(cluster) as opened,
    ):
        yield opened


def check_workers(client: Any, shared: Path) -> None:
    """Refuse a cluster without workers, or with one that does not see the folder."""
    shared.mkdir(parents=True, exist_ok=True)
    try:
        client.wait_for_workers(1, timeout=30)
    except TimeoutError:
        raise ClusterError(
            f"the scheduler at {client.scheduler.address} has no workers; start some with `dask worker`"
        ) from None
    try:
        seen = client.run(sees, str(shared))
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker lacks a package ({error}); install hep2lib where it runs") from None
    blind = [address for address, answer in seen.items() if not answer]
    if blind:
        raise ClusterError(
            f"{shared}: not seen by the worker at {blind[0]}; choose a run folder on a file system that all "
            "workers share under the same path"
        )


def sees(folder: str) -> bool:
    """Whether a folder is there, as seen from where this runs."""
    return Path(folder).is_dir()


Result = TypeVar("Result")


class GPUMemoryError(InputError):
    """A GPU whose memory does not suffice for a single image."""


class Chunks:
    """How many images are computed at a time; halved whenever the GPU runs out of memory.

    Attributes:
        size: images at a time now.
        what: what is computed, for messages ("mini-batches").
        notes: what was said so far.
    """

    def __init__(self, size: int, what: str, notes: list[str] | None = None):
        self.size = size
        self.what = what
        self.notes = [] if notes is None else notes

    def run(self, work: Callable[[int], Result]) -> Result:
        """Call ``work`` with the chunk size, again with half of it as long as memory runs out.

        Args:
            work: must leave nothing behind when it fails, so that it can be called again.

        Returns:
            What ``work`` returned.

        Raises:
            GPUMemoryError: if a chunk of one image does not fit.
        """
        while True:
            try:
                return work(self.size)
            except torch.OutOfMemoryError:
                if self.size == 1:
                    raise GPUMemoryError(
                        f"the GPU's memory does not suffice for {self.what} of one image; close other "
                        "programs that use it, or choose device cpu"
                    ) from None
            # Outside the except block, whose traceback holds on to tensors.
            self.size //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            note = f"out of GPU memory: {self.what} in chunks of {self.size} from here on"
            self.notes.append(note)
            tqdm.write(note)


#: Trials at once on one GPU, where nothing else is asked for: small batches leave most of it idle.
STREAMS = 4


#: Share of the GPU's free memory that activations may take; the rest is for the trials.
SHARE = 0.6


#: Calls before a step is recorded.
WARM_UP = 3


_RECORDING = threading.Lock()


class TrainingStep(Protocol):
    """What :class:`hep2lib.studies.training.Step` offers to be recorded."""

    suffix: Any
    optimiser: torch.optim.SGD
    activations: Any

    def __call__(self, rows: Tensor, views: Tensor) -> Tensor:
        """Take a step and return the loss."""

    def compute(self, rows: Tensor, views: Tensor, chunk: int) -> Tensor:
        """Take a step without a second attempt."""


def resident(values: Tensor, device: str) -> Tensor:
    """Values on the device if they take no more than a share of its free memory, else where they are."""
    if device == "cpu":
        return values
    free, _ = torch.cuda.mem_get_info(device)
    if values.nbytes > SHARE * free:
        return values
    moved = values.to(device)
    torch.cuda.synchronize(device)  # the trials' streams may use it from here on
    return moved


@contextmanager
def stream_executor(device: str, workers: int = 0) -> Iterator[Executor]:
    """An executor whose threads each compute on a stream of their own on one GPU.

    Args:
        device: the GPU.
        workers: number of threads; 0 takes ``STREAMS``.
    """
    with ThreadPoolExecutor(workers or STREAMS) as pool:
        yield _StreamExecutor(pool, device)


class _StreamExecutor(Executor):
    def __init__(self, pool: ThreadPoolExecutor, device: str):
        self.pool = pool
        self.device = device

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        return self.pool.submit(self._on_a_stream, function, arguments, options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)

    def _on_a_stream(self, function: Callable[..., Any], arguments: tuple, options: dict) -> Any:
        if self.device == "cpu":
            return function(*arguments, **options)
        with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.Stream(self.device)):
            return function(*arguments, **options)


def recorded(step: TrainingStep, size: int, notes: list[str]) -> Callable[[Tensor, Tensor], Tensor]:
    """The step as a CUDA graph where its input is on the device; else, or if recording fails, as it is.

    Args:
        step: the plain step.
        size: images in a mini-batch; others take the plain step.
        notes: a list for what has to be said.
    """
    values = getattr(step.activations, "tensor", None)
    if values is None or not values.is_cuda:
        return step
    return RecordedStep(step, size, notes, record_cuda_graph)


class RecordedStep:
    """A step that is launched as one piece: a small mini-batch takes a GPU less time than its launches.

    The first step is preceded by the recording: a few steps for warming up, whose effect on parameters,
    momentum and dropout is undone.

    Args:
        step: the plain step.
        size: images in a mini-batch.
        notes: a list for what has to be said.
        record: takes a function without arguments and dropout's generator; returns the function's result,
            a tensor that each replay overwrites, and what replays it.
    """

    def __init__(
        self,
        step: TrainingStep,
        size: int,
        notes: list[str],
        record: Callable[[Callable[[], Tensor], torch.Generator], tuple[Tensor, Callable[[], Any]]],
    ):
        self.step = step
        self.size = size
        self.notes = notes
        self.record = record
        self.loss: Tensor | None = None
        self.failed = False

    def __call__(self, rows: Tensor, views: Tensor) -> Tensor:
        """Take the step and return the mini-batch's mean loss."""
        if self.loss is None and not self.failed and len(rows) == self.size:
            self._record(rows, views)
        if self.loss is None or len(rows) != self.size:
            return self.step(rows, views)
        self.rows.copy_(rows)
        self.views.copy_(views)
        self.replay()
        return self.loss.clone()

    def _record(self, rows: Tensor, views: Tensor) -> None:
        self.rows, self.views = rows.clone(), views.clone()
        generator = self.step.suffix.generator
        parameters = [p for group in self.step.optimiser.param_groups for p in group["params"]]
        before = [parameter.detach().clone() for parameter in parameters]
        drawn = generator.get_state()
        try:
            with _RECORDING:
                self.loss, self.replay = self.record(
                    lambda: self.step.compute(self.rows, self.views, self.size), generator
                )
        except RuntimeError as error:  # memory that ran out is one of them: plain steps take smaller chunks
            self.failed = True
            self.notes.append(f"steps are not recorded ({str(error).splitlines()[0]})")
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)
                    momentum = self.step.optimiser.state[parameter].get("momentum_buffer")
                    if momentum is not None:
                        momentum.zero_()
            generator.set_state(drawn)


def record_cuda_graph(
    work: Callable[[], Tensor], generator: torch.Generator
) -> tuple[Tensor, Callable[[], Any]]:
    """Record ``work`` as a CUDA graph on the current device.

    Args:
        work: reads and writes the same memory at each call, and never waits for the GPU.
        generator: of everything that ``work`` draws.
    """
    stream = torch.cuda.current_stream()
    aside = torch.cuda.Stream()
    aside.wait_stream(stream)
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            work()
    stream.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()
    return result, graph.replay
