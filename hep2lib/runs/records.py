"""A run's records: what chapters 3 to 5 are executed again from, without training, images or network.

- A run keeps tables in ``RUN/records``: what the database says of its images, all scores of its trainings,
  areas and losses of all its SVMs, and the scores of those that validation prefers: no others are asked for.
  What a page takes from images or networks it keeps there itself (``Publication.kept``).
- ``hep2 publish`` takes the folder along and seals it (``seal``). A run whose records are sealed was made
  from them (``hep2 run --from-published``): ``run.RecordedRun`` takes the outcomes of the studies from the
  tables, and refuses what needs images or training.
- Numbers are written with all their digits, so that what is read is what was written; scores of networks are
  float32. What is published again differs only where another processor sums in another order.
- Pages of such a run name the code that their records were computed by (``freshness.record``): they are fresh
  only as long as that is today's.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hep2lib.data.folds import Fold
from hep2lib.errors import InputError, some
from hep2lib.files import file_digest, write_bytes, write_json, write_text
from hep2lib.runs.freshness import RECORDS, SEAL
from hep2lib.studies.outcomes import FineTuningOutcome, SVMOutcome
from hep2lib.studies.trial import FineTuningTrial, Record

PAGES = ("03-fine-tuning", "04-svm", "05-results")  # what can be executed from records
REAL = "a run of its own computes it (`hep2 run`, without --from-published)"
PARTS, CSV = ("validation", "test"), ".csv.gz"
OUTCOME = ("diverged", "seconds", "device")  # of a training
PATH, FITTED = ["layer", "fold"], ["gap", "seconds"]  # what a path of SVMs is of, and what it came to

README = """# What these files hold

The records of the run in the folder above. `hep2 run --from-published` executes chapters 3 to 5 again from
them, without training. `pandas.read_csv` opens each `.csv.gz`. A `row` is an image: its line in
`database.csv.gz`, counted from 0. Folds are counted from 0 too, in `folds.csv` from 1.

- `database.csv.gz`, a line an image: what the database says of it (`label` 1: positive), and `width`,
  `height` (pixels) and `format` of its file.
- `folds.csv`, a line an image in a fold: whether it is in its `part` train, validation or test.
- `trainings.csv.gz`, a line a training: its number, its `kind` (search, with what follows; batchnorm), its
  settings, `diverged`, `seconds`, and the `loss` of each epoch (empty: it ended before).
- `training-scores.csv.gz`, a line an image of a `part` in a training: P(positive) after each epoch, float32.
- `svm.csv.gz`, a line a `layer`, `fold` and `value` of C (or lambda: `regularisation`): the areas of both
  parts, the mean hinge loss on validation, and the layer's and fold's largest duality `gap` and `seconds`.
  `way`: empty for the study itself, `restarted` and a number for other random weights.
- `svm-scores.csv.gz`, a line an image of a `part` in a fold: its margin `score`, for the values that
  validation prefers, each layer's over all folds and each fold's own.
- `NN-PAGE-NAME.csv.gz`: what a page took from images or networks. A column is an image (its row), a line a
  value in C order; the first header says type and shape.
- `about.json`, `weights.json`: database, network, weights and device. `records.json`: each file's sha256.
"""


class RecordsError(InputError):
    """Records that are not there or not what was written, or something that they do not hold."""


def keep(
    run: Path,
    database: pd.DataFrame,
    tunings: Mapping[str, FineTuningOutcome],
    svms: Mapping[str, SVMOutcome],
    about: Mapping[str, Any],
) -> None:
    """Write the tables of a run's studies into its folder.

    Args:
        run: its folder.
        database: one line an image, without paths.
        tunings: fine-tuning studies by kind.
        svms: SVM studies by the way they were done, "" for the study itself.
        about: what else a run that is made from them has to know.
    """
    trainings: list[dict[str, Any]] = []
    scores, tables, margins = [], [], []
    for kind, outcome in tunings.items():
        for record in outcome.records:
            number, epochs = len(trainings), record["epochs"]
            more = {name: record[name] for name in OUTCOME}
            more |= {f"loss {epoch['epoch']}": epoch["loss"] for epoch in epochs}
            trainings.append({"training": number, "kind": kind} | record["trial"] | more)
            for part in PARTS:
                rows = getattr(outcome.folds[record["trial"]["fold"]], part)
                own = {f"epoch {epoch['epoch']}": epoch[part] for epoch in epochs}
                scores.append(pd.DataFrame({"training": number, "part": part, "row": rows} | own))
    of_epochs = pd.concat(scores, ignore_index=True)
    of_epochs = of_epochs.astype({n: np.float32 for n in of_epochs if str(n).startswith("epoch ")})
    for way, study in svms.items():
        fits = pd.DataFrame([one["trial"] | one for one in study.records])
        table = study.table().merge(fits[[*PATH, *FITTED]], on=PATH, how="left")
        tables.append(table.assign(way=way, regularisation=study.regularisation))
        preferred = {(c.layer, c.value): c for c in (*map(study.best, study.layers), *study.nested())}
        for (layer, value), choice in preferred.items():
            for part in PARTS:
                of_part = study.scores(choice, part).drop(columns="label")
                margins.append(of_part.assign(way=way, layer=layer, value=value, part=part))
    found = {"database": database, "trainings": pd.DataFrame(trainings), "training-scores": of_epochs}
    for name, table in (found | {"svm": pd.concat(tables), "svm-scores": pd.concat(margins)}).items():
        _write(run, name, table)
    write_json(run / RECORDS / "about.json", about)


def _write(run: Path, name: str, table: pd.DataFrame, **options: Any) -> None:
    text = table.to_csv(index=bool(options), lineterminator="\n", **options)
    packed = gzip.compress(text.encode(), mtime=0)  # without the time: of the same table the same bytes
    write_bytes(run / RECORDS / f"{name}{CSV}", packed)


def _read(run: Path, name: str, **options: Any) -> pd.DataFrame:
    return pd.read_csv(run / RECORDS / f"{name}{CSV}", compression="gzip", **options)


def write_array(run: Path, name: str, rows: Sequence[int], array: NDArray) -> None:
    """Keep an array whose first axis is these rows of the database: a column an image."""
    shape = "x".join(map(str, array.shape[1:])) or "1"
    table = pd.DataFrame(array.reshape(len(rows), -1).T, columns=list(rows))
    _write(run, name, table, index_label=f"{array.dtype} {shape}")


def read_array(run: Path, name: str, rows: Sequence[int]) -> NDArray:
    """What ``write_array`` kept of these rows of the database, in this order.

    Raises:
        RecordsError: if nothing was kept under this name, or not of one of these rows.
    """
    try:
        table = _read(run, name, index_col=0)
        array = table[[str(row) for row in rows]].to_numpy().T
    except FileNotFoundError:
        raise RecordsError(f"{run}: its records hold no {name}; {REAL}") from None
    except KeyError:
        asked, kept = some(map(str, rows)), some(table.columns)
        told = f"its records hold {name} of images {kept}, not of {asked}"
        raise RecordsError(f"{run}: {told}; {REAL}") from None
    dtype, shape = str(table.index.name).split()
    inner = () if shape == "1" else tuple(int(size) for size in shape.split("x"))
    return np.ascontiguousarray(array, dtype=dtype).reshape(len(rows), *inner)


def read_images(run: Path) -> pd.DataFrame:
    """The database's table, with ``width``, ``height`` and ``format`` in place of ``path``."""
    table = _read(run, "database", dtype=str, keep_default_na=False)
    numbers = {"label": np.int8, "width": float, "height": float, "age": float}
    for name in table.columns.intersection(list(numbers)):
        table[name] = pd.to_numeric(table[name]).astype(numbers[name])
    table.attrs = read_about(run)["database"]
    return table


