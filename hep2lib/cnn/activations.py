"""The value at a freezing depth, for every image and every rotation, computed once and kept in a file."""

import hashlib
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.data.images import rotate
from hep2lib.errors import InputError
from hep2lib.files import kept_file
from hep2lib.progress import progress
from hep2lib.sources import code_digest

#: How each type lies in a file: NumPy has no bfloat16, so its bits are stored as an integer's.
_STORED = {torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: np.int16}


def cached_activations(
    network: GoogLeNet,
    depth: int,
    images: Tensor,
    *,
    views: Sequence[float] = (0.0,),
    cache: Path | None = None,
    batch: int = 32,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Compute what the frozen layers yield, for each image in each rotation.

    A frozen prefix has nothing random and nothing live, and the rotations are a finite set, so training from
    these values is training with the whole network run at each step. Only the last digits differ, since
    PyTorch's convolutions choose their method, and with it their rounding, by the number of images at a time.

    Args:
        network: its parameters are not changed, nor is it which of them require a gradient.
        depth: the freeze depth, 0 to 144; the value is that at ``network.split(depth).cut``.
        images: uint8, N x 3 x H x W.
        views: rotations of the images in degrees, at least one.
        cache: folder for the file; None keeps the result in memory. The file's name is the key: the prefix's
            parameters, the preprocessing, cut, views, type, the images themselves, and the code; and a
            checksum of its content, so that a file that was altered is computed again.
        batch: images at a time; it changes the memory needed, and the values by rounding.
        dtype: how values are kept: torch.float32, float16 or bfloat16 (computed in float32, then rounded).
        device: where to compute; the network is moved there.

    Returns:
        N x V x C x H x W, on the CPU; in memory the channels lie innermost, so that a batch of it is
        channels-last as it comes. From a file it is memory-mapped copy-on-write: the file never changes.

    Raises:
        InputError: if an argument is out of range, or the folder has no room for the file.
    """
    if dtype not in _STORED:
        raise InputError(f"dtype is {dtype}; choose torch.float32, torch.float16 or torch.bfloat16")
    if not views or batch < 1 or not len(images):
        raise InputError(f"{len(images)} images, {len(views)} views, batch {batch}: each must be at least 1")
    prefix = network.to(device).prefix(depth)

    @torch.no_grad()
    def write(values: np.ndarray) -> None:
        chunks = [(i, v) for i in range(0, len(images), batch) for v in range(len(views))]
        for first, view in progress(chunks, f"activations of {prefix.layers[-1].name}", unit="batch"):
            rotated = rotate(images[first : first + batch], float(views[view]))
            chunk = prefix(network.preprocess(rotated.to(network.device)))
            chunk = chunk.to("cpu", dtype).permute(0, 2, 3, 1).contiguous()
            bits = chunk.view(torch.int16) if dtype == torch.bfloat16 else chunk
            values[first : first + batch, view] = bits.numpy()

    with torch.no_grad():
        channels, height, width = prefix(network.preprocess(images[:1].to(network.device))).shape[1:]
    shape = (len(images), len(views), height, width, channels)
    if cache is None:
        values = np.empty(shape, _STORED[dtype])
        write(values)
        return _as_tensor(values, dtype)

    def keep(temporary: Path) -> None:
        _check_room(temporary, math.prod(shape) * np.dtype(_STORED[dtype]).itemsize)
        mapped = np.lib.format.open_memmap(temporary, mode="w+", dtype=_STORED[dtype], shape=shape)
        write(mapped)
        mapped.flush()

    path = activations_file(network, depth, images, views=views, cache=cache, dtype=dtype, device=device)
    file = kept_file(path, keep)
    file.touch()  # whoever has to make room removes first what was not used for longest
    return _as_tensor(np.load(file, mmap_mode="c"), dtype)


def activations_file(
    network: GoogLeNet,
    depth: int,
    images: Tensor,
    *,
    views: Sequence[float] = (0.0,),
    cache: Path,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Path:
    """The file in which ``cached_activations``, with these arguments, keeps its result (``kept_file``)."""
    prefix = network.to(device).prefix(depth)
    parts: list[object] = [network.device.type, network.variant, network.batchnorm]
    parts += [len(prefix.layers), prefix.state_digest(), network.preprocess.digest()]
    parts += [tuple(map(float, views)), str(dtype), tuple(images.shape)]
    digest = hashlib.sha256(repr(parts).encode())
    for first in range(0, len(images), 256):
        digest.update(images[first : first + 256].cpu().contiguous().numpy().tobytes())
    code = code_digest("hep2lib.cnn.activations.cached_activations")
    return Path(cache) / f"activations-{prefix.layers[-1].name}-{digest.hexdigest()[:24]}-{code}.npy"


def _as_tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
    """View N x V x H x W x C as N x V x C x H x W of the named type."""
    return torch.from_numpy(values).view(dtype).permute(0, 1, 4, 2, 3)


def _check_room(path: Path, size: int) -> None:
    """Refuse before a memory-mapped file fills the disk, which would end the process without a message."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise InputError(
            f"the activations need {size / 1e9:.1f} GB, and {path.parent} has {free / 1e9:.1f} GB free: "
            "choose another cache folder, fewer rotations, a deeper freeze depth or bfloat16"
        )
