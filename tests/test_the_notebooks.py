"""The notebooks that come with the clone: text and .ipynb agree, and keep to the book's rules."""

import pytest

from hep2lib.files import project_root
from hep2lib.runs.notebooks import PAGES, check_pairs, notebook_parameters, read_source

NOTEBOOKS = project_root() / "notebooks"


def test_every_text_and_its_notebook_say_the_same():
    assert check_pairs(NOTEBOOKS) == []


@pytest.mark.parametrize("page", PAGES)
def test_parameters_are_those_that_a_run_sets(page):
    known = notebook_parameters(read_source(NOTEBOOKS / f"{page}.md"), page)
    assert list(known) == ["run_folder", "profile", "data", "weights", "seed"]


@pytest.mark.parametrize("page", PAGES)
def test_cells_stay_short_and_leave_the_work_to_the_package(page):
    for cell in read_source(NOTEBOOKS / f"{page}.md").cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 14, cell.source
            assert "def " not in cell.source
            assert "pip install" not in cell.source


@pytest.mark.parametrize("page", PAGES)
def test_a_notebook_says_in_a_few_lines_what_it_takes_from_where(page):
    cells = read_source(NOTEBOOKS / f"{page}.md").cells
    lines = [line for cell in cells if cell.cell_type == "code" for line in cell.source.splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert len(imports) <= (10 if page == "05-results" else 8), imports
