from pathlib import Path

import pytest

from hep2lib.data.database import read_database
from hep2lib.data.report import describe
from hep2lib.errors import DatabaseError
from tests.data.handmade import HEADER, aida_rows, draw, write_aida, write_csv


def write_mivia(root: Path) -> Path:
    """Two folders with a sheet of cells each: 6 images of 2 cells, numbered on."""
    cell = 0
    for part, numbers in (("training", (1, 2, 3)), ("test", (4, 5, 6))):
        rows: list[list[object]] = []
        for number in numbers:
            draw(root / part / "images" / f"{number:02d}.BMP", number)
            draw(root / part / "masks" / f"{number:02d}_mask.bmp", number)
            for pattern in ("fine_speckled", "centromere" if number == 1 else "fine_speckled"):
                cell += 1
                rows.append([cell, number, pattern, "positive" if number % 2 else "intermediate"])
        write_csv(root / part / f"gt_{part}.csv", [("id", "image_id", "pattern", "intensity"), *rows], ";")
    return root


def test_mivia(tmp_path: Path) -> None:
    root = write_mivia(tmp_path / "MIVIA")
    with pytest.raises(DatabaseError, match="say layout='mivia' or layout='i3a'"):
        read_database(root)
    table = read_database(root, layout="mivia")
    assert sorted(table["image"]) == [f"test/images/{n:02d}.BMP" for n in (4, 5, 6)] + [
        f"training/images/{n:02d}.BMP" for n in (1, 2, 3)
    ]
    by_image = table.set_index("image")
    assert by_image.loc["training/images/01.BMP", "label"] == 1
    assert by_image.loc["test/images/04.BMP", "label"] == 0
    assert by_image.loc["test/images/04.BMP", "intensity"] == "intermediate"
    assert by_image.loc["training/images/01.BMP", "pattern"] == "centromere + fine_speckled"
    assert table["specimen"].is_unique
    assert table.attrs["classes"] == ["intermediate", "positive"]
    report = describe(table)
    assert report.counts["intermediate images"] == 3
    assert "holds no negative specimens" in report.text()
    assert "negative images" not in report.text()
    assert not any("not listed" in warning for warning in report.warnings)


def test_mivia_problems_name_file_and_row(tmp_path: Path) -> None:
    root = write_mivia(tmp_path)
    header = ("id", "image_id", "pattern", "intensity")
    rows = [(1, 1, "x", "positive"), (2, 1, "x", "intermediate"), (3, 99, "x", "positive")]
    write_csv(root / "training" / "gt_training.csv", [header, *rows], ";")
    with pytest.raises(DatabaseError) as caught:
        read_database(root, layout="mivia")
    assert caught.value.problems[0].startswith("gt_training.csv, row 4: no images are called '99' in ")
    assert caught.value.problems[1].startswith(
        "gt_training.csv, row 2: the rows of 'training/images/01.BMP' disag"
    )


def test_intensity_words_of_the_contests(tmp_path: Path) -> None:
    root = write_mivia(tmp_path)
    write_csv(root / "test" / "gt_test.csv", [("image", "pattern", "intensity"), (4, "x", "negative")])
    with pytest.raises(
        DatabaseError, match=r"gt_test.csv, row 2: the label 'negative' .* positive or intermediate"
    ):
        read_database(root, layout="mivia")


def write_i3a(root: Path, fields: str) -> Path:
    """Four specimens of four fields, with masks."""
    rows = []
    for specimen in range(1, 5):
        for place in range(1, 5):
            name = fields.format(specimen=specimen, place=place)
            draw(root / name, 10 * specimen + place)
            draw(root / name.replace(".", "_mask."), 99)
        rows.append((f"{specimen:03d}", "golgi", "Positive" if specimen < 3 else "Intermediate"))
    write_csv(root / "gt_training.csv", [("id", "pattern", "intensity"), *rows])
    return root


@pytest.mark.parametrize(
    "fields", ["{specimen}_p{place}.tif", "{specimen:03d}/{place}.png", "images/{specimen}-{place}.png"]
)
def test_i3a_has_four_fields_a_specimen(tmp_path: Path, fields: str) -> None:
    table = read_database(write_i3a(tmp_path, fields), layout="i3a")
    assert len(table) == 16
    assert table["specimen"].value_counts().to_dict() == {"001": 4, "002": 4, "003": 4, "004": 4}
    assert table.groupby("specimen")["label"].first().tolist() == [1, 1, 0, 0]
    assert not table["image"].str.contains("mask").any()
    assert set(table["pattern"]) == {"golgi"}
    assert table.attrs["warnings"] == [
        "label 0 means intermediate intensity: this database holds no negative specimens"
    ]


def test_i3a_with_one_row_an_image(tmp_path: Path) -> None:
    root = write_i3a(tmp_path, "{specimen}_p{place}.tif")
    rows = [
        (f"{s}_p{p}.tif", s, "golgi", "intermediate" if s > 2 else "positive")
        for s in range(1, 5)
        for p in (1, 2)
    ]
    write_csv(root / "gt_training.csv", [("image", "specimen", "pattern", "intensity"), *rows])
    table = read_database(root, layout="i3a")
    assert len(table) == 8
    assert table["specimen"].tolist()[:3] == ["1", "1", "2"]


