import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from hep2lib.cli import main
from hep2lib.errors import InputError
from hep2lib.evaluation.auc import auc_interval, compare_auc, difference_across_folds
from hep2lib.files import write_json, write_text
from hep2lib.runs import compare as module
from hep2lib.runs.compare import as_markdown, as_text, compare
from hep2lib.runs.freshness import published_run
from hep2lib.runs.publish import PublishError, read_pages

from .small_book import BOOK

DATABASE = {"name": "photographs", "images": 40, "specimens": 20, "sha256": "a" * 64}
ABOUT = {
    "profile": "mine",
    "database": DATABASE,
    "device": "cpu",
    "processor": "Processor One",
    "versions": {"torch": "2.14"},
    "seconds": {"svm": 3.0},
    "statement": "Obtained on photographs.",
}
PARAMETERS = {
    "profile": "mine",
    "seed": 0,
    "data": "/home/ada/photographs",
    "image_size": 112,
    "grids": [{"freeze": [11, 110], "epochs": 3}],
    "svm_layers": [f"inception_{number}-output" for number in range(10)],
    "workers": 2,
}
VALUES = {
    "fine-tuning.auc": 0.9,
    "svm.tied": 5,
    "svm.layer": "pool2-3x3_s2",
    "found": "AUC 0.867 (0.768 to 0.928), accuracy 64.9\u00a0%; 100 specimens",
    "cost.svm.seconds": 28.5,
}


def make_run(folder, values=VALUES, parameters=PARAMETERS, about=ABOUT):
    """A run of one chapter without records, as far as it is compared."""
    page = {"page": "05-results", "tables": {}, "figures": {}, "kept": []}
    page["values"] = {name: {"value": value} for name, value in values.items()}
    write_json(folder / "published" / "05-results.json", page)
    write_text(folder / "parameters.yaml", yaml.safe_dump(parameters))
    if about:
        write_json(folder / "run.json", about)
    return folder


@pytest.fixture
def pair(tmp_path):
    """Two folders, and what comparing them gives, once they are runs."""
    folders = [make_run(tmp_path / name) for name in ("first", "second")]

    def compared(**options):
        found = compare([(folder.name, folder) for folder in folders], **options)
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        return found

    return *folders, compared


def test_a_known_difference_is_found_and_nothing_else(pair):
    _, second, compared = pair
    other = {"seed": 3, "image_size": 224, "grids": [{"freeze": [11, 110], "epochs": 10}], "workers": 8}
    values = {"fine-tuning.auc": 0.84, "svm.tied": 6, "svm.layer": "pool5", "cost.svm.seconds": 9.0}
    make_run(second, VALUES | values, PARAMETERS | other)
    found = compared()
    assert list(found["parameters"].items()) == [
        ("image_size", {"A": 112, "B": 224}),
        ("grids.1.epochs", {"A": 3, "B": 10}),
        ("seed", {"A": 0, "B": 3}),
    ]
    assert found["facts"] == {}
    assert list(found["values"]) == ["fine-tuning.auc", "svm.layer", "svm.tied"]
    assert found["values"]["fine-tuning.auc"]["difference"] == {"B": pytest.approx(0.06)}
    assert found["values"]["svm.tied"] == {
        "page": "05-results",
        "is": "differs",
        "values": {"A": 5, "B": 6},
        "difference": {"B": -1},
    }
    assert found["values"]["svm.layer"]["difference"] == {}
    assert found["not compared"] == ["cost.svm.seconds"]
    assert found["summary"] == "4 values: 1 the same, 3 different."
    text = as_text(found)
    assert "Values may mean something else, since these differ: image_size." in text
    assert "fine-tuning.auc  0.9           0.84   +0.06\n" in text
    assert "grids.1.epochs  3    10\n" in text
    assert "\n\nValues of chapter 05-results\n" in text


