import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from hep2lib.data.database import database_checksum, read_database
from hep2lib.errors import DatabaseError
from tests.data.handmade import HEADER, aida_rows, draw, write_aida, write_csv, write_xls, write_xlsx


@pytest.fixture
def aida(tmp_path: Path) -> Path:
    return write_aida(tmp_path / "AIDA_HEp-2_DB_publico", aida_rows(6))


def test_table_has_one_checked_row_an_image(aida: Path) -> None:
    table = read_database(aida)
    assert list(table.columns) == ["image", "path", "label", "specimen", "pattern"]
    assert isinstance(table.index, pd.RangeIndex)
    assert table["label"].dtype == "int8"
    assert table["label"].tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]
    assert table["specimen"].tolist() == [str(s) for s in range(1, 7) for _ in range(2)]
    assert table["image"].tolist() == [str(row[0]) for row in aida_rows(6)]
    assert table["pattern"].tolist()[3:5] == ["homogeneous", ""]
    assert not table.isna().any().any()
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in table["path"])
    assert table.attrs["name"] == "AIDA_HEp-2_DB_publico (AIDA)"
    assert table.attrs["simulated"] is False
    assert table.attrs["bit_depth"] == 8
    assert table.attrs["warnings"] == []


def test_simulated_database_says_that_it_is(aida: Path) -> None:
    (aida / "simulation.json").write_text(json.dumps({"specimens": 6, "seed": 3}), encoding="utf-8")
    table = read_database(aida)
    assert table.attrs["simulated"] is True
    assert table.attrs["name"] == "simulated database (6 specimens, seed 3)"


def test_a_simulated_database_is_known_by_version_parameters_and_seed(aida: Path) -> None:
    def origin(**changes: object) -> str:
        record = {"name": "one", "simulator_version": 3, "specimens": 6, "seed": 3, "scale": 1.0} | changes
        (aida / "simulation.json").write_text(json.dumps(record), encoding="utf-8")
        return str(read_database(aida).attrs["simulation"])

    assert origin() == "version 3, parameters b92b8d2e4dce, seed 3"
    # Masks, the name and the order of the entries say nothing about the images; everything else does.
    assert origin(masks=True, name="two") == origin()
    others = [
        {"simulator_version": 2},
        {"seed": 4},
        {"specimens": 7},
        {"scale": 0.5},
        {"parameters": {"cell": 1}},
    ]
    assert len({origin(), *(origin(**other) for other in others)}) == 6
    for damaged in ("null", "5", "[]", '["name"]', '"name"', '{"name": "one"}', '{"seed": 3}', "{"):
        (aida / "simulation.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(DatabaseError, match=r"simulation\.json: damaged .*hep2 simulate"):
            read_database(aida)
    (aida / "simulation.json").unlink()
    assert "simulation" not in read_database(aida).attrs


@pytest.mark.parametrize("writer", [write_xls, write_xlsx], ids=["xls", "xlsx"])
def test_workbooks_give_the_same_table_without_a_warning(
    aida: Path, writer, recwarn: pytest.WarningsRecorder
) -> None:
    expected = read_database(aida)
    (aida / "AIDA_HEp-2_GroundTruth.csv").unlink()
    writer(aida / "AIDA_HEp-2_GroundTruth.xls", [HEADER, *aida_rows(6)])
    pd.testing.assert_frame_equal(read_database(aida), expected)
    assert not recwarn.list


def test_names_match_whatever_their_case(aida: Path) -> None:
    folder = aida / "aida_project_database"
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.upper())
    table = read_database(aida)
    assert table["image"][0] == "01_0.png"
    assert table["path"][0].endswith("01_0.PNG")


def test_columns_are_given_as_options(tmp_path: Path) -> None:
    rows = [[row[1], "P" if row[2] == "positive" else "N", f"X{row[0]}".upper()] for row in aida_rows(6)]
    for seed, row in enumerate(rows):
        draw(tmp_path / "fields" / str(row[2]), seed, size=(64 + seed, 48))
    write_csv(tmp_path / "truth.csv", [("who", "verdict", "which"), *rows])
    with pytest.raises(
        DatabaseError, match="no column for the image was found; the sheet has 'who', 'verdict'"
    ):
        read_database(tmp_path)
    table = read_database(
        tmp_path, images="fields", image_column="which", label_column="Verdict", specimen_column="WHO"
    )
    assert table["label"].sum() == 6
    assert table["specimen"].nunique() == 6
    assert table["image"][0] == "X01_0.PNG"


