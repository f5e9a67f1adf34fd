import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hep2lib.simulator.patterns import SINGLE
from hep2lib.simulator.simulation import VERSION, Simulation, SimulationError, stages
from hep2lib.simulator.writing import fields_of


def test_stages_show_one_field_from_cells_to_network_input():
    shown = stages("AC-3", "2+", seed=1)
    assert [stage.name for stage in shown] == [
        *("cells", "staining", "slide", "lens", "illumination", "camera", "file", "network input")
    ]
    assert all(stage.picture.dtype == np.uint8 and stage.picture.shape[2] == 3 for stage in shown)
    assert shown[-1].picture.shape == (224, 224, 3)
    assert shown[1].picture.max() == 255
    assert stages("negative", seed=1)[1].picture.max() == 0
    with pytest.raises(SimulationError, match="no pattern 'stripes'; there are homogeneous"):
        stages("stripes")
    with pytest.raises(SimulationError, match=r"grade '5\+': it may be \+/-, 1\+"):
        stages("AC-1", "5+")


def test_a_window_of_the_stages_is_around_a_dividing_cell():
    whole, part = stages("AC-1", seed=1), stages("AC-1", seed=1, share=0.4)
    for one, other in zip(whole, part, strict=True):
        size = np.array(one.picture.shape[:2])
        assert np.abs(np.array(other.picture.shape[:2]) - 0.4 * size).max() <= 1
    height, width = part[0].picture.shape[:2]
    middle = part[0].picture[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4].astype(int)
    assert ((middle[..., 0] - middle[..., 2]) > 100).sum() > 50  # chromosomes are drawn yellow
    with pytest.raises(SimulationError, match="share 0: above 0"):
        stages("AC-1", share=0)


def fields_of_every_pattern():
    """Draw a small field of a negative and of every single pattern: its light, and the camera's picture."""
    arrays = {}
    stainings = ["", *(name for name, _ in SINGLE.values())]
    simulation = Simulation(specimens=len(stainings), seed=7, scale=0.2)
    laboratories, specimens = simulation.draw()
    for specimen, stained in zip(specimens, stainings, strict=True):
        one = replace(specimen, images=1, stained=stained, level=0.4)
        field = next(fields_of(simulation, laboratories[one.laboratory], one))
        arrays |= {f"light {stained}": field.lit, f"picture {stained}": field.picture}
    return arrays


def test_pixels_do_not_depend_on_the_processor(tmp_path):
    # What newer processors have, as NumPy names it; a name that it does not know changes nothing.
    newer = "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_ICL AVX512_SPR ASIMDHP ASIMDDP SVE"
    code = f"import numpy as n; from {__name__} import *; n.savez('{{}}', **fields_of_every_pattern())"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code.format((tmp_path / "older.npz").as_posix())],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": newer},
        cwd=Path(__file__).parents[2],
        check=True,
    )
    here = fields_of_every_pattern()
    with np.load(tmp_path / "older.npz") as older:
        assert len(older) == len(here) == 36
        for name, array in here.items():
            # A last bit of the light may differ now and then; with exp in float32, one of 30 numbers did.
            assert (array != older[name]).mean() <= (1e-3 if name.startswith("light") else 0), name


def test_a_seed_gives_the_pixels_that_it_gave_before():
    """Computed on x86-64. Other pixels for a seed need another VERSION of the simulator."""
    simulation = Simulation(specimens=6, seed=3, scale=0.15)
    laboratories, specimens = simulation.draw()
    pixels = hashlib.sha256()
    for specimen in specimens:
        for field in fields_of(simulation, laboratories[specimen.laboratory], specimen):
            pixels.update(field.picture.tobytes())
    assert (VERSION, pixels.hexdigest()[:16]) == (4, "37e562c4ed3d367b")
