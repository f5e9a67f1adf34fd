"""The list of references: every entry is cited, has a DOI or says why not, and reads as it is cited."""

import re
from collections import defaultdict

import pytest
from pybtex.database import parse_file

from hep2lib.files import project_root

ENTRIES = parse_file(str(project_root() / "book" / "references.bib")).entries
PAGES = [*(project_root() / "book").glob("*.md"), *(project_root() / "notebooks").glob("*.md")]
CITED = {
    key.strip()
    for page in PAGES
    for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", page.read_text(encoding="utf-8"))
    for key in keys.split(",")
}


def test_what_is_listed_is_what_is_cited():
    assert sorted(ENTRIES) == sorted(CITED)


@pytest.mark.parametrize("key", ENTRIES)
def test_an_entry_has_a_doi_or_says_why_not(key):
    fields = ENTRIES[key].fields
    assert ("doi" in fields) != ("nodoi" in fields)
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/x"))
    assert len(fields.get("nodoi", "none is registered")) > 10


def test_papers_of_one_author_and_year_are_told_apart_by_letters():
    alike = defaultdict(list)
    for entry in ENTRIES.values():
        year = entry.fields["year"]
        alike[str(entry.persons["author"][0]), year[:4]].append(year[4:])
    for letters in alike.values():
        assert letters == (["a", "b", "c", "d"][: len(letters)] if len(letters) > 1 else [""])