def test_specimen_from_file_names_only_when_asked_for(aida: Path) -> None:
    rows = [(row[0], row[2]) for row in aida_rows(6)]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [("ImageFileName", "Fluorescence"), *rows])
    with pytest.raises(DatabaseError, match=r"no column for the specimen .*specimen_pattern"):
        read_database(aida)
    table = read_database(aida, specimen_pattern=r"^(\d+)_")
    assert table["specimen"].tolist() == [f"{s:02d}" for s in range(1, 7) for _ in range(2)]
    with pytest.raises(
        DatabaseError, match=r"row 2: specimen_pattern='X\(.\)' finds no specimen in '01_0.png'"
    ):
        read_database(aida, specimen_pattern="X(.)")
    with pytest.raises(DatabaseError, match="no regular expression"):
        read_database(aida, specimen_pattern="(")


def test_all_missing_columns_are_named_at_once(aida: Path) -> None:
    write_csv(
        aida / "AIDA_HEp-2_GroundTruth.csv", [("a", "ImageFileName"), *((1, row[0]) for row in aida_rows(6))]
    )
    with pytest.raises(DatabaseError) as caught:
        read_database(aida)
    assert [text.rpartition(" ")[2] for text in caught.value.problems] == [
        "label_column=...",
        "specimen_column=...",
    ]


def test_patterns_alone_are_no_labels(aida: Path) -> None:
    rows = [(row[0], row[1], row[3]) for row in aida_rows(6)]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [("ImageFileName", "Patient", "StainingPatterns"), *rows])
    with pytest.raises(DatabaseError, match=r"no column for the label .*not guessed.*'StainingPatterns'"):
        read_database(aida)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"nowhere: no such folder; give .*hep2 simulate"):
        read_database(tmp_path / "nowhere")


def test_no_sheet(aida: Path) -> None:
    (aida / "AIDA_HEp-2_GroundTruth.csv").unlink()
    with pytest.raises(DatabaseError, match="no ground-truth sheet"):
        read_database(aida)


def test_one_class_only(tmp_path: Path) -> None:
    rows = [row for row in aida_rows(6) if row[2] == "positive"]
    with pytest.raises(DatabaseError, match="all 6 listed images are positive; negative ones are needed too"):
        read_database(write_aida(tmp_path, rows))


def test_every_problem_is_named_with_its_row(aida: Path) -> None:
    rows = aida_rows(6)
    rows[0][2] = "maybe"
    rows[1][1] = ""
    rows[2][0] = ""
    (aida / "aida_project_database" / "02_1.png").unlink()
    (aida / "aida_project_database" / "03_0.png").write_bytes(b"no image at all")
    rows[5][0] = "../gone.png"
    rows[7][0] = rows[6][0]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [HEADER, *rows])
    with pytest.raises(DatabaseError) as caught:
        read_database(aida)
    sheet = "AIDA_HEp-2_GroundTruth.csv"
    beginnings = [
        f"{sheet}, row 2: the label 'maybe' is not understood; it may be positive, negative",
        f"{sheet}, row 3: the specimen is empty",
        f"{sheet}, row 4: the image's file name is empty",
        f"{sheet}, row 5: '02_1.png' is not in {aida / 'aida_project_database'}",
        f"{sheet}, row 6: {aida / 'aida_project_database' / '03_0.png'}: not a JPEG, PNG, BMP or TIFF image",
        f"{sheet}, row 7: '../gone.png' leaves the image folder, which is refused",
        f"{sheet}, row 9: '04_0.png' is listed already, at {sheet}, row 8",
    ]
    assert len(caught.value.problems) == len(beginnings)
    for problem, beginning in zip(caught.value.problems, beginnings, strict=True):
        assert problem.startswith(beginning)
        assert problem in str(caught.value)


def test_wrong_image_folder_is_one_problem(aida: Path) -> None:
    (aida / "other").mkdir()
    with pytest.raises(
        DatabaseError, match=r"none of the 12 listed images is in this folder \(01_0.png, 01_1.png"
    ):
        read_database(aida, images="other")


def test_checksum_knows_contents_labels_and_specimens_only(aida: Path, tmp_path: Path) -> None:
    table = read_database(aida)
    checksum = database_checksum(table)
    assert len(checksum) == 64
    assert database_checksum(table.iloc[::-1]) == checksum
    shutil.copytree(aida, tmp_path / "copy")
    assert database_checksum(read_database(tmp_path / "copy")) == checksum
    other_label = table.assign(label=[0, *table["label"][1:]])
    other_specimen = table.assign(specimen=["x", *table["specimen"][1:]])
    draw(aida / "aida_project_database" / "01_0.png", seed=99)
    assert len({checksum, *map(database_checksum, (other_label, other_specimen, table))}) == 4


