"""A run of consecutive layers as a PyTorch module: the whole network, a frozen prefix, a trained suffix."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.layers import Kind, Layer
from hep2lib.cnn.normalisation import local_response_normalisation
from hep2lib.errors import InputError


class Section(nn.Module):
    """Layers that follow one another, from one tensor to one tensor.

    Attributes:
        layers: the layers, in MATLAB's order.
        learnable: the layers with parameters, as PyTorch modules under MATLAB's names.
        normalisations: the live batch normalisation of a convolution, under the convolution's name; empty
            unless the network keeps it live.
        dropout: probability with which the dropout layer zeroes a value in training.
        generator: where dropout draws from; None for PyTorch's own stream.
        frozen: if True, the section stays in evaluation mode for good.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        learnable: dict[str, nn.Module],
        normalisations: dict[str, nn.Module],
        *,
        dropout: float,
        entry: str | None = None,
        frozen: bool = False,
    ) -> None:
        """Take the layers and the modules that hold their parameters, which are shared, not copied.

        ``entry`` names the layer whose value the section takes as its input; None if its own first layer is
        the image input.
        """
        super().__init__()
        names = [layer.name for layer in layers]
        self.layers = tuple(layers)
        self.learnable = nn.ModuleDict({name: learnable[name] for name in names if name in learnable})
        self.normalisations = nn.ModuleDict(
            {name: normalisations[name] for name in names if name in normalisations}
        )
        self.dropout = dropout
        self.generator: torch.Generator | None = None
        self.frozen = frozen
        self._entry = entry
        self._steps = {layer.name: layer for layer in self.layers}
        self._last_use = {name: layer.name for layer in self.layers for name in layer.inputs}
        # The output of the whole network is the classifier's: the loss takes logits, not probabilities.
        classifiers = [layer.name for layer in self.layers if layer.kind == Kind.FULLY_CONNECTED]
        self._exit = classifiers[0] if classifiers else names[-1]
        if frozen:
            self.eval()

    def __getitem__(self, name: str) -> nn.Conv2d | nn.Linear:
        """The convolution or fully connected layer of MATLAB's name ``name``."""
        return cast("nn.Conv2d | nn.Linear", self.learnable[name])

    @property
    def device(self) -> torch.device:
        """Where the parameters are (the CPU for a section without any)."""
        parameter = next(self.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def train(self, mode: bool = True) -> "Section":
        """Switch to training mode; a frozen section, and every frozen batch normalisation, stays as it is."""
        super().train(mode and not self.frozen)
        for module in self.normalisations.values():
            if self.frozen or not module.weight.requires_grad:
                module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Compute the section's last value.

        Args:
            x: float, what the layer before the section yields; for the whole network N x 3 x 224 x 224,
                preprocessed.

        Returns:
            The last layer's value, N x C x H x W; for sections with the classifier its logits, N x classes.
        """
        return self.activations(x, (self._exit,))[self._exit]

    def activations(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Compute the values of any layers in one pass, which leaves out every layer that none of them needs.

        Args:
            x: as in ``forward``.
            layers: MATLAB's names.

        Returns:
            The values by name, in the order asked for: N x C x H x W; logits and probabilities N x classes.

        Raises:
            InputError: if there is no layer of such a name.
        """
        wanted = tuple(layers)
        needed = self._needed(wanted)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        values = {} if self._entry is None else {self._entry: x}
        for layer in self.layers:
            if layer.name not in needed:
                continue
            inputs = [values[name] for name in layer.inputs] or [x]
            if layer.kind == Kind.RELU and layer.inputs[0] not in wanted:
                # Nothing else takes a convolution's value, so the rectified one may lie in its place.
                values[layer.name] = functional.relu(inputs[0], inplace=True)
            else:
                values[layer.name] = self.compute(layer, inputs)
            for name in layer.inputs:
                if self._last_use[name] == layer.name and name not in wanted:
                    del values[name]
        return {name: values[name] for name in wanted}

    def _needed(self, wanted: Sequence[str]) -> set[str]:
        """Names of the layers that the wanted ones rest on."""
        needed: set[str] = set()
        open_names = list(wanted)
        while open_names:
            name = open_names.pop()
            if name in needed or (name == self._entry):
                continue
            if name not in self._steps:
                raise InputError(f"there is no layer {name!r} here; `hep2 layers` lists all names")
            needed.add(name)
            open_names.extend(self._steps[name].inputs)
        return needed

    def compute(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        """Compute one layer from its inputs.

        Args:
            layer: one of this section's layers.
            inputs: the values of ``layer.inputs``, in that order.

        Returns:
            The layer's value.
        """
        x = inputs[0]
        match layer.kind:
            case Kind.CONVOLUTION:
                value = self.learnable[layer.name](x)
                live = layer.name in self.normalisations
                return self.normalisations[layer.name](value) if live else value
            case Kind.RELU:
                return functional.relu(x)
            case Kind.MAX_POOLING:  # sizes are rounded up, as Caffe does
                return functional.max_pool2d(x, layer.kernel, layer.stride, layer.padding, ceil_mode=True)
            case Kind.LRN:
                return local_response_normalisation(x)
            case Kind.CONCATENATION:
                return torch.cat(inputs, 1)
            case Kind.AVERAGE_POOLING:
                return functional.adaptive_avg_pool2d(x, 1)
            case Kind.DROPOUT:
                return self._drop(x)
            case Kind.FULLY_CONNECTED:
                return self.learnable[layer.name](x.flatten(1))
            case Kind.SOFTMAX:
                return functional.softmax(x, 1)
        return x

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=self.generator)
        return x * keep.div_(1 - self.dropout)

    def state_digest(self) -> str:
        """Sha256 over the names, shapes and values of all parameters and statistics, in hexadecimal."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            array = value.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()
