"""Strategies of a run: the right trial under the right name, and claims that are judged on them."""

import re

import numpy as np
import pytest

from hep2lib.evaluation.auc import auc
from hep2lib.evaluation.claims import judge
from hep2lib.evaluation.scores import (
    extracted,
    run_strategies,
    seed_aucs,
    tuned,
)
from hep2lib.figures.results import claims_table
from hep2lib.runs.paper import printed_claims, smaller_budgets
from hep2lib.runs.parameters import make_parameters

from .made_outcomes import DATABASE, LABELS, OWNER, folds, separated_outcome, svm_outcome, tuning_outcome


def test_every_strategy_has_its_name():
    found = run_strategies(tuning_outcome(), svm_outcome(), DATABASE)
    assert list(found) == [
        "fine-tuning",
        "SVM",
        "fine-tuning, by fold",
        "SVM, by fold",
        "freeze 11",
        "freeze 110",
        "freeze 139",
        "freeze 11, with rotations",
        "SVM on inception_3a-output",
        "SVM on pool5-7x7_s1",
        "SVM, best later layer",
    ]
    assert found["SVM, best later layer"].choice == found["SVM on pool5-7x7_s1"].choice
    assert found["SVM"].choice == "inception_3a-output, C = 1"
    assert found["freeze 11, with rotations"].choice.startswith(
        "freeze 11, one of 18 angles an epoch, batch size"
    )
    plain = run_strategies(tuning_outcome(rotations=False), svm_outcome(), DATABASE)
    assert "freeze 11, with rotations" not in plain
    assert plain["fine-tuning"].choice == plain["freeze 11"].choice


def test_the_best_is_the_best_on_validation():
    outcome = tuning_outcome()
    means = outcome.means()
    assert outcome.best(rotated=None).validation_auc == means["validation_auc"].max()


def test_each_fold_chooses_for_itself():
    tuning, svm = tuning_outcome(), svm_outcome()
    for strategy, table in (
        (tuned(tuning, tuning.nested(rotated=None), DATABASE), tuning.table()),
        (extracted(svm, svm.nested(), DATABASE), svm.table()),
    ):
        for fold, best in table.groupby("fold")["validation_auc"].max().items():
            known = strategy.validation[strategy.validation["fold"] == fold]
            assert auc(known["label"], known["score"]) == pytest.approx(best)
            assert sorted(strategy.test.loc[strategy.test["fold"] == fold, "row"]) == sorted(
                folds()[fold].test
            )


def test_of_perfect_separations_the_one_that_an_svm_would_prefer():
    """Every layer and C separates every validation part; what is chosen is known, and not by the order."""
    svm = separated_outcome()
    assert (svm.table()["validation_auc"] == 1).all()
    found = run_strategies(tuning_outcome(), svm, DATABASE)
    assert found["SVM"].choice == "inception_3a-output, C = 1"
    assert found["SVM, best later layer"].choice == "pool5-7x7_s1, C = 0.01"
    assert found["SVM, by fold"].choice.split("; ") == [
        "data, C = 1",
        "inception_3a-output, C = 1",
        "pool5-7x7_s1, C = 0.01",
    ]
    assert [choice.tied for choice in svm.nested()] == [6, 6, 6]
    # A fold's own choice is what is scored in it.
    test = found["SVM, by fold"].test
    for number, (layer, value) in enumerate([("data", 1.0), ("inception_3a-output", 1.0)]):
        expected = svm.scores(svm.best(layer)).query("fold == @number")["score"]
        assert svm.best(layer).value == value
        assert test.loc[test["fold"] == number, "score"].tolist() == expected.tolist()


def test_scores_hold_every_tested_image_once_with_its_fold_and_specimen():
    strategy = run_strategies(tuning_outcome(), svm_outcome(), DATABASE)["SVM"]
    found = strategy.by_row()
    np.testing.assert_array_equal(found["row"], np.arange(LABELS.size))
    np.testing.assert_array_equal(found["label"], LABELS)
    np.testing.assert_array_equal(found["specimen"], OWNER)
    for number, fold in enumerate(folds()):
        assert np.all(found["fold"][fold.test] == number)
    by_fold = [auc(LABELS[fold.test], found["score"][fold.test]) for fold in folds()]
    assert strategy.fold_aucs().tolist() == by_fold
    assert strategy.auc().estimate == pytest.approx(np.mean(by_fold))


def test_seeds_and_folds_of_a_configuration():
    outcome = tuning_outcome(seeds=(0, 1, 2))
    values = seed_aucs(outcome, outcome.best(139))
    assert values.shape == (3, 3)
    assert np.unique(values).size > 3
    own = np.mean([auc(p["label"], p["score"]) for _, p in outcome.scores(outcome.best(139)).groupby("fold")])
    assert values[0].mean() == pytest.approx(own)


def judged(seed):
    found = run_strategies(tuning_outcome(seed), svm_outcome(seed), DATABASE)
    return judge(printed_claims(), found, dict.fromkeys(found, ()), "")


def test_every_claim_of_the_paper_is_judged():
    verdicts = judged(0)
    table = claims_table(verdicts)
    assert len(table) == len(printed_claims()) == 8
    # The baselines were not run here: that claim says so and is not tested.
    for verdict in verdicts.itertuples():
        missing = verdict.claim.second == "hand-made features"
        assert (verdict.verdict == "not tested") == missing == bool(verdict.reasons), verdict.claim.id
    assert set(verdicts["level"].dropna().round(6)) == {round(1 - 0.05 / 7, 6)}
    row = table[table["Claim"].str.startswith("Fine-tuning has a higher AUC than feature")].iloc[0]
    assert re.fullmatch(r"difference of AUC [+−]\S* \([+−]\S* to [+−]\S*\); 60 specimens", row["This run"])


def test_another_seed_changes_the_estimates_and_the_same_one_does_not():
    first, again, other = judged(0), judged(0), judged(1)
    assert claims_table(first).equals(claims_table(again))
    known = first["verdict"] != "not tested"
    assert known.sum() == 7
    assert (first["estimate"] != other["estimate"])[known].all()


@pytest.mark.parametrize("profile", ["smoke", "quick", "paper"])
def test_only_the_papers_budget_gives_verdicts_on_fine_tuning(profile):
    found = run_strategies(tuning_outcome(), svm_outcome(), DATABASE)
    less = smaller_budgets(make_parameters(profile), found)
    verdicts = judge(printed_claims(), found, less, "simulated images").set_index("claim")["verdict"]
    for claim, verdict in verdicts.items():
        there = {claim.first, claim.second} - {""} <= set(found)
        own = there and not any(less[name] for name in (claim.first, claim.second) if name)
        assert (verdict == "not tested") == (not own or claim.kind == "reaches"), claim.id
        if "SVM" not in claim.first and profile != "paper":
            assert verdict == "not tested", claim.id
