"""GoogLeNet in MATLAB's 144 layers: a table of layers, a loop that computes it, and where it is cut.

``architecture`` lists the layers of a variant. A ``Section`` is some of them in a row, from one tensor to one
tensor; ``GoogLeNet`` is the section that holds them all, and ``GoogLeNet.split`` cuts it in two.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hep2lib.cnn.layers import CLASSIFIER, LEARNABLE, Kind, Layer, LayerList, initialise
from hep2lib.cnn.preprocessing import MATLAB, TORCHVISION_TRANSFORMED, Preprocessing
from hep2lib.errors import InputError

#: Caffe's constants of local response normalisation: channels in the window, strength, exponent and offset.
SIZE, ALPHA, BETA, K = 5, 1e-4, 0.75, 1.0


def local_response_normalisation(x: Tensor) -> Tensor:
    """Divide each value by a power of the energy of the five channels around it at the same place.

    ``y_c = x_c / (K + ALPHA / SIZE * sum of x_j^2 for |j - c| <= 2) ** BETA``; channels outside the network
    count as zero. Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3; Caffe's constants, with alpha
    divided by the number of channels in the window, as Caffe, MATLAB and PyTorch do.

    Args:
        x: N x C x H x W, floating point, as the result is. Half precisions are computed in float32.
    """
    values = x.float()
    reach, channels = SIZE // 2, x.shape[1]
    squares = functional.pad(values.square(), (0, 0, 0, 0, reach, reach))
    energy = squares[:, reach : reach + channels]
    for distance in range(1, reach + 1):
        energy = energy + squares[:, reach - distance : reach - distance + channels]
        energy = energy + squares[:, reach + distance : reach + distance + channels]
    energy = K + ALPHA / SIZE * energy
    # energy ** -0.75 by two square roots: the general power costs more than all the rest together.
    return (values * torch.rsqrt(energy * energy.sqrt())).to(x.dtype)


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
        learnable: nn.ModuleDict,
        normalisations: nn.ModuleDict,
        *,
        dropout: float,
        frozen: bool = False,
    ) -> None:
        """Take the layers, and of the modules those that belong to them, which are shared, not copied."""
        super().__init__()
        names = [layer.name for layer in layers]
        self.layers = tuple(layers)
        self.learnable = nn.ModuleDict({name: learnable[name] for name in names if name in learnable})
        self.normalisations = nn.ModuleDict(
            {name: normalisations[name] for name in names if name in normalisations}
        )
        self.dropout, self.frozen = dropout, frozen
        self.generator: torch.Generator | None = None
        # The layer before the section, whose value it takes; None if it begins with the image itself.
        self._entry = next((name for layer in layers for name in layer.inputs if name not in names), None)
        self._last_use = {name: layer.name for layer in layers for name in layer.inputs}
        # The output of the whole network is the classifier's: the loss takes logits, not probabilities.
        self._exit = CLASSIFIER if CLASSIFIER in names else names[-1]
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
        """Compute the section's last value, N x C x H x W; with the classifier its logits, N x classes.

        Args:
            x: float, what the layer before the section yields; for the whole network N x 3 x 224 x 224,
                preprocessed.
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
        own = {layer.name for layer in self.layers} | {self._entry}
        if unknown := [name for name in wanted if name not in own]:
            raise InputError(f"there is no layer {unknown[0]!r} here; `hep2 layers` lists all names")
        needed = set(wanted)
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed.update(layer.inputs)
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

    def compute(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        """Compute one of this section's layers from the values of its inputs, in their order."""
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
            case Kind.DROPOUT if self.training and self.dropout:  # PyTorch's own takes no generator
                keep = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=self.generator)
                return x * keep.div_(1 - self.dropout)
            case Kind.FULLY_CONNECTED:
                return self.learnable[layer.name](x.flatten(1))
            case Kind.SOFTMAX:
                return functional.softmax(x, 1)
        return x

    def state_digest(self) -> str:
        """Sha256 over the names, shapes and values of all parameters and statistics, in hexadecimal."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            array = value.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


#: Widths of the inception blocks: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection.
BLOCKS = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}

#: The paper's three freezing depths: the last layer that stays frozen.
FREEZE_DEPTHS = {11: "pool2-3x3_s2", 110: "inception_4e-output", 139: "inception_5b-output"}


@dataclass(frozen=True, slots=True)
class Variant:
    """Where the two networks that are called GoogLeNet differ; the names of all layers are the same."""

    widest: int  # side of the window of the "5x5" convolutions
    normalisation: Kind  # what the two layers of local response normalisation compute
    pool4: int  # side of the window of pool4-3x3_s2
    dropout: float  # probability with which dropout zeroes a value
    preprocessing: Preprocessing  # of its input, unless a weight file says otherwise


#: bvlc is Caffe's and MATLAB's network, and the paper's. torchvision's is a port of TensorFlow's; its weights
#: were trained with windows of 3 in the "5x5" branch, so they stay.
VARIANTS = {
    "bvlc": Variant(5, Kind.LRN, 3, 0.4, MATLAB),
    "torchvision": Variant(3, Kind.IDENTITY, 2, 0.2, TORCHVISION_TRANSFORMED),
}


def architecture(variant: str = "bvlc", classes: int = 2) -> tuple[Layer, ...]:
    """The 144 layers of GoogLeNet, variant "bvlc" or "torchvision", in MATLAB's order.

    Source: Szegedy et al. 2015, table 1; BVLC's Caffe model; MATLAB's ``googlenet``.
    """
    own = VARIANTS[variant]
    net = LayerList()
    net.add("data", Kind.INPUT, 3)
    net.convolve("conv1-7x7_s2", 64, 7, stride=2)
    net.add("pool1-3x3_s2", Kind.MAX_POOLING, window=(3, 2, 0))
    net.add("pool1-norm1", own.normalisation)
    net.convolve("conv2-3x3_reduce", 64, 1)
    net.convolve("conv2-3x3", 192, 3)
    net.add("conv2-norm2", own.normalisation)
    net.add("pool2-3x3_s2", Kind.MAX_POOLING, window=(3, 2, 0))  # 11: the stem ends
    for block in ("inception_3a", "inception_3b"):
        _inception(net, block, own.widest)
    net.add("pool3-3x3_s2", Kind.MAX_POOLING, window=(3, 2, 0))
    for block in ("inception_4a", "inception_4b", "inception_4c", "inception_4d", "inception_4e"):
        _inception(net, block, own.widest)  # 110: inception_4e-output
    net.add("pool4-3x3_s2", Kind.MAX_POOLING, window=(own.pool4, 2, 0))
    for block in ("inception_5a", "inception_5b"):
        _inception(net, block, own.widest)  # 139: inception_5b-output
    net.add("pool5-7x7_s1", Kind.AVERAGE_POOLING, window=(7, 1, 0))
    net.add("pool5-drop_7x7_s1", Kind.DROPOUT)
    net.add(CLASSIFIER, Kind.FULLY_CONNECTED, classes)
    net.add("prob", Kind.SOFTMAX)
    net.add("output", Kind.OUTPUT)
    return tuple(net.layers)


def _inception(net: LayerList, block: str, widest: int) -> None:
    """Add an inception block: four branches over the same input, joined along the channels."""
    one, three_reduce, three, five_reduce, five, projection = BLOCKS[block]
    entry = (net.layers[-1].name,)
    branch1 = net.convolve(f"{block}-1x1", one, 1, inputs=entry)
    net.convolve(f"{block}-3x3_reduce", three_reduce, 1, inputs=entry)
    branch2 = net.convolve(f"{block}-3x3", three, 3)
    net.convolve(f"{block}-5x5_reduce", five_reduce, 1, inputs=entry)
    branch3 = net.convolve(f"{block}-5x5", five, widest)
    net.add(f"{block}-pool", Kind.MAX_POOLING, inputs=entry, window=(3, 1, 1))
    branch4 = net.convolve(f"{block}-pool_proj", projection, 1)
    net.add(f"{block}-output", Kind.CONCATENATION, inputs=(branch1, branch2, branch3, branch4))


#: MATLAB's names of the 144 layers, in order: ``LAYERS[10]`` is layer 11.
LAYERS: tuple[str, ...] = tuple(layer.name for layer in architecture())


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a network's weights come from; it travels with every result."""

    source: str  # what was asked for: "random", "procedural", "imagenet" or the file's name
    sha256: str  # of the file, or of all parameters where there is no file
    variant: str  # "bvlc" or "torchvision"
    description: str  # one sentence for a caption


