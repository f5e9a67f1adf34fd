"""A simulated database as a plan: parameters, laboratories, specimens and their random streams."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hep2lib.data.simulator.laboratories import Laboratory, draw_laboratories
from hep2lib.data.simulator.parameters import Parameters
from hep2lib.data.simulator.specimens import Specimen, draw_specimens
from hep2lib.errors import InputError

VERSION = 2
"""Counted up whenever the same parameters and seed are to give other images."""

MOST_LABORATORIES = 26
_LABORATORIES, _SPECIMENS, _FIELDS = range(3)  # the seed's independent random streams


class SimulationError(InputError):
    """Parameters that cannot be simulated, or a folder that cannot be written."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What determines a simulated database.

    Attributes:
        specimens: number of specimens, at least 2.
        seed: any whole number from 0 on; the same seed gives the same bytes.
        laboratories: number of laboratories, 1 to 26.
        shortcut: let the file's size tell the label for most specimens.
        label_noise: share of specimens whose written label is wrong, 0 to 0.5.
        scale: factor on width and height of the pictures in pixels, 0.1 to 4; the field of view stays.
        masks: write per-cell masks too.
        apart: draw from random streams that no database uses (for images that must belong to none).
        parameters: the forward model's.
    """

    specimens: int = 100
    seed: int = 0
    laboratories: int = 7
    shortcut: bool = False
    label_noise: float = 0.0
    scale: float = 1.0
    masks: bool = False
    apart: bool = False
    parameters: Parameters = field(default_factory=Parameters)

    def __post_init__(self) -> None:
        _check("specimens", self.specimens, self.specimens >= 2, "at least 2, so that both labels occur")
        _check("seed", self.seed, self.seed >= 0, "a whole number from 0 on")
        _check(
            "laboratories",
            self.laboratories,
            1 <= self.laboratories <= MOST_LABORATORIES,
            f"1 to {MOST_LABORATORIES}",
        )
        _check("label_noise", self.label_noise, 0 <= self.label_noise <= 0.5, "a share from 0 to 0.5")
        _check("scale", self.scale, 0.1 <= self.scale <= 4, "a factor from 0.1 to 4")

    @property
    def name(self) -> str:
        """The database's name, with whatever is not the default."""
        parts = [f"{self.specimens} specimens", f"seed {self.seed}"]
        if self.laboratories != 7:
            parts.append(f"{self.laboratories} laboratories")
        if self.shortcut:
            parts.append("size shortcut")
        if self.label_noise:
            parts.append(f"label noise {self.label_noise:g}")
        if self.scale != 1:
            parts.append(f"scale {self.scale:g}")
        return f"simulated database ({', '.join(parts)})"

    def stream(self, *key: int) -> np.random.Generator:
        """Give the random stream of a key, independent of all others of this and any other seed."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(int(self.apart), *key)))

    def draw(self) -> tuple[list[Laboratory], list[Specimen]]:
        """Draw the laboratories and the specimens; fields are drawn from each specimen's own stream."""
        laboratories = draw_laboratories(
            self.stream(_LABORATORIES), self.laboratories, self.parameters, self.scale
        )
        specimens = draw_specimens(
            self.stream(_SPECIMENS),
            self.specimens,
            laboratories,
            self.parameters,
            shortcut=self.shortcut,
            label_noise=self.label_noise,
        )
        return laboratories, specimens

    def specimen_stream(self, specimen: Specimen) -> np.random.Generator:
        """Give the random stream of a specimen's fields."""
        return self.stream(_FIELDS, specimen.index)

    def record(self) -> dict[str, Any]:
        """Give all parameters as plain values, as ``simulation.json`` holds them."""
        own = asdict(self)
        del own["apart"]
        return {"name": self.name, "simulator_version": VERSION, **json.loads(json.dumps(own))}


def _check(name: str, value: float, possible: bool, wanted: str) -> None:
    if not possible:
        raise SimulationError(f"{name} {value!r} cannot be simulated: it has to be {wanted}")
