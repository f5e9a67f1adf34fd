"""The simulator's public door: a database on disk, images in memory, a field by stages, the parameters."""

import json
import shutil
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from hep2lib.data.simulator.parameters import Parameters
from hep2lib.data.simulator.simulation import VERSION, Simulation, SimulationError
from hep2lib.data.simulator.stages import Stage, stages
from hep2lib.data.simulator.writing import RECORD, fields_of, sheet_rows, write_files

__all__ = [
    "Parameters",
    "Simulation",
    "SimulationError",
    "Stage",
    "parameter_table",
    "planned_images",
    "simulated_images",
    "stages",
    "write_database",
]


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
        specimens: number of specimens; 100 give 208 images, 1000 give 2080.
        seed: the same seed gives the same bytes, on any number of processes.
        laboratories: number of laboratories, 1 to 26.
        shortcut: let the size of the files tell the label for most specimens.
        label_noise: share of specimens whose written label is wrong, 0 to 0.5.
        scale: factor on the pictures' width and height in pixels (about 690 x 515), 0.1 to 4.
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
    target = Path(path).expanduser()
    if not _there_already(target, simulation):
        _write_whole(target, simulation, workers)
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
    raise SimulationError(
        f"{target}: the folder already holds {what}, and nothing is overwritten; choose another folder or "
        "delete this one"
    )


def _write_whole(target: Path, simulation: Simulation, workers: int | None) -> None:
    """Write into a folder beside the target, then give it the target's name."""
    target = target.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise SimulationError(f"{target}: cannot be written ({error.strerror})") from error
    try:
        part.chmod(0o755)  # mkdtemp's own 0700 would hide the database from others
        write_files(part, simulation, VERSION, workers)
        if target.exists():
            target.rmdir()
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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

    Args:
        simulation: the database.

    Returns:
        One row an image: ``image``, ``label`` (0 or 1, as it will be written), ``specimen``, ``pattern``,
        ``intensity``, ``laboratory``, ``instrument``, ``sex`` and ``age`` as in the sheet, and the file's
        ``format`` ("JPEG", "PNG" or "BMP"), ``width`` and ``height`` in pixels.
    """
    laboratories, specimens = simulation.draw()
    sheet = pd.DataFrame(sheet_rows(laboratories, specimens))
    names = {"ImageFileName": "image", "StainingPatterns": "pattern", "Fluorescence": "label"}
    table = sheet.rename(columns=names).rename(columns=str.lower)
    table["label"] = (table["label"] == "Positive").astype("int8")
    files = [specimen for specimen in specimens for _ in range(specimen.images)]
    table["format"] = ["JPEG" if one.format == "JPG" else one.format for one in files]
    table["width"], table["height"] = zip(*(one.size for one in files), strict=True)
    return table


def parameter_table() -> pd.DataFrame:
    """List every parameter of the simulator.

    Returns:
        One row a parameter: stage, parameter, value, unit, meaning, source (a reference, or "assumption").
    """
    parameters = Parameters()
    rows = []
    for stage in fields(parameters):
        group = getattr(parameters, stage.name)
        for item in fields(group):
            value = getattr(group, item.name)
            rows.append({"stage": stage.name, "parameter": item.name, "value": value, **item.metadata})
    return pd.DataFrame(rows)[["stage", "parameter", "value", "unit", "meaning", "source"]]
