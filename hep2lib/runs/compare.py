"""Runs side by side: what was set otherwise, what came out otherwise; no difference between other images.

- Runs are called A, B, C, ...; a difference is A minus another run. It is formed only where both had the same
  images: one checksum of contents, labels and specimens, or one simulator, its parameters and seed.
- Numbers are the same up to 1e-9. Where processor, device or a library is another, or nobody knows, those up
  to ``ROUNDING`` apart are the same but for rounding, within texts too; whole numbers have to be equal.
- A difference of AUCs has an interval by specimen, from scores that both runs kept of the same test images.
- Times, and values that measure the machine (``MACHINE``), are not compared.
"""

import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PureWindowsPath
from string import ascii_uppercase
from typing import Any

import pandas as pd
import yaml

from hep2lib.data.folds import read_folds
from hep2lib.errors import InputError, counted, printable, some
from hep2lib.evaluation.auc import ScoreError, auc_interval, compare_auc, difference_across_folds
from hep2lib.evaluation.baselines import run_baselines
from hep2lib.evaluation.scores import run_strategies
from hep2lib.figures.style import typeset
from hep2lib.files import file_digest
from hep2lib.runs import records
from hep2lib.runs.freshness import recorded
from hep2lib.runs.parameters import MAY_DIFFER
from hep2lib.runs.publish import MISSING, read_pages

SAME, ROUNDING = 1e-9, 0.002
"""How far apart numbers may be; those above 1 as a share of the larger one."""

EVIDENCE = "one run that was made on two processors had 7 of 92 values that differed, by 0.0018 at most"

MACHINE = ("cost.", "cnn.worst_agreement")
"""How names of values begin that measure the machine: its seconds, its rounding."""

MEANING = ("bits", "image_size", "aspect", "colour", "folds", "variant", "weights.used", "svm_regularisation")
"""Parameters and facts that give values another meaning: how images are read, what network, what C is."""

_RESULTS = re.compile(r"fine-tuning|SVM(, by fold)?$|freeze|hand-made|mean green")
_FACTS = ("profile", "database", "weights", "made from", "device", "processor", "versions", "commit")
_ROUNDED_BY = ("device", "processor", "versions.")
_PATHS = ("data", "sheet", "images", "weights")  # what lies there is known by its checksum
_MARKS = r"[\\`*<>|$\[\]]"  # a renderer drops those of an alt text even where they are escaped
_NUMBER = re.compile(r"([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)( ?%| points)?")


@dataclass(frozen=True, eq=False)
class _Side:
    """What is compared of a run, by name."""

    title: str
    folder: Path
    parameters: dict[str, Any]
    facts: dict[str, Any]  # what run.json says
    pages: dict[str, dict[str, Any]]
    values: dict[str, Any]
    scores: dict[str, pd.DataFrame]  # of test images, by the images' names


