"""Claims: what makes each kind supported, not supported or undecided."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import auc_interval, compare_auc
from hep2lib.evaluation.claims import KINDS, METRICS, Claim, ClaimError, judge, make_claims
from hep2lib.evaluation.decisions import share_interval
from hep2lib.evaluation.scores import Scores
from hep2lib.figures.results import claims_table


def run(seed=0, specimens=300):
    """A database and three sets of scores: good, as good in all but rounding, and poor."""
    generator = np.random.default_rng(seed)
    label = np.repeat(np.arange(specimens) % 3 > 0, 2).astype(np.int8)
    specimen = np.repeat(np.arange(specimens), 2).astype(str)
    latent = np.repeat(generator.normal(size=specimens), 2) + 0.5 * generator.normal(size=label.size)
    fold = np.repeat(np.arange(specimens) % 5, 2)
    row = np.arange(label.size)
    lifts = {"good": 4.0, "twin": 4.001, "poor": 1.0}

    def scored(name, lift):
        score = lift * label + latent
        test = pd.DataFrame({"row": row, "fold": fold, "label": label, "score": score, "specimen": specimen})
        # Two validation images a fold, so that the threshold is halfway between the labels' means.
        known = pd.DataFrame({"fold": np.repeat(range(5), 2), "label": [0, 1] * 5, "score": [0, lift] * 5})
        return Scores(name, "nothing", known, test, probabilities=False)

    database = pd.DataFrame({"label": label, "specimen": specimen})
    database.attrs.update(name="simulated database (300 specimens, seed 0)", simulated=True)
    return database, {name: scored(name, lift) for name, lift in lifts.items()}


def claim(**changes):
    values = {"id": "c", "sentence": "It is so.", "kind": "reaches", "first": "good", "reference": 0.9}
    return Claim(**(values | changes))


def judged(claims, results, database):
    return list(judge(claims, results, database).itertuples())


def verdict(one):
    database, results = run()
    return judged([one], results, database)[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reference": 0.9}, "supported"),
        ({"first": "poor"}, "not supported"),
        ({"reference": 0.993}, "undecided"),
        ({"kind": "equals", "reference": 0.993, "margin": 0.02}, "supported"),
        ({"kind": "equals", "reference": 0.9, "margin": 0.02}, "not supported"),
        ({"kind": "equals", "reference": 0.993, "margin": 0.001}, "undecided"),
        ({"kind": "beats", "second": "poor", "reference": None}, "supported"),
        ({"kind": "beats", "first": "poor", "second": "good"}, "not supported"),
        ({"kind": "not worse", "second": "twin", "margin": 0.01}, "supported"),
        ({"kind": "not worse", "first": "poor", "second": "good", "margin": 0.01}, "not supported"),
        ({"kind": "as good", "second": "twin", "margin": 0.01}, "supported"),
        ({"kind": "as good", "second": "poor", "margin": 0.01}, "not supported"),
        ({"metric": "accuracy", "reference": 0.9}, "supported"),
        ({"metric": "accuracy", "first": "poor", "reference": 0.9}, "not supported"),
        ({"metric": "sensitivity", "kind": "beats", "second": "poor"}, "supported"),
        ({"metric": "specificity", "reference": 0.999}, "not supported"),
    ],
)
def test_verdicts(changes, expected):
    assert verdict(claim(**changes)).verdict == expected


@pytest.mark.parametrize(
    ("kind", "margin", "expected"),
    [
        ("beats", 0.0, "not supported"),
        ("beats", 0.01, "not supported"),
        ("not worse", 0.0, "supported"),
        ("not worse", 0.01, "supported"),
        ("as good", 0.01, "supported"),
    ],
)
def test_what_is_the_same_is_as_good_and_no_better(kind, margin, expected):
    """The same ranks; and a result that places all images alike, but ranks two positive ones otherwise."""
    database, results = run()
    one = claim(kind=kind, first="good", second="other", reference=None, margin=margin)
    test = results["good"].test
    rank = test.groupby("fold")["score"].rank()
    results["other"] = replace(results["good"], test=test.assign(score=rank**2))
    (same,) = judged([one], results, database)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    assert (same.verdict, same.alone) == (expected, expected)
    for _, fold in test.groupby("fold"):
        best = fold["score"].nlargest(2).index  # two positive images
        assert (test.loc[best, "label"] == 1).all()
        rank[best] = rank[best].to_numpy()[::-1]
    results["other"] = replace(results["good"], test=test.assign(score=rank))
    (alike,) = judged([one], results, database)
    assert (alike.estimate, alike.low, alike.high) == (0, 0, 0)
    assert alike.verdict == ("not supported" if kind == "beats" else "undecided")
    assert "no specimen tells them apart" in claims_table(pd.DataFrame([alike]))["This run"][0]


@pytest.mark.parametrize(("nearer", "expected"), [(0, "undecided"), (1e-9, "supported")])
def test_what_beats_lies_above_its_margin_with_the_whole_interval(nearer, expected):
    one = claim(kind="beats", second="poor", reference=None)
    found = verdict(replace(one, margin=verdict(one).low - nearer))
    assert (found.verdict, found.alone) == (expected, expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_result_does_not_beat_itself(metric):
    found = verdict(claim(kind="beats", second="good", reference=None, metric=metric))
    assert found.estimate == 0
    if "auc" not in metric:  # other images may be decided otherwise: the interval is one around 0
        assert found.low < 0 < found.high
        assert (found.verdict, found.alone) == ("undecided", "undecided")
        return
    assert (found.low, found.high) == (0, 0)
    assert (found.verdict, found.alone) == ("not supported", "not supported")
    shown = claims_table(pd.DataFrame([found])).loc[0]
    assert "no difference" in shown["This run"]
    assert shown["Verdict"].startswith("not supported on the simulated database")


def test_every_kind_is_tried_above():
    assert {"reaches", "equals", "beats", "not worse", "as good"} == set(KINDS)


def test_estimates_are_those_of_inference():
    database, results = run()
    good, poor = results["good"].decided(), results["poor"].test
    y, specimen = database["label"], database["specimen"]
    one = verdict(claim())
    interval = auc_interval(y, good.score, specimen, fold=good.fold)
    assert (one.estimate, one.low, one.high) == (interval.estimate, interval.low, interval.high)
    assert one.specimens == 300
    pooled = verdict(claim(metric="pooled auc"))
    assert pooled.estimate == auc_interval(y, good.score, specimen).estimate
    both = verdict(claim(kind="beats", second="poor"))
    difference = compare_auc(y, good.score, poor.score, specimen, fold=good.fold)
    assert (both.estimate, both.low) == (difference.difference, difference.low)
    sensitivity = verdict(claim(metric="sensitivity"))
    kept = y == 1
    expected = share_interval(good.decision[kept] == 1, specimen[kept])
    assert (sensitivity.low, sensitivity.specimens) == (expected.low, 200)


def test_many_claims_need_stronger_evidence():
    database, results = run()
    one = claim(reference=verdict(claim()).low - 1e-6)
    alone = judged([one], results, database)[0]
    among = judged([one] * 20, results, database)[0]
    assert (alone.low, alone.high) == (among.low, among.high)
    assert (alone.verdict, alone.alone) == ("supported", "supported")
    assert (among.verdict, among.alone) == ("undecided", "supported")


def test_a_verdict_names_what_it_was_obtained_on():
    database, results = run()
    assert judged([claim()], results, database)[0].database == "simulated database (300 specimens, seed 0)"
    database.attrs["name"] = "teaching"
    assert judged([claim()], results, database)[0].database == "simulated database teaching"
    database.attrs.update(name="AIDA_HEp2 (AIDA)", layout="AIDA", simulated=False)
    assert judged([claim()], results, database)[0].database == "database AIDA_HEp2"


def test_what_cannot_be_computed_is_undecided_and_says_why():
    database, results = run()
    missing = judged([claim(first="excellent")], results, database)[0]
    assert missing.verdict == "undecided"
    assert "this run has no result 'excellent'" in missing.reason
    assert np.isnan(missing.estimate)
    good, poor = results["good"], results["poor"]
    blind = {"good": replace(good, validation=good.validation.query("label == 1"))}
    assert "both labels are needed" in judged([claim(metric="accuracy")], blind, database)[0].reason
    assert judged([claim()], blind, database)[0].reason == ""
    score = good.test["score"].where(good.test["row"] != 3)
    broken = {"good": replace(good, test=good.test.assign(score=score))}
    assert "not finite" in judged([claim()], broken, database)[0].reason
    apart = {"good": replace(good, test=good.test[:100]), "poor": replace(poor, test=poor.test[100:200])}
    (one,) = judged([claim(kind="beats", second="poor")], apart, database)
    assert "No image was tested by both" in one.reason


def test_two_results_are_compared_on_the_rows_both_have():
    database, results = run()
    good, poor = (results[name].test for name in ("good", "poor"))
    part = {"good": results["good"], "poor": replace(results["poor"], test=poor[100:500])}
    (found,) = judged([claim(kind="beats", second="poor")], part, database)
    kept = slice(100, 500)
    expected = compare_auc(
        database["label"][kept],
        good.score[kept],
        poor.score[kept],
        database["specimen"][kept],
        fold=good.fold[kept],
    )
    assert found.estimate == expected.difference
    assert found.specimens == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "wins"}, "kind is 'wins'; use one of reaches"),
        ({"metric": "f1"}, "metric is 'f1'"),
        ({"kind": "beats"}, "'beats' needs second result"),
        ({"second": "poor"}, "'reaches' has no second result"),
        ({"reference": None}, "'reaches' needs a reference"),
        ({"reference": 98.4}, "write a share"),
        ({"kind": "equals"}, "margin is 0"),
        ({"margin": -0.1}, r"margin is -0\.1"),
    ],
)
def test_claims_that_say_nothing(changes, message):
    with pytest.raises(ClaimError, match=f"Claim 'c': .*{message}"):
        claim(**changes)


def test_claims_from_records():
    record = {"id": "auc", "sentence": "AUC 98.4 %", "kind": "reaches", "first": "good", "reference": 0.984}
    (one,) = make_claims([record])
    assert one.region() == (0.984, np.inf)
    with pytest.raises(ClaimError, match="Claim 'auc': 'refrence' is unknown"):
        make_claims([record | {"refrence": 1}])
    with pytest.raises(ClaimError, match="Claim 'number 1': 'id' is missing"):
        make_claims([{"sentence": "", "kind": "reaches", "first": "good"}])
    with pytest.raises(ClaimError, match="is there twice"):
        make_claims([record, record])
