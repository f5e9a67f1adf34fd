"""What the paper printed and claims, and how difficult the simulator's database is stated to be."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from hep2lib.errors import InputError
from hep2lib.evaluation.claims import KINDS, VERDICTS, ClaimError, make_claims
from hep2lib.evaluation.leak import FIGURES, TARGETS
from hep2lib.files import project_root
from hep2lib.runs import paper
from hep2lib.runs.paper import (
    other_conditions,
    paper_question,
    printed,
    printed_claims,
    smaller_budgets,
)
from hep2lib.runs.parameters import make_parameters, profile_values
from hep2lib.runs.run import open_run
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
    assert f"AUC {printed('later.auc'):.3f}" in figure
    assert f"accuracy {100 * printed('later.accuracy'):.1f} %" in figure


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
    assert {claim.kind for claim in printed_claims()} == set(KINDS)


def test_no_verdict_can_be_written_into_the_list():
    record = {"id": "a", "sentence": "It is so.", "kind": "reaches", "first": "SVM", "reference": 0.9}
    with pytest.raises(ClaimError, match="'verdict' is unknown"):
        make_claims([record | {"verdict": "supported"}])
    prose = (project_root() / "notebooks" / "05-results.md").read_text(encoding="utf-8")
    cells = re.findall(r"```\{code-cell\}.*?```", prose.partition("## Exercises")[0], flags=re.DOTALL)
    assert not [cell for cell in cells if re.search(rf"[\"']({'|'.join(VERDICTS)})[\"']", cell)]


NAMES = [
    "fine-tuning",
    "freeze 11",
    "freeze 139",
    "SVM",
    "SVM on pool5-7x7_s1",
    "freeze 11, with rotations",
    "a new one",
]
ALL, TURNED, DEPTHS, SVMS = (
    {"fine-tuning", "a new one"},
    {"fine-tuning", "a new one", "freeze 11, with rotations"},
    {"freeze 11", "freeze 139", "freeze 11, with rotations"},
    set(NAMES[3:5]),
)

NOTHING: dict[str, list[str]] = {name: [] for name in NAMES}


def changed(grid=None, **settings):
    """The paper's parameters with some of them set otherwise, ``grid`` in the search."""
    (search,) = profile_values("paper")["grids"]
    return make_parameters("paper", {"grids": [search | (grid or {})]} | settings)


def test_the_papers_own_parameters_are_the_papers_budget():
    assert smaller_budgets(make_parameters("paper"), NAMES) == NOTHING
    more = {"batch_sizes": [2, 4, 8, 16, 32, 64, 128], "epochs": 20, "freeze": [0, 11, 110, 139]}
    richer = changed(more, rotations=36, views_per_epoch=18, svm_values=40, svm_largest=4, folds=10)
    assert smaller_budgets(richer, NAMES) == NOTHING


@pytest.mark.parametrize(
    ("less", "results", "words"),
    [
        ({"grid": {"learning_rates": [0.01]}}, ALL | DEPTHS, "6 of 18 configurations"),
        ({"grid": {"learning_rates": [0.1, 0.001, 0.0001]}}, ALL | DEPTHS, "12 of 18 configurations"),
        ({"grid": {"batch_sizes": [16], "learning_rates": [0.01]}}, ALL | DEPTHS, "1 of 18 configurations"),
        ({"grid": {"freeze": [110, 139]}}, TURNED | {"freeze 11"}, "0 of 18 configurations"),
        ({"grid": {"epochs": 9}}, ALL | DEPTHS, "9 of 10 epochs"),
        ({"rotations": 1}, TURNED, "1 of 18 views an epoch"),
        ({"rotations": 17}, TURNED, "17 of 18 views an epoch"),
        ({"views_per_epoch": 1}, TURNED, "1 of 18 views an epoch"),
        ({"svm_values": 19}, SVMS, "19 of 20 values of C"),
        ({"svm_largest": -5.0}, SVMS, "3 of 20 values of C"),
        ({"folds": 4}, set(NAMES), "4 of 5 folds"),
        ({"image_size": 112}, set(NAMES), "112 of 224 pixels a side"),
    ],
)
def test_whatever_is_less_than_in_the_paper_is_named(less, results, words):
    found = smaller_budgets(changed(**less), NAMES)
    assert {name for name, parts in found.items() if parts} == results
    for name in results:
        (part,) = found[name]
        whole = words if name not in ALL or "18 config" not in words else None
        assert part == whole or (whole is None and re.fullmatch(r"\d+ of 54 configurations", part))


def test_of_one_configuration_the_longest_training_counts_and_of_several_the_shortest():
    (search,) = profile_values("paper")["grids"]
    short = search | {"epochs": 3}
    one = make_parameters("paper", {"grids": [search, short]})
    assert smaller_budgets(one, NAMES) == NOTHING
    shallow, others = short | {"freeze": [11]}, search | {"freeze": [110, 139]}
    two = make_parameters("paper", {"grids": [others, shallow]})
    found = smaller_budgets(two, NAMES)
    assert found["freeze 11"] == found["fine-tuning"] == ["3 of 10 epochs"]
    assert found["freeze 139"] == []


