"""From two commands to a book: on a database that no simulator wrote, and twice with the same seed."""

import ast
import csv
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup, Tag
from PIL import Image

from hep2lib.cli import main
from hep2lib.data.report import QUESTIONS
from hep2lib.files import project_root
from hep2lib.runs.notebooks import PAGES, execute, page_values
from hep2lib.runs.pairs import read_source, stands
from hep2lib.runs.paper import printed_claims
from hep2lib.runs.run import open_run
from hep2lib.runs.teach import starter
from hep2lib.simulator.writing import write_database

from .like_windows import sitecustomize
from .runs.htmlcheck import check_html

pytestmark = pytest.mark.slow

SIZES = ((96, 72), (120, 80), (70, 70))
ENDINGS = (".PNG", ".JPG", ".BMP")


def write_foreign_database(folder: Path) -> Path:
    """24 drawn fields of 12 wells: discs that are bright in positives, under headers of no known layout."""
    rng = np.random.default_rng(5)
    pictures = folder / "Pictures"
    pictures.mkdir(parents=True)
    rows = []
    for number in range(24):
        well, positive = number // 2, (number // 2) % 3 != 2
        width, height = SIZES[number % 3]
        y, x = np.mgrid[:height, :width]
        pixels = rng.integers(0, 30, (height, width, 3))
        for _ in range(6):
            distance = np.hypot(y - rng.integers(height), x - rng.integers(width))
            pixels[distance < 8, 1] += int(rng.integers(40, 140 if positive else 70))
        name = f"Field_{number:02d}{ENDINGS[number % 3]}"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(pictures / name)
        rows.append([name, "positive" if positive else "negative", f"well {well}", "speckled"])
    with (folder / "Readings.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["Picture", "Reading", "Well", "Look"], *rows])
    return folder


@dataclass(frozen=True)
class Rendered:
    """A finished run, notes of its files' making, its data, and its pages as a reader's program sees them."""

    run: Path
    notes: Path
    data: Path
    pages: dict[str, BeautifulSoup]

    def published(self) -> dict[str, dict]:
        return {page: read(self.run / "published" / f"{page}.json") for page in PAGES}


def read_text(node: Tag) -> str:
    """What a reader sees of a node, on one line, with plain apostrophes."""
    return " ".join(node.get_text().split()).replace("’", "'")


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Rendered:
    data = write_foreign_database(tmp_path_factory.mktemp("data") / "clinic")
    run = tmp_path_factory.mktemp("run") / "first"
    columns = ["--sheet", "Readings.csv", "--images", "Pictures"]
    columns += ["--image-column", "Picture", "--label-column", "Reading"]
    columns += ["--specimen-column", "Well", "--pattern-column", "Look"]
    where = ["--data", str(data), "--weights", "random", "--out", str(run)]
    notes = tmp_path_factory.mktemp("notes") / "notes.tsv"
    with pytest.MonkeyPatch.context() as watched:
        watched.setenv("HEP2_WATCHED", str(run.parent))
        watched.setenv("HEP2_WATCHER", str(notes))
        watched.setenv("PYTHONPATH", str(Path(sitecustomize.__file__).parent), prepend=os.pathsep)
        assert main(["run", "--profile", "smoke", *where, *columns, "--book"]) == 0
    folder = run / "html" / "book"
    pages = {
        file.relative_to(folder).with_suffix("").as_posix(): BeautifulSoup(
            file.read_text(encoding="utf-8"), "html5lib"
        )
        for file in folder.rglob("*.html")
    }
    return Rendered(run, notes, data, pages)


def test_the_run_is_described(rendered):
    about = read(rendered.run / "run.json")
    assert about["profile"] == "smoke"
    assert (about["database"]["images"], about["database"]["specimens"]) == (24, 12)
    assert "clinic" in about["database"]["name"]
    assert set(PAGES) <= set(about["seconds"])
    assert about["processor"].strip()


def test_nothing_was_done_that_windows_refuses(rendered):
    """No forked process, no name or length of a path that it has not, nothing moved or removed while open."""
    lines = [line.split("\t") for line in rendered.notes.read_text(encoding="utf-8").splitlines()]
    made = {path: process for process, kind, path in lines if kind == "made"}
    assert len(set(made.values())) >= 3  # this process, and kernels
    assert [line for line in lines if line[1] not in ("begun", "made")] == []
    assert [path for path, times in Counter(map(str.casefold, made)).items() if times > 1] == []


def test_the_folds_are_kept(rendered):
    with (rendered.run / "folds.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24 * 2
    assert {row["specimen"] for row in rows} == {f"well {well}" for well in range(12)}


def test_the_papers_tables_and_figure_are_there(rendered):
    for table in ("table3", "table4", "feature-extraction"):
        for ending in ("csv", "html"):
            assert (rendered.run / "tables" / f"{table}.{ending}").stat().st_size > 0
        assert rendered.pages["run/05-results"].find(id=f"table-{table}") is not None
    for ending in ("png", "svg"):
        assert (rendered.run / "figures" / f"roc-curve.{ending}").stat().st_size > 0
    assert rendered.pages["run/05-results"].find(id="fig-roc-curve") is not None


def test_the_claims_and_why_none_is_tested_are_in_the_html(rendered):
    rows = rendered.pages["run/05-results"].find(id="table-claims").find_all("tr")[1:]
    assert len(rows) == len(printed_claims())
    items = rendered.pages["paper"].article.select("dt")
    for row, claim in zip(rows, printed_claims(), strict=True):
        sentence, holds, obtained, decides, verdict = (c.get_text() for c in row.find_all(["th", "td"]))
        assert sentence.startswith(claim.sentence)
        assert holds.startswith(("at least", "more than"))
        assert "specimens" in obtained
        assert decides == "–"
        assert verdict.startswith("not tested: a smaller budget than the paper's (")
        absolute = "an absolute number under other conditions (not AIDA's 2,080 images"
        assert (absolute in verdict) == (not claim.second)
        (item,) = (one for one in items if read_text(one) == claim.sentence)
        said = read_text(item.find_next("dd"))
        assert all(text in said for text in (claim.source, holds, obtained, verdict))


def test_the_front_page_says_what_the_run_is_worth(rendered):
    article = rendered.pages["introduction"].article
    text = read_text(article)
    assert "Verdicts on 8 claims, by code: 8 not tested." in text
    assert "The images of this run are not the paper's, and no number from them confirms" in text
    assert "from random weights, which have learnt nothing. So what a network gains from photographs" in text
    assert not article.select("figure, .hep2-table")
    assert "Source, questions" not in text  # no address is given
    (note,) = [one.get_text() for one in article.select(".hep2-banner span") if "your own" in one.get_text()]
    assert note == "This is a run of your own, not the published one (hep2 book); a page compares the two."


def test_nothing_is_said_of_what_the_database_has_not(rendered):
    """It has patterns and several fields of a well, neither a simulator behind it nor intensity grades."""
    text = read_text(rendered.pages["run/01-dataset"].article)
    for words in ("The simulator", "shortcut on", "Readers grade", "intensity grade,", "names no patterns"):
        assert words not in text
    assert "every specimen has one image" not in text
    assert "Of each single pattern that the database knows" in text
    assert "Data card of clinic: what was computed." in text
    assert text.count("not answered") == len(QUESTIONS)
    assert "AIDA" not in read_text(rendered.pages["reporting"].find(id="data"))


def test_no_page_names_a_folder_of_the_machine(rendered):
    for file in (rendered.run / "html").rglob("*"):
        if file.suffix in (".html", ".js", ".txt", ".md", ".ipynb"):
            text = file.read_text(encoding="utf-8")
            assert str(rendered.data.parent) not in text, file
            assert str(rendered.run.parent) not in text, file


def test_parameters_that_differ_from_the_published_runs_are_named(rendered):
    page = rendered.pages["against-published"].article
    (row,) = (row for row in page.select("tr") if row.td and row.td.text == "image_size")
    assert re.fullmatch(r"image_size\s*A: \d+\s*B: \d+\s*", row.text)
    assert "Not comparable, so no difference is formed" in page.text
    assert "A − B" not in page.text
    assert str(rendered.data) not in page.text


def test_values_are_published_by_every_page_of_results(rendered):
    published = rendered.published()
    for page in ("01-dataset", "03-fine-tuning", "04-svm", "05-results", "06-costs"):
        assert published[page]["values"], page


def needed_cells(cells: list, exercises: list) -> list:
    """The cells that set parameters, what these exercises use, and what those use in turn."""
    wanted, needed = set(), []

    def names(cell, context: type) -> set[str]:
        nodes = ast.walk(ast.parse(cell.source))
        imported = {
            a.asname or a.name for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names
        }
        nodes = ast.walk(ast.parse(cell.source))
        used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, context)}
        return used | (imported if context is ast.Store else set())

    for cell in exercises:
        wanted |= names(cell, ast.Load)
    for cell in reversed(cells):
        if names(cell, ast.Store) & wanted or "parameters" in cell.metadata.get("tags", []):
            wanted |= names(cell, ast.Load)
            needed.insert(0, cell)
    return needed


