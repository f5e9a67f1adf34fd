"""The page on reporting answers every item of both lists once, in tables that a phone can show."""

import re
from collections import Counter

from hep2lib.files import project_root

TEXT = (project_root() / "book" / "reporting.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", TEXT, re.M)]
LETTERS = {15: "abcd", 16: "abc", 17: "ab", 26: "ab", 40: "ab"}  # items of STARD-AI that have parts


def test_every_item_of_both_lists_is_answered_once():
    items = Counter(item for name, _ in ROWS for item in re.findall(r"\b[SC]\d+[a-d]?\b", name))
    stard = [f"S{n}{part}" for n in range(1, 41) for part in LETTERS.get(n, " ")]
    wanted = {name.strip() for name in stard} | {f"C{n}" for n in range(1, 45)}
    assert set(items) == wanted
    assert set(items.values()) == {1}


def test_the_five_that_are_answered_worst_come_first():
    worst = TEXT.split("## ")[1]
    assert worst.startswith("The five")
    assert {f"C{n}" for n in (18, 21, 30, 39, 43)} < set(re.findall(r"\bC\d+", worst))
    assert sum(row in worst for row in re.findall(r"^\|.*\|$", TEXT, re.M) if "(" in row) == 5


def test_every_answer_says_something_in_two_narrow_columns():
    for name, answer in ROWS:
        if set(name) != {"-"}:
            assert len(max(name.split(), key=len)) <= 18
            assert answer
