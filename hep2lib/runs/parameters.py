"""The parameters of a run: a profile, what was set by hand, checked before anything starts."""

import difflib
import hashlib
import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from hep2lib.errors import InputError
from hep2lib.files import database_part, project_root, typed_path, write_text
from hep2lib.studies.trial import TrainingOptions


class ParameterError(InputError):
    """A parameter that does not exist or cannot have its value."""


def _number(value: Any) -> Any:
    """Read what everybody reads as the same number; ``010`` is 10 to some programs, and 8 to YAML."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if re.search("[.eE]", value) else int(value)
    if isinstance(value, str | bool):
        raise ValueError("a number is needed, as in 3, 0.5 or 1e-3")
    return value


MAY_DIFFER = ("workers",)
"""Parameters that may differ when a run is gone on with: a trial has one thread and gives the same bits in
any process. ``device`` and ``cache_gigabytes`` do not belong here: another device rounds otherwise, and so do
activations that are computed anew for each batch for want of room."""

TEXT_NEEDED = "a text is needed; put it in quotes (for papermill, -r and not -p)"

_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Whole = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number)]
Depth = Annotated[Whole, Field(ge=0, le=144)]  # as many as GoogLeNet has layers
BatchSize = Annotated[Whole, Field(ge=1, le=4096)]
LearningRate = Annotated[Real, Field(gt=0, le=10)]
Epochs = Annotated[Whole, Field(ge=1, le=1000)]
Seeds = Annotated[Whole, Field(ge=1, le=100)]
SVMWay = Literal["fine-tuned", "pooled", "rotated", "refitted", "other-regularisation", "early-stopped"]


_LAYER_WORDS = _ALL, _SINGLE = "all", "single-tensor"
_INPUT = "data"  # a layer that is known without the table of all


def _layers(word: str) -> tuple[str, ...]:
    """The names of the layers that one of ``_LAYER_WORDS`` means."""
    from hep2lib.cnn.googlenet import LAYERS  # imports torch: seconds that `hep2 new-run` does without
    from hep2lib.studies.svm_study import SINGLE_TENSOR

    return {_ALL: LAYERS, _SINGLE: SINGLE_TENSOR}[word]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class GridParameters(_Strict):
    """One part of the fine-tuning search: see ``hep2lib.studies.fine_tuning.Grid``."""

    freeze: Annotated[tuple[Depth, ...], Field(min_length=1)]
    """How many of GoogLeNet's 144 layers, the first ones, stay as they are. The paper: 11, 110, 139."""
    batch_sizes: Annotated[tuple[BatchSize, ...], Field(min_length=1)]
    """Images a mini-batch. The paper: 4, 8, 16, 32, 64, 128."""
    learning_rates: Annotated[tuple[LearningRate, ...], Field(min_length=1)]
    """Step sizes, constant throughout a training. The paper: 0.01, 0.001, 0.0001."""
    epochs: Epochs
    """Passes over the training images; each smaller number is searched too. The paper: 10."""
    seeds: Seeds = 1
    """Trainings of each configuration with other seeds; the first is what is searched."""


class TrainingParameters(_Strict):
    """How networks are trained apart from the search: see ``hep2lib.studies.trial.TrainingOptions``."""

    momentum: Annotated[Real, Field(ge=0, lt=1)] = 0.9
    """Share of the previous step that is added to each step. The paper: 0.9."""
    l2: Annotated[Real, Field(ge=0, le=10)] = 1e-4
    """Weight decay of weights; biases have none."""
    bias_rate_factor: Annotated[Real, Field(ge=0, le=1000)] = 2.0
    """Learning rate of the start network's biases relative to its weights."""
    head_rate_factor: Annotated[Real, Field(ge=0, le=1000)] = 1.0
    """Learning rate of the new classifier relative to the rest; MATLAB's example takes 10."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether the losses of the rarer class weigh more."""
    shuffle: Literal["once", "every-epoch"] = "once"
    """When the order of the training images is drawn."""
    last_batch: Literal["drop", "keep"] = "drop"
    """What happens to an incomplete last mini-batch."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the trained layers."""
    activations: Literal["fp32", "bf16"] = "fp32"
    """How the frozen layers' values are kept; bf16 takes half the room."""


