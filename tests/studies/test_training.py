import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.cnn.activations import cached_activations
from hep2lib.cnn.layers import initialise
from hep2lib.processes import single_thread
from hep2lib.studies.inputs import CachedActivations
from hep2lib.studies.training import class_weights, mini_batches, sgdm, train
from hep2lib.studies.trial import FineTuningTrial, random_stream

from .conftest import FOLDS

TRIAL = FineTuningTrial(freeze=139, batch_size=4, learning_rate=0.01, epochs=1, fold=0, seed=0)


@pytest.fixture
def fresh(shared_inputs):
    """Copies of the starting network."""
    return shared_inputs.for_workers().network


def trained(network, images, trial):
    """The scores after every epoch of one training, on one thread."""
    values = cached_activations(network, trial.freeze, images, views=trial.angles)
    activations = CachedActivations(values)
    labels = torch.arange(len(images)) % 2
    with single_thread():
        return list(train(network, activations, labels, FOLDS[trial.fold], trial))


@pytest.mark.parametrize("freeze", [11, 110, 139])
def test_training_changes_what_is_trained_and_nothing_else(fresh, images, freeze):
    network, before = fresh(), fresh()
    digest = before.split(freeze).prefix.state_digest()
    trained(network, images, replace(TRIAL, freeze=freeze))
    assert network.split(freeze).prefix.state_digest() == digest
    pairs = zip(network.named_parameters(), before.parameters(), strict=True)
    for (name, after), start in pairs:
        assert torch.equal(after, start) != after.requires_grad, name


def test_where_all_is_frozen_the_classifier_is_the_drawn_one(fresh, images):
    results = trained(fresh(), images, replace(TRIAL, freeze=144, epochs=2))
    assert np.array_equal(results[0].validation, results[1].validation)


def test_two_steps_of_the_optimiser_computed_by_hand(fresh):
    network = fresh()
    network.split(0)
    trial = replace(TRIAL, freeze=0, learning_rate=0.5, l2=0.1, head_rate_factor=10.0)
    optimiser = sgdm(network, trial)
    # rate, decay of a start network's weight and bias, and of the new classifier's
    expected = {
        "conv1-7x7_s2.weight": (0.5, 0.1),
        "conv1-7x7_s2.bias": (1.0, 0.0),
        "loss3-classifier.weight": (5.0, 0.1),
        "loss3-classifier.bias": (5.0, 0.0),
    }
    watched = {
        name: getattr(network[layer], kind) for name in expected for layer, kind in [name.rsplit(".", 1)]
    }
    start = {name: parameter.detach().double().clone() for name, parameter in watched.items()}
    for gradient in (0.25, -0.5):
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, gradient)
        optimiser.step()
    for name, (rate, decay) in expected.items():
        first = -rate * (0.25 + decay * start[name])
        second = 0.9 * first - rate * (-0.5 + decay * (start[name] + first))
        torch.testing.assert_close(
            watched[name].detach().double(), start[name] + first + second, rtol=1e-5, atol=1e-6
        )


def test_only_what_is_not_frozen_is_optimised(fresh):
    network = fresh()
    network.split(139)
    optimised = {p for group in sgdm(network, TRIAL).param_groups for p in group["params"]}
    assert optimised == set(network["loss3-classifier"].parameters())


def batches(trial, rows=10, order=0, turning=0):
    pairs = mini_batches(torch.arange(rows) + 100, trial, order, torch.Generator().manual_seed(turning))
    return [(r.tolist(), v.tolist()) for r, v in pairs]


def test_the_incomplete_last_batch_is_dropped_or_kept():
    assert [len(rows) for rows, _ in batches(TRIAL)] == [4, 4]
    kept = batches(replace(TRIAL, last_batch="keep"))
    assert [len(rows) for rows, _ in kept] == [4, 4, 2]
    assert sorted(row for rows, _ in kept for row in rows) == list(range(100, 110))


def test_a_batch_larger_than_the_part_is_the_whole_part():
    assert [len(rows) for rows, _ in batches(replace(TRIAL, batch_size=64))] == [10]


def shown(trial, **seeds):
    pairs = [pair for rows, views in batches(trial, **seeds) for pair in zip(rows, views, strict=True)]
    assert len(pairs) == len(set(pairs))
    return pairs


