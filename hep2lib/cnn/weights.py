"""Weights for a network: random, procedural, ImageNet's, or a file's; always with their provenance."""

import hashlib
import math
import os
import re
import socket
import threading
import urllib.request
import zipfile
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from hep2lib.cnn.googlenet import VARIANTS, GoogLeNet, Provenance
from hep2lib.cnn.layers import CLASSIFIER, Kind, initialise
from hep2lib.cnn.weight_files import WeightFile, WeightsError, fill, read_pth, read_safetensors
from hep2lib.errors import InputError
from hep2lib.processes import single_thread

#: Where torchvision keeps its ImageNet weights; the file's name holds the first digits of its sha256. It is
#: ``GoogLeNet_Weights.IMAGENET1K_V1.url``: to import torchvision for it would cost every process seconds.
IMAGENET_URL = "https://download.pytorch.org/models/googlenet-1378be20.pth"
#: What `hep2 pretrain` wrote with seed 0, and its sha256; ``procedural.md`` beside it is its card.
PROCEDURAL = Path(__file__).with_name("procedural.safetensors")
PROCEDURAL_SHA256 = "aeb5a64d6095526044489772fa780a32a024b9bbf49fc0409c9505302da2ff28"
#: Random initialisations by source; what each starts from and what a caption says.
RANDOM = {
    "random": ("orthogonal", "random weights, each convolution scaled to unit variance on {images}"),
    "random-caffe": ("caffe", "random weights as Caffe draws them (Xavier, biases 0.2)"),
    "random-matlab": ("matlab", "random weights as MATLAB draws them (Glorot, biases 0)"),
}


def _read_exchange_file(path: Path, network: GoogLeNet) -> WeightFile:
    """Read what other programs exchange networks in, with a package that only this needs."""
    try:
        from hep2lib.cnn.exchange_files import read_caffe, read_onnx
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{path}: to read this form needs the package {error.name}, which is not installed here; install "
            "it with `pip install -e '.[weights]'` in the clone"
        ) from error
    with path.open("rb") as file:
        return (read_onnx if file.read(1) == b"\x08" else read_caffe)(path, network)


#: Forms of weight file: the reader, and the MB of the largest file that is read. Weights with auxiliary heads
#: take 54 MB, with an optimiser's state beside them 160; protobuf can need 80 times a file's size.
READERS = {
    "ONNX or Caffe": (_read_exchange_file, 64),
    "PyTorch": (read_pth, 256),
    "safetensors": (read_safetensors, 256),
}
#: How files begin, and what form they are of, whatever their names end in.
_BEGINNINGS = {
    rb"PK|\x80": "PyTorch",
    rb".{3}[\0-\x07]\0{4}\{": "safetensors",
    rb"version https://git-lfs": "is a pointer of Git LFS, not the file: `git lfs pull` fetches that",
    rb"(?i)\s*<(!doctype|html|head|\?xml)": "is a web page, not the file: download it by its own address",
    rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|.{257}ustar": "is a packed archive: give the file in it",
    rb"[\x08\n\x12]|\xa2\x06": "ONNX or Caffe",
    rb"\Z": "is empty",
}
_ENDINGS = "an existing .pth, .safetensors, .onnx or .caffemodel"
#: What PyTorch and safetensors say of a file that ends early.
_CUT = "unexpected EOF|out of input|not a zip|was truncated|not fully covered|header (length|too small)"


def load_weights(
    network: GoogLeNet,
    source: str | Path,
    *,
    seed: int = 0,
    images: Tensor | None = None,
    images_are: str = "images",
) -> str:
    """Give a network its weights, its preprocessing and its provenance.

    A file's classifier of another number of classes than the network's, or none, is replaced by a fresh one,
    drawn from ``seed``, as MATLAB does.

    Args:
        network: changed in place; a file that does not fit leaves it as it was.
        source: "random" (calibrated: each convolution's output scaled to unit variance), "random-caffe",
            "random-matlab", "procedural" (learnt from images that formulas draw) or "imagenet" (torchvision's
            download), both of variant "torchvision" only, or a file: .onnx, .caffemodel, .pth, .safetensors.
        seed: of everything that is drawn, 0 or more.
        images: uint8, N x 3 x H x W: what "random" is calibrated on; no other source needs any.
        images_are: what the caption calls them.

    Returns:
        One sentence that says what was loaded, for a caption. ``network.provenance`` has it too.

    Raises:
        WeightsError: if the source is unknown, cannot be had, is damaged, or belongs to another network.
    """
    source = str(source)
    if source in RANDOM:
        with single_thread():  # a decomposition and sums round by the number of threads
            network.provenance = _draw(network, source, seed, images, images_are)
        return network.provenance.description
    known = {"imagenet": _imagenet_file, "procedural": _procedural_file}
    path = known[source](network) if source in known else Path(source)
    file, head = _read(path, network), "classifier included"
    classes = fill(network, file.tensors, str(path))
    if classes != network.classes:
        initialise([(CLASSIFIER, network[CLASSIFIER])], "matlab", torch.Generator().manual_seed(seed))
        head = f"its classifier of {classes} classes replaced by" if classes else "without a classifier;"
        head += f" a fresh one for {network.classes} classes, seed {seed}"
    network.preprocess = file.preprocessing
    sha256 = _file_sha256(path, *file.files)
    words = "ImageNet weights, torchvision's" if source == "imagenet" else "weights of"
    words = f"{words} {path.name} ({file.form}; sha256 {sha256[:8]})"
    if source == "procedural":
        words = f"procedural weights, learnt from images that formulas draw (sha256 {sha256[:8]})"
    description = f"GoogLeNet ({network.variant}), {words}; {head}"
    name = source if source in known else path.name
    network.provenance = Provenance(name, sha256, network.variant, description)
    return description


