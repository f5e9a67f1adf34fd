import json
from pathlib import Path

import numpy as np
import pytest

from hep2lib.data.database import read_database
from hep2lib.data.simulate import SimulationError, simulated_images, write_database

SMALL = {"specimens": 6, "scale": 0.15}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return write_database(tmp_path_factory.mktemp("simulated") / "database", seed=3, masks=True, **SMALL)


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
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(SimulationError, match="already holds other files"):
        write_database(tmp_path / "b", **SMALL)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("hep2lib.data.simulator.writing.save_sheet", fail)
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
