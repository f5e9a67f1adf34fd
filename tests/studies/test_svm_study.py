import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.data.folds import Fold
from hep2lib.errors import InputError
from hep2lib.ranking import auc
from hep2lib.studies import execution
from hep2lib.studies import gram as gram_module
from hep2lib.studies import svm_study as studying
from hep2lib.studies.gram import SVMError, gram_matrices
from hep2lib.studies.inputs import StudyInputs
from hep2lib.studies.svm import svm_path
from hep2lib.studies.svm_study import BLOCKS, SINGLE_TENSOR, svm_study
from hep2lib.studies.trial import SVMTrial, SVMVariant, TrialStore

SOME = ("pool2-3x3_s2", "pool5-7x7_s1")
VALUES = (0.01, 1.0)


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path / "trials")


def by_hand(inputs, fold, rows=None, **options):
    """Validation and test margins of a fold on the first of the layers, without the study."""
    ((_, gram),) = gram_matrices(inputs.network, inputs.images, SOME[:1], **options)
    views = len(options.get("views", (0.0,)))
    return svm_path(gram, np.tile(inputs.labels, views), rows or inputs.folds[fold], VALUES)


def test_where_a_single_tensor_flows():
    assert len(SINGLE_TENSOR) == 23
    assert SINGLE_TENSOR[0] == "data"
    assert {"pool1-3x3_s2", "pool3-3x3_s2", "pool4-3x3_s2", "inception_3a-output"} <= set(SINGLE_TENSOR)
    assert not any(name.endswith(("1x1", "pool_proj", "-pool")) for name in SINGLE_TENSOR)
    assert len(BLOCKS) == 11
    assert (BLOCKS[0], BLOCKS[-1]) == ("pool2-3x3_s2", "pool5-7x7_s1")