@pytest.mark.parametrize("page", PAGES[:-1])
def test_solutions_pass_their_checks_and_starters_fail_only_by_being_unfinished(rendered, page, capsys):
    """In the run, and with dots in place of what a student writes."""
    executed = nbformat.read(rendered.run / "notebooks" / f"{page}.ipynb", as_version=4).cells
    printed = [
        line
        for cell in executed
        if "check" in cell.metadata.get("tags", [])
        for line in cell.outputs[0].text.splitlines()
    ]
    assert len(printed) >= 4
    assert [line for line in printed if not line.startswith("good")] == []

    facts = read(rendered.run / "run.json")["facts"]
    cells = list(read_source(project_root() / "notebooks" / f"{page}.md").cells)
    cells = [c for c in cells if c.cell_type == "code" and stands(c.metadata.get("tags", []), facts)]
    exercises = [cell for cell in cells if {"solution", "check"} & set(cell.metadata.get("tags", []))]
    globals_of_it: dict = {}
    for cell in needed_cells([cell for cell in cells if cell not in exercises], exercises):
        exec(cell.source, globals_of_it)
        if "parameters" in cell.metadata.get("tags", []):
            globals_of_it["run_folder"] = str(rendered.run)
    for cell in exercises:
        capsys.readouterr()
        exec(starter(cell.source), globals_of_it)
        said = set(capsys.readouterr().out.splitlines())
        if "check" in cell.metadata["tags"]:
            assert said == {"not done yet: write code for the dots (...), then execute both cells"}


