"""A simulated database as files in AIDA's layout: the same parameters always give the same images."""

import csv
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from openpyxl import Workbook
from PIL import Image

from hep2lib.files import typed_path
from hep2lib.processes import Workers, cores
from hep2lib.progress import progress_bar
from hep2lib.simulator.cells import INTERPHASE, PHASES
from hep2lib.simulator.cohort import Laboratory, Specimen
from hep2lib.simulator.physics import Physics
from hep2lib.simulator.simulation import VERSION, Field, Simulation, SimulationError, simulate_field
from hep2lib.simulator.staining import draw_style

IMAGES = "aida_project_database"
SHEET = "AIDA_HEp-2_GroundTruth.xlsx"
MASKS = "masks"
RECORD = "simulation.json"
_LONG_AGO = datetime(2020, 1, 1)
_FEW_IMAGES = 24  # starting processes takes longer than writing so few

_README = """{name}

These images are SIMULATED. They show no patient, they are no medical data, and nothing measured on them
says how well a method reads real immunofluorescence. They were computed by hep2lib, version {version} of its
simulator, so that anyone can run its studies; the layout is that of the AIDA HEp-2 database.

{images}/   the images, a flat folder
{sheet}   one row an image: file, specimen, label, true intensity grade, staining
    pattern, laboratory, instrument, age and sex (which are drawn at random and say nothing about the label)
simulation.json   the simulator's version and all parameters: the same ones give the same images
masks/   only if asked for: one 16-bit PNG an image (0 background, then one number a nucleus or dividing
    cell) and cells.csv

They may be used under the licence of hep2lib.
"""


def save_picture(picture: NDArray[np.uint8], path: Path, quality: int) -> None:
    """Store H x W x 3 uint8 in the format that the extension names; ``quality`` is that of a JPEG file."""
    options: dict[str, Any] = {}
    if path.suffix == ".jpg":
        options = {"quality": quality}
    elif path.suffix == ".png":
        options = {"compress_level": 1}  # noise hardly compresses; higher levels only take longer
    Image.fromarray(picture).save(path, **options)


def save_mask(owner: NDArray[np.int16], path: Path, size: tuple[int, int]) -> None:
    """Store the number of the cell at each pixel as 16-bit PNG of a picture's size, 0 being background."""
    mask = Image.fromarray((owner + 1).astype(np.uint16))
    mask.resize(size, Image.Resampling.NEAREST).save(path)


def save_sheet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Store one or more rows with the same keys, which become the header, as an xlsx file.

    Spreadsheet files carry the time of writing in several places; it is set to a fixed one.
    """
    book = Workbook()
    page = book.active
    page.title = "GroundTruth"
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    page.freeze_panes = "A2"
    book.properties.creator = "hep2lib"
    book.properties.created = _LONG_AGO
    raw = io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                modified = book.properties.modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
                content = content.replace(modified, _LONG_AGO.strftime("%Y-%m-%dT%H:%M:%SZ").encode())
            target.writestr(zipfile.ZipInfo(name, _LONG_AGO.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)


def fields_of(simulation: Simulation, laboratory: Laboratory, specimen: Specimen) -> Iterator[Field]:
    """Simulate the fields of a specimen, one after another from its random stream.

    Its first field holds a dividing cell at least: readers look for one in every well.
    """
    rng = simulation.specimen_stream(specimen)
    style = draw_style(rng, simulation.parameters.specimen)
    for number in range(specimen.images):
        yield simulate_field(specimen, style, laboratory, rng, simulation.parameters, int(number == 0))


def _file_name(number: int, specimen: Specimen) -> str:
    """Name the file of image ``number``; the name says nothing about specimen or label."""
    return f"{number:04d}.{specimen.format.lower()}"


def _write_specimen(
    folder: Path, simulation: Simulation, laboratory: Laboratory, specimen: Specimen, first: int
) -> list[dict[str, Any]]:
    """Write a specimen's images, numbered from ``first``; with masks, give the rows of ``cells.csv``."""
    cells: list[dict[str, Any]] = []
    for number, field in enumerate(fields_of(simulation, laboratory, specimen), first):
        name = _file_name(number, specimen)
        save_picture(field.picture, folder / IMAGES / name, laboratory.quality)
        if simulation.masks:
            mask = folder / MASKS / f"{Path(name).stem}.png"
            save_mask(field.anatomy.owner, mask, specimen.size)
            cells += _cells(name, field)
    return cells


