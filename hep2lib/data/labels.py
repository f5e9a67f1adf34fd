"""What the words of a sheet mean: positive or negative, and how bright."""

import re

_POSITIVE = frozenset(
    ("positive", "pos", "p", "+", "1", "yes", "y", "true", "t", "positivo", "positiva", "si", "sì")
)
_NEGATIVE = frozenset(("negative", "neg", "n", "-", "0", "no", "false", "f", "negativo", "negativa"))
_WEAK = frozenset(
    {
        *(
            "weak",
            "weak positive",
            "weakly positive",
            "weak pos",
            "positive weak",
            "low positive",
            "faint positive",
        ),
        *("debole", "debolmente positivo", "debolmente positiva", "positivo debole", "positiva debole"),
    }
)
_GRADE = re.compile(r"(?:([1-4])\s*\+|\+\s*([1-4])|(\+{2,4}))")


def fluorescence(word: str) -> tuple[int, str] | None:
    """Read the cell of a positive/negative column.

    Args:
        word: the cell, in English or Italian, as a word, a number, a sign or a grade (1+ to 4+).

    Returns:
        The label (1 positive, 0 negative) and the intensity that the cell itself names: "weak" of a weak
        positive, which counts as positive, "1+" to "4+", or "". None where the cell says neither; a
        borderline "+/-" is such a cell, because only a reader can settle it.
    """
    plain = " ".join(re.sub(r"[_\-–—/()]+(?=\w)|(?<=\w)[_\-–—/()]+", " ", word.casefold()).split())
    plain = re.sub(r"\.0+$", "", plain)
    if plain in _POSITIVE:
        return 1, ""
    if plain in _NEGATIVE:
        return 0, ""
    if plain in _WEAK:
        return 1, "weak"
    grade = _GRADE.fullmatch(plain)
    if grade:
        return 1, f"{grade[1] or grade[2] or len(grade[3])}+"
    return None


def positive_or_intermediate(word: str) -> tuple[int, str] | None:
    """Read the intensity of the MIVIA and I3A databases, which hold no negative specimen.

    Args:
        word: the cell: "positive" or "intermediate", or the beginning of either.

    Returns:
        1 and "positive", 0 and "intermediate", or None for anything else. The label 0 therefore means
        "intermediate intensity" there, never "negative".
    """
    plain = word.casefold().strip()
    for label, meaning in ((1, "positive"), (0, "intermediate")):
        if len(plain) >= 1 and meaning.startswith(plain):
            return label, meaning
    return (0, "intermediate") if plain in _WEAK else None