def compare(runs: Sequence[tuple[str, Path]], *, everything: bool = False) -> dict[str, Any]:
    """Compare the first run with the others.

    Args:
        runs: what each is called, and its folder; what it lacks is said.
        everything: whether what is the same is listed too.

    Returns:
        As JSON can hold it, by the labels A, B, ...: ``runs``; ``summary`` and ``notes``, in words; why some
        are ``not comparable``; ``facts`` of run.json and ``parameters`` that differ; ``results``, test AUCs
        with intervals and differences; ``values`` (``is``: same, rounding, differs, missing) likewise; the
        names of those ``not compared``; ``figures`` of two runs that are other files.

    Raises:
        InputError: if a run cannot be read, or runs are too many.
    """
    if len(runs) > len(ascii_uppercase):
        raise InputError(f"{len(runs)} runs: compare {len(ascii_uppercase)} at most")
    read = {folder: _read(title, folder) for title, folder in runs}
    sides = {label: read[folder] for label, (_, folder) in zip(ascii_uppercase, runs, strict=False)}
    a = sides["A"]
    reasons = {label: _other_images(a, side) for label, side in sides.items() if label != "A"}
    paired = [label for label, why in reasons.items() if not why]
    names = {n: page for side in sides.values() for page, own in side.pages.items() for n in own["values"]}
    values = {}
    for name in [name for name in names if not name.startswith(MACHINE)]:
        held = {label: side.values[name] for label, side in sides.items() if name in side.values}
        numbers = "A" in held and all(type(value) in (int, float) for value in held.values())
        less = {at: held["A"] - held[at] for at in paired if numbers and at in held}
        kind = _kind(name, a, [*sides.values()][1:])
        values[name] = {"page": names[name], "is": kind, "values": held, "difference": less}
    found: dict[str, Any] = {
        "runs": {label: {"run": side.title, "chapters": [*side.pages]} for label, side in sides.items()},
        "not comparable": {label: why for label, why in reasons.items() if why},
        "facts": _unlike({label: side.facts for label, side in sides.items()}, everything),
        "parameters": _unlike({label: side.parameters for label, side in sides.items()}, everything),
        "results": _results(sides, paired),
        "values": {name: row for name, row in values.items() if everything or row["is"] != "same"},
        "not compared": [name for name in names if name.startswith(MACHINE)],
        "figures": _figures(a, sides["B"]) if len(sides) == 2 else {},
        "summary": _summary(values, paired),
    }
    return found | {"notes": [*_notes(found, sides, everything)]}


def _read(title: str, folder: Path) -> _Side:
    told = []
    for file in (folder / "parameters.yaml", folder / "run.json"):
        try:
            told.append(dict(yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}))
        except (OSError, ValueError, TypeError, yaml.YAMLError):
            raise InputError(f"{file}: cannot be read; restore it, or name another run") from None
    simulators = ("specimens",) if told[0].get("data") else ()  # nothing was simulated
    left_out = ("profile", *MAY_DIFFER, *simulators)
    settings = {name: value for name, value in told[0].items() if name not in left_out}
    facts = {name: told[1][name] for name in _FACTS if name in told[1]}
    pages = read_pages(folder)
    values = {name: entry["value"] for page in pages.values() for name, entry in page["values"].items()}
    return _Side(title, folder, _flat(settings), _flat(facts), pages, values, _scores(folder))


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and lists of mappings, as ``grids.1.epochs``; of a path its last part."""
    if isinstance(tree, list) and any(isinstance(part, dict) for part in tree):
        tree = dict(enumerate(tree, start=1))
    if isinstance(tree, dict):
        parts = [_flat(own, f"{name}.{part}".strip(".")) for part, own in tree.items()]
        return {leaf: value for part in parts for leaf, value in part.items()}
    path = PureWindowsPath(str(tree) if name in _PATHS else "")
    return {name: path.name if path.anchor else tree}


def _scores(folder: Path) -> dict[str, pd.DataFrame]:
    """Test scores by the result's name, from a run's records; none if it has none that can be read."""
    try:
        database = records.read_images(folder)
        file = folder / "folds.csv"
        folds = read_folds(file if file.is_file() else folder / records.RECORDS / file.name, database)
        of_run = folder, database["label"].to_numpy(), folds
        tunings, svms = records.read_tunings(*of_run), records.read_svms(*of_run)
        found = run_strategies(tunings["search"], svms[""], database, each_layer=False)
        if (folder / records.RECORDS / f"05-results-hand-made{records.CSV}").is_file():
            features = records.read_array(folder, "05-results-hand-made", range(len(database)))
            found |= run_baselines(database, features, folds)
        tables = {name: one.by_row() for name, one in found.items() if _RESULTS.match(name)}
        images = database["image"].to_numpy()
        return {n: one.set_index(images[one["row"]]).sort_index() for n, one in tables.items()}
    except (OSError, EOFError, zlib.error, LookupError, TypeError, ValueError, InputError):
        return {}


def _other_images(a: _Side, other: _Side) -> str:
    """Why no difference is formed between two runs; "" if they had the same images."""
    names = [f"database.{name}" for name in ("sha256", "images", "specimens", "name", "simulation")]
    both: list[Any] = [[side.facts.get(name) for name in names] for side in (a, other)]
    one, two = both
    for side, facts in ((a, one), (other, two)):
        if None in facts[:3]:
            return f"run.json of {side.title} does not say what images it had"
    if one[0] == two[0] or (one[4] and one[1:] == two[1:]):
        return ""
    words = [f"{counted(n, 'image')} of {counted(of, 'specimen')}, {name}" for _, n, of, name, _ in both]
    return f"other images ({words[0]}; {words[1]})"


def _unlike(trees: Mapping[str, Mapping[str, Any]], everything: bool) -> dict[str, dict[str, Any]]:
    """What is not the same everywhere, by name, in the order of the files; first what ``MEANING`` lists."""
    names = dict.fromkeys(name for tree in trees.values() for name in tree)
    ordered = sorted(names, key=lambda name: name not in MEANING)
    rows = {name: {label: tree.get(name) for label, tree in trees.items()} for name in ordered}
    return {n: row for n, row in rows.items() if everything or len(set(map(repr, row.values()))) > 1}


def _results(sides: Mapping[str, _Side], paired: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Test AUCs by name with their intervals, and the differences to A; last those without a network."""
    rows: dict[str, dict[str, Any]] = {}
    for label, side in sides.items():
        for name, own in side.scores.items():
            row = rows.setdefault(name, {"auc": {}, "interval": {}, "difference": {}})
            known = auc_interval(own["label"], own["score"], own["specimen"], fold=own["fold"])
            row["auc"][label], row["interval"][label] = known.estimate, [known.low, known.high]
            if label in paired and "A" in row["auc"]:
                less = row["auc"]["A"] - known.estimate
                row["difference"][label] = {"difference": less, **_interval(sides["A"].scores[name], own)}
    return dict(sorted(rows.items(), key=lambda row: row[0].startswith(("hand", "mean"))))


