"""Chapters 3 to 5, executed again from the records of the published run, publish what is published."""

import json
from pathlib import Path

import pytest

from hep2lib import open_run
from hep2lib.cli import main
from hep2lib.files import project_root
from hep2lib.runs.freshness import check, recorded
from hep2lib.runs.notebooks import PAGES
from hep2lib.runs.records import PAGES as RECORDED
from hep2lib.runs.records import RecordsError

pytestmark = pytest.mark.slow
PUBLISHED = project_root() / "book" / "run"
WIDER = {
    # What is left where two ways to the same optimum differ: libsvm's single precision.
    "svm.difference": {"abs": 1e-4},
    "svm.both.features": {"rel": 1e-6},
    "svm.both.matrix": {"rel": 1e-6},
    # A search for a minimum ends within the square root of the rounding error.
    "temperature.lowest": {"rel": 1e-5},
    "temperature.highest": {"rel": 1e-5},
}


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """A run of the records, with its three chapters executed: a minute or two on two cores."""
    assert recorded(PUBLISHED), "book/run has no records: make a run and publish it with `hep2 publish`"
    run = tmp_path_factory.mktemp("runs") / "again"
    assert main(["run", "--from-published", "--out", str(run)]) == 0
    return run


def published(run: Path, page: str) -> dict:
    return json.loads((run / "published" / f"{page}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", RECORDED)
def test_every_value_is_published_again(again, page):
    """Numbers agree to 1e-9, but for ``WIDER``: another processor, or another BLAS, rounds otherwise."""
    before, after = (published(run, page) for run in (PUBLISHED, again))
    assert before["values"]
    assert list(after["values"]) == list(before["values"])
    for name, known in before["values"].items():
        assert after["values"][name].keys() == known.keys(), name
        for key, wanted in known.items():
            allowed = WIDER.get(name, {"rel": 1e-9, "abs": 1e-12})
            close = wanted if isinstance(wanted, str) else pytest.approx(wanted, **allowed)
            assert after["values"][name][key] == close, name
    assert [*after["tables"], *after["figures"]] == [*before["tables"], *before["figures"]]
    for kind in ("tables", "figures"):
        for name, one in before[kind].items():
            assert after[kind][name]["caption"] == one["caption"], name
    for name in before["tables"]:
        html = [(run / "tables" / f"{name}.html").read_text(encoding="utf-8") for run in (PUBLISHED, again)]
        assert html[0] == html[1], name


def test_the_other_chapters_are_as_they_were_published_and_the_executed_ones_as_fresh(again):
    for page in set(PAGES) - set(RECORDED):
        assert published(again, page) == published(PUBLISHED, page)
    before, after = check(PUBLISHED), check(again)
    assert {page: one.reasons for page, one in after.items()} == {
        page: one.reasons for page, one in before.items()
    }
    about = json.loads((again / "run.json").read_text(encoding="utf-8"))
    assert about["published"] is False
    assert about["made from"].startswith("records")


def test_the_published_run_can_be_looked_into_as_it_is(again):
    before = sorted(PUBLISHED.rglob("*"))
    run = open_run(PUBLISHED)
    assert run.statement == json.loads((PUBLISHED / "run.json").read_text(encoding="utf-8"))["statement"]
    assert run.svm.best() == open_run(again).svm.best()
    assert sorted(PUBLISHED.rglob("*")) == before


def test_such_a_run_says_what_it_has_not(again, capsys):
    run = open_run(again)
    assert run.network.provenance.sha256 == json.loads((again / "run.json").read_text())["weights"]["sha256"]
    assert {parameter.device.type for parameter in run.network.parameters()} == {"meta"}
    for needed, what in (
        (lambda: run.images, "without images"),
        (lambda: run.tuned_networks(run.fine_tuning.best()), "without training"),
    ):
        with pytest.raises(
            RecordsError, match=f"was made from records, {what}; a run of its own computes it"
        ):
            needed()
    assert main(["run", "--out", str(again), "--page", "01"]) == 2
    assert "was made from records, which 01-dataset is not executed from" in capsys.readouterr().err
    assert main(["run", "--from-published", "--out", str(again), "--set", "seed=3", "--page", "03"]) == 2
    assert "seed is 0 there, 3 was asked for" in capsys.readouterr().err
