"""GoogLeNet's speed beside torchvision's own module, taking turns.

    python benchmarks/googlenet.py [--threads 2] [--batch 16] [--repeats 5] [--precision fp32|bf16]

"theirs" is ``torchvision.models.googlenet`` in its default form: NCHW, live batch normalisation, float32,
no auxiliary heads (as ImageNet weights leave it); it runs in a process of its own, as in a script that does
not know this package. "ours" is ``hep2lib.cnn.googlenet.GoogLeNet``: normalisation folded, channels last;
with ``--precision bf16`` under autocast. Both compute the same function: their logits are compared first. One
turn is two calls of each, of which the second counts: a busy machine slows both, and neither finds the
processor as the other left it. The ratio is the median over turns. The floor is what the network's
multiplications would take at the rate of the best of three convolutions that suit the machine, in our
precision.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from multiprocessing.connection import Connection

import torch
import torchvision
from torch import Tensor, nn

from hep2lib.cnn.googlenet import GoogLeNet, architecture
from hep2lib.cnn.layers import layer_table
from hep2lib.cnn.weight_files import fill, from_state_dict
from hep2lib.studies.floor import best_rate


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    theirs, ours = networks()
    images = torch.randn(options.batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(options.batch) % 2
    precision: Callable[[], AbstractContextManager[object]] = nullcontext
    if options.precision == "bf16":

        def precision() -> AbstractContextManager[object]:
            return torch.autocast("cpu", torch.bfloat16)

    ours_images = images.contiguous(memory_format=torch.channels_last)
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {options.threads} threads of "
        f"{os.cpu_count()} cores, batch {options.batch}, ours in {options.precision}, {options.repeats} turns"
    )
    with torch.no_grad(), precision():
        difference = (theirs.eval()(images) - ours.eval()(ours_images)).abs().max().item()
    print(f"largest difference of logits: {difference:.1e}")
    floor = (
        2
        * layer_table(architecture("torchvision"))["multiply_adds"].sum()
        / best_rate(precision=options.precision, batch=options.batch)
    )
    with their_process(options.threads, images, labels) as call:
        forward = (lambda: call("forward"), lambda: predict(ours, ours_images, precision))
        report("forward", turns(*forward, options.repeats), options.batch, floor)
        training = (lambda: call("training"), step(ours, ours_images, labels, precision))
        report("training step", turns(*training, options.repeats), options.batch, 3 * floor)


@contextmanager
def their_process(threads: int, images: Tensor, labels: Tensor) -> Iterator[Callable[[str], None]]:
    """Start torchvision's module in a process of its own; yields what makes it do a pass or a step."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(theirs, threads, images, labels), daemon=True)
    process.start()

    def call(what: str) -> None:
        ours.send(what)
        ours.recv()

    try:
        yield call
    finally:
        process.kill()
        process.join()


def serve(connection: Connection, threads: int, images: Tensor, labels: Tensor) -> None:
    """Do what is asked for, until killed."""
    torch.set_num_threads(threads)
    network = their_network()
    calls = {"forward": lambda: predict(network, images), "training": step(network, images, labels)}
    while True:
        calls[connection.recv()]()
        connection.send(None)


def their_network() -> nn.Module:
    """The module of torchvision with random weights that keep the signal's size."""
    torch.manual_seed(0)
    network = torchvision.models.GoogLeNet(num_classes=2, aux_logits=False, init_weights=False)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network


def networks() -> tuple[nn.Module, GoogLeNet]:
    """The module of torchvision and ours, with the same weights."""
    theirs, ours = their_network(), GoogLeNet("torchvision", classes=2)
    fill(ours, from_state_dict(theirs.state_dict(), ours).tensors, "torchvision's module")
    return theirs, ours


@torch.no_grad()
def predict(
    network: nn.Module, images: Tensor, precision: Callable[[], AbstractContextManager[object]] = nullcontext
) -> None:
    network.eval()
    with precision():
        network(images)


def step(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    precision: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Callable[[], None]:
    """One step of training with nothing frozen: forward, backward, SGD with momentum."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

    def run() -> None:
        network.train()
        optimizer.zero_grad()
        with precision():
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()

    return run


def turns(theirs: Callable[[], None], ours: Callable[[], None], repeats: int) -> list[tuple[float, float]]:
    """Seconds of each call, in turns; the first turn, which sets up the library's kernels, is left out."""
    seconds = []
    for _ in range(repeats + 1):
        times = []
        for call in (theirs, ours):
            call()
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        seconds.append((times[0], times[1]))
    return seconds[1:]


def report(what: str, seconds: list[tuple[float, float]], batch: int, floor: float) -> None:
    theirs, ours = (1e3 / batch * statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(a / b for a, b in seconds)
    spread = ", ".join(f"{a / b:.2f}" for a, b in seconds)
    print(
        f"{what:14s} theirs {theirs:6.1f} ms/image, ours {ours:6.1f}: {ratio:.2f} times as fast ({spread}); "
        f"floor {1e3 * floor:.1f} ms"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