def test_a_study_has_every_layer_and_fold_and_is_computed_once(inputs, store, monkeypatch):
    first = svm_study(inputs, store, SOME, VALUES)
    assert [(r["trial"]["layer"], r["trial"]["fold"]) for r in first.records] == [
        (layer, fold) for layer in SOME for fold in (0, 1)
    ]
    assert (first.layers, first.fits) == (list(SOME), 8)
    assert set(first.table()["value"]) == set(VALUES)
    assert 0 <= first.best().validation_auc <= 1
    assert first.gap <= 1e-9
    np.testing.assert_allclose(first.records[1]["test"], by_hand(inputs, 1).test, rtol=1e-8)

    def computed(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(studying, "gram_matrices", computed)
    more = svm_study(inputs, store, SOME, (0.1,))  # other values, the same matrices
    assert len(more.records) == 4
    monkeypatch.setattr(studying, "fit_path", computed)
    assert svm_study(inputs, store, SOME, VALUES).records == first.records


def test_much_work_goes_to_processes_and_a_cluster_takes_it_all(inputs, store, monkeypatch):
    sent = []

    def run(jobs, *arguments, **options):
        sent.append(pickle.loads(pickle.dumps(jobs)))  # as an executor sends them
        with arguments[1]():
            return run_trials(jobs, *arguments, **options)

    run_trials = execution.run_trials
    asked = []
    executor_for = execution.executor_for
    monkeypatch.setattr(studying, "run_trials", run)
    monkeypatch.setattr(studying, "executor_for", lambda workers: asked.append(workers) or executor_for(1))
    svm_study(replace(inputs, workers=0), store, SOME[:1], VALUES)
    assert set(asked) == {1}
    monkeypatch.setattr(studying, "WORTH_A_PROCESS", 0.0)
    svm_study(replace(inputs, workers=0), store, SOME[1:], VALUES)
    assert asked[-1] == 0
    svm_study(replace(inputs, workers=3), store, SOME[1:], (1.0,))
    assert asked[-1] == 3
    assert [len(jobs) for jobs in sent] == [2, 2, 2]
    monkeypatch.setattr(StudyInputs, "executor", lambda self: asked.append(self.scheduler) or executor_for(1))
    svm_study(replace(inputs, scheduler="tcp://somewhere"), store, SOME[1:], (2.0,))
    assert asked[-1] == "tcp://somewhere"


def test_a_matrix_that_was_altered_is_computed_again_and_one_that_is_gone_has_a_message(
    inputs, store, tmp_path, capsys
):
    first = svm_study(inputs, store, SOME[:1], VALUES)
    (file,) = inputs.cache.glob("gram-*.npy")
    whole = file.read_bytes()
    for damage in (whole[:200], whole[:-8] + bytes(8), b""):
        file.write_bytes(damage)
        again = svm_study(inputs, TrialStore(tmp_path / str(len(damage))), SOME[:1], VALUES)
        assert [r["test"] for r in again.records] == [r["test"] for r in first.records]
        assert file.read_bytes() == whole
    assert "not what was written there" in capsys.readouterr().err
    file.unlink()
    trial = SVMTrial(layer=SOME[0], fold=0, values=VALUES)
    with pytest.raises(SVMError, match="not to be seen from here"):
        studying.fit_path(file.with_name("gram-0123abcd.npy"), inputs.labels, inputs.folds[0], trial, {})


def test_a_layer_that_there_is_not_is_named(inputs, store):
    with pytest.raises(InputError, match=r"there is no layer 'pool9'; `hep2 layers` lists all names"):
        svm_study(inputs, store, ("pool9",), VALUES)


def test_a_layer_named_twice_is_taken_once(inputs, store):
    found = svm_study(inputs, store, (SOME[0], SOME[0]), VALUES)
    assert len(found.records) == len(inputs.folds)


def test_refitted_machines_learn_from_validation_images_too(inputs, store):
    found = svm_study(inputs, store, SOME[:1], VALUES, SVMVariant(refitted=True)).records[0]
    fold = inputs.folds[0]
    more = Fold(np.concatenate([fold.train, fold.validation]), fold.validation, fold.test)
    np.testing.assert_allclose(found["validation"], by_hand(inputs, 0).validation, rtol=1e-8)
    np.testing.assert_allclose(found["test"], by_hand(inputs, 0, more).test, rtol=1e-8)


def test_rotated_copies_are_learned_and_never_scored(inputs, store):
    found = svm_study(inputs, store, SOME[:1], VALUES, SVMVariant(rotations=2)).records[0]
    fold, count = inputs.folds[0], len(inputs.labels)
    both = Fold(np.concatenate([fold.train, fold.train + count]), fold.validation, fold.test)
    wanted = by_hand(inputs, 0, both, views=(0.0, 180.0))
    np.testing.assert_allclose(found["test"], wanted.test, rtol=1e-8)
    assert len(found["test"][0]) == len(fold.test)


def test_pooled_features_are_another_study(inputs, store):
    found = svm_study(inputs, store, SOME[:1], VALUES, SVMVariant(pooled=True)).records[0]
    np.testing.assert_allclose(found["test"], by_hand(inputs, 0, pooled=True).test, rtol=1e-6)


def test_lambda_and_early_stopping_are_other_studies(inputs, store):
    values = (1e-6, 1e-4)
    exact = svm_study(inputs, store, SOME, values).records[0]
    as_lambda = svm_study(inputs, store, SOME, values, SVMVariant(regularisation="lambda")).records[0]
    early = svm_study(inputs, store, SOME, values, SVMVariant(solver="early-stopped"))
    assert len({exact["id"], as_lambda["id"], early.records[0]["id"]}) == 3
    assert as_lambda["test"] != exact["test"] != early.records[0]["test"]
    assert early.records[0]["gap"] is None


def test_each_fold_has_its_own_fine_tuned_network(inputs, store, monkeypatch):
    tuned = [copy.deepcopy(inputs.network) for _ in inputs.folds]
    for number, network in enumerate(tuned):
        with torch.no_grad():
            network["inception_5b-1x1"].weight.mul_(1.5 + number)
    svm_study(inputs, store, SOME, VALUES)
    computed = []
    compute = gram_module.gram_matrices
    monkeypatch.setattr(
        studying,
        "gram_matrices",
        lambda *a, **o: computed.append((a[0], tuple(a[2]))) or compute(*a, **o),
    )
    found = svm_study(inputs, store, SOME, VALUES, networks=tuned, frozen=110)
    # What lies in front of the tuned layers is as it was, and not computed again.
    assert [layers for _, layers in computed if layers] == [SOME[1:], SOME[1:]]
    for fold, network in enumerate(tuned):
        ((_, gram),) = compute(network, inputs.images, SOME[1:])
        wanted = svm_path(gram, inputs.labels, inputs.folds[fold], VALUES)
        # The kept activations came in batches of another size, and were rounded differently.
        atol = 1e-5 * np.abs(wanted.test).max()
        np.testing.assert_allclose(found.records[2 + fold]["test"], wanted.test, rtol=0, atol=atol)
        assert found.records[2 + fold]["trial"]["features"] == "fine-tuned"


def test_an_interrupted_study_keeps_the_layers_that_it_has(inputs, store, monkeypatch):
    fit = studying.fit_path
    calls = []

    def interrupted(*given):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(given)
        return fit(*given)

    monkeypatch.setattr(studying, "fit_path", interrupted)
    with pytest.raises(KeyboardInterrupt):
        svm_study(inputs, store, SOME, VALUES)
    monkeypatch.setattr(studying, "fit_path", lambda *given: calls.append(given) or fit(*given))
    assert len(svm_study(inputs, store, SOME, VALUES).records) == 4
    assert len(calls) == 4


def test_the_features_digest_follows_the_layers_in_front_alone(inputs):
    changed = copy.deepcopy(inputs.network)
    with torch.no_grad():
        changed["inception_3b-1x1"].bias.add_(1)
    one, other = (studying._Features(inputs, n, SVMVariant(), None) for n in (inputs.network, changed))
    same = [layer for layer in LAYERS if one.digest(layer) == other.digest(layer)]
    place = LAYERS.index("inception_3b-1x1")
    assert set(LAYERS[:place]) <= set(same)
    assert "inception_3b-3x3" in same  # a branch beside it
    assert not {"inception_3b-1x1", "inception_3b-relu_1x1", "inception_3b-output", "output"} & set(same)


def test_the_auc_of_rows_is_that_of_each_row():
    draw = np.random.default_rng(0)
    labels, scores = np.arange(30) % 3 == 0, draw.integers(0, 5, size=(4, 30))
    assert auc(labels, scores) == pytest.approx([auc(labels, row) for row in scores], abs=1e-12)


def test_along_the_network_every_layer_has_its_own_value(inputs, store):
    study = svm_study(inputs, store, SOME, VALUES)
    along = study.along_the_network()
    assert along.groupby("layer", sort=False).size().to_dict() == dict.fromkeys(SOME, 2)
    for layer, part in along.groupby("layer"):
        assert set(part["value"]) == {study.best(layer).value}
