"""Where trials run and how a device takes their steps; each result is kept as soon as it is there.

A GPU takes one trial at a time. Several at once, each in a thread with a stream of its own, were tried and
given up: torch hands out 32 streams in turn, so after some trials one writes into what another records.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    as_completed,
)
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from hep2lib.errors import InputError
from hep2lib.processes import Workers, cores, single_thread
from hep2lib.progress import progress_bar
from hep2lib.sources import code_digest
from hep2lib.studies.trial import Record, TrialStore

Result = TypeVar("Result")

#: Processes without work, by their number.
_POOLS: dict[int, Workers] = {}

SHARE = 0.6  # of the GPU's free memory that activations may take; the rest is for the trials
WARM_UP = 3  # calls before a step is recorded
RETRIES = 2  # of a trial that failed on a cluster

_TRIAL = "hep2lib.studies.fine_tuning.fine_tune"


def run_trials(
    jobs: dict[str, tuple[Callable[..., Record], tuple[Any, ...]]],
    store: TrialStore,
    executor: Callable[[], Any],
    *,
    description: str,
    summary: Callable[[Record], str] = lambda record: "",
) -> list[Record]:
    """Run the jobs whose records are not in the store yet, and return the records of all, in their order.

    Args:
        jobs: for each trial's name, a function that a worker can import and its arguments.
        store: where records are kept, each as soon as it arrives.
        executor: makes the executor as a context manager; called only if something is missing, and a second
            time if its workers die.
        description: shown before the progress bar.
        summary: a few words about a finished trial, shown after the progress bar.

    Raises:
        BrokenExecutor: if workers die again after they were replaced.
        StoreError: if a record cannot be read or written.
    """
    missing, replaced = store.missing(jobs), False
    if not missing:
        return [store.read(name) for name in jobs]
    done = len(jobs) - len(missing)
    with progress_bar(total=len(jobs), initial=done, description=description, unit="trial") as bar:
        while missing:
            try:
                with executor() as pool:
                    submitted = (pool.submit(jobs[name][0], *jobs[name][1]) for name in missing)
                    # In this process one at a time, so that each result is kept before the next trial starts.
                    here = isinstance(pool, InProcessExecutor)
                    finished: Iterable[Future[Record]] = submitted if here else as_completed(submitted)
                    for future in finished:
                        record = future.result()
                        store.write(record)
                        # What took a second is worth a line of its own in a log file, where no bar moves.
                        bar.set_postfix_str(summary(record), refresh=record.get("seconds", 0) >= 1)
                        bar.update()
            except BrokenExecutor:
                if replaced:
                    raise
                replaced = True
            missing = store.missing(missing)
    return [store.read(name) for name in jobs]


class InProcessExecutor(Executor):
    """Runs each call at once, in this process: easy to debug, and what a GPU wants."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """Call ``function`` now; the future that is returned is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **options))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor_for(workers: int = 0) -> Iterator[Executor]:
    """An executor with one trial a core, each trial on one thread; 1 worker runs here, 0 takes one a core.

    Processes take seconds to start, so they stay for the next call until ``close_pools``. One thread a trial
    is faster than several threads on one trial (measured: 1.14 to 1.29 times on two cores), and makes a
    trial's result independent of the number of cores.
    """
    workers = workers or cores()
    if workers == 1:
        with single_thread():
            yield InProcessExecutor()
        return
    pool = _POOLS.pop(workers, None) or Workers(workers, partial(torch.set_num_threads, 1))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    if _POOLS.setdefault(workers, pool) is not pool:  # two were in use at once
        pool.shutdown(wait=False)


def close_pools() -> None:
    """End the processes that were kept for another study."""
    while _POOLS:
        _POOLS.popitem()[1].shutdown()


class ClusterError(InputError):
    """A cluster that cannot be used."""


@contextmanager
def cluster_executor(scheduler: str, local: int, shared: Path, *, timeout: float = 10) -> Iterator[Executor]:
    """An executor on a Dask scheduler's workers, or on some that are started here.

    Dask gives the trial of a worker that died to another one, so a death costs a trial's time. The workers
    read images, weights and activations from the run's folder, and send back scores alone: the folder must be
    on a file system that all of them see under the same path. Each worker should have one thread (``dask
    worker --nthreads 1``): a trial takes one core.

    Args:
        scheduler: its address, for example ``tcp://10.0.0.5:8786``; "" starts a cluster on this machine.
        local: number of workers to start, where there is no scheduler; 0 otherwise.
        shared: a folder that every worker must see; made if it is not there.
        timeout: seconds after which a silent scheduler counts as none.

    Raises:
        ClusterError: if Dask is missing, both a scheduler and a local cluster are asked for, no scheduler
            answers or it is gone later, there are no workers or they die trial after trial, or one of them
            does not see the folder or cannot import this package.
    """
    if find_spec("distributed") is None:
        raise ClusterError(
            "Dask is not installed here; install it with `pip install -e '.[cluster]'` in the clone"
        )
    from distributed import Client, KilledWorker, LocalCluster

    if scheduler and local:
        raise ClusterError("a scheduler's address and a local cluster were given; choose one of them")
    with ExitStack() as opened:
        where: Any = scheduler
        if not scheduler:
            silent = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
            where = opened.enter_context(LocalCluster(n_workers=local, threads_per_worker=1, **silent))
        try:
            client = opened.enter_context(Client(where, timeout=timeout))
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {scheduler!r} ({error}); start one with `dask scheduler`"
            ) from None
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
            executor.shutdown(wait=False)  # which cancels what was not started


