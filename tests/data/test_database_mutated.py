"""Hundreds of good databases, mutated at random: the truth is read, or what differs from it is said.

Each seed takes one of four good databases and does one to three things to it that people, programs and
machines do (``mutations.py``). Then either the table is the truth; or one error names what was touched; or
the report names what is not as it was. There is never a traceback, never a library's own word on the screen,
and never another label or brightness than the true one.

A seed alone: ``pytest tests/data/test_database_mutated.py -k "seed_17-"``; more: ``HEP2_MUTANTS=5000``.
"""

import contextlib
import inspect
import io
import logging
import os
import re
import tempfile
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hep2lib.cli import main
from hep2lib.data.database import read_database
from hep2lib.data.images import load_images
from hep2lib.data.report import DatabaseReport, describe
from hep2lib.errors import DatabaseError
from tests.data.mutants import GOOD, Database, Field
from tests.data.mutations import KEEPING, MUTATIONS

COUNT = int(os.environ.get("HEP2_MUTANTS", "500"))
QUICK = range(0, 500, 20)  # these seeds are tried whenever the tests are; the others are slow
SIDE = 24  # pixels to which pictures are resized before they are compared
EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Warning)\b|Traceback|<[\w.]+ object|object at 0x")


def mutant(seed: int) -> Database:
    """Make the database of a seed.

    Its first mutation goes round all of them, so that each has its turn. The others are mostly such as keep
    the meaning, because a refusal for one fault would hide what becomes of another.
    """
    rng = np.random.default_rng(seed)
    names = sorted(MUTATIONS)
    for kind in rng.permutation(sorted(GOOD)):
        db = GOOD[str(kind)](rng)
        if MUTATIONS[names[seed % len(names)]](db, rng) is not None:
            break
    wanted = rng.choice([1, 2, 3], p=[0.4, 0.3, 0.3])
    for name in rng.permutation(KEEPING if rng.random() < 0.7 else names):
        if len(db.story) >= wanted:
            break
        MUTATIONS[str(name)](db, rng)
    parameters = inspect.signature(read_database).parameters
    db.options = {name: value for name, value in db.options.items() if name in parameters}
    return db


@dataclass
class Outcome:
    """What came of reading a database, and all that was printed while it was read."""

    error: str = ""
    crash: str = ""
    printed: str = ""
    table: pd.DataFrame | None = None
    report: DatabaseReport | None = None
    pictures: np.ndarray = field(default_factory=lambda: np.empty(0))


