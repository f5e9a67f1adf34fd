"""A clone and a run that render in seconds: this repository's set-up of the book, and pages of its own."""

import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd

from hep2lib.files import write_text
from hep2lib.runs.notebooks import PAGES, normalise
from hep2lib.runs.pairs import notebook_text
from hep2lib.runs.publish import Publication, put_in_place

REPOSITORY = Path(__file__).resolve().parents[2]
ALT = "Two curves that rise steeply from the lower left corner, then bend towards the upper right one."
STATEMENT = "Obtained on a simulated database (100 specimens, seed 0) with random weights, profile smoke."

INTRODUCTION = """# Deep fine-tuning of GoogLeNet

Our AUC was {val}`fine-tuning.auc:.1%` ({val}`fine-tuning.auc:interval:.1%`), the paper's
{paper}`table3.freeze_11.auc:.1%`; the seed was {param}`seed`, the layers {param}`layers`, and the loss
fell by $\\Delta L = \\frac{1}{n} \\sum_{i=1}^{n} \\ell_i$ {cite:p}`taormina2020`. The difference was
{val}`difference:.2f` for {val}`name`.

```{run-table} depths
```

```{run-figure} roc-curves
```

[](#fig-roc-curves) and [](#table-depths) are computed in [the chapter](run/03-fine-tuning.ipynb).

```{repository}
```

$$
C = \\frac{1}{n \\lambda}
$$
"""
PROSE = {
    "introduction": INTRODUCTION,
    "paper": "# The paper, item by item\n\n{term}`AUC`, {term}`auc`, {term}`areas <AUC>`.\n",
    "glossary": "# Glossary\n\n```{glossary}\nAUC\n  The area under the curve.\n```\n",
    "api": "# API reference\n\n```{eval-rst}\n.. api:: hep2lib.studies.svm.fit_svm\n"
    ".. api:: hep2lib.cnn.googlenet.Section.activations\n```\n",
    "rerun": "# Run it again\n\nWith `hep2 run`.\n\n## Parameters\n\nSee [above](#run-it-again).\n"
    "\n| name | default | range | meaning |\n|---|---|---|---|\n| `seed` | 0 | 0 to 9 | of *chance* |\n"
    "\n| name | meaning |\n|---|---|\n| `seed` | of chance |\n",
    "teaching": "# Teach with it\n\n## For the class\n\nOpen {val}`name`.\n\n"
    "## Three times 90 minutes\n\nOne.\n\n"
    "## A single hour\n\nTwo.\n\n## Minutes\n\n```{include} exercises.md\n```\n",
    "about-run": "# About this run\n\n```{run-status}\n```\n",
    "reporting": "# What a reader should be told\n\nSee [the run](about-run.md): {val}`told`.\n",
    "references": "# References\n\n```{bibliography}\n```\n",
}
SOURCE, BOOK = "https://example.org/source", "https://example.org/book/"
PUBLISHED = "seed: 0\nlayers: [pool2, pool5]\nfolds: 5\nworkers: 8\n"  # parameters of the published run
BIBLIOGRAPHY = """@inproceedings{taormina2020,
  author = {Taormina, Vincenzo and Cascio, Donato},
  title = {HEp-2 Intensity Classification based on Deep Fine-tuning},
  booktitle = {BIOIMAGING},
  year = {2020},
}
"""
PAPER = "table3:\n  freeze_11:\n    auc: {value: 0.98, where: Table 3}\n    epochs: 7\n"


def curves() -> plt.Figure:
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    specificity = np.linspace(0, 1, 50)
    for power, layer in ((0.15, "freeze 11"), (0.4, "freeze 139")):
        axes.plot(specificity, specificity**power, label=layer)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title="ROC curves")
    axes.legend()
    return figure


def depths() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Freeze depth": [11, 110, 139],
            "Paper's AUC": [0.98, np.nan, 0.963],
            "AUC": [0.9341, 0.9212, 0.8555],
            "95% interval": ["0.901 to 0.960", "0.88 to 0.95", "0.81 to 0.90"],
        }
    )


