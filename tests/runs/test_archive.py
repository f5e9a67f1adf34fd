"""What archives read: CODECHECK's configuration file and a Process Run Crate, by the rules of both."""

import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from hep2lib.files import project_root
from hep2lib.runs.archive import CODECHECK, CRATE, PROFILE, codecheck, crate
from hep2lib.runs.book import publish_run, published_run, run_from_published

from .small_book import write_clone


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def broken_codecheck(text: str, project: Path) -> list[str]:
    """What of CODECHECK's specification 1.0 a text does not keep, as far as its author goes."""
    content, wrong = yaml.safe_load(text), []
    if not re.match(r"%YAML 1\.[12]\n---\n", text):
        wrong.append("an explicit document with the directive of its YAML version")
    if content.get("version") != "https://codecheck.org.uk/spec/config/1.0/":
        wrong.append("version is the address of the specification")
    manifest = content.get("manifest")
    if not isinstance(manifest, list) or not manifest:
        return [*wrong, "there is a manifest, a sequence"]
    for item in manifest:
        if not isinstance(item.get("file"), str) or not {"file"} <= set(item) <= {"file", "comment"}:
            wrong.append(f"an item has a file, and perhaps a comment: {item}")
        elif Path(item["file"]).is_absolute() or not (project / item["file"]).is_file():
            wrong.append(f"a file is relative to the project's top, and is there: {item}")
        if not isinstance(item.get("comment"), str) or len(item["comment"]) < 20:
            wrong.append(f"each file with what it is: {item}")
    paper = content.get("paper", {})
    if not paper.get("title") or not re.fullmatch(r"https://doi\.org/10\.\S+", paper.get("reference", "")):
        wrong.append("the paper has a title and a reference that can be resolved")
    if not paper.get("authors") or not all(set(author) == {"name"} for author in paper["authors"]):
        wrong.append("each of the paper's authors has a name")
    if {"codechecker", "report", "certificate", "check_time"} & set(content):
        wrong.append("what the codechecker adds is left to the codechecker")
    return wrong


def broken_crate(content: dict, folder: Path) -> list[str]:
    """What of RO-Crate 1.1 and Process Run Crate 0.5 is not kept: each MUST, and most SHOULDs."""
    wrong, graph = [], content["@graph"]
    if content["@context"] != "https://w3id.org/ro/crate/1.1/context":
        wrong.append("the context is RO-Crate's")
    things = {thing.get("@id"): thing for thing in graph}
    if len(things) != len(graph) or not all(thing.get("@type") for thing in graph):
        wrong.append("each entity has an @id of its own and a @type")

    def named(thing: dict, key: str, kind: str) -> list[dict]:
        found = thing.get(key, [])
        found = [things.get(one.get("@id"), {}) for one in (found if isinstance(found, list) else [found])]
        if not found or (kind and any(one.get("@type") != kind for one in found)):
            wrong.append(f"{thing.get('@id')} has {key}, of type {kind}")
        return found

    for thing in graph:
        for key, value in thing.items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and set(one) != {"@id"}:
                    wrong.append(f"the graph is flat: {thing['@id']} {key}")
                outside = ("https://w3id.org/ro/crate/1.1",)
                if isinstance(one, dict) and one["@id"] not in (*things, *outside):
                    wrong.append(f"{thing['@id']} {key} names {one['@id']}, which is described nowhere")
    descriptor, root = things.get(CRATE, {}), things.get("./", {})
    if descriptor.get("conformsTo") != {"@id": "https://w3id.org/ro/crate/1.1"}:
        wrong.append("the descriptor names the version of RO-Crate")
    if descriptor.get("about") != {"@id": "./"} or root.get("@type") != "Dataset":
        wrong.append("the descriptor is about the root, a Dataset")
    if not root.get("name") or not root.get("description"):
        wrong.append("the root has a name and a description")
    datetime.fromisoformat(root["datePublished"])
    named(root, "license", "CreativeWork")
    if [one.get("@id") for one in named(root, "conformsTo", "CreativeWork")] != [PROFILE]:
        wrong.append("the root conforms to the profile")
    parts = {part["@id"] for part in named(root, "hasPart", "File")}
    if apart := parts ^ (files(folder) - {CRATE}):
        wrong.append(f"the root has each file, and no other: {sorted(apart)}")
    (action,) = named(root, "mentions", "CreateAction")
    (software,) = named(action, "instrument", "SoftwareApplication")
    if not software.get("name") or not software.get("softwareVersion") or "version" in software:
        wrong.append("the instrument has a name and one version")
    if not named(action, "agent", "Organization")[0].get("name"):
        wrong.append("the agent has a name")
    results = {one["@id"] for one in named(action, "result", "File")}
    taken = {one["@id"] for one in named(action, "object", "")}
    if results | taken & parts != parts or results & taken:
        wrong.append("each file is a result or was taken")
    if not all(thing.get("name") and thing.get("description") for thing in (action, *map(things.get, parts))):
        wrong.append("the action and each file have a name and a description")
    if "endTime" in action and datetime.fromisoformat(action["endTime"]).tzinfo is None:
        wrong.append("a time has a zone")
    return wrong