TWO_COLUMNS = ("ImageFileName", "StainingPatterns")


def two_columns(root: Path, negative: str = "Negative") -> list[tuple[object, str]]:
    """Write the two columns of AIDA's sheet that are known; the specimen is in the files' names."""
    patterns = ("Homogeneous", "Fine Speckled", "Homogeneous, Nucleolar")
    rows = [
        (row[0], negative if row[2] == "negative" else patterns[number % 3])
        for number, row in enumerate(aida_rows(6))
    ]
    write_csv(root / "AIDA_HEp-2_GroundTruth.csv", [TWO_COLUMNS, *rows])
    return rows


def test_patterns_are_labels_where_the_person_says_so(aida: Path) -> None:
    rows = two_columns(aida)
    table = read_database(aida, label_column="StainingPatterns", specimen_pattern=r"^(\d+)_")
    assert table["label"].tolist() == [int(word != "Negative") for _, word in rows]
    assert table["specimen"].nunique() == 6
    assert table["pattern"].tolist() == [word if word != "Negative" else "" for _, word in rows]
    (warning,) = table.attrs["warnings"]
    assert all(part in warning for part in ("'Negative'", "'Homogeneous'", "'Fine Speckled'"))


def test_a_sheet_of_patterns_says_what_to_type(aida: Path) -> None:
    two_columns(aida)
    with pytest.raises(DatabaseError) as caught:
        read_database(aida)
    label, specimen = caught.value.problems
    assert "'StainingPatterns' holds staining patterns, 'Negative' (6), 'Homogeneous' (3)" in label
    assert 'label_column="StainingPatterns" reads it, with negative="VALUE,VALUE"' in label
    assert "specimen_pattern=... finds it in file names" in specimen
    assert "the sheet has 'ImageFileName', 'StainingPatterns': say which with specimen_column=" in specimen


def test_words_for_negative_may_hold_a_comma(aida: Path) -> None:
    rows = two_columns(aida, "none, or weak")
    options = {"label_column": "StainingPatterns", "specimen_pattern": r"^(\d+)_"}
    with pytest.raises(DatabaseError, match="no label says negative"):
        read_database(aida, **options)
    table = read_database(aida, **options, negative='"none, or weak", Homogeneous')
    expected = [int(word not in ("none, or weak", "Homogeneous")) for _, word in rows]
    assert table["label"].tolist() == expected


def test_patterns_in_the_label_s_column_are_one_problem(aida: Path) -> None:
    words = ["Homogeneous", "Nucleolar", "Fine Speckled", "Centromere", "negative"]
    rows = [(row[0], row[1], words[number % 5]) for number, row in enumerate(aida_rows(6))]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [("Image", "Patient", "Class"), *rows])
    with pytest.raises(DatabaseError) as caught:
        read_database(aida)
    (problem,) = caught.value.problems
    assert "row 2 and others: 10 labels are not understood: 'Homogeneous' (3), 'Nucleolar' (3)" in problem
    assert 'with negative="VALUE,VALUE"' in problem


def test_a_specimen_is_a_part_of_its_column_where_both_are_given(aida: Path) -> None:
    rows = [(row[0], f"2019/P{row[1]}/slide {number}", row[2]) for number, row in enumerate(aida_rows(6))]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [("ImageFileName", "Code", "Fluorescence"), *rows])
    table = read_database(aida, specimen_column="Code", specimen_pattern=r"/(P\d)/")
    assert table["specimen"].tolist() == [f"P{s}" for s in range(1, 7) for _ in range(2)]
    with pytest.raises(DatabaseError, match=r"specimen_pattern='_' finds no specimen in the specimen's cell"):
        read_database(aida, specimen_column="Code", specimen_pattern="_")


def test_problems_of_one_kind_are_one_line(aida: Path) -> None:
    rows = aida_rows(6)
    for row in rows[1:]:
        row[1] = ""
    for row in rows[4:8]:
        (aida / "aida_project_database" / str(row[0])).unlink()
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [HEADER, *rows])
    with pytest.raises(DatabaseError) as caught:
        read_database(aida)
    sheet = "AIDA_HEp-2_GroundTruth.csv"
    others = ", ".join(map(str, range(4, 14)))
    empty, missing = caught.value.problems
    assert empty == f"{sheet}, row 3: the specimen is empty; likewise rows {others}"
    assert missing.startswith(f"{sheet}, row 6: '03_0.png' is not in ")
    assert missing.endswith("; likewise rows 7, 8, 9")