def test_i3a_without_fields_of_a_specimen(tmp_path: Path) -> None:
    root = write_i3a(tmp_path, "{specimen}_p{place}.tif")
    for path in root.glob("3_p*"):
        path.unlink()
    with pytest.raises(DatabaseError, match=r"gt_training.csv, row 4: no images of specimen '003' in"):
        read_database(root, layout="i3a")


def test_contest_without_a_sheet(tmp_path: Path) -> None:
    for layout in ("mivia", "i3a"):
        with pytest.raises(DatabaseError, match=r"no ground-truth sheet called gt_\*.csv"):
            read_database(tmp_path, layout=layout)


def test_class_folders_with_specimen_folders(tmp_path: Path) -> None:
    for label in ("Positive", "negative"):
        for specimen in ("x", "y"):
            for field in (1, 2):
                draw(tmp_path / label / f"{label[0]}{specimen}" / f"{field}.JPG", ord(specimen) + field)
    draw(tmp_path / "unsorted" / "x.png")
    table = read_database(tmp_path)
    assert len(table) == 8
    assert table["label"].tolist() == [1] * 4 + [0] * 4
    assert table["specimen"].tolist() == ["Px", "Px", "Py", "Py", "nx", "nx", "ny", "ny"]
    assert table["image"][0] == "Positive/Px/1.JPG"
    assert table.attrs["name"] == tmp_path.name
    assert table.attrs["warnings"] == [
        "1 image in the folder is not listed, hence left out: 1 in unsorted (listed: 8 images of 4 specimens)"
    ]


def test_flat_class_folders_need_a_specimen_pattern(tmp_path: Path) -> None:
    for label in ("pos", "neg"):
        for specimen in (1, 2):
            draw(tmp_path / label / f"{label}{specimen}_1.png", specimen)
    with pytest.raises(
        DatabaseError, match=r"whom an image belongs to is not known .*neg1_1.png.*specimen_pattern"
    ):
        read_database(tmp_path)
    table = read_database(tmp_path, specimen_pattern=r"/(?P<specimen>\w+)_")
    assert table["specimen"].tolist() == ["neg1", "neg2", "pos1", "pos2"]
    assert (
        len(read_database(tmp_path.parent, layout="folders", images=tmp_path.name, specimen_pattern=".+"))
        == 4
    )
    with pytest.raises(DatabaseError, match="no images in class folders"):
        read_database(tmp_path / "pos", layout="folders", specimen_pattern=".")


def test_link_out_of_class_folders_is_refused(tmp_path: Path) -> None:
    outside = draw(tmp_path / "secret.png")
    for label in ("pos", "neg"):
        draw(tmp_path / "db" / label / "s" / "1.png")
    (tmp_path / "db" / "pos" / "s" / "2.png").symlink_to(outside)
    with pytest.raises(DatabaseError, match=r"pos/s/2.png: 'pos/s/2.png' is a link out of the image folder"):
        read_database(tmp_path / "db")


def test_manifest_given_by_its_file(tmp_path: Path) -> None:
    rows = [(f"sub/{row[0]}", row[1], "1" if row[2] == "positive" else "0") for row in aida_rows(6)]
    for seed, row in enumerate(rows):
        draw(tmp_path / str(row[0]), seed)
    sheet = write_csv(tmp_path / "mine.csv", [("image", "specimen", "label"), *rows])
    write_csv(tmp_path / "not mine.csv", [("a",), (1,)])
    for table in (read_database(sheet), read_database(tmp_path, sheet="mine.csv")):
        assert len(table) == 12
        assert table.attrs["layout"] == "manifest"
        assert table["pattern"].eq("").all()
    draw(tmp_path / "image.png")
    with pytest.raises(DatabaseError, match="neither a folder nor a sheet"):
        read_database(tmp_path / "image.png")


def test_what_else_the_sheet_knows_is_kept(tmp_path: Path) -> None:
    header = [*HEADER, "Lab", "Acquisition instrument", "Age (years)", "Age", "Gender"]
    rows = [[*row, "Palermo", "", "", 50 + number, "F"] for number, row in enumerate(aida_rows(6))]
    rows[0][2], rows[1][2], rows[2][2] = "weak positive", "3+", "++"
    rows[3][7] = "unknown"
    table = read_database(write_aida(tmp_path, rows, header))
    assert table["laboratory"].eq("Palermo").all()
    assert table["instrument"].eq("").all()
    assert table["sex"].eq("F").all()
    assert table["age"].tolist()[:3] == [50.0, 51.0, 52.0]
    assert table["age"].isna().tolist()[:5] == [False, False, False, True, False]
    assert table["intensity"].tolist()[:4] == ["weak", "3+", "2+", ""]
    assert table["label"].tolist()[:3] == [1, 1, 1]


def test_intensity_grades_alone_tell_the_label(tmp_path: Path) -> None:
    rows = [[*row[:2], "0" if row[2] == "negative" else "2+", row[3]] for row in aida_rows(6)]
    table = read_database(
        write_aida(tmp_path, rows, ("ImageFileName", "Patient", "Intensity", "StainingPatterns"))
    )
    assert table["label"].tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]
    assert table["intensity"].tolist()[3:5] == ["2+", "0"]
