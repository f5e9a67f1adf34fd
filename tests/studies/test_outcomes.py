import numpy as np
import pytest

from hep2lib.data.folds import Fold
from hep2lib.studies.outcomes import (
    FineTuningOutcome,
    LayerChoice,
    OutcomeError,
    SVMOutcome,
    out_of_fold,
)

LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1])


def part(*rows):
    return np.array(rows, dtype=np.int64)


FOLDS = [Fold(part(), part(2, 3), part(0, 1)), Fold(part(), part(0, 1), part(2, 3))]
RIGHT, EVEN, WRONG = [0.1, 0.9], [0.5, 0.5], [0.9, 0.1]


def record(fold, validations, tests=None, *, freeze=11, batch_size=4, rate=0.01, rotations=1):
    """One training; an entry of ``validations`` and ``tests`` an epoch."""
    tests = tests or [EVEN] * len(validations)
    epochs = [
        {"epoch": number, "loss": 0.5, "validation": validation, "test": test}
        for number, (validation, test) in enumerate(zip(validations, tests, strict=True), start=1)
    ]
    trial = {"freeze": freeze, "batch_size": batch_size, "learning_rate": rate, "rotations": rotations}
    return {"trial": trial | {"fold": fold, "seed": 0}, "epochs": epochs, "seconds": 1.0}


def outcome(*records):
    return FineTuningOutcome(records, LABELS, FOLDS)


def both(validations, **cell):
    return [record(fold, validations, **cell) for fold in (0, 1)]


def test_scores_out_of_fold_keep_row_fold_and_label():
    table = out_of_fold(FOLDS, LABELS, [RIGHT, WRONG], "test")
    assert table.to_dict("list") == {
        "row": [0, 1, 2, 3],
        "fold": [0, 0, 1, 1],
        "score": [0.1, 0.9, 0.9, 0.1],
        "label": [0, 1, 0, 1],
    }


def test_the_table_has_a_row_a_trial_and_epoch():
    table = outcome(record(0, [WRONG, RIGHT], [RIGHT, EVEN])).table()
    assert table[["epoch", "validation_auc", "test_auc"]].to_numpy().tolist() == [[1, 0, 1], [2, 1, 0.5]]


def test_the_best_is_chosen_on_validation_whatever_the_test_says():
    good_on_test = [record(fold, [EVEN], [RIGHT], rate=0.1) for fold in (0, 1)]
    best = outcome(*good_on_test, *both([RIGHT], rate=0.01)).best()
    assert (best.learning_rate, best.validation_auc) == (0.01, 1.0)


def test_of_equal_areas_the_lowest_log_loss_decides():
    near, sure = [0.4, 0.6], [0.0, 1.0]
    best = outcome(*both([near, RIGHT, near])).best()
    assert (best.epoch, best.validation_auc, best.tied) == (2, 1.0, 3)
    assert best.validation_loss == pytest.approx(-np.log(0.9))
    saturated = outcome(*both([RIGHT], freeze=139), *both([sure], freeze=11)).best()
    assert (saturated.freeze, saturated.validation_loss) == (11, 0)
    # In order, but sure of one label everywhere; and the lowest loss of all with a lower area.
    leaning = outcome(*both([[0.99, 1.0]], freeze=139), *both([near], freeze=11), *both([EVEN], freeze=110))
    assert leaning.best().freeze == 11
    wrong_and_sure = outcome(*both([[1.0, 0.0]])).best()
    assert np.isfinite(wrong_and_sure.validation_loss)


def test_each_fold_and_each_kind_of_training_choose_by_the_same_rule():
    near = [0.4, 0.6]
    study = outcome(
        record(0, [near, RIGHT]),
        record(1, [RIGHT, near]),
        *both([[0.2, 0.8]], rotations=18),
        *both([EVEN], rate=1),
    )
    assert [(c.epoch, c.rotations, c.tied) for c in study.nested(rotated=None)] == [(2, 1, 3), (1, 1, 3)]
    assert (study.best(rotated=None).rotations, study.best(rotated=None).tied) == (18, 3)
    assert study.best().rotations == 1
    assert outcome(*both([RIGHT]), *both([RIGHT], rotations=18)).best(rotated=None).rotations == 1


def test_a_tie_is_a_tie_whatever_the_last_digit():
    table = outcome(*both([RIGHT, RIGHT, RIGHT])).means()
    table["validation_auc"] = [0.1 + 0.2, 0.3, 0.2]
    table["validation_loss"] = [0.5, 0.4, 0.1]
    chosen = FineTuningOutcome.choose(table)
    assert (chosen.epoch, chosen.tied) == (2, 2)
    table["validation_loss"] = [0.4 + 1e-12, 0.4, 0.1]
    assert FineTuningOutcome.choose(table).epoch == 1


def test_of_equals_the_one_that_trains_for_less():
    best = outcome(*both([RIGHT, RIGHT], freeze=11), *both([RIGHT, RIGHT], freeze=139)).best()
    assert (best.epoch, best.freeze) == (1, 139)
    best = outcome(*both([RIGHT], batch_size=4), *both([RIGHT], batch_size=64)).best()
    assert best.batch_size == 64


def test_rotated_and_plain_trainings_are_chosen_apart():
    study = outcome(*both([EVEN]), *both([RIGHT], rotations=18))
    assert study.best().rotations == 1
    assert study.best(rotated=True).rotations == 18


def test_a_depth_of_its_own():
    study = outcome(*both([RIGHT], freeze=11), *both([EVEN], freeze=139))
    assert study.best(139).freeze == 139
    with pytest.raises(OutcomeError, match="no configuration at freeze depth 110 without rotations"):
        study.best(110)


