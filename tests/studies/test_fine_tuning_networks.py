"""The fine-tuned networks are those that the scores on record came from."""

import copy
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch

from hep2lib.errors import InputError
from hep2lib.studies import fine_tuning
from hep2lib.studies.fine_tuning import Grid, Rotation, TunedNetworkError, fine_tuning_study, tuned_networks
from hep2lib.studies.outcomes import OutcomeError
from hep2lib.studies.trial import TrialStore

GRID = Grid(freeze=(110, 139), batch_sizes=(4,), learning_rates=(0.01,), epochs=2)


@pytest.fixture(scope="module")
def study(shared_inputs, tmp_path_factory):
    store = TrialStore(tmp_path_factory.mktemp("trials"))
    return fine_tuning_study(shared_inputs, store, [GRID], Rotation(views=3, views_per_epoch=1))


def scores(network, images, rows):
    with torch.no_grad():
        return network(network.preprocess(images[rows])).softmax(1)[:, 1].numpy()


@pytest.mark.parametrize(("freeze", "rotated"), [(110, False), (139, False), (None, True)])
def test_each_network_gives_the_scores_on_record(shared_inputs, study, images, tmp_path, freeze, rotated):
    chosen = replace(study.best(freeze, rotated=rotated), epoch=1)
    tuned = tuned_networks(shared_inputs, study, chosen, tmp_path)
    for network, fold, record in zip(tuned, shared_inputs.folds, study.trainings(chosen), strict=True):
        assert not network.training
        recorded = record["epochs"][0]
        np.testing.assert_allclose(scores(network, images, fold.test), recorded["test"], atol=1e-6)
        np.testing.assert_allclose(
            scores(network, images, fold.validation), recorded["validation"], atol=1e-6
        )
    assert tuned[0].state_digest() != tuned[1].state_digest()
    assert "fine-tuned behind layer" in tuned[1].provenance.description
    assert "fold 2 of 2" in tuned[1].provenance.description
    kept = TrialStore(tmp_path)
    assert [kept.read(file.stem)["difference"] for file in tmp_path.glob("*.json")] == [0.0, 0.0]


def test_networks_are_kept_and_opened_again(shared_inputs, study, tmp_path, monkeypatch):
    chosen = study.best(139)
    first = tuned_networks(shared_inputs, study, chosen, tmp_path)[1]
    (one, *_) = tmp_path.glob("*.safetensors")
    for spoil in (one.unlink, lambda: one.write_bytes(one.read_bytes()[:-4] + b"\x01\x02\x03\x04")):
        spoil()  # a lost or altered file is computed again, though its record is there
        tuned_networks(shared_inputs, study, chosen, tmp_path)
        assert one.is_file()
    assert len(list(tmp_path.glob("*.damaged"))) == 1
    monkeypatch.setattr(fine_tuning, "keep_network", None)
    assert tuned_networks(shared_inputs, study, chosen, tmp_path)[1].state_digest() == first.state_digest()


def test_a_record_of_another_network_is_found_out(shared_inputs, study, tmp_path):
    other = copy.deepcopy(study)
    chosen = other.best(139)
    other.trainings(chosen)[0]["epochs"][chosen.epoch - 1]["validation"][2] += 0.01
    with pytest.raises(TunedNetworkError, match=r"differ by up to 0\.01 from those on record"):
        tuned_networks(shared_inputs, other, chosen, tmp_path)
    assert list(tmp_path.glob("*")) == []


def test_a_configuration_that_was_not_tried_is_named(shared_inputs, study, tmp_path):
    with pytest.raises(OutcomeError, match=r"no training of .*reached epoch 3"):
        tuned_networks(shared_inputs, study, replace(study.best(139), epoch=3), tmp_path)


def test_without_room_nothing_is_left_and_it_is_said(shared_inputs, study, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))  # the kernel refuses what is longer
    try:
        with pytest.raises(InputError, match=r"cannot be written .*make room or choose another run folder"):
            tuned_networks(shared_inputs, study, study.best(139), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
