import importlib
import json
import re
import shutil
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup

from hep2lib.files import RunError, write_json
from hep2lib.runs.book import build_book

from .small_book import ALT, BOOK, REPOSITORY, SOURCE, STATEMENT, write_clone

ORDER = ("introduction", *(f"run/{page}" for page in ("01-dataset", "02-cnn", "03-fine-tuning", "04-svm")))


@pytest.fixture(scope="module")
def introduction(small_book):
    return BeautifulSoup(small_book.page("introduction"), "html5lib").article


@pytest.fixture(scope="module")
def chapter(small_book):
    return BeautifulSoup(small_book.page("run/03-fine-tuning"), "html5lib").article


def test_values_are_quoted_and_lead_to_the_page_that_computed_them(introduction):
    links = [each.parent for each in introduction.select("a > .hep2-value")]
    assert [link.text for link in links] == ["93.4\xa0%", "90.1\xa0% to 96.0\xa0%", "−0.05", "GoogLeNet"]
    assert {link["href"] for link in links} == {"run/03-fine-tuning.html"}
    assert links[0]["title"] == "fine-tuning.auc, computed in “Fine tuning”"


def test_a_long_text_may_be_broken_and_a_number_may_not(small_book, introduction):
    told = BeautifulSoup(small_book.page("reporting"), "html5lib").article.select_one(".hep2-value")
    assert told["class"] == ["hep2-value", "hep2-words"]
    assert not introduction.select(".hep2-words")


def test_a_page_with_an_explorer_holds_its_module_and_no_other_page_does(small_book, chapter):
    text = small_book.page("run/03-fine-tuning")
    (place,) = chapter.select(".hep2-explorer")
    assert json.loads(place.script.string) == {"layers": ["<a>"]}
    module = (REPOSITORY / "book" / "_static" / "freezing.js").read_text(encoding="utf-8")
    assert text.count(f'<script type="module">\n{module}</script>') == 1
    assert "</script" not in module
    assert "freezing" not in small_book.page("run/04-svm")


def test_a_value_on_its_own_page_is_no_link(chapter):
    assert [each.text for each in chapter.select(".hep2-value")] == ["0.934"]
    assert not chapter.select("a > .hep2-value")


def test_the_papers_numbers_and_the_parameters_are_quoted(introduction):
    assert [each.text for each in introduction.select(".hep2-paper")] == ["98.0\xa0%"]
    assert [each.text for each in introduction.select(".hep2-parameter")] == ["3", "pool2, pool5"]


def test_a_table_is_numbered_where_it_is_computed_and_shown_again_by_that_number(introduction, chapter):
    (table,) = chapter.select(".hep2-table")
    assert table["id"] == "table-depths"
    assert table.caption.text == "Table 3.1 AUC by freeze depth, simulated database."
    (again,) = introduction.select(".hep2-table")
    assert again.caption.text == table.caption.text
    assert again.caption.a["href"] == "run/03-fine-tuning.html#table-depths"
    assert again.caption["id"] == again["aria-labelledby"] == "shown-table-depths-caption"
    assert again.tbody.text == table.tbody.text
    assert [th["scope"] for th in table.select("th")] == ["col"] * 4 + ["row"] * 3


def test_the_cells_of_a_wide_table_of_the_prose_carry_their_titles(small_book):
    wide, narrow = BeautifulSoup(small_book.page("rerun"), "html5lib").article.select("table")
    assert "hep2-labelled" in wide["class"]
    labels = [label.text for label in wide.select("tbody .hep2-label")]
    assert labels == ["default: ", "range: ", "meaning: "]
    assert wide.select_one("tbody td").text.strip() == "seed"
    assert not narrow.select(".hep2-label")


def test_a_figure_has_number_caption_and_alt_text_on_both_pages(introduction, chapter):
    (figure,) = chapter.select("figure")
    assert figure["id"] == "fig-roc-curves"
    assert figure.img["alt"] == ALT
    assert (
        figure.figcaption.select_one(".caption-text").text == "ROC curves, p < 0.05, of inception_3a-output."
    )
    assert figure.figcaption.select_one(".caption-number").text.strip() == "Figure 3.1"
    (again,) = introduction.select("figure")
    assert again.img["alt"] == ALT
    assert again.img["src"] == "../_images/roc-curves.png"
    assert " ".join(again.figcaption.text.split()) == (
        "Figure 3.1 ROC curves, p < 0.05, of inception_3a-output."
    )
    assert again.figcaption.a["href"] == "run/03-fine-tuning.html#fig-roc-curves"


def test_a_link_without_text_reads_as_the_number(introduction, chapter):
    texts = [
        [link.text for link in page.select("p > a.internal > .std-numref")]
        for page in (introduction, chapter)
    ]
    assert texts == [["Figure 3.1", "Table 3.1"], ["Table 3.1", "Figure 3.1"]]


def test_formulas_are_drawn_by_the_browser_itself(introduction):
    inline, block = introduction.select("math")
    assert inline.find("mfrac")
    assert block["display"] == "block"


def test_the_run_is_described(small_book):
    table = BeautifulSoup(small_book.page("about-run"), "html5lib").select_one(".hep2-status")
    rows = {row.th.text: row.td.get_text("|") for row in table.select("tr")}
    assert rows == {
        "Profile": "quick",
        "Database": "name: simulated database|images: 24|specimens: 12|sha256: " + "ab" * 32 + "|"
        "simulation: version 4, seed 0",
        "Weights": "used: GoogLeNet, random weights|sha256: " + "cd" * 32,
        "Device": "cpu <2 cores>",
        "Date": "2026-11-26T10:00:00+00:00",
        "Commit": "0123abc",
        "Version of hep2lib": "0.1.0",
        "Versions": "python: 3.11|torch: 2.6|hep2lib: 0.1.0",
        "Seconds": "01-dataset: 2.2|03-fine-tuning: 31.0",
    }


