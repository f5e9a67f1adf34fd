import hashlib
import re
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hep2lib.data.folds import (
    Fold,
    FoldError,
    NoFoldsError,
    check_folds,
    read_folds,
    specimen_folds,
    write_folds,
)


def database(specimens: list[list[int]]) -> pd.DataFrame:
    """One list of labels a specimen."""
    rows = [
        (f"{s}-{i}.png", f"s{s}", label)
        for s, labels in enumerate(specimens)
        for i, label in enumerate(labels)
    ]
    table = pd.DataFrame(rows, columns=["image", "specimen", "label"])
    return table.astype({"label": "int8"})


def aida_like(specimens: int = 100) -> pd.DataFrame:
    sizes = [1 + s % 3 for s in range(specimens)]
    return database([[int(s % 25 >= 7)] * size for s, size in enumerate(sizes)])


@settings(deadline=None, max_examples=150)
@given(
    specimens=st.lists(
        st.builds(
            lambda labels, times: labels * times,
            st.lists(st.integers(0, 1), min_size=1, max_size=4),
            st.sampled_from((1, 1, 1, 2, 15)),
        ),
        min_size=1,
        max_size=60,
    ),
    k=st.integers(2, 7),
    seed=st.integers(0, 5),
)
def test_folds_are_sound_or_refused(specimens: list[list[int]], k: int, seed: int) -> None:
    """Of any number of specimens of any labels and sizes, some fifteen times as large as others."""
    table = database(specimens)
    having = [sum(label in labels for labels in specimens) for label in (0, 1)]
    if min(having) < 2 * k:
        with pytest.raises(FoldError) as error:
            specimen_folds(table, k, seed)
        works = re.search(r"--set folds=(\d+)", str(error.value))
        assert (works is None) == isinstance(error.value, NoFoldsError) == (min(having) < 4)
        if works:
            check_folds(specimen_folds(table, int(works[1]), seed), table)
        return
    folds = specimen_folds(table, k, seed)
    check_folds(folds, table)
    labels, names = table["label"].to_numpy(), table["specimen"].to_numpy()
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in folds])), np.arange(len(table)))
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        assert all(part.dtype == np.int64 and np.array_equal(part, np.unique(part)) for part in parts)
        assert all(set(labels[part]) == {0, 1} for part in parts)
        assert min(len(set(names[fold.test][labels[fold.test] == label])) for label in (0, 1)) > 1
        assert not set(names[fold.train]) & set(names[fold.validation])
        assert not set(names[fold.test]) & set(names[np.concatenate([fold.train, fold.validation])])


@settings(deadline=None, max_examples=60)
@given(
    negatives=st.lists(st.integers(1, 4), min_size=10, max_size=60),
    positives=st.lists(st.integers(1, 4), min_size=10, max_size=90),
    seed=st.integers(0, 3),
)
def test_shares_are_right_to_one_specimen_of_each_class(
    negatives: list[int], positives: list[int], seed: int
) -> None:
    table = database([[0] * size for size in negatives] + [[1] * size for size in positives])
    labels = table["label"].to_numpy()
    for fold in specimen_folds(table, 5, seed):
        for label, sizes in ((0, negatives), (1, positives)):
            images, largest = sum(sizes), max(sizes)
            tested = (labels[fold.test] == label).sum()
            validated = (labels[fold.validation] == label).sum()
            assert abs(tested - 0.2 * images) <= largest
            assert abs(validated - 0.2 * (images - tested)) <= largest


def test_shares_of_a_database_like_aida() -> None:
    table = aida_like(1000)
    for fold in specimen_folds(table):
        shares = [len(part) / len(table) for part in (fold.train, fold.validation, fold.test)]
        assert shares == pytest.approx([0.64, 0.16, 0.20], abs=0.002)
        for part in (fold.train, fold.validation, fold.test):
            assert table["label"].iloc[part].mean() == pytest.approx(table["label"].mean(), abs=0.01)


def test_scarce_mixed_specimens_serve_both_classes() -> None:
    table = database([[0, 1]] * 4 + [[0]] * 6 + [[1]] * 6)
    check_folds(specimen_folds(table, 5), table)


@pytest.mark.parametrize("label", [0, 1])
def test_a_specimen_as_large_as_all_others_does_not_stand_alone_in_a_test_part(label: int) -> None:
    table = database([[label] * 20, *[[label]] * 3, *[[1 - label]] * 4])
    folds = specimen_folds(table, 2)
    check_folds(folds, table)
    for fold in folds:
        tested = table.iloc[fold.test].groupby("label")["specimen"].nunique()
        assert tested.to_dict() == {0: 2, 1: 2}


def test_folds_of_published_runs_are_dealt_again() -> None:
    parts = [tuple(map(np.ndarray.tolist, astuple(fold))) for fold in specimen_folds(aida_like())]
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    assert digest == "fd3adc022f313f8c41d3c03b45921fb04fb5a4ff309177ace775ebc92dc876ff"


