"""The study's inner work beside the loop that a tutorial teaches, on the same images.

    python benchmarks/fine_tuning.py [--specimens 100] [--batch 16] [--depths 11 110 139] [--device cuda]

One epoch is: train on a fold's training images, then score its validation and test images. "tutorial" is
PyTorch's transfer learning tutorial as people copy it (``benchmarks/tutorial.py``): one training at a time
with all threads of the machine (in ``--workers`` processes for the loader, if asked for; the fastest choice
on two cores is 0), in a process that does not know this package. "study" is what ``hep2 study fine-tuning``
runs: one training a core, each on one thread, all of them at the same time, from kept activations. A study's
time per epoch is the wall time divided by the number of trainings that ran in it.

One turn is an epoch of the tutorial and then some of the study: a busy machine slows both. The first epoch
of each is left out; times and ratios are medians over turns.

The study is timed in float32, and in bfloat16 too where the processor convolves faster so (or as
``--precision`` says); the tutorial is in float32 always.

The activations of the frozen layers are computed once for a whole study and timed apart. The floor is the
time that the trainable layers' multiplications take at the rate of the best of three convolutions that suit
the machine, in the same precision, all cores busy: forward for all images, and backward for the training
images (gradients of the weights, and of the inputs except the first layers', whose input is frozen).

With ``--device cuda`` both compute there, one training after the other; the tutorial's images are decoded by
``--workers`` processes, the study's steps recorded. There is no floor then, and convolutions of both round to
TF32, as torch does unless told.
"""

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.data.database import read_database
from hep2lib.data.folds import Fold, specimen_folds
from hep2lib.data.images import load_images
from hep2lib.processes import cores, single_thread
from hep2lib.simulator.writing import write_database
from hep2lib.studies.execution import InProcessExecutor, device_name
from hep2lib.studies.floor import best_rate, training_operations
from hep2lib.studies.inputs import StudyInputs, WorkerInputs, activations_for, prepare_activations
from hep2lib.studies.training import train
from hep2lib.studies.trial import FineTuningTrial

#: How many of the tutorial's stages lie before each of the paper's cuts.
FROZEN = {0: 0, 11: 3, 110: 10, 139: 12}