@pytest.fixture
def published(tmp_path, small_run, monkeypatch):
    monkeypatch.setattr("hep2lib.runs.freshness.check", lambda *run, **project: {})
    project = write_clone(tmp_path)
    shutil.copytree(small_run, tmp_path / "run")
    return project, publish_run(tmp_path / "run", any_size=True, project=project)


def test_a_published_run_says_what_its_files_are(published):
    project, run = published
    text = (project / CODECHECK).read_text(encoding="utf-8")
    assert broken_codecheck(text, project) == []
    content = yaml.safe_load(text)
    listed = {item["file"]: item["comment"] for item in content["manifest"]}
    assert set(listed) == {f"book/run/{name}" for name in files(run) - {CRATE}}
    of_figure = "Figure of page 03-fine-tuning: ROC curves, p < 0.05, of inception_3a-output."
    assert listed["book/run/figures/roc-curves.png"] == of_figure
    assert [author["name"] for author in content["paper"]["authors"]][:2] == [
        "Vincenzo Taormina",
        "Donato Cascio",
    ]
    assert content["source"].endswith("with random weights, profile smoke.")
    assert "repository" not in content


def test_a_published_run_is_a_crate(published):
    _, run = published
    content = json.loads((run / CRATE).read_text(encoding="utf-8"))
    assert broken_crate(content, run) == []
    things = {thing["@id"]: thing for thing in content["@graph"]}
    assert things["#run"]["endTime"] == "2026-11-26T10:00:00+00:00"
    assert things["#database"]["identifier"] == "sha256:" + "ab" * 32
    assert things["#hep2lib"]["softwareRequirements"] == "hep2lib 0.1.0, python 3.11, torch 2.6"
    assert things["./"]["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    assert things["tables/depths.html"]["encodingFormat"] == "text/html"


def test_where_the_source_is_stands_in_both_once_it_is_known(published):
    project, run = published
    config = project / "_config.yml"
    known = config.read_text(encoding="utf-8").replace(
        'repository: ""', "repository: https://example.org/hep2"
    )
    config.write_text(known, encoding="utf-8")
    assert yaml.safe_load(codecheck(project, run))["repository"] == "https://example.org/hep2"
    assert {"url": "https://example.org/hep2"}.items() <= {
        thing["@id"]: thing for thing in crate(project, run)["@graph"]
    }["#hep2lib"].items()


def test_results_on_a_database_of_ones_own_have_no_licence_of_ours(published):
    project, run = published
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    del about["database"]["simulation"], about["date"]
    (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
    content = crate(project, run)
    assert broken_crate(content, run) == []
    things = {thing["@id"]: thing for thing in content["@graph"]}
    assert things["./"]["license"] == {"@id": "#licence"}
    assert "endTime" not in things["#run"]


def test_the_rules_find_what_is_broken(published):
    project, run = published
    text = (project / CODECHECK).read_text(encoding="utf-8")
    content = json.loads((run / CRATE).read_text(encoding="utf-8"))
    (run / "parameters.yaml").unlink()
    assert "is there: {'file': 'book/run/parameters.yaml'" in "".join(broken_codecheck(text, project))
    assert len(broken_codecheck("paper: {title: a}\n", project)) >= 3
    assert "the root has each file, and no other: ['parameters.yaml']" in "".join(broken_crate(content, run))
    content["@graph"] = [thing for thing in content["@graph"] if thing["@id"] != "#hep2lib"]
    found = "".join(broken_crate(content, run))
    assert "#run instrument names #hep2lib, which is described nowhere" in found
    assert "the instrument has a name and one version" in found


def test_a_run_made_from_the_published_one_has_no_crate_of_the_other(published, tmp_path):
    project, _ = published
    run_from_published(tmp_path / "again", project=project)
    assert CRATE not in files(tmp_path / "again")


def test_a_file_of_a_kind_that_nobody_knows_is_listed_all_the_same(published):
    project, run = published
    (run / "records" / "notes.odt").write_bytes(b"")
    assert broken_crate(crate(project, run), run) == []


def test_the_clones_own_files_are_those_of_its_published_run():
    project = project_root()
    run = published_run(project)
    text = (project / CODECHECK).read_text(encoding="utf-8")
    assert broken_codecheck(text, project) == []
    wanted = yaml.safe_load(codecheck(project, run))["manifest"]
    assert yaml.safe_load(text)["manifest"] == wanted, "make it anew: `hep2 publish`"
    known = json.loads((run / CRATE).read_text(encoding="utf-8"))
    assert broken_crate(known, run) == []