@pytest.mark.parametrize("page", ORDER)
def test_every_page_says_what_its_results_were_obtained_on(small_book, page):
    article = BeautifulSoup(small_book.page(page), "html5lib").article
    (banner,) = article.select("h1 + .hep2-banner, h1 + .hep2-freshness + .hep2-banner")
    assert [each.text for each in banner.select("span")] == [
        STATEMENT,
        "This is a first run: small enough for a class, and too small to judge the paper by.",
        "This is a run of your own, not the published one, which is here; a page compares the two.",
    ]
    against = "../" * page.startswith("run/") + "against-published.html"
    assert [link["href"] for link in banner.select("a")] == [BOOK, against]


def test_a_trial_run_says_that_its_numbers_mean_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "book" / "_ext")
    extension = importlib.import_module("hep2book")
    write_json(tmp_path / "run.json", {"statement": "Obtained on: 24 images", "profile": "smoke"})
    config = SimpleNamespace(hep2_run="")
    extension.read_statement(SimpleNamespace(srcdir=tmp_path), config)
    (told,) = config.hep2_statement[1:]
    assert "only tries out that everything works: its numbers mean nothing" in told


def test_the_source_is_named_once_it_has_an_address(introduction):
    (link,) = introduction.select(f'p > a[href="{SOURCE}"]')
    assert link.parent.text == f"Source, questions, corrections: {SOURCE}"


def test_a_word_is_a_link_to_its_entry_in_the_glossary(small_book):
    links = BeautifulSoup(small_book.page("paper"), "html5lib").article.select("p > a")
    assert {link["href"] for link in links} == {"glossary.html#term-AUC"}
    assert [link.text for link in links] == ["AUC", "auc", "areas"]


def test_the_reference_shows_signatures_and_docstrings_of_functions_and_methods(small_book):
    function, method = BeautifulSoup(small_book.page("api"), "html5lib").article.select("dl.py")
    assert function.dt["id"] == "hep2lib.studies.svm.fit_svm"
    assert "C: float" in function.dt.text
    text = function.find("dd", recursive=False).text
    assert "Fit a soft-margin SVM with hinge loss and a free bias" in text
    assert "Parameters" in text
    assert "self" not in method.dt.text


def test_parameters_are_folded_away(chapter):
    details = chapter.select("details")[0]
    assert details.select_one("summary .collapsed").text == "Show the code"
    assert "seed" in details.select_one("pre").text


def test_no_page_knows_of_a_kernel(small_book):
    for page in small_book.index.parent.rglob("*.html"):
        assert "thebe" not in page.read_text(encoding="utf-8")


def test_every_colour_of_the_style_is_defined_for_light_and_dark():
    style = (REPOSITORY / "book" / "_static" / "hep2.css").read_text(encoding="utf-8")
    defined = {
        theme: set(
            re.findall(
                r"(--hep2-[\w-]+):", re.search(rf'html\[data-theme="{theme}"\] {{(.*?)}}', style, re.S)[1]
            )
        )
        for theme in ("light", "dark")
    }
    assert defined["light"] == defined["dark"]
    used = set(re.findall(r"var\((--hep2-[\w-]+)\)", style))
    assert used - defined["light"] == {
        "--hep2-serif",
        "--hep2-sans",
        "--hep2-sprite",
    }  # a picture, not a colour


BAD = """# Wrong

{val}`no.such` {val}`name:.1%` {val}`alone:interval` {paper}`table3.no` {paper}`table3.freeze_11`
{param}`sede` {term}`sede` [](#fig-no) [](#table-no) $\\nosuchthing{x}$

```{run-table} no
```

```{run-figure} none
```

```{eval-rst}
.. api:: hep2lib.studies.svm.no_such
.. api:: hep2lib.no_such.train
```
"""


def test_what_is_not_there_fails_the_build_with_page_and_line(tmp_path, small_run):
    project = write_clone(tmp_path)
    (project / "book" / "rerun.md").write_text(BAD, encoding="utf-8")
    run = project / "run"
    shutil.copytree(small_run, run)
    (run / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError) as raised:
        build_book(run, project=project)
    complaints = str(raised.value)
    for complaint in (
        "run.json: does not say what the results were obtained on",
        "book/rerun.md:3: WARNING: {val}: there is no 'no.such' to quote",
        "{val}: 'name:.1%' cannot be shown: ",
        "{val}: 'alone:interval' cannot be shown: it was published without an interval",
        "{paper}: there is no 'table3.no' to quote",
        "{paper}: there is no 'table3.freeze_11' to quote",
        "{param}: there is no 'sede' to quote",
        "{run-table}: this run has no table 'no'",
        "{run-figure}: this run has no figure 'none'",
        "term not in glossary: 'sede'",
        "api: there is no hep2lib.studies.svm.no_such",
        "api: there is no hep2lib.no_such.train",
        "fig-no",
        "table-no",
        r"formula '\\nosuchthing{x}' cannot be drawn",
    ):
        assert complaint in complaints
    assert str(project / "run" / "site" / "source") not in complaints
    assert not (project / "run" / "html").exists()


def test_the_config_is_jupyter_books_and_fetches_nothing():
    config = yaml.safe_load((REPOSITORY / "_config.yml").read_text(encoding="utf-8"))
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True
    assert config["sphinx"]["config"]["html_math_renderer"] == "mathml"
