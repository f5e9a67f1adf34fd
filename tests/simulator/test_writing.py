import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hep2lib.data.database import read_database
from hep2lib.data.images import read_header
from hep2lib.data.report import find_shortcuts, planned_files
from hep2lib.simulator.cells import PHASES
from hep2lib.simulator.physics import Physics
from hep2lib.simulator.simulation import Simulation, SimulationError
from hep2lib.simulator.writing import (
    dividing_cells,
    fields_of,
    parameter_table,
    planned_images,
    simulated_images,
    write_database,
)

SMALL = {"specimens": 6, "scale": 0.15}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "database"
    write_database(folder, seed=3, masks=True, **SMALL)
    return read_database(folder)


def test_what_was_planned_is_what_is_read(database):
    planned = planned_images(Simulation(seed=3, masks=True, **SMALL))
    for column in set(database) - {"path"}:
        assert planned[column].fillna("").tolist() == database[column].fillna("").tolist(), column
    assert planned["label"].dtype == np.int8


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_database_is_read_as_simulated_with_both_labels(database):
    assert database.attrs["simulated"] is True
    assert database.attrs["name"] == "simulated database (6 specimens, seed 3, scale 0.15)"
    assert set(database["label"]) == {0, 1}
    assert database["specimen"].nunique() == 6
    assert (database.loc[database["label"] == 0, "intensity"] == "0").all()
    assert database.loc[database["label"] == 1, "intensity"].isin(["+/-", "1+", "2+", "3+", "4+"]).all()


def test_same_seed_same_bytes_on_one_and_on_two_processes(tmp_path):
    options = {**SMALL, "specimens": 14, "seed": 5, "masks": True}
    write_database(tmp_path / "one", workers=1, **options)
    write_database(tmp_path / "two", workers=2, **options)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert len(one) == 2 * 29 + 4  # images and masks, the masks' table, the sheet, the record, the README
    assert one == two


def test_another_seed_gives_other_images(database, tmp_path):
    other = write_database(tmp_path / "other", seed=4, masks=True, **SMALL)
    assert set(contents(tmp_path / "other").values()).isdisjoint(
        Path(path).read_bytes() for path in database["path"]
    )
    assert len(other) == len(database)


def test_a_database_that_is_there_is_kept_and_another_is_refused(tmp_path):
    first = write_database(tmp_path / "a", **SMALL)
    before = (tmp_path / "a" / "simulation.json").stat().st_mtime_ns
    assert write_database(tmp_path / "a", **SMALL).equals(first)
    assert (tmp_path / "a" / "simulation.json").stat().st_mtime_ns == before
    with pytest.raises(SimulationError, match="already holds a database with other parameters"):
        write_database(tmp_path / "a", seed=1, **SMALL)
    record = json.loads((tmp_path / "a" / "simulation.json").read_text(encoding="utf-8"))
    (tmp_path / "a" / "simulation.json").write_text(json.dumps(record | {"simulator_version": 1}))
    with pytest.raises(
        SimulationError, match=r"as another version of the simulator drew it \(this is version"
    ):
        write_database(tmp_path / "a", **SMALL)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(SimulationError, match="already holds other files"):
        write_database(tmp_path / "b", **SMALL)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("hep2lib.simulator.writing.save_sheet", fail)
    with pytest.raises(OSError, match="disk full"):
        write_database(tmp_path / "a", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"specimens": 1}, "specimens 1 cannot be simulated: it has to be at least 2"),
        ({"seed": -1}, "seed -1"),
        ({"laboratories": 27}, "laboratories 27 .* 1 to 26"),
        ({"label_noise": 0.6}, "label_noise 0.6 .* 0 to 0.5"),
        ({"scale": 0.01}, "scale 0.01 .* 0.1 to 4"),
        ({"workers": 0}, "workers 0"),
    ],
)
def test_impossible_parameters_are_refused_by_name(tmp_path, options, message):
    with pytest.raises(SimulationError, match=message):
        write_database(tmp_path / "a", **options)
    assert not (tmp_path / "a").exists()


def test_the_record_holds_every_parameter(database, tmp_path):
    folder = tmp_path / "a"
    write_database(folder, **SMALL)
    record = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    assert record["specimens"] == 6
    assert record["parameters"]["specimen"]["positive_share"] == 0.72
    assert "SIMULATED" in (folder / "README.txt").read_text(encoding="utf-8")
    assert read_database(folder).attrs["simulated"] is True


def test_images_in_memory_are_deterministic_and_of_the_size_asked_for():
    images = simulated_images(2, seed=1, size=32)
    assert images.dtype == np.uint8
    assert images.shape == (2, 3, 32, 32)
    assert np.array_equal(images, simulated_images(2, seed=1, size=32))
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images, simulated_images(2, seed=2, size=32))


