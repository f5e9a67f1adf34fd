"""Exercises: starters, checks, and what the book, a student and a teacher get of them."""

import re
from collections import Counter

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup

from hep2lib import check, notebook_run
from hep2lib.cli import main
from hep2lib.files import project_root
from hep2lib.runs.book import class_set
from hep2lib.runs.notebooks import PAGES
from hep2lib.runs.pairs import FACTS, read_source, stands
from hep2lib.runs.records import PAGES as RECORDED
from hep2lib.runs.teach import LEVELS, MARK, exercise_table, starter, student_copy

from .htmlcheck import check_html
from .small_book import ALT, curves

CHAPTERS = PAGES[:-1]
HEADING = re.compile(r"### Exercise (\d)\.(\d+): \S.*\n\n\*(\d+) minutes, (\w+)\*\n\n\S")


@pytest.mark.parametrize(
    ("solution", "wanted"),
    [
        ("a = 1\nb = a + 1  # <-", "a = 1\nb = ..."),
        ("a = f(  # <-\n    1,  # <-\n    b=2)  # <-\nc = 3", "a = ...\nc = 3"),
        ("f(1)  # <-\ng(2)  # <-\nh(3)", "...\nh(3)"),
        ("a = 1  # <-\nf(a)  # <-\nb = 2  # <-", "a = ...\n...\nb = ..."),
        ("for x in y:\n    z[x] = x  # <-\n    f(z)  # <-", "for x in y:\n    z[x] = ...\n    ..."),
        ("a[b == 0] *= 2  # <-\nc = a  # <-", "...\nc = ..."),
        ('z["a b"] = 1\nz["a"] = 2  # <-', 'z["a b"] = 1\nz["a"] = ...'),
    ],
)
def test_a_starter_has_dots_for_what_a_student_writes(solution, wanted):
    assert starter(solution) == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((..., 1, 2), "not done yet: write code for the dots (...), then execute both cells"),
        ((1.5, 1, 2), "good: 1.5"),
        ((np.float32(1.5), 1, 2), "good: 1.5"),
        ((0.1 + 0.2, 0.3), "good: 0.3"),
        ((np.True_, True), "good"),
        ((False, True, None, "Count."), "look again. Count."),
        ((0.738, 0.7381), "look again: 0.738 is near, but do not round."),
        ((0.739, 0.7391, 0.7392), "look again: 0.739 is near, but do not round."),
        ((73.81, 0.7381), "look again: 73.81 seems to be in percent; give a share, from 0 to 1"),
        ((148, 147), "look again: 148 is not what is expected here."),
        ((-0.6, 0.6), "look again: -0.6 is not what is expected here."),
        ((3, 1, 2), "look again: 3 is not what is expected here."),
        ((float("nan"), 0, 1), "look again: nan is not what is expected here."),
        (([1, 2], 0, 3), "look again: one number is needed, and this is a list"),
        ((None, 0, 3), "look again: one number is needed, and this is a NoneType"),
        (("1", 0, 3), "look again: one number is needed, and this is a str"),
    ],
)
def test_a_check_says_good_or_what_to_look_at(arguments, said, capsys):
    check(*arguments)
    assert capsys.readouterr().out == f"{said}\n"


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def exercises(page):
    """By label, the cells of each exercise of a chapter's text."""
    found = {}
    for cell in read_source(project_root() / "notebooks" / f"{page}.md").cells:
        if heading := HEADING.search(cell.source):
            label = f"{heading[1]}.{heading[2]}"
            found[label] = []
        elif not (tagged(cell, "solution") or tagged(cell, "check")):
            continue
        found[label].append(cell)
    return found


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_exercise_has_a_question_one_solution_and_its_check(page):
    text = (project_root() / "notebooks" / f"{page}.md").read_text(encoding="utf-8")
    found = exercises(page)
    numbers = list(re.findall(r"^### Exercise (\S+):", text, re.MULTILINE))
    assert [*found] == numbers == [f"{int(page[:2])}.{n}" for n in range(1, len(numbers) + 1)]
    with_code = 0
    for label, (question, *rest) in found.items():
        assert HEADING.search(question.source)[4] in LEVELS
        kinds = [(one.cell_type, next(iter(one.metadata["tags"]))) for one in rest]
        assert kinds in (
            [("markdown", "solution")],
            [("code", "solution"), ("code", "check"), ("markdown", "solution")],
        ), label
        facts = {tuple(tag for tag in one.metadata.get("tags", []) if "-" in tag) for one in rest}
        assert len(facts) == 1, f"{label}: its cells stand in different books"
        with_code += len(kinds) == 3
    assert with_code >= 4


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_starter_lacks_something_and_has_nothing_of_its_own(page):
    for label, (_, *rest) in exercises(page).items():
        if len(rest) < 3:
            continue
        solution, checked = rest[0].source, rest[1].source
        stub = starter(solution)
        compile(stub, label, "exec")
        assert "..." in stub, label
        assert MARK not in stub, label
        lines = solution.splitlines()
        for line in stub.splitlines():
            kept = line.removesuffix("...")
            assert any(one.startswith(kept) for one in lines if kept == line or one.endswith(MARK)), label
        written = [line.partition(" = ")[2] or line for line in lines if line.endswith(MARK)]
        for line in (line.removesuffix(MARK).strip() for line in written):
            assert len(line) < 8 or line not in checked, f"{label}: the check tells the solution"
        assert "check(" in checked
        assert "publish" not in checked


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_opens_with_goals_and_closes_with_a_quiz_that_explains_every_answer(page):
    text = (project_root() / "notebooks" / f"{page}.md").read_text(encoding="utf-8")
    opening = text.partition("## ")[0]
    for words in (
        "**Questions.**",
        "**Afterwards you can**\n\n- ",
        "**Before.**",
        "Reading: ",
        "Exercises: ",
    ):
        assert words in opening
    quiz = text.partition("## Quiz\n")[2].partition("## Exercises\n")[0]
    questions = re.split(r"^\*\*\d\. ", quiz, flags=re.MULTILINE)[1:]
    assert 3 <= len(questions) <= 5
    places = set()
    for question in questions:
        answers = re.findall(
            r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>\n", question, re.DOTALL
        )
        places.add(next(place for place, (_, why) in enumerate(answers) if why.startswith("Right")))
        assert len(answers) == question.count("<details>") >= 3
        assert sum(why.startswith("Right") for _, why in answers) == 1
        assert all(len(why) > 30 or why.startswith("Right") for _, why in answers)
    assert len(places) > 1  # nobody finds the answers by their place


