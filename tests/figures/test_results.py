"""Figures: small enough for a phone, letters large enough, and words that say what is drawn."""

import json
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text
from sklearn.svm import SVC

from hep2lib.cnn.googlenet import LAYERS
from hep2lib.evaluation.auc import Interval, auc
from hep2lib.evaluation.bootstrap import RocBand, roc_band
from hep2lib.evaluation.calibration import calibrated, decision_curve, log_odds, reliability
from hep2lib.evaluation.decisions import RULES, Confusion, choose_threshold, share
from hep2lib.evaluation.decisions import confusion as counted
from hep2lib.evaluation.evidence import ClusteredDesign, claim_curves, simulate_coverage
from hep2lib.evaluation.mistakes import errors_by
from hep2lib.evaluation.scores import run_strategies, seed_aucs
from hep2lib.evaluation.specimens import review_specimens, routine_day
from hep2lib.figures import certainty, extraction, results
from hep2lib.figures.style import WIDTH
from hep2lib.studies.outcomes import LayerChoice
from hep2lib.studies.svm import PAPER_GRID

from ..evaluation.made_outcomes import DATABASE, LABELS, OWNER, svm_outcome, tuning_outcome

matplotlib.use("agg")
TUNING = tuning_outcome(seeds=(0, 1))
STRATEGIES = run_strategies(TUNING, svm_outcome(), DATABASE)
SVM = STRATEGIES["SVM"]
DECIDED = {name: SVM.decided(rule) for rule, name in RULES.items()}
POINTS = {name: counted(frame["label"], frame["decision"]) for name, frame in DECIDED.items()}


def roc():
    scores = SVM.one_scale()
    draw = np.random.default_rng(0)
    band = roc_band(scores["label"], scores["score"], OWNER[scores["row"]], generator=draw, repetitions=100)
    return results.roc_figure({"SVM": band}, POINTS)


def forest():
    found = {name: one.auc() for name, one in STRATEGIES.items()}
    return results.forest_plot({"All": found}, {"freeze 11": 0.98})


def covered():
    designs = {r: ClusteredDesign(specimens=40, correlation=r) for r in (0.0, 0.9)}
    found = {r: simulate_coverage(d, repetitions=50, folds=5) for r, d in designs.items()}
    return certainty.coverage_figure(found, 0.4)


def claimed():
    return certainty.false_claims_figure(claim_curves([(0.93, 0.928), (0.95, 0.9)], {"images": 300}))


def reliable():
    scores, _ = calibrated(SVM.validation, SVM.test, probabilities=False)
    curve = reliability(scores["label"], scores["score"], OWNER[scores["row"]], bins=4)
    return certainty.reliability_figure({"SVM": curve, "again": curve, "and again": curve})


SCALED = calibrated(SVM.validation, SVM.test, probabilities=False)[0]


def outcomes():
    return certainty.outcome_figure({"SVM": SCALED, "again": SCALED, "equal": SCALED.assign(score=0.5)})


def benefit():
    curves = {"SVM": decision_curve(SCALED, 0.6), "equal": decision_curve(SCALED.assign(score=0.5), 0.6)}
    return results.decision_figure({"prevalence 60.0%": curves, "and again": curves})


def spread():
    return certainty.spread_figure({"freeze 11": seed_aucs(TUNING, TUNING.best(11))})


def confusion():
    return results.confusion_figure(POINTS)


def routine():
    return results.routine_figure({"here": routine_day(0.9, 0.8, 0.25)})


def fields():
    return results.specimen_figure(review_specimens(SVM), SVM.one_scale())


def test_the_mean_of_a_specimen_is_named_only_where_one_has_several_fields():
    images, reviewed = SVM.one_scale(), review_specimens(SVM)
    one_each = images.drop_duplicates("specimen")
    assert len(one_each) < len(images)
    for shown, words in ((images, "in order of their mean score"), (one_each, "in order of their score")):
        figure, alt = results.specimen_figure(reviewed, shown)
        assert f"specimens, {words};" in alt
        assert figure.axes[0].get_xlabel() == f"specimens, {words}"


def test_fields_that_disagree_are_named_only_where_some_do():
    reviewed = review_specimens(SVM)
    for disagree in (True, False):
        figure, _ = results.specimen_figure(reviewed.assign(disagree=disagree), SVM.one_scale())
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
        assert ("fields disagree" in shown) == disagree


def scales():
    return results.scales_figure(STRATEGIES["fine-tuning"])


def errors():
    called = DECIDED["Youden"].sort_values("row")["decision"]
    named = DATABASE.assign(
        pattern=np.where(LABELS == 1, "a pattern with an uncommonly long name", "negative")
    )
    return certainty.error_shares({"pattern": errors_by(named, called, "pattern")})