def _cells(name: str, field: Field) -> list[dict[str, Any]]:
    """List the cells whose nucleus or mitotic body shows in a field."""
    cells = field.anatomy.cells
    height, width = field.anatomy.shape
    shown = set(field.anatomy.owner.ravel().tolist()) - {-1}
    return [
        {
            "ImageFileName": name,
            "Cell": cell + 1,
            "X": round(float(cells.centre[cell, 0] / field.anatomy.pixel / width), 4),
            "Y": round(float(cells.centre[cell, 1] / field.anatomy.pixel / height), 4),
            "Phase": PHASES[cells.phase[cell]],
        }
        for cell in sorted(shown)
    ]


def _sheet_rows(laboratories: Sequence[Laboratory], specimens: Sequence[Specimen]) -> list[dict[str, Any]]:
    """Make the ground-truth sheet, one row an image."""
    images = [specimen for specimen in specimens for _ in range(specimen.images)]
    return [
        {
            "ImageFileName": _file_name(number, specimen),
            "Specimen": specimen.name,
            "Fluorescence": "Positive" if specimen.written_label else "Negative",
            "Intensity": specimen.grade,
            "StainingPatterns": specimen.pattern,
            "Laboratory": laboratories[specimen.laboratory].name,
            "Instrument": laboratories[specimen.laboratory].instrument,
            "Age": specimen.age,
            "Sex": specimen.sex,
        }
        for number, specimen in enumerate(images, 1)
    ]


