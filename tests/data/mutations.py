"""What people, programs and machines do to a database: functions that change one in memory.

Each returns what it did, in words, or None where it cannot be done to this database. It says what is still
true: ``labels``, ``specimen`` and ``pictures`` of the fields; ``marks``, of which an error has to name one;
``says``, what a report has to mention. ``keeps=True`` marks those after which everything can still be known,
so that a refusal is a fault, too.
"""

import csv
import datetime
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from tests.data.mutants import (
    SHEET,
    SUFFIX,
    Database,
    Field,
    Row,
    bmp,
    encoded,
    picture,
    png16,
    rare_tiff,
    tiff,
    word,
)

Mutation = Callable[[Database, Generator], str | None]
MUTATIONS: dict[str, Mutation] = {}
KEEPING: list[str] = []  # those after which everything can still be known
NOBODY_KNOWS: frozenset[int] = frozenset()
NEGATIVE, POSITIVE = frozenset([0]), frozenset([1])


def mutation(keeps: bool = False) -> Callable[[Mutation], Mutation]:
    """Register a mutation under its function's name."""

    def register(change: Mutation) -> Mutation:
        def done(db: Database, rng: Generator) -> str | None:
            marks, before = set(db.marks), [row for row in db.rows if row.touched]
            story = change(db, rng)
            if story is None:
                return None
            if keeps:
                db.marks = marks  # no error may name what anybody understands
            else:
                db.blamed += 1
                for row in db.rows:
                    row.blamed |= row.touched and row not in before
            db.story.append(f"{change.__name__}: {story}")
            return story

        MUTATIONS[change.__name__] = done
        if keeps:
            KEEPING.append(change.__name__)
        return change

    return register


def one_of(rng: Generator, things: Sequence[Any]) -> Any:
    return things[int(rng.integers(len(things)))]


def some_of(rng: Generator, things: Sequence[Any], most: int = 4) -> list[Any]:
    """Choose one to ``most`` of them, in their order."""
    count = min(len(things), int(rng.integers(1, most + 1)))
    return [things[k] for k in sorted(rng.choice(len(things), count, replace=False))]


def free(db: Database, column: str = "image") -> list[Row]:
    """List the rows that no mutation has touched, none where there is no such column."""
    return [row for row in db.rows if row.field is not None and not row.touched and column in db.headers]


def write_in(db: Database, row: Row, column: str, value: Any) -> None:
    row.cells[column] = value
    row.touched = True
    db.marks |= {str(db.headers[column]), *([str(value).strip()] if str(value).strip() else [])}


def relabelled(db: Database, rng: Generator, words: Sequence[tuple[Any, frozenset[int]]]) -> str | None:
    """Give a few rows other words, one kind of them."""
    value, labels = one_of(rng, words)
    rows = some_of(rng, free(db, "label")) if free(db, "label") else []
    for row in rows:
        assert row.field is not None
        write_in(db, row, "label", value)
        row.field.labels = labels
    return f"label {value!r} of {[row.field.file for row in rows]}" if rows else None


def all_labels(db: Database, negative: Any, positive: Any) -> str | None:
    if not free(db, "label"):
        return None
    for row in free(db, "label"):
        assert row.field is not None
        row.cells["label"] = word(row.field, negative, positive)
    db.marks |= {str(db.headers["label"]), repr(str(negative)), repr(str(positive))}
    return f"labels {negative!r} and {positive!r}"


def sheet_is(db: Database, form: str) -> bool:
    """Turn the sheet into another kind, where nothing done to it stands against that."""
    if not db.headers or (db.form != form and (db.fixed or db.text or db.suffix or db.copies or booked(db))):
        return False
    db.form = form
    return True


def booked(db: Database) -> bool:
    return bool(db.finish or db.pages or db.other_pages)


# Labels ---------------------------------------------------------------------------------------------------


@mutation(keeps=True)
def label_synonyms(db: Database, rng: Generator) -> str | None:
    words = (
        "Negative/Positive NEG/POS n/p -/+ 0/1 no/yes Negativo/Positivo negativa/positiva FALSE/TRUE 0.0/1.0"
    )
    return all_labels(db, *one_of(rng, [*(pair.split("/") for pair in words.split()), (0, 1), (0.0, 1.0)]))


@mutation()
def label_signs(db: Database, rng: Generator) -> str | None:
    words = "-1/+1 -1/1 −1/+1 -1.0/1.0 neg./pos. p-/p+ 1-/1+ (-)/(+) --/++ -ve/+ve –/+ −/＋"
    return all_labels(db, *one_of(rng, [*(pair.split("/") for pair in words.split()), (-1, 1), (-1.0, 1.0)]))


@mutation()
def label_three_levels(db: Database, rng: Generator) -> str | None:
    values = one_of(
        rng, [(-1, 0, 1), (0, 1, 2), ("-1", "0", "1"), ("neg", "dubious", "pos"), ("-", "+/-", "+")]
    )
    rows = free(db, "label")
    if len(rows) < 6:
        return None
    for row in rows:
        assert row.field is not None
        row.cells["label"] = word(row.field, values[0], values[2])
    for row in some_of(rng, rows):
        write_in(db, row, "label", values[1])
        row.field.labels = NOBODY_KNOWS
    db.marks |= {str(db.headers["label"]), *map(repr, map(str, values))}
    if values == (0, 1, 2):  # a reader that knows of no 2 has to ask about it, too
        for row in rows:
            row.field.labels = NOBODY_KNOWS if row.cells["label"] != 0 else row.field.labels
    return f"three levels {values}"


@mutation()
def label_odd_words(db: Database, rng: Generator) -> str | None:
    """Words of which some mean negative, two positive, and most what only a person can say."""
    negative = "-1|1-|p-|pos-|--|not positive|non-positive|(-)|-yes|1 -|- 1|true-|−1|-0|-1.0|-ve|-p"
    unknown = (
        "+-1|±1|±|+/-|-+|n+|0+|0-1|0/1|1/0|-/+|pos/neg|positive?|?|borderline|2|-1+|1:80|n.d.|0.5|¬1|+ -"
    )
    words = [(word_, NEGATIVE) for word_ in negative.split("|")]
    words += [
        (word_, NOBODY_KNOWS) for word_ in f"{unknown}|neg-pos|p/n|positive (negative control)".split("|")
    ]
    return relabelled(db, rng, [*words, ("_1", POSITIVE), ("(1)", POSITIVE)])


@mutation()
def label_blank(db: Database, rng: Generator) -> str | None:
    return relabelled(
        db, rng, [(blank, NOBODY_KNOWS) for blank in (None, "", "  ", "\xa0", "n/a", "\u200b", "'")]
    )


@mutation()
def label_typing_errors(db: Database, rng: Generator) -> str | None:
    words = [(word_, POSITIVE) for word_ in ("positve", "pos itive", "psoitive")]
    words += [("negatvie", NEGATIVE), ("O", NOBODY_KNOWS), ("l", NOBODY_KNOWS)]
    return relabelled(db, rng, words)


@mutation(keeps=True)
def label_case_and_blanks(db: Database, rng: Generator) -> str | None:
    dress = one_of(
        rng, [str.upper, str.title, lambda t: f" {t} ", lambda t: f"{t}\xa0", lambda t: f"{t}\u2009"]
    )
    for row in free(db, "label"):
        row.cells["label"] = dress(str(row.cells["label"]))
    return f"labels as {dress('positive')!r}" if free(db, "label") else None


@mutation()
def label_invisible_marks(db: Database, rng: Generator) -> str | None:
    mark = one_of(rng, ["\u200b", "\u200e", "\ufeff", "\xad", "'"])
    words = [(f"{mark}negative", NEGATIVE), (f"positive{mark}", POSITIVE)]
    return relabelled(db, rng, words)


@mutation(keeps=True)
def label_truth_cells(db: Database, rng: Generator) -> str | None:
    if "label" not in db.headers or db.copies or not sheet_is(db, "xlsx"):
        return None
    db.fixed = True
    return all_labels(db, False, True)


@mutation()
def cells_with_formulas(db: Database, rng: Generator) -> str | None:
    """A formula that no program has computed: the cell has no value."""
    if not free(db) or not {"label", "specimen"} & set(db.headers) or not sheet_is(db, "xlsx"):
        return None
    db.fixed = True
    column = one_of(rng, [c for c in ("label", "specimen") if c in db.headers])
    rows = free(db) if rng.random() < 0.5 else some_of(rng, free(db))
    for row in rows:
        write_in(db, row, column, '=IF(1>0,"positive","negative")')
        if column == "label":
            row.field.labels = NOBODY_KNOWS
        else:
            row.field.specimen = ""
    db.explains.append("(?i)formula")
    db.marks |= {"formula", SHEET}
    return f"{column} is a formula in {len(rows)} rows"


