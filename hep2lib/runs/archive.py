"""What archives read of the published run: its files for CODECHECK, and where they come from (RO-Crate).

`hep2 publish` makes both of the run's own files, so that neither can say anything else.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hep2lib.runs.freshness import RECORDS, RUN
from hep2lib.runs.publish import read_pages

CODECHECK, CRATE = "codecheck.yml", "ro-crate-metadata.json"
SPECIFICATION = "https://codecheck.org.uk/spec/config/1.0/"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TYPES = {".png": "image/png", ".html": "text/html", ".csv": "text/csv", ".gz": "application/gzip"}
TYPES |= {".json": "application/json", ".yaml": "application/yaml", ".md": "text/markdown"}
TYPES |= {".ipynb": "application/x-ipynb+json"}


def outputs(run: Path) -> dict[str, str]:
    """The files of a published run, by path in it, each with what it is."""
    known = {
        "run.json": "What the run was obtained on, when, with which packages, and how long it took",
        "parameters.yaml": "All parameters of the run",
    }
    for page, content in read_pages(run).items():
        known[f"{page}.ipynb"] = f"Page {page}, executed"
        known[f"published/{page}.json"] = f"All values of page {page}, and what they were made from"
        for kind, ending in (("table", "html"), ("figure", "png")):
            for name, about in content[f"{kind}s"].items():
                known[f"{kind}s/{name}.{ending}"] = f"{kind.title()} of page {page}: {about['caption']}"
    described = f"Records of the run; {RECORDS}/README.md says what is in which"
    return known | {f"{RECORDS}/{file.name}": described for file in sorted((run / RECORDS).iterdir())}


def codecheck(project: Path, run: Path) -> str:
    """The text of ``codecheck.yml``: CODECHECK's configuration file 1.0, without the codechecker's part.

    Args:
        project: the clone, at the top of which the file belongs.
        run: the published run, whose files are to be made again.
    """
    about, citation, address = _known(project, run)
    paper = citation["preferred-citation"]
    content = {
        "version": SPECIFICATION,
        "manifest": [{"file": f"{RUN}/{name}", "comment": what} for name, what in outputs(run).items()],
        "paper": {
            "title": paper["title"],
            "authors": [{"name": f"{one['given-names']} {one['family-names']}"} for one in paper["authors"]],
            "reference": f"https://doi.org/{paper['doi']}",
        },
        "source": f"Made anew, not by the paper's authors. Commit: {about['commit']}. {about['statement']}",
    }
    content |= {"repository": address} if address else {}
    return yaml.safe_dump(content, version=(1, 1), sort_keys=False, allow_unicode=True, width=110)


def crate(project: Path, run: Path) -> dict[str, Any]:
    """What ``ro-crate-metadata.json`` holds: RO-Crate 1.1 after the profile Process Run Crate 0.5.

    Args:
        project: the clone.
        run: the published run, which the file lies in.
    """
    about, citation, address = _known(project, run)
    database, weights, files = about["database"], about["weights"], outputs(run)
    licence, terms = "#licence", "The terms of the database"
    if "simulation" in database:  # see LICENSE
        licence, terms = "https://creativecommons.org/licenses/by/4.0/", "CC BY 4.0"
    versions = about["versions"]
    software = {
        "name": "hep2lib",
        "softwareVersion": versions["hep2lib"],
        "softwareRequirements": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
    software |= {"url": address} if address else {}
    works = {
        CRATE: {"conformsTo": _at("https://w3id.org/ro/crate/1.1"), "about": _at("./")},
        PROFILE: {"name": "Process Run Crate", "version": "0.5"},
        licence: {"name": terms},
        "#database": {"name": database["name"], "identifier": f"sha256:{database['sha256']}"},
        "#weights": {"name": weights["used"], "identifier": f"sha256:{weights['sha256']}"},
    }
    root = {
        "conformsTo": _at(PROFILE),
        "name": citation["title"],
        "description": about["statement"],
        "datePublished": datetime.now(UTC).date().isoformat(),
        "license": _at(licence),
        "author": _at("#contributors"),
        "hasPart": [_at(name) for name in files],
        "mentions": _at("#run"),
    }
    action = {
        "name": f"hep2 run, profile {about['profile']}",
        "description": f"Commit {about['commit']}; device {about['device']}. {about['statement']}",
        "agent": _at("#contributors"),
        "instrument": _at("#hep2lib"),
        "object": [_at(name) for name in ("parameters.yaml", "#database", "#weights")],
        "result": [_at(name) for name in files if name != "parameters.yaml"],
    }
    action |= {"endTime": about["date"]} if "date" in about else {}  # not in a run of an earlier version
    described = {}
    for name, what in files.items():
        kind = TYPES.get(Path(name).suffix, "application/octet-stream")
        described[name] = {"name": name, "description": what, "encodingFormat": kind}
    kinds: dict[str, Any] = {
        "CreativeWork": works,
        "Dataset": {"./": root},
        "CreateAction": {"#run": action},
        "Organization": {"#contributors": {"name": citation["authors"][0]["name"]}},
        "SoftwareApplication": {"#hep2lib": software},
        "File": described,
    }
    graph = [{"@id": n, "@type": kind} | thing for kind in kinds for n, thing in kinds[kind].items()]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _at(name: str) -> dict[str, str]:
    return {"@id": name}


def _known(project: Path, run: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What ``run.json`` and ``CITATION.cff`` say, and the address of the source, "" for nowhere yet."""
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    texts = (project / name for name in ("CITATION.cff", "_config.yml"))
    citation, config = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in texts)
    return about, citation, config["sphinx"]["config"]["hep2_repository"]
