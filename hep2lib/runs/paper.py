"""What the pages state beside a run's results: the paper's numbers and claims, the simulator's difficulty.

They are in ``book/paper-values.yaml``, ``book/claims.yaml``, ``book/simulator-difficulty.json`` and
``book/weights.json``.
"""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from hep2lib.cnn.googlenet import FREEZE_DEPTHS
from hep2lib.cnn.weights import RANDOM
from hep2lib.errors import InputError
from hep2lib.evaluation.claims import Claim, make_claims
from hep2lib.evaluation.leak import FIGURES
from hep2lib.evaluation.scores import ROTATED, Spread, spread
from hep2lib.files import project_root, write_json, written_whole
from hep2lib.runs.parameters import Parameters
from hep2lib.simulator.simulation import VERSION


@lru_cache(maxsize=1)
def _values() -> dict[str, Any]:
    file = project_root("the paper's numbers, book/paper-values.yaml") / "book" / "paper-values.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def printed(key: str) -> Any:
    """A number or word of the paper.

    Args:
        key: dotted, as in ``table3.freeze_11.auc``.

    Raises:
        InputError: if the list has no such key, or is not here because there is no clone.
    """
    found: Any = _values()
    for word in key.split("."):
        if not isinstance(found, dict) or word not in found:
            raise InputError(f"book/paper-values.yaml has no {key!r}: add it with the place where it stands")
        found = found[word]
    return found["value"] if isinstance(found, dict) and "value" in found else found


def printed_claims() -> list[Claim]:
    """The paper's claims, in the order of ``book/claims.yaml``, each with the figure it refers to.

    Raises:
        InputError: a figure that ``book/paper-values.yaml`` does not have, or a claim that cannot be judged.
    """
    file = project_root("the paper's claims, book/claims.yaml") / "book" / "claims.yaml"
    records = yaml.safe_load(file.read_text(encoding="utf-8"))
    for record in records:
        if "paper" in record:
            record["reference"] = printed(record.pop("paper"))
    return make_claims(records)


def smaller_budgets(parameters: Parameters, results: Iterable[str]) -> dict[str, list[str]]:
    """What each result of ``run_strategies``, by name, was given less of than in the paper, in words.

    "freeze D" needs the search of Table 1 at that depth, and rotated copies if they are in its name;
    an SVM as many values of C; all else the search at all three depths and rotated copies; everything as many
    folds, and images of GoogLeNet's size.
    """
    p, most = parameters, printed("search.epochs")
    epochs: dict[tuple[float, ...], int] = {}
    for grid in sorted(p.grids, key=lambda grid: grid.epochs):  # the longest training counts
        epochs |= dict.fromkeys(product(grid.freeze, grid.batch_sizes, grid.learning_rates), grid.epochs)
    values = np.logspace(printed("svm.smallest"), printed("svm.largest"), printed("svm.values"))
    covered = sum((values >= 0.999 * min(p.svm_grid)) & (values <= 1.001 * max(p.svm_grid)))
    svm = [(min(p.svm_values, covered), values.size, "values of C")]
    rotated = [
        (min(p.views_per_epoch or p.rotations, p.rotations), printed("rotations.factor"), "views an epoch")
    ]
    always = [(p.folds, printed("folds"), "folds"), (p.image_size, 224, "pixels a side")]
    budgets = {}
    for name in results:
        depth = re.fullmatch(rf"freeze (\d+)({ROTATED})?", name)
        depths = (int(depth[1]),) if depth else FREEZE_DEPTHS
        wanted = [*product(depths, printed("search.batch_sizes"), printed("search.learning_rates"))]
        had = [epochs[one] for one in wanted if one in epochs]
        search = [(len(had), len(wanted), "configurations"), (min(had, default=most), most, "epochs")]
        plain = depth and not depth[2]
        parts = svm if name.startswith("SVM") else search if plain else search + rotated
        budgets[name] = [f"{a} of {b} {what}" for a, b, what in parts + always if a < b]
    return budgets


def other_conditions(database: pd.DataFrame, weights: str) -> str:
    """Why a run's absolute numbers are not to be judged by the paper's, in words; "" if they are.

    AIDA is known by its layout and the paper's numbers of images; a file of ``weights`` is taken at its word.
    """
    reasons = [f"{weights} weights"] if weights in (*RANDOM, "procedural") else []
    aida = printed("database.images"), printed("database.positive")
    if database.attrs.get("simulated"):
        reasons.insert(0, "simulated images")
    elif database.attrs.get("layout") != "AIDA" or (len(database), database["label"].sum()) != aida:
        reasons.insert(0, "not AIDA's {:,} images, {:,} of them positive".format(*aida))
    return ", ".join(reasons)