@mutation()
def cells_merged(db: Database, rng: Generator) -> str | None:
    """One cell over all images of a specimen."""
    if (
        not {"label", "specimen"} <= set(db.headers)
        or booked(db)
        or len(free(db)) < len(db.rows)
        or not sheet_is(db, "xlsx")
    ):
        return None
    column = one_of(rng, ["specimen", "label"])
    number = db.column(column)

    def merge(page: Any) -> None:
        start = 0
        for end in range(1, len(db.rows) + 1):
            value = db.rows[start].field and db.rows[start].field.specimen
            if end == len(db.rows) or (db.rows[end].field and db.rows[end].field.specimen) != value:
                if end - start > 1:
                    first = len(db.above) + 2
                    page.merge_cells(
                        start_row=first + start,
                        end_row=first + end - 1,
                        start_column=number,
                        end_column=number,
                    )
                start = end

    db.finish.append(merge)
    db.explains.append("(?i)merged")
    db.marks |= {"merged", SHEET, str(db.headers[column])}
    return f"{column} cells merged over each specimen"


@mutation()
def specimen_only_in_first_row(db: Database, rng: Generator) -> str | None:
    known: set[str] = set()
    for row in free(db, "specimen"):
        if row.field.specimen in known:
            write_in(db, row, "specimen", "")
        known.add(row.field.specimen)
    return "each specimen written once" if known else None


@mutation()
def cells_that_became_dates(db: Database, rng: Generator) -> str | None:
    if not free(db) or not {"label", "specimen"} & set(db.headers) or not sheet_is(db, "xlsx"):
        return None
    db.fixed = True
    column = one_of(rng, [c for c in ("label", "specimen") if c in db.headers])
    for row in some_of(rng, free(db)):
        day = datetime.datetime(2024, int(rng.integers(1, 12)), int(rng.integers(1, 28)))
        write_in(db, row, column, day)
        db.marks |= {"date", day.date().isoformat()}
        if column == "label":
            row.field.labels = NOBODY_KNOWS
        else:
            row.field.specimen = f"{day.day}-{day.month}"
    db.says.append(r"(?i)\bdates?\b")
    db.explains.append(r"(?i)\bdates?\b")
    return f"{column}s that a program took for dates"