def test_seed_and_row_order() -> None:
    table = aida_like()
    first = specimen_folds(table, seed=1)
    again = specimen_folds(table, seed=1)
    other = specimen_folds(table, seed=2)
    assert all(
        np.array_equal(a.test, b.test) and np.array_equal(a.train, b.train)
        for a, b in zip(first, again, strict=True)
    )
    assert any(not np.array_equal(a.test, b.test) for a, b in zip(first, other, strict=True))
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    for a, b in zip(first, specimen_folds(shuffled, seed=1), strict=True):
        assert set(table["image"].iloc[a.validation]) == set(shuffled["image"].iloc[b.validation])


def test_too_few_specimens_says_which_class_and_what_works() -> None:
    table = database([[0]] * 7 + [[1]] * 20)
    with pytest.raises(FoldError) as error:
        specimen_folds(table, 5)
    assert str(error.value) == (
        "5 folds divide the specimens into 5 parts, each of which is tested once and needs two specimens of "
        "either class, 10 in all; there are 7 specimens with negative images and 20 specimens with positive "
        "images; 3 folds work: --set folds=3, or folds: 3 in a profile"
    )
    check_folds(specimen_folds(table, 3), table)
    with pytest.raises(
        NoFoldsError, match=r"3 specimens with positive images; at least four of either class"
    ):
        specimen_folds(database([[0]] * 9 + [[1]] * 3), 2)
    check_folds(specimen_folds(database([[0]] * 9 + [[1]] * 4), 2), database([[0]] * 9 + [[1]] * 4))
    with pytest.raises(FoldError, match="at least 2 folds"):
        specimen_folds(table, 1)
    with pytest.raises(FoldError, match="each of label 0 or 1"):
        specimen_folds(table.assign(label=2))


def test_written_folds_are_read_back(tmp_path: Path) -> None:
    table = aida_like(30)
    folds = specimen_folds(table)
    path = tmp_path / "run" / "folds.csv"
    write_folds(folds, table, path)
    assert path.read_text(encoding="utf-8").splitlines()[0] == "image,specimen,label,fold,part"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 5 * len(table)
    assert [p.name for p in path.parent.iterdir()] == ["folds.csv"]
    for made, read in zip(folds, read_folds(path, table), strict=True):
        assert np.array_equal(made.train, read.train)
        assert np.array_equal(made.validation, read.validation)
        assert np.array_equal(made.test, read.test)
    reversed_table = table.iloc[::-1].reset_index(drop=True)
    moved = read_folds(path, reversed_table)
    assert set(reversed_table["image"].iloc[moved[0].test]) == set(table["image"].iloc[folds[0].test])


def test_unusable_fold_files(tmp_path: Path) -> None:
    table = aida_like(30)
    path = tmp_path / "folds.csv"
    with pytest.raises(FoldError, match="cannot be read"):
        read_folds(path, table)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FoldError, match="not a file of folds"):
        read_folds(path, table)
    write_folds(specimen_folds(table), table, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    with pytest.raises(FoldError, match=r"line 2: image .* belong to another one"):
        read_folds(path, table.assign(specimen="s"))
    path.write_text("\n".join([*lines, "x"]), encoding="utf-8")
    with pytest.raises(FoldError, match=rf"line {len(lines) + 1}: damaged"):
        read_folds(path, table)
    path.write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(FoldError, match="fold 5: its parts do not hold every image exactly once"):
        read_folds(path, table)
    assert {line.split(",")[3] for line in lines[1:]} == {"1", "2", "3", "4", "5"}
    others = [lines[0], *(line for line in lines[1:] if line.split(",")[3] != "1")]
    path.write_text("\n".join(others), encoding="utf-8")
    with pytest.raises(FoldError, match=r"numbered 1, 2, 3, \.\.\., not 2, 3, 4, 5; delete the file"):
        read_folds(path, table)


def test_a_fold_is_called_by_the_number_it_has_in_its_file(tmp_path: Path) -> None:
    table = aida_like(30)
    path = tmp_path / "folds.csv"
    write_folds(specimen_folds(table), table, path)
    lines = path.read_text(encoding="utf-8").splitlines()
    row = next(i for i, line in enumerate(lines) if line.endswith(",3,train"))
    lines[row] = lines[row].replace(",3,train", ",3,test")
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(FoldError, match=r"folds\.csv: fold 3: specimen "):
        read_folds(path, table)


def fold(train: list[int], validation: list[int], test: list[int]) -> Fold:
    return Fold(*(np.array(part, dtype=np.int64) for part in (train, validation, test)))


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "not every image is tested"),
        ([fold([0, 1], [2, 3], [4, 5]), fold([4, 5], [2, 3], [0, 1])], "not every image is tested"),
        ([fold([0, 1], [2, 3], [4])], "fold 1: its parts do not hold every image"),
        ([fold([0, 1], [2, 3, 4], [4, 5])], "fold 1: its parts do not hold every image"),
        ([fold([0, 2], [1, 3], [4, 5])], "fold 1: its train part has no positive image"),
        ([fold([0, 3], [1, 2], [4, 5])], "fold 1: specimen 'a' is in train and in validation"),
    ],
)
def test_unsound_folds_are_found(folds: list[Fold], message: str) -> None:
    table = pd.DataFrame({"label": [0, 1, 0, 1, 0, 1], "specimen": list("aabbcc")})
    with pytest.raises(FoldError, match=message):
        check_folds(folds, table)