@pytest.mark.parametrize("profile", ["smoke", "quick"])
def test_a_quick_run_tests_nothing_of_fine_tuning(profile):
    found = smaller_budgets(make_parameters(profile), NAMES)
    assert all(found[name] for name in ALL | DEPTHS)


def test_absolute_numbers_are_judged_on_aida_alone():
    aida = pd.DataFrame({"label": np.repeat([1, 0], [1498, 582])})
    aida.attrs.update(name="AIDA_HEp2 (AIDA)", layout="AIDA", simulated=False)
    assert other_conditions(aida, "imagenet") == ""
    assert other_conditions(aida, "random") == "random weights"
    assert other_conditions(aida, "googlenet.mat") == ""
    for wrong in (aida[1:], aida.assign(label=1 - aida["label"])):
        wrong.attrs = aida.attrs
        assert other_conditions(wrong, "imagenet") == "not AIDA's 2,080 images, 1,498 of them positive"
    for key, value, words in (("layout", "folders", "not AIDA"), ("simulated", True, "simulated images")):
        other = aida.copy()
        other.attrs |= {key: value}
        assert other_conditions(other, "imagenet").startswith(words)
    assert other_conditions(other, "random-caffe") == "simulated images, random-caffe weights"


@pytest.mark.parametrize(
    ("layout", "simulated", "images"),
    [
        ("AIDA", False, "those of the paper"),
        ("folders", False, "not the paper's"),
        ("AIDA", True, "simulated: "),
    ],
)
@pytest.mark.parametrize(
    ("weights", "start"),
    [
        ("imagenet", "ImageNet's weights, as in the paper"),
        ("random", "random weights, which have learnt nothing. So what a network gains from photographs"),
        ("some/where/net.onnx", "net.onnx; whether that learnt from photographs"),
    ],
)
def test_what_images_and_weights_make_of_the_papers_question(layout, simulated, images, weights, start):
    database = pd.DataFrame({"label": np.repeat([1, 0], [1498, 582])})
    database.attrs.update(name="a name", layout=layout, simulated=simulated)
    said = paper_question(database, weights)
    assert said.startswith(f"The images of this run are {images}")
    assert f". Training starts from {start}" in said
    assert not said.endswith(".")


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


def rows_of(better, worse, equal):
    """Rows of the comparison of weights: so many in which procedural ones are better, worse, or neither."""
    ends = [(0.01, 0.03)] * better + [(-0.03, -0.01)] * worse + [(-0.01, 0.02)] * equal
    return [{"row": f"row {n}", "procedural low": a, "procedural high": b} for n, (a, b) in enumerate(ends)]


@pytest.mark.parametrize(
    ("counts", "procedural"),
    [((6, 0, 5), True), ((5, 0, 5), True), ((5, 0, 6), False), ((10, 1, 0), False), ((0, 0, 11), False)],
)
def test_procedural_weights_have_to_be_better_in_half_of_the_rows_and_worse_in_none(counts, procedural):
    assert paper.follows_the_rule(rows_of(*counts)) is procedural


def test_the_default_offline_is_what_the_rule_comes_to(tmp_path, monkeypatch):
    rows, about, pictures = paper.stated_weights()
    assert len(rows) >= 10
    assert about["starts each"] >= 3
    assert {f"{kind}, filters" for kind in about["starts"]} <= set(pictures)
    for row in rows.to_dict("records"):
        for kind in ("random", "procedural"):
            assert row[f"{kind} mean"] == pytest.approx(np.mean(row[kind]))
        assert row["procedural low"] <= row["procedural difference"] <= row["procedural high"]
    monkeypatch.setattr("hep2lib.cnn.weights.imagenet_available", lambda: False)
    monkeypatch.setattr("hep2lib.cnn.weights.PROCEDURAL", tmp_path / "file")
    (tmp_path / "file").touch()  # whether it is there is another matter
    used = open_run(tmp_path / "run", "smoke", weights="auto").weights["used"]
    assert used == ("procedural" if paper.follows_the_rule(rows.to_dict("records")) else "random")


def test_the_comparison_of_weights_is_stated_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "weights_file", lambda: tmp_path / "weights.json")
    with pytest.raises(
        InputError, match=r"no comparison of weights; make it with `python benchmarks/weights"
    ):
        paper.stated_weights()
    paper.write_weights(
        rows_of(1, 0, 1), {"specimens": 400}, {"random, filters": np.ones((2, 3), np.float16)}
    )
    table, about, pictures = paper.stated_weights()
    assert table["row"].tolist() == ["row 0", "row 1"]
    assert about["specimens"] == 400
    assert pictures["random, filters"].sum() == 6
    other = json.loads((tmp_path / "weights.json").read_text(encoding="utf-8")) | {"simulator_version": 1}
    (tmp_path / "weights.json").write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(InputError, match="made with another version of the simulator"):
        paper.stated_weights()