@mutation()
def error_cells(db: Database, rng: Generator) -> str | None:
    if not free(db) or not {"label", "specimen"} & set(db.headers) or not sheet_is(db, "xlsx"):
        return None
    db.fixed = True
    column, row = (
        one_of(rng, [c for c in ("label", "specimen", "image") if c in db.headers]),
        one_of(rng, free(db)),
    )
    write_in(db, row, column, one_of(rng, ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"]))
    row.field.labels = NOBODY_KNOWS
    return f"an error in the {column} cell of {row.field.file}"


# Specimens ------------------------------------------------------------------------------------------------


def spelt(db: Database, row: Row, value: Any) -> None:
    """Write a specimen another way, though it is the same one; the report has to name a spelling."""
    write_in(db, row, "specimen", value)


@mutation()
def specimen_in_two_spellings(db: Database, rng: Generator) -> str | None:
    ways: list[Callable[[str], str]] = [
        lambda s: re.sub(r"(?<!\d)(\d)", r"00\1", s),
        lambda s: s.replace("0", "O"),
        lambda s: s.replace("-", "–") if "-" in s else s.replace("P", "P–"),
        lambda s: s.replace("-", "\u2010") if "-" in s else s.lower(),
        lambda s: s.replace("1", "l", 1),
        lambda s: s.lower() if s.lower() != s else f"{s}.0",
        lambda s: re.sub(r"([A-Z])(?=\d)", r"\1 ", s),
        lambda s: re.sub(r"([A-Z])(?=\d)", r"\1_", s),
        lambda s: re.sub(r"(?<!\d)0+(?=\d)", "", s),
        lambda s: unicodedata.normalize("NFKD", s).replace("P", "Ｐ").replace("W", "Ｗ"),
        lambda s: s.replace("P", "Р"),  # Cyrillic
    ]
    way = one_of(rng, ways)
    rows = [row for row in free(db, "specimen") if way(row.field.specimen) != row.field.specimen]
    if not rows:
        return None
    row = one_of(rng, rows)
    spelling = way(row.field.specimen)
    spelt(db, row, spelling)
    return f"specimen {row.field.specimen!r} spelt {spelling!r} for {row.field.file}"


@mutation(keeps=True)
def specimen_blanks(db: Database, rng: Generator) -> str | None:
    way = one_of(rng, [lambda s: f" {s} ", lambda s: f"{s}\xa0", lambda s: f"\t{s}"])
    for row in some_of(rng, free(db, "specimen")) if free(db, "specimen") else []:
        row.cells["specimen"] = way(str(row.cells["specimen"]))
    return f"specimens as {way('7')!r}" if free(db, "specimen") else None


@mutation(keeps=True)
def specimen_numbers_as_text(db: Database, rng: Generator) -> str | None:
    if db.layout != "aida":
        return None
    for row in some_of(rng, free(db, "specimen"), 8) if free(db, "specimen") else []:
        row.cells["specimen"] = one_of(rng, [str, float])(row.cells["specimen"])
    return "specimen numbers, some as text, some with a fraction of 0"


@mutation()
def specimen_like_1_10(db: Database, rng: Generator) -> str | None:
    """The names 1.1 and 1.10 in a workbook are one number."""
    if len(free(db, "specimen")) < len(db.rows) or not sheet_is(db, one_of(rng, ["xlsx", "xls"])):
        return None
    db.fixed = True
    for row in db.rows:
        row.field.specimen = f"1.{int(row.field.specimen.lstrip('PW-')) % 100}"
        write_in(db, row, "specimen", float(row.field.specimen))
    db.marks.add("1.1")
    return "specimens 1.1 and 1.10 as numbers"


@mutation()
def specimen_blank_or_nobody(db: Database, rng: Generator) -> str | None:
    if not free(db, "specimen"):
        return None
    value = one_of(rng, [None, " ", "\xa0", "unknown", "?", "N/A", "-", "none", "\u200b"])
    rows = some_of(rng, free(db, "specimen"))
    for row in rows:
        write_in(db, row, "specimen", value)
        row.field.specimen = ""
    return f"specimen {value!r} of {[row.field.file for row in rows]}"


@mutation()
def specimen_from_names(db: Database, rng: Generator) -> str | None:
    """No specimen column; the pattern finds it in the files' names."""
    if db.layout == "folders" or "specimen" not in db.headers or len(free(db)) < len(db.rows):
        return None
    del db.headers["specimen"]
    if rng.random() < 0.3:
        db.marks |= {SHEET, "specimen"}
        for row in db.rows:
            row.field.specimen = ""
        return "no specimen column, and nothing said about it"
    pattern = {"aida": r"P(\d+)", "manifest": r"im(\d+)-", "deep": r"well(\d+)"}[db.layout]
    db.options["specimen_pattern"] = pattern
    db.marks.add(pattern)
    for row in db.rows:
        row.field.specimen = "".join(c for c in row.field.file.split("/")[-1] if c.isdigit())[:2]
    return f"specimen_pattern={pattern!r} and no specimen column"


@mutation()
def label_from_patterns(db: Database, rng: Generator) -> str | None:
    """AIDA's two known columns and no other: negative is one of the patterns."""
    if db.layout != "aida" or len(free(db)) < len(db.rows) or "specimen" not in db.headers:
        return None
    for row in db.rows:
        row.field.specimen = "".join(c for c in row.field.file if c.isdigit())[:2]
    db.headers = {c: h for c, h in db.headers.items() if c in ("image", "pattern")}
    db.options |= {"label_column": "StainingPatterns", "specimen_pattern": r"P(\d+)"}
    db.marks |= {SHEET, "StainingPatterns", "homogeneous"}
    word_ = one_of(rng, ["Negative", "neg", "AC-0", "senza fluorescenza", "homogenous negative"])
    if word_ not in ("Negative", "neg", "AC-0"):
        db.options["negative"] = word_
    for row in db.rows:
        if row.cells["pattern"] == "negative":
            row.cells["pattern"] = word_
    return f"labels from StainingPatterns, {word_!r} being negative"


# Names ----------------------------------------------------------------------------------------------------


def rename(db: Database, one: Field, file: str, said: Any = None) -> bool:
    """Call a file otherwise, on disk and (or as ``said``) in the sheet; False where that is taken."""
    if any(other.file.casefold() == file.casefold() for other in db.fields if other is not one):
        return False
    one.file, one.touched = file, True
    row = db.row(one)
    if row is not None:
        write_in(db, row, "image", file if said is None else said)
    db.marks |= {file, file.split("/")[-1]}
    return True


def ending(file: str) -> str:
    name = file.split("/")[-1]
    return name[name.rindex(".") :] if "." in name else ""


def stem(file: str) -> str:
    return file.removesuffix(ending(file))


def untouched(db: Database) -> list[Field]:
    """List the fields that no mutation has touched."""
    fields = [row.field for row in free(db)] if db.headers else db.fields
    return [one for one in fields if not one.touched and one.content is not None]


@mutation(keeps=True)
def names_with_odd_characters(db: Database, rng: Generator) -> str | None:
    names = "a  b|a\xa0b|a,b|a;b|a'b|a (1)|a#b|è|a&b|100%|a+b|日|a.b"
    odd = one_of(rng, [*names.split("|"), 'a"b'])
    fields = some_of(rng, untouched(db)) if untouched(db) else []
    for one in fields:
        rename(db, one, f"{stem(one.file)} {odd}{ending(one.file)}")
    return f"{odd!r} in names, on disk and in the sheet" if fields else None


@mutation()
def names_that_differ_in_blanks(db: Database, rng: Generator) -> str | None:
    disk, said = one_of(
        rng, [("  ", " "), (" ", "  "), ("\xa0", " "), (" ", "\xa0"), (" ", "_"), ("_", " "), ("%20", " ")]
    )
    fields = some_of(rng, untouched(db)) if db.headers and untouched(db) else []
    for one in fields:
        end = ending(one.file)
        rename(db, one, f"{stem(one.file)}{disk}x{end}", f"{stem(one.file)}{said}x{end}")
    return f"{disk!r} on disk is {said!r} in the sheet" if fields else None


@mutation()
def names_that_differ_only_in_blanks_or_case(db: Database, rng: Generator) -> str | None:
    """Two files that a loose comparison takes for one, both listed as they are written."""
    if len(untouched(db)) < 2:
        return None
    a, b = (untouched(db)[k] for k in rng.choice(len(untouched(db)), 2, replace=False))
    first, second = one_of(
        rng,
        [("Cell a", "cell A"), ("x y", "x  y"), ("x y", "x\xa0y"), ("x", "X"), ("è", "e\u0300"), ("x", "x ")],
    )
    folder = a.file.rpartition("/")[0]
    folder_b = b.file.rpartition("/")[0]
    for one, name, place in ((a, first, folder), (b, second, folder_b if not db.headers else folder)):
        one.file, one.touched = f"{place}/{name}{ending(one.file)}".lstrip("/"), True
        row = db.row(one)
        if row:
            write_in(db, row, "image", one.file)
        db.marks |= {one.file, name}
    return f"two files {first!r} and {second!r}"


@mutation(keeps=True)
def names_in_another_case(db: Database, rng: Generator) -> str | None:
    way = one_of(rng, [str.upper, str.title, str.lower])
    rows = free(db) if rng.random() < 0.5 else some_of(rng, free(db)) if free(db) else []
    for row in rows:
        row.cells["image"] = way(str(row.cells["image"]))
    return f"names {way.__name__} in the sheet" if rows else None


@mutation(keeps=True)
def names_with_accents_in_two_encodings(db: Database, rng: Generator) -> str | None:
    fields = some_of(rng, untouched(db)) if untouched(db) else []
    disk, said = one_of(rng, [("NFD", "NFC"), ("NFC", "NFD")])
    for one in fields:
        name = f"{stem(one.file)}-già{ending(one.file)}"
        rename(db, one, unicodedata.normalize(disk, name), unicodedata.normalize(said, name))
    return f"accents {disk} on disk, {said} in the sheet" if fields else None


@mutation(keeps=True)
def names_without_ending(db: Database, rng: Generator) -> str | None:
    rows = free(db) if rng.random() < 0.5 else some_of(rng, free(db)) if free(db) else []
    for row in rows:
        row.cells["image"] = stem(str(row.cells["image"]).split("/")[-1])
    return "names without their ending" if rows else None


@mutation()
def names_with_another_ending(db: Database, rng: Generator) -> str | None:
    suffix = one_of(rng, [".tif", ".jpeg", ".bmp", ".czi", ".png"])
    rows = free(db) if rng.random() < 0.5 else some_of(rng, free(db)) if free(db) else []
    for row in rows:
        write_in(db, row, "image", stem(str(row.cells["image"])) + suffix)
    db.marks |= {stem(row.field.file.split("/")[-1]) for row in rows}
    return f"names that end with {suffix} in the sheet" if rows else None


@mutation(keeps=True)
def names_as_whole_paths(db: Database, rng: Generator) -> str | None:
    before, slash = one_of(
        rng,
        [
            *(("C:\\Users\\lab\\Desktop\\images\\", "\\"), ("\\\\server\\share\\", "\\"), ("E:\\", "\\")),
            *(("/home/lab/aida/images/", "/"), ("D:/data/", "/"), ("/", "/")),
        ],
    )
    rows = free(db) if rng.random() < 0.7 else some_of(rng, free(db)) if free(db) else []
    for row in rows:
        row.cells["image"] = before + row.field.file.replace("/", slash)
    return f"names behind {before!r}" if rows else None


@mutation()
def names_as_other_paths(db: Database, rng: Generator) -> str | None:
    before = one_of(rng, ["file:///data/images/", "~/aida/", "../images/", "images/", "http://server/", "C:"])
    rows = some_of(rng, free(db), 8) if free(db) else []
    for row in rows:
        write_in(db, row, "image", before + row.field.file)
        db.marks.add(row.field.file)
    return f"names behind {before!r}" if rows else None


@mutation(keeps=True)
def names_with_sub_folders(db: Database, rng: Generator) -> str | None:
    """The way of writing sub-folders, or none at all."""
    if db.layout != "manifest" or not free(db):
        return None
    way = one_of(
        rng,
        [
            lambda f: f.replace("/", "\\"),
            lambda f: f"./{f}",
            lambda f: f".\\{f}".replace("/", "\\"),
            lambda f: f.split("/")[-1],
            lambda f: f"/{f}",
        ],
    )
    for row in free(db):
        row.cells["image"] = way(row.field.file)
    return f"names as {way('site/a.png')!r}"


@mutation(keeps=True)
def names_moved_into_sub_folders(db: Database, rng: Generator) -> str | None:
    """Images lie one folder further down than the sheet says."""
    if not db.headers:
        return None
    fields = untouched(db) if rng.random() < 0.5 else some_of(rng, untouched(db)) if untouched(db) else []
    for one in fields:
        one.file = f"batch/{one.file.split('/')[-1]}"
        row = db.row(one)
        row.cells["image"] = one.file.split("/")[-1]
    return f"{len(fields)} files in a sub-folder, not in the sheet" if fields else None


@mutation()
def names_twice_in_sub_folders(db: Database, rng: Generator) -> str | None:
    """Two images of one name in two sub-folders, and the sheet gives the name alone."""
    if not db.headers or len(untouched(db)) < 2:
        return None
    a, b = (untouched(db)[k] for k in rng.choice(len(untouched(db)), 2, replace=False))
    for folder, one in (("day1", a), ("day2", b)):
        one.file = f"{folder}/same{ending(a.file)}"
        row = db.row(one)
        write_in(db, row, "image", f"same{ending(a.file)}")
        one.labels = NOBODY_KNOWS
    return f"two files called same{ending(a.file)} in two folders"


@mutation(keeps=True)
def names_with_blanks_around(db: Database, rng: Generator) -> str | None:
    way = one_of(rng, [lambda s: f"{s} ", lambda s: f" {s}", lambda s: f"{s}\xa0", lambda s: f"{s}\t"])
    rows = some_of(rng, free(db)) if free(db) else []
    for row in rows:
        row.cells["image"] = way(row.field.file)
    return f"names as {way('a.png')!r}" if rows else None


@mutation()
def names_blank_on_disk(db: Database, rng: Generator) -> str | None:
    """A blank before the ending, or behind the name, on disk only."""
    if not untouched(db):
        return None
    one = one_of(rng, untouched(db))
    said = one.file
    way = one_of(rng, [lambda f: f"{stem(f)} {ending(f)}", lambda f: f"{f} "])
    rename(db, one, way(one.file), said)
    db.marks.add(said.split("/")[-1])
    return f"{one.file!r} on disk"


@mutation()
def names_of_a_copy(db: Database, rng: Generator) -> str | None:
    """What browsers make of a second download."""
    if not untouched(db):
        return None
    one = one_of(rng, untouched(db))
    said = one.file
    rename(
        db, one, stem(one.file) + one_of(rng, [" (1)", " - Copy", "_copy", " copia"]) + ending(one.file), said
    )
    db.marks.add(said.split("/")[-1])
    return f"{one.file!r} on disk only"


@mutation()
def names_swapped_with_their_row(db: Database, rng: Generator) -> str | None:
    """Numbers as names: files 1.png, 2.png; 01 and 1 are two files."""
    if not db.headers or len(untouched(db)) < 2:
        return None
    a, b = (untouched(db)[k] for k in rng.choice(len(untouched(db)), 2, replace=False))
    suffix = ending(a.file)
    a.file, b.file = f"7{suffix}", f"07{ending(b.file)}"
    as_numbers = rng.random() < 0.5
    write_in(db, db.row(a), "image", 7 if as_numbers else "7")
    write_in(db, db.row(b), "image", "07")
    return f"files {a.file!r} and {b.file!r}, the sheet says 7 and 07"


# Sheets ---------------------------------------------------------------------------------------------------


@mutation(keeps=True)
def sheet_of_another_kind(db: Database, rng: Generator) -> str | None:
    return f"the sheet is {db.form}" if sheet_is(db, one_of(rng, ["csv", "xls", "xlsx"])) else None


@mutation(keeps=True)
def sheet_with_a_wrong_ending(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.suffix or db.copies:
        return None
    db.suffix = one_of(rng, [".xls", ".xlsx", ".csv", ".txt", ".tsv", ".XLS", ".CSV", ".xlsm"])
    return f"a {db.form} called {db.suffix}"


@mutation(keeps=True)
def sheet_beside_equal_copies(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.fixed or db.suffix or booked(db) or db.copies:
        return None
    for form in some_of(rng, [f for f in ("xls", "xlsx", "csv") if f != db.form], 2):
        db.copies[f"{db.sheet}.{form}"] = lambda table: table
    return f"copies {sorted(db.copies)} beside the {db.form}"


@mutation()
def sheet_beside_another_version(db: Database, rng: Generator) -> str | None:
    """A copy in which one label, one specimen, one row or the order of rows differs."""
    if (
        not db.headers
        or db.suffix
        or booked(db)
        or db.copies
        or not free(db)
        or "label" not in db.headers
        or "specimen" not in db.headers
    ):
        return None
    row = one_of(rng, free(db))
    number, column = db.number(row) - 1, db.column(one_of(rng, ["label", "label", "specimen"])) - 1
    other = word(row.field, "positive", "negative") if list(db.headers)[column] == "label" else "Q99"

    def changed(table: list[list[Any]]) -> list[list[Any]]:
        return [
            [other if (y, x) == (number, column) else cell for x, cell in enumerate(line)]
            for y, line in enumerate(table)
        ]

    def shorter(table: list[list[Any]]) -> list[list[Any]]:
        return [line for y, line in enumerate(table) if y != number]

    name = one_of(
        rng,
        [f"{db.sheet}.{form}" for form in ("xls", "xlsx", "csv") if form != db.form]
        + [f"{db.sheet}_v2.{db.form}", f"{db.sheet} old.csv"],
    )
    db.copies[name] = one_of(rng, [changed, changed, shorter])
    row.touched = True
    row.field.labels = NOBODY_KNOWS
    db.marks |= {name, SHEET}
    return f"{name} says otherwise of {row.field.file}"


@mutation()
def sheet_with_several_pages(db: Database, rng: Generator) -> str | None:
    """Pages of one header, each with a part of the rows."""
    if booked(db) or len(db.rows) < 6 or not sheet_is(db, "xlsx"):
        return None
    titles = one_of(rng, [("Train", "Test"), ("Palermo", "Sciacca", "Agrigento"), ("2019", "2020")])
    db.pages = {title: [] for title in titles}
    cut = int(rng.integers(1, 5))
    for number, row in enumerate(db.rows):
        db.pages[titles[number // cut % len(titles)]].append(row)
    db.pages = {title: rows for title, rows in db.pages.items() if rows}
    db.marks |= {SHEET, *titles}
    return f"pages {titles}"


@mutation(keeps=True)
def sheet_with_other_pages(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "xlsx") or db.other_pages:
        return None
    db.other_pages = one_of(
        rng,
        [
            {"Notes": [["Images taken in 2019"], ["positive", "negative"]], "Empty": []},
            {"Legend": [["Code", "Meaning"], ["AC-1", "homogeneous"], ["AC-5", "speckled"]]},
            {"Sheet2": [], "Sheet3": []},
            {"Counts": [["Label", "Images"], ["positive", 16], ["negative", 8]]},
        ],
    )
    return f"other pages {sorted(db.other_pages)}"


@mutation()
def sheet_with_a_page_twice(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "xlsx") or booked(db) or db.copies:
        return None
    db.pages = {"Sheet1": db.rows, "Backup": db.rows}
    db.marks |= {SHEET, "Backup"}
    return "the page is there twice"


@mutation()
def sheet_with_hidden_rows(db: Database, rng: Generator) -> str | None:
    if not free(db) or booked(db) or db.copies or not sheet_is(db, "xlsx"):
        return None
    rows = some_of(rng, free(db), 8)
    filtered = rng.random() < 0.5

    def hide(page: Any) -> None:
        for row in rows:
            page.row_dimensions[db.number(row)].hidden = True
        if filtered:
            page.auto_filter.ref = f"A{len(db.above) + 1}:{chr(64 + len(db.headers))}{page.max_row}"

    db.finish.append(hide)
    db.marks |= {SHEET, "hid", *(row.field.file for row in rows)}
    db.says.append(r"(?i)\bhid|filter")
    return f"{len(rows)} rows hidden" + (" by a filter" if filtered else "")


@mutation(keeps=True)
def sheet_with_hidden_columns(db: Database, rng: Generator) -> str | None:
    """Columns, frozen panes and a filter that hides nothing."""
    if not sheet_is(db, "xlsx") or db.copies:
        return None

    def dress(page: Any) -> None:
        page.freeze_panes = "B2"
        page.auto_filter.ref = f"A{len(db.above) + 1}:{chr(64 + len(db.headers))}{page.max_row}"
        page.column_dimensions["C"].width = 3

    db.finish.append(dress)
    return "a filter that hides nothing, frozen panes"


@mutation(keeps=True)
def sheet_with_a_title(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.above:
        return None
    db.above = one_of(
        rng,
        [
            [["Ground truth"]],
            [["AIDA database, 2020"], []],
            [[], []],
            [["Author:", "lab"], ["Date:", "3 May 2020"]],
        ],
    )
    return f"above the header: {db.above}"


@mutation(keeps=True)
def sheet_with_an_index(db: Database, rng: Generator) -> str | None:
    """What pandas writes: an unnamed column of numbers."""
    if not db.headers or "index" in db.headers:
        return None
    db.headers = {"index": one_of(rng, ["", None, "Unnamed: 0", "#", "No."]), **db.headers}
    for number, row in enumerate(row for row in db.rows if row.field):
        row.cells["index"] = number
    return f"an index column called {db.headers['index']!r}"


@mutation()
def sheet_with_a_column_twice(db: Database, rng: Generator) -> str | None:
    columns = [c for c in ("label", "specimen", "image") if c in db.headers]
    if not columns or "twin" in db.headers:
        return None
    column = one_of(rng, columns)
    db.headers["twin"] = db.headers[column]
    rows = some_of(rng, free(db)) if free(db) and rng.random() < 0.7 else []
    for row in db.rows:
        row.cells["twin"] = row.cells.get(column)
    for row in rows:
        row.cells["twin"] = word(row.field, "positive", "negative") if column == "label" else "other"
        row.touched = True
        row.field.labels = NOBODY_KNOWS
    db.marks.add(str(db.headers[column]))
    return f"two columns {db.headers[column]!r}, " + ("not quite equal" if rows else "equal")


@mutation()
def sheet_with_a_rival_column(db: Database, rng: Generator) -> str | None:
    """A second column that sounds as if it held the labels or the specimens, and says something else."""
    if "rival" in db.headers or not free(db) or len(db.headers) < 3:
        return None
    name, values = one_of(
        rng,
        [
            ("Result", ("negative", "positive")),
            ("Target", (0, 1)),
            ("Class", ("train", "test")),
            ("Case", ("a", "b")),
            ("Sample", (1, 2)),
            ("File", ("x", "y")),
        ],
    )
    if name.casefold() in (str(h).casefold() for h in db.headers.values()):
        return None
    db.headers = {"rival": name, **db.headers} if rng.random() < 0.5 else {**db.headers, "rival": name}
    for number, row in enumerate(row for row in db.rows if row.field):
        row.cells["rival"] = values[number // 3 % 2]
    db.marks |= {name, repr(name)}
    db.says.append(name)
    return f"a column {name!r} besides"


@mutation(keeps=True)
def sheet_with_columns_in_another_order(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.finish:
        return None
    names = list(db.headers)
    db.headers = {names[k]: db.headers[names[k]] for k in rng.permutation(len(names))}
    return f"columns {list(db.headers.values())}"


@mutation(keeps=True)
def sheet_with_more_columns(db: Database, rng: Generator) -> str | None:
    if not db.headers or "more" in db.headers:
        return None
    name, values = one_of(
        rng,
        [
            ("Notes", ("", "see Dr. Rossi; repeat", "positive control?")),
            ("Dilution", ("1:80", "1:160")),
            ("Date", ("2019-05-03", "2019-06-01")),
            ("Width", (32,)),
            ("", ("x", "")),
        ],
    )
    db.headers["more"] = name
    for number, row in enumerate(row for row in db.rows if row.field):
        row.cells["more"] = values[number % len(values)]
    return f"a further column {name!r}"


@mutation(keeps=True)
def sheet_with_empty_rows_and_columns(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.finish or db.copies or "gap" in db.headers:
        return None
    for place in sorted(rng.integers(0, len(db.rows) + 1, 3), reverse=True):
        db.rows.insert(int(place), Row(None, {}))
    names = list(db.headers)
    names.insert(int(rng.integers(1, len(names))), "gap")
    db.headers = {name: db.headers.get(name) for name in names}
    return "empty rows and an empty column in between"


@mutation()
def sheet_with_a_last_line(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.pages:
        return None
    width = len(db.headers)
    line = one_of(
        rng,
        [
            ["Total", len(db.rows)],
            ["Legend: P positive, N negative"],
            ["24 images", "", "16 positive"],
            ["(end)"],
        ],
    )
    db.below = [[], (line + [None] * width)[:width]]
    db.marks |= {f"row {len(db.above) + len(db.rows) + 3}", str(line[0])}
    return f"below the rows: {line}"


@mutation(keeps=True)
def sheet_with_dressed_headers(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.options:
        return None
    way = one_of(
        rng,
        [
            str.upper,
            str.lower,
            lambda h: f" {h} ",
            lambda h: f"{h}\xa0",
            lambda h: f"{h}:",
            lambda h: f"{h}\n",
        ],
    )
    db.headers = {c: way(str(h)) if h else h for c, h in db.headers.items()}
    return f"headers as {way('Label')!r}"


@mutation()
def sheet_with_headers_unheard_of(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.options or "image" not in db.headers or "specimen" not in db.headers:
        return None
    db.headers |= {"image": "Bild", "label": "Befund A", "specimen": "Lfd. Nr."}
    db.marks |= {"Bild", "Befund A", "Lfd. Nr."}
    told = rng.random() < 0.7
    if told:
        db.options |= {"image_column": "Bild", "label_column": "befund a", "specimen_column": "Lfd. Nr."}
    return "German headers" + (", named with options" if told else "")


@mutation(keeps=True)
def sheet_clutter(db: Database, rng: Generator) -> str | None:
    if not db.headers:
        return None
    name = f"{db.sheet}.{db.form}"
    litter = {
        f"~${name}": b"\0" * 165,
        f".~lock.{name}#": b",lab",
        f"{name}.bak": b"old",
        "README.txt": b"Ground truth, images.\n",
    }
    litter |= {f"._{name}": b"\0\5\26\7", "Licence.txt": b"CC BY", ".DS_Store": b"\0\0\0\1Bud1"}
    for chosen in some_of(rng, sorted(litter)):
        db.files[chosen] = litter[chosen]
    return f"beside the sheet: {sorted(db.files)}"


@mutation()
def sheet_beside_a_stranger(db: Database, rng: Generator) -> str | None:
    """A text or table in the same folder that is no ground truth."""
    name, content = one_of(
        rng,
        [
            ("changes.txt", b"2020-01-01 first version\n"),
            ("cells.csv", b"x,y\n1,2\n"),
            ("instruments.csv", b"Site,Microscope\npalermo,A\n"),
            ("urls.txt", b"http://example.org\n"),
        ],
    )
    db.files[name] = content
    db.marks |= {name, "several sheets"} | ({SHEET} if db.headers else set())
    return f"{name} in the folder"


@mutation()
def sheet_with_rows_cut_short(db: Database, rng: Generator) -> str | None:
    """A text table that ends in the middle of a row: a disc full, a download broken off."""
    if not free(db) or not sheet_is(db, "csv") or not db.rows[-1].field or db.rows[-1].touched:
        return None
    row = db.rows[-1]
    columns = list(db.headers)
    cut = int(rng.integers(1, len(columns)))
    for column in columns[cut:]:
        row.cells[column] = None
    row.touched = True
    if "label" in columns[cut:]:
        row.field.labels = NOBODY_KNOWS
    if "specimen" in columns[cut:]:
        row.field.specimen = ""
    if "image" in columns[cut:]:
        row.field.labels = NOBODY_KNOWS
    db.marks |= {SHEET} | {str(db.headers[c]) for c in columns[cut:]}
    db.text["final_newline"] = False
    return f"the last row ends after {cut} cells"


# Text and its encoding ------------------------------------------------------------------------------------


@mutation(keeps=True)
def text_encoding(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "csv") or "encoding" in db.text:
        return None
    db.text["encoding"] = one_of(
        rng, ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-16-be-sig", "cp1252"]
    )
    if "pattern" in db.headers and db.text["encoding"] == "cp1252":
        for row in free(db):
            row.cells["pattern"] = str(row.cells["pattern"]).replace("homogeneous", "homogène")
    return f"{db.text['encoding']}"


@mutation(keeps=True)
def text_line_ends(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "csv"):
        return None
    db.text["newline"] = one_of(rng, ["\r\n", "\r"])
    db.text["final_newline"] = bool(rng.random() < 0.5)
    return f"lines end with {db.text['newline']!r}"


@mutation(keeps=True)
def text_separator(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "csv"):
        return None
    db.text["delimiter"] = one_of(rng, [";", "\t", "|"])
    if rng.random() < 0.3:
        db.text["first"] = f"sep={db.text['delimiter']}"
    return f"separator {db.text['delimiter']!r}" + (" with a sep= line" if "first" in db.text else "")


@mutation(keeps=True)
def text_quoting(db: Database, rng: Generator) -> str | None:
    if not free(db) or not sheet_is(db, "csv"):
        return None
    db.text["quoting"] = csv.QUOTE_ALL
    column = next((c for c in ("pattern", "site") if c in db.headers), None)
    odd = one_of(
        rng,
        [
            "fine\nspeckled",
            "fine\r\nspeckled",
            'fine "dense" speckled',
            "fine, dense; speckled",
            "fine\tspeckled",
        ],
    )
    if column == "pattern":
        for row in some_of(rng, [r for r in free(db) if r.field.labels == POSITIVE] or free(db)):
            if row.field.labels == POSITIVE:
                row.cells[column] = odd
    return f"all cells quoted, {odd!r} in one"


@mutation()
def text_in_a_rare_encoding(db: Database, rng: Generator) -> str | None:
    if not sheet_is(db, "csv") or "encoding" in db.text or not untouched(db):
        return None
    one = one_of(rng, untouched(db))
    rename(db, one, f"{stem(one.file)}è{ending(one.file)}")
    db.text["encoding"] = one_of(rng, ["mac-roman", "utf-32", "cp850", "utf-7"])
    db.marks.add(SHEET)
    return f"{db.text['encoding']}, and {one.file!r}"


# Images ---------------------------------------------------------------------------------------------------


def repainted(db: Database, rng: Generator, most: int = 4) -> list[Field]:
    """Choose the fields that get another file: a few, or all."""
    fields = untouched(db)
    if fields and rng.random() < 0.25:
        return fields
    return some_of(rng, fields, most) if fields else []


def refile(db: Database, one: Field, content: bytes, suffix: str) -> None:
    """Give a field another file, under the same name with another ending."""
    one.content, one.touched, one.deep = content, True, False
    if suffix != ending(one.file):
        rename(db, one, stem(one.file) + suffix)
    row = db.row(one)
    if row:
        row.touched = True
    db.marks |= {one.file, one.file.split("/")[-1]}


@mutation(keeps=True)
def image_formats(db: Database, rng: Generator) -> str | None:
    form = one_of(rng, ["JPEG", "PNG", "BMP", "TIFF"])
    fields = repainted(db, rng)
    upper = rng.random() < 0.3
    for one in fields:
        refile(db, one, encoded(one.pictures[0], form), SUFFIX[form].upper() if upper else SUFFIX[form])
    return f"{len(fields)} images as {form}" + (", ending in upper case" if upper else "") if fields else None


@mutation()
def image_formats_that_are_not_read(db: Database, rng: Generator) -> str | None:
    form = one_of(rng, ["WEBP", "GIF", "JPEG2000"])
    fields = repainted(db, rng, 8)
    for one in fields:
        pixels = one.pictures[0]
        options = {"irreversible": False} if form == "JPEG2000" else {}
        content = encoded(Image.fromarray(pixels[..., 1]) if form == "GIF" else pixels, form, **options)
        if form == "GIF":
            one.pictures = [np.stack([pixels[..., 1]] * 3, axis=-1)]
        refile(db, one, content, SUFFIX[form])
    db.marks.add(SUFFIX[form])
    return f"{len(fields)} images as {form}" if fields else None


@mutation()
def image_with_a_wrong_ending(db: Database, rng: Generator) -> str | None:
    form = one_of(rng, ["PNG", "JPEG", "BMP", "WEBP"])
    suffix = one_of(rng, [".jpg", ".png", ".tif", ".dat", ".img", ".jpg_large", ".PNG", ".bin"])
    fields = repainted(db, rng)
    for one in fields:
        refile(db, one, encoded(one.pictures[0], form), suffix)
    db.marks.add(suffix)
    return f"{len(fields)} images as {form} called {suffix}" if fields else None


@mutation()
def image_without_ending(db: Database, rng: Generator) -> str | None:
    fields = repainted(db, rng)
    for one in fields:
        refile(db, one, encoded(one.pictures[0], "PNG"), "")
    return f"{len(fields)} images without an ending" if fields else None


def well_formed(db: Database, one: Field) -> None:
    """Note that a file is what it is called: if it is not read, an error has to say something better."""
    name = re.escape(one.file.split("/")[-1])
    db.never.append(rf"(?i){name}['\"]?:? (is )?(not a|no) (JPEG|TIFF|image)")


def wide(one: Field, factor: int = 257) -> Any:
    return one.pictures[0].astype(np.uint16) * factor


def grey_only(one: Field) -> Any:
    """Make a field's truth grey, and give it, uint8 H x W."""
    grey = one.pictures[0][..., 1]
    one.pictures = [np.stack([grey] * 3, axis=-1)]
    return grey


@mutation()
def image_with_16_bits(db: Database, rng: Generator) -> str | None:
    """The full range of 16 bits, in one image (which may be a dark one) or in all."""
    kind = one_of(rng, ["grey png", "grey tiff", "big-endian tiff", "colour tiff", "colour png"])
    order = one_of(rng, "<>")
    dark = [one for one in untouched(db) if one.pattern == "negative"]
    fields = some_of(rng, dark) if dark and rng.random() < 0.5 else repainted(db, rng)
    for one in fields:
        if kind.startswith("grey") or kind.startswith("big"):
            grey_only(one)
        samples = wide(one)
        if kind == "grey png":
            content = encoded(samples[..., 1], "PNG")
        elif kind == "colour png":
            content = png16(samples)
        elif kind == "colour tiff":
            content = tiff(samples, photometric=2, order=order)
        else:
            content = tiff(samples[..., 1], order=">" if kind.startswith("big") else "<")
        refile(db, one, content, ".png" if "png" in kind else ".tif")
        one.deep = True
    db.marks.add("bit")
    return f"{kind} of 16 bits for {[one.file for one in fields][:5]}" if fields else None


@mutation()
def images_of_12_bits_in_16(db: Database, rng: Generator) -> str | None:
    """All images from a camera of 12 bits; the brightest is near its largest value."""
    if any(one.content is None or not one.pictures for one in db.fields) or len(untouched(db)) < len(
        db.fields
    ):
        return None
    for one in db.fields:
        grey = grey_only(one)
        samples = np.rint(grey.astype(float) / 255 * 4095).astype(np.uint16)
        refile(db, one, tiff(samples), ".tif")
        one.deep = True
    told = rng.random() < 0.5
    if told:
        db.options["bits"] = 12
    db.marks.add("bit")
    return "12 bits in 16" + (", told so" if told else "")


@mutation()
def images_of_16_bits_all_dark(db: Database, rng: Generator) -> str | None:
    """The full range of 16 bits, but no image uses its upper half."""
    if any(one.content is None or not one.pictures for one in db.fields) or len(untouched(db)) < len(
        db.fields
    ):
        return None
    for one in db.fields:
        one.pictures = [one.pictures[0] // 8]
        grey = grey_only(one)
        refile(db, one, tiff(grey.astype(np.uint16) * 257), ".tif")
        one.deep = True
    told = rng.random() < 0.5
    if told:
        db.options["bits"] = 16
    db.marks.add("bit")
    return "16 bits, all dark" + (", told so" if told else "")


@mutation()
def tiff_white_is_zero(db: Database, rng: Generator) -> str | None:
    bits, order = one_of(rng, [8, 16, 16, 1]), one_of(rng, "<<>")
    fields = repainted(db, rng)
    for one in fields:
        grey = grey_only(one)
        if bits == 1:
            one.pictures = [np.stack([(grey > 60).astype(np.uint8) * 255] * 3, axis=-1)]
            content = tiff((grey <= 60).astype(np.uint8), photometric=0, bits=1)
        elif bits == 8:
            content = tiff(255 - grey, photometric=0)
        else:
            content = tiff(
                (65535 - grey.astype(np.uint32) * 257).astype(np.uint16), photometric=0, order=order
            )
        refile(db, one, content, ".tif")
        well_formed(db, one)
        one.deep = bits == 16
    return f"{len(fields)} TIFFs of {bits} bits in which 0 is white" if fields else None


@mutation()
def tiff_planes(db: Database, rng: Generator) -> str | None:
    deep, order = rng.random() < 0.5, one_of(rng, "<<>")
    fields = repainted(db, rng)
    for one in fields:
        samples = wide(one) if deep else one.pictures[0]
        refile(db, one, tiff(samples, photometric=2, planar=True, order=order), ".tif")
        well_formed(db, one)
        one.deep = deep
    return f"{len(fields)} TIFFs of {16 if deep else 8} bits with one plane a channel" if fields else None


@mutation()
def tiff_of_rare_kinds(db: Database, rng: Generator) -> str | None:
    kinds = "float|float64|uint32|12 bits packed|4 bits|two samples|JPEG 2000|signed|compression unheard-of"
    kind = one_of(rng, f"{kinds}|five samples|CMYK|palette|LAB".split("|"))
    fields = some_of(rng, untouched(db)) if untouched(db) else []
    for one in fields:
        refile(db, one, rare_tiff(grey_only(one), kind), ".tif")
        well_formed(db, one)
        one.deep = kind in ("float", "float64", "uint32", "12 bits packed", "signed")
        if kind == "4 bits":
            one.pictures = [np.rint(one.pictures[0] / 17).astype(np.uint8) * 17]
        if kind == "LAB":
            one.pictures = []  # L* is no grey value: not worth a conversion, but never to be shown as RGB
    return f"TIFF of a rare kind ({kind}) for {[one.file for one in fields]}" if fields else None


@mutation()
def tiff_compressed(db: Database, rng: Generator) -> str | None:
    how = one_of(rng, ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "tiff_deflate", "group4"])
    fields = repainted(db, rng)
    for one in fields:
        pixels: Any = one.pictures[0]
        if how == "group4":
            pixels = Image.fromarray((pixels[..., 1] > 60).astype(np.uint8) * 255).convert("1")
            one.pictures = [np.asarray(pixels.convert("RGB"))]
        refile(db, one, encoded(pixels, "TIFF", compression=how), ".tif")
    return f"{len(fields)} TIFFs compressed ({how})" if fields else None


@mutation()
def tiff_of_several_pages(db: Database, rng: Generator) -> str | None:
    if not untouched(db):
        return None
    one = one_of(rng, untouched(db))
    more = [Image.fromarray(picture(rng, True, False)) for _ in range(2)]
    refile(db, one, encoded(one.pictures[0], "TIFF", save_all=True, append_images=more), ".tif")
    db.says.append(r"(?i)first (image|page)|pages|frames")
    return f"{one.file} has three pages"


@mutation(keeps=True)
def image_modes(db: Database, rng: Generator) -> str | None:
    """Grey, palette, opaque alpha, CMYK, progressive: what a viewer shows is the same."""
    modes = "L png|L jpeg|P png|RGBA png|LA png|CMYK jpeg|progressive jpeg|L bmp|RGBA tiff|RGB jpeg|P bmp"
    kind, ending_ = one_of(rng, modes.split("|")).split()
    form = {"bmp": "BMP", "jpeg": "JPEG", "png": "PNG", "tiff": "TIFF"}[ending_]
    options = {"progressive jpeg": {"progressive": True}, "RGB jpeg": {"keep_rgb": True}}
    fields = repainted(db, rng)
    for one in fields:
        if kind in ("L", "LA", "P", "CMYK"):
            grey_only(one)
        image = Image.fromarray(one.pictures[0])
        if kind != "progressive":
            image = image.convert("L").convert("P") if kind == "P" else image.convert(kind)
        refile(db, one, encoded(image, form, **options.get(f"{kind} {ending_}", {})), SUFFIX[form])
    return f"{len(fields)} images as {kind} {ending_}" if fields else None


@mutation()
def image_modes_of_rare_kinds(db: Database, rng: Generator) -> str | None:
    mode = one_of(
        rng,
        [
            "LA 16",
            "RGBA 16",
            "bmp 565",
            "bmp 555",
            "bmp 32",
            "transparent colour",
            "png 1",
            "png 4",
            "bmp 1",
            "bmp os2",
            "bmp top-down",
        ],
    )
    fields = some_of(rng, untouched(db)) if untouched(db) else []
    for one in fields:
        grey = grey_only(one)
        image = Image.fromarray(grey)
        if mode in ("LA 16", "RGBA 16"):
            channels = [grey] * (1 if mode[0] == "L" else 3)
            samples = np.stack([*channels, np.full_like(grey, 255)], axis=-1).astype(np.uint16) * 257
            refile(db, one, png16(samples), ".png")
            one.deep = True
        elif mode.startswith("bmp") and mode not in ("bmp 1",):
            refile(db, one, bmp(grey, mode), ".bmp")
            if mode in ("bmp 565", "bmp 555"):
                lost = (3, 2, 3) if mode == "bmp 565" else (3, 3, 3)  # bits, of red, green and blue
                levels = [np.rint((grey >> n) * (255 / (255 >> n))) for n in lost]
                one.pictures = [np.stack(levels, axis=-1).astype(np.uint8)]
        elif mode == "transparent colour":
            refile(db, one, encoded(image, "PNG", transparency=255), ".png")
        elif mode in ("png 1", "bmp 1"):
            flat = image.point(lambda value: 255 * (value > 60)).convert("1")
            one.pictures = [np.asarray(flat.convert("RGB"))]
            refile(
                db,
                one,
                encoded(flat, "PNG" if mode[0] == "p" else "BMP"),
                ".png" if mode[0] == "p" else ".bmp",
            )
        else:
            few = image.quantize(16)
            one.pictures = [np.asarray(few.convert("RGB"))]
            refile(db, one, encoded(few, "PNG", bits=4), ".png")
    return f"{mode} for {[one.file for one in fields]}" if fields else None


@mutation()
def image_orientation(db: Database, rng: Generator) -> str | None:
    """A note in the file that it is to be turned: applied or not, the brightness is the same."""
    if not untouched(db):
        return None
    turn = int(rng.integers(2, 9))
    form = one_of(rng, ["JPEG", "TIFF"])
    fields = repainted(db, rng)
    for one in fields:
        image = Image.fromarray(one.pictures[0])
        image.getexif()[0x0112] = turn
        if form == "JPEG":
            content = encoded(image, "JPEG", exif=image.getexif())
        else:
            content = tiff(one.pictures[0], photometric=2, orientation=turn)
        ways = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's numbers of the transpositions
        turned = image.transpose(Image.Transpose(ways[turn]))
        one.pictures.append(np.asarray(turned))
        refile(db, one, content, SUFFIX[form])
    return f"{len(fields)} {form}s with orientation {turn}"


@mutation()
def image_damaged(db: Database, rng: Generator) -> str | None:
    if not untouched(db):
        return None
    how = one_of(rng, ["half", "most", "empty", "text", "no signature", "zeros behind", "pointer"])
    one = one_of(rng, untouched(db))
    content = one.content
    assert content is not None
    if how == "zeros behind" and not content.startswith(b"\x89PNG"):
        return None  # only a PNG's checksums can tell
    if how == "half":
        content = content[: len(content) // 2]
    elif how == "most":
        content = content[: len(content) * 9 // 10]
    elif how == "empty":
        content = b""
    elif how == "text":
        content = b"<html>404 not found</html>"
    elif how == "no signature":
        content = bytes(8) + content[8:]
    elif how == "zeros behind":
        content = content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    else:
        content = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    one.pictures = []
    refile(db, one, content, ending(one.file))
    return f"{one.file} is damaged ({how})"


@mutation()
def image_of_another_size(db: Database, rng: Generator) -> str | None:
    """An icon, or a strip."""
    if not untouched(db):
        return None
    one = one_of(rng, untouched(db))
    size = one_of(rng, [(1, 1), (8, 8), (300, 2), (17, 40)])
    one.pictures = [np.asarray(Image.fromarray(one.pictures[0]).resize(size))]
    refile(db, one, encoded(one.pictures[0], "PNG"), ".png")
    return f"{one.file} is {size[0]} x {size[1]}"


# What lies beside -----------------------------------------------------------------------------------------


def inside(db: Database, name: str) -> str:
    return f"{db.folder}/{name}".lstrip("/")


@mutation(keeps=True)
def clutter_of_systems(db: Database, rng: Generator) -> str | None:
    one = one_of(rng, db.fields)
    folder, _, name = one.file.rpartition("/")
    place = inside(db, folder)
    small = encoded(np.asarray(Image.fromarray(picture(rng, True, False)).resize((20, 18))), "JPEG")
    litter = {
        f"{place}/@eaDir/{name}/SYNOPHOTO_THUMB_M.jpg": small,
        f"{place}/.thumbnails/{name}": small,
        f"{place}/__MACOSX/{name}": b"\0\5\26\7" + bytes(40),
        f"{place}/__MACOSX/._{name}": b"\0\5\26\7" + bytes(40),
        f"{place}/Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
        f"{place}/._{name}": b"\0\5\26\7" + bytes(40),
        f"{place}/.DS_Store": b"\0\0\0\1Bud1",
        f"{place}/desktop.ini": b"[.ShellClassInfo]\r\n",
        f"{place}/@eaDir/{name}@SynoEAStream": b"\0",
        f"{place}/.AppleDouble/{name}": b"\0\5\26\7",
        f"{place}/#recycle/{name}": small,
        f"{place}/$RECYCLE.BIN/{name}": small,
        f"{place}/.ipynb_checkpoints/{stem(name)}-checkpoint{ending(name)}": small,
        f"{place}/lost+found/.keep": b"",
    }
    chosen = {key.lstrip("/"): litter[key] for key in some_of(rng, sorted(litter), 3)}
    db.files |= chosen
    return f"{sorted(chosen)}"


@mutation()
def clutter_of_small_copies(db: Database, rng: Generator) -> str | None:
    """Thumbnails in a folder whose name nobody has agreed upon."""
    one = one_of(rng, db.fields)
    folder, _, name = one.file.rpartition("/")
    sub = one_of(rng, ["thumbs", "thumbnails", "preview", "small", "_thumb"])
    small = encoded(np.asarray(Image.fromarray(picture(rng, True, False)).resize((20, 18))), "PNG")
    path = f"{folder}/{sub}/{stem(name)}.png".lstrip("/")
    db.files[inside(db, path)] = small
    db.extras.append(path)
    db.marks |= {path, sub, name}
    return f"{path}"


@mutation()
def extra_images(db: Database, rng: Generator) -> str | None:
    """Images that no row lists, or that stand in no class folder."""
    names = one_of(
        rng,
        [
            ("calibration.png",),
            ("new/x1.png", "new/x2.png"),
            ("unsorted/a.jpg",),
            ("mask_01.png",),
            ("extra.webp",),
            ("b.gif",),
            ("Borderline/S77/a.png",),
        ],
    )
    for name in names:
        form = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF"}[name.rpartition(".")[2]]
        db.files[inside(db, name)] = encoded(picture(rng, True, False), form)
        db.extras.append(name)
        db.marks |= {name, name.split("/")[0]}
    return f"besides: {names}"


@mutation()
def extra_copies_of_the_folder(db: Database, rng: Generator) -> str | None:
    """A second folder with images of the same names: a backup, or masks."""
    if not db.headers:
        return None
    folder = one_of(rng, ["backup", "masks", "old", "copy of images"])
    for one in some_of(rng, db.fields):
        path = f"{folder}/{one.file.split('/')[-1]}"
        db.files[inside(db, path)] = encoded(picture(rng, False, False), "PNG")
        db.extras.append(path)
        db.marks |= {path, one.file.split("/")[-1]}
    return f"a folder {folder!r} with {len(db.extras)} images of the same names"


# Rows and files -------------------------------------------------------------------------------------------


@mutation()
def rows_dropped(db: Database, rng: Generator) -> str | None:
    if len(free(db)) < 6 or db.pages:
        return None
    for row in some_of(rng, free(db)):
        db.rows.remove(row)
        db.marks |= {row.field.file, row.field.file.split("/")[-1]}
    return "rows dropped"


@mutation()
def rows_doubled(db: Database, rng: Generator) -> str | None:
    if not free(db) or db.pages or db.finish or "label" not in db.headers:
        return None
    row = one_of(rng, free(db))
    column = one_of(rng, ["none", "label", "specimen"])
    twin = Row(row.field, dict(row.cells), touched=True)
    if column == "label":
        twin.cells["label"] = word(row.field, "positive", "negative")
        row.field.labels = NOBODY_KNOWS
    elif column == "specimen":
        twin.cells["specimen"] = "Q98"
        row.field.labels = NOBODY_KNOWS
    row.touched = True
    db.rows.insert(int(rng.integers(0, len(db.rows) + 1)), twin)
    db.marks.add(row.field.file)
    return f"{row.field.file} is listed twice" + (f", with another {column}" if column != "none" else "")


@mutation(keeps=True)
def rows_shuffled(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.pages or db.finish:
        return None
    db.rows = [db.rows[k] for k in rng.permutation(len(db.rows))]
    return "rows in another order"


@mutation()
def rows_of_one_class(db: Database, rng: Generator) -> str | None:
    if not db.headers or db.pages or db.finish or len(free(db)) < len(db.rows):
        return None
    kept = one_of(rng, [0, 1])
    db.marks.add(f"listed images are {('negative', 'positive')[kept]}")
    db.rows = [row for row in db.rows if row.field.labels == frozenset([kept])]
    db.marks |= {one.file for one in db.fields}
    return f"rows of label {kept} only"


@mutation()
def files_removed(db: Database, rng: Generator) -> str | None:
    if not untouched(db) or not db.headers:
        return None
    for one in some_of(rng, untouched(db)):
        one.content, one.pictures = None, []
        db.row(one).touched = True
        db.marks |= {one.file, one.file.split("/")[-1]}
    return "files removed"


@mutation()
def files_copied_under_another_name(db: Database, rng: Generator) -> str | None:
    """One picture for two specimens: exact duplicates have to be named."""
    if len(untouched(db)) < 2:
        return None
    a, b = (untouched(db)[k] for k in rng.choice(len(untouched(db)), 2, replace=False))
    if a.specimen == b.specimen or ending(a.file) != ending(b.file):
        return None
    b.content, b.pictures = a.content, a.pictures
    db.says.append("(?i)duplicate")
    db.marks |= {a.file, b.file}
    return f"{a.file} and {b.file} are the same picture"


# Class folders --------------------------------------------------------------------------------------------


def refold(db: Database, change: Callable[[Field, list[str]], list[str]]) -> None:
    for one in db.fields:
        one.file, one.touched = "/".join(change(one, one.file.split("/"))), True


@mutation(keeps=True)
def folder_synonyms(db: Database, rng: Generator) -> str | None:
    if db.layout != "folders" or any(one.touched for one in db.fields):
        return None
    negative, positive = one_of(
        rng,
        [
            ("Negative", "Positive"),
            ("neg", "pos"),
            ("N", "P"),
            ("0", "1"),
            ("-", "+"),
            ("negativo", "positivo"),
            ("NEGATIVE", "POSITIVE"),
        ],
    )
    refold(db, lambda one, parts: [negative if 0 in one.labels else positive, *parts[1:]])
    return f"class folders {negative!r} and {positive!r}"


@mutation()
def folder_signs(db: Database, rng: Generator) -> str | None:
    if db.layout != "folders" or any(one.touched for one in db.fields):
        return None
    negative, positive = one_of(
        rng,
        [
            ("-1", "1"),
            ("-1", "+1"),
            ("1-", "1+"),
            ("p-", "p"),
            ("not positive", "positive"),
            ("0_negative", "1_positive"),
            ("negative_", "_positive"),
            ("negativi", "positivi"),
        ],
    )
    db.marks |= {negative, positive, "class folders", "label"}
    refold(db, lambda one, parts: [negative if 0 in one.labels else positive, *parts[1:]])
    return f"class folders {negative!r} and {positive!r}"


@mutation()
def folder_of_a_third_class(db: Database, rng: Generator) -> str | None:
    if db.layout != "folders" or any(one.touched for one in db.fields):
        return None
    third = one_of(rng, ["borderline", "weak positive", "intermediate", "0+", "-1", "unclear", "2"])
    specimen = one_of(rng, sorted({one.specimen for one in db.fields}))
    for one in db.fields:
        if one.specimen == specimen:
            one.file = "/".join([third, *one.file.split("/")[1:]])
            one.labels = POSITIVE if third == "weak positive" else NEGATIVE if third == "-1" else NOBODY_KNOWS
            db.marks |= {one.file, third}
    for one in db.fields:
        one.touched = True
    return f"a class folder {third!r} besides"


@mutation()
def folder_one_level_more(db: Database, rng: Generator) -> str | None:
    """Sub-folders below a specimen's, a site above the classes, or images beside the specimens' folders."""
    if db.layout != "folders" or any(one.touched for one in db.fields):
        return None
    kind = one_of(rng, ["eye", "site above", "flat", "site between"])
    specimen = one_of(rng, sorted({one.specimen for one in db.fields}))
    if kind == "eye":
        for number, one in enumerate(o for o in db.fields if o.specimen == specimen):
            folder, _, name = one.file.rpartition("/")
            one.file = f"{folder}/{('left', 'right')[number % 2]}/{name}"
            db.marks |= {one.file, specimen}
    elif kind == "site above":
        for one in db.fields:
            one.file = f"palermo/{one.file}"
        db.marks |= {"palermo", "class folders", "folder"}
    elif kind == "site between":
        for number, one in enumerate(db.fields):
            parts = one.file.split("/")
            one.specimen = f"{('a', 'b')[number // 2 % 2]}/{one.specimen}"
            one.file = "/".join([parts[0], *one.specimen.split("/"), *parts[2:]])
            db.marks.add(one.file)
    else:
        one = one_of(rng, [o for o in db.fields if o.specimen == specimen])
        parts = one.file.split("/")
        one.file = f"{parts[0]}/{one.specimen}_{parts[-1]}"
        one.specimen = ""
        db.marks |= {one.file}
    for one in db.fields:
        one.touched = True
    return f"{kind} ({specimen})"


@mutation()
def folder_specimen_in_two_spellings(db: Database, rng: Generator) -> str | None:
    if db.layout != "folders" or any(one.touched for one in db.fields):
        return None
    one = one_of(rng, db.fields)
    way = one_of(
        rng,
        [
            lambda s: s.lower(),
            lambda s: s.replace("0", "O"),
            lambda s: s.replace("S", "S-"),
            lambda s: s.replace("S", "S0"),
            lambda s: s.replace("S", "S "),
            lambda s: s.replace("1", "l"),
        ],
    )
    spelling = way(one.specimen)
    if spelling == one.specimen:
        return None
    parts = one.file.split("/")
    one.file = "/".join([parts[0], spelling, *parts[2:]])
    db.marks |= {one.file}
    for one in db.fields:
        one.touched = True
    return f"one image of {one.specimen} in {spelling!r}"