def _interval(a: pd.DataFrame, other: pd.DataFrame) -> dict[str, list[float]]:
    """The interval by specimen of a difference of AUCs; none where they are of other test images."""
    shared = ["label", "specimen"]
    if not a[shared].equals(other[shared]):
        return {}
    both = a["label"], a["score"], other["score"], a["specimen"]
    try:
        if not a["fold"].equals(other["fold"]):
            return {"interval": [*difference_across_folds(*both, (a["fold"], other["fold"]))]}
        own = compare_auc(*both, fold=a["fold"])
        return {"interval": [own.low, own.high]}
    except ScoreError:  # too few specimens
        return {}


def _kind(name: str, a: _Side, others: Sequence[_Side]) -> str:
    """What a value is in all runs: same, rounding, differs, or missing in one."""
    if not all(name in side.values for side in (a, *others)):
        return "missing"
    kind = "same"
    for side in others:
        if (apart := _apart(a.values[name], side.values[name])) > SAME:
            by = [{n: v for n, v in one.facts.items() if n.startswith(_ROUNDED_BY)} for one in (a, side)]
            if apart > ROUNDING or (by[0] == by[1] and "processor" in by[0]):
                return "differs"
            kind = "rounding"
    return kind


def _apart(one: object, other: object) -> float:
    """How far apart the numbers of two values are; infinitely, if words or whole numbers differ."""
    texts = [str(value).replace("−", "-").replace("\N{NO-BREAK SPACE}", " ") for value in (one, other)]
    words = [_NUMBER.sub(r"#\2", text) for text in texts]
    if words[0] != words[1]:
        return float("inf")
    apart = 0.0
    for pair in zip(*map(_NUMBER.finditer, texts), strict=True):
        x, y = (float(found[1].replace(",", "")) * (0.01 if found[2] else 1) for found in pair)
        whole = not all(re.search("[.e]", found[1]) for found in pair)
        apart = max(apart, float("inf") if whole and x != y else abs(x - y) / max(1, abs(x), abs(y)))
    return apart


