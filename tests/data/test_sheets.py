import datetime
from pathlib import Path

import pytest

from hep2lib.data.sheets import positive_or_intermediate, read_pages, read_sheet, simplified
from hep2lib.errors import DatabaseError
from tests.data.handmade import write_csv, write_xls, write_xlsx

ROWS = [("name", "number", "flag"), ("a", 12.0, "x"), ("b", 1.5, "")]


@pytest.mark.parametrize("write", [write_csv, write_xlsx, write_xls])
def test_cells_are_text_as_a_person_reads_it(tmp_path: Path, write) -> None:
    (page,) = read_pages(
        write(tmp_path / "sheet", ROWS) if write is not write_xlsx else write(tmp_path / "s.xlsx", ROWS)
    )
    assert page.rows[0] == ["name", "number", "flag"]
    assert page.rows[1][1] in ("12", "12.0")  # a csv file says 12.0 itself
    assert page.rows[2] == ["b", "1.5", ""]


def test_workbook_types(tmp_path: Path) -> None:
    row = (True, False, 3, 2.5, datetime.date(2015, 12, 31), "  two\xa0 words \n", None)
    (page,) = read_pages(write_xlsx(tmp_path / "s.xlsx", [row]))
    assert page.rows[0][:4] == ["true", "false", "3", "2.5"]
    assert page.rows[0][4].startswith("2015-12-31")
    assert page.rows[0][5] == "two\xa0 words"


def test_row_numbers_are_those_of_the_spreadsheet(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "s.xlsx", [(), ("title",), ("Image", "Label"), (), ("a.png", 1), (), ("b.png", 0)]
    )
    sheet = read_sheet(path, {})
    assert [place for place, _ in sheet.rows] == ["row 5", "row 7"]
    assert sheet.headers == ("Image", "Label")


def test_the_page_with_the_known_columns_is_read(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["notes", "that", "nobody", "reads"])
    book.active.append(["x"])
    page = book.create_sheet("truth")
    page.append(["ImageFileName", "Patient"])
    page.append(["a.png", 7])
    book.save(tmp_path / "book.xlsx")
    sheet = read_sheet(tmp_path / "book.xlsx", {})
    assert sheet.columns == {"image": 0, "specimen": 1}
    assert sheet.rows == [("row 2", ["a.png", "7"])]
    assert sheet.remarks == ("book.xlsx: left out, because it has other columns: page 'Sheet' (1 row)",)


def test_quoted_cells_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text('image;note\n"a;b.png";"two\nlines, one comma"\n', encoding="utf-8")
    assert read_pages(path)[0].rows == [["image", "note"], ["a;b.png", "two\nlines, one comma"]]


def test_one_column_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("image\na.png\n", encoding="utf-8")
    assert read_pages(path)[0].rows == [["image"], ["a.png"]]


def test_unreadable_sheets(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no such sheet"):
        read_pages(tmp_path)
    (tmp_path / "s.csv").write_text('a,"b' + "x" * 200_000, encoding="utf-8")
    with pytest.raises(DatabaseError, match="not a table of separated values"):
        read_pages(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("header", "plain"),
    [
        (" Image File-Name ", "imagefilename"),
        ("Età", "eta"),
        ("Pos./Neg.", "posneg"),
        ("№", "no"),
        ("Метка 1", "метка1"),
    ],
)
def test_headers_are_compared_by_letters_and_digits(header: str, plain: str) -> None:
    assert simplified(header) == plain


def test_option_prefers_the_exact_header(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "s.csv", [("ID", "id", "x"), (1, 2, 3)])
    assert read_sheet(path, {"specimen": "id"}).columns["specimen"] == 1
    with pytest.raises(DatabaseError, match="2 columns are called 'i d'"):
        read_sheet(path, {"specimen": "i d"})


def test_a_label_column_that_the_person_names_may_be_the_column_of_patterns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "s.csv", [("ImageFileName", "StainingPatterns"), ("a", "Negative")])
    assert read_sheet(path, {}).columns == {"image": 0, "pattern": 1}
    assert read_sheet(path, {"label": "StainingPatterns"}).columns == {"image": 0, "label": 1, "pattern": 1}


def test_one_column_plays_two_roles_only_as_label_and_intensity(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "s.csv", [("image", "intensity", "case"), ("a", "1+", "x")])
    assert read_sheet(path, {}).columns == {"image": 0, "label": 1, "specimen": 2, "intensity": 1}
    with pytest.raises(DatabaseError, match=r"no column for the label was found; .*'case'"):
        read_sheet(write_csv(path, [("image", "case"), ("a", "x")]), {}).require({"label": ""})


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("positive", (1, "positive")),
        ("Pos", (1, "positive")),
        ("INTERMEDIATE", (0, "intermediate")),
        ("inter", (0, "intermediate")),
        ("weak", (0, "intermediate")),
        ("negative", None),
        ("", None),
    ],
)
def test_positive_or_intermediate(word: str, meaning: tuple[int, str] | None) -> None:
    assert positive_or_intermediate(word) == meaning
