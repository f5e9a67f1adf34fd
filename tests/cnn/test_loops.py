import ctypes
import subprocess
import sys

import numpy as np
import pytest
import torch

from hep2lib import cnn
from hep2lib.cnn import loops

WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None  # importing it fails
import torch
from hep2lib.cnn import loops
from hep2lib.cnn.googlenet import GoogLeNet
assert not loops.COMPILED
network = GoogLeNet("torchvision")
generator = torch.Generator().manual_seed(0)
for parameter in network.parameters():
    parameter.data.normal_(0, 0.02, generator=generator)
logits = network.eval()(torch.randn(2, 3, 224, 224, generator=generator))
logits.square().sum().backward()
gradient = network["inception_3a-3x3"].weight.grad
print(*logits.flatten().tolist(), gradient.norm().item())
"""


def test_without_numba_everything_runs_and_says_the_same():
    blocked, own = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        for code in (
            WITHOUT_NUMBA,
            WITHOUT_NUMBA.replace('sys.modules["numba"] = None', "").replace("assert not", "assert"),
        )
    )
    assert blocked.returncode == own.returncode == 0, blocked.stderr + own.stderr
    expected = [float(text) for text in own.stdout.split()]
    assert [float(text) for text in blocked.stdout.split()] == pytest.approx(expected, rel=1e-3)


def test_where_nothing_can_be_written_a_loop_is_compiled_each_time(monkeypatch):
    asked = []

    def compiler(**options):
        asked.append(options.pop("cache", False))
        if asked[-1]:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(loops, "_NJIT", compiler)
    assert loops.compiled(len) is len
    assert asked == [True, False]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_threads_share_all_images_once(count, monkeypatch):
    monkeypatch.setattr(loops, "_MUCH", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    times = np.zeros(count)

    def loop(first, last, out):
        out[first:last] += 1

    loops.over_images(loop, count, times)
    assert times.tolist() == [1] * count


def test_what_goes_wrong_in_a_thread_is_raised(monkeypatch):
    monkeypatch.setattr(loops, "_MUCH", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        loops.over_images(lambda first, last, out: 1 / 0, 4, np.zeros(4))


def test_flat_pixels_of_a_slice_are_a_view_and_of_another_order_a_copy():
    whole = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4).contiguous(memory_format=torch.channels_last)
    part = whole[:, 1:4]
    flat, step = loops.pixels(part)
    assert step == 5
    assert np.shares_memory(flat, whole.permute(0, 2, 3, 1).numpy())
    places = np.arange(24)[:, None] * step + np.arange(3)
    assert flat[places].tolist() == part.permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    flat, step = loops.pixels(part.contiguous())
    assert step == 3
    assert flat.reshape(-1, 3).tolist() == part.permute(0, 2, 3, 1).reshape(-1, 3).tolist()


def test_the_c_library_is_asked_to_keep_memory_unless_told_not_to(monkeypatch):
    asked = []

    class Library:
        def mallopt(self, name, value):
            asked.append((name, value))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("HEP2_KEEP_MEMORY", raising=False)
    cnn._keep_freed_memory()
    assert len(asked) == 2
    monkeypatch.setenv("HEP2_KEEP_MEMORY", "0")
    cnn._keep_freed_memory()
    monkeypatch.delenv("HEP2_KEEP_MEMORY")
    monkeypatch.setattr(sys, "platform", "win32")
    cnn._keep_freed_memory()
    assert len(asked) == 2