@pytest.mark.parametrize("again", [True, False], ids=["the same run twice", "two runs of one seed"])
def test_equal_runs_compare_as_equal(pair, again):
    first, second, compared = pair
    found = compare([("first", first), ("again", first if again else second)])
    assert found["summary"] == "No value differs: all 4 are the same."
    assert "No parameter differs." in found["notes"]
    assert (found["values"], found["parameters"], found["facts"]) == ({}, {}, {})
    everything = compared(everything=True)
    assert {row["is"] for row in everything["values"].values()} == {"same"}
    assert everything["parameters"]["seed"] == {"A": 0, "B": 0}
    assert everything["values"]["fine-tuning.auc"]["difference"] == {"B": 0.0}
    assert everything["summary"] == found["summary"]
    assert "No parameter differs." in everything["notes"]


def test_between_other_images_no_difference_is_formed(pair):
    _, second, compared = pair
    other = DATABASE | {"name": "drawings", "images": 33, "sha256": "b" * 64}
    make_run(second, VALUES | {"fine-tuning.auc": 0.84}, about=ABOUT | {"database": other})
    found = compared()
    why = "other images (40 images of 20 specimens, photographs; 33 images of 20 specimens, drawings)"
    assert found["not comparable"] == {"B": why}
    assert found["values"]["fine-tuning.auc"]["values"] == {"A": 0.9, "B": 0.84}
    assert not any(row["difference"] for row in [*found["values"].values(), *found["results"].values()])
    for text in (as_text(found), as_markdown(found, ["a", "b"])):
        assert text.startswith(
            "Not comparable, so no difference is formed: the columns only stand side by side."
        )
        assert "A − B" not in text
        assert "0.06" not in text


def test_images_that_a_simulator_drew_twice_are_the_same_images_in_other_files(pair):
    first, second, compared = pair
    drawn = DATABASE | {"simulation": "version 4, parameters fa48, seed 0"}
    for folder, sha256 in ((first, "a"), (second, "b")):
        make_run(folder, about=ABOUT | {"database": drawn | {"sha256": sha256 * 64}})
    assert compared()["not comparable"] == {}
    make_run(second, about=ABOUT | {"database": drawn | {"simulation": "version 4, parameters fa48, seed 1"}})
    assert list(compared()["not comparable"]) == ["B"] or compared()["not comparable"] == {}
    write_json(
        second / "run.json", ABOUT | {"database": drawn | {"sha256": "b" * 64, "simulation": "another"}}
    )
    assert list(compared()["not comparable"]) == ["B"]


ALTERED = VALUES | {
    "fine-tuning.auc": 0.9018,
    "found": "AUC 0.868 (0.767 to 0.928), accuracy 65.0\u00a0%; 100 specimens",
}


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"processor": "Processor Two"},
        {"versions": {"torch": "2.15"}},
        {"device": "NVIDIA H100"},
        {"processor": None},  # as runs of earlier versions, which did not say
    ],
)
def test_last_digits_on_another_processor_are_the_same_but_for_rounding(pair, elsewhere):
    first, second, compared = pair
    about = {name: value for name, value in (ABOUT | elsewhere).items() if value}
    make_run(second, ALTERED, about=about)
    if "processor" not in about:
        make_run(first, about=about)
    found = compared()
    assert {name: row["is"] for name, row in found["values"].items()} == dict.fromkeys(
        ("fine-tuning.auc", "found"), "rounding"
    )
    assert found["summary"] == (
        "4 values: 2 the same, 2 the same but for rounding. Rounding here is 0.0018 at most. Up to 0.002 is "
        "taken for it where processor, device and libraries are not known to be the same: one run that was "
        "made on two processors had 7 of 92 values that differed, by 0.0018 at most."
    )


def test_last_digits_on_the_same_processor_are_a_difference(pair):
    _, second, compared = pair
    make_run(second, ALTERED)
    assert [row["is"] for row in compared()["values"].values()] == ["differs", "differs"]
    make_run(second, VALUES | {"fine-tuning.auc": 0.9 + 1e-12})
    assert compared()["summary"] == "No value differs: all 4 are the same."


