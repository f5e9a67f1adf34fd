"""``hep2 pretrain``: teach GoogLeNet which formula an image was drawn from, then keep its convolutions.

The network is torchvision's variant with live batch normalisation. Its loss is the cross-entropy of the
formula and, with a small weight, the squared error of a second head that reads the image's log brightness
from pool5: the formula does not depend on brightness, so a network that is asked for the formula alone learns
to discard it, and staining intensity is what a HEp-2 image is graded by. How much of it stays readable is
measured at the end (``brightness_kept``). What is written is folded, in float16 and without the two heads.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from hep2lib.cnn.googlenet import GoogLeNet, Provenance
from hep2lib.cnn.layers import CLASSIFIER
from hep2lib.cnn.weight_files import write_body
from hep2lib.cnn.weights import load_weights
from hep2lib.errors import InputError
from hep2lib.files import write_text, written_whole
from hep2lib.pretraining.procedural import procedural_image
from hep2lib.processes import cores, end_with_parent
from hep2lib.progress import progress_bar
from hep2lib.studies.floor import bf16_is_faster

POOL5 = "pool5-7x7_s1"
HELD_OUT = 2**32  # seed of images that no network is taught on; larger than any that can be asked for
CHECKPOINT_EVERY = 90.0  # seconds


@dataclass(frozen=True, slots=True)
class Recipe:
    """What determines the result, besides the seed and the number of threads."""

    images: int = 172_800  # shown, each once
    size: int = 96  # their side, pixels
    classes: int = 128  # as many formulas
    batch: int = 64
    held_out: int = 1024  # images of the validation curve
    rate: float = 2e-3  # AdamW's
    decay: float = 0.05  # AdamW's, of weights; biases and normalisations have none
    smoothing: float = 0.05  # of labels
    warm_up: float = 0.06  # share of the steps in which the rate rises; then it falls as half a cosine
    brightness: float = 0.15  # weight of the second head's squared error

    @property
    def steps(self) -> int:
        """Number of steps: whole batches alone."""
        return self.images // self.batch

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rising = self.warm_up * self.steps
        if step < rising:
            return self.rate * (step + 1) / (rising + 1)
        return self.rate * (1 + math.cos(math.pi * (step - rising) / (self.steps - rising))) / 2


#: 96 pixels are the largest of 64, 72, 80 and 96 with which two cores of a laptop need less than an hour.
PROFILES = {"laptop": Recipe(), "gpu": Recipe(images=1_728_000, size=128)}


class Images(Dataset[tuple[Tensor, int]]):
    """Procedural images by number, drawn when they are asked for: uint8, 3 x size x size, and the class."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = procedural_image(index, self.seed, self.recipe.size, self.recipe.classes)
        return torch.from_numpy(image), label


