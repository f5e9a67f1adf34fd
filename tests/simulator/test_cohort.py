from dataclasses import replace

import numpy as np
import pytest

from hep2lib.simulator.cohort import both_labels, dealt, image_counts, quotas, share_of_images, stratified
from hep2lib.simulator.patterns import (
    BRIGHT_NEGATIVE,
    LOOK_FOR,
    NEGATIVE,
    PATTERNS,
    SINGLE,
    codes,
    compartment,
    find_pattern,
)
from hep2lib.simulator.physics import Physics
from hep2lib.simulator.simulation import Simulation
from hep2lib.simulator.staining import STAININGS

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


def drawn(**options):
    return Simulation(**options).draw()


def test_every_pattern_occurs_in_the_default_database():
    _, specimens = drawn(seed=0)
    names = {pattern.name for pattern in PATTERNS if len(pattern.parts) == 1}
    assert names <= {specimen.pattern for specimen in drawn(seed=0, specimens=300)[1]}
    assert len(names & {specimen.pattern for specimen in specimens}) >= 14
    assert {NEGATIVE, BRIGHT_NEGATIVE} <= {specimen.pattern for specimen in specimens}


def test_every_pattern_can_be_drawn_and_found():
    for pattern in PATTERNS:
        assert find_pattern(pattern.name) is pattern
        assert all(code in STAININGS for code, _ in pattern.parts)
    assert find_pattern("AC-3").name == "centromere"
    with pytest.raises(KeyError, match="no pattern 'stripes'; there are homogeneous, "):
        find_pattern("stripes")


def test_laboratory_and_format_say_nothing_about_the_label():
    _, specimens = drawn(seed=2, specimens=1000)
    for attribute in ("laboratory", "format"):
        kinds = np.unique([str(getattr(s, attribute)) for s in specimens])
        for kind in kinds:
            labels = [s.label for s in specimens if str(getattr(s, attribute)) == kind]
            assert np.mean(labels) == pytest.approx(np.mean([s.label for s in specimens]), abs=0.06)


def test_the_shortcut_lets_the_size_tell_most_labels():
    laboratories, specimens = drawn(seed=1, shortcut=True)
    small = np.array([s.size != laboratories[s.laboratory].size for s in specimens])
    label = np.array([s.label for s in specimens])
    assert small[label == 0].mean() > 0.75
    assert small[label == 1].mean() < 0.25
    laboratories, specimens = drawn(seed=1)
    assert all(s.size == laboratories[s.laboratory].size for s in specimens)


def test_label_noise_changes_what_is_written_and_not_what_is_true():
    _, specimens = drawn(seed=1, label_noise=0.1)
    assert sum(s.label != s.written_label for s in specimens) == 10
    assert [s.label for s in specimens] == [s.label for s in drawn(seed=1)[1]]
    assert all((s.grade == "0") == (s.label == 0) for s in specimens)


def test_light_follows_the_grade_and_traces_stay_below_it():
    _, specimens = drawn(seed=4, specimens=400)
    parameters = Physics().specimen
    for grade, level in zip(parameters.grades, parameters.grade_levels, strict=True):
        levels = [s.level for s in specimens if s.grade == grade]
        assert np.exp(np.mean(np.log(levels))) == pytest.approx(level, rel=0.08)
    negative = [s for s in specimens if s.label == 0]
    assert max(s.level for s in negative) <= parameters.trace_level[1]
    assert all((s.level > 0) == bool(s.stained) for s in negative)


def test_streams_of_databases_seeds_and_specimens_are_apart():
    simulation = Simulation(seed=0)
    first, second = simulation.draw()[1][:2]
    streams = [
        simulation.specimen_stream(first),
        simulation.specimen_stream(second),
        Simulation(seed=1).specimen_stream(first),
        Simulation(seed=0, apart=True).specimen_stream(first),
        simulation.specimen_stream(replace(first, name="another name")),
    ]
    numbers = [stream.integers(2**62) for stream in streams]
    assert len(set(numbers)) == 4
    assert numbers[0] == numbers[-1]


def test_laboratories_differ_and_sizes_are_near_four_to_three():
    laboratories, _ = drawn(seed=0)
    assert len({laboratory.size for laboratory in laboratories}) == 7
    assert {laboratory.format for laboratory in laboratories} == {"JPG", "BMP", "PNG"}
    for laboratory in laboratories:
        assert laboratory.size[0] / laboratory.size[1] == pytest.approx(4 / 3, rel=0.01)
        assert 0.2 < laboratory.pixel < 0.5


def test_a_pattern_of_any_database_has_codes_and_a_compartment_if_its_name_says_so():
    assert codes("Fine Speckled") == ("AC-4",)
    assert codes("homogeneous, Golgi") == ("AC-1", "AC-22")
    assert codes("homogeneous + stripes") == ()
    assert codes("ac5, AC-13") == ("AC-5", "AC-13")
    assert codes("negative") == codes("stripes") == codes("") == ()
    assert [compartment(name) for name in ("AC-14", "AC-29", "golgi", "NuMA-like")] == [
        *("nuclear", "nuclear", "cytoplasmic", "mitotic")
    ]
    assert compartment("fine speckled + homogeneous nucleolar") == "nuclear"
    assert [compartment(name) for name in ("fine speckled + cytoplasmic reticular", "stripes", "AC-0")] == [
        ""
    ] * 3


def test_it_is_said_of_every_single_pattern_what_to_look_for():
    assert list(LOOK_FOR) == list(SINGLE)