SPELLINGS = [
    ("7", "007", True),
    ("P-1", "P\u20131", True),
    ("S10", "S1O", True),
    ("P07", "\u042007", True),  # Cyrillic
    ("B12", "Bl2", True),
    ("P 1", "P\xa01", True),
    ("P1", "\uff30\uff11", True),
    ("p 01", "P_1", True),
    ("1-11", "11-1", False),
    ("A1", "A2", False),
    ("IO", "10", False),
    ("100", "10", False),
]


@pytest.mark.parametrize(("one", "other", "alike"), SPELLINGS)
def test_specimens_that_people_mix_up(one: str, other: str, alike: bool, tmp_path: Path) -> None:
    rows = aida_rows(6)
    rows[0][1], rows[1][1] = one, other
    for row in rows[2:]:
        row[1] = f"patient {row[1]}"
    found = [
        text for text in read_database(write_aida(tmp_path, rows)).attrs["warnings"] if "differ only" in text
    ]
    assert len(found) == alike
    assert all(
        f"{min(one, other)!r} and {max(one, other)!r}" in text and "1 patient" in text for text in found
    )


@pytest.mark.parametrize("writer", [write_xls, write_xlsx], ids=["xls", "xlsx"])
def test_copies_of_one_sheet_are_one_sheet(aida: Path, writer) -> None:
    expected = read_database(aida)
    copy = writer(aida / f"GroundTruth.{writer.__name__.removeprefix('write_')}", [HEADER, *aida_rows(6)])
    table = read_database(aida)
    pd.testing.assert_frame_equal(table, expected)
    names = f"AIDA_HEp-2_GroundTruth.csv, {copy.name}"
    assert table.attrs["warnings"] == [f"{names} hold the same table; AIDA_HEp-2_GroundTruth.csv is read"]
    writer(copy, [HEADER, *aida_rows(6)[:-1]])
    with pytest.raises(
        DatabaseError, match=rf"several sheets that differ, {names}; say which with sheet=\.\.\."
    ):
        read_database(aida)
    assert len(read_database(aida, sheet=copy.name)) == 11


def test_other_sheets_without_the_columns_are_asked_about(tmp_path: Path) -> None:
    rows = [(row[0], row[1], row[2]) for row in aida_rows(6)]
    for seed, row in enumerate(rows):
        draw(tmp_path / str(row[0]), seed)
    write_csv(tmp_path / "Reading results.csv", [("image", "specimen", "label"), *rows])
    assert len(read_database(tmp_path)) == 12
    write_csv(tmp_path / "prices.csv", [("a", "b"), (1, 2)])
    with pytest.raises(DatabaseError, match=r"several sheets that differ, Reading results\.csv, prices"):
        read_database(tmp_path)


def test_a_label_that_is_not_understood_says_the_way_out(aida: Path) -> None:
    rows = aida_rows(6)
    rows[4][2] = rows[5][2] = "?"
    sheet = write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [HEADER, *rows])
    with pytest.raises(
        DatabaseError, match=r"the label '[?]' is not understood; .*, or give negative=.[?]. if it"
    ):
        read_database(aida)
    assert read_database(aida, negative="?")["label"].tolist()[4:6] == [0, 0]
    rows[4][2] = rows[5][2] = ""
    write_csv(sheet, [HEADER, *rows])
    with pytest.raises(DatabaseError, match="the label is empty; it may be positive") as error:
        read_database(aida)
    assert "negative=" not in str(error.value)


def test_titres_beside_a_named_negative(aida: Path) -> None:
    rows = [
        [*row[:2], "neg" if row[2] == "negative" else ("1:160", "2.5", "2")[n % 3], ""]
        for n, row in enumerate(aida_rows(6))
    ]
    write_csv(aida / "AIDA_HEp-2_GroundTruth.csv", [HEADER, *rows])
    with pytest.raises(DatabaseError, match="not understood"):
        read_database(aida)
    table = read_database(aida, negative="neg")
    assert table["label"].tolist() == [int(row[2] != "neg") for row in rows]
    (warning,) = table.attrs["warnings"]
    assert warning == "the labels are read so: 'neg' 6 negative; '1:160' 3, '2.5' 2, '2' 1 positive"


def test_patterns_are_shown_as_they_were_typed(aida: Path) -> None:
    with pytest.raises(
        DatabaseError, match=re.escape(r"specimen_pattern='^(P\d+)_' finds no specimen in '01_0.png'")
    ):
        read_database(aida, specimen_pattern=r"^(P\d+)_")
    with pytest.raises(DatabaseError, match=re.escape(r"specimen_pattern='(\d' is no regular expression")):
        read_database(aida, specimen_pattern=r"(\d")