def batches(recipe: Recipe, seed: int, numbers: range, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of a seed's stream in whole batches, uint8, batch x 3 x size x size, and their classes, int64.

    They are the same for any number of processes that draw them.
    """
    # Started afresh, not forked: a fork of a process with threads may hang.
    own: dict[str, Any] = {"multiprocessing_context": "spawn", "prefetch_factor": 4} if workers else {}
    own |= {"sampler": numbers, "num_workers": workers, "worker_init_fn": end_with_parent}
    yield from DataLoader(Images(recipe, seed), recipe.batch, drop_last=True, **own)


def held_out(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Images that no network is taught on, uint8, N x 3 x size x size, and their classes, int64, N."""
    images, labels = zip(*batches(recipe, HELD_OUT, range(recipe.held_out), 0), strict=True)
    return torch.cat(images), torch.cat(labels)


class Learner(nn.Module):
    """The network with its two heads."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        super().__init__()
        self.network = GoogLeNet("torchvision", recipe.classes, batchnorm="train")
        self.network.dropout = 0.0  # no image is shown twice: there is nothing to learn by heart
        load_weights(self.network, "random-matlab", seed=seed)
        self.brightness = nn.Linear(1024, 1)
        nn.init.zeros_(self.brightness.weight)
        nn.init.constant_(self.brightness.bias, 0.0)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, N x classes, and the log brightness less 3, N, of uint8 images; float32."""
        values = self.network.activations(self.network.preprocess(images), (POOL5, CLASSIFIER))
        return values[CLASSIFIER].float(), self.brightness(values[POOL5].flatten(1))[:, 0].float()


def log_brightness(images: Tensor) -> Tensor:
    """Natural logarithm of 1 + an image's mean over pixels and channels, in grey levels; float32, N."""
    return images.float().mean((1, 2, 3)).log1p()


def pretrain(
    out: Path, recipe: Recipe, *, seed: int = 0, threads: int | None = None, workers: int | None = None
) -> Path:
    """Train, or go on with a training that was interrupted, and write the convolutions.

    On one machine the losses depend on the recipe, the seed and the number of threads alone: not on
    ``workers``, nor on where a training was interrupted.

    Args:
        out: the folder to write: ``checkpoint.pt``, ``history.csv`` (a row for each step: step, loss,
            learning_rate, seconds, validation_accuracy) and, at the end, ``procedural-SEED.safetensors``.
        recipe: see ``PROFILES``.
        seed: of the images and of the weights to start from, 0 to 2**32 - 1.
        threads: of torch; None for what the folder's training began with, or as many as there are cores.
        workers: processes that draw images; None for as many as threads, and at most as there are cores.

    Returns:
        The file of weights.

    Raises:
        InputError: if the folder belongs to another training, or an argument is out of its range.
    """
    least = 10 * recipe.batch
    for name, value, low in (("seed", seed, 0), ("images", recipe.images, least), ("threads", threads, 1)):
        if value is not None and not low <= value < HELD_OUT:
            raise InputError(f"{name} is {value}; choose {low} to {HELD_OUT - 1}")
    state = _begun(out, asdict(recipe) | {"seed": seed}, threads)
    workers = min(cores(), state["threads"]) if workers is None else workers
    before = torch.get_num_threads()
    torch.set_num_threads(state["threads"])
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            network = _train(out, recipe, seed, state, workers)
    finally:
        torch.set_num_threads(before)
    write_body(network, path := out / f"procedural-{seed}.safetensors")
    return path


def _begun(out: Path, settings: dict[str, Any], threads: int | None) -> dict[str, Any]:
    """What the folder's checkpoint holds, or a beginning where there is none."""
    path = out / "checkpoint.pt"
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} exists and holds no pre-training: give a new folder")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        machine = {
            "threads": threads or cores(),
            "device": device,
            "bf16": device == "cuda" or bf16_is_faster(),
        }
        return machine | {"settings": settings, "step": 0, "history": []}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = state["settings"] | {"threads": state["threads"]}
    except Exception as error:  # of any kind, where a file is damaged
        raise InputError(f"{path} is damaged: remove {out} and start again") from error
    asked = settings | ({} if threads is None else {"threads": threads})
    other = [f"{name} {found[name]}, not {value}" for name, value in asked.items() if value != found[name]]
    if other:
        raise InputError(f"{out} was begun with {'; '.join(other)}: give the same, or another folder")
    if state["device"] == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{out} was begun on a GPU, and there is none here: give another folder")
    return state


