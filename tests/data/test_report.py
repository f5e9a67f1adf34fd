import json
from pathlib import Path

import pytest

from hep2lib.data.database import database_checksum, read_database
from hep2lib.data.report import (
    PUBLISHED_AIDA,
    QUESTIONS,
    Shortcut,
    card_facts,
    describe,
    read_card,
    write_card,
)
from hep2lib.errors import DatabaseError
from tests.data.handmade import HEADER, aida_rows, draw, write_aida


def large(folder: Path) -> Path:
    """Twenty specimens, every third negative and, as a shortcut, stored as BMP, with age and sex."""
    rows = [[*row, "M", 40 + number % 3] for number, row in enumerate(aida_rows(20))]
    for row in rows:
        if row[2] == "negative":
            row[0] = str(row[0]).replace(".png", ".bmp")
    return write_aida(folder, rows, [*HEADER, "Sex", "Age"])


def test_report_counts_what_is_there(tmp_path: Path) -> None:
    report = describe(read_database(large(tmp_path / "AIDA")))
    assert report.counts == {"images": 40, "positive images": 26, "negative images": 14, "specimens": 20}
    assert report.published == PUBLISHED_AIDA
    assert report.images_per_specimen == {"negative": {2: 7}, "positive": {2: 13}, "both": {}}
    assert report.values["format"] == {"PNG": 26, "BMP": 14}
    assert report.values["size"] == {"40 x 30": 40}
    assert report.values["pattern"] == {"homogeneous": 26}
    assert report.values["sex"] == {"M": 40}
    assert report.age == {"known": 40, "youngest": 40.0, "median": 41.0, "oldest": 42.0}
    assert report.duplicates == ()
    assert report.mixed_specimens == ()
    assert [shortcut.attribute for shortcut in report.shortcuts] == ["format"]
    assert report.usable
    assert report.warnings[:-1] == (
        "shortcut: format alone reaches an AUC of 1.00; "
        "a network may learn the files instead of the fluorescence",
    )
    assert report.warnings[-1] == (
        "5 folds divide the specimens into 5 parts, each of which is tested once and needs two specimens of "
        "either class, 10 in all; there are 7 specimens with negative images and 13 specimens with positive "
        "images; 3 folds work: --set folds=3, or folds: 3 in a profile"
    )


def test_a_data_card_says_what_can_be_counted(tmp_path: Path) -> None:
    database = read_database(large(tmp_path / "AIDA"))
    facts = card_facts(database, describe(database))
    assert facts.pop("sha256, first digits") == database_checksum(database)[:16]
    assert facts == {
        "Counts": "images 40, positive images 26, negative images 14, specimens 20",
        "Images of a specimen": "2",
        "Formats": "PNG 26, BMP 14",
        "Sizes": "40 x 30 pixels (1 in all)",
        "Known beside the label": "pattern, sex, age",
        "Duplicates": "none",
        "Specimens with both labels": "0",
        "AUC of the files alone": "format 1.000",
        "Suspicious of these": "format",
    }


def test_a_data_card_asks_once_and_keeps_what_was_answered(tmp_path: Path) -> None:
    card = tmp_path / "data-card.md"
    assert set(read_card(tmp_path).values()) == {"not answered"}
    write_card(tmp_path, "clinic")
    assert card.read_text(encoding="utf-8").startswith("# Data card of clinic\n")
    assert read_card(tmp_path) == dict.fromkeys(QUESTIONS, "not answered")
    answer = "\nOurs: one laboratory,\n**2019**.\n\n- and another\n"
    text = card.read_text(encoding="utf-8").replace(f"{QUESTIONS[0]}\n", f"{QUESTIONS[0]}\n{answer}")
    card.write_text(text, encoding="utf-8")
    write_card(tmp_path, "clinic")
    assert read_card(tmp_path)[QUESTIONS[0]] == "Ours: one laboratory, **2019**. - and another"
    assert list(read_card(tmp_path).values()).count("not answered") == len(QUESTIONS) - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"## Whose?\n\nOurs.\n", r"data-card.md: 'Whose\?' is none of its questions: Source: .*; Known b"),
        (b"\xff\xfe", "data-card.md: cannot be read as UTF-8"),
    ],
)
def test_a_data_card_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "data-card.md").write_bytes(content)
    with pytest.raises(DatabaseError, match=message):
        read_card(tmp_path)


def test_text_of_the_report(tmp_path: Path) -> None:
    lines = describe(read_database(large(tmp_path / "AIDA"))).text().splitlines()
    assert lines[0] == "AIDA (AIDA)"
    for line in (
        "images                  40   2,080",
        "negative images         14     582",
        "specimens               20   1,000",
        "  negative  7 specimens, mean 2.00 images: 7 with 2",
        "  BMP      14",
        "Age: 40 to 42 years, median 41 (known for 40 images)",
        "  same pixels     0 within a specimen,    0 across specimens",
        "Specimens with both labels: 0",
        "    BMP, RGB                    14 negative      0 positive",
        "Warnings (2)",
        "This database can be used.",
    ):
        assert line in lines
    assert any(line.startswith("  format        AUC 1.00") and line.endswith("suspicious") for line in lines)


