from copy import deepcopy

import numpy as np
import pandas as pd
import torch

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.figures import extraction
from hep2lib.figures.extraction import (
    block_of,
    choices_table,
    layers_table,
    measured_times,
    paths_on_an_axis_of_c,
    variants_table,
)
from hep2lib.figures.style import typeset
from hep2lib.studies.outcomes import LayerChoice, SVMOutcome

from ..evaluation.made_outcomes import DATABASE, LABELS, folds, separated_outcome, svm_outcome


def as_lambda(outcome):
    for record in outcome.records:
        record["trial"]["regularisation"] = "lambda"
    return outcome


def test_a_layer_is_shown_with_its_own_choice_and_the_papers_result():
    study = svm_outcome()
    table = layers_table(study, DATABASE, study.layers, ("pool5-7x7_s1", 0.97))
    assert table["Layer"].tolist() == ["inception_3a-output", "pool5-7x7_s1"]
    assert table["Paper's AUC"].fillna(0).tolist() == [0, 0.97]
    for row in table.to_dict("records"):
        assert row["C"] == study.best(row["Layer"]).value
        low, high = map(float, row["95 % interval"].split(" to "))
        assert low < row["Test AUC"] < high
    assert "lambda" in layers_table(as_lambda(study), DATABASE, study.layers, ("", 0.0))


def test_other_ways_are_compared_with_the_first():
    study, other = svm_outcome(), as_lambda(svm_outcome(seed=3))
    table = variants_table(study, {"other-regularisation": other, "the same": study}, DATABASE)
    assert table["Way"].tolist() == ["as above", "values read as lambda", "the same"]
    difference = table["Test AUC"][1] - table["Test AUC"][0]
    assert table["Difference"][0] == ""
    assert table["Difference"][1].startswith(f"{typeset(difference, '+.3f')} (")
    assert table["Difference"][2] == "none: no specimen tells them apart"
    assert table["Layer from"].tolist() == ["2 tried", "2 tried", "2 tried"]
    assert table["Chosen"][0] == f"{study.best().layer}, C = {typeset(study.best().value, '.4g')}"
    assert "lambda = " in table["Chosen"][1]


def test_a_row_says_where_its_layer_comes_from_and_when_nothing_differs():
    study = svm_outcome()
    best = study.best().layer
    alone = SVMOutcome([r for r in study.records if r["trial"]["layer"] == best], LABELS, folds())
    # Scores of neighbours with the same label change places: other ranks, but no image is placed elsewhere.
    moved = deepcopy(alone.records)
    for record in moved:
        labels = LABELS[folds()[record["trial"]["fold"]].test]
        for scores in record["test"]:
            order = np.argsort(scores)
            one = next(i for i in range(len(order) - 1) if labels[order[i]] == labels[order[i + 1]])
            scores[order[one]], scores[order[one + 1]] = scores[order[one + 1]], scores[order[one]]
    ways = {"refitted": SVMOutcome(moved, LABELS, folds()), "pooled": study}
    table = variants_table(study, ways, DATABASE).set_index("Way")
    assert table["Layer from"].tolist() == ["2 tried", "the first row", "2 tried"]
    assert table.loc["refitted", "Difference"] == "none: no specimen tells them apart"
    assert variants_table(alone, {}, DATABASE)["Layer from"].tolist() == ["1 tried"]


def test_choices_are_shown_with_how_many_were_equal():
    table = choices_table(separated_outcome())
    assert table["Chosen for"].tolist() == ["all folds", "fold 1 alone", "fold 2 alone", "fold 3 alone"]
    assert table["Tied"].tolist() == [6, 6, 6, 6]
    chosen = ["inception_3a-output", "data", "inception_3a-output", "pool5-7x7_s1"]
    assert table["Layer"].tolist() == chosen
    assert table["C"].tolist() == [1, 1, 1, 0.01]
    np.testing.assert_allclose(table["Hinge loss"], [0.3, 0.1, 0.3, 0.3])
    assert "lambda" in choices_table(as_lambda(separated_outcome()))