class Parameters(_Strict):
    """Everything that a run's results follow from, besides the machine; frozen once checked.

    Below each stand its meaning, its values where its type does not say them, and the paper's value where it
    says one: ``told_parameters``.
    """

    profile: str = "quick"
    """Where all other values come from. Values: smoke, quick, published, paper, or a YAML file."""
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of the simulated images, the folds, the random weights and the order of training."""
    data: str = ""
    """The database; empty: a simulated one is written and used. Values: a folder. The paper: AIDA."""
    sheet: str = ""
    """The ground-truth sheet; empty: it is looked for in the database's folder. Values: a file."""
    images: str = ""
    """Where the images are; empty: in the database's folder. Values: a folder."""
    image_column: str = ""
    """The column of file names; empty: found by its usual names. Values: a name."""
    label_column: str = ""
    """The column that says positive or negative; empty: found by its usual names. Values: a name."""
    specimen_column: str = ""
    """The column of specimens (patients, wells); empty: found by its usual names. Values: a name."""
    pattern_column: str = ""
    """The column of staining patterns; empty: found by its usual names. Values: a name."""
    specimen_pattern: str = ""
    """The specimen in file names, or in specimen_column if that is set. Values: a regular expression."""
    negative: str = ""
    """Further words that mean negative. Values: words with commas between them."""
    bits: Annotated[Whole, Field(ge=8, le=16)] | None = None
    """How many bits the 16-bit images use; null: found out."""
    layout: str = ""
    """How the database is laid out; empty: found out. Values: aida, manifest, folders, mivia, i3a."""
    specimens: Annotated[Whole, Field(ge=10, le=20000)] = 100
    """Simulated specimens; 100 make 208 images, 1000 make 2080, as many as the paper has."""
    image_size: Annotated[Whole, Field(ge=64, le=1024)] = 224
    """Pixels of a side to which images are resized; GoogLeNet was made for 224."""
    aspect: Literal["stretch", "pad"] = "stretch"
    """Resize as MATLAB does, or keep the shape of cells."""
    colour: Literal["rgb", "green"] = "rgb"
    """All channels, or the fluorescence channel in all three."""
    folds: Annotated[Whole, Field(ge=2, le=50)] = 5
    """Folds of the cross-validation, by specimen. The paper: 5."""
    variant: Literal["torchvision", "bvlc"] = "torchvision"
    """Which GoogLeNet: torchvision's, or bvlc, the one that MATLAB has."""
    weights: Annotated[str, Field(min_length=1)] = "auto"
    """Where training starts from. Values: auto, imagenet, procedural, random, random-caffe,
    random-matlab, or a file. The paper: pre-trained."""
    grids: Annotated[tuple[GridParameters, ...], Field(min_length=1)]
    """The search of the fine-tuning study, in one part or several. Values: a list of grids."""
    chosen_seeds: dict[Whole, Seeds] = {}
    """Seeds that the configuration chosen at a depth is trained with. Values: 1 to 100 by depth, {110: 3}."""
    rotations: Annotated[Whole, Field(ge=1, le=360)] = 18
    """Views of a training image, equally spaced; 1: none but the image itself. The paper: 18."""
    views_per_epoch: Annotated[Whole, Field(ge=0, le=360)] = 0
    """How many of them an epoch shows; 0: all. The paper: 0."""
    training: TrainingParameters = TrainingParameters()
    """How networks are trained apart from the search, part by part. Values: see its parts."""
    batchnorm: GridParameters | None = None
    """What is trained again with the frozen layers' batch normalisation alive; null: none. Values: a grid."""
    batchnorm_folds: Annotated[Whole, Field(ge=0, le=50)] = 0
    """How many folds of them; 0: all."""
    svm_layers: tuple[str, ...] = Field(
        min_length=1, default_factory=lambda: _layers(_SINGLE), json_schema_extra={"default": _SINGLE}
    )
    """Whose activations the SVM is tried on. Values: single-tensor (23), all (144), names of `hep2 layers`.
    The paper: various layers."""
    svm_variants: tuple[SVMWay, ...] = get_args(SVMWay)
    """In which other ways the SVM is tried; [] for none. The paper: fine-tuned."""
    svm_rotations: Annotated[Whole, Field(ge=2, le=360)] = 4
    """Views of a training image for `rotated`; memory and time grow with their square."""
    svm_values: Annotated[Whole, Field(ge=1, le=1000)] = 20
    """Number of values of C. The paper: 20."""
    svm_smallest: Annotated[Real, Field(ge=-12, le=12)] = -6.0
    """The first of them, as a power of ten. The paper: -6."""
    svm_largest: Annotated[Real, Field(ge=-12, le=12)] = 2.5
    """The last of them, as a power of ten. The paper: 2.5."""
    svm_regularisation: Literal["C", "lambda"] = "C"
    """Whether the values are C, or lambda as in MATLAB's `fitclinear`. The paper: C."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """Where to compute. Values: auto, cpu, cuda, cuda:1."""
    workers: Annotated[Whole, Field(ge=0, le=1024)] = 0
    """Processes for the studies; 0: chosen for the machine."""
    cache_gigabytes: Annotated[Real, Field(ge=0, le=1e6)] = 0.0
    """Room for the frozen layers' activations; 0: no limit."""

    @field_validator("batchnorm", "bits", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value in ("null", "~", "") else value

    @field_validator("svm_layers", mode="before")
    @classmethod
    def _named_layers(cls, names: Any) -> Any:
        return _layers(names) if isinstance(names, str) and names in _LAYER_WORDS else names

    @field_validator("svm_layers")
    @classmethod
    def _known_layers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name != _INPUT and name not in _layers(_ALL):
                near = difflib.get_close_matches(name, _layers(_ALL), n=1)
                hint = f"; did you mean {near[0]}?" if near else "; `hep2 layers` lists all 144"
                raise ValueError(f"there is no layer {name}{hint}")
        return names

    @field_validator("chosen_seeds")
    @classmethod
    def _searched_depths(cls, seeds: dict[int, int], others: ValidationInfo) -> dict[int, int]:
        searched = sorted({depth for grid in others.data.get("grids", ()) for depth in grid.freeze})
        for depth in seeds:
            if searched and depth not in searched:
                depths = ", ".join(map(str, searched))
                raise ValueError(f"nothing is chosen at freeze {depth}; the grids search {depths}")
        return seeds

    @property
    def training_options(self) -> TrainingOptions:
        """How networks are trained apart from the search, as the study takes it."""
        return TrainingOptions(**dict(self.training))

    @property
    def svm_grid(self) -> tuple[float, ...]:
        """The values of C (or lambda), equally spaced on a logarithmic scale."""
        return tuple(np.logspace(self.svm_smallest, self.svm_largest, self.svm_values).tolist())

    @property
    def database_options(self) -> dict[str, Any]:
        """What was said about the database's sheet, as ``read_database`` takes it."""
        names = "sheet images image_column label_column specimen_column pattern_column specimen_pattern"
        names += " negative bits layout"
        return {name: value for name in names.split() if (value := getattr(self, name))}

    @property
    def profile_name(self) -> str:
        """The profile's name, that of a YAML file without its folder."""
        return Path(self.profile).stem

    @property
    def effective(self) -> dict[str, Any]:
        """What results follow from: all but the profile's name or place, and ``MAY_DIFFER``."""
        return self.model_dump(mode="json", exclude={"profile", *MAY_DIFFER})

    def smaller_than(self, other: "Parameters") -> list[str]:
        """What a run with these parameters has less of than one with others, each in words.

        Seeds do not count, which choose nothing, nor the number of specimens in a database of one's own.
        """
        ours, theirs = self._budget, other._budget
        return [f"{what}: {ours[what]} of {asked}" for what, asked in theirs.items() if ours[what] < asked]

    @property
    def _budget(self) -> Counter[str]:
        grids = [(depth, grid) for grid in self.grids for depth in grid.freeze]
        cells = {(d, *cell) for d, grid in grids for cell in product(grid.batch_sizes, grid.learning_rates)}
        budget = Counter(f"configurations at freeze {depth}" for depth, *_ in cells)
        for depth, grid in grids:
            budget |= Counter({f"epochs at freeze {depth}": grid.epochs})  # the most
        shown = min(self.views_per_epoch or self.rotations, self.rotations)
        return budget + Counter(
            {
                "specimens": 10**9 if self.data else self.specimens,
                "pixels a side": self.image_size,
                "folds": self.folds,
                "rotations": self.rotations,
                "rotated views an epoch": shown,
                "layers for the SVM": len(set(self.svm_layers)),
                "values of C": self.svm_values,
                "ways of the SVM": len(set(self.svm_variants)),
            }
        )

    @property
    def run_name(self) -> str:
        """Name of the run's folder: a profile of the clone, and a digest of what differs from it.

        What is in a file of one's own may change under the same name: a digest of all parameters follows it.
        """
        named = self.effective
        if not _is_file(self.profile):
            standard = make_parameters(self.profile).effective
            named = {name: value for name, value in named.items() if value != standard[name]}
            if not named:
                return self.profile
            if set(named) == {"seed"}:
                return f"{self.profile}-seed{self.seed}"
        return f"{self.profile_name}-{_digest(json.dumps(named, sort_keys=True))}"

    def write(self, file: Path) -> None:
        """Keep the parameters as YAML, under a digest that tells whether they are still the same."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_text(file, f"{_SEAL}{_digest(text)}\n{text}")


_SEAL = "# Parameters of a run, which stay as they are; a copy may be changed and be a profile. Digest: "
WEIGHTS = ("auto", "imagenet", "procedural", "random", "random-caffe", "random-matlab")
"""Words for weights; any other text names a file."""

_WITH_PARTS: dict[str, type[BaseModel]] = dict.fromkeys(("batchnorm", "grids"), GridParameters)
_WITH_PARTS |= {"training": TrainingParameters}


class _AsWritten(yaml.SafeLoader):
    """YAML whose words stay as written: YAML's own 010 is 8, 1:30 is 90, yes is true and 1e-3 a text."""

    yaml_implicit_resolvers: ClassVar = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        for key, _ in reversed(node.value):
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is set twice", problem_mark=key.start_mark)
        return node


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _is_file(profile: str) -> bool:
    """Whether a profile is the path of a file of one's own, and not the name of one of the clone's."""
    return profile.lower().endswith((".yaml", ".yml"))


def profile_values(profile: str) -> dict[str, Any]:
    """What a profile sets, words and numbers as they are written there.

    Args:
        profile: the name of one that comes with the clone, or the path of a YAML file.

    Raises:
        ParameterError: if there is no such profile, or it is no YAML mapping.
    """
    file = _profile_file(profile)
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _AsWritten)
    except OSError as error:
        raise ParameterError(f"profile {file}: cannot be read ({error.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{file}: not readable as YAML ({_complaint(error)})") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{file}: a profile is a list of `name: value` lines")
    for name in values:
        if (whole := name.partition(".")[0]) != name and whole in values:
            raise ParameterError(f"{file}: {whole} is set as a whole, and by its part {name}; keep one")
    return _in_wholes({}, values)