def _figures(a: _Side, b: _Side) -> dict[str, dict[str, Any]]:
    """The figures of two runs that are not the same files, in the order of the chapters."""
    other = {name: about for page in b.pages.values() for name, about in page["figures"].items()}
    rows = {}
    for page, content in a.pages.items():
        for name, about in content["figures"].items():
            files = [side.folder / "figures" / f"{name}.png" for side in (a, b)]
            if name in other and all(map(Path.is_file, files)) and len({*map(file_digest, files)}) > 1:
                alt, captions = ([one[key] for one in (about, other[name])] for key in ("alt", "caption"))
                both = f"A: {captions[0]} B: {captions[1]}"
                caption = captions[0] if captions[0] == captions[1] else both
                rows[name] = {"page": page, "caption": caption, "alt": alt}
    return rows


def _summary(values: Mapping[str, Mapping[str, Any]], paired: Sequence[str]) -> str:
    """The comparison in a sentence or two."""
    if not paired:
        return "Not comparable, so no difference is formed: the columns only stand side by side."
    kinds = [row["is"] for row in values.values()]
    if set(kinds) == {"same"}:
        return f"No value differs: all {len(kinds):,} are the same."
    held = [[*row["values"].values()] for row in values.values() if row["is"] == "rounding"]
    most = max((_apart(a, other) for a, *others in held for other in others), default=0)
    words = {"same": "the same", "rounding": "the same but for rounding"}
    words |= {"differs": "different", "missing": "not in every run"}
    parts = [f"{kinds.count(kind):,} {said}" for kind, said in words.items() if kind in kinds]
    why = (
        f" Rounding here is {typeset(most, '.2g')} at most. Up to {ROUNDING} is taken for it where "
        f"processor, device and libraries are not known to be the same: {EVIDENCE}."
    )
    return f"{counted(len(kinds), 'value')}: {', '.join(parts)}.{why * bool(held)}"


def _notes(found: Mapping[str, Any], sides: Mapping[str, _Side], everything: bool) -> Iterator[str]:
    """What a reader has to know besides."""
    yield f"Compared: {'; '.join(f'{label} is {side.title}' for label, side in sides.items())}."
    for label, why in found["not comparable"].items():
        yield f"{label} is not comparable with A: {why}."
    pages = sorted({page for side in sides.values() for page in side.pages})
    for label, side in sides.items():
        if missing := [page for page in pages if page not in side.pages]:
            how = "" if recorded(side.folder) else f"; hep2 run {side.title} goes on with it"
            yield f"{label} has no chapter {', '.join(missing)}{how}."
        if not side.scores:
            yield f"{label} has no records that can be read, so no test AUCs but those among the values."
        if lacks := [name for name, row in found["values"].items() if label not in row["values"]]:
            chapters = sorted({row["page"] for name, row in found["values"].items() if name in lacks})
            few = f"{len(lacks)} values of {', '.join(chapters)} (option --all names them)"
            yield f"Not in {label}: {', '.join(lacks) if everything or len(lacks) < 6 else few}."
    differ = [
        [name for name, row in found[kind].items() if len({*map(repr, row.values())}) > 1]
        for kind in ("parameters", "facts")
    ]
    if meaning := [name for name in (*differ[0], *differ[1]) if name in MEANING]:
        yield f"Values may mean something else, since these differ: {', '.join(meaning)}."
    if not differ[0]:
        yield "No parameter differs."
    yield f"Not compared, each machine's own: {', '.join(['seconds', *found['not compared']])}."