@contextmanager
def tutorial(
    database: pd.DataFrame, fold: Fold, depth: int, options: argparse.Namespace, folder: Path
) -> Iterator[Callable[[], float]]:
    """Start the tutorial's script; yields what makes it train an epoch and returns the seconds."""
    table = database[["path", "label"]].copy()
    for part in ("train", "validation", "test"):
        table.loc[table.index[getattr(fold, part)], "part"] = part
    table.to_csv(folder / "images.csv", index=False)
    command = [sys.executable, Path(__file__).with_name("tutorial.py"), folder / "images.csv"]
    told = {"frozen": FROZEN[depth], "batch": options.batch, "workers": options.workers}
    told["device"] = options.device
    command += [text for name, value in told.items() for text in (f"--{name}", str(value))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:

        def epoch() -> float:
            print(file=process.stdin, flush=True)
            return float(process.stdout.readline())

        epoch()
        yield epoch
        process.stdin.close()


def study_epochs(inputs: WorkerInputs, trial: FineTuningTrial, cores: int, pool: Executor) -> list[float]:
    """Seconds an epoch, from one training a core at once (a GPU: one); the first of each is left out."""
    jobs = [pool.submit(epoch_seconds, inputs, trial) for _ in range(cores)]
    return [seconds / cores for job in jobs for seconds in job.result()[1:]]


def epoch_seconds(inputs: WorkerInputs, trial: FineTuningTrial) -> list[float]:
    """Seconds of each epoch of one training, on one thread or on a GPU."""
    network, labels = inputs.network(), torch.tensor(inputs.labels)
    activations = activations_for(inputs, network, trial)
    seconds = []
    with single_thread() if inputs.device == "cpu" else nullcontext():
        start = time.perf_counter()
        for _ in train(network, activations, labels, inputs.folds[0], trial):
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
    return seconds


def rates_of_all_cores(pool: Executor, cores: int, chosen: Sequence[str] | None) -> dict[str, float]:
    """Operations a second of all cores together, by precision, the fastest first.

    Where none are chosen: in float32, and in bfloat16 if that is the faster.
    """
    rates = {}
    for precision in chosen or ("fp32", "bf16"):
        jobs = [pool.submit(rate_of_a_core, precision) for _ in range(cores)]
        rates[precision] = sum(job.result() for job in jobs)
    if not chosen and rates["bf16"] < rates["fp32"]:
        del rates["bf16"]
    return dict(sorted(rates.items(), key=lambda item: -item[1]))


def rate_of_a_core(precision: str) -> float:
    """Operations a second of one core, measured in every worker at the same time."""
    with single_thread():
        return best_rate(precision=precision)


def main() -> None:
    options = _options()
    on_gpu = options.device != "cpu"
    workers = 1 if on_gpu else cores()
    with tempfile.TemporaryDirectory() as folder:
        write_database(Path(folder) / "images", specimens=options.specimens, seed=0)
        database = read_database(Path(folder) / "images")
        fold = specimen_folds(database, 5, 0)[0]
        network = GoogLeNet("torchvision")
        load_weights(network, "random-caffe")
        inputs = StudyInputs(
            load_images(database),
            database["label"].to_numpy(),
            [fold],
            network,
            Path(folder) / "cache",
            options.device,
        ).for_workers()
        where = f"{torch.backends.cpu.get_cpu_capability()}, {workers} cores"
        if on_gpu:
            where = device_name(options.device)
        print(
            f"torch {torch.__version__}, {where}; an epoch: train on {len(fold.train)} images in batches of "
            f"{options.batch}, score {len(fold.validation) + len(fold.test)}"
        )
        context = multiprocessing.get_context("spawn")
        with InProcessExecutor() if on_gpu else ProcessPoolExecutor(workers, mp_context=context) as pool:
            rates = dict.fromkeys(options.precision or ("fp32", "bf16"), 0.0)
            if not on_gpu:
                rates = rates_of_all_cores(pool, workers, options.precision)
            for precision, rate in ({} if on_gpu else rates).items():
                print(f"rate of all cores in {precision}: {rate / 1e9:.0f} GFLOP/s")
            for depth in options.depths:
                compare(database, fold, inputs, depth, workers, rates, pool, options)


def compare(
    database: pd.DataFrame,
    fold: Fold,
    inputs: WorkerInputs,
    depth: int,
    cores: int,
    rates: dict[str, float],
    pool: Executor,
    options: argparse.Namespace,
) -> None:
    """Time both loops at one depth, in turns, and print a line for each precision."""
    repeats = 1 if depth < 110 else 5 if depth < 139 else 50
    trial = FineTuningTrial(
        freeze=depth, batch_size=options.batch, learning_rate=1e-3, epochs=repeats + 1, fold=0, seed=0
    )
    trials = {precision: replace(trial, precision=precision) for precision in rates}
    start = time.perf_counter()
    prepare_activations(inputs, [trial])
    once = time.perf_counter() - start
    theirs: list[float] = []
    ours: dict[str, list[float]] = {precision: [] for precision in trials}
    with tutorial(database, fold, depth, options, inputs.cache) as tutorial_epoch:
        for _ in range(options.turns):
            theirs.append(tutorial_epoch())
            for precision, own in trials.items():
                ours[precision].append(statistics.median(study_epochs(inputs, own, cores, pool)))
    median = statistics.median(theirs)
    print(f"freeze {depth:3d}: tutorial {median:.2f} s an epoch; the study's activations once {once:.1f} s")
    operations = training_operations(replace(trial, epochs=1), fold)
    for precision, seconds in ours.items():
        ratios = sorted(other / own for other, own in zip(theirs, seconds, strict=True))
        median, told = statistics.median(seconds), ""
        if rates[precision]:
            floor = operations / rates[precision]
            told = f"; floor {floor:.2g} s, {floor / median:.1%} of it reached"
        print(
            f"    study in {precision} {median:.4f} s: {statistics.median(ratios):.1f} times as fast (turns: "
            f"{ratios[0]:.1f} to {ratios[-1]:.1f}){told}",
            flush=True,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--specimens", type=int, default=100, help="100 make 208 images")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--depths", type=int, nargs="+", default=[11, 110, 139], choices=sorted(FROZEN))
    parser.add_argument("--turns", type=int, default=3, help="how often each is timed; the median counts")
    parser.add_argument("--workers", type=int, default=0, help="processes of the tutorial's loader")
    parser.add_argument("--precision", nargs="+", choices=("fp32", "bf16"), help="of the study")
    parser.add_argument("--device", default="cpu", help="where to compute (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
