"""What the words of a label column mean, one by one and beside each other."""

import re

import pytest

from hep2lib.data.sheets import fluorescence, label_reader
from hep2lib.errors import DatabaseError

POSITIVE = (1, "")
NEGATIVE = (0, "")


@pytest.mark.parametrize(
    ("meaning", "words"),
    [
        (POSITIVE, "Positive| POS |pos.|p|yes|sì|+|＋|true|positivo|Positiva|_positive|positive (+)|pos (+)"),
        (POSITIVE, "positivi|Positives|POSITIVE"),
        (NEGATIVE, "negativi|Negatives|NEGATIVE"),
        (POSITIVE, "1|1.0|+1.0|1.|1,0|1.000000000000000000e+00|１|1_"),
        (NEGATIVE, "negative|neg|neg.|N|No|FALSE|Negativa|negativo|negative (-)|Neg (-)|negative_"),
        (NEGATIVE, "0|0.0|0,0|-0|-0.0|+0|0.000e+00"),
        (NEGATIVE, "-1|-1.0|-1,0|−1|–1|—1|－1|-1.000000000000000000e+00"),
        (NEGATIVE, "-|−|(-)"),
        ((1, "weak"), "weak positive|Weak-Positive|weak_positive|positive (weak)|debole|low positive"),
        (None, "positivs|positivei|positive (-)|negatived"),
        ((1, "weak"), "Debolmente positivi|positivo debole|faint positive"),
        ((1, "1+"), "1+|+1|+ 1|1 +|1⁺"),
        ((1, "2+"), "2+|+ 2|++"),
        ((1, "3+"), "3+|+++"),
        (None, "+/-|-/+|+-|-+|±|+ / -|(+)|(+/-)|1+/-|<1+|~1+|>1+|1-2+|1+-2+|2+/3+|0+|5+|+ +"),
        (None, "1-|0-|-1-|p-|n-|pos-|neg-|neg+|pos+|p+|-p|-n|-pos|-neg|+neg|-positive|-2+|-2|--|- -|---|–|—"),
        (
            None,
            "1/|/1|1/2|0/1|(1)|(0)|(p)|(positive)|positive (-)|negative (+)|y/n|pos/neg|positive/negative",
        ),
        (None, "2|01|00|10|1e5|0.5|1.5|1:160|<1:80|AC-0|AC-1|no pattern|homogeneous|low|high"),
        (
            None,
            "not positive|non positive|no positive|non-negative|weak negative|false positive",
        ),
        (
            None,
            "positive negative|negative?|positive?|?|negative*|borderline|N/A|n.a.|n/d|n.d.|nan|none|#N/A|",
        ),
    ],
)
def test_fluorescence(meaning: tuple[int, str] | None, words: str) -> None:
    assert {word: fluorescence(word) for word in words.split("|")} == dict.fromkeys(words.split("|"), meaning)


def read(words: str, **options: object) -> tuple[dict[str, int | None], list[str]]:
    """Read a column given as "word count, word count": (word to label, remarks)."""
    column = [word for entry in words.split(", ") for word in [entry.rsplit(" ", 1)[0]] * int(entry[-1])]
    reader, remarks = label_reader(column, **options)  # type: ignore[arg-type]  # keywords of either type
    return {word: meaning[0] if (meaning := reader(word)) else None for word in column}, remarks


def test_plain_labels_need_no_remark() -> None:
    assert read("positive 2, neg 3, 2+ 1") == ({"positive": 1, "neg": 0, "2+": 1}, [])
    assert read("positive 2, neg 3, 2+ 1", patterns=True)[1] == []
    assert label_reader(["2+", "weak", "0"])[0]("2+") == (1, "2+")


def test_plus_one_is_a_grade_only_where_there_is_no_minus_one() -> None:
    assert label_reader(["+1", "-1"])[0]("+1") == (1, "")
    assert label_reader(["+1", "+2", "0"])[0]("+1") == (1, "1+")