@torch.no_grad()
def calibrate(network: GoogLeNet, images: Tensor) -> None:
    """Scale each convolution so that its output has unit variance on the given images.

    Source: Mishkin and Matas 2016, All you need is a good init (LSUV). One pass is enough, because a layer's
    output is proportional to its weights while all biases are zero. Without it a network without batch
    normalisation that is trained from scratch loses the signal in depth.

    Args:
        network: initialised, with zero biases; its convolutions are changed.
        images: uint8, N x 3 x H x W, of no fold: then one starting point serves all folds, and nothing about
            a test image reaches it.

    Raises:
        InputError: if a layer's output does not vary over the images.
    """
    values = {network.layers[0].name: network.preprocess(images.to(network.device))}
    for layer in network.layers[1:]:
        if layer.kind == Kind.AVERAGE_POOLING:
            break  # no convolution follows, and dropout, which does, would draw
        output = network.compute(layer, [values[name] for name in layer.inputs])
        if layer.kind == Kind.CONVOLUTION:
            deviation = output.std()
            if not 1e-12 < deviation < math.inf:
                raise InputError(f"images without contrast cannot calibrate {layer.name}: give other images")
            mantissa, exponent = math.frexp(deviation)
            divisor = math.ldexp(round(64 * mantissa) / 64, exponent)
            network[layer.name].weight.div_(divisor)
            output.div_(divisor)
        values[layer.name] = output


def _draw(network: GoogLeNet, source: str, seed: int, images: Tensor | None, images_are: str) -> Provenance:
    if source == "random" and images is None:
        raise WeightsError("weights random: these are calibrated on images; give some with images=...")
    scheme, words = RANDOM[source]
    generator = torch.Generator().manual_seed(seed)
    if scheme == "orthogonal":
        # In double precision, then rounded to half: the last digits of a decomposition are the processor's.
        initialise(network.double().learnable.items(), scheme, generator)
        network.half().float()
    else:
        initialise(network.learnable.items(), scheme, generator)
    for module in network.normalisations.values():
        cast(nn.BatchNorm2d, module).reset_parameters()
    network.preprocess = VARIANTS[network.variant].preprocessing
    if source == "random" and images is not None:
        words = words.format(images=f"{len(images)} {images_are}")
        calibrate(network, images)
    description = f"GoogLeNet ({network.variant}), {words}; seed {seed}"
    return Provenance(source, network.state_digest(), network.variant, description)


def _read(path: Path, network: GoogLeNet) -> WeightFile:
    if os.path.isdir(path):  # noqa: PTH112 (pathlib's raises where no file can have such a name)
        raise WeightsError(f"{path} is a folder: give the file in it")
    if not os.path.isfile(path):  # noqa: PTH113 (pathlib's raises where no file can have such a name)
        raise WeightsError(
            f"weights {str(path)!r}: no such file; give {_ENDINGS}, or one of imagenet, procedural, "
            f"{', '.join(RANDOM)}"
        )
    form = "weights"
    try:
        form, size = _form(path)
        reader, largest = READERS[form]
        if size > largest << 20:
            raise WeightsError(f"{path} is larger than {largest} MB, as no GoogLeNet is: give its weights")
        return reader(path, network)
    except WeightsError:
        raise
    # Whoever wrote the file decides how a reader fails on it; none of the failures is this program's.
    except Exception as error:
        reason = re.split(r"\n|\. ", str(error))[0][:200] or type(error).__name__
        what = f"cannot be read as a file of {form} ({reason}): it is damaged or cut off, or something else"
        if re.search(_CUT, str(error)):
            what = "ends early (is truncated)"
        raise WeightsError(f"{path} {what}. Fetch it again, or save it anew") from error


