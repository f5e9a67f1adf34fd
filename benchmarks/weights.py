"""Which weights are the better start where ImageNet's cannot be had: procedural or random ones?

    python benchmarks/weights.py OUT --procedural A.safetensors B.safetensors C.safetensors [--imagenet]
    python benchmarks/weights.py OUT --procedural ... --write

Every start is put to the same studies on three simulated databases that had no part in any choice: linear
SVMs on the activations of four layers, flattened and, where a layer has several places, pooled, and
fine-tuning at the paper's three freezing depths, with the same values of C, learning rates and epochs for
all, chosen on validation images. Random weights are calibrated, as many seeds as there are procedural files.
Resumable: what OUT has is not computed again; hours on 2 cores. --write keeps the table and the pictures for
the book.

The default follows a rule that was written down before any result (`follows_the_rule`, `hep2lib.runs.paper`);
the last line says what it comes to.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.cnn.weights import load_weights
from hep2lib.data.database import read_database
from hep2lib.data.folds import specimen_folds
from hep2lib.data.images import load_images
from hep2lib.evaluation.auc import compare_seeds
from hep2lib.evaluation.baselines import handmade_features, handmade_only, mean_green
from hep2lib.evaluation.mistakes import at_quantiles
from hep2lib.pretraining.pretraining import PROFILES, held_out, readable_brightness
from hep2lib.runs.paper import follows_the_rule, write_weights
from hep2lib.runs.run import CALIBRATION_IMAGES
from hep2lib.simulator.writing import simulated_images, write_database
from hep2lib.studies.execution import device_name
from hep2lib.studies.fine_tuning import Grid, fine_tuning_study
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.svm_study import svm_study
from hep2lib.studies.trial import SVMVariant, TrainingOptions, TrialStore

DATABASES = (7001, 7002, 7003)  # seeds; the simulator was calibrated on others
LAYERS = ("pool2-3x3_s2", "inception_3a-output", "inception_4e-output", "pool5-7x7_s1")
VALUES = tuple(np.logspace(-6, 2.5, 20).tolist())
DEPTHS = (11, 110, 139)
RATES, EPOCHS, BATCH = (0.01, 0.001), 5, 16
SHOWN = {"conv2": "conv2-relu_3x3", "5b": "inception_5b-output"}  # an early and a late layer


def main() -> int:
    """Compute what is missing, print the table, perhaps keep it, and say what the rule comes to."""
    options = _options()
    kinds = {"procedural": options.procedural, "random": ["random"] * len(options.procedural)}
    if options.imagenet:
        kinds["imagenet"] = ["imagenet"]
    samples: dict[str, list[tuple]] = {}
    handmade = []
    for seed in options.databases:
        folder = options.out / f"database-{seed}"
        write_database(folder / "images", options.specimens, seed)
        database = read_database(folder / "images")
        images = load_images(database, options.size, cache=folder / "cache")
        folds, labels = specimen_folds(database, seed=seed), database["label"].to_numpy()
        by_hand = handmade_only(database, handmade_features(images), folds)
        handmade.append(float(by_hand.fold_aucs().mean()))
        scores: dict[str, dict[str, list]] = {}
        for kind, sources in kinds.items():
            for start, source in enumerate(sources):
                print(f"database {seed}, {kind} weights, {start + 1} of {len(sources)}", flush=True)
                cache, network = folder / "cache" / f"{kind}-{start}", _network(source, start)
                inputs = StudyInputs(images, labels, folds, network, cache, options.device, options.workers)
                store = TrialStore(folder / "trials")
                for row, table in _studies(inputs, store, start, options.precision):
                    tested = table.sort_values("row")  # every image is tested in one fold
                    scores.setdefault(row, {}).setdefault(kind, []).append(tested["score"].to_numpy())
                shutil.rmtree(cache, ignore_errors=True)
        for row, found in scores.items():
            samples.setdefault(row, []).append(
                (labels, found, database["specimen"].to_numpy(), tested["fold"].to_numpy())
            )
    rows = [{"row": row, **_compared(parts)} for row, parts in samples.items()]
    lists = [name for name, value in rows[0].items() if isinstance(value, list)]
    print(pd.DataFrame(rows).drop(columns=lists).to_string(index=False, float_format="{:.3f}".format))
    print(f"hand-made features on the same folds: {np.mean(handmade):.3f}")
    if options.write:
        unseen = held_out(PROFILES["laptop"])[0]
        networks = {kind: _network(sources[0], 0).cpu() for kind, sources in kinds.items()}
        middle = at_quantiles(database, mean_green(images), (0.65,))
        shown = load_images(database.iloc[[middle[1][0], middle[0][0]]], 224)  # a late layer has 7 x 7 places
        write_weights(
            rows,
            {
                "obtained on": f"{len(options.databases)} simulated databases of {options.specimens} "
                f"specimens (seeds {', '.join(map(str, options.databases))}), images of {options.size} "
                f"pixels; {len(VALUES)} values of C; rates {' and '.join(map(str, RATES))}, batch size "
                f"{BATCH}, {EPOCHS} epochs, {options.precision}; device {device_name(options.device)}",
                "starts each": len(options.procedural),
                "hand-made": handmade,
                "brightness": {
                    kind: [
                        readable_brightness(_network(source, start).cpu(), unseen)
                        for start, source in enumerate(sources)
                    ]
                    for kind, sources in kinds.items()
                },
                "starts": {kind: network.provenance.description for kind, network in networks.items()},
            },
            _pictures(networks, shown),
        )
    print(f"{'procedural' if follows_the_rule(rows) else 'random'} weights are the default offline")
    return 0


@lru_cache
def _network(source: str | Path, seed: int) -> GoogLeNet:
    """A start: torchvision's variant with the weights of a source."""
    network, images = GoogLeNet("torchvision", 2), None
    if source == "random":
        images = torch.from_numpy(simulated_images(CALIBRATION_IMAGES, seed))
    load_weights(network, source, seed=seed, images=images)
    return network.eval()


