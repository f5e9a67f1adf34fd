"""What the paper printed and claims, and how difficult the simulator's database is stated to be."""

import json
import re

import pytest
import yaml

from hep2lib.errors import InputError
from hep2lib.evaluation.claims import ClaimError, make_claims
from hep2lib.evaluation.leak import FIGURES, TARGETS
from hep2lib.files import project_root
from hep2lib.runs import paper
from hep2lib.runs.paper import printed, printed_claims
from hep2lib.simulator import simulation

BOOK = project_root() / "book"
VALUES = yaml.safe_load((BOOK / "paper-values.yaml").read_text(encoding="utf-8"))


def leaves(tree, path=""):
    for name, value in tree.items():
        if not isinstance(value, dict):
            yield path, tree
            return
        yield from leaves(value, f"{path}.{name}".strip("."))


ENTRIES = dict(leaves(VALUES))


@pytest.mark.parametrize("key", ENTRIES)
def test_every_number_has_its_place(key):
    entry = ENTRIES[key]
    assert set(entry) == {"value", "where"}
    assert re.search(r"Section \d|Table \d|Abstract|page|abstract|PMC|AIDA", entry["where"]), entry["where"]
    assert printed(key) == entry["value"]


def test_shares_are_shares():
    for key, entry in ENTRIES.items():
        if key.split(".")[-1] in ("auc", "accuracy", "prevalence", "mean_class_accuracy"):
            assert 0.5 < entry["value"] < 1 or key == "routine.prevalence", key


def test_the_numbers_agree_with_each_other():
    assert printed("database.positive") + printed("database.negative") == printed("database.images")
    parts = [printed(f"shares.{part}") for part in ("train", "validation", "test")]
    assert sum(parts) == pytest.approx(1)
    assert printed("rotations.step") * printed("rotations.factor") == 360
    assert printed("best.auc") == printed("table3.freeze_11_rotations.auc") == printed("table4.ours.auc")
    assert printed("best.batch_size") in printed("search.batch_sizes")
    assert printed("best.learning_rate") in printed("search.learning_rates")
    steps = printed("svm.values") - 1
    grid = [
        10 ** (printed("svm.smallest") + k * (printed("svm.largest") - printed("svm.smallest")) / steps)
        for k in range(steps + 1)
    ]
    assert printed("svm.C") == pytest.approx(grid[15], abs=5e-5)
    assert printed("routine.positive") / printed("routine.sera") == pytest.approx(
        printed("routine.prevalence"), abs=5e-4
    )


def test_the_published_comparisons_are_there():
    assert (printed("later.auc"), printed("later.accuracy")) == (0.986, 0.939)
    assert [printed(f"table4.{name}.accuracy") for name in ("di_cataldo", "benammar", "cascio", "ours")] == [
        0.857,
        0.855,
        0.928,
        0.930,
    ]


def test_later_work_is_in_the_references_and_says_what_was_read_of_it():
    references = (BOOK / "references.bib").read_text(encoding="utf-8")
    prose = (project_root() / "notebooks" / "05-results.md").read_text(encoding="utf-8")
    cited = re.search(r"### Since 2020.*?\{cite:p\}`([^`]+)`", prose, flags=re.DOTALL)[1].split(",")
    rows = printed("since_2020")
    assert len(rows) == len(cited) == 5
    for row, key in zip(rows, cited, strict=True):
        assert list(row) == ["Work", "Task", "Data", "Split", "Figure", "Certainty"]
        assert "read" in row["Certainty"]
        first, year = row["Work"].split()[0], re.search(r"\d{4}", row["Work"])[0]
        entry = references.split("{" + key + ",")[1].split("\n@")[0]
        assert f"{first}," in entry
        assert year in entry
        assert "doi" in entry
    figure = rows[0]["Figure"]
    assert f"{printed('later.auc'):.1%}" in figure
    assert f"{printed('later.accuracy'):.1%}" in figure


def test_every_number_that_a_page_quotes_exists():
    pages = [*(project_root() / "notebooks").glob("*.md"), *BOOK.glob("*.md")]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for key in re.findall(r"\{paper\}`([a-z_A-Z0-9.]+)", text) + re.findall(
            r'printed\("([^"{]+)"\)', text
        ):
            printed(key)
    with pytest.raises(InputError, match=r"paper-values\.yaml has no 'table9\.auc'"):
        printed("table9.auc")


def test_every_claim_refers_to_a_printed_number_or_to_two_results():
    records = yaml.safe_load((BOOK / "claims.yaml").read_text(encoding="utf-8"))
    for record, claim in zip(records, printed_claims(), strict=True):
        assert claim.source, claim.id
        assert "reference" not in record, "numbers stand in paper-values.yaml alone"
        assert ("paper" in record) == (claim.reference is not None)
        if "paper" in record:
            assert claim.reference == printed(record["paper"])
    assert {"beats", "reaches", "as good", "not worse"} <= {claim.kind for claim in printed_claims()}


def test_no_verdict_can_be_written_into_the_list():
    record = {"id": "a", "sentence": "It is so.", "kind": "reaches", "first": "SVM", "reference": 0.9}
    with pytest.raises(ClaimError, match="'verdict' is unknown"):
        make_claims([record | {"verdict": "supported"}])
    prose = (project_root() / "notebooks" / "05-results.md").read_text(encoding="utf-8")
    cells = re.findall(r"```\{code-cell\}.*?```", prose, flags=re.DOTALL)
    typed = [cell for cell in cells if re.search(r"[\"'](supported|not supported|undecided)[\"']", cell)]
    assert len(typed) == 1  # the cell that counts what was computed
    assert '(verdicts["verdict"] == verdict).sum()' in typed[0]


def test_the_stated_difficulty_is_that_of_this_simulator():
    stated = paper.stated_difficulty()
    assert list(stated) == list(FIGURES)
    assert stated["intensity"].count >= 5
    assert all(low <= stated[name].mean <= high for name, (low, high) in TARGETS.items())
    assert stated["nearest neighbours, leak"].mean > 0
    assert stated["metadata"].highest < 0.6


def test_what_is_written_is_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "difficulty_file", lambda: tmp_path / "difficulty.json")
    paper.write_difficulty([dict.fromkeys(FIGURES, 0.25), dict.fromkeys(FIGURES, 0.75)], specimens=10)
    stated = paper.stated_difficulty()
    assert (stated["intensity"].mean, stated["intensity"].highest, stated["metadata"].count) == (0.5, 0.75, 2)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"simulator_version": 0, "seeds": []}'])
def test_figures_of_another_simulator_or_none_are_refused(tmp_path, monkeypatch, content):
    monkeypatch.setattr(paper, "difficulty_file", lambda: tmp_path / "difficulty.json")
    with pytest.raises(InputError, match=r"measure it with `python benchmarks/difficulty.py --write`"):
        paper.stated_difficulty()
    (tmp_path / "difficulty.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"measure it with `python benchmarks/difficulty.py --write`"):
        paper.stated_difficulty()
    now = {"simulator_version": simulation.VERSION, "seeds": [{"intensity": 1}]}
    (tmp_path / "difficulty.json").write_text(json.dumps(now), encoding="utf-8")
    with pytest.raises(InputError, match="no figures of the simulator's difficulty"):
        paper.stated_difficulty()