def _form(path: Path) -> tuple[str, int]:
    """A file's form, a key of ``READERS``, and its bytes, unpacked; a WeightsError says what else it is."""
    with path.open("rb") as file:
        head, size = file.read(512), path.stat().st_size
    forms = (form for start, form in _BEGINNINGS.items() if re.match(start, head, re.DOTALL))
    other = f"is not a file of weights that is read (its first bytes are {head[:16]!r}): give {_ENDINGS}"
    form = next(forms, other)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            names = {part.filename.rpartition("/")[2] for part in archive.infolist()}
            size = max(size, sum(part.file_size for part in archive.infolist()))
        if "constants.pkl" in names:
            form = "is a program of TorchScript, which would have to be run"
        elif "data.pkl" not in names:
            form = "is an archive that torch.save did not write: give the file in it"
    if form not in READERS:
        raise WeightsError(f"{path} {form}")
    return form, size


def _file_sha256(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _imagenet_path() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / IMAGENET_URL.rpartition("/")[2]


def imagenet_available(timeout: float = 8.0) -> bool:
    """Tell whether torchvision's ImageNet weights are on this machine or can be fetched.

    A network that is silent for ``timeout`` seconds counts as none.
    """
    if _imagenet_path().is_file():
        return True
    reached = threading.Event()

    def probe() -> None:
        try:
            request = urllib.request.Request(IMAGENET_URL, method="HEAD")
            with urllib.request.urlopen(request, timeout=timeout):
                reached.set()
        except Exception:  # of its own kinds too, where a variable names a proxy that is none
            return

    # In a thread that is left behind: looking up a name can hang for longer than any socket's timeout.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(timeout)
    return reached.is_set()


def best_weights(variant: str) -> tuple[str, str]:
    """The source that ``auto`` stands for, and why it is not "imagenet" ("" if it is).

    Of variant "torchvision" ImageNet's weights where they can be had, else procedural ones, else random ones.
    That procedural go before random ones follows a rule that was written down before they were compared:
    ``hep2lib.runs.paper.follows_the_rule``.
    """
    if variant != "torchvision":
        return "random", "the bvlc variant's weights are not offered for download"
    if imagenet_available():
        return "imagenet", ""
    reason = "the ImageNet weights could not be reached from this machine"
    if PROCEDURAL.is_file():
        return "procedural", reason
    return "random", f"{reason}, and {PROCEDURAL.name} is missing beside the package's code"


def _procedural_file(network: GoogLeNet) -> Path:
    """The file that comes with the package, its hash checked."""
    _refuse_bvlc("procedural: these", network)
    if not PROCEDURAL.is_file():
        raise WeightsError(
            f"procedural: {PROCEDURAL} is missing: fetch it from the repository, choose weights: random, or "
            "give a file that `hep2 pretrain` wrote"
        )
    if _file_sha256(PROCEDURAL) != PROCEDURAL_SHA256:
        raise WeightsError(
            f"procedural: {PROCEDURAL} is damaged (its sha256 is not {PROCEDURAL_SHA256[:8]}...): fetch it "
            "again from the repository, or choose weights: random"
        )
    return PROCEDURAL


def _refuse_bvlc(which: str, network: GoogLeNet) -> None:
    if network.variant != "torchvision":
        raise WeightsError(
            f"{which} weights belong to the variant torchvision, this network is bvlc. "
            "Choose that variant, or give Caffe's .caffemodel or an .onnx file of GoogLeNet"
        )


def _imagenet_file(network: GoogLeNet) -> Path:
    """The ImageNet file in torch's cache, fetched if need be, its hash checked."""
    _refuse_bvlc("imagenet: torchvision's", network)
    path = _imagenet_path()
    advice = f"fetch {IMAGENET_URL} on another machine and put it there, or choose weights: procedural"
    if not path.is_file():
        if not imagenet_available():
            raise WeightsError(f"imagenet: {path} is missing and cannot be downloaded now; {advice}")
        before = socket.getdefaulttimeout()
        try:
            socket.setdefaulttimeout(30)  # torch's own waits for ever when the connection falls silent
            torch.hub.load_state_dict_from_url(
                IMAGENET_URL, str(path.parent), progress=True, check_hash=True, weights_only=True
            )
        except (OSError, RuntimeError) as error:
            raise WeightsError(f"imagenet: {path} could not be downloaded ({error}); {advice}") from error
        finally:
            socket.setdefaulttimeout(before)
    digits = path.stem.rpartition("-")[2]
    if not _file_sha256(path).startswith(digits):
        raise WeightsError(
            f"imagenet: {path} is damaged (its sha256 does not start with {digits}): delete it"
        )
    return path