class Split(NamedTuple):
    """A network cut in two: ``suffix(prefix(x))`` is the network, bit for bit, in evaluation mode."""

    prefix: Section  # the first ``cut`` layers, frozen, deterministic, in evaluation mode for good
    suffix: Section  # the others; where the depth lies inside a block, its first parameters are frozen too
    cut: int  # number of layers in the prefix


class GoogLeNet(Section):
    """GoogLeNet, whose convolutions are found by MATLAB's names: ``network["inception_3a-1x1"]``.

    It starts from MATLAB's random initialisation, seed 0: see ``hep2lib.cnn.weights.load_weights``.

    Attributes:
        variant, classes, batchnorm: as given.
        preprocess: from uint8 images (N x 3 x H x W, red, green, blue) to this network's input (float32,
            channels last). It belongs to the weights.
        provenance: where the weights come from.
    """

    def __init__(self, variant: str = "bvlc", classes: int = 2, *, batchnorm: str = "folded") -> None:
        """Build the network.

        Args:
            variant: "bvlc", MATLAB's network, or "torchvision", the one of torchvision's ImageNet weights.
            classes: number of classes, at least 1.
            batchnorm: "folded" (each convolution has a bias and no normalisation, as in MATLAB), or "train",
                which keeps torchvision's batch normalisation live, to show what it does.

        Raises:
            InputError: if an argument is none of these.
        """
        if variant not in VARIANTS:
            raise InputError(f"variant {variant!r} is unknown; choose bvlc or torchvision")
        if classes < 1:
            raise InputError(f"classes is {classes}; a classifier needs at least 1")
        if batchnorm not in ("folded", "train") or (batchnorm, variant) == ("train", "bvlc"):
            raise InputError(
                f"batchnorm {batchnorm!r} is not possible with variant {variant!r}: choose folded, or train "
                "with torchvision (Caffe's and MATLAB's GoogLeNet has no batch normalisation)"
            )
        layers, live = architecture(variant, classes), batchnorm == "train"
        learnable, normalisations = nn.ModuleDict(), nn.ModuleDict()
        for layer in layers:
            if layer.kind == Kind.FULLY_CONNECTED:
                learnable[layer.name] = nn.utils.skip_init(nn.Linear, layer.in_channels, layer.channels)
            elif layer.kind == Kind.CONVOLUTION:
                shape = (layer.in_channels, layer.channels, layer.kernel, layer.stride, layer.padding)
                learnable[layer.name] = nn.utils.skip_init(nn.Conv2d, *shape, bias=not live)
                if live:
                    normalisations[layer.name] = nn.BatchNorm2d(layer.channels, eps=1e-3)
        super().__init__(layers, learnable, normalisations, dropout=VARIANTS[variant].dropout)
        self.variant, self.classes, self.batchnorm = variant, classes, batchnorm
        self.preprocess = VARIANTS[variant].preprocessing
        initialise(self.learnable.items(), "matlab", torch.Generator().manual_seed(0))
        self.to(memory_format=torch.channels_last)
        words = f"GoogLeNet ({variant}), random weights as MATLAB draws them, seed 0"
        self.provenance = Provenance("random-matlab", self.state_digest(), variant, words)

    def split(self, depth: int) -> Split:
        """Freeze exactly the first ``depth`` layers and cut the network where a single tensor flows.

        The cut is the last such point at or before ``depth``, moved on over the parameter-free layers that
        follow (pool4 after 110, pool5 after 139), which makes the value at the cut smaller and changes
        nothing else. It never passes dropout, so nothing in the prefix is random.

        Args:
            depth: number of leading layers to freeze, 0 to 144, as MATLAB counts. Their parameters no longer
                require a gradient, all others do.

        Returns:
            Prefix, suffix and cut. Both parts share this network's parameters.

        Raises:
            InputError: if there is no such depth.
        """
        cut = cut_point(self.layers, depth)
        frozen = {layer.name for layer in self.layers[:depth]}
        for name, module in (*self.learnable.items(), *self.normalisations.items()):
            module.requires_grad_(name not in frozen)
        suffix = self._part(cut, len(self.layers), frozen=False).train(self.training)
        return Split(self.prefix(depth), suffix, cut)

    def prefix(self, depth: int) -> Section:
        """The prefix that ``split`` yields, without touching which parameters require a gradient."""
        return self._part(0, cut_point(self.layers, depth), frozen=True)

    def _part(self, first: int, last: int, *, frozen: bool) -> Section:
        modules = (self.learnable, self.normalisations)
        part = Section(self.layers[first:last], *modules, dropout=self.dropout, frozen=frozen)
        part.generator = self.generator
        return part


def cut_point(layers: tuple[Layer, ...], depth: int) -> int:
    """Where ``GoogLeNet.split`` cuts: the number of layers before the cut, 1 to 140.

    Raises:
        InputError: if there is no such depth.
    """
    if not 0 <= depth <= len(layers):
        raise InputError(f"freeze depth is {depth}; choose 0 (nothing frozen) to {len(layers)} (everything)")
    cut, live = 1, {layers[0].name}
    for layer in layers[1:]:
        follows_at_once = layer.index == cut + 1 and layer.kind not in LEARNABLE
        if layer.kind == Kind.DROPOUT or not (layer.index <= depth or follows_at_once):
            break
        later = {name for other in layers[layer.index :] for name in other.inputs}
        live = {name for name in live | {layer.name} if name in later}
        if len(live) == 1:
            cut = layer.index
    return cut
