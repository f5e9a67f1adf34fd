"""Agreement with published figures.

`aneurysm.csv`: outcome, sex and three measurements of 113 patients after an aneurysmal subarachnoid
haemorrhage, from Turck et al. 2010, Intensive Care Medicine 36:107, doi 10.1007/s00134-009-1641-y, as
published with pROC (Robin et al. 2011, BMC Bioinformatics 12:77, data set aSAH). The expected figures are
those that pROC 1.19.0.1 prints and holds itself to (its tests test-var.R, test-cov.R, test-ci.auc.R and
test-roc.test.R, github.com/xrobin/pROC).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hep2lib.evaluation.auc import (
    auc,
    auc_bounds,
    auc_interval,
    compare_auc,
    critical_value,
    fold_sums,
)

PATIENTS = pd.read_csv(Path(__file__).with_name("aneurysm.csv"))
POOR = PATIENTS["poor_outcome"].to_numpy()


@pytest.mark.parametrize(
    ("measurement", "variance"),
    [("wfns", 0.00146991470882363), ("ndka", 0.0031908105493913), ("s100b", 0.00266868245717244)],
)
def test_delong_variance(measurement, variance):
    assert fold_sums(POOR, PATIENTS[measurement], None)[0].variances() == pytest.approx(variance, abs=1e-15)


def test_delong_covariance():
    (sums,) = fold_sums(POOR, PATIENTS[["wfns", "ndka", "s100b"]].to_numpy().T, None)
    covariance = sums.covariance()
    assert covariance[0, 1] == pytest.approx(-0.000532967856762438, abs=1e-15)
    assert covariance[1, 2] == pytest.approx(-0.000756164938056579, abs=1e-15)
    assert covariance[2, 0] == pytest.approx(0.00119615567376754, abs=1e-15)


def test_interval_on_the_plain_scale():
    low, high, _ = auc_bounds(fold_sums(POOR, PATIENTS["ndka"], None), scale="plain")
    assert (low[0], high[0]) == pytest.approx((0.501244999271703, 0.722670989888189), abs=1e-12)
    assert auc_interval(POOR, PATIENTS["ndka"], None).estimate == pytest.approx(0.611957994579946, abs=1e-12)


def test_interval_of_the_women_alone():
    women = PATIENTS[PATIENTS["female"] == 1]
    low, high, _ = auc_bounds(fold_sums(women["poor_outcome"], women["ndka"], None), scale="plain")
    assert (low[0], high[0]) == pytest.approx((0.5261398281, 0.8081458862), abs=1e-9)
    assert auc(women["poor_outcome"], women["ndka"]) == pytest.approx(0.6671428571, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "z", "p", "low", "high"),
    [
        ("wfns", "s100b", 2.20898359144091, 0.0271757822291882, 0.0104061769564846, 0.174214419249478),
        ("wfns", "ndka", 2.79777591868904, 0.00514557970691098, 0.0634011709339876, 0.3600405634833566),
        ("ndka", "s100b", -1.39077002573558, 0.164295175223054, -0.2876917446341914, 0.0488706064228094),
    ],
)
def test_paired_delong_test(first, second, z, p, low, high):
    comparison = compare_auc(POOR, PATIENTS[first], PATIENTS[second], None)
    error = (comparison.high - comparison.low) / 2 / critical_value(0.95)
    assert comparison.difference / error == pytest.approx(z, abs=1e-10)
    assert comparison.p == pytest.approx(p, abs=1e-10)
    assert (comparison.low, comparison.high) == pytest.approx((low, high), abs=1e-10)
    assert comparison.difference == pytest.approx(auc(POOR, PATIENTS[first]) - auc(POOR, PATIENTS[second]))


def test_patients_named_one_by_one_change_nothing():
    names = np.array([f"patient {row}" for row in range(POOR.size)])
    by_name = auc_interval(POOR, PATIENTS["s100b"], names)
    independent = auc_interval(POOR, PATIENTS["s100b"], None)
    assert by_name.standard_error == pytest.approx(independent.standard_error, rel=1e-12)
    assert by_name.low == pytest.approx(independent.low, rel=1e-12)