def test_a_configuration_that_diverged_in_one_fold_is_never_chosen():
    diverged = [record(0, [RIGHT], rate=1.0), record(1, [], rate=1.0)]
    assert outcome(*diverged, *both([WRONG])).best().learning_rate == 0.01
    with pytest.raises(OutcomeError, match="every configuration diverged in some fold; try smaller learning"):
        outcome(*diverged).best()


def test_a_study_in_which_all_diverged():
    with pytest.raises(OutcomeError, match="every trial diverged; try smaller learning rates"):
        outcome(*both([])).best()


def test_the_scores_are_those_of_the_chosen_epoch():
    study = outcome(record(1, [EVEN, RIGHT], [EVEN, WRONG]), record(0, [EVEN, RIGHT], [EVEN, RIGHT]))
    best = study.best()
    assert best.epoch == 2
    assert study.scores(best)["score"].tolist() == [0.1, 0.9, 0.9, 0.1]
    assert study.scores(best, "validation")["row"].tolist() == [2, 3, 0, 1]


def svm_record(fold, layer, validation, test):
    trial = {"layer": layer, "fold": fold, "values": [0.1, 1.0]}
    return {"trial": trial, "validation": validation, "test": test}


@pytest.fixture
def svm():
    records = [
        svm_record(fold, layer, validation, [WRONG, RIGHT])
        for layer, validation in (
            ("pool2", [EVEN, RIGHT]),
            ("pool1", [RIGHT, RIGHT]),
            ("pool5", [EVEN, EVEN]),
        )
        for fold in (0, 1)
    ]
    return SVMOutcome(records, LABELS, FOLDS)


def svm_of(**layers):
    """By layer, validation margins of both values; the same in both folds."""
    records = [svm_record(fold, layer, two, [EVEN, EVEN]) for layer, two in layers.items() for fold in (0, 1)]
    return SVMOutcome(records, LABELS, FOLDS)


def test_of_equal_areas_the_lowest_hinge_loss_decides():
    near, wide, shifted = [-0.5, 0.5], [-2.0, 3.0], [5.0, 6.0]
    study = svm_of(data=[near, near], pool2=[near, wide], prob=[shifted, shifted])
    assert study.best() == LayerChoice("pool2", 1.0, 1.0, 0.0, 6)
    assert [(c.layer, c.value, c.tied) for c in study.nested()] == [("pool2", 1.0, 6)] * 2
    assert study.best("data", "prob") == LayerChoice("data", 0.1, 1.0, 0.5, 4)
    assert study.along_the_network()["value"].tolist() == [0.1, 0.1, 1.0, 1.0, 0.1, 0.1]
    # Image 2 (negative) at 5: 6, image 3 (positive) at 6: 0.
    assert study.table().query("layer == 'prob'")["validation_loss"].tolist() == [3.0] * 4


def test_a_lower_loss_is_no_excuse_for_a_lower_area():
    assert svm_of(data=[EVEN, EVEN], pool2=[[5.0, 6.0], EVEN]).best().layer == "pool2"


def test_what_is_equal_even_then_is_the_strongest_penalty_and_the_earliest_layer(svm):
    best = svm.best()
    assert (best.layer, best.value, best.tied) == ("pool1", 0.1, 3)
    same = svm_of(pool2=[RIGHT, RIGHT], pool1=[RIGHT, RIGHT])
    assert (same.best().layer, same.best().value) == ("pool2", 0.1)
    for record in same.records:
        record["trial"]["regularisation"] = "lambda"
    assert (same.best().layer, same.best().value) == ("pool2", 1.0)
    assert [(c.layer, c.value) for c in same.nested()] == [("pool2", 1.0)] * 2


def test_the_layers_stay_in_the_studys_order(svm):
    assert svm.means()["layer"].tolist() == ["pool2", "pool2", "pool1", "pool1", "pool5", "pool5"]


def test_margins_of_the_chosen_value(svm):
    assert svm.scores(svm.best("pool1"))["score"].tolist() == [*WRONG, *WRONG]
    with pytest.raises(OutcomeError, match="no trial on layer 'pool3' or 'pool4'"):
        svm.best("pool3", "pool4")


def test_each_fold_may_choose_its_own_configuration():
    study = outcome(
        record(0, [EVEN, RIGHT], [WRONG, WRONG], rate=0.1),
        record(1, [WRONG, EVEN], [WRONG, WRONG], rate=0.1),
        record(0, [EVEN], [RIGHT], rate=0.2),
        record(1, [RIGHT], [RIGHT], rate=0.2),
    )
    assert [(c.learning_rate, c.epoch, c.validation_auc) for c in study.nested()] == [
        (0.1, 2, 1),
        (0.2, 1, 1),
    ]
    assert study.best().learning_rate == 0.2
    assert study.scores(study.nested())["score"].tolist() == [*WRONG, *RIGHT]


def test_a_training_with_another_seed_or_live_normalisation_is_never_chosen():
    better = [record(fold, [RIGHT], rate=0.2) for fold in (0, 1)]
    for other in better:
        other["trial"] |= {"seed": 1}
    alive = [record(fold, [RIGHT], rate=0.3) for fold in (0, 1)]
    for other in alive:
        other["trial"] |= {"batchnorm": "alive"}
    study = outcome(*both([EVEN], rate=0.1), *better, *alive)
    assert study.best().learning_rate == 0.1
    assert {choice.learning_rate for choice in study.nested()} == {0.1}