def _studies(
    inputs: StudyInputs, store: TrialStore, seed: int, precision: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every row of the table: its name, and the scores of the images in the fold that tests them."""
    ways = ("flattened", SVMVariant(), LAYERS), ("pooled", SVMVariant(pooled=True), LAYERS[:-1])
    for name, variant, layers in ways:  # the last layer has one place, so both ways are one
        outcome = svm_study(inputs, store, layers, VALUES, variant)
        for layer in layers:
            yield f"SVM, {layer}, {name}", outcome.scores(outcome.best(layer))
    grids = [Grid((depth,), (BATCH,), RATES, EPOCHS) for depth in DEPTHS]
    arithmetic = TrainingOptions(precision=precision)
    tuned = fine_tuning_study(inputs, store, grids, seed=seed, options=arithmetic)
    for depth in DEPTHS:
        yield f"fine-tuning, freeze {depth}", tuned.scores(tuned.best(depth))


def _compared(parts: list[tuple]) -> dict[str, float | list[float]]:
    """One row of the table: AUCs of every start, and how the kinds differ from random weights."""
    found: dict[str, float | list[float]] = {}
    for kind in parts[0][1]:
        if kind != "random":
            sides = [(y, scores[kind], scores["random"], *rest) for y, scores, *rest in parts]
            compared = compare_seeds(sides)
            found |= {kind: compared.areas[0].tolist(), "random": compared.areas[1].tolist()}
            found |= {f"{kind} mean": compared.areas[0].mean(), "random mean": compared.areas[1].mean()}
            found |= {f"{kind} difference": compared.difference}
            found |= {f"{kind} low": compared.low, f"{kind} high": compared.high}
    return found


@torch.no_grad()
def _pictures(networks: dict[str, GoogLeNet], fields: torch.Tensor) -> dict[str, np.ndarray]:
    """First filters, and how an early and a late layer answer to a positive and a negative field.

    Of each layer the channel is kept whose mean differs most between the two fields.
    """
    kept = {"fields": fields.numpy()}
    for kind, network in networks.items():
        kept[f"{kind}, filters"] = network["conv1-7x7_s2"].weight.numpy().astype(np.float16)
        values = network.activations(network.preprocess(fields), SHOWN.values())
        for short, layer in SHOWN.items():
            positive, negative = values[layer]
            channel = int((positive - negative).mean((1, 2)).abs().argmax())
            kept[f"{kind}, {short}"] = values[layer][:, channel : channel + 1].numpy().astype(np.float16)
    return kept


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for databases and trials")
    parser.add_argument("--procedural", type=Path, nargs="+", required=True, help="files of `hep2 pretrain`")
    parser.add_argument("--imagenet", action="store_true", help="ImageNet's weights too")
    parser.add_argument("--specimens", type=int, default=400, help="of each database (default: %(default)s)")
    parser.add_argument("--databases", type=int, nargs="+", default=DATABASES, help="their seeds")
    parser.add_argument("--size", type=int, default=112, help="of the images, pixels (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="where to compute (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="of fine-tuning (default: %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one a core)")
    parser.add_argument("--write", action="store_true", help="keep table and pictures for the book")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
