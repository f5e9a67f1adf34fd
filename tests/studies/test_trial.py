import re
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from hep2lib.studies.trial import (
    FineTuningTrial,
    SVMTrial,
    choices,
    random_stream,
    read_trial,
    trial_fields,
    trial_id,
)

TRIAL = FineTuningTrial(freeze=11, batch_size=4, learning_rate=0.01, epochs=7, fold=0, seed=0)
CONTEXT = {"images": "a", "network": "b", "code": "0123abcd"}


def test_a_name_is_24_hexadecimal_digits_and_the_code_and_the_same_every_time():
    name = trial_id(TRIAL, CONTEXT)
    assert re.fullmatch("[0-9a-f]{24}-0123abcd", name)
    assert name == trial_id(replace(TRIAL), dict(reversed(CONTEXT.items())))


@pytest.mark.parametrize(
    "change",
    [
        {"freeze": 110},
        {"batch_size": 8},
        {"learning_rate": 0.001},
        {"epochs": 8},
        {"fold": 1},
        {"seed": 1},
        {"momentum": 0.8},
        {"l2": 0.0},
        {"bias_rate_factor": 1.0},
        {"head_rate_factor": 10.0},
        {"shuffle": "every-epoch"},
        {"last_batch": "keep"},
        {"rotations": 18},
        {"views_per_epoch": 1},
        {"precision": "bf16"},
        {"activations": "bf16"},
        {"class_weights": "balanced"},
        {"batchnorm": "alive"},
    ],
)
def test_whatever_changes_the_result_changes_the_name(change):
    assert trial_id(replace(TRIAL, **change), CONTEXT) != trial_id(TRIAL, CONTEXT)


def test_other_data_is_another_trial():
    assert trial_id(TRIAL, CONTEXT | {"images": "c"}) != trial_id(TRIAL, CONTEXT)


def test_other_code_gives_the_same_trial_another_name():
    other = trial_id(TRIAL, CONTEXT | {"code": "89abcdef"})
    assert other == trial_id(TRIAL, CONTEXT).replace("0123abcd", "89abcdef")


def test_the_fields_are_plain_values():
    assert trial_fields(SVMTrial(layer="pool2", fold=1, values=(0.1, 1.0))) == {
        "layer": "pool2",
        "fold": 1,
        "values": [0.1, 1.0],
        "regularisation": "C",
        "features": "start",
        "pooled": False,
        "rotations": 1,
        "refitted": False,
        "solver": "exact",
        "study": "svm",
    }


def test_the_papers_18_rotations_are_20_degrees_apart():
    assert replace(TRIAL, rotations=18).angles == tuple(range(0, 360, 20))
    assert TRIAL.angles == (0.0,)


def test_a_trial_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TRIAL.freeze = 12


def test_every_seed_and_fold_has_a_stream_of_its_own():
    streams = {random_stream(seed, fold) for seed in range(10) for fold in range(10)}
    assert len(streams) == 100
    assert all(0 <= stream < 2**63 for stream in streams)


def test_every_choice_says_where_it_comes_from():
    listed = choices()
    assert {one["field"] for one in listed} == {one.name for one in fields(FineTuningTrial)} - {"study"}
    for one in listed:
        assert one["read"] in {"in the paper", "at the source", "not verified", "ours"}
        assert one["source"]
        assert one["default"] == getattr(TRIAL, one["field"]) or one["default"] is None
    searched = [one["field"] for one in listed if one["default"] is None]
    assert searched == ["freeze", "batch_size", "learning_rate", "epochs", "fold", "seed"]


def test_a_trial_is_read_back_from_its_fields():
    assert read_trial(trial_fields(replace(TRIAL, rotations=18))) == replace(TRIAL, rotations=18)