def _profile_file(profile: str) -> Path:
    if _is_file(profile):
        return typed_path(profile)
    clone = project_root(f"the profile {profile!r}", "give the path of a YAML file as profile")
    known = {file.stem: file for file in sorted((clone / "notebooks" / "profiles").glob("*.yaml"))}
    if profile not in known:
        raise ParameterError(
            f"profile {profile!r}: there is none of that name; choose one of {', '.join(known)}, or give "
            "the path of a YAML file, which ends in .yaml"
        )
    return known[profile]


def _complaint(error: Exception) -> str:
    """What a reader of YAML says is wrong, and in which line; and what it was reading, from which line on."""
    found = [(getattr(error, n, None), getattr(error, f"{n}_mark", None)) for n in ("problem", "context")]
    (_, _), (context, opened) = found
    if opened and "while parsing a flow" in str(context):
        return f"line {opened.line + 1}: a bracket is opened there, and not closed in its place"
    return "; ".join(f"line {at.line + 1}: {told}" for told, at in found if at) or str(error).splitlines()[0]


def _in_wholes(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others put in their place; ``training.l2`` is a part of ``training``."""
    merged = dict(values)
    for name, value in settings.items():
        whole, dot, part = name.partition(".")
        others = merged[whole] if isinstance(merged.get(whole), dict) else {}
        merged[whole] = others | {part: value} if dot else value
    return merged


def make_parameters(profile: str | Path = "quick", settings: Mapping[str, Any] | None = None) -> Parameters:
    """A profile's parameters with some of them set otherwise.

    Args:
        profile: a profile's name, or the path of a YAML file.
        settings: values by parameter name; ``training.precision`` names a part of ``training``.

    Relative paths are relative to the working folder, those in a profile to the profile's folder; ``sheet``
    and ``images`` to the database's folder first. The parameters hold absolute ones.

    Raises:
        ParameterError: naming the parameter, its line in the profile, what is wrong, and the nearest name.
    """
    settings, profile = settings or {}, str(profile)
    file = _profile_file(profile)
    origin = partial(_origin, file, settings)
    values = _in_wholes(profile_values(profile), settings)
    values["profile"] = str(file) if _is_file(profile) else profile
    for name in ("data", "weights", "sheet", "images"):
        typed, folder = values.get(name), "" if name in settings else file.parent
        if isinstance(typed, str | Path) and typed != "" and (name != "weights" or typed not in WEIGHTS):
            data = str(values.get("data") or "") if name in ("sheet", "images") else ""
            try:
                path = database_part(typed, Path(data), folder) if data else typed_path(typed, folder)
            except InputError as error:
                raise ParameterError(f"{origin(name)}parameter {name}: {error}") from None
            # An absolute one may be missing: a run that was made elsewhere is opened for what it holds.
            if name == "weights" and not (Path(typed).is_absolute() or os.path.exists(path)):  # noqa: PTH110 (pathlib's may raise)
                near = difflib.get_close_matches(str(typed), WEIGHTS, n=1)
                meant = f"did you mean {near[0]}? Weights are" if near else "give"
                raise ParameterError(
                    f"{origin(name)}parameter weights = {str(typed)!r}: no such file; {meant} "
                    f"{', '.join(WEIGHTS)}, or an existing .pth, .safetensors, .onnx or .caffemodel"
                )
            values[name] = str(path)
    try:
        return Parameters(**values)
    except ValidationError as error:
        problems = error.errors()
        # None for a whole whose parts have problems of their own.
        inner = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
        problems.sort(
            key=lambda problem: problem["type"] != "extra_forbidden"
        )  # what was mistyped is missing too
        sentences = [_sentence(problem, origin) for problem in problems if problem["loc"] not in inner]
        raise ParameterError("\n".join(sentences)) from None


def _origin(file: Path, settings: Mapping[str, Any], place: str) -> str:
    """The file and the line that a parameter was set in, to be said before it; "" if ``settings`` set it."""
    if any(f"{place}.".startswith(f"{name}.") or name.startswith(f"{place}.") for name in settings):
        return ""
    text = file.read_text(encoding="utf-8")
    names = "|".join(map(re.escape, (place, place.partition(".")[0])))
    line = re.search(rf"""(?m)^['"]?({names})['"]?\s*:""", text)
    return f"{file}, line {len(text[: line.end()].splitlines())}: " if line else f"{file}: "


def told_parameters() -> dict[str, str]:
    """What each parameter means, its values, its default and the paper's value, as a text by name.

    Parts are named as "training.l2"; "grids.freeze" and its like hold for ``batchnorm`` too.
    """
    schema, fields, texts = Parameters.model_json_schema(), {}, {}
    for name, about in schema["properties"].items():
        fields[name] = about
        if name in ("grids", "training"):
            parts = schema["$defs"][_WITH_PARTS[name].__name__]["properties"]
            fields |= {f"{name}.{part}": each for part, each in parts.items()}
    for name, about in fields.items():
        text, sign, paper = " ".join(about["description"].split()).partition(" The paper: ")
        values = "" if " Values: " in text else f" Values: {_range(about)}."
        default = _written(about["default"]) or "empty" if "default" in about else "none"
        texts[name] = f"{text}{values} Default: {default}.{sign}{paper}"
    return texts


def _range(about: Mapping[str, Any]) -> str:
    """The values that a field's JSON schema allows, in words."""
    if "anyOf" in about:
        return _range(about["anyOf"][0])
    if "items" in about:
        return f"a list of {'numbers, ' * ('enum' not in about['items'])}{_range(about['items'])}"
    if "enum" in about:
        return ", ".join(about["enum"])
    # As pydantic calls limits behind a validator of one's own; without one it uses JSON schema's words.
    low, high = about.get("ge", about.get("minimum")), about.get("le", about.get("maximum"))
    first = f"above {about['gt']:g}, up to" if low is None else f"{low:.10g} to"
    return f"{first} below {about['lt']:g}" if high is None else f"{first} {high:.10g}"


def _written(value: Any) -> str:
    """A value as YAML has it in one line; an empty text as nothing."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip() if value != "" else ""


def new_profile(name: str, profile: str | Path) -> str:
    """The text of a profile for a run of this name: every parameter and what it means, set as in ``profile``.

    What that sets is written out; all else stands behind a ``#``, at its default.

    Raises:
        ParameterError: if there is no such profile, or it cannot be used.
    """
    texts, given = told_parameters(), profile_values(str(profile))
    layers = given.get("svm_layers", _SINGLE)
    copied = make_parameters(profile, {"svm_layers": [_INPUT]} if layers in _LAYER_WORDS else {})
    if layers not in _LAYER_WORDS:
        layers = next((word for word in _LAYER_WORDS if [*_layers(word)] == layers), layers)
    values = copied.model_dump(mode="json") | {"svm_layers": layers}
    lines = [
        f"# The run {name}: change what you like, then `hep2 run {name}` computes it.",
        "# Each parameter stands below its meaning, its values, its default, and the paper's value where the",
        f"# paper says one. A line without # sets one: what {copied.profile_name} sets was copied.",
        "# A line with #name leaves one at its default, also at another one of a later version; take the #",
        "# away to set it. Write 0.001, random or [4, 16]; a path may be relative to this file's folder.",
    ]
    for parameter in texts:
        whole, _, part = parameter.partition(".")
        if whole == "profile" or (part and whole == "grids"):
            continue
        lines.append("")
        for one in (n for n in texts if n == parameter or (whole == "grids" == n.partition(".")[0])):
            for sentence in re.sub(" (?=Values: )", "\n", f"{one}: {texts[one]}").splitlines():
                lines += textwrap.wrap(sentence, 108, initial_indent="# ", subsequent_indent="#   ")
        if parameter == "grids":
            lines += ["grids:", *(f"  - {_written(grid)}" for grid in values["grids"])]
        elif parameter != "training":
            unset = "" if whole in given and (not part or part in given[whole]) else "#"
            value = values[whole][part] if part else values[whole]
            lines.append(f"{unset}{parameter}: {_written(value)}".strip())
    return "\n".join(lines) + "\n"


def differences(kept: Any, asked: Any, name: str = "") -> list[str]:
    """A line for every parameter, or part of one, whose ``effective`` values in two runs are not the same."""
    if isinstance(kept, list) and any(isinstance(part, dict) for part in kept):
        kept, asked = (dict(enumerate(parts, 1)) for parts in (kept, asked))
    if isinstance(kept, dict) and isinstance(asked, dict):
        parts = ((f"{name}.{part}".strip("."), part) for part in kept | asked)
        return [line for whole, part in parts for line in differences(kept.get(part), asked.get(part), whole)]
    there, now = ("nothing" if value is None else repr(value) for value in (kept, asked))
    return [] if kept == asked else [f"{name} is {there} there, {now} was asked for"]


def _hint(name: str) -> str:
    """What may have been meant by a name that no parameter and no part of one has."""
    if name == "rotation_epochs":
        return "leave it out: trainings with rotations have as many epochs as their grid"
    name = "svm_regularisation" if name == "svm_reading" else name  # as it was called before
    first, _, part = name.rpartition(".")
    group = _WITH_PARTS.get(first.partition(".")[0])
    known = list(group.model_fields if group else Parameters.model_fields)
    wholes = () if group else ("training", "batchnorm")
    parts = [f"{whole}.{one}" for whole in wholes for one in _WITH_PARTS[whole].model_fields]
    near = difflib.get_close_matches(part, [*known, *parts], n=1, cutoff=0.5)
    meant = f"{first}.{near[0]}" if group and near else "".join(near)
    return f"did you mean {meant!r}?" if near else f"known: {', '.join(known)}"


def _sentence(problem: Any, origin: Callable[[str], str] = lambda place: "") -> str:
    given, kind, (first, *parts) = problem["input"], problem["type"], problem["loc"]
    from_1 = [part + 1 if isinstance(part, int) and first != "chosen_seeds" else part for part in parts]
    place = ".".join([first, *(str(part) for part in from_1 if part != "[key]")])
    if kind == "extra_forbidden":
        return f"{origin(place)}parameter {place!r} is unknown; {_hint(place)}"
    told, name = told_parameters(), re.sub(r"\.\d+", "", place).replace("batchnorm.", "grids.")
    values = told.get(name, told[first]).partition("Values: ")[2].partition(". Default: ")[0]
    reason = {
        "string_type": TEXT_NEEDED,
        "tuple_type": "a list is needed, as in [a, b]",
        "int_from_float": "a whole number is needed",
        "value_error": problem["msg"].removeprefix("Value error, "),
        "missing": f"has to be set; values: {values}",
    }.get(kind, f"this cannot be; values: {values}")
    number = isinstance(given, str) and _NUMBER.fullmatch(given)
    shown = f" = {given if number else repr(given)}" if isinstance(given, str | int | float) else ""
    return f"{origin(place)}parameter {place}{shown}: {reason}"


def read_parameters(file: Path) -> Parameters:
    """The parameters that a run was started with.

    Raises:
        ParameterError: if the file is missing or damaged, or was edited.
    """
    try:
        text = file.read_text(encoding="utf-8")
        first, _, rest = text.partition("\n")
        if first.startswith(_SEAL) and first != _SEAL + _digest(rest):
            raise ParameterError(
                f"{file}: was edited, but a run's parameters stay as they are; undo that, or make another "
                "run of a copy of the file (`hep2 run --profile COPY.yaml`)"
            )
        return Parameters(**yaml.load(text, _AsWritten))
    except ValidationError as error:
        problems = "; ".join(_sentence(problem) for problem in error.errors())
        raise ParameterError(
            f"{file}: not a run's parameters as this version reads them ({problems}); choose another folder"
        ) from None
    except (OSError, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{file}: not a run's parameters ({_complaint(error)})") from None


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts; a value is written as in YAML (``3``, ``[4, 8]``, ``random``).

    A name may be that of a part, ``training.momentum``. The value of a parameter that takes a text is that
    text to the letter, unless it is in quotes.

    Raises:
        ParameterError: if a text is not of that form.
    """
    values: dict[str, Any] = {}
    for text in settings:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name:
            raise ParameterError(f"--set {text!r}: write it as name=value, for example --set seed=3")
        field = Parameters.model_fields.get(name)
        if not value or (field and field.annotation is str and value[0] not in "'\""):
            values[name] = value
            continue
        try:
            values[name] = yaml.load(value, _AsWritten)
        except yaml.YAMLError as error:
            raise ParameterError(f"--set {text!r}: not readable as YAML ({_complaint(error)})") from None
    return values