def test_report_as_json(tmp_path: Path) -> None:
    root = large(tmp_path / "AIDA")
    draw(root / "aida_project_database" / "02_0.png", seed=0)  # the same as 01_0.png
    content = json.loads(json.dumps(describe(read_database(root)).as_dict()))
    assert content["usable"] is True
    assert content["counts"]["images"] == 40
    assert content["duplicates"] == [
        {
            "images": ["01_0.png", "02_0.png"],
            "specimens": ["1", "2"],
            "exact": True,
            "labels": [1],
            "across": True,
        }
    ]
    assert content["shortcuts"][0]["table"]["BMP, RGB"] == [14, 0]
    assert content["images_per_specimen"]["positive"] == {"2": 13}


def test_an_auc_above_the_limit_is_a_warning_whatever_chance_does(tmp_path: Path, monkeypatch) -> None:
    found = [
        Shortcut("size", {}, 0.61, 0.55),
        Shortcut("format", {}, 0.65, 0.7),
        Shortcut("lab", {}, 0.6, 0.5),
    ]
    monkeypatch.setattr("hep2lib.data.report.find_shortcuts", lambda database, headers: found)
    warnings = [text for text in describe(read_database(write_aida(tmp_path))).warnings if "shortcut" in text]
    assert len(warnings) == 2
    assert warnings[0].startswith(
        "shortcut: size alone reaches an AUC of 0.61; a network may learn the files"
    )
    assert warnings[1].startswith(
        "perhaps a shortcut: format alone reaches an AUC of 0.65; in a database this"
    )


def test_published_counts_only_beside_the_same_layout(tmp_path: Path) -> None:
    root = write_aida(tmp_path)
    report = describe(read_database(root, layout="manifest"))
    assert report.published == {}
    assert "2,080" not in report.text()
    assert "nothing: all files are of one size and format" in report.text()


def test_long_lists_are_cut_in_the_text_only(tmp_path: Path) -> None:
    rows = aida_rows(20)
    for number, row in enumerate(rows):
        row[3] = "" if row[2] == "negative" else f"pattern {number}"
    report = describe(read_database(write_aida(tmp_path, rows)))
    assert len(report.values["pattern"]) == 26
    assert "  11 others       11" in report.text().splitlines()


def test_too_few_specimens_for_any_folds_are_a_problem_and_for_five_a_warning(tmp_path: Path) -> None:
    few = describe(read_database(write_aida(tmp_path / "few", aida_rows(8))))
    assert few.problems == (
        "5 folds divide the specimens into 5 parts, each of which is tested once and needs two specimens of "
        "either class, 10 in all; there are 3 specimens with negative images and 5 specimens with positive "
        "images; at least four of either class are needed, for two folds",
    )
    assert not any("folds" in warning for warning in few.warnings)
    enough = describe(read_database(write_aida(tmp_path / "enough", aida_rows(9))))
    assert enough.usable
    assert enough.warnings[-1].endswith("2 folds work: --set folds=2, or folds: 2 in a profile")


def specimen_line(root: Path, **options: str) -> str:
    found = [
        line for line in describe(read_database(root, **options)).text().splitlines() if "specimens: " in line
    ]
    assert len(found) == 1
    return found[0].strip()


def test_how_specimens_were_found_stands_in_the_report(tmp_path: Path) -> None:
    root = write_aida(tmp_path / "sheet")
    assert specimen_line(root) == "specimens: '1' for '01_0.png' (column 'Patient ID'), 10 in all"
    pattern = r"^(\d)\d_"
    told = rf"specimens: '0' for '01_0.png' (specimen_pattern='{pattern}' in file names), 2 in all"
    assert specimen_line(root, specimen_pattern=pattern) == told
    told = "specimens: '1' for '01_0.png' (specimen_pattern='.' in column 'Patient ID'), 9 in all"
    assert specimen_line(root, specimen_pattern=".", specimen_column="Patient ID") == told
    for name, specimens in (("negative", "abcd"), ("positive", "efgh")):
        for number, specimen in enumerate(specimens):
            draw(tmp_path / "classes" / name / specimen / f"{specimen}_1.png", number)
    told = "specimens: 'a' for 'negative/a/a_1.png' (its folder), 8 in all"
    assert specimen_line(tmp_path / "classes") == told
    told = r"specimens: 'a' for 'negative/a/a_1.png' (specimen_pattern='(\w)_' in file names), 8 in all"
    assert specimen_line(tmp_path / "classes", specimen_pattern=r"(\w)_") == told
