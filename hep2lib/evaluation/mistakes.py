"""Images chosen by a rule and not by hand, errors by group, and where the network looked."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.googlenet import GoogLeNet, Section
from hep2lib.errors import InputError
from hep2lib.evaluation.auc import FloatArray, IntArray, ScoreError, check_count, check_labels, check_scores
from hep2lib.evaluation.decisions import share_interval
from hep2lib.simulator.patterns import codes

GRADES = ("0", "+/-", "weak", "1+", "2+", "3+", "4+")  # of intensity, as readers write them, dim to bright
MOST_GROUPS = 12  # in one picture
QUANTILES: tuple[float, ...] = (0.05, 0.35, 0.65, 0.95)


def _from_dim_to_bright(inside: npt.ArrayLike, brightness: FloatArray) -> list[int]:
    rows = np.flatnonzero(inside)
    return rows[np.argsort(brightness[rows], kind="stable")].tolist()


def at_quantiles(
    database: pd.DataFrame, brightness: FloatArray, quantiles: Sequence[float] = QUANTILES
) -> dict[int, list[int]]:
    """For each ``label``, the rows at given quantiles (0 to 1) of its images' brightness, shape (images,)."""
    chosen = {}
    for label in (1, 0):
        rows = _from_dim_to_bright(database["label"] == label, brightness)
        chosen[label] = [rows[round(q * (len(rows) - 1))] for q in quantiles]
    return chosen