def test_masks_name_the_cells_of_every_image(database):
    folder = Path(database.attrs["folder"]).parent
    cells = pd.read_csv(folder / "masks" / "cells.csv")
    assert set(cells["ImageFileName"]) == set(database["image"])
    assert set(cells["Phase"]) <= set(PHASES)
    for name, path in zip(database["image"], database["path"], strict=True):
        mask = np.asarray(Image.open(folder / "masks" / f"{Path(name).stem}.png"))
        listed = set(cells.loc[cells["ImageFileName"] == name, "Cell"])
        assert mask.shape[::-1] == Image.open(path).size
        # A cell of which only a corner shows may be lost when the mask is made as small as the picture.
        assert set(np.unique(mask).tolist()) - {0} <= listed
        assert len(listed) > 10


def test_dividing_cells_are_where_the_masks_have_them(database, tmp_path):
    folder = Path(database.attrs["folder"]).parent
    cells = pd.read_csv(folder / "masks" / "cells.csv")
    firsts = database.loc[~database["specimen"].duplicated(), "image"].tolist()
    found = dividing_cells(folder, database["image"][:-1].tolist())
    assert list(found) == [name for name in firsts if name != database["image"].iloc[-1]]
    for name in found:
        here = cells[(cells["ImageFileName"] == name) & (cells["Phase"] != "interphase")]
        assert found[name].tolist() == here[["X", "Y"]].to_numpy().tolist() != []
    record = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    for changed in ({"simulator_version": 3}, {"parameters": {}}):
        (tmp_path / "simulation.json").write_text(json.dumps(record | changed))
        assert dividing_cells(tmp_path, firsts) == {}, changed


def test_specimens_differ_more_than_fields_of_one_specimen():
    light = []
    simulation = Simulation(seed=6, specimens=10, scale=0.15)
    laboratories, specimens = simulation.draw()
    for specimen in specimens:
        fields = fields_of(simulation, laboratories[specimen.laboratory], replace(specimen, images=2))
        light.append([np.log(field.picture[..., 1].mean() + 1) for field in fields])
    between = np.mean(light, axis=1).std(ddof=1)
    within = np.sqrt(np.mean(np.var(light, axis=1, ddof=1)))
    assert between > 2.5 * within


def test_images_are_colour_pictures_in_which_green_dominates(database):
    for path in database["path"]:
        picture = Image.open(path)
        assert picture.mode == "RGB"
        assert {".jpg": "JPEG", ".bmp": "BMP", ".png": "PNG"}[Path(path).suffix] == picture.format
    light = np.stack([np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in database["path"]]).mean(
        axis=0
    )
    assert light[1] > 2 * light[0]
    assert light[1] > 2 * light[2]


def test_label_noise_and_shortcut_are_written_and_named(tmp_path):
    write_database(tmp_path / "a", label_noise=0.34, shortcut=True, **SMALL)
    noisy = read_database(tmp_path / "a")
    assert noisy.attrs["name"].endswith("(6 specimens, seed 0, size shortcut, label noise 0.34, scale 0.15)")
    wrong = (noisy["intensity"] == "0") != (noisy["label"] == 0)
    assert noisy.loc[wrong, "specimen"].nunique() == 2


def test_a_plan_says_what_the_files_will_say_of_themselves(database):
    table, headers = planned_files(Simulation(seed=3, masks=True, **SMALL))
    for column in ("image", "label", "specimen", "instrument"):
        assert table[column].tolist() == database[column].tolist()
    assert headers == [read_header(Path(path)) for path in database["path"]]


def test_the_shortcut_is_found_by_the_report_and_by_no_other_attribute():
    honest = {s.attribute: s for s in find_shortcuts(*planned_files(Simulation(seed=2)))}
    trapped = {s.attribute: s for s in find_shortcuts(*planned_files(Simulation(seed=2, shortcut=True)))}
    assert not any(shortcut.suspicious for shortcut in honest.values())
    assert [name for name, shortcut in trapped.items() if shortcut.suspicious] == ["size", "all together"]


def test_every_parameter_is_listed_with_its_source():
    table = parameter_table()
    assert list(table.columns) == ["stage", "parameter", "value", "unit", "meaning", "source"]
    assert list(table["stage"].unique()) == ["specimen", "cell", "optics", "camera", "file"]
    assert (table["meaning"].str.len() > 5).all()
    assert (table["source"].str.len() > 5).all()
    assert len(table) == sum(len(type(getattr(Physics(), s)).__slots__) for s in table["stage"].unique())