def test_an_axis_of_equal_aucs_ends_at_one():
    along = svm_outcome().along_the_network().assign(test_auc=1.0)
    path = pd.DataFrame({"C": [0.1, 1.0], "validation_auc": 1.0})
    for figure, _ in (
        extraction.depth_figure({"SVM": along}, (LAYERS[10], 1.0)),
        extraction.regularisation_figure({"C": path}, {"C": 1.0}),
    ):
        bottom, top = figure.axes[0].get_ylim()
        assert bottom < 1 < top < 1.01


def test_a_single_layer_is_told_once():
    along = svm_outcome().along_the_network().assign(test_auc=0.82)
    few = along[along["layer"] == "pool5-7x7_s1"]
    alt = extraction.depth_figure({"before": along, "after": few}, (LAYERS[10], 1.0)).alt
    assert "before: from 0.82 at " in alt
    assert alt.endswith("after: 0.82 at pool5-7x7_s1, the only layer.")


def test_lambda_stands_where_its_c_is():
    study, other = svm_outcome(), as_lambda(svm_outcome())
    found = paths_on_an_axis_of_c([study, other], study.best())
    assert found["C"]["C"].tolist() == found["C"]["value"].tolist()
    count = np.mean([len(fold.train) for fold in folds()])
    np.testing.assert_allclose(found["lambda"]["C"], 1 / (count * found["lambda"]["value"]))


def test_both_ways_are_timed():
    features = torch.randn(len(LABELS), 3, 4, 4, generator=torch.Generator().manual_seed(0))
    times = measured_times(features, LABELS, folds()[0])
    assert list(times) == ["gram", "path", "direct", "features"]
    assert min(times.values()) > 0
    assert times["features"] == 48


def test_every_layer_belongs_to_a_part_of_the_network():
    parts = pd.Series([block_of(layer) for layer in LAYERS]).value_counts()
    assert parts["stem"] == 11
    assert (parts[["3a", "3b", "4a", "4e", "5b"]] == 14).all()
    assert parts["head"] == 5
    assert parts[""] == 2  # two pools between blocks


def test_a_map_of_equal_values_ends_at_one():
    means = pd.DataFrame({"layer": LAYERS[:2], "value": 1.0, "validation_auc": 1.0})
    figure, _ = extraction.layer_heat_map(means, LayerChoice(LAYERS[0], 1.0, 1.0, 0.1, 2))
    image = figure.axes[0].images[0]
    assert image.norm.vmin < image.norm.vmax == 1
    assert figure.axes[1].get_xlim()[1] == 1


def test_a_map_of_all_layers_names_each_and_frames_the_best():
    draw = np.random.default_rng(0)
    means = pd.DataFrame(
        [
            {"layer": layer, "value": v, "validation_auc": draw.random()}
            for layer in LAYERS
            for v in (0.1, 1.0)
        ]
    )
    # The framed cell is what was chosen, which of several equal ones need not be the first.
    means.loc[[20, 77, 200], "validation_auc"] = 1.0
    top = means.loc[77]
    best = LayerChoice(top["layer"], top["value"], 1.0, 0.1, 3)
    figure, alt = extraction.layer_heat_map(means, best)
    axes = figure.axes[0]
    assert len(axes.get_yticklabels()) == 144
    frame = axes.patches[0]
    assert (frame.get_x() + 0.5, frame.get_y() + 0.5) == (
        (0.1, 1.0).index(top["value"]),
        LAYERS.index(top["layer"]),
    )
    assert top["layer"] in alt
    assert "layers (144, from data on top down) by values of C (2)" in alt
    figure, alt = extraction.layer_heat_map(means[means["layer"] != "data"], best)
    assert "layers (143, from conv1-7x7_s2 on top down)" in alt
