import pytest

from hep2lib.data.sheets import fluorescence, positive_or_intermediate


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("Positive", (1, "")),
        (" POS ", (1, "")),
        ("1", (1, "")),
        ("1.0", (1, "")),
        ("Yes", (1, "")),
        ("sì", (1, "")),
        ("+", (1, "")),
        ("positivo", (1, "")),
        ("negative", (0, "")),
        ("N", (0, "")),
        ("0.0", (0, "")),
        ("-", (0, "")),
        ("Negativa", (0, "")),
        ("weak positive", (1, "weak")),
        ("Weak-Positive", (1, "weak")),
        ("positive (weak)", (1, "weak")),
        ("debole", (1, "weak")),
        ("3+", (1, "3+")),
        ("+ 2", (1, "2+")),
        ("+++", (1, "3+")),
        ("+/-", None),
        ("5+", None),
        ("2", None),
        ("", None),
        ("homogeneous", None),
        ("not positive", None),
        ("non-negative", None),
        ("positive negative", None),
        ("nan", None),
    ],
)
def test_fluorescence(word: str, meaning: tuple[int, str] | None) -> None:
    assert fluorescence(word) == meaning


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("positive", (1, "positive")),
        ("Pos", (1, "positive")),
        ("INTERMEDIATE", (0, "intermediate")),
        ("inter", (0, "intermediate")),
        ("weak", (0, "intermediate")),
        ("negative", None),
        ("", None),
    ],
)
def test_positive_or_intermediate(word: str, meaning: tuple[int, str] | None) -> None:
    assert positive_or_intermediate(word) == meaning
