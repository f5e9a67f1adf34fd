"""What programs and people do to a table: pages, hidden rows, merged and spoilt cells, odd text files."""

import datetime
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from hep2lib.data.sheets import Sheet, read_sheet, same_table
from hep2lib.errors import DatabaseError
from tests.data.handmade import Rows, write_xls, write_xlsx

HEADER = ("Image", "Specimen", "Label")
ROWS = [("a.png", "S1", "positive"), ("b.png", "S1", "positive"), ("c.png", "S2", "negative")]


def workbook(path: Path, **pages: Rows) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in pages.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(list(row))
    book.save(path)
    return path


def changed(path: Path, change: object, rows: Rows = ROWS) -> Sheet:
    """Write a workbook of one page, change something in it and read it."""
    book = Workbook()
    page = book.active
    for row in (HEADER, *rows):
        page.append(list(row))
    change(page)
    book.save(path)
    return read_sheet(path, {})


def images(sheet: Sheet) -> list[str]:
    return [sheet.cell(row, "image") for _, row in sheet.rows]


def text(path: Path, content: str | bytes) -> Sheet:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_sheet(path, {})


def test_pages_with_the_same_columns_are_one_table(tmp_path: Path) -> None:
    other = [("label", " SPECIMEN", None, "image"), (), ("negative", "S3", "remark", "d.png")]
    path = workbook(tmp_path / "s.xlsx", Train=[HEADER, *ROWS], Notes=[("to do",), ("x", "y")], Test=other)
    sheet = read_sheet(path, {})
    assert images(sheet) == ["a.png", "b.png", "c.png", "d.png"]
    assert sheet.rows[0] == ("page 'Train', row 2", list(ROWS[0]))
    assert sheet.rows[3] == ("page 'Test', row 3", ["d.png", "S3", "negative"])
    assert sheet.remarks == (
        "s.xlsx: pages 'Train' (3 rows), 'Test' (1 row) are read as one; their names mean nothing here",
        "s.xlsx: left out, because it has other columns: page 'Notes' (1 row)",
    )


def test_pages_with_other_columns_are_left_out_by_name(tmp_path: Path) -> None:
    more = [(*HEADER, "Pattern", "Age"), ("d.png", "S3", "negative", "", 40)]
    path = workbook(tmp_path / "s.xlsx", A=[HEADER, *ROWS], B=more, Template=[(*HEADER, "Sex", "Age", "Lab")])
    sheet = read_sheet(path, {})
    assert sheet.rows == [("row 2", ["d.png", "S3", "negative", "", "40"])]
    assert sheet.remarks == ("s.xlsx: left out, because it has other columns: page 'A' (3 rows)",)


def test_columns_of_one_header_keep_their_order(tmp_path: Path) -> None:
    pages = {name: [("Image", "Note", "Note"), (name, "1st", "2nd")] for name in "AB"}
    sheet = read_sheet(workbook(tmp_path / "s.xlsx", **pages), {})
    assert [row for _, row in sheet.rows] == [["A", "1st", "2nd"], ["B", "1st", "2nd"]]


def test_hidden_pages_and_rows_are_read_and_told_of(tmp_path: Path) -> None:
    def hide(page: Worksheet) -> None:
        page.row_dimensions[3].hidden = page.row_dimensions[9].hidden = True
        other = page.parent.create_sheet("Old")
        other.sheet_state = "hidden"
        for row in (HEADER, ("d.png", "S4", "negative")):
            other.append(row)

    sheet = changed(tmp_path / "s.xlsx", hide)
    assert images(sheet) == ["a.png", "b.png", "c.png", "d.png"]
    assert sheet.rows[3][0] == "page 'Old (hidden)', row 2"
    assert sheet.remarks[0].startswith("s.xlsx: page 'Sheet', row 3: hidden, but read too")


def formula(page: Worksheet) -> None:
    for row in range(2, page.max_row + 1):
        page.cell(row, 3).value = '=IF(D2>1,"positive","negative")'