def _tables(found: Mapping[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    """Title and rows of each table that is not empty, the first row being its header."""
    labels, results = [*found["runs"]], []
    values: dict[str, list[list[str]]] = {}
    paired = [label for label in labels[1:] if label not in found["not comparable"]]
    for name, row in found["results"].items():
        cells = [typeset(row["auc"][at], ".3f") if at in row["auc"] else MISSING for at in labels]
        for less in map(row["difference"].get, paired):
            both = " to ".join(typeset(end, "+.3f") for end in (less or {}).get("interval", ()))
            cells.append(typeset(less["difference"], "+.3f") + f" ({both})" * bool(both) if less else MISSING)
        results.append([name, *cells])
    for name, row in found["values"].items():
        cells = [_brief(row["values"].get(at)) for at in labels]
        less = row["difference"]
        cells += [typeset(less[at], "+.2g") if at in less else MISSING for at in paired]
        if len(row["values"]) > 1:  # what one run alone has is in the notes
            values.setdefault(f"Values of chapter {row['page']}", []).append([name, *cells])
    ends = "; differences with 95 % intervals by specimen" * bool(paired)
    nested = "; by fold: each fold chose on its own validation images alone (nested cross-validation)"
    ends += nested * any("by fold" in name for name in found["results"])
    tables = {f"Test AUC: mean of the folds; 0.5 is a random guess{ends}": results}
    for title, kind in (("Parameters", "parameters"), ("Conditions", "facts")):
        rows = found[kind].items()
        tables[title] = [[n, *(_brief(row[at], [*row.values()]) for at in labels)] for n, row in rows]
    head = ["", *labels, *(f"A − {label}" for label in paired)]
    for title, body in (tables | values).items():
        if body:
            yield title, [head[: len(body[0])], *body]


def _brief(value: Any, others: Sequence[Any] = ()) -> str:
    """A value in a cell; of a long list how many it has, and one that is not in every run."""
    if value is None or value == "" or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return typeset(value, ".4g" if isinstance(value, float) else ",")
    if not isinstance(value, list):
        return re.sub(r"^([0-9a-f]{12})[0-9a-f]{28,}", r"\1", str(value))
    text = ", ".join(map(_brief, value))
    own = [_brief(one) for one in value if any(one not in (other or ()) for other in others)]
    more = f" (not in every run: {some(own, 1)})" * bool(own)
    return text if len(text) < 60 else f"{len(value)} values{more}"


def as_text(found: Mapping[str, Any], width: int = 80) -> str:
    """A comparison as a terminal of ``width`` columns shows it."""
    lines = [line for text in (found["summary"], *found["notes"]) for line in textwrap.wrap(text, width)]
    for title, rows in _tables(found):
        sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
        while sum(sizes) + 2 * len(sizes) - 2 > width and max(sizes) > 8:
            sizes[max(range(len(sizes)), key=lambda at: sizes[at] / (2 - bool(at)))] -= 1
        lines += ["", *textwrap.wrap(title, width)]
        for row in rows:
            cells = [textwrap.wrap(cell, size) for cell, size in zip(row, sizes, strict=True)]
            for parts in zip_longest(*cells, fillvalue=""):
                padded = (part.ljust(size) for part, size in zip(parts, sizes, strict=True))
                lines.append("  ".join(padded).rstrip())
    return printable("\n".join(lines))


def as_markdown(found: Mapping[str, Any], figures: Sequence[str]) -> str:
    """A comparison as Markdown, which is MyST too; ``figures`` are the folders of those of A and of B."""
    blocks, chapter = [*map(_escaped, (found["summary"], *found["notes"]))], ""
    for title, (columns, *rows) in _tables(found):
        cells = ([name if title[:4] == "Test" else f"`{name}`", *map(_escaped, row)] for name, *row in rows)
        lines = (f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *cells))
        head, _, more = title.partition(": ")
        blocks += [f"## {head}", *[f"{more.capitalize()}."] * bool(more), "\n".join(lines)]
    for name, row in found["figures"].items():
        if row["page"] != chapter:
            blocks.append(f"## Figures of chapter {(chapter := row['page'])}")
        both = zip(row["alt"], figures, strict=True)
        pair = [f"![{re.sub(_MARKS, '', alt)}](<{folder}/{name}.png>)" for alt, folder in both]
        blocks += [f"**{_escaped(row['caption'])}**", f"| A | B |\n|---|---|\n| {' | '.join(pair)} |"]
    return "\n\n".join(blocks) + "\n"


def _escaped(text: str) -> str:
    """Text as Markdown; an option as code, where two hyphens are not made a dash."""
    text = re.sub(r"([\\`*_{}\[\]<>|#$~&])", r"\\\1", re.sub(r"[\r\n]+", " ", text))
    return re.sub(r"(?<!\S)--[\w-]+", r"`\g<0>`", text)