@pytest.mark.parametrize(
    ("words", "every"),
    [
        ("-1 3, 0 2, 1 4", "0,-1"),
        ("-1.0 3, 0.0 2, 1.0 4", "0.0,-1.0"),
        ("−1 3, 0 2, +1 4", "−1,0"),
        ("-1 1, negative 2, positive 4", "negative,-1"),
        ("- 1, negative 2, positive 4", "negative,-"),
        ("- 1, 0 2, 1 4", "0,-"),
    ],
)
def test_three_levels_are_shown_and_asked_about(words: str, every: str) -> None:
    counts = ", ".join(f"{word!r} {n}" for word, n in (entry.rsplit(" ", 1) for entry in words.split(", ")))
    with pytest.raises(DatabaseError, match="may be borderline or missing") as error:
        read(words)
    assert all(count in str(error.value) for count in counts.split(", "))
    assert f"give negative={every!r} if all of these are negative" in str(error.value)
    with pytest.raises(DatabaseError, match="may be borderline or missing"):
        read(words, negative=every.split(",")[:1])
    labels, (remark,) = read(words, negative=every.split(","))
    assert list(labels.values()) == [0, 0, 1]
    assert remark.startswith("the labels are read so: ")


def test_minus_and_plus_signs_of_one_column_are_two_levels() -> None:
    assert read("- 3, neg 2, + 4")[0] == {"-": 0, "neg": 0, "+": 1}
    assert read("-1 3, 1 4")[0] == {"-1": 0, "1": 1}


PATTERNS = "Negative 3, Homogeneous 2, Fine  Speckled 1, AC-5 1"


def test_patterns_are_positive_where_the_person_says_so() -> None:
    nothing = {"Negative": 0, "Homogeneous": None, "Fine  Speckled": None, "AC-5": None}
    assert read(PATTERNS) == (nothing, [])
    labels, remarks = read(PATTERNS, patterns=True)
    assert list(labels.values()) == [0, 1, 1, 1]
    assert remarks == [
        "the labels are read so: 'Negative' 3 negative; 'Homogeneous' 2, 'Fine Speckled' 1, 'AC-5' 1 positive"
    ]
    assert read(PATTERNS, negative=["NEGATIVE"]) == (labels, remarks)


NO_PATTERN = """
Negative|neg|neg.|negativo|AC-0|AC0|ac 0|AC-00|AC-0 (Negative)|Negative (AC-0)|no pattern|Nessun pattern
nessun quadro|No fluorescence|-|0|false
"""


@pytest.mark.parametrize("word", re.split("[|\n]", NO_PATTERN.strip()))
def test_words_for_no_pattern(word: str) -> None:
    assert read(f"{word} 3, Homogeneous 2", patterns=True)[0] == {word: 0, "Homogeneous": 1}


DOUBTFUL = """
|borderline|Equivocal|indeterminate|undetermined|uncertain|doubtful|inconclusive|not determined|n/d|N/A|nd|NaN
none|null|pending|unknown|?|speckled?|+/-|±|#N/A|#REF!|dubbio|incerto|Non eseguito|in corso|normal|healthy
control|sano|--|<1:80|\u2264 1:40|-2|-9|-99|00|0 %|N|f|No|negatve|Negativ|neagtive|ngative|ANA negative
negative?|Negative, Speckled|AC-0, AC-1|no|not positive|without pattern
"""


@pytest.mark.parametrize("word", re.split("[|\n]", DOUBTFUL.strip()))
def test_doubts_gaps_and_misspelt_negatives_are_no_patterns(word: str) -> None:
    column = ["Negative", "Homogeneous", word]
    for options in ({"patterns": True}, {"negative": ["negative"]}):
        reader, (remark,) = label_reader(column, **options)  # type: ignore[arg-type]  # keywords of either type
        assert reader(word) is None
        assert reader("Homogeneous") == (1, "")
        assert word == "" or repr(word) not in remark


