"""The parameters of the forward model, stage by stage, each with its unit, meaning and source."""

from dataclasses import dataclass, field
from typing import Any

_MIVIA = (
    "MIVIA, ICPR 2012 contest: 1388 x 1038 pixels of 6.45 um behind a 40x objective, 1457 cells in 28 fields"
)


def _value(default: Any, unit: str, meaning: str, source: str = "assumption") -> Any:
    return field(default=default, metadata={"unit": unit, "meaning": meaning, "source": source})


@dataclass(frozen=True, slots=True)
class SpecimenParameters:
    """What differs from patient to patient."""

    positive_share: float = _value(0.72, "images", "share of positive images", "Taormina 2020: 1498 of 2080")
    images: float = _value(2.08, "images", "mean number of images a specimen", "AIDA: 2080 images, 1000 sera")
    images_shares: tuple[float, ...] = _value(
        (0.34, 0.33, 0.24, 0.09), "specimens", "share of specimens with 1, 2, 3 and 4 images"
    )
    grades: tuple[str, ...] = _value(
        ("+/-", "1+", "2+", "3+", "4+"), "", "intensity grades of positives", "usual reading scale"
    )
    grade_shares: tuple[float, ...] = _value(
        (0.15, 0.28, 0.27, 0.18, 0.12), "positives", "share of each grade at the screening dilution"
    )
    grade_levels: tuple[float, ...] = _value(
        (0.08, 0.155, 0.30, 0.54, 0.85), "full scale", "light of a well stained structure at each grade"
    )
    level_spread: float = _value(0.18, "log", "spread of the light inside a grade (standard deviation)")
    patchy_share: float = _value(
        0.20, "positives", "share in which only some cells show the pattern, as with antigens of one phase"
    )
    patchy_cells: tuple[float, float] = _value((0.2, 0.7), "cells", "share of the cells that do, in those")
    bright_negative_share: float = _value(0.16, "negatives", "share of bright unstructured negatives")
    trace_share: float = _value(
        0.4, "negatives", "share with a trace of a pattern, below what a reader reports"
    )
    trace_level: tuple[float, float] = _value(
        (0.008, 0.032), "full scale", "light of a well stained structure in a trace"
    )
    dim_level: tuple[float, float] = _value(
        (0.010, 0.040), "full scale", "unspecific light of a dim negative's cells"
    )
    bright_level: tuple[float, float] = _value(
        (0.05, 0.22), "full scale", "unspecific light of a bright negative's cells"
    )
    haze_level: tuple[float, float] = _value(
        (0.025, 0.08), "full scale", "unspecific light of a positive's cells"
    )
    background: tuple[float, float] = _value((0.006, 0.022), "full scale", "light between the cells")
    debris: float = _value(2.0, "an image", "mean number of bright specks that belong to no cell")
    fibres: float = _value(0.3, "an image", "mean number of fibres and threads of dust")
    dead_cells: float = _value(
        3.0, "an image", "mean number of dead or detached cells: lumps that take any dye"
    )
    precipitate: float = _value(120.0, "an image", "mean number of faint grains of precipitated conjugate")
    granularity: float = _value(
        0.7, "unspecific light", "mean contrast of its grains or fibres in the cytoplasm"
    )
    wash: tuple[float, float] = _value((0.0, 0.3), "light", "uneven wash: slow variation over the field")
    edge_share: float = _value(0.06, "images", "share at the edge of the well")
    density: float = _value(1.39e-3, "cells per um2", "mean density of cells", _MIVIA)
    density_spread: float = _value(0.22, "log", "spread of the density between specimens")
    mitotic_share: float = _value(
        0.04, "cells", "mean share of mitotic cells", "HEp-2 benchmarking task 3: about 1000 of 24000 cells"
    )
    mitotic_spread: float = _value(0.4, "log", "spread of the mitotic share between specimens")
    female_share: float = _value(0.75, "specimens", "share of women, independent of the label")
    unknown_share: float = _value(
        0.10, "specimens", "share without age and sex", "AIDA: age and sex if known"
    )


