"""The pages around the chapters: the front page, the paper item by item, the glossary, the API reference."""

import importlib
import re
from collections import Counter

import pytest
import yaml

import hep2lib
from hep2lib.files import project_root
from hep2lib.runs.paper import printed_claims

ROOT = project_root()
TEXT = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md")}
CHAPTERS = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "notebooks").glob("*.md"))]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PAPER = yaml.safe_load((ROOT / "book" / "paper-values.yaml").read_text(encoding="utf-8"))
ENTRIES = re.split(r"\n\n(?=\S)", TEXT["glossary"].split("```{glossary}\n")[1].removesuffix("```\n").strip())
TERMS = [line for entry in ENTRIES for line in entry.splitlines() if not line.startswith(" ")]
ITEMS = dict(part.split("\n", 1) for part in re.split(r"^### ", TEXT["paper"], flags=re.MULTILINE)[1:])

#: What a student may not know; a chapter may link to it.
WANTED = """
AC code, accuracy, activation, ANA, AUC, batch normalisation, bfloat16, bootstrap, Brier score, C,
calibrated, calibration, class activation map, confidence interval, convolution, cross-validation,
DeLong, dropout, duality gap, ECE, epoch, field, fine-tuning, fold, freezing, GFLOP, Grad-CAM, Gram
matrix, HEp-2, hinge loss, Holm correction, ICAP, ICC, IIF, inception block, intensity grade, label,
lambda, layer, leak, learning rate, logit, LRN, margin, Matthews correlation, mini-batch, momentum,
nested, net benefit, NPV, p value, pattern, pooled, pooling, PPV, pre-training, prevalence, random
weights, receptive field, ReLU, ROC curve, Satterthwaite, seed, sensitivity, SGDM, softmax, specificity,
specimen, SVM, temperature scaling, test, threshold, titre, transfer learning, validation, weight decay,
Wilson interval, Youden index
"""


def words(text):
    """How many words a reader sees: a role counts as one."""
    return len(re.findall(r"\w\S*", re.sub(r"\{\w+(:\w+)?\}`[^`]*`|\]\([^)]*\)", "x", text)))


def test_the_front_page_answers_on_one_screen():
    screen, rest = TEXT["introduction"].split("\n## ", 1)
    assert words(screen) <= 170
    assert words(rest) <= 220
    for name in ("fine-tuning.auc", "svm.auc", "handmade.auc"):
        assert f"{{val}}`{name}:.3f` ({{val}}`{name}:interval:.3f`)" in screen
    assert "{val}`claims.words`" in screen
    assert "{val}`question`." in screen
    assert "run-table" not in screen + rest


def test_the_paper_is_linked_and_cited_by_its_doi_everywhere():
    doi = CITATION["preferred-citation"]["doi"]
    assert f"](https://doi.org/{doi})" in TEXT["introduction"]
    assert f"[doi:{doi}](https://doi.org/{doi})" in TEXT["about-run"]
    assert doi in (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert doi in (ROOT / "README.md").read_text(encoding="utf-8")
    assert CITATION["version"] == hep2lib.__version__
    title = " ".join(TEXT["about-run"].split())
    assert f'*{CITATION["authors"][0]["name"]}*, "{CITATION["title"]}"' in title
    assert PAPER["pages"]["value"].split(" to ") == [
        str(CITATION["preferred-citation"][end]) for end in ("start", "end")
    ]


def test_the_books_title_is_not_the_papers():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["title"] != CITATION["preferred-citation"]["title"]
    assert "reproducible" in config["title"]


@pytest.mark.parametrize("item", [f"Table {n}" for n in range(1, 5)] + [f"Figure {n}" for n in range(1, 4)])
def test_every_table_and_figure_of_the_paper_has_its_entry(item):
    (text,) = (text for title, text in ITEMS.items() if title.startswith(f"{item}:"))
    for part in ("Left open\n: ", "Here\n: "):
        assert part in text
    assert re.search(r"\]\((#|run/)", text)


@pytest.mark.parametrize("group", ["database", "search", "table2", "table3", "best", "svm"])
def test_the_papers_numbers_are_all_quoted(group):
    optional = {"search.usual_learning_rate", "best.auc", "svm.smallest", "svm.largest"}
    keys = {f"{group}.{key}" for key in PAPER[group]} - optional
    assert [key for key in keys if f"{{paper}}`{key}" not in TEXT["paper"]] == []


def test_the_powers_of_ten_are_the_papers():
    ends = [f"10{{sup}}`{PAPER['svm'][end]['value']}`" for end in ("smallest", "largest")]
    assert " to ".join(ends).replace("-", "−") in TEXT["paper"]


def test_every_claim_has_its_entry_with_what_this_run_found():
    _, entries = TEXT["paper"].split("\n## The claims\n")
    found = dict(entry.split("\n: ", 1) for entry in entries.split("\n\n") if "\n: " in entry)
    assert list(found) == [claim.sentence for claim in printed_claims()]
    for claim in printed_claims():
        text = found[claim.sentence]
        assert text.startswith(f"Source: {claim.source}. ")
        for name in ("holds", "found", "verdict"):
            assert f"{{val}}`claims.{claim.id}.{name}`" in text
        assert "[](#table-" in text


def test_no_result_is_typed_in_prose():
    for page in ("introduction", "paper"):
        plain = re.sub(r"\{\w+(:\w+)?\}`[^`]*`|\([^)]*\)", "", TEXT[page])
        for claim in printed_claims():
            plain = plain.replace(claim.sentence, "")
        assert not re.search(r"\b[01]\.\d|\d ?%(?! interval)", plain), page


def test_terms_are_unique_and_in_order():
    names = [term.casefold() for term in TERMS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    first = [entry.splitlines()[0].casefold() for entry in ENTRIES]
    assert first == sorted(first)


def test_every_word_that_a_student_may_not_know_is_explained():
    assert {" ".join(term.split()) for term in WANTED.split(",")} <= set(TERMS)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.splitlines()[0])
def test_an_entry_is_one_to_three_sentences(entry):
    text = " ".join(line.strip() for line in entry.splitlines() if line.startswith(" "))
    assert text.endswith(".")
    assert 1 <= len(re.findall(r"[.?](?:\s|$)", text)) <= 4
    assert words(text) <= 65


def test_every_link_to_a_term_has_an_entry_spelt_alike():
    known = set(TERMS)
    for text in [*TEXT.values(), *CHAPTERS]:
        for named in re.findall(r"\{term\}`([^`]+)`", text):
            target = re.search(r"<(.+)>", named)
            assert " ".join((target[1] if target else named).split()) in known


API = re.findall(r"^\.\. api:: (\S+)$", TEXT["api"], re.MULTILINE)


@pytest.mark.parametrize("name", API)
def test_the_reference_names_what_the_package_has(name):
    parts = name.split(".")
    found = importlib.import_module(".".join(parts[:3]))
    for part in parts[3:]:
        found = getattr(found, part)
    assert len(found.__doc__) > 20


def test_the_reference_is_small_and_names_nothing_twice():
    assert len(API) == len(set(API))
    assert len(API) <= 40
    assert {name.split(".")[-1] for name in API} > set(hep2lib.__all__)
