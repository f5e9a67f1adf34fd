"""What ends with the process that started it is tested where it is used: tests of execution and notebooks."""

import os

from hep2lib.processes import cores


def test_there_is_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)
