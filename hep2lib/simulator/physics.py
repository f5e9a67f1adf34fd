"""The parameters of the forward model, stage by stage, each with its unit, meaning and source."""

from dataclasses import dataclass, field

_ASSUMED = "assumption"


_MIVIA = (
    "MIVIA, ICPR 2012 contest: 1388 x 1038 pixels of 6.45 um behind a 40x objective, 1457 cells in 28 fields"
)


Range = tuple[float, float]


def _about(unit: str, meaning: str, source: str = _ASSUMED) -> dict[str, str]:
    return {"unit": unit, "meaning": meaning, "source": source}


@dataclass(frozen=True, slots=True)
class SpecimenParameters:
    """What differs from patient to patient."""

    positive_share: float = field(
        default=0.72, metadata=_about("images", "share of positive images", "Taormina 2020: 1498 of 2080")
    )
    images: float = field(
        default=2.08,
        metadata=_about("images", "mean number of images a specimen", "AIDA: 2080 images, 1000 sera"),
    )
    images_shares: tuple[float, ...] = field(
        default=(0.34, 0.33, 0.24, 0.09),
        metadata=_about("specimens", "share of specimens with 1, 2, 3 and 4 images"),
    )
    grades: tuple[str, ...] = field(
        default=("+/-", "1+", "2+", "3+", "4+"),
        metadata=_about("", "intensity grades of positives", "usual reading scale"),
    )
    grade_shares: tuple[float, ...] = field(
        default=(0.12, 0.26, 0.28, 0.21, 0.13), metadata=_about("positives", "share of each grade")
    )
    grade_levels: tuple[float, ...] = field(
        default=(0.08, 0.155, 0.30, 0.54, 0.85),
        metadata=_about("full scale", "light of a well stained structure at each grade"),
    )
    level_spread: float = field(
        default=0.18, metadata=_about("log", "spread of the light inside a grade (standard deviation)")
    )
    bright_negative_share: float = field(
        default=0.14, metadata=_about("negatives", "share of bright unstructured negatives")
    )
    trace_share: float = field(
        default=0.6,
        metadata=_about("negatives", "share with a trace of a pattern, below what a reader reports"),
    )
    trace_level: Range = field(
        default=(0.010, 0.050), metadata=_about("full scale", "light of a well stained structure in a trace")
    )
    dim_level: Range = field(
        default=(0.010, 0.040), metadata=_about("full scale", "unspecific light of a dim negative's cells")
    )
    bright_level: Range = field(
        default=(0.06, 0.24), metadata=_about("full scale", "unspecific light of a bright negative's cells")
    )
    haze_level: Range = field(
        default=(0.025, 0.08), metadata=_about("full scale", "unspecific light of a positive's cells")
    )
    background: Range = field(
        default=(0.006, 0.022), metadata=_about("full scale", "light between the cells")
    )
    debris: float = field(
        default=2.0, metadata=_about("an image", "mean number of bright specks that belong to no cell")
    )
    density: float = field(default=1.39e-3, metadata=_about("cells per um2", "mean density of cells", _MIVIA))
    density_spread: float = field(
        default=0.22, metadata=_about("log", "spread of the density between specimens")
    )
    mitotic_share: float = field(
        default=0.04,
        metadata=_about(
            "cells", "mean share of mitotic cells", "HEp-2 benchmarking task 3: about 1000 of 24000 cells"
        ),
    )
    mitotic_spread: float = field(
        default=0.4, metadata=_about("log", "spread of the mitotic share between specimens")
    )
    female_share: float = field(
        default=0.75, metadata=_about("specimens", "share of women, independent of the label")
    )
    unknown_share: float = field(
        default=0.10, metadata=_about("specimens", "share without age and sex", "AIDA: age and sex if known")
    )