@pytest.mark.parametrize(
    "values",
    [
        {"fine-tuning.auc": 0.9021},
        {"svm.tied": 6},
        {"svm.layer": "pool5-3x3_s2"},
        {"found": VALUES["found"].replace("64.9", "65.2")},
        {"found": VALUES["found"].replace("AUC", "area")},
    ],
)
def test_more_than_rounding_is_a_difference_on_any_processor(pair, values):
    _, second, compared = pair
    make_run(second, VALUES | values, about=ABOUT | {"processor": "Processor Two"})
    (row,) = compared()["values"].values()
    assert row["is"] == "differs"


def test_what_a_run_lacks_is_said(pair):
    first, second, compared = pair
    make_run(second, {name: VALUES[name] for name in ("svm.tied", "svm.layer")}, about=None)
    (second / "run.json").unlink()
    found = compared()
    assert found["not comparable"] == {"B": "run.json of second does not say what images it had"}
    swapped = compare([("second", second), ("first", first)])
    assert swapped["not comparable"] == found["not comparable"]
    assert [name for name, row in found["values"].items() if row["is"] == "missing"] == [
        "fine-tuning.auc",
        "found",
    ]
    text = " ".join(as_text(found).split())
    assert "B has no records that can be read" in text
    assert "Not in B: fine-tuning.auc, found." in text
    shutil.rmtree(second / "published")
    assert "B has no chapter 05-results; hep2 run second goes on with it." in compared()["notes"]
    many = {f"number.{n}": n for n in range(30)}
    make_run(first, VALUES | many)
    short = "Not in B: 34 values of 05-results (option --all names them)."
    assert short in compared()["notes"]
    assert "(option `--all` names them)" in as_markdown(compared(), [])
    (told,) = [note for note in compared(everything=True)["notes"] if note.startswith("Not in B")]
    assert told == f"Not in B: {', '.join(sorted([*[*VALUES][:4], *many]))}."
    write_text(second / "records" / "records.json", "{}")  # as one that was made from records has
    assert "B has no chapter 05-results." in compared()["notes"]
    write_text(first / "records" / "about.json", "{}")
    write_text(first / "records" / "database.csv.gz", "not gzip")
    assert compared()["results"] == {}


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        ("run.json", InputError, "run.json: cannot be read"),
        ("parameters.yaml", InputError, "parameters.yaml: cannot be read"),
        ("published/05-results.json", PublishError, "05-results.json: not what a page publishes"),
    ],
)
def test_what_is_damaged_is_named(pair, spoil, kind, message):
    _, second, compared = pair
    write_text(second / spoil, "[")
    with pytest.raises(kind, match=message):
        compared()


def test_a_path_counts_by_its_name_and_a_long_list_by_what_is_its_own(pair):
    _, second, compared = pair
    layers = PARAMETERS["svm_layers"][:9]
    make_run(second, parameters=PARAMETERS | {"data": "C:\\Ada\\photographs", "svm_layers": layers})
    found = compared()
    assert list(found["parameters"]) == ["svm_layers"]
    told = "svm_layers  10 values (not in every run: inception_9-output)  9 values"
    assert told in as_text(found, 100)
    make_run(second, parameters=PARAMETERS | {"svm_layers": layers[3:]})
    told = "svm_layers  10 values (not in every run: inception_0-output and 3 more)  6 values"
    assert told in as_text(compared(), 100)


