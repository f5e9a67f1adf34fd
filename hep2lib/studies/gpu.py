"""What a GPU wants: data that stay on it, steps recorded once and replayed, several trials at the same time.

No figure of this project was measured on a GPU yet. What can be tested without one is: the bookkeeping around
a recorded step, the way back to plain steps, and trials in several threads.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

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