def explained():
    images = torch.randint(0, 255, (2, 3, 20, 20), dtype=torch.uint8)
    maps = torch.linspace(-1, 1, 400).view(1, 20, 20).repeat(2, 1, 1)
    return certainty.explained_fields(images, maps, ["missed: speckled", "false alarm: negative"])


def svm_margins():
    draw = np.random.default_rng(0)
    points, labels = (
        np.concatenate([draw.normal(0, 1, (9, 2)), draw.normal(2, 1, (9, 2))]),
        np.repeat([0, 1], 9),
    )
    return extraction.margins_figure(
        points, labels, {C: SVC(kernel="linear", C=C).fit(points, labels) for C in (0.1, 10)}
    )


def svm_layers():
    draw = np.random.default_rng(0)
    cells = [(layer, value, draw.random()) for layer in LAYERS for value in PAPER_GRID]
    best = LayerChoice("conv1-7x7_s2", PAPER_GRID[3], 0.9, 0.5, 1)
    return extraction.layer_heat_map(pd.DataFrame(cells, columns=["layer", "value", "validation_auc"]), best)


def svm_depth():
    table = svm_outcome().along_the_network()
    return extraction.depth_figure({"before": table, "after": table}, ("inception_3a-output", 0.973))


def svm_regularisation():
    table = pd.DataFrame({"C": [0.01, 1.0], "validation_auc": [0.7, 0.8]})
    return extraction.regularisation_figure({"C": table, "lambda": table}, {"C": 1.0, "lambda": 0.01})


FIGURES = [roc, forest, covered, claimed, reliable, outcomes, benefit, spread, confusion, routine, fields]
FIGURES += [scales, errors, explained]
FIGURES += [svm_margins, svm_layers, svm_depth, svm_regularisation]


def test_an_explorer_knows_every_threshold_and_the_images_near_the_chosen_one():
    tuned = STRATEGIES["fine-tuning"]
    validation, test = tuned.validation, tuned.test.assign(score=tuned.test["score"].round(1))
    points = results.operating_points(validation, test, most=2)
    assert points["chosen"] == choose_threshold(validation["label"], validation["score"])
    steps = [*points["scores"], np.inf]
    assert len(steps) == len(points["called"]) == len(points["intervals"]) < len(test)
    for step, called, ends in zip(steps, points["called"], points["intervals"], strict=True):
        decided = test.assign(decision=(test["score"] >= step).astype(int))
        count = counted(decided["label"], decided["decision"])
        assert called == [count.true_positive, count.false_positive]
        found = [share(decided, rate) for rate in ("sensitivity", "specificity", "accuracy")]
        assert ends == [float(f"{100 * end:.1f}") for one in found for end in (one.low, one.high)]
    assert points["images"] == [int((test["label"] == label).sum()) for label in (1, 0)]
    shown = points["shown"]
    assert shown["score"].is_monotonic_increasing
    for (label, side), part in test.assign(side=test["score"] >= points["chosen"]).groupby(["label", "side"]):
        far = (part["score"] - points["chosen"]).abs().sort_values()[:2]
        same = shown[(shown["label"] == label) & ((shown["score"] >= points["chosen"]) == side)]
        assert sorted((same["score"] - points["chosen"]).abs()) == pytest.approx(far.to_list())
    tiles = np.zeros((len(shown), 48, 48), np.uint8)
    page = results.with_fields(points, tiles, DATABASE.assign(pattern="fine"))
    assert page["tile"] == 48
    assert page["shown"] == [[s, y, "fine"] for s, y in zip(shown["score"], shown["label"], strict=True)]
    json.dumps(page, allow_nan=False)


def test_an_explorer_has_room_for_few_images_without_patterns():
    label = (np.arange(29) % 3 == 0).astype(int)
    score = np.where(np.arange(29) < 4, 1.0, np.arange(29) / 30)  # the highest one, 1, is that of several
    test = pd.DataFrame({"row": range(29), "label": label, "score": score, "specimen": np.arange(29)})
    points = results.operating_points(test, test)
    assert points["called"][0] == points["images"] == [10, 19]
    assert points["called"][-2:] == [[2, 2], [0, 0]]
    assert len(points["shown"]) == 29
    tiles = np.zeros((29, 48, 48), np.uint8)
    page = results.with_fields(points, tiles, pd.DataFrame({"pattern": [""] * 29}))
    assert {pattern for _, _, pattern in page["shown"]} == {""}
    json.dumps(page, allow_nan=False)