def read_about(run: Path) -> dict[str, Any]:
    """What ``keep`` was told besides."""
    return json.loads((run / RECORDS / "about.json").read_text(encoding="utf-8"))


def read_tunings(run: Path, labels: NDArray, folds: Sequence[Fold]) -> dict[str, FineTuningOutcome]:
    """The fine-tuning studies by kind: "search", and "batchnorm" where there was one."""
    trainings, scores = _read(run, "trainings"), _read(run, "training-scores")
    parts = dict(iter(scores.groupby(["training", "part"])))
    found: dict[str, list[Record]] = {}
    for row in trainings.to_dict("records"):
        losses = {name[5:]: row[name] for name in row if name.startswith("loss ") and pd.notna(row[name])}
        own = {part: parts[row["training"], part] for part in PARTS}
        record = {name: row[name] for name in OUTCOME}
        record["trial"] = {field.name: row[field.name] for field in fields(FineTuningTrial)}
        record["epochs"] = [
            {"epoch": int(number), "loss": loss}
            | {part: own[part][f"epoch {number}"].to_numpy(np.float32).astype(float) for part in PARTS}
            for number, loss in losses.items()
        ]
        found.setdefault(row["kind"], []).append(record)
    return {kind: FineTuningOutcome(records, labels, folds) for kind, records in found.items()}


def read_svms(run: Path, labels: NDArray, folds: Sequence[Fold]) -> dict[str, SVMOutcome]:
    """The SVM studies by the way they were done; "" is the study itself."""
    tables, scores = (_read(run, name, keep_default_na=False) for name in ("svm", "svm-scores"))
    by_fold = ["way", "layer", "fold", "value", "part"]
    margins = {key: part["score"].to_numpy() for key, part in scores.groupby(by_fold)}
    found = {}
    for (way, reading), table in tables.groupby(["way", "regularisation"], sort=False):
        records: list[Record] = []
        for (layer, fold), own in table.groupby(PATH, sort=False):
            values, (gap, seconds) = own["value"].tolist(), own[FITTED].iloc[0]
            trial = {"layer": layer, "fold": fold, "values": values, "regularisation": reading}
            record = {
                part: [margins.get((way, layer, fold, value, part)) for value in values] for part in PARTS
            }
            gap = None if gap == "" else float(gap)
            records.append({"trial": trial, "gap": gap, "seconds": seconds} | record)
        known = table.drop(columns=[*FITTED, "way", "regularisation"]).reset_index(drop=True)
        found[way] = SVMOutcome(records, labels, folds, known)
    return found


def seal(records: Path) -> None:
    """Describe a folder of records, and write a checksum of each of its files."""
    write_text(records / "README.md", README)
    files = sorted(file for file in records.iterdir() if file.name != SEAL)
    write_json(records / SEAL, {file.name: file_digest(file) for file in files})


def check_seal(run: Path) -> None:
    """Refuse records that are not what was published.

    Raises:
        RecordsError: naming the files.
    """
    try:
        sums: dict[str, str] = json.loads((run / RECORDS / SEAL).read_text(encoding="utf-8"))
        files = {run / RECORDS / name: digest for name, digest in sums.items()}
        wrong = [file.name for file in files if not file.is_file() or file_digest(file) != files[file]]
    except (ValueError, TypeError, AttributeError):
        wrong = [SEAL]
    if wrong:
        raise RecordsError(
            f"{run / RECORDS}: {some(wrong)}: not what was published; take book/run from the repository "
            "again, then make the run anew in another folder (`hep2 run --from-published`)"
        )