def scores(seed, folds=5):
    draw = np.random.default_rng(seed)
    specimen = np.repeat(np.arange(60), 2)
    label = specimen % 2
    score = 1.5 * label + draw.normal(size=60)[specimen] + 0.3 * draw.normal(size=120)
    table = {"label": label, "score": score, "specimen": specimen, "fold": specimen // 2 % folds}
    return pd.DataFrame(table, index=[f"{number}.png" for number in range(120)])


def test_a_difference_of_aucs_is_paired_by_specimen(pair, monkeypatch):
    first, second, compared = pair
    kept = {first: {"SVM": scores(0)}, second: {"SVM": scores(1), "freeze 11": scores(2)}}
    monkeypatch.setattr(module, "_scores", kept.__getitem__)
    a, b = scores(0), scores(1)
    own = compare_auc(a["label"], a["score"], b["score"], a["specimen"], fold=a["fold"])
    row = compared()["results"]["SVM"]
    assert row["difference"] == {
        "B": {"difference": pytest.approx(own.difference), "interval": [own.low, own.high]}
    }
    interval = auc_interval(a["label"], a["score"], a["specimen"], fold=a["fold"])
    assert row["interval"]["A"] == [interval.low, interval.high]
    assert compared()["results"]["freeze 11"]["difference"] == {}

    kept[second] = {"SVM": scores(1, folds=3)}
    b = scores(1, folds=3)
    ends = difference_across_folds(a["label"], a["score"], b["score"], a["specimen"], (a["fold"], b["fold"]))
    assert compared()["results"]["SVM"]["difference"]["B"]["interval"] == [*ends]
    text = as_text(compared())
    assert text.count(" to +") + text.count(" to −") == 1

    kept[second] = {"SVM": b.iloc[:-2]}  # a specimen less: not the same test images
    assert list(compared()["results"]["SVM"]["difference"]["B"]) == ["difference"]


def test_the_results_of_the_published_run_are_what_its_chapters_published():
    run = published_run()
    found = compare([("published", run), ("again", run)])
    values = {name: row for page in read_pages(run).values() for name, row in page["values"].items()}
    shown = {
        "fine-tuning": "fine-tuning.auc",
        "SVM": "svm.auc",
        "fine-tuning, by fold": "fine-tuning.auc.nested",
        "hand-made features": "handmade.auc",
        "mean green intensity": "intensity.auc",
    }
    for name, value in shown.items():
        row = found["results"][name]
        assert row["auc"] == dict.fromkeys("AB", pytest.approx(values[value]["value"])), name
        assert row["difference"]["B"] == {"difference": 0.0, "interval": [0.0, 0.0]}
    assert found["results"]["SVM"]["interval"]["A"] == pytest.approx(values["svm.auc"]["interval"])
    assert {"freeze 11", "freeze 139"} <= set(found["results"])
    assert not [name for name in found["results"] if name.startswith("SVM on")]


def test_several_runs_are_columns_of_a_narrow_terminal(tmp_path):
    runs = [
        make_run(tmp_path / name, VALUES | {"fine-tuning.auc": auc}) for name, auc in (("a", 0.9), ("b", 0.8))
    ]
    long = VALUES | {"found": "a sentence that has to be broken because it is so long " * 3}
    runs.append(make_run(tmp_path / "c", long, about=ABOUT | {"database": DATABASE | {"sha256": "c" * 64}}))
    found = compare([(run.name, run) for run in runs])
    assert found["values"]["fine-tuning.auc"]["difference"] == {"B": pytest.approx(0.1)}
    text = as_text(found, 80)
    assert max(map(len, text.splitlines())) <= 80
    header = next(line for line in text.splitlines() if "A − B" in line)
    assert header.endswith(" A − B")
    assert header.split()[:3] == ["A", "B", "C"]
    with pytest.raises(InputError, match="27 runs: compare 26 at most"):
        compare([("a", runs[0])] * 27)


def test_markdown_reads_as_tables_and_shows_figures_in_pairs(pair):
    first, second, compared = pair
    for folder, alt in ((first, "one | curve"), (second, "curve of inception_3a [of *one* fold]")):
        page = json.loads((folder / "published" / "05-results.json").read_text())
        page["figures"] = {
            name: {"alt": alt, "caption": "ROC *curves*", "width": 400} for name in ("roc", "same", "gone")
        }
        write_json(folder / "published" / "05-results.json", page)
        write_text(folder / "figures" / "roc.png", alt)
        write_text(folder / "figures" / "same.png", "the same bytes")
    write_text(first / "figures" / "gone.png", "is not in the other")
    found = compared(everything=True)
    text = MarkdownIt().enable("table").render(as_markdown(found, ["runs/a b", "book/run"]))
    page = BeautifulSoup(text, "html5lib")
    assert [(image["src"], image["alt"]) for image in page.select("td img")] == [
        ("runs/a%20b/roc.png", "one  curve"),
        ("book/run/roc.png", "curve of inception_3a of one fold"),
    ]
    assert [title.text for title in page.select("h2")][-1] == "Figures of chapter 05-results"
    assert page.strong.text == "ROC *curves*"
    rows = {row.td.text: [cell.text for cell in row.select("td")[1:]] for row in page.select("tr") if row.td}
    assert rows["found"] == [*[VALUES["found"]] * 2, "–"]
    assert rows["fine-tuning.auc"] == ["0.9", "0.9", "+0"]


def test_a_choice_of_each_fold_is_explained_where_it_stands(pair, monkeypatch):
    first, second, compared = pair
    told = "by fold: each fold chose on its own validation images alone (nested cross-validation)"
    for name, is_told in (("SVM, by fold", True), ("SVM", False)):
        kept = {folder: {name: scores(0)} for folder in (first, second)}
        monkeypatch.setattr(module, "_scores", kept.__getitem__)
        assert (told in as_text(compared(), 200)) == is_told


def test_the_command_compares_with_the_published_run_and_says_what_is_no_run(
    pair, capsys, monkeypatch, tmp_path
):
    first, second, _ = pair
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(first), str(second)]) == 0
    assert capsys.readouterr().out.startswith("No value differs: all 4 are the same.")
    assert main(["compare", str(first), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in found["runs"].values()] == [str(first), "published"]
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "first", "second", "--md", "--all"]) == 0
    assert "| `fine-tuning.auc` | 0.9 | 0.9 | +0 |" in capsys.readouterr().out
    assert main(["compare", str(first), str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path}: there is no such run; " in said


def test_a_book_has_a_page_that_compares_it_with_the_published_run(small_book):
    article = BeautifulSoup(small_book.page("against-published"), "html5lib").article
    assert article.h1.text.startswith("This run against the published one")
    assert article.select_one(f'p > a[href="{BOOK}"]').text == "here"
    rows = {row.td.text: row.text.split() for row in article.select("table tr") if row.td}
    assert rows["seed"] == ["seed", "A:", "3", "B:", "0"]
    assert rows["weights"] == ["weights", "A:", "random", "B:", "–"]
    tables = article.select("table")
    assert tables
    assert all("hep2-labelled" in table["class"] for table in tables)
    links = [
        link.text.strip()
        for link in BeautifulSoup(small_book.page("introduction"), "html5lib").select("nav.bd-links a")
    ]
    assert links[:2] == ["Deep fine-tuning of GoogLeNet", "This run against the published one"]
    assert not (small_book.index.parent / "book" / "run" / "published-figures").exists()


def test_weights_count_by_what_was_used_and_not_by_what_was_asked_for(pair):
    first, second, compared = pair
    for run, asked in ((first, "auto"), (second, "random")):
        file = run / "parameters.yaml"
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(settings | {"weights": asked}), encoding="utf-8")
    notes = " ".join(compared()["notes"])
    assert "mean something else" not in notes
    about = json.loads((second / "run.json").read_text(encoding="utf-8"))
    write_json(second / "run.json", about | {"weights": {"used": "ImageNet's"}})
    assert "mean something else, since these differ: weights.used." in " ".join(compared()["notes"])