def _train(out: Path, recipe: Recipe, seed: int, state: dict[str, Any], workers: int) -> GoogLeNet:
    """Take the steps that are left; the trained network, its normalisation live."""
    device, history, first = torch.device(state["device"]), state["history"], state["step"]
    learner = Learner(recipe, seed).to(device).train()
    weights = [value for value in learner.parameters() if value.ndim > 1]
    others = [value for value in learner.parameters() if value.ndim == 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.decay, fused=True)
    if first:
        learner.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    arithmetic = torch.autocast(device.type, torch.bfloat16, enabled=state["bf16"])
    marks = {math.ceil(recipe.steps * tenth / 10) for tenth in range(1, 11)}
    unseen, truth = held_out(recipe)

    @torch.no_grad()
    def accuracy() -> float:
        learner.eval()
        with arithmetic:
            parts = [learner(part.to(device))[0].argmax(1).cpu() for part in unseen.split(64)]
        learner.train()
        return float((torch.cat(parts) == truth).float().mean())

    def save(step: int) -> None:
        kept = {"model": learner.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        with written_whole(out / "checkpoint.pt") as temporary:
            torch.save(state | kept, temporary)
        columns = ["step", "loss", "learning_rate", "seconds", "validation_accuracy"]
        write_text(out / "history.csv", pd.DataFrame(history, columns=columns).to_csv(index=False))

    if not first:
        save(0)  # the folder is this training's from now on
    start = saved = time.monotonic()
    before = history[-1][3] if history else 0.0
    stream = batches(recipe, seed, range(first * recipe.batch, recipe.steps * recipe.batch), workers)
    with progress_bar(total=recipe.steps, initial=first, description="pre-training", unit="step") as bar:
        for step, (images, labels) in enumerate(stream, first):
            rate = recipe.rate_at(step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            images, labels = images.to(device), labels.to(device)
            optimiser.zero_grad()
            with arithmetic:
                logits, brightness = learner(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)
            # Less 3, so that a head that says 0 is about right from the start.
            loss = loss + recipe.brightness * functional.mse_loss(brightness, log_brightness(images) - 3)
            loss.backward()
            optimiser.step()
            value, done = loss.item(), step + 1
            if not math.isfinite(value):
                raise InputError(f"{out}: the loss of step {done} is not finite: try another seed, elsewhere")
            correct = accuracy() if done in marks else None
            if correct is not None:
                bar.set_postfix(accuracy=f"{correct:.3f}")
            history.append([done, value, rate, before + time.monotonic() - start, correct])
            if done == recipe.steps or time.monotonic() - saved > CHECKPOINT_EVERY:
                save(done)
                saved = time.monotonic()
            bar.update()
    words = (
        f"GoogLeNet (torchvision) taught on {recipe.steps * recipe.batch:,} procedural images of "
        f"{recipe.size} pixels and {recipe.classes} formulas, {history[-1][4]:.1%} of held-out ones "
        f"recognised; seed {seed}"
    )
    network = learner.network
    network.provenance = Provenance("procedural", network.state_digest(), network.variant, words)
    return network


def brightness_kept(path: Path, recipe: Recipe) -> tuple[float, float]:
    """R2 of ``readable_brightness`` with a file's weights, and with random ones, calibrated on 64 images."""
    unseen, network, others = held_out(recipe)[0], GoogLeNet("torchvision").eval(), Images(recipe, HELD_OUT)
    load_weights(network, path)
    taught = readable_brightness(network, unseen)
    images = torch.stack([others[recipe.held_out + number][0] for number in range(64)])
    load_weights(network, "random", images=images)
    return taught, readable_brightness(network, unseen)


@torch.no_grad()
def readable_brightness(network: GoogLeNet, images: Tensor) -> float:
    """R2 of the log brightness that a ridge regression reads from pool5; 1 is all of it, 0 nothing.

    Args:
        network: in evaluation mode.
        images: uint8, N x 3 x H x W, of no use in training the network; the regression is fitted on the first
            half, its strength chosen there by leave-one-out, and judged on the second.
    """
    values = [network.activations(network.preprocess(part), (POOL5,))[POOL5] for part in images.split(64)]
    features, target = torch.cat(values).flatten(1).double().numpy(), log_brightness(images).numpy()
    half = len(images) // 2
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 8)))
    return float(model.fit(features[:half], target[:half]).score(features[half:], target[half:]))