def check_workers(client: Any, shared: Path) -> None:
    """Refuse a cluster without workers, or with one that does not see the folder."""
    shared.mkdir(parents=True, exist_ok=True)
    try:
        client.wait_for_workers(1, timeout=30)
    except TimeoutError:
        raise ClusterError(
            f"the scheduler at {client.scheduler.address} has no workers; start some with "
            f"`dask worker --nthreads 1 {client.scheduler.address}`"
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
    own = code_digest(_TRIAL)
    other = [address for address, digest in client.run(code_digest, _TRIAL).items() if digest != own]
    if other:
        raise ClusterError(
            f"the worker at {other[0]} has other code of this package, or another torch, than this machine: "
            "its results would belong to neither; install the same on both, and start the worker again"
        )


def sees(folder: str) -> bool:
    """Whether a folder is there, as seen from where this runs."""
    return Path(folder).is_dir()


def device_name(device: str) -> str:
    """What a device is called: "cpu", or a GPU's name."""
    return device if device == "cpu" else torch.cuda.get_device_name(device)


def resident(values: Tensor, device: str) -> Tensor:
    """Values on the device if they take at most ``SHARE`` of its free memory, else where they are."""
    if device == "cpu":
        return values
    free, _ = torch.cuda.mem_get_info(device)
    if values.nbytes > SHARE * free:
        return values
    return values.to(device)


class GPUMemoryError(InputError):
    """A GPU whose memory does not suffice for a single image."""


class Chunks:
    """How many images are computed at a time (``size``); halved whenever the GPU runs out of memory.

    ``what`` is computed, for messages ("mini-batches"); ``notes`` is a list of what was said so far.
    """

    def __init__(self, size: int, what: str, notes: list[str] | None = None):
        self.size, self.what, self.notes = size, what, [] if notes is None else notes

    def run(self, work: Callable[[int], Result]) -> Result:
        """Return ``work(size)``, called again with half the size as long as memory runs out.

        Args:
            work: must leave nothing behind when it fails, so that it can be called again.

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


class Steps:
    """Takes a training's steps as the device wants them: in chunks where memory runs out, recorded on a GPU.

    A recorded step is launched as one piece, because a small mini-batch takes a GPU less time than its
    launches. Only full mini-batches whose input is on the device are recorded; if recording fails, the
    training goes on with plain steps.

    Args:
        step: the plain step, called with rows, views (int64, B) and images at a time; it changes the
            optimiser's parameters, draws from ``generator`` alone and returns the loss, a scalar.
        size: images in a full mini-batch; others take the plain step.
        optimiser: of the trained parameters; what warming up did to them and to their momentum is undone.
        generator: of dropout, on the device.
        activations: what the step is fed with.
        notes: a list for what has to be said.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor, int], Tensor],
        size: int,
        optimiser: torch.optim.SGD,
        generator: torch.Generator,
        activations: Any,
        notes: list[str],
    ):
        self.step, self.size, self.optimiser, self.generator = step, size, optimiser, generator
        self.notes, self.chunks = notes, Chunks(size, "mini-batches", notes)
        self.record = recorder(activations)
        self.loss: Tensor | None = None

    def __call__(self, rows: Tensor, views: Tensor) -> Tensor:
        """Take the step and return the mini-batch's mean loss, a scalar on the device."""
        if self.record and self.loss is None and len(rows) == self.size:
            self._record(rows, views)
        if self.loss is not None and len(rows) == self.size:
            self.rows.copy_(rows)
            self.views.copy_(views)
            self.replay()
            return self.loss.clone()
        drawn = self.generator.get_state()

        def attempt(size: int) -> Tensor:
            self.generator.set_state(drawn)
            return self.step(rows, views, size)

        return self.chunks.run(attempt)

    def _record(self, rows: Tensor, views: Tensor) -> None:
        """Record the step; what warming up did to parameters, momentum and dropout is undone."""
        assert self.record is not None
        self.rows, self.views = rows.clone(), views.clone()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        before, drawn = [p.detach().clone() for p in parameters], self.generator.get_state()
        try:
            self.loss, self.replay = self.record(
                lambda: self.step(self.rows, self.views, self.size), self.generator
            )
        except RuntimeError as error:  # memory that ran out is one of them: plain steps take smaller chunks
            self.record = None
            self.notes.append(f"steps are not recorded ({str(error).splitlines()[0]})")
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)
                    momentum = self.optimiser.state[parameter].get("momentum_buffer")
                    if momentum is not None:
                        momentum.zero_()
            self.generator.set_state(drawn)


def recorder(activations: Any) -> Callable[..., tuple[Tensor, Callable[[], Any]]] | None:
    """What records a step that is fed with these activations; None where plain steps are to be taken."""
    values = getattr(activations, "tensor", None)
    return record_cuda_graph if values is not None and values.is_cuda else None


def record_cuda_graph(
    work: Callable[[], Tensor], generator: torch.Generator
) -> tuple[Tensor, Callable[[], Any]]:
    """Record ``work`` as a CUDA graph on the current device.

    It reads and writes the same memory at each call, never waits for the GPU, and draws from ``generator``
    alone. With its result, a tensor that each replay overwrites, comes what replays it.
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
    with torch.cuda.graph(graph):
        result = work()
    return result, graph.replay
