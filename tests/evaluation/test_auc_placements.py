"""The fast forms against their definitions, written out pair by pair."""

import numpy as np
import pytest

from hep2lib.evaluation.auc import ScoreError, auc, check_specimens, fold_sums, placements, specimen_sums


def ordered(x, y):
    """1 where the positive's score x is above the negative's y, one half where they are equal."""
    return 1.0 if x > y else 0.5 if x == y else 0.0


def definition(y, scores, specimen):
    """Obuchowski 1997, from the double sums: AUCs and their covariance."""
    areas, by_specimen = [], []
    names = sorted(set(specimen))
    positives, negatives = [i for i, v in enumerate(y) if v], [i for i, v in enumerate(y) if not v]
    m, n = len(positives), len(negatives)
    for score in scores:
        kernel = {(i, j): ordered(score[i], score[j]) for i in positives for j in negatives}
        area = sum(kernel.values()) / (m * n)
        above = {i: sum(kernel[i, j] for j in negatives) / n for i in positives}
        below = {j: sum(kernel[i, j] for i in positives) / m for j in negatives}
        first = [sum(above[i] - area for i in positives if specimen[i] == s) for s in names]
        second = [sum(below[j] - area for j in negatives if specimen[j] == s) for s in names]
        areas.append(area)
        by_specimen.append((first, second))
    with_positive = len({specimen[i] for i in positives})
    with_negative = len({specimen[j] for j in negatives})
    everyone = len(names)
    covariance = np.empty((len(scores), len(scores)))
    for a, (first_a, second_a) in enumerate(by_specimen):
        for b, (first_b, second_b) in enumerate(by_specimen):
            s10 = with_positive / ((with_positive - 1) * m) * np.dot(first_a, first_b)
            s01 = with_negative / ((with_negative - 1) * n) * np.dot(second_a, second_b)
            s11 = everyone / (everyone - 1) * (np.dot(first_a, second_b) + np.dot(second_a, first_b))
            covariance[a, b] = s10 / m + s01 / n + s11 / (m * n)
    return areas, covariance


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mixed", [False, True])
def test_fast_form_is_the_definition_with_ties(seed, mixed):
    generator = np.random.default_rng(seed)
    specimen = np.sort(generator.integers(0, 15, 60))
    y = generator.integers(0, 2, 60) if mixed else (specimen % 2)
    scores = np.round(generator.normal(size=(3, 60)) + y, 0 if seed % 2 else 2)
    sums = specimen_sums(y, scores, specimen)
    areas, covariance = definition(y.tolist(), scores.tolist(), specimen.tolist())
    np.testing.assert_allclose(sums.auc, areas, rtol=0, atol=1e-13)
    np.testing.assert_allclose(sums.covariance(), covariance, rtol=0, atol=1e-15)
    np.testing.assert_allclose(sums.variances(), np.diag(covariance), rtol=0, atol=1e-15)


def test_one_image_a_specimen_is_delong():
    generator = np.random.default_rng(9)
    y = np.array([0, 1] * 20)
    scores = np.round(generator.normal(size=(2, 40)) + y, 1)
    sums = specimen_sums(y, scores, np.arange(40))
    above, below = placements(y, scores)
    expected = np.cov(above) / 20 + np.cov(below) / 20
    np.testing.assert_allclose(sums.covariance(), expected, rtol=1e-12)


def test_placements_average_to_the_auc():
    generator = np.random.default_rng(2)
    y, score = np.array([0, 0, 0, 1, 1]), generator.integers(0, 4, 5).astype(float)
    above, below = placements(y, score[None])
    assert above.mean() == pytest.approx(auc(y, score))
    assert below.mean() == pytest.approx(auc(y, score))


def test_copied_images_add_no_information():
    generator = np.random.default_rng(4)
    y, score = np.array([0, 1] * 15), generator.normal(size=30)
    once = specimen_sums(y, score[None], np.arange(30)).variances()[0]
    thrice = specimen_sums(
        np.repeat(y, 3), np.repeat(score, 3)[None], np.repeat(np.arange(30), 3)
    ).variances()[0]
    assert thrice == pytest.approx(once, rel=1e-12)


def test_disjoint_pairs_of_specimens():
    def pairs(positive, negative, both):
        y = [1] * positive + [0] * negative + [1, 0] * both
        owner = [*range(positive + negative), *(positive + negative + k // 2 for k in range(2 * both))]
        return specimen_sums(
            np.array(y), np.random.default_rng(0).normal(size=(1, len(y))), np.array(owner)
        ).pairs

    assert pairs(5, 3, 0) == 3
    assert pairs(0, 0, 5) == 2
    assert pairs(2, 1, 2) == 2


def test_folds_are_kept_apart():
    y = np.array([0, 0, 1, 1] * 2)
    score = np.array([1, 2, 3, 4, 11, 12, 13, 14.0])
    parts = fold_sums(y, score, np.arange(8), [0, 0, 0, 0, 1, 1, 1, 1])
    assert [part.auc[0] for part in parts] == [1.0, 1.0]
    assert fold_sums(y, score, np.arange(8))[0].auc[0] < 1


def test_refusals():
    y, score = [0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]
    with pytest.raises(ScoreError, match="All 2 positive images belong to one specimen"):
        fold_sums(y, score, ["a", "b", "c", "c"])
    with pytest.raises(ScoreError, match="In fold 1: All 2 images are positive"):
        fold_sums([0, 0, 1, 1, 1, 1], range(6), list("abcdef"), [0, 0, 0, 0, 1, 1])
    with pytest.raises(ScoreError, match="tested in two folds"):
        fold_sums([0, 1, 0, 1], score, ["a", "b", "a", "c"], [0, 0, 1, 1])
    with pytest.raises(ScoreError, match="4 images and specimens of shape"):
        fold_sums(y, score, ["a"])
    with pytest.raises(ScoreError, match="4 images and fold numbers of shape"):
        fold_sums(y, score, None, [0, 1])
    with pytest.raises(ScoreError, match="not finite"):
        fold_sums(y, [score, [0, 1, np.nan, 3]], None)
    for missing in (None, float("nan"), ""):
        with pytest.raises(ScoreError, match="Row 1 names no specimen"):
            check_specimens(np.array(["a", missing], dtype=object), 2)