@dataclass(frozen=True, slots=True)
class CellParameters:
    """Geometry of HEp-2 cells."""

    nucleus_diameter: float = field(
        default=17.0,
        metadata=_about("um", "mean diameter of an interphase nucleus", "15 to 20 um, from memory"),
    )
    diameter_spread: float = field(
        default=0.09, metadata=_about("log", "spread of the diameter between cells of a specimen")
    )
    specimen_spread: float = field(
        default=0.05, metadata=_about("log", "spread of the mean diameter between specimens")
    )
    axis_ratio: Range = field(
        default=(0.68, 0.95),
        metadata=_about("", "short over long axis of a nucleus", "ellipses: Cascio 2019"),
    )
    waviness: float = field(
        default=0.025, metadata=_about("radius", "amplitude of the outline's deviation from an ellipse")
    )
    cytoplasm_waviness: float = field(
        default=0.16, metadata=_about("radius", "the same for the outline of the cytoplasm")
    )
    gap: float = field(default=1.2, metadata=_about("um", "smallest distance between two nuclei"))
    cytoplasm_reach: Range = field(
        default=(2.0, 2.9), metadata=_about("radius", "how far the cytoplasm reaches")
    )
    nucleoli: Range = field(default=(1, 5), metadata=_about("a nucleus", "number of nucleoli"))
    nucleolus_radius: Range = field(default=(0.9, 2.1), metadata=_about("um", "radius of a nucleolus"))
    cell_spread: float = field(
        default=0.13, metadata=_about("log", "spread of the light between cells of a field")
    )
    phases: tuple[float, ...] = field(
        default=(0.15, 0.60, 0.25),
        metadata=_about("mitotic cells", "share of prometaphase (seen from a pole), metaphase and anaphase"),
    )
    mitotic_radius: Range = field(
        default=(8.5, 10.0), metadata=_about("um", "radius of the rounded mitotic cell")
    )


@dataclass(frozen=True, slots=True)
class OpticsParameters:
    """What the microscope does to the light; ranges are drawn once a laboratory unless said otherwise."""

    field_width: Range = field(
        default=(185.0, 285.0),
        metadata=_about(
            "um", "width of the field of view", "224 um at 40x (MIVIA); its range is an assumption"
        ),
    )
    blur: Range = field(
        default=(0.16, 0.32), metadata=_about("um", "in-focus point spread (standard deviation)")
    )
    defocus: Range = field(
        default=(0.0, 1.2),
        metadata=_about(
            "um", "further blur by focus error, drawn once an image; mostly near the smaller value"
        ),
    )
    haze_share: Range = field(
        default=(0.12, 0.30), metadata=_about("light", "share of the light that is out of focus")
    )
    haze_blur: Range = field(default=(4.0, 8.0), metadata=_about("um", "blur of that light"))
    falloff: Range = field(
        default=(0.10, 0.35), metadata=_about("light", "vignetting: loss of light in the corners")
    )
    exposure_spread: float = field(
        default=0.06, metadata=_about("log", "bleaching and lamp: spread between images of a specimen")
    )


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """What the camera makes of the light; ranges are drawn once a laboratory."""

    gain_spread: float = field(
        default=0.12, metadata=_about("log", "spread of the gain between laboratories")
    )
    full_scale: Range = field(
        default=(200.0, 2000.0), metadata=_about("electrons", "photo-electrons at full scale")
    )
    read_noise: Range = field(
        default=(1.0, 3.0), metadata=_about("grey levels", "read noise (standard deviation)")
    )
    gamma: Range = field(default=(1.0, 1.35), metadata=_about("", "grey value = light ** (1 / gamma)"))
    black_level: Range = field(default=(0.0, 3.0), metadata=_about("grey levels", "offset"))
    red_share: Range = field(
        default=(0.0, 0.16), metadata=_about("green", "red channel's share of the fluorescein light")
    )
    blue_share: Range = field(
        default=(0.0, 0.22), metadata=_about("green", "blue channel's share of the fluorescein light")
    )
    counterstain_share: float = field(
        default=0.15, metadata=_about("laboratories", "share of laboratories with Evans blue", "some kits")
    )
    counterstain: float = field(
        default=0.07, metadata=_about("full scale", "red light of counterstained cytoplasm")
    )


@dataclass(frozen=True, slots=True)
class FileParameters:
    """How a picture is stored."""

    sizes: tuple[tuple[int, int], ...] = field(
        default=((696, 520), (640, 480), (720, 540), (688, 516), (664, 496), (700, 524), (656, 492)),
        metadata=_about(
            "pixels",
            "picture sizes, one a laboratory",
            "half of 1388 x 1038 and its like: networks see 224 x 224 of it",
        ),
    )
    formats: tuple[str, ...] = field(
        default=("JPG", "BMP", "PNG"), metadata=_about("", "file formats", "AIDA mixes the three")
    )
    own_format_share: float = field(
        default=0.8, metadata=_about("specimens", "share stored in the laboratory's usual format")
    )
    quality: Range = field(default=(80.0, 95.0), metadata=_about("", "JPEG quality"))
    shortcut_strength: float = field(
        default=0.85, metadata=_about("specimens", "share whose size tells the label, with the shortcut on")
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters of the forward model, in the order of physics."""

    specimen: SpecimenParameters = field(default_factory=SpecimenParameters)
    cell: CellParameters = field(default_factory=CellParameters)
    optics: OpticsParameters = field(default_factory=OpticsParameters)
    camera: CameraParameters = field(default_factory=CameraParameters)
    file: FileParameters = field(default_factory=FileParameters)
