"""The staining patterns that are drawn, named as the international consensus (ICAP) names them."""

from dataclasses import dataclass

NEGATIVE = "negative"
BRIGHT_NEGATIVE = "negative, bright"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the antibodies of a positive specimen stain.

    Attributes:
        name: as the sheet has it.
        parts: ICAP code and share of the light, one for a single pattern, two for a mixed one.
        weight: share among positive specimens (relative; an assumption).
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    weight: float

    @property
    def sparse(self) -> bool:
        """Whether only a small part of each cell, or of the cells, is stained."""
        return all(code in _SPARSE for code, _ in self.parts)


_SPARSE = frozenset({"AC-3", "AC-6", "AC-7", "AC-8", "AC-9", "AC-10", "AC-22", "AC-25"})

# ICAP code: (name, relative weight among specimens with a single pattern).
SINGLE: dict[str, tuple[str, float]] = {
    "AC-1": ("homogeneous", 10),
    "AC-2": ("dense fine speckled", 5),
    "AC-3": ("centromere", 5),
    "AC-4": ("fine speckled", 10),
    "AC-5": ("coarse speckled", 8),
    "AC-6": ("multiple nuclear dots", 1.5),
    "AC-7": ("few nuclear dots", 1.5),
    "AC-8": ("homogeneous nucleolar", 3),
    "AC-9": ("clumpy nucleolar", 2),
    "AC-10": ("punctate nucleolar", 1.5),
    "AC-11": ("smooth nuclear envelope", 3),
    "AC-12": ("punctate nuclear envelope", 2),
    "AC-19": ("cytoplasmic dense fine speckled", 4),
    "AC-21": ("cytoplasmic reticular", 4),
    "AC-22": ("Golgi", 1.5),
    "AC-25": ("mitotic spindle", 1),
    "AC-26": ("NuMA-like", 2),
}

# Two antibodies in one serum, each with its share of the light, and their weight; AIDA's positives are mostly
# of this kind, its mix is not published.
_MIXED: tuple[tuple[tuple[str, float], tuple[str, float], float], ...] = (
    (("AC-1", 0.8), ("AC-8", 0.6), 5),
    (("AC-1", 0.8), ("AC-4", 0.6), 6),
    (("AC-1", 0.8), ("AC-11", 0.6), 4),
    (("AC-4", 0.7), ("AC-8", 0.7), 6),
    (("AC-5", 0.8), ("AC-19", 0.6), 4),
    (("AC-4", 0.9), ("AC-21", 0.7), 5),
    (("AC-3", 1.0), ("AC-21", 0.35), 2),  # dots are lost behind a reticulum as bright as they are
    (("AC-8", 0.8), ("AC-19", 0.6), 3),
)


PATTERNS: tuple[Pattern, ...] = (
    *(Pattern(name, ((code, 1.0),), weight) for code, (name, weight) in SINGLE.items()),
    *(Pattern(f"{SINGLE[a[0]][0]} + {SINGLE[b[0]][0]}", (a, b), weight) for a, b, weight in _MIXED),
)


def find_pattern(name: str) -> Pattern:
    """Find a pattern by its name or, where it is single, by its ICAP code.

    Raises:
        KeyError: there is no such pattern; the message lists the names.
    """
    for pattern in PATTERNS:
        if name == pattern.name or ((name, 1.0),) == pattern.parts:
            return pattern
    raise KeyError(f"no pattern {name!r}; there are {', '.join(pattern.name for pattern in PATTERNS)}")
