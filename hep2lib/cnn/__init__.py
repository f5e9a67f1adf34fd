"""GoogLeNet, its weights and its activations (paper, section 2.3)."""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def _keep_freed_memory() -> None:
    """Ask the C library to keep what is freed for what is needed next, up to half a gigabyte.

    Every step of training frees and fetches the same large tensors. By default glibc gives such memory back
    to the system each time, which hands it out again page by page, every page set to zero. With
    HEP2_KEEP_MEMORY=0 in the environment that stays so.
    """
    if not sys.platform.startswith("linux") or os.environ.get("HEP2_KEEP_MEMORY") == "0":
        return
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if adjust is not None:
        adjust(_MMAP_THRESHOLD, 2**28)
        adjust(_TRIM_THRESHOLD, 2**29)


_keep_freed_memory()
