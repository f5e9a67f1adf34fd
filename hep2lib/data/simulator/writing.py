"""A simulated database as files: its specimens written one by one, in this process or in several."""

import csv
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from hep2lib.data.simulator.cells import PHASES
from hep2lib.data.simulator.fields import Field, simulate_field
from hep2lib.data.simulator.files import save_mask, save_picture, save_sheet
from hep2lib.data.simulator.laboratories import Laboratory
from hep2lib.data.simulator.simulation import Simulation
from hep2lib.data.simulator.specimens import Specimen
from hep2lib.data.simulator.style import draw_style
from hep2lib.progress import progress_bar

IMAGES = "aida_project_database"
SHEET = "AIDA_HEp-2_GroundTruth.xlsx"
MASKS = "masks"
RECORD = "simulation.json"
_FEW_IMAGES = 24  # starting processes takes longer than writing so few

_README = """{name}

These images are SIMULATED. They show no patient, they are no medical data, and nothing measured on them
says how well a method reads real immunofluorescence. They were computed by hep2lib, version {version} of its
simulator, so that anyone can run its studies; the layout is that of the AIDA HEp-2 database.

{images}/   the images, a flat folder
{sheet}   one row an image: file, specimen, label, true intensity grade, staining
    pattern, laboratory, instrument, age and sex (which are drawn at random and say nothing about the label)
simulation.json   all parameters: the same parameters give the same bytes
masks/   only if asked for: one 16-bit PNG an image (0 background, then one number a nucleus or dividing
    cell) and cells.csv

They may be used under the licence of hep2lib.
"""


def fields_of(simulation: Simulation, laboratory: Laboratory, specimen: Specimen) -> Iterator[Field]:
    """Simulate the fields of a specimen, one after another from its random stream.

    Its first field holds a dividing cell at least: readers look for one in every well.
    """
    rng = simulation.specimen_stream(specimen)
    style = draw_style(rng)
    for number in range(specimen.images):
        yield simulate_field(specimen, style, laboratory, rng, simulation.parameters, int(number == 0))


def file_name(number: int, specimen: Specimen) -> str:
    """Name the file of image ``number``; the name says nothing about specimen or label."""
    return f"{number:04d}.{specimen.format.lower()}"


def write_specimen(
    folder: Path, simulation: Simulation, laboratory: Laboratory, specimen: Specimen, first: int
) -> list[dict[str, Any]]:
    """Write the images of a specimen, and their masks if the simulation has them.

    Args:
        folder: the database's folder; its sub-folders exist.
        simulation: the database.
        laboratory: the specimen's.
        specimen: whose images.
        first: number of its first image.

    Returns:
        One record a cell of its images, for ``masks/cells.csv``; empty without masks.
    """
    cells: list[dict[str, Any]] = []
    for number, field in enumerate(fields_of(simulation, laboratory, specimen), first):
        name = file_name(number, specimen)
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


def sheet_rows(laboratories: Sequence[Laboratory], specimens: Sequence[Specimen]) -> list[dict[str, Any]]:
    """Make the ground-truth sheet, one row an image."""
    rows: list[dict[str, Any]] = []
    for specimen in specimens:
        laboratory = laboratories[specimen.laboratory]
        for _ in range(specimen.images):
            rows.append(
                {
                    "ImageFileName": file_name(len(rows) + 1, specimen),
                    "Specimen": specimen.name,
                    "Fluorescence": "Positive" if specimen.written_label else "Negative",
                    "Intensity": specimen.grade,
                    "StainingPatterns": specimen.pattern,
                    "Laboratory": laboratory.name,
                    "Instrument": laboratory.instrument,
                    "Age": specimen.age,
                    "Sex": specimen.sex,
                }
            )
    return rows


def write_files(folder: Path, simulation: Simulation, version: int, workers: int | None) -> None:
    """Write a whole database into an empty folder.

    Args:
        folder: exists and is empty.
        simulation: the database.
        version: of the simulator.
        workers: processes; None for one a core. The files do not depend on it.
    """
    laboratories, specimens = simulation.draw()
    (folder / IMAGES).mkdir()
    if simulation.masks:
        (folder / MASKS).mkdir()
    cells = list(_write_specimens(folder, simulation, laboratories, specimens, workers))
    if simulation.masks:
        with (folder / MASKS / "cells.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["ImageFileName", "Cell", "X", "Y", "Phase"], lineterminator="\n")
            table.writeheader()
            table.writerows(cells)
    save_sheet(sheet_rows(laboratories, specimens), folder / SHEET)
    record = json.dumps(simulation.record(), indent=1, ensure_ascii=False)
    (folder / RECORD).write_text(record + "\n", encoding="utf-8")
    text = _README.format(name=simulation.name, version=version, images=IMAGES, sheet=SHEET)
    (folder / "README.txt").write_text(text, encoding="utf-8")


def _write_specimens(
    folder: Path,
    simulation: Simulation,
    laboratories: Sequence[Laboratory],
    specimens: Sequence[Specimen],
    workers: int | None,
) -> Iterator[dict[str, Any]]:
    """Write all specimens in parallel; yield the records of their cells in order."""
    jobs = []
    total = 0
    for specimen in specimens:
        jobs.append((folder, simulation, laboratories[specimen.laboratory], specimen, total + 1))
        total += specimen.images
    processes = workers or _cores()
    with progress_bar(total=total, description="simulating", unit="image") as bar:
        if processes == 1 or total <= _FEW_IMAGES:
            for job in jobs:
                yield from write_specimen(*job)
                bar.update(job[3].images)
            return
        # Spawned, not forked: a fork of a process with threads (torch's) may hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            for job, cells in zip(jobs, pool.map(write_specimen, *zip(*jobs, strict=True)), strict=True):
                yield from cells
                bar.update(job[3].images)


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1