@contextlib.contextmanager
def overheard(outcome: Outcome) -> Iterator[None]:
    """Note what would stand on a person's screen: Python's stderr and the process's, warnings, logging."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []  # pytest's own, which would keep logging off the screen
    with (
        tempfile.TemporaryFile() as file,
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stderr(io.StringIO()) as stream,
    ):
        warnings.resetwarnings()
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            root.handlers = handlers
            file.seek(0)
            found = [stream.getvalue(), file.read().decode(errors="replace")]
            outcome.printed = "".join([*found, *(f"{w.category.__name__}: {w.message}" for w in caught)])


def read(root: Path, options: dict[str, object]) -> Outcome:
    """Read and describe a database as ``hep2 data`` does, and decode its images as a study does."""
    outcome = Outcome()
    with overheard(outcome):
        try:
            outcome.table = read_database(root, **options)  # type: ignore[arg-type]  # what a person gives
            outcome.report = describe(outcome.table)
            if outcome.report.usable:
                outcome.pictures = load_images(outcome.table, SIDE).numpy().transpose(0, 2, 3, 1)
            else:
                outcome.error = "\n".join((*outcome.report.problems, *outcome.report.warnings))
        except DatabaseError as error:
            outcome.error = str(error) or "(an empty message)"
        except Exception:
            outcome.crash = traceback.format_exc(limit=-3)
    return outcome


def normal(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def mentions(text: str, mark: str) -> bool:
    """Say whether a text names something, as a whole word where it is short."""
    mark, text = normal(mark).casefold(), normal(text).casefold()
    shown = {mark, repr(mark)[1:-1], mark.replace("\\", "\\\\")}
    return any(
        re.search(rf"(?<!\w){re.escape(m)}(?!\w)", text) if len(m) < 9 else m in text for m in shown if m
    )


def refused(db: Database, message: str) -> Iterator[str]:
    """Judge an error."""
    if EXCEPTION.search(message) and not any(EXCEPTION.search(mark) for mark in db.marks):
        yield f"the message shows an exception's name: {message}"
    if db.keeps:
        yield f"refused, though nothing has changed its meaning: {message}"
    elif not any(mentions(message, mark) for mark in db.marks):
        yield f"the message names nothing that was touched ({sorted(db.marks)[:20]}): {message}"
    if db.blamed == 1:
        yield from (
            f"the message does not say {p}: {message}" for p in db.explains if not re.search(p, message)
        )
    for pattern in db.never:
        if re.search(pattern, message):
            yield f"not true ({pattern}): {message}"
            break


def alike(found: np.ndarray, truth: np.ndarray) -> bool:
    """Compare a decoded picture with the true one, but for rounding and the loss of a good JPEG."""
    true = np.asarray(Image.fromarray(truth).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)
    difference = found.astype(float) - true
    return bool(np.abs(difference.mean(axis=(0, 1))).max() < 1.5 and np.abs(difference).mean() < 5)


def scaled(found: np.ndarray, truth: np.ndarray) -> bool:
    """Say whether a picture is the true one but for a factor."""
    true = np.asarray(Image.fromarray(truth).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)
    return bool(np.corrcoef(found.astype(float).ravel(), true.ravel())[0, 1] > 0.9)


def accepted(db: Database, root: Path, outcome: Outcome) -> Iterator[str]:
    """Judge a table."""
    table, report = outcome.table, outcome.report
    assert table is not None
    assert report is not None
    said = "\n".join(report.warnings)
    folder = (root / db.folder).resolve()
    by_name = {one.file: one for one in db.fields}
    names = [Path(path).relative_to(folder).as_posix() for path in table["path"]]
    lost = [name for name in [*by_name, *db.extras] if name not in names]
    for name, row, pixels in zip(names, table.itertuples(), outcome.pictures, strict=True):
        if name in by_name and db.listed(by_name[name]):
            yield from of_field(by_name[name], row, pixels, said)
        elif not is_named(said, name, db, names) and not any(
            mentions(said, f) for f in name.split("/")[1:-1]
        ):
            yield f"{name}: let in without a word"
    spellings = (
        table["specimen"].groupby([by_name[n].specimen if n in by_name else n for n in names]).unique()
    )
    for specimen, spelt in spellings.items():
        if (
            len(spelt) > 1
            and specimen
            and not any(mentions(said, spelling) for spelling in (specimen, *spelt))
        ):
            yield f"specimen {specimen} has become {list(spelt)}, without a word"
    if len(set(names)) < len(names):
        yield f"let in twice: {sorted(name for name in set(names) if names.count(name) > 1)}"
    unnamed = [name for name in lost if not is_named(said, name, db, names)]
    pages = {name for name in unnamed if paged(db, name)}
    counted = any(re.search(rf"\b{len(n)} (image|row|file)s?\b", said) for n in (lost, unnamed))
    if unnamed and (pages or not counted):
        yield f"left out without a word: {unnamed}" + (" (nor is a page named)" if pages else "")
    for pattern in db.says:
        if not re.search(pattern, report.text()):
            yield f"nothing is said of it ({pattern})"


def of_field(one: Field, row: object, pixels: np.ndarray, said: str) -> Iterator[str]:
    label, specimen = int(row.label), str(row.specimen)  # type: ignore[attr-defined]  # a named tuple of pandas
    if label not in one.labels:
        truth = f"it is {sorted(one.labels)}" if one.labels else "nobody knows"
        yield f"{one.file}: label {label}, and {truth}"
    same = normal(specimen).removesuffix(".0") == normal(one.specimen)
    if not same and not any(mentions(said, spelling) for spelling in (specimen, one.specimen)):
        yield f"{one.file}: specimen {specimen!r} instead of {one.specimen!r}, without a word"
    if not any(alike(pixels, picture) for picture in one.pictures):
        if one.deep and re.search(r"\bbits?\b", said) and any(scaled(pixels, p) for p in one.pictures):
            return  # how many bits are used is doubtful, and it is said so
        means = [round(float(picture.mean()), 1) for picture in one.pictures]
        yield f"{one.file}: another picture, mean {pixels.mean():.1f} instead of {means}"


def paged(db: Database, name: str) -> list[str]:
    """List the titles of the pages that list an image."""
    return [title for title, rows in db.pages.items() for row in rows if row.field and row.field.file == name]


def is_named(said: str, name: str, db: Database, read: list[str]) -> bool:
    """Say whether an image is named: itself, a folder that holds no other, a rare ending, or its page."""
    if paged(db, name):
        return any(mentions(said, title) for title in paged(db, name))
    folders, _, last = name.rpartition("/")
    others = [other for other in [*(one.file for one in db.fields), *db.extras, *read] if other != name]
    alone = {last} - {other.split("/")[-1] for other in others}
    alone |= set(folders.split("/")) - {part for other in read if other != name for part in other.split("/")}
    suffix = Path(name).suffix
    common = (".png", ".jpg", ".bmp", ".tif")
    return any(mentions(said, mark) for mark in (name, *alone)) or (
        bool(suffix) and suffix.casefold() not in common and suffix in said
    )


def faults(db: Database, root: Path, command_line: bool) -> list[str]:
    """Write a database, read it, and list what is wrong with what came of it."""
    db.write(root)
    outcome = read(root, db.options)
    found = []
    if outcome.printed:
        found.append(f"printed on stderr: {outcome.printed}")
    if outcome.crash:
        found.append(f"a traceback: {outcome.crash}")
    elif outcome.error:
        found += refused(db, outcome.error)
    else:
        found += accepted(db, root, outcome)
    if command_line and not outcome.crash:
        found += typed(db, root, outcome)
    return found


def typed(db: Database, root: Path, outcome: Outcome) -> Iterator[str]:
    """Judge ``hep2 data``, which has to say the same."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in db.options.items()]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(["data", str(root), *options])
    output, error = out.getvalue(), err.getvalue()
    if code != (2 if outcome.error else 0):
        yield f"hep2 data ends with {code}: {error}"
    if bool(error) != bool(outcome.error) or (error and not error.startswith("hep2: ")):
        yield f"hep2 data prints on stderr: {error!r}"
    told = [] if outcome.report is None else outcome.report.warnings
    told = [re.sub(r"\b(bits|specimen_pattern)=", lambda o: f"--{o[1].replace('_', '-')} ", w) for w in told]
    if not all(normal(warning) in normal(output) for warning in told):
        yield f"hep2 data leaves out a warning: {output}"


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[] if seed in QUICK else pytest.mark.slow, id=f"seed_{seed}-")
        for seed in range(COUNT)
    ],
)
def test_mutants(seed: int, tmp_path: Path) -> None:
    db = mutant(seed)
    found = faults(db, tmp_path / "database", command_line=seed % 5 == 0)
    if found:
        story = "\n    ".join(
            [f"{db.layout} database, seed {seed}", *db.story, *map(str, db.options.items())]
        )
        pytest.fail("\n  ".join([story, *found]), pytrace=False)


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_databases_are_good(kind: str, tmp_path: Path) -> None:
    for seed in range(3):
        db = GOOD[kind](np.random.default_rng(seed))
        assert faults(db, tmp_path / str(seed), command_line=True) == []