@pytest.fixture
def written(small_book, tmp_path, monkeypatch):
    """A class set of the small book's run."""
    monkeypatch.setattr("hep2lib.runs.book.project_root", lambda: small_book.project)
    return class_set(tmp_path / "set", CHAPTERS[2:4], small_book.run)


def read(file):
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    assert max(Counter(cell.id for cell in notebook.cells).values()) == 1
    return notebook


def test_a_class_set_has_what_was_asked_for(written):
    files = sorted(file.relative_to(written).as_posix() for file in written.rglob("*") if file.is_file())
    pages = [f"{page}.ipynb" for page in CHAPTERS[2:4]]
    assert files == [*(f"student/{p}" for p in pages), "student/README.md",
                     *(f"teacher/{p}" for p in pages), "teacher/plan.md"]  # fmt: skip
    handed_out = (written / "student" / "README.md").read_text(encoding="utf-8")
    assert handed_out == "# For the class\n\nOpen GoogLeNet.\n"
    plan = (written / "teacher" / "plan.md").read_text(encoding="utf-8")
    assert "# Three times 90 minutes\n\nOne." in plan
    assert "# A single hour\n\nTwo." in plan
    assert "| 3.1 Six times seven | 5 | start |\n| 3.2 Why? | 10 | hard |\n" in plan


def test_a_link_to_a_chapter_that_is_not_in_the_set_names_it(written):
    for kind in ("student", "teacher"):
        for file in (written / kind).glob("*.ipynb"):
            linked = set(re.findall(r"\]\(([\w-]+)\.ipynb\)", file.read_text(encoding="utf-8")))
            assert linked <= {page.stem for page in (written / kind).glob("*.ipynb")}
    solved = (written / "teacher" / "03-fine-tuning.ipynb").read_text(encoding="utf-8")
    assert "see [04-svm](04-svm.ipynb) and *05-results* (in the book)" in solved


def test_a_students_copy_has_no_solution(written):
    text = (written / "student" / "03-fine-tuning.ipynb").read_text(encoding="utf-8")
    for words in ("six * 7", "print(product)", "printed by", "The reason", "Therefore", "Wait.", "good: 42"):
        assert words not in text
    cells = read(written / "student" / "03-fine-tuning.ipynb").cells
    (stub,) = (cell for cell in cells if cell.source.startswith("six"))
    assert (stub.source, stub.outputs) == ("six = 6\nproduct = ...\n...", [])
    (checked,) = (cell for cell in cells if cell.source == "check(product, 42)")
    assert checked.metadata["jupyter"]["source_hidden"]
    assert checked.outputs == []
    assert any("How much is it?" in cell.source for cell in cells)
    assert any(cell.get("outputs") for cell in cells)  # of the chapter itself