def paper_question(database: pd.DataFrame, weights: str) -> str:
    """What a run's images and weights make of the paper's question: sentences, the last without full stop.

    Arguments are those of ``other_conditions``.
    """
    images = "not the paper's, and no number from them confirms or refutes one of its numbers"
    if database.attrs.get("simulated"):
        images = "simulated: they say nothing about patients, and neither confirm nor refute the paper"
    elif not other_conditions(database, "imagenet"):
        images = "those of the paper"
    start = f"from {Path(weights).name}; whether that learnt from photographs, as in the paper, is not known"
    if weights == "imagenet":
        start = "from ImageNet's weights, as in the paper"
    elif weights == "procedural":
        start = (
            "from procedural weights, learnt from images that formulas draw. The paper's network had learnt "
            "from photographs; how far one gets that has never seen any is seen here"
        )
    elif weights in RANDOM:
        start = (
            "from random weights, which have learnt nothing. So what a network gains from photographs, the "
            "paper's question, is not answered: this run shows the method, and how far one gets without"
        )
    return f"The images of this run are {images}. Training starts {start}"


HOW_TO = "measure it with `python benchmarks/difficulty.py --write`"


def difficulty_file() -> Path:
    """The file that holds the simulator's stated difficulty."""
    name = "simulator-difficulty.json"
    return project_root(f"the simulator's stated difficulty, book/{name}") / "book" / name


def write_difficulty(measured: list[dict[str, float]], specimens: int) -> None:
    """Keep what `measure_difficulty` returned for each seed, from 0 on, with that many specimens each."""
    content = {"simulator_version": VERSION, "specimens": specimens, "seeds": measured}
    write_json(difficulty_file(), content)


def stated_difficulty() -> dict[str, Spread]:
    """The figures of `hep2lib.evaluation.leak.FIGURES`, each over the seeds.

    Raises:
        InputError: they were not measured, or of another version of the simulator.
    """
    path = difficulty_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["simulator_version"] != VERSION:
            raise InputError(
                f"{path}: measured of version {content['simulator_version']} of the simulator, which is now "
                f"version {VERSION}; {HOW_TO}"
            )
        seeds = content["seeds"]
        return {name: spread([seed[name] for seed in seeds]) for name in FIGURES}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: no figures of the simulator's difficulty; {HOW_TO}") from error


def weights_file() -> Path:
    """The file that holds what kinds of weights to start from were found to be worth; pictures beside it."""
    return project_root("the comparison of weights, book/weights.json") / "book" / "weights.json"


def write_weights(rows: list[dict[str, Any]], about: dict[str, Any], pictures: dict[str, np.ndarray]) -> None:
    """Keep what ``benchmarks/weights.py`` found: its table, what it was obtained on, and arrays to draw."""
    with written_whole(weights_file().with_suffix(".npz")) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **pictures)
    write_json(weights_file(), {"simulator_version": VERSION, **about, "rows": rows})


def stated_weights() -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
    """The comparison of weights: its table, one row a study; what it was obtained on; arrays to draw.

    What it was obtained on has the ``default`` that follows, "procedural" or "random", too.

    Raises:
        InputError: it was not made, or on databases of another version of the simulator.
    """
    path, how = weights_file(), "make it with `python benchmarks/weights.py OUT --procedural ... --write`"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["simulator_version"] != VERSION:
            raise InputError(f"{path}: made with another version of the simulator; {how}")
        with np.load(path.with_suffix(".npz")) as file:
            pictures = dict(file)
        about["default"] = "procedural" if follows_the_rule(about["rows"]) else "random"
        return pd.DataFrame(about.pop("rows")), about, pictures
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: no comparison of weights; {how}") from error


def follows_the_rule(rows: list[dict[str, Any]]) -> bool:
    """Whether procedural weights are to be the default where ImageNet's cannot be had; else random ones are.

    They have to be better, by an interval that leaves out zero, in at least half of the rows of the
    comparison, and worse, by such an interval, in none. The rule was set before any result.
    """
    better = sum(row["procedural low"] > 0 for row in rows)
    worse = sum(row["procedural high"] < 0 for row in rows)
    return 2 * better >= len(rows) and not worse