def _write_files(folder: Path, simulation: Simulation, workers: int) -> None:
    """Write a whole database into an empty folder; the files do not depend on the number of processes."""
    laboratories, specimens = simulation.draw()
    (folder / IMAGES).mkdir()
    if simulation.masks:
        (folder / MASKS).mkdir()
    jobs = []
    total = 0
    for specimen in specimens:
        jobs.append((folder, simulation, laboratories[specimen.laboratory], specimen, total + 1))
        total += specimen.images
    cells = list(_written(jobs, total, workers))
    if simulation.masks:
        with (folder / MASKS / "cells.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["ImageFileName", "Cell", "X", "Y", "Phase"], lineterminator="\n")
            table.writeheader()
            table.writerows(cells)
    save_sheet(_sheet_rows(laboratories, specimens), folder / SHEET)
    record = json.dumps(simulation.record(), indent=1, ensure_ascii=False)
    (folder / RECORD).write_text(record + "\n", encoding="utf-8")
    text = _README.format(name=simulation.name, version=VERSION, images=IMAGES, sheet=SHEET)
    (folder / "README.txt").write_text(text, encoding="utf-8")


def _written(
    jobs: Sequence[tuple[Path, Simulation, Laboratory, Specimen, int]], total: int, workers: int
) -> Iterator[dict[str, Any]]:
    """Write all specimens, in parallel if they have many images; yield the rows of their cells in order."""
    with progress_bar(total=total, description="simulating", unit="image") as bar:
        if workers == 1 or total <= _FEW_IMAGES:
            for job in jobs:
                yield from _write_specimen(*job)
                bar.update(job[3].images)
            return
        with Workers(workers) as pool:
            for job, cells in zip(jobs, pool.map(_write_specimen, *zip(*jobs, strict=True)), strict=True):
                yield from cells
                bar.update(job[3].images)


def write_database(
    path: str | Path,
    specimens: int = 100,
    seed: int = 0,
    *,
    laboratories: int = 7,
    shortcut: bool = False,
    label_noise: float = 0.0,
    scale: float = 1.0,
    masks: bool = False,
    workers: int | None = None,
) -> pd.DataFrame:
    """Write a simulated database in AIDA's layout.

    The folder appears whole or not at all. One that already holds exactly this database is left as it is.

    Args:
        path: the folder; it must not exist, or be empty, or hold this database.
        specimens: their number, at least 2; 100 give 208 images, 1000 give 2080.
        seed: 0 or more; the same one gives the same pixels on any number of processes and on the processors
            of `Simulation`; and the same bytes, with the same versions of NumPy, SciPy, Pillow and Python.
        laboratories: number of laboratories, 1 to 26.
        shortcut: let the size of the files tell the label for most specimens.
        label_noise: share of specimens whose written label is wrong, 0 to 0.5.
        scale: factor on the pictures' size in pixels (about 690 x 515), 0.1 to 4; the field of view stays.
        masks: write per-cell masks too.
        workers: processes; None for one a core.

    Returns:
        What was written, as it was planned: see `planned_images`.

    Raises:
        SimulationError: an impossible parameter, or a folder that holds something else.
    """
    simulation = Simulation(
        specimens=specimens,
        seed=seed,
        laboratories=laboratories,
        shortcut=shortcut,
        label_noise=label_noise,
        scale=scale,
        masks=masks,
    )
    if workers is not None and workers < 1:
        raise SimulationError(f"workers {workers}: at least one process has to draw")
    target = typed_path(path)
    if _there_already(target, simulation):
        return planned_images(simulation)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise SimulationError(f"{target}: cannot be written ({error.strerror})") from error
    try:
        part.chmod(0o755)  # mkdtemp's own 0700 would hide the database from others
        _write_files(part, simulation, workers or cores())
        if target.exists():
            target.rmdir()
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return planned_images(simulation)


def _there_already(target: Path, simulation: Simulation) -> bool:
    """Whether a folder holds exactly this database; False if there is room for it."""
    if not target.exists():
        return False
    if not target.is_dir():
        raise SimulationError(f"{target}: a file is in the way; choose another folder")
    if not any(target.iterdir()):
        return False
    try:
        found = json.loads((target / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found == simulation.record():
        return True
    what = "a database with other parameters" if found else "other files"
    if isinstance(found, dict) and {**found, "simulator_version": VERSION} == simulation.record():
        what = f"this database as another version of the simulator drew it (this is version {VERSION})"
    raise SimulationError(
        f"{target}: the folder already holds {what}, and nothing is overwritten; choose another folder or "
        "delete this one"
    )


def simulated_images(count: int, seed: int, size: int = 224) -> NDArray[np.uint8]:
    """Simulate fields in memory that belong to no database: they come from random streams of their own.

    Args:
        count: number of images, at least 1; each is of another specimen.
        seed: any whole number from 0 on.
        size: height and width, in pixels, squeezed as the paper's are.

    Returns:
        uint8, count x 3 x size x size.
    """
    if count < 1 or size < 1:
        raise SimulationError(f"count {count}, size {size}: both have to be at least 1")
    simulation = Simulation(specimens=max(count, 2), seed=seed, scale=0.75, apart=True)
    laboratories, specimens = simulation.draw()
    images = np.empty((count, 3, size, size), np.uint8)
    for row, specimen in enumerate(specimens[:count]):
        one = replace(specimen, images=1)
        field = next(fields_of(simulation, laboratories[specimen.laboratory], one))
        squeezed = Image.fromarray(field.picture).resize((size, size), Image.Resampling.BICUBIC)
        images[row] = np.asarray(squeezed).transpose(2, 0, 1)
    return images


def planned_images(simulation: Simulation) -> pd.DataFrame:
    """Plan a database without drawing it: whose its images are, and what its files will say of themselves.

    Returns:
        One row an image: ``image``, ``label`` (0 or 1, as it will be written), ``specimen``, ``pattern``,
        ``intensity``, ``laboratory``, ``instrument``, ``sex`` and ``age`` as in the sheet, and the file's
        ``format`` ("JPEG", "PNG" or "BMP"), ``width`` and ``height`` in pixels.
    """
    laboratories, specimens = simulation.draw()
    sheet = pd.DataFrame(_sheet_rows(laboratories, specimens))
    names = {"ImageFileName": "image", "StainingPatterns": "pattern", "Fluorescence": "label"}
    table = sheet.rename(columns=names).rename(columns=str.lower)
    table["label"] = (table["label"] == "Positive").astype("int8")
    files = [specimen for specimen in specimens for _ in range(specimen.images)]
    table["format"] = ["JPEG" if one.format == "JPG" else one.format for one in files]
    table["width"], table["height"] = zip(*(one.size for one in files), strict=True)
    return table


def dividing_cells(folder: Path, images: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Find the dividing cells in those images of a simulated database that are a specimen's first.

    Their fields are drawn once more.

    Returns:
        By name, n x 2: x and y, shares of the image's width and height. Nothing if another version of the
        simulator drew the database.
    """
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    own = {item.name: record[item.name] for item in fields(Simulation) if item.name in record}
    simulation = Simulation(**own | {"parameters": Physics()})
    if simulation.record() != record:
        return {}
    laboratories, specimens = simulation.draw()
    found, number = {}, 1
    for specimen in specimens:
        if (name := _file_name(number, specimen)) in images:
            field = next(fields_of(simulation, laboratories[specimen.laboratory], specimen))
            cells = [cell for cell in _cells(name, field) if cell["Phase"] != PHASES[INTERPHASE]]
            found[name] = np.array([(cell["X"], cell["Y"]) for cell in cells])
        number += specimen.images
    return found


def parameter_table() -> pd.DataFrame:
    """Every parameter of the simulator, one a row.

    The columns are stage, parameter, value, unit, meaning and source (a reference, or "assumption").
    """
    parameters = Physics()
    groups = {stage.name: getattr(parameters, stage.name) for stage in fields(parameters)}
    rows = [
        {"stage": stage, "parameter": item.name, "value": getattr(group, item.name), **item.metadata}
        for stage, group in groups.items()
        for item in fields(group)
    ]
    return pd.DataFrame(rows)
