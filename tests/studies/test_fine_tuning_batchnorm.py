"""Batch normalisation that was left alive in the frozen layers, and what it changes."""

from dataclasses import replace

import pytest
import torch

from hep2lib.cnn.googlenet import GoogLeNet
from hep2lib.errors import InputError
from hep2lib.studies.fine_tuning import Grid, batchnorm_study, unfolded
from hep2lib.studies.inputs import activations_for
from hep2lib.studies.trial import TrialStore

from .test_training import TRIAL

GRID = Grid(freeze=(139,), batch_sizes=(4,), learning_rates=(0.01,), epochs=1)


@pytest.fixture(scope="module")
def alive(start):
    return unfolded(start)


def test_unfolded_it_is_the_same_function_in_scoring(start, alive, images):
    shown = start.preprocess(images[:4])
    with torch.no_grad():
        torch.testing.assert_close(alive.eval()(shown), start.eval()(shown), rtol=1e-4, atol=1e-5)


def test_scored_before_any_training_both_prefixes_agree_and_afterwards_they_do_not(
    shared_inputs, alive, images
):
    inputs = replace(shared_inputs, alive=alive).for_workers()
    source = activations_for(inputs, inputs.network(), replace(TRIAL, freeze=110, batchnorm="alive"))
    rows, still = torch.arange(8), torch.zeros(8, dtype=torch.int64)
    frozen = shared_inputs.network.prefix(110)
    with torch.no_grad():
        expected = frozen(shared_inputs.network.preprocess(images[rows]))
    before = source.batch(rows, still)
    torch.testing.assert_close(before, expected, rtol=1e-3, atol=1e-4)
    shown = source.batch(rows, still, training=True)  # normalised by the batch itself
    assert not torch.allclose(shown, expected, rtol=0.1, atol=0.01)
    after = source.batch(rows, still)  # the statistics have moved, though no parameter has
    assert not torch.allclose(after, before, rtol=0.01, atol=1e-3)
    same = dict(source.network.named_parameters())
    assert all(torch.equal(value, same[name]) for name, value in alive.named_parameters())


def test_the_study_trains_each_cell_both_ways(shared_inputs, alive, tmp_path):
    store = TrialStore(tmp_path)
    found = batchnorm_study(replace(shared_inputs, alive=alive), store, GRID, folds=1)
    table = found.table()
    assert table[["batchnorm", "fold"]].to_numpy().tolist() == [["frozen", 0], ["alive", 0]]
    frozen, living = (record["epochs"][0] for record in found.records)
    assert frozen["loss"] != living["loss"]
    other = GoogLeNet("torchvision", batchnorm="train")
    again = batchnorm_study(replace(shared_inputs, alive=other), store, GRID, folds=1)
    assert again.records[0]["id"] == found.records[0]["id"]
    assert again.records[1]["id"] != found.records[1]["id"]  # another network's normalisation


def test_without_batch_normalisation_there_is_none_to_keep(shared_inputs, tmp_path):
    with pytest.raises(InputError, match="no batch normalisation that could be kept alive"):
        batchnorm_study(shared_inputs, TrialStore(tmp_path), GRID)