def test_a_teachers_copy_has_all(written):
    text = (written / "teacher" / "03-fine-tuning.ipynb").read_text(encoding="utf-8")
    for words in ("six * 7", "printed by", "The reason.", "Therefore", "Wait.", "good: 42"):
        assert words in text


def test_the_figure_of_a_solution_is_a_students_hint(tmp_path):
    from hep2lib.runs.publish import Publication

    from .small_book import output

    shown = output(Publication(tmp_path, "03-fine-tuning").figure("hint", curves(), ALT, "A caption."))
    cell = nbformat.v4.new_code_cell("draw()  # <-", metadata={"tags": ["solution"]}, outputs=[shown])
    hint, stub = student_copy(nbformat.v4.new_notebook(cells=[cell]), []).cells
    assert hint.cell_type == "markdown"
    assert f"![{ALT}](data:image/png;base64,iVBOR" in hint.source
    assert (stub.source, stub.outputs) == ("...", [])


def test_the_book_has_a_drop_down_for_each_exercise(small_book):
    page = small_book.page("run/03-fine-tuning")
    for words in ("Wait.", "check(", "# <-"):
        assert words not in BeautifulSoup(page, "html5lib").article.get_text()
    assert page.count('<details class="hep2-solution">') == page.count("Solution of exercise 3.") == 2
    before, inside, after = page.split('<details class="hep2-solution">')
    inside, after = inside.split("</details>", 1)
    assert "product" in before
    assert "printed by" not in before
    assert "printed by the solution" in inside
    assert "good: 42" in inside
    assert "The reason." in inside
    assert "Say why." in after
    assert 'id="exercise-3-1"' in page
    assert "<td><p>3.1 Six times seven</p></td>" in small_book.page("teaching")
    assert check_html(small_book.index.parent) == []


def test_what_cannot_be_written_is_refused(small_book, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hep2lib.runs.book.project_root", lambda: small_book.project)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    out = str(tmp_path / "out")
    for words, said in (
        ([str(tmp_path / "full")], "full: holds something; choose another folder"),
        ([out, "--chapters", "3"], "page '3': there is none of that name; the pages are 01-dataset, "),
        ([out, "--chapters", "01", "05-result"], "did you mean '05-results'?"),
        ([out, "--chapters", "06"], "page '06': there is none of that name"),
        ([out, str(tmp_path / "nowhere")], "nowhere: there is no such run"),
        ([out], "has no records; `hep2 run` computes everything anew"),
    ):
        assert main(["teach", *words]) == 2
        message = capsys.readouterr().err
        assert message.startswith("hep2: ")
        assert said in message
        assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("page", ["01-dataset", "05-results"])
def test_a_students_first_cells_find_the_results(tmp_path, monkeypatch, page):
    """As in a folder of their own, beside an installed package; nothing is trained or simulated for it."""
    out = class_set(tmp_path / "set", [page])
    monkeypatch.chdir(out / "student")
    names = {}
    codes = [
        cell.source for cell in read(out / "student" / f"{page}.ipynb").cells if cell.cell_type == "code"
    ]
    for code in codes[:2]:
        exec(code, names)
    run = notebook_run(names)
    assert run.folder.parent == out / "student"
    assert run.folder.name == ("class-records" if page in RECORDED else "class-images")
    if page in RECORDED:
        assert run.svm.best().layer


def test_the_table_of_exercises_lists_all_of_the_chapters():
    sources = [read_source(project_root() / "notebooks" / f"{page}.md") for page in CHAPTERS]
    rows = exercise_table(sources).splitlines()[2:]
    assert len(rows) == sum(len(exercises(page)) for page in CHAPTERS)
    guide = (project_root() / "book" / "teaching.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\d.])([1-5]\.\d)(?!\d)", guide))
    assert len(named) > 15
    assert named <= {row.split()[1] for row in rows}


def test_the_plans_fill_their_time():
    guide = (project_root() / "book" / "teaching.md").read_text(encoding="utf-8")
    tables = guide.split("| Minutes | What |\n|---|---|\n")[1:]
    minutes = [
        sum(map(int, re.findall(r"^\| (\d+) \|", one.split("\n\n")[0], re.MULTILINE))) for one in tables
    ]
    assert minutes == [90, 90, 90, 60]


@pytest.mark.parametrize("facts", [(), FACTS], ids=["of nothing", "of everything"])
def test_exercises_of_what_a_database_has_not_are_left_out_whole(facts):
    for page in CHAPTERS:
        for label, cells in exercises(page).items():
            stand = {stands(cell.metadata.get("tags", []), facts) for cell in cells}
            assert len(stand) == 1, label