def test_every_mutation_has_its_turn() -> None:
    told = {story.split(":")[0] for seed in range(2 * len(MUTATIONS)) for story in mutant(seed).story}
    assert set(MUTATIONS) - told == set()
    assert len(MUTATIONS) >= 40


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    db = GOOD["manifest"](np.random.default_rng(0))
    db.write(tmp_path / "database")
    sound = read(tmp_path / "database", {})
    table, report = sound.table, sound.report
    assert table is not None
    assert report is not None

    def judged(found: pd.DataFrame, pictures: np.ndarray) -> str:
        return "\n".join(accepted(db, tmp_path / "database", Outcome("", "", "", found, report, pictures)))

    assert judged(table, sound.pictures) == ""
    assert "label 0, and it is [1]" in judged(table.assign(label=[0, *table["label"][1:]]), sound.pictures)
    assert "left out without a word" in judged(table[1:], sound.pictures[1:])
    assert "another picture" in judged(table, 255 - sound.pictures)
    assert "another picture" in judged(table, sound.pictures[::-1])
    spelt = table.assign(specimen=["P1", *table["specimen"][1:]])
    assert "specimen P01 has become ['P1', 'P01'], without a word" in judged(spelt, sound.pictures)
    db.fields[0].labels = frozenset()
    assert "label 1, and nobody knows" in judged(table, sound.pictures)
    assert "nothing has changed its meaning" in "\n".join(refused(db, "manifest.csv, row 2: no"))
    db.blamed, db.marks = 1, {"row 2"}
    assert list(refused(db, "manifest.csv, row 2: no")) == []
    assert "names nothing" in "\n".join(refused(db, "manifest.csv, row 21: no"))
    assert "an exception's name" in "\n".join(refused(db, "row 2: KeyError('a')"))
