"""The staining patterns that are drawn, named as the international consensus (ICAP) names them."""

import re
from dataclasses import dataclass

NEGATIVE = "negative"
BRIGHT_NEGATIVE = "negative, bright"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the antibodies of a positive specimen stain."""

    name: str  # as the sheet has it
    parts: tuple[tuple[str, float], ...]  # ICAP code and share of the light; two if it is mixed
    weight: float  # share among positive specimens (relative; an assumption)

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

LOOK_FOR = {
    "AC-1": "nuclei and dividing chromosomes evenly bright",
    "AC-2": "uneven speckles, on dividing chromosomes too",
    "AC-3": "40 to 80 dots a nucleus, lined up in mitosis",
    "AC-4": "tiny speckles, dividing chromosomes dark",
    "AC-5": "coarse speckles, dividing chromosomes dark",
    "AC-6": "6 to 20 dots a nucleus",
    "AC-7": "1 to 6 dots a nucleus",
    "AC-8": "whole nucleoli, dividing chromosomes dark",
    "AC-9": "irregular nucleoli, a rim around dividing chromosomes",
    "AC-10": "grains in the nucleoli, pairs of dots in metaphase",
    "AC-11": "an even nuclear rim, dividing chromosomes dark",
    "AC-12": "a nuclear rim made of dots",
    "AC-19": "a cloudy, almost even cytoplasm",
    "AC-21": "coarse grains and threads all over the cytoplasm",
    "AC-22": "grains in a ribbon at one side of the nucleus",
    "AC-25": "spindle fibres between the poles of dividing cells",
    "AC-26": "speckled nuclei, and spindle fibres in mitosis",
}
"""What shows a pattern, after ICAP (Chan et al. 2015, Front Immunol 6:412; anapatterns.org)."""

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


def codes(name: str) -> tuple[str, ...]:
    """Give the ICAP codes of a pattern of any database: one, several if it is mixed, none if not known."""
    if numbers := re.findall(r"\bAC-?(\d+)", name.upper()):
        return tuple(f"AC-{int(number)}" for number in numbers)
    known = {single.casefold(): code for code, (single, _) in SINGLE.items()}
    found = [known.get(part.strip().casefold(), "") for part in re.split("[+,;&]", name)]
    return tuple(found) if all(found) else ()


def compartment(name: str) -> str:
    """Say which of ICAP's groups a pattern belongs to: "nuclear", "cytoplasmic" or "mitotic".

    "" if its codes are not known, or are of several groups.
    """
    numbers = [int(code.removeprefix("AC-")) for code in codes(name)]
    groups = {
        "nuclear" if n < 15 or n == 29 else "cytoplasmic" if n < 24 else "mitotic" for n in numbers if n
    }
    return groups.pop() if len(groups) == 1 else ""
