"""Claims: what makes each kind supported, not supported, undecided or not tested."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import auc_interval, compare_auc
from hep2lib.evaluation.claims import (
    ELSEWHERE,
    KINDS,
    METRICS,
    MISSING,
    SMALLER,
    VERDICTS,
    Claim,
    ClaimError,
    judge,
    make_claims,
)
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
    values = {"id": "c", "sentence": "It is so.", "kind": "reaches", "first": "good"}
    reference = {} if "second" in changes else {"reference": 0.9}
    return Claim(**(values | reference | changes))


def judged(claims, results, smaller=None, elsewhere=""):
    enough = dict.fromkeys(results, ())
    return list(judge(claims, results, enough | (smaller or {}), elsewhere).itertuples())


def verdict(one, **conditions):
    return judged([one], run()[1], **conditions)[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reference": 0.9}, "supported"),
        ({"first": "poor"}, "not supported"),
        ({"reference": 0.993}, "undecided"),
        ({"reference": 1, "margin": 0.05}, "supported"),
        ({"reference": 1}, "not supported"),
        ({"kind": "beats", "second": "poor"}, "supported"),
        ({"kind": "beats", "first": "poor", "second": "good"}, "not supported"),
        ({"kind": "not worse", "second": "twin", "margin": 0.01}, "supported"),
        ({"kind": "not worse", "first": "poor", "second": "good", "margin": 0.01}, "not supported"),
        ({"metric": "accuracy", "reference": 0.9}, "supported"),
        ({"metric": "accuracy", "first": "poor", "reference": 0.9}, "not supported"),
        ({"metric": "sensitivity", "kind": "beats", "second": "poor"}, "supported"),
        ({"metric": "specificity", "reference": 0.999}, "not supported"),
    ],
)
def test_verdicts(changes, expected):
    found = verdict(claim(**changes))
    assert found.verdict == expected
    assert found.reasons == {}


@pytest.mark.parametrize(
    ("kind", "margin", "expected"),
    [
        ("beats", 0.0, "not supported"),
        ("beats", 0.01, "not supported"),
        ("not worse", 0.0, "supported"),
        ("not worse", 0.01, "supported"),
    ],
)
def test_what_is_the_same_is_as_good_and_no_better(kind, margin, expected):
    """The same ranks; and a result that places all images alike, but ranks two positive ones otherwise."""
    _, results = run()
    one = claim(kind=kind, first="good", second="other", margin=margin)
    test = results["good"].test
    rank = test.groupby("fold")["score"].rank()
    results["other"] = replace(results["good"], test=test.assign(score=rank**2))
    (same,) = judged([one], results)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    assert same.verdict == expected
    for _, fold in test.groupby("fold"):
        best = fold["score"].nlargest(2).index  # two positive images
        assert (test.loc[best, "label"] == 1).all()
        rank[best] = rank[best].to_numpy()[::-1]
    results["other"] = replace(results["good"], test=test.assign(score=rank))
    (alike,) = judged([one], results)
    assert (alike.estimate, alike.low, alike.high) == (0, 0, 0)
    assert alike.verdict == ("not supported" if kind == "beats" else "undecided")
    assert "none of 300 specimens tells them apart" in claims_table(pd.DataFrame([alike]))["This run"][0]


@pytest.mark.parametrize(("nearer", "expected"), [(0, "undecided"), (1e-9, "supported")])
def test_what_beats_lies_above_its_margin_with_the_whole_interval(nearer, expected):
    one = claim(kind="beats", second="poor")
    found = verdict(replace(one, margin=verdict(one).low - nearer))
    assert found.verdict == expected


@pytest.mark.parametrize("metric", METRICS)
def test_a_result_does_not_beat_itself(metric):
    found = verdict(claim(kind="beats", second="good", metric=metric))
    assert found.estimate == 0
    if "auc" not in metric:  # other images may be decided otherwise: the interval is one around 0
        assert found.low < 0 < found.high
        assert found.verdict == "undecided"
        return
    assert (found.low, found.high) == (0, 0)
    assert found.verdict == "not supported"
    shown = claims_table(pd.DataFrame([found])).loc[0]
    assert "no difference" in shown["This run"]
    assert shown["Verdict"] == "not supported"


def test_every_kind_is_tried_above():
    assert {"reaches", "beats", "not worse"} == set(KINDS)


def test_estimates_are_those_of_inference():
    database, results = run()
    good, poor = results["good"].decided(), results["poor"].test
    y, specimen = database["label"], database["specimen"]
    one = verdict(claim())
    interval = auc_interval(y, good.score, specimen, fold=good.fold)
    assert (one.estimate, one.low, one.high) == (interval.estimate, interval.low, interval.high)
    assert one.specimens == 300
    both = verdict(claim(kind="beats", second="poor"))
    difference = compare_auc(y, good.score, poor.score, specimen, fold=good.fold)
    assert (both.estimate, both.low) == (difference.difference, difference.low)
    sensitivity = verdict(claim(metric="sensitivity"))
    kept = y == 1
    expected = share_interval(good.decision[kept] == 1, specimen[kept])
    assert (sensitivity.low, sensitivity.specimens) == (expected.low, 200)


def test_many_claims_need_stronger_evidence():
    _, results = run()
    one = claim(reference=verdict(claim()).low - 1e-6)
    alone, among = judged([one], results)[0], judged([one] * 20, results)[0]
    assert (alone.low, alone.high) == (among.low, among.high)
    assert (alone.verdict, among.verdict) == ("supported", "undecided")
    assert (alone.decisive_low, alone.level) == (alone.low, 0.95)
    assert among.level == pytest.approx(1 - 0.05 / 20)
    assert among.decisive_low < one.reference < among.low
    shown = claims_table(pd.DataFrame([among])).loc[0]
    ends = f"{among.decisive_low:.3f} to {among.decisive_high:.3f} (at 99.8\xa0%)"
    assert shown["Decides"] == ends


def test_what_is_not_tested_does_not_widen_the_others():
    _, results = run()
    one = claim(reference=verdict(claim()).low - 1e-6)
    others = [claim(first="poor"), claim(first="nothing"), claim(kind="beats", first="poor", second="twin")]
    first, *rest, second = judged([one, *others * 6, one], results, {"poor": ["1 of 18 configurations"]})
    assert {other.verdict for other in rest} == {"not tested"}
    assert first.level == second.level == pytest.approx(1 - 0.05 / 2)
    assert all(np.isnan([other.level, other.decisive_low, other.decisive_high]).all() for other in rest)


@pytest.mark.parametrize("metric", METRICS)
def test_a_smaller_budget_leaves_no_verdict(metric):
    """Whatever is claimed, and whatever was found: what was given less than in the paper tests nothing."""
    _, results = run(specimens=30)
    claims = []
    for kind, first in product(KINDS, results):
        figures = [{"reference": 0}, {"reference": 1}] if kind == "reaches" else [{"second": "poor"}]
        claims += [claim(kind=kind, first=first, metric=metric, margin=0.011, **one) for one in figures]
    assert len(claims) == 12
    whole = {found.verdict for found in judged(claims, results)}
    assert {"supported", "not supported"} <= whole <= set(VERDICTS[:3])
    for lacking in results:
        for one, found in zip(
            claims, judged(claims, results, {lacking: ["5 of 10 epochs", "2 of 5 folds"]}), strict=True
        ):
            assert np.isfinite([found.estimate, found.low, found.high]).all(), "what was found is still shown"
            if lacking not in (one.first, one.second):
                assert found.verdict in VERDICTS[:3]
                continue
            assert found.verdict == "not tested"
            assert found.reasons == {SMALLER: "5 of 10 epochs, 2 of 5 folds"}
            shown = claims_table(pd.DataFrame([found])).loc[0]
            assert shown["Verdict"] == f"not tested: {SMALLER} (5 of 10 epochs, 2 of 5 folds)"
            assert shown["Decides"] == "–"
            assert "specimens" in shown["This run"]


def test_a_budget_that_nobody_stated_counts_as_too_small():
    (found,) = judge([claim()], run()[1], {}, "").itertuples()
    assert (found.verdict, found.reasons) == ("not tested", {SMALLER: "a budget that is not known"})


def test_an_absolute_number_is_not_tested_elsewhere_and_a_comparison_is():
    elsewhere = "simulated images"
    for reference, metric in product((0.5, 1.0), METRICS):
        found = verdict(claim(reference=reference, metric=metric), elsewhere=elsewhere)
        assert (found.verdict, found.reasons) == ("not tested", {ELSEWHERE: elsewhere})
    assert verdict(claim(kind="beats", second="poor"), elsewhere=elsewhere).verdict == "supported"
    both = verdict(claim(), elsewhere=elsewhere, smaller={"good": ["2 of 5 folds"]})
    assert list(both.reasons) == [SMALLER, ELSEWHERE]
    shown = claims_table(pd.DataFrame([both]))["Verdict"][0]
    assert shown == f"not tested: {SMALLER} (2 of 5 folds); {ELSEWHERE} (simulated images)"


def test_the_table_says_what_a_claim_holds_with():
    table = claims_table(
        judge(
            [
                claim(reference=0.984, margin=0.011, source="Table 3"),
                claim(kind="beats", second="poor"),
                claim(kind="not worse", second="poor", margin=0.011, metric="accuracy"),
                claim(reference=0.93, margin=0.011, metric="accuracy"),
            ],
            run()[1],
            {},
            "",
        )
    )
    assert table["Claim"][0] == "It is so. (Table 3)"
    assert table["Holds with"].tolist() == [
        "at least 0.973 (margin 0.011)",
        "more than +0.000 (no margin)",
        "at least −1.1 points (margin 1.1 points)",
        "at least 91.9 % (margin 1.1 points)",
    ]
    beginnings = table["This run"].str.extract(r"^(.+?) [+−]?\d")[0].tolist()
    assert beginnings == ["AUC", "difference of AUC", "difference of accuracy", "accuracy"]
    assert re.fullmatch(r"accuracy \d\d\.\d % \(.*\); 300 specimens", table["This run"][3])


def test_a_perfect_classifier_and_equal_scores():
    _, results = run()
    good = results["good"]
    perfect = replace(good, test=good.test.assign(score=good.test["label"].astype(float)))
    flat = replace(good, test=good.test.assign(score=0.5))
    found = judged(
        [claim(reference=0.984), claim(first="flat"), claim(kind="beats", second="flat")],
        {"good": perfect, "flat": flat},
    )
    assert [one.verdict for one in found] == ["undecided", "not supported", "supported"]
    assert (found[0].estimate, found[0].high) == (1, 1)
    assert found[0].decisive_low < found[0].low < 1, "100 negative specimens do not make certain"
    assert "nan" not in claims_table(pd.DataFrame(found)).to_string()


def test_what_cannot_be_computed_is_not_tested_and_says_why():
    _, results = run()
    missing = judged([claim(first="excellent")], results)[0]
    assert missing.verdict == "not tested"
    assert missing.reasons == {MISSING: "this run has no result 'excellent'."}
    assert np.isnan(missing.estimate)
    shown = claims_table(pd.DataFrame([missing])).loc[0]
    assert (shown["This run"], shown["Decides"]) == ("–", "–")
    good, poor = results["good"], results["poor"]
    blind = {"good": replace(good, validation=good.validation.query("label == 1"))}
    assert "both labels are needed" in judged([claim(metric="accuracy")], blind)[0].reasons[MISSING]
    assert judged([claim()], blind)[0].reasons == {}
    score = good.test["score"].where(good.test["row"] != 3)
    broken = {"good": replace(good, test=good.test.assign(score=score))}
    assert "not finite" in judged([claim()], broken)[0].reasons[MISSING]
    apart = {"good": replace(good, test=good.test[:100]), "poor": replace(poor, test=poor.test[100:200])}
    (one,) = judged([claim(kind="beats", second="poor")], apart)
    assert "No image was tested by both" in one.reasons[MISSING]
    few = {"good": replace(good, test=good.test[good.test["specimen"].isin(["0", "1"])])}
    (one,) = judged([claim()], few)
    assert one.verdict == "not tested"
    assert one.reasons[MISSING]


def test_two_results_are_compared_on_the_rows_both_have():
    database, results = run()
    good, poor = (results[name].test for name in ("good", "poor"))
    part = {"good": results["good"], "poor": replace(results["poor"], test=poor[100:500])}
    (found,) = judged([claim(kind="beats", second="poor")], part)
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
        ({"kind": "beats", "reference": None}, "'beats' needs a second result"),
        ({"kind": "beats", "second": "poor", "reference": 0.01}, "'beats' has no reference"),
        ({"second": "poor", "reference": 0.9}, "'reaches' has no second result"),
        ({"reference": None}, "'reaches' needs a reference"),
        ({"reference": 98.4}, "write a share"),
        ({"reference": -0.1}, "write a share"),
        ({"margin": 1.1}, "margin is 1.1; write a share"),
        ({"margin": -0.1}, r"margin is -0\.1"),
    ],
)
def test_claims_that_say_nothing(changes, message):
    with pytest.raises(ClaimError, match=f"Claim 'c': .*{message}"):
        claim(**changes)


def test_claims_from_records():
    record = {"id": "auc", "sentence": "AUC 98.4 %", "kind": "reaches", "first": "good", "reference": 0.984}
    (one,) = make_claims([record])
    assert one.border == 0.984
    with pytest.raises(ClaimError, match="Claim 'auc': 'refrence' is unknown"):
        make_claims([record | {"refrence": 1}])
    with pytest.raises(ClaimError, match="Claim 'number 1': 'id' is missing"):
        make_claims([{"sentence": "", "kind": "reaches", "first": "good"}])
    with pytest.raises(ClaimError, match="is there twice"):
        make_claims([record, record])