@pytest.mark.parametrize("number", ["1:160", "1/80", ">1:640", "2.5", "2", "12", "0,7", "320", "2 (1:80)"])
def test_titres_and_numbers_are_positive_only_where_it_was_said_what_is_negative(number: str) -> None:
    words = ["neg", "neg", number]
    reader, (remark,) = label_reader(words, negative=["neg"])
    assert [reader(word) for word in words] == [(0, ""), (0, ""), (1, "")]
    assert remark == f"the labels are read so: 'neg' 2 negative; {number!r} 1 positive"
    for patterns in (True, False):
        reader, remarks = label_reader(words, patterns=patterns)
        assert (reader(number), reader("neg"), remarks) == (None, (0, ""), [])


def test_no_beside_titres_is_no_pattern() -> None:
    assert read("neg 2, no 1, 1:160 3", negative=["neg"])[0] == {"neg": 0, "no": 0, "1:160": 1}
    assert read("neg 2, no 1, Nucleolar 3", negative=["neg"])[0] == {"neg": 0, "no": None, "Nucleolar": 1}


def test_minus_one_is_asked_about_beside_what_was_given_too() -> None:
    with pytest.raises(DatabaseError, match=r"-1 may be borderline or missing; give negative='0,-1'"):
        read("-1 2, 0 3, 1 4", negative=["0"])
    assert read("-1 2, 0 3, 1 4, 2 1", negative=["0", "-1"])[0] == {"-1": 0, "0": 0, "1": 1, "2": 1}


def test_an_empty_cell_says_nothing_and_has_to_be_filled_in() -> None:
    with pytest.raises(DatabaseError) as error:
        label_reader(["Homogeneous", "", "Nucleolar", ""], patterns=True)
    assert str(error.value) == (
        "no label says negative (empty 2, 'Homogeneous' 1, 'Nucleolar' 1): give negative='VALUE,VALUE', and "
        "fill in the empty cells"
    )


def test_long_lists_of_labels_are_cut() -> None:
    words = [f"P{number:03d}" for number in range(400)]
    with pytest.raises(DatabaseError, match=r"'P009' 1 and 390 more\): give negative=") as error:
        label_reader(words, patterns=True)
    assert len(str(error.value)) < 250
    _, (remark,) = label_reader(words, negative=["P007"])
    assert remark.startswith("the labels are read so: 'P007' 1 negative; 'P000' 1, 'P001' 1, ")
    assert remark.endswith("'P010' 1 and 389 more positive")
    assert label_reader(["a", "b"], negative=["a", "b"])[1] == [
        "the labels are read so: 'a' 1, 'b' 1 negative; none positive"
    ]


def test_a_column_that_also_says_positive_holds_no_patterns_unless_negative_is_given() -> None:
    words = "negative 3, positive 2, Homogeneous 1"
    assert read(words, patterns=True) == ({"negative": 0, "positive": 1, "Homogeneous": None}, [])
    assert read(words, negative=["negative"])[0] == {"negative": 0, "positive": 1, "Homogeneous": 1}


@pytest.mark.parametrize(
    "words", ["none 3, Homogeneous 2", "Homogeneous 2", "N 3, H 2, S 2", "healthy 2, AC-1 1"]
)
def test_patterns_of_which_none_is_negative_are_refused(words: str) -> None:
    with pytest.raises(DatabaseError, match=r"no label says negative .*negative='VALUE,VALUE'") as error:
        read(words, patterns=True)
    word, count = words.split(", ")[0].split()
    assert f"{word!r} {count}" in str(error.value)


def test_other_words_for_negative() -> None:
    words = "none 3, blank well 2, Homogeneous 2, N 1"
    labels, (remark,) = read(words, patterns=True, negative=["None", "BLANK_well", "n"])
    assert labels == {"none": 0, "blank well": 0, "Homogeneous": 1, "N": 0}
    assert (
        remark == "the labels are read so: 'none' 3, 'blank well' 2, 'N' 1 negative; 'Homogeneous' 2 positive"
    )
    with pytest.raises(DatabaseError, match=r"negative='helthy': no label is that; .*'none' 3, .*'N' 1"):
        read(words, negative=["none", "helthy"])
    assert read("1+ 2, 2+ 2, 0 1", negative=["1+"])[0] == {"1+": 0, "2+": 1, "0": 0}
