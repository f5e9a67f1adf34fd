"""When a GPU's memory does not suffice: fewer images at a time, and on with the trial."""

from collections.abc import Callable
from typing import TypeVar

import torch
from tqdm import tqdm

from hep2lib.errors import InputError

Result = TypeVar("Result")


class GPUMemoryError(InputError):
    """A GPU whose memory does not suffice for a single image."""


class Chunks:
    """How many images are computed at a time; halved whenever the GPU runs out of memory.

    Attributes:
        size: images at a time now.
        what: what is computed, for messages ("mini-batches").
        notes: what was said so far.
    """

    def __init__(self, size: int, what: str, notes: list[str] | None = None):
        self.size = size
        self.what = what
        self.notes = [] if notes is None else notes

    def run(self, work: Callable[[int], Result]) -> Result:
        """Call ``work`` with the chunk size, again with half of it as long as memory runs out.

        Args:
            work: must leave nothing behind when it fails, so that it can be called again.

        Returns:
            What ``work`` returned.

        Raises:
            GPUMemoryError: if a chunk of one image does not fit.
        """
        while True:
            try:
                return work(self.size)
            except torch.OutOfMemoryError:
                if self.size == 1:
                    raise GPUMemoryError(
                        f"the GPU's memory does not suffice for {self.what} of one image; close other "
                        "programs that use it, or choose device cpu"
                    ) from None
            # Outside the except block, whose traceback holds on to tensors.
            self.size //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            note = f"out of GPU memory: {self.what} in chunks of {self.size} from here on"
            self.notes.append(note)
            tqdm.write(note)
