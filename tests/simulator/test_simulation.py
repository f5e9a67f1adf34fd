import numpy as np
import pytest

from hep2lib.simulator.simulation import SimulationError, stages


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