def test_the_explorer_of_two_thousand_images_stays_small():
    draw, sizes = np.random.default_rng(0), []
    for count in (100, 200):
        owner = np.repeat(np.arange(count // 2), 2)
        test = pd.DataFrame({"row": range(count), "label": owner % 2, "specimen": owner})
        test["score"] = draw.random(count)
        points = results.operating_points(test, test)
        tiles = draw.integers(
            0, 255, (72, 48, 48), dtype=np.uint8
        )  # nothing packs worse, and no more are shown
        assert len(points["shown"]) <= 72
        page = results.with_fields(points, tiles, pd.DataFrame({"pattern": ["homogeneous"] * count}))
        sizes.append(len(json.dumps(page, separators=(",", ":"))))
    assert sizes[0] + (2080 - 100) * (sizes[1] - sizes[0]) / 100 < 500_000


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_a_figure_fits_a_phone_and_says_what_it_shows(make):
    drawing = make()
    try:
        drawing.figure.canvas.draw()
        assert drawing.figure.get_tightbbox().width <= WIDTH + 0.2
        letters = [text for text in drawing.figure.findobj(Text) if text.get_text().strip()]
        assert letters
        assert min(text.get_fontsize() for text in letters) >= 9
        assert len(drawing.alt) >= 40
        assert drawing.alt.endswith(".")
        assert "nan" not in drawing.alt
        assert any(sign.isdigit() for sign in drawing.alt)
    finally:
        plt.close(drawing.figure)


def test_words_are_computed_from_what_is_drawn():
    counts = POINTS["Youden"]
    assert (
        f"Youden: of the positive ones {counts.true_positive} found and {counts.false_negative} missed"
        in confusion().alt
    )
    assert "here: 25 of 250 positive sera missed, 150 false alarms" in routine().alt
    assert f"sensitivity {counts.sensitivity:.2f}, specificity {counts.specificity:.2f}" in roc().alt
    assert "false alarm: negative: 50 % of the field" in explained().alt
    plt.close("all")


@pytest.mark.parametrize("name", ["fine-tuning", "SVM"])
def test_scores_of_each_fold_lie_on_their_own_scale_and_all_together(name):
    one = STRATEGIES[name]
    figure, alt = results.scales_figure(one)
    (axes,) = figure.axes
    *marks, thresholds, _ = axes.get_lines()
    assert [len(line.get_xdata()) for line in marks] == [2 * (LABELS == 1).sum(), 2 * (LABELS == 0).sum()]
    scale = log_odds if one.probabilities else np.asarray
    for fold, (place, at) in enumerate(zip(thresholds.get_ydata(), thresholds.get_xdata(), strict=True)):
        assert place == fold
        drawn = [line.get_xdata()[np.abs(line.get_ydata() - fold) < 0.3] for line in marks]
        expected = scale(one.test.loc[one.test["fold"] == fold, "score"])
        np.testing.assert_allclose(np.sort(np.concatenate(drawn)), np.sort(expected))
        called = sum((scores >= at).sum() for scores in drawn)
        assert called == one.decided().query("fold == @fold")["decision"].sum()
    shown = [text.get_text() for text in axes.texts]
    pooled = auc(one.test["label"], one.test["score"])
    assert shown == ["AUC", *(f"{area:.3f}" for area in [*one.fold_aucs(), pooled])]
    assert f"of all scores at once {pooled:.3f}" in alt
    plt.close(figure)


@pytest.mark.parametrize("score", [LABELS.astype(float), np.full(LABELS.size, 0.5)], ids=["perfect", "equal"])
def test_perfect_and_equal_scores_can_be_drawn(score):
    one = STRATEGIES["fine-tuning"]
    parts = [part.assign(score=score[part["row"]]) for part in (one.validation, one.test)]
    drawing = results.scales_figure(replace(one, validation=parts[0], test=parts[1]))
    drawing.figure.canvas.draw()
    area = float(auc(LABELS, score))
    assert f"{area:.3f} to {area:.3f}, of all scores at once {area:.3f}" in drawing.alt
    assert "nan" not in drawing.alt
    assert "inf" not in drawing.alt
    plt.close(drawing.figure)


def test_the_forest_shows_what_the_paper_printed_and_whole_intervals():
    for low, begins in ((0.03, 0), (0.3, 0.3), (0.9, 0.45)):
        found = Interval(0.95, low, 0.97, 0.05, 60)
        members = {"All": {"SVM": found, "other": found}}
        figure, alt = results.forest_plot(members, {"SVM": 0.98}, chosen=["SVM"])
        marked = [(line.get_marker(), *line.get_ydata()) for line in figure.axes[0].get_lines()]
        assert [each for each in marked if each[0] in "Dso"] == [("s", 1), ("D", 1), ("o", 2)]
        assert "SVM (chosen) 0.95 and other 0.95" in alt
        left = figure.axes[0].get_xlim()[0]
        assert left == pytest.approx(begins, abs=0.05)
        assert left < low
        plt.close(figure)


def curve(sensitivity, low):
    rate = np.linspace(0, 1, 11)
    rising = np.minimum(rate * 10, 1)
    return RocBand(rate, sensitivity * rising, low * rising, sensitivity * rising, 20)


def test_the_corner_hides_no_curve_and_no_point():
    good, wide, poor = curve(0.95, 0.9), curve(0.9, 0.5), curve(0.55, 0.5)
    inside, outside = Confusion(9, 1, 9, 1), Confusion(9, 5, 5, 1)
    for first, second, at, begins in (
        (good, good, inside, 0.6),
        (good, good, outside, -0.02),
        (good, poor, inside, -0.02),
        (wide, good, inside, -0.02),
        (poor, good, inside, -0.02),
    ):
        figure, _ = results.roc_figure({"fine-tuning": first, "SVM": second}, {"Youden": at})
        assert figure.axes[0].get_ylim()[0] == begins
        plt.close(figure)


def test_points_that_coincide_are_all_seen_and_the_band_says_whose_it_is():
    at = POINTS["Youden"]
    figure, _ = results.roc_figure({"SVM": curve(0.9, 0.8)}, {"Youden": at, "threshold 0.5": at})
    _, *points = figure.axes[0].get_lines()
    assert [line.get_markerfacecolor() for line in points] == ["none", "none"]
    assert points[1].get_markersize() > points[0].get_markersize() + 2
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["SVM", "95 % band of SVM, over 20 specimens", "SVM, Youden", "SVM, threshold 0.5"]
    plt.close(figure)


def test_no_mistakes_are_called_none():
    called = DECIDED["Youden"].sort_values("row")["label"]
    figure, alt = certainty.error_shares(
        {"pattern": errors_by(DATABASE.assign(pattern=""), called, "pattern")}
    )
    assert alt == "Share of errors with interval, by pattern, none."
    plt.close(figure)


def test_every_group_is_drawn_under_a_name_of_its_own():
    names = ["coarse speckled + cytoplasmic dense fine speckled", "coarse speckled + cytoplasmic reticular"]
    names += [f"pattern {number}" for number in range(18)]
    patterns = np.resize(names, LABELS.size)
    called = next(iter(DECIDED.values())).sort_values("row")["decision"]
    table = errors_by(DATABASE.assign(pattern=patterns), called, "pattern")
    figure, alt = certainty.error_shares({"pattern": table})
    labels = [label.get_text().replace("\n", " ") for label in figure.axes[0].get_yticklabels()]
    assert labels == [f"{row.group} ({row.errors} of {row.images})" for row in table.itertuples()]
    assert len(set(labels)) == len(labels) == 12
    assert labels[-1].startswith("9 smaller groups")
    assert any(f"most often in {group}:" in alt for group in table["group"])  # the text names what is drawn
    plt.close(figure)


def test_a_coverage_figure_without_a_run_has_no_mark():
    one = simulate_coverage(ClusteredDesign(specimens=30), repetitions=20)
    figure, _ = certainty.coverage_figure({0.7: one})
    assert not any("this run" in text.get_text() for text in figure.legends[0].get_texts())
    plt.close(figure)


def test_the_look_is_left_as_it_was():
    before = dict(plt.rcParams)
    plt.close(routine().figure)
    assert dict(plt.rcParams) == before
    assert pd.Series(RULES).is_unique


def test_the_decision_curve_says_where_the_test_is_better_than_no_test():
    for score, beaten in ((0.2 + 0.6 * SCALED["label"], 60), (0.5, 0)):
        curve = decision_curve(SCALED.assign(score=score), 0.3)
        figure, alt = results.decision_figure({"prevalence 30.0%": {"SVM": curve}})
        assert f"SVM beats both simple rules at {beaten} of 99 thresholds" in alt
        assert f"at a threshold of 0.5 SVM {curve['benefit'][49]:.3f}" in alt
        plt.close(figure)
    figure, _ = benefit()
    assert len({line.get_linestyle() for line in figure.axes[0].get_lines()}) == 4
    plt.close(figure)


def test_probabilities_by_outcome_of_few_equal_and_perfect_scores():
    few = pd.DataFrame({"label": [0, 1, 1], "score": [0.0, 1.0, 0.5]})
    figure, alt = certainty.outcome_figure({"few": few, "equal": few.assign(score=0.5)})
    assert "few, positive images 0.75 (0.62 to 0.88); few, negative images 0.00 (0.00 to 0.00)" in alt
    for axes in figure.axes:
        heights = np.array([bar.get_height() for bar in axes.patches])
        assert (heights[heights > 0].sum(), heights[heights < 0].sum()) == (1, -1)
    plt.close(figure)


def test_the_second_curve_of_a_roc_figure_is_dashed():
    figure, _ = results.roc_figure({"one": curve(0.9, 0.8), "other": curve(0.8, 0.7)}, POINTS)
    assert [line.get_linestyle() for line in figure.axes[0].get_lines()[:2]] == ["-", "--"]
    plt.close(figure)