def test_formulas_without_values_are_named_once(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as error:
        changed(tmp_path / "s.xlsx", formula)
    assert error.value.problems == (
        "s.xlsx: column 'Label', row 2 (=...), row 3 (=...), row 4 (=...): a formula without a value; open "
        "the workbook in a spreadsheet program and save it there",
    )


def test_formulas_in_a_column_that_is_not_used_do_not_matter(tmp_path: Path) -> None:
    sheet = read_sheet(write_xlsx(tmp_path / "s.xlsx", [(*HEADER, "Sum"), (*ROWS[0], "=1+1")]), {})
    assert (len(sheet.rows), sheet.remarks) == (1, ())


def revised(path: Path, *changes: tuple[str, str]) -> Path:
    """Change the XML of a workbook's first page and of the workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml"):
        content = parts[name].decode()
        for old, new in changes:
            content = re.sub(old, new, content)
        parts[name] = content.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return path


def test_formulas_with_values_are_their_values(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "s.xlsx", [HEADER, ("a.png", "S1", "=1"), ("b.png", "S2", "=2")])
    value = ("<v ?/>|<v></v>", "<v>1</v>")
    revised(path, value, (' r="C3">', ' r="C3" t="str">'), ('fullCalcOnLoad="1"', ""))
    assert [row[2] for _, row in read_sheet(path, {}).rows] == ["1", "1"]


def test_a_workbook_that_does_not_number_its_rows_and_names_no_namespace(tmp_path: Path) -> None:
    def hide(page: Worksheet) -> None:
        page.row_dimensions[3].hidden = True

    changed(tmp_path / "s.xlsx", hide)
    sheet = read_sheet(
        revised(tmp_path / "s.xlsx", (' r="[A-Z]*[0-9]+"', ""), ("<worksheet xmlns=[^ >]*", "<worksheet")), {}
    )
    assert images(sheet) == ["a.png", "b.png", "c.png"]
    assert sheet.remarks == ("s.xlsx: row 3: hidden, but read too; delete what is not wanted",)


def test_a_formula_of_a_program_that_does_not_calculate_is_no_zero(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "s.xlsx", [HEADER, ("a.png", "S1", "=1"), ("b.png", "S2", 0)])
    revised(path, ("</f><v ?/>|</f><v></v>", "</f><v>0</v>"))
    with pytest.raises(DatabaseError, match=r"column 'Label', row 2 .*: a formula without a value"):
        read_sheet(path, {})


def test_errors_of_a_spreadsheet_program_are_no_empty_cells(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "s.xlsx", [HEADER, ("a.png", "#N/A", "#REF!")])
    assert read_sheet(path, {}).rows == [("row 2", ["a.png", "#N/A", "#REF!"])]


def test_cells_merged_over_rows_count_for_each_of_them(tmp_path: Path) -> None:
    rows = [("a", "S1", "positive"), ("b",), (), ("c", "S2", "negative"), ("d", "", "")]

    def merge(page: Worksheet) -> None:
        for cells in ("B2:B4", "B5:B6", "C2:C3", "C5:C6", "E1:E3"):
            page.merge_cells(cells)

    sheet = changed(tmp_path / "s.xlsx", merge, rows)
    assert [row[:3] for _, row in sheet.rows] == [
        ["a", "S1", "positive"],
        ["b", "S1", "positive"],
        ["c", "S2", "negative"],
        ["d", "S2", "negative"],
    ]
    assert sheet.remarks == ("s.xlsx: row 3, row 6: merged cells count for each of their rows",)


def test_merged_cells_of_an_xls(tmp_path: Path) -> None:
    path = write_xls(tmp_path / "s.xls", [HEADER, ROWS[0], ("b.png", "", "positive")], merged=[(1, 2, 1, 1)])
    sheet = read_sheet(path, {})
    assert [row[1] for _, row in sheet.rows] == ["S1", "S1"]
    assert sheet.remarks == ("s.xls: row 3: merged cells count for each of their rows",)


def test_cells_merged_over_columns_are_not_shared_out(tmp_path: Path) -> None:
    sheet = changed(tmp_path / "s.xlsx", lambda page: page.merge_cells("B2:C3"))
    assert [row[1:] for _, row in sheet.rows] == [["S1", ""], ["S1", ""], ["S2", "negative"]]


def test_an_image_merged_over_rows_is_listed_by_each(tmp_path: Path) -> None:
    assert images(changed(tmp_path / "s.xlsx", lambda page: page.merge_cells("A2:A3"))) == [
        "a.png",
        "a.png",
        "c.png",
    ]


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (0, datetime.date(2024, 1, 2), r"'Image', row 2 \(2024-01-02.*\): a date, as Excel makes of names"),
        (1, datetime.datetime(2024, 1, 2, 3), r"'Specimen', row 2 \(2024-01-02 03:00:00\): a date"),
        (1, datetime.time(1, 2), r"'Specimen', row 2 \(01:02:00\): a date"),
        (1, datetime.timedelta(hours=30), r"'Specimen', row 2 \(.*\): a date"),
        (2, datetime.date(2024, 1, 2), "'Label', row 2 .*: a date"),
        (1, 1234567890123456, r"'Specimen', row 2 \(1234567890123456\): a number that has lost digits"),
        (0, 1.2e20, "'Image', row 2 .*: a number that has lost digits"),
        (1, "1.23E+05", r"'Specimen', row 2 \(1.23E\+05\): a number that has lost digits"),
    ],
)
def test_names_that_a_spreadsheet_program_has_spoilt(
    column: int, cell: object, message: str, tmp_path: Path
) -> None:
    row: list[object] = ["a.png", "S1", "positive"]
    row[column] = cell
    with pytest.raises(DatabaseError, match=f"s.xlsx: column {message}"):
        read_sheet(write_xlsx(tmp_path / "s.xlsx", [HEADER, row, *ROWS[1:]]), {})


@pytest.mark.parametrize(
    ("column", "cell", "remark"),
    [
        (1, 1.1, "column 'Specimen', row 2 (1.1): perhaps a name that has lost a 0"),
        (0, 2.25, "column 'Image', row 2 (2.25): perhaps a name that has lost a 0"),
        (1, "1-Mar", "column 'Specimen', row 2 (1-Mar): perhaps a date that Excel has made"),
        (1, "02-gen-24", "column 'Specimen', row 2 (02-gen-24): perhaps a date"),
        (0, "Sep-01", "column 'Image', row 2 (Sep-01): perhaps a date"),
        (2, 0.5, ""),
        (1, "2/1/2024", "column 'Specimen', row 2 (2/1/2024): perhaps a date"),
        (1, "2024-01-02 00:00:00", "column 'Specimen', row 2 (2024-01-02 00:00:00): perhaps a date"),
        (1, "1/2", ""),
        (1, "2024-01-021", ""),
        (2, "Sep-01", ""),
        (1, "1E05", ""),
        (1, "1.10", ""),
        (1, "P-Mar-1", ""),
        (1, True, ""),
        (1, 123456789012345, ""),
    ],
)
def test_names_that_may_be_spoilt_are_remarked_on(
    column: int, cell: object, remark: str, tmp_path: Path
) -> None:
    row: list[object] = ["a.png", "S1", "positive"]
    row[column] = cell
    sheet = read_sheet(write_xlsx(tmp_path / "s.xlsx", [HEADER, row, *ROWS[1:]]), {})
    assert len(sheet.rows) == 3
    assert len(sheet.remarks) == bool(remark)
    assert not remark or remark in sheet.remarks[0]


def test_dates_and_fractions_elsewhere_do_not_matter(tmp_path: Path) -> None:
    day = datetime.date(2024, 1, 2)
    path = write_xlsx(
        tmp_path / "s.xlsx", [(*HEADER, "Age", "Taken"), (*ROWS[0], 40.5, day), (*ROWS[1], day, 1e20)]
    )
    assert read_sheet(path, {}).remarks == ()


def test_names_keep_their_blanks_and_labels_do_not(tmp_path: Path) -> None:
    line = "Image,Specimen,Label,Pattern\n im01  0.png ,P\xa0 1,weak  positive,a  \tb\n"
    sheet = text(tmp_path / "s.csv", "\ufeff" + line + "\ufeffb.png,\u200eS2\u200b,x,y\n")
    _, row = sheet.rows[0]
    assert [sheet.cell(row, role) for role in ("image", "specimen")] == ["im01  0.png", "P\xa0 1"]
    assert [sheet.cell(row, role) for role in ("label", "pattern")] == ["weak positive", "a b"]
    assert sheet.rows[1][1][:2] == ["b.png", "S2"]


@pytest.mark.parametrize(
    "content",
    [
        "Image,Specimen,Label\na.png,S1,positive\nb,1.png,S1,positive\nc.png,S2,negative\n",
        "Image,Specimen,Label\na.png,S1,positive\nb.png,S1,Speckled, fine\nc.png,S2,negative\n",
        "Image,Specimen,Label,\na.png,S1,positive\nb.png,fine, speckled,S1,positive\nc.png,S2,negative,\n",
        "Image,Specimen,Label,Note\na.png,S1,positive,\nb.png,S,1,positive,\nc.png,S2,negative,\n",
    ],
)
def test_a_row_with_more_cells_than_the_header_is_not_shifted(content: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"s.csv: row 3: more cells than the header; a cell with a sep"):
        text(tmp_path / "s.csv", content)


def test_a_header_without_the_row_names_is_not_shifted(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="row 2, row 3: a cell more than the header, in every row, as R"):
        text(tmp_path / "s.csv", '"Image" "Label"\n"1" "a.png" 1\n"2" "b.png" 0\n'.replace(" ", ","))


@pytest.mark.parametrize(
    "content",
    [
        "Image,Specimen,Label\na.png,S1,positive,\nb.png,S1,positive,\nc.png,S2,negative,\n",
        ",Image,Specimen,Label\n0,a.png,S1,positive\n1,b.png,S1,positive\n2,c.png,S2,negative\n",
        "Unnamed: 0,Image,Specimen,Label\n0,a.png,S1,positive\n1,b.png,S1,positive\n2,c.png,S2,negative\n",
        "# made by hand\nImage;Specimen;Label\na.png;S1;positive\nb.png;S1;positive\nc.png;S2;negative",
        'Image, Specimen, Label\na.png, "S1", positive\nb.png, "S1", positive\nc.png, "S2", "negative"',
        "Image;Specimen;Label;Size\na.png;S1;positive;1,5\nb.png;S1;positive;2,5\nc.png;S2;negative;3,25\n",
        "Image\tSpecimen\tLabel\ra.png\tS1\tpositive\rb.png\tS1\tpositive\rc.png\tS2\tnegative\r",
        "sep=\t\nImage\tSpecimen\tLabel\na.png\tS1\tpositive\nb.png\tS1\tpositive\nc.png\tS2\tnegative\n",
        '"sep=;"\r\nImage;Specimen;Label\r\na.png;S1;positive\r\nb.png;S1;positive\r\nc.png;S2;negative',
        "SEP=,,,\nImage,Specimen,Label\na.png,S1,positive\nb.png,S1,positive\nc.png,S2,negative\n",
        "Image,,Label\n,Specimen\na.png,S1,positive\nb.png,S1,positive\nc.png,S2,negative\n",
        "\ufeffImage,Specimen,Label\na.png,S1,positive\n,,\nb.png,S1,positive\nc.png,S2,negative\n,,,\n",
    ],
)
def test_text_tables_that_mean_the_same(content: str, tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-16"):
        sheet = text(tmp_path / "s.csv", content.encode(encoding))
        found = [
            tuple(sheet.cell(row, role) for role in ("image", "specimen", "label")) for _, row in sheet.rows
        ]
        assert found == ROWS
        assert sheet.remarks == ()


def test_rows_are_counted_as_a_spreadsheet_program_does(tmp_path: Path) -> None:
    sheet = text(tmp_path / "s.csv", 'sep=,\nImage,Note\na.png,"two\nlines"\n\nb.png,\u2028x\n')
    assert [place for place, _ in sheet.rows] == ["row 2", "row 4"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'Image,Label\na.png,"pos\nb.png,neg\nc.png,neg\n',
            "line 4: not a table of separated values .*quotes",
        ),
        (b'Image,Label\na.png,"pos\nb.png,"neg"\n', "line 3: not a table of separated values .*quotes"),
        (b"Image,Label\n\x81.png,pos\n", "in UTF-8, UTF-16 or Windows-1252, .*; save it as xlsx"),
    ],
)
def test_text_that_cannot_be_cut_into_cells(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=message):
        text(tmp_path / "s.csv", content)


def test_copies_of_a_sheet_are_recognised(tmp_path: Path) -> None:
    rows: Sequence[Sequence[object]] = [("a  1.png", 1, "positive", 1.5), ("è.png", 20, "negative", 2)]
    header = ("Image", "Specimen", "Label", "Age")
    xls = read_sheet(write_xls(tmp_path / "s.xls", [header, *rows]), {})
    xlsx = read_sheet(write_xlsx(tmp_path / "s.xlsx", [(None, *header), *((9, *row) for row in rows)]), {})
    lines = (
        "Unnamed: 0;Image;Specimen;Label;Age;;\n\n0;a  1.png;1;positive;1.5;;\n1;è.png;20.0;negative;2.0;;\n"
    )
    csv = text(tmp_path / "s.csv", lines.encode("cp1252"))
    assert same_table(xls, xlsx)
    assert same_table(csv, xls)
    for old, new in (
        ("positive", "negative"),
        ("20.0", "200"),
        ("Label", "Result"),
        ("a  1", "b"),
        ("1;è", "1;"),
    ):
        assert not same_table(text(tmp_path / "s.csv", lines.replace(old, new)), xls)
    assert not same_table(text(tmp_path / "s.csv", lines[: lines.rindex("1;è")]), xls)


@pytest.mark.parametrize("struck", [True, False])
def test_rows_that_are_struck_through_are_read_and_told_of(struck: bool, tmp_path: Path) -> None:
    def change(page) -> None:
        for cell in page[3]:
            cell.font = Font(strike=struck, bold=True)
        page["A4"].font = Font(bold=True)

    sheet = changed(tmp_path / "s.xlsx", change)
    told = "s.xlsx: row 3: struck through, but read too; delete what is not wanted"
    assert sheet.remarks == ((told,) if struck else ())
    assert images(sheet) == ["a.png", "b.png", "c.png"]
