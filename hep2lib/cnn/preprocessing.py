"""From the pixels of an image to the numbers a network was trained on: it belongs to the weights."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hep2lib.errors import InputError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network expects of its input: ``(pixel - mean) * scale``, in a given order of the channels."""

    mean: tuple[float, float, float]  # what is subtracted, grey levels 0 to 255: red, green, blue
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the difference, in the same order
    order: str = "rgb"  # or "bgr": the order in which the network takes the channels
    # Subtracted instead of ``mean``: float32, 3 x H x W, in the order red, green, blue.
    mean_image: np.ndarray | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse, with an InputError, what no network can expect: it may come from a damaged file."""
        numbers = np.array([*self.mean, *self.scale], dtype=np.float64)
        image = np.zeros((3, 1, 1)) if self.mean_image is None else self.mean_image
        finite = bool(np.isfinite(numbers).all() and np.isfinite(image).all())
        if not finite or image.ndim != 3 or len(image) != 3 or self.order not in ("rgb", "bgr"):
            raise InputError(
                f"mean {self.mean}, scale {self.scale}, order {self.order!r}, mean image {image.shape}: a "
                "preprocessing needs finite numbers, the order rgb or bgr, and an image of three channels"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Turn images into a network's input.

        Args:
            images: uint8, N x 3 x H x W, channels red, green, blue.

        Returns:
            float32, N x 3 x H x W, in channels-last memory order, on the images' device.

        Raises:
            InputError: if the images are not uint8 with three channels, or not of the mean image's size.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise InputError(
                f"images must be uint8 and N x 3 x H x W; these are {images.dtype} and {tuple(images.shape)}"
            )
        pixels = images.to(torch.float32).contiguous(memory_format=torch.channels_last)
        mean = torch.tensor(self.mean).view(3, 1, 1)
        if self.mean_image is not None:
            mean = torch.from_numpy(self.mean_image)
            if mean.shape[1:] != images.shape[2:]:
                raise InputError(
                    f"these weights subtract a mean image of {mean.shape[1]} x {mean.shape[2]} pixels; "
                    f"the images have {images.shape[2]} x {images.shape[3]}: load them in that size"
                )
        scale = torch.tensor(self.scale, device=images.device).view(3, 1, 1)
        values = (pixels - mean.to(images.device)).mul_(scale)
        if self.order == "bgr":
            values = values.flip(1).contiguous(memory_format=torch.channels_last)
        return values

    def digest(self) -> str:
        """Sha256 of all of it, in hexadecimal; part of the key of every cache of activations."""
        digest = hashlib.sha256(repr((self.mean, self.scale, self.order)).encode())
        if self.mean_image is not None:
            digest.update(np.ascontiguousarray(self.mean_image, dtype=np.float32).tobytes())
        return digest.hexdigest()


#: Channel means of ImageNet, grey levels, as Caffe's GoogLeNet and MATLAB's subtract them (red, green, blue).
CAFFE_MEAN = (123.0, 117.0, 104.0)

#: What Caffe's files and the ONNX model zoo's expect: blue first, the mean subtracted, not scaled.
CAFFE = Preprocessing(CAFFE_MEAN, order="bgr")

#: What MATLAB's GoogLeNet expects: red first, the mean subtracted, not scaled.
MATLAB = Preprocessing(CAFFE_MEAN)

#: What torchvision's ImageNet weights expect: its usual normalisation, followed by ``transform_input``:
#: ImageNet's mean and deviation cancel and (pixel / 255 - 0.5) / 0.5 remains.
TORCHVISION_TRANSFORMED = Preprocessing((127.5, 127.5, 127.5), (1 / 127.5, 1 / 127.5, 1 / 127.5))
