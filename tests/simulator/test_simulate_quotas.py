import numpy as np
import pytest

from hep2lib.simulator.cohort import both_labels, dealt, image_counts, quotas, share_of_images, stratified

SHARES = (0.34, 0.33, 0.24, 0.09)


def test_quotas_are_the_largest_remainders():
    assert quotas([0.5, 0.3, 0.2], 10).tolist() == [5, 3, 2]
    assert quotas([1, 1, 1], 4).tolist() == [2, 1, 1]
    assert quotas([2, 0, 1], 0).tolist() == [0, 0, 0]


def test_dealt_kinds_keep_their_quotas_in_random_order():
    kinds = dealt(np.random.default_rng(0), [3, 1], 40)
    assert np.bincount(kinds).tolist() == [30, 10]
    assert not np.array_equal(kinds, np.sort(kinds))


def test_stratified_numbers_fall_one_into_each_part():
    numbers = stratified(np.random.default_rng(1), 20)
    assert sorted((numbers * 20).astype(int).tolist()) == list(range(20))


@pytest.mark.parametrize(("specimens", "images"), [(100, 208), (1000, 2080), (2, 4), (12, 25), (24, 50)])
@pytest.mark.parametrize("seed", range(5))
def test_every_database_has_its_number_of_images(specimens, images, seed):
    counts = image_counts(np.random.default_rng(seed), SHARES, 2.08, specimens)
    assert len(counts) == specimens
    assert counts.sum() == images
    assert counts.min() >= 1
    assert counts.max() <= 4


@pytest.mark.parametrize(("specimens", "positive"), [(100, 150), (1000, 1498)])
@pytest.mark.parametrize("seed", range(5))
def test_positive_images_are_as_many_as_in_aida(specimens, positive, seed):
    rng = np.random.default_rng(seed)
    counts = image_counts(rng, SHARES, 2.08, specimens)
    assert counts[both_labels(rng, counts, 0.72) == 1].sum() == positive


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_labels_occur_whatever_the_share(share):
    label = both_labels(np.random.default_rng(0), np.array([4, 4, 4]), share)
    assert sorted(set(label.tolist())) == [0, 1]


def test_a_share_of_images_is_never_exceeded():
    counts = np.array([4, 4, 4])
    assert not share_of_images(np.random.default_rng(0), counts, 0.29).any()
    assert share_of_images(np.random.default_rng(0), counts, 0.34).sum() == 1