def one_a_pattern(database: pd.DataFrame, detail: FloatArray, most: int = 17) -> dict[str, int]:
    """For each single pattern the row with the most fine detail, and a negative one of median detail.

    Only the first image of each specimen, label and pattern counts: simulated, it has a dividing cell.
    Patterns come in the order of their ICAP codes, those without one after them, the commonest first; those
    known to be mixed are left out. Where no pattern is known, "positive" stands for all.

    Args:
        database: columns ``label``, ``specimen`` and ``pattern`` ("" if unknown).
        detail: shape (images,), such as the feature "fine" of `hep2lib.evaluation.baselines.HANDMADE`.
        most: number of patterns at most.
    """
    label, pattern = database["label"], database["pattern"]
    counts = pattern[label.eq(1) & pattern.ne("")].value_counts()
    numbers = {name: [int(code.removeprefix("AC-")) for code in codes(name)] for name in counts.index}
    single = [name for name in numbers if len(numbers[name]) < 2]
    single.sort(key=lambda name: (numbers[name] or [99], -counts[name], name))
    first = ~database.duplicated(["specimen", "label", "pattern"])
    wanted = {name: first & label.eq(1) & pattern.eq(name) for name in single[:most]}
    wanted = wanted or {"positive": first & label.eq(1)}
    negative = _from_dim_to_bright(first & label.eq(0), detail)
    chosen = {name: _from_dim_to_bright(rows, detail)[-1] for name, rows in wanted.items()}
    return chosen | {"negative": negative[len(negative) // 2]}


def one_a_grade(database: pd.DataFrame, brightness: FloatArray) -> dict[str, int]:
    """For each intensity grade, the row of median brightness, from the dimmest grade to the brightest.

    Other words than the usual ``GRADES`` come after them, in alphabetical order. Where the database has no
    ``intensity``, the two classes take its place. ``brightness`` is of shape (images,).
    """
    known = "intensity" in database and database["intensity"].ne("").any()
    grade = database["intensity"] if known else database["label"].map({0: "negative", 1: "positive"})
    names = sorted(set(grade) - {""}, key=lambda name: ((*GRADES, name).index(name), name))
    rows = {name: _from_dim_to_bright(grade == name, brightness) for name in names}
    return {name: ordered[len(ordered) // 2] for name, ordered in rows.items()}


def errors_by(
    database: pd.DataFrame, decision: npt.ArrayLike, column: str, most: int = MOST_GROUPS
) -> pd.DataFrame:
    """Count the errors in each group of images.

    Many groups are small: the interval, not the share, says what was learnt of a group. Groups were not
    chosen by their result, yet of many groups some look bad by chance.

    Args:
        database: `label`, `specimen` and `column`, one row an image.
        decision: what the images are called, shape (images,), each 0 or 1.
        column: the one to group by, such as "pattern", "intensity" or "laboratory"; an empty value is
            "unknown", but a negative image without a pattern, which has none, is "negative".
        most: number of groups that are shown; of more, the smallest are put together in the last one.

    Returns:
        One row a group, most images first, intensity grades from dim to bright: `group`, `images`,
        `specimens`, `errors`, `missed` (positives called negative), `false_alarms` (negatives called
        positive), `share` (of images in error), `low` and `high` (its 95 % interval,
        `decisions.share_interval`; 0 and 1 where the group has one specimen).
    """
    if column not in database:
        raise ScoreError(f"There is no column {column!r}; there are {', '.join(map(str, database.columns))}.")
    called, y = check_labels(decision, both=False), check_labels(database["label"], both=False)
    check_count(called, y.size, "decisions")
    empty = np.where((y == 0) & (column == "pattern"), "negative", "unknown")
    group = database[column].fillna("").astype(str)
    group = group.where(group != "", empty).rename("group")
    sizes = group.value_counts()
    order = sorted(sizes.index, key=lambda name: (-sizes[name], name))
    if set(order) <= {*GRADES, "unknown"}:
        order = [grade for grade in (*GRADES, "unknown") if grade in order]
    elif len(order) > most:
        rest = order[most - 1 :]
        together = f"{len(rest)} smaller groups"
        group = group.mask(group.isin(rest), together)
        order = [*order[: most - 1], together]
    wrong = {"errors": called != y, "missed": called < y, "false_alarms": called > y}
    cases = pd.DataFrame({"specimen": database["specimen"], **wrong})
    groups = cases.groupby(group)
    table = groups.size().to_frame("images")
    table["specimens"] = groups["specimen"].nunique()
    table = table.join(groups[list(wrong)].sum())
    table["share"] = groups["errors"].mean()
    table[["low", "high"]] = 0.0, 1.0
    for name, part in groups:
        if table.loc[name, "specimens"] > 1:
            found = share_interval(part["errors"], part["specimen"])
            table.loc[name, ["low", "high"]] = found.low, found.high
    return table.loc[order].reset_index()


def hardest_images(database: pd.DataFrame, score: npt.ArrayLike) -> pd.DataFrame:
    """Of each label the three specimens that were called most wrongly, or least surely right.

    Args:
        database: `label`, `specimen`, one row an image; other columns are kept.
        score: on one scale, 0 being the threshold.

    Returns:
        At most 6 rows of the database, each its specimen's worst field, positives first and the worst of a
        label first, with `row` (in the database), `score`, `beyond` (how far on the wrong side of the
        threshold) and `error` ("missed", "false alarm" or "called right").
    """
    y, scores = check_scores(database["label"], score, both=False)
    beyond = np.where(y == 1, -scores, scores)
    order = np.argsort(-beyond, kind="stable")
    order = order[~database["specimen"].iloc[order].duplicated().to_numpy()]
    chosen = np.concatenate([order[y[order] == label][:3] for label in (1, 0)])
    table = database.iloc[chosen].copy()
    table.insert(0, "row", chosen)
    table["score"], table["beyond"] = scores[chosen], beyond[chosen]
    positive = table["label"] == 1
    wrong = np.where(positive, table["beyond"] > 0, table["beyond"] >= 0)  # on the threshold is positive
    table["error"] = np.where(wrong, np.where(positive, "missed", "false alarm"), "called right")
    return table.reset_index(drop=True)


LAST_MAP, CLASSIFIER = "inception_5b-output", "loss3-classifier"
"""The last layer that still has a place for everything, and the one that weighs its means."""


class MapError(InputError):
    """A layer or a network for which no activation map can be computed."""


def _two_classes(network: GoogLeNet) -> None:
    if network.classes != 2:
        raise MapError(f"the network has {network.classes} classes; log odds are of two")


@torch.no_grad()
def class_activation_maps(network: GoogLeNet, images: Tensor) -> Tensor:
    """What each place adds to the log odds of "positive", exactly.

    After the last inception block come only an average over all places and a linear layer, so the log odds of
    an image are the mean over places of (w_positive - w_negative) . activation + (b_positive - b_negative):
    that summand is the map (Zhou et al. 2016, CVPR). Its mean *is* the log odds. Where a summand stands is
    only as sharp as what one value sees, which may be more than the whole image.

    Args:
        network: with two classes, 1 being positive; in evaluation mode.
        images: uint8, N x 3 x H x W.

    Returns:
        N x h x w, float32, h and w those of the layer (7 x 7 for fields of 224 pixels), in nats.

    Raises:
        MapError: another number of classes.
    """
    _two_classes(network)
    x = network.preprocess(images.to(network.device))
    values = network.activations(x, (LAST_MAP,))[LAST_MAP]
    classifier = network[CLASSIFIER]
    weight = classifier.weight[1] - classifier.weight[0]
    bias = 0.0 if classifier.bias is None else classifier.bias[1] - classifier.bias[0]
    return (torch.einsum("nchw,c->nhw", values, weight) + bias).cpu()


class _LogOdds(nn.Module):
    """The network as two halves, N x 3 x H x W to N log odds: captum looks at what passes between them."""

    def __init__(self, network: GoogLeNet, layer: str):
        super().__init__()
        index = next((one.index for one in network.layers if one.name == layer), 0)
        first, rest = network.layers[:index], network.layers[index:]
        taken = {name for one in rest for name in one.inputs} & {one.name for one in first}
        if taken != {layer} or CLASSIFIER not in {one.name for one in rest}:
            raise MapError(
                f"no activation map of layer {layer!r}: choose one where a single tensor flows, such as "
                "pool2-3x3_s2 or the output of an inception block"
            )
        modules = (network.learnable, network.normalisations)
        self.before = Section(first, *modules, dropout=network.dropout, frozen=True)
        self.after = Section(rest, *modules, dropout=network.dropout, frozen=True)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.after(self.before(x))
        return logits[:, 1] - logits[:, 0]


def gradient_maps(network: GoogLeNet, images: Tensor, layer: str) -> Tensor:
    """What each place of an earlier layer adds to the log odds of "positive", to first order (Grad-CAM).

    Selvaraju et al. 2017, ICCV, as captum computes it: channels weighted by the mean gradient over places.
    The sign is kept, so that reasons for "negative" can be seen too. At the last inception block it is the
    closed form without its bias, divided by the number of places; further down it is an approximation, and
    its scale means nothing. The network's parameters are not changed.

    Arguments and values are as for ``class_activation_maps``, and ``layer`` is MATLAB's name of a layer where
    a single tensor flows (``inception_4e-output``).

    Raises:
        MapError: another number of classes, a layer inside a block, or captum is not installed.
    """
    try:
        from captum.attr import LayerGradCam
    except ImportError:
        raise MapError("earlier layers' maps need captum: `pip install -e '.[book]'` in the clone") from None
    _two_classes(network)
    halves = _LogOdds(network, layer)
    x = network.preprocess(images.to(network.device))
    maps = LayerGradCam(halves, halves.before).attribute(x, attr_dim_summation=True)
    return maps.detach()[:, 0].cpu()


def on_fields(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Stretch maps, N x h x w, bilinearly over fields of height and width in pixels: N x height x width."""
    return functional.interpolate(maps[:, None], tuple(size), mode="bilinear", align_corners=False)[:, 0]


def maps_of_tested(
    networks: Sequence[GoogLeNet], images: Tensor, row: IntArray, fold: IntArray, layer: str = LAST_MAP
) -> Tensor:
    """The map of each image by the network that was tested on it, which never trained on its specimen.

    Args:
        networks: one a fold.
        images: uint8, N x 3 x H x W, all of the database.
        row: rows of the images to explain, in any order; the maps come in the same one.
        fold: number of the fold that tested each of them, likewise.
        layer: ``LAST_MAP`` for the closed form, an earlier layer for Grad-CAM.
    """
    found: dict[int, Tensor] = {}
    for number in np.unique(fold):
        rows = np.asarray(row)[np.asarray(fold) == number].tolist()
        explained = networks[int(number)], images[rows]
        maps = class_activation_maps(*explained) if layer == LAST_MAP else gradient_maps(*explained, layer)
        found |= dict(zip(rows, maps, strict=True))
    return torch.stack([found[one] for one in np.asarray(row).tolist()])