def test_nothing_that_is_published_on_random_weights_calls_them_pre_trained(rendered):
    for page, published in rendered.published().items():
        words = json.dumps({part: published[part] for part in ("figures", "tables", "values")})
        assert not re.search(r"pre-?\s?trained|ImageNet", words, re.IGNORECASE), page


def test_every_page_is_rendered(rendered):
    pages = {"introduction", "paper", "glossary", "reporting", "references", "rerun", "about-run", "api"}
    pages.add("teaching")
    pages.add("against-published")  # as in every book that is not the published one
    assert pages | {f"run/{page}" for page in PAGES} == set(rendered.pages)


def test_the_pages_have_no_problem(rendered):
    assert check_html(rendered.run / "html") == []


def test_every_image_has_words_and_a_file(rendered):
    for name, page in rendered.pages.items():
        for image in page.find_all("img"):
            assert (image.get("alt") or "").strip(), (name, image)
            assert (rendered.run / "html" / "book" / Path(name).parent / image["src"]).is_file(), (
                name,
                image,
            )


def test_no_role_is_left_unresolved(rendered):
    for name, page in rendered.pages.items():
        for code in page.find_all(["script", "style", "pre", "code"]):
            code.decompose()
        text = page.get_text()
        for role in ("{val}", "{paper}", "{param}", "{cite"):
            assert role not in text, (name, role)


def test_every_chapter_names_database_weights_and_profile_once_for_all(rendered):
    for page in PAGES:
        said = rendered.pages[f"run/{page}"].find(class_="hep2-banner").get_text()
        assert said.count("Obtained on, unless a caption says otherwise: ") == 1
        assert all(words in said for words in ("clinic", "random weights", "profile smoke"))


SMALLEST = {
    "folds": 2,
    "image_size": 64,
    "workers": 1,
    "grids": [{"freeze": [110, 139], "batch_sizes": [8], "learning_rates": [0.01], "epochs": 2}],
    "rotations": 2,
}


def fine_tuning_page(folder: Path, profile: Path, data: Path, seed: int) -> tuple[dict, str]:
    """Execute the page on fine-tuning in a new run; its values, and its table of results."""
    run = open_run(folder, str(profile), data=str(data), weights="random", seed=seed)
    execute("03-fine-tuning", run.folder, page_values(run))
    values = read(folder / "published" / "03-fine-tuning.json")["values"]
    return values, (folder / "tables" / "freezing-depths.csv").read_text(encoding="utf-8")


def test_a_seed_gives_its_numbers_again_and_another_seed_others(tmp_path):
    profile = tmp_path / "smallest.yaml"
    profile.write_text(yaml.safe_dump(SMALLEST), encoding="utf-8")
    data = tmp_path / "data"
    write_database(data, specimens=16, seed=0)
    first = fine_tuning_page(tmp_path / "first", profile, data, seed=1)
    again = fine_tuning_page(tmp_path / "again", profile, data, seed=1)
    other = fine_tuning_page(tmp_path / "other", profile, data, seed=2)
    assert first == again
    assert first[1] != other[1]
    assert first[0] != other[0]