@dataclass(frozen=True, slots=True)
class CellParameters:
    """Geometry of HEp-2 cells."""

    nucleus_diameter: float = _value(
        17.0, "um", "mean diameter of an interphase nucleus", "15 to 20 um, not verified"
    )
    diameter_spread: float = _value(0.12, "log", "spread of the diameter between cells of a specimen")
    specimen_spread: float = _value(0.05, "log", "spread of the mean diameter between specimens")
    axis_ratio: tuple[float, float] = _value(
        (0.68, 0.95), "", "short over long axis of a nucleus", "ellipses: Cascio 2019"
    )
    waviness: float = _value(0.045, "radius", "amplitude of the outline's deviation from an ellipse")
    cytoplasm_waviness: float = _value(0.16, "radius", "the same for the outline of the cytoplasm")
    gap: float = _value(0.6, "um", "smallest distance between two nuclei")
    bare_patches: float = _value(1.5, "an image", "mean number of places where no cell grows")
    bare_radius: tuple[float, float] = _value((8.0, 30.0), "um", "radius of such a place")
    cytoplasm_reach: tuple[float, float] = _value((2.0, 2.9), "radius", "how far the cytoplasm reaches")
    nucleoli: tuple[float, float] = _value((1, 5), "a nucleus", "number of nucleoli")
    nucleolus_radius: tuple[float, float] = _value((0.9, 2.1), "um", "radius of a nucleolus")
    cell_spread: float = _value(0.13, "log", "spread of the light between cells of a field")
    phases: tuple[float, ...] = _value(
        (0.15, 0.45, 0.20, 0.20),
        "mitotic cells",
        "share of prometaphase (seen from a pole), metaphase, anaphase and telophase",
    )
    mitotic_radius: tuple[float, float] = _value((8.5, 10.0), "um", "radius of the rounded mitotic cell")


@dataclass(frozen=True, slots=True)
class OpticsParameters:
    """What the microscope does to the light; ranges are drawn once a laboratory unless said otherwise."""

    field_width: tuple[float, float] = _value(
        (185.0, 285.0),
        "um",
        "width of the field of view",
        "224 um at 40x (MIVIA); its range is an assumption",
    )
    blur: tuple[float, float] = _value((0.16, 0.32), "um", "in-focus point spread (standard deviation)")
    defocus: tuple[float, float] = _value(
        (0.0, 1.8), "um", "further blur by focus error, drawn once an image; mostly near the smaller value"
    )
    haze_share: tuple[float, float] = _value((0.12, 0.30), "light", "share of the light that is out of focus")
    haze_blur: tuple[float, float] = _value((4.0, 8.0), "um", "blur of that light")
    falloff: tuple[float, float] = _value((0.10, 0.35), "light", "vignetting: loss of light in the corners")
    exposure_spread: float = _value(0.10, "log", "bleaching and lamp: spread between images of a specimen")


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """What the camera makes of the light; ranges are drawn once a laboratory."""

    gain_spread: float = _value(0.15, "log", "spread of the gain between laboratories")
    compensation: tuple[float, float] = _value(
        (0.0, 0.25),
        "log per log",
        "how far an operator's exposure makes up for a field's light: 0 not, 1 wholly",
    )
    full_scale: tuple[float, float] = _value((200.0, 2000.0), "electrons", "photo-electrons at full scale")
    read_noise: tuple[float, float] = _value((1.0, 3.0), "grey levels", "read noise (standard deviation)")
    gamma: tuple[float, float] = _value((1.0, 1.35), "", "grey value = light ** (1 / gamma)")
    black_level: tuple[float, float] = _value((0.0, 3.0), "grey levels", "offset")
    red_share: tuple[float, float] = _value(
        (0.0, 0.16), "green", "red channel's share of the fluorescein light"
    )
    blue_share: tuple[float, float] = _value(
        (0.0, 0.22), "green", "blue channel's share of the fluorescein light"
    )
    counterstain_share: float = _value(
        0.15, "laboratories", "share of laboratories with Evans blue", "some kits"
    )
    counterstain: float = _value(0.07, "full scale", "red light of counterstained cytoplasm")


@dataclass(frozen=True, slots=True)
class FileParameters:
    """How a picture is stored."""

    sizes: tuple[tuple[int, int], ...] = _value(
        ((696, 520), (640, 480), (720, 540), (688, 516), (664, 496), (700, 524), (656, 492)),
        "pixels",
        "picture sizes, one a laboratory",
        "half of 1388 x 1038 and its like: networks see 224 x 224 of it",
    )
    formats: tuple[str, ...] = _value(("JPG", "BMP", "PNG"), "", "file formats", "AIDA mixes the three")
    own_format_share: float = _value(0.8, "specimens", "share stored in the laboratory's usual format")
    quality: tuple[float, float] = _value((80.0, 95.0), "", "JPEG quality")
    shortcut_strength: float = _value(
        0.85, "specimens", "share whose size tells the label, with the shortcut on"
    )


@dataclass(frozen=True, slots=True)
class Physics:
    """All parameters of the forward model, in the order of physics."""

    specimen: SpecimenParameters = field(default_factory=SpecimenParameters)
    cell: CellParameters = field(default_factory=CellParameters)
    optics: OpticsParameters = field(default_factory=OpticsParameters)
    camera: CameraParameters = field(default_factory=CameraParameters)
    file: FileParameters = field(default_factory=FileParameters)