def output(shown: Any) -> nbformat.NotebookNode:
    data, metadata = shown._repr_mimebundle_()
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def exercise_cells() -> list[nbformat.NotebookNode]:
    """An exercise of each kind, with code and without, and a note for the teacher."""
    words, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    solution, check = {"tags": ["solution"]}, {"tags": ["check"]}
    printed = [nbformat.v4.new_output("stream", text="printed by the solution\n")]
    good = [nbformat.v4.new_output("stream", text="good: 42\n")]
    return [
        words("## Exercises\n\n### Exercise 3.1: Six times seven\n\n*5 minutes, start*\n\nHow much is it?"),
        code("six = 6\nproduct = six * 7  # <-\nprint(product)  # <-", metadata=solution, outputs=printed),
        code("check(product, 42)", metadata=check, outputs=good),
        words("The reason.", metadata=solution),
        words("### Exercise 3.2: Why?\n\n*10 minutes, hard*\n\nSay why."),
        words("Therefore: see [](04-svm.ipynb) and [](05-results.ipynb).", metadata=solution),
        words("**For the teacher.** Wait.", metadata={"tags": ["teacher"]}),
    ]


def executed_page(run: Path, page: str) -> nbformat.NotebookNode:
    """A page as an execution would leave it; 03-fine-tuning publishes something of each kind."""
    title = page[3:].replace("-", " ").capitalize()
    code = nbformat.v4.new_code_cell
    cells = [nbformat.v4.new_markdown_cell(f"# {title}\n\nThe study of *{title}*.")]
    cells.append(code("seed = 0  # random seed", metadata={"tags": ["parameters"]}))
    publish = Publication(run, page)
    if page == "03-fine-tuning":
        publish.value("fine-tuning.auc", 0.9341, interval=(0.901, 0.96))
        publish.value("difference", -0.046)
        publish.value("name", "GoogLeNet")
        publish.value("told", "a text that is longer than a line of a phone")
        publish.value("alone", 1)
        table = publish.table("depths", depths(), "AUC by freeze depth, simulated database.", {"AUC": ".3f"})
        figure = publish.figure("roc-curves", curves(), ALT, "ROC curves, p < 0.05, of inception_3a-output.")
        explorer = publish.explorer("freezing", {"layers": ["<a>"]}, "The table says the same.")
        cells += [
            nbformat.v4.new_markdown_cell(
                "## Results\n\n[](#table-depths) and [](#fig-roc-curves): {val}`fine-tuning.auc:.3f`."
            ),
            code('publish.table("depths", table)', outputs=[output(table)]),
            code('publish.figure("roc-curves", figure)', outputs=[output(figure)]),
            code('publish.explorer("freezing", data)', outputs=[output(explorer)]),
            code("print(1)", outputs=[nbformat.v4.new_output("stream", text="1\n")]),
            *exercise_cells(),
        ]
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"{page}-{number:02d}"
    return normalise(nbformat.v4.new_notebook(cells=cells), page, {})


def write_clone(folder: Path) -> Path:
    """A clone with this repository's set-up of the book and the prose pages above."""
    for name in ("_config.yml", "_toc.yml", "CITATION.cff", "start.ipynb"):
        shutil.copyfile(REPOSITORY / name, folder / name)
    for name in ("_ext", "_static"):
        shutil.copytree(
            REPOSITORY / "book" / name, folder / "book" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for page, text in PROSE.items():
        write_text(folder / "book" / f"{page}.md", text)
    write_text(folder / "CHANGELOG.md", "# Changes\n")
    write_text(folder / "book" / "references.bib", BIBLIOGRAPHY)
    write_text(folder / "book" / "paper-values.yaml", PAPER)
    return folder


def write_run(run: Path) -> Path:
    """A complete run with all pages executed."""
    for page in PAGES:
        put_in_place(run, page, notebook_text(executed_page(run, page)), {})
    write_text(run / "parameters.yaml", "seed: 3\nlayers: [pool2, pool5]\nweights: random\n")
    about = {
        "profile": "quick",
        "statement": STATEMENT,
        "published": False,
        "database": {
            "name": "simulated database",
            "images": 24,
            "specimens": 12,
            "sha256": "ab" * 32,
            "simulation": "version 4, seed 0",
        },
        "weights": {"used": "GoogLeNet, random weights", "sha256": "cd" * 32},
        "date": "2026-11-26T10:00:00+00:00",
        "device": "cpu <2 cores>",
        "commit": "0123abc",
        "version": "0.1.0",
        "versions": {"python": "3.11", "torch": "2.6", "hep2lib": "0.1.0"},
        "seconds": {"01-dataset": 2.25, "03-fine-tuning": 31.0},
    }
    write_text(run / "run.json", json.dumps(about))
    for name in ("folds.csv", "weights.json", "records/about.json"):
        write_text(run / name, "{}")
    return run