def test_all_views_of_an_image_are_shown():
    pairs = shown(replace(TRIAL, rotations=6, batch_size=1))
    assert sorted(pairs) == [(row, view) for row in range(100, 110) for view in range(6)]


def test_some_views_of_an_image_are_shown():
    trial = replace(TRIAL, rotations=6, views_per_epoch=2, batch_size=1)
    pairs = shown(trial)
    assert sorted(row for row, _ in pairs) == sorted([*range(100, 110)] * 2)
    assert {view for _, view in pairs} <= set(range(6))
    assert len(shown(replace(trial, views_per_epoch=9))) == 60


def test_views_are_drawn_anew_while_the_order_of_the_images_stays():
    trial = replace(TRIAL, rotations=6, views_per_epoch=1)
    first, second = shown(trial, turning=0), shown(trial, turning=1)
    assert [row for row, _ in first] == [row for row, _ in second]
    assert [view for _, view in first] != [view for _, view in second]


@pytest.mark.parametrize("shuffle", ["once", "every-epoch"])
def test_one_training_gives_all_its_epochs(fresh, images, shuffle):
    trial = replace(TRIAL, shuffle=shuffle, rotations=3, views_per_epoch=1)
    whole = trained(fresh(), images, replace(trial, epochs=3))
    (short,) = trained(fresh(), images, trial)
    assert [result.epoch for result in whole] == [1, 2, 3]
    assert whole[0].loss == short.loss
    assert np.array_equal(whole[0].test, short.test)
    assert not np.array_equal(whole[1].test, short.test)


def test_a_training_that_diverges_ends_without_a_result(fresh, images):
    assert trained(fresh(), images, replace(TRIAL, freeze=110, learning_rate=1e30, epochs=2)) == []


def test_bf16_is_near_fp32(fresh, images):
    (reference,) = trained(fresh(), images, TRIAL)
    (rounded,) = trained(fresh(), images, replace(TRIAL, precision="bf16"))
    assert not np.array_equal(rounded.test, reference.test)
    np.testing.assert_allclose(rounded.test, reference.test, atol=0.02)


def test_balanced_classes_weigh_the_same_and_one_weighs_nothing_else():
    labels = torch.tensor([0, 1, 1, 1])
    assert class_weights(labels, TRIAL).tolist() == [1, 1]
    weights = class_weights(labels, replace(TRIAL, class_weights="balanced"))
    assert weights.tolist() == [2, pytest.approx(2 / 3)]
    assert float((weights[labels]).mean()) == pytest.approx(1)


def test_a_weighted_step_computed_by_hand(fresh, images):
    network = fresh()
    trial = replace(TRIAL, class_weights="balanced", l2=0.0, last_batch="keep", batch_size=100)
    network.dropout = 0.0
    values = cached_activations(network, 139, images)
    labels = (torch.arange(len(images)) % 5 == 0).long()
    train_rows = torch.as_tensor(FOLDS[0].train)
    features = values[train_rows, 0].flatten(1).double()
    with single_thread():
        (result,) = train(network, CachedActivations(values), labels, FOLDS[0], trial)
    drawn = torch.Generator().manual_seed(random_stream(0, 0))
    reference = fresh()["loss3-classifier"]
    initialise([("loss3-classifier", reference)], "matlab", drawn)
    y = labels[train_rows]
    start = reference.weight.detach().double()
    p = (features @ start.T).softmax(1)
    weight = torch.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (1 - y).sum())).double()
    gradient = (weight[:, None] * (p - torch.nn.functional.one_hot(y, 2))).T @ features / len(y)
    assert result.loss == pytest.approx(float(-(weight * p[range(len(y)), y].log()).mean()), rel=1e-5)
    torch.testing.assert_close(
        network["loss3-classifier"].weight.detach().double(), start - 0.01 * gradient, rtol=1e-4, atol=1e-6
    )


def test_nothing_global_is_seeded_or_drawn_from(fresh, images):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    trained(
        fresh(), images, replace(TRIAL, freeze=110, rotations=3, views_per_epoch=1, shuffle="every-epoch")
    )
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]


def test_the_loop_fits_a_screen():
    head, _, body = inspect.getsource(train).split('"""')
    lines = (head.rstrip() + body).splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 110
    for shown in (
        "suffix(",
        "cross_entropy(",
        ".backward()",
        "optimiser.step()",
        "for epoch in",
        "mini_batches(",
    ):
        assert shown in "\n".join(lines)
