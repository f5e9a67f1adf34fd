import base64
import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from PIL import Image

from hep2lib.errors import InputError
from hep2lib.runs.freshness import damages
from hep2lib.runs.publish import Publication, PublishError, caption_markdown, put_in_place, read_pages
from hep2lib.runs.records import RecordsError

ALT = "One straight line that rises from the lower left corner to the upper right one."


def line(width=4.0, height=3.0):
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.plot([0, 1], [0, 1])
    return figure


def shown_png(figure):
    return base64.b64decode(figure.data["image/png"])


def shown_width(figure):
    return figure.metadata["image/png"]["width"]


def read_values(run):
    return {name: value for page in read_pages(run).values() for name, value in page["values"].items()}


@pytest.fixture
def publish(tmp_path):
    return Publication(tmp_path / "run", "03-fine-tuning")


def test_values_are_kept_plain_with_their_intervals(publish):
    publish.value("fine-tuning.auc", np.float32(0.5), interval=(np.float64(0.25), 1))
    publish.value("images", np.int64(208))
    publish.value("weights", "random")
    publish.value("simulated", np.bool_(True))
    assert read_values(publish.staged) == {
        "fine-tuning.auc": {"value": 0.5, "interval": [0.25, 1]},
        "images": {"value": 208},
        "weights": {"value": "random"},
        "simulated": {"value": True},
    }


def test_a_figure_says_at_its_foot_what_it_was_obtained_on(tmp_path):
    mark = "simulated database (100 specimens, seed 0); random weights; profile quick"
    publish = Publication(tmp_path, "03-fine-tuning", mark)
    feet = {}
    for name, of_run in (("own", True), ("other", False)):
        figure = line()
        publish.figure(name, figure, ALT, "A line.", of_run=of_run)
        feet[name] = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert feet == {"own": [mark], "other": []}
    heights = [Image.open(publish.staged / "figures" / f"{name}.png").height for name in feet]
    assert heights[0] > heights[1]


def test_what_a_figure_was_obtained_on_stands_clear_of_its_legend(tmp_path):
    figure, touching = line(), []
    legend = figure.legend(["rises"] * 9, loc="outside lower left")

    def draw(renderer, drawn=legend.draw):
        drawn(renderer)
        touching.append(legend.get_window_extent().overlaps(figure.texts[-1].get_window_extent()))

    legend.draw = draw
    publish = Publication(tmp_path, "03-fine-tuning", "random weights")
    publish.figure("own", figure, alt=ALT, caption="A line.")
    assert touching
    assert not any(touching)


def test_the_same_results_give_the_same_files(tmp_path):
    for run in ("a", "b"):
        publish = Publication(tmp_path / run, "03-fine-tuning")
        publish.value("b", 1)
        publish.value("a", 2)
        publish.figure("line", line(), ALT, "A line.")
        publish.table("depths", pd.DataFrame({"depth": [11], "AUC": [0.5]}), "AUC.")
    files = sorted(file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def place(publish, notebook="{}"):
    return put_in_place(publish.folder, publish.page, notebook, {})


def files(run):
    return sorted(file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file())


def test_a_page_is_put_in_place_whole_and_leaves_nothing_of_the_one_before(tmp_path):
    other = Publication(tmp_path, "04-svm")
    other.value("svm.auc", 0.9)
    other.figure("layers", line(), ALT, "Layers.")
    place(other)
    first = Publication(tmp_path, "03-fine-tuning")
    first.value("old", 1)
    first.figure("old", line(), ALT, "A line.")
    first.table("old", pd.DataFrame({"depth": [11]}), "Depths.")
    assert set(read_values(tmp_path)) == {"svm.auc"}  # nothing of a page that has not run to its end
    assert place(first, "1") == tmp_path / "notebooks" / "03-fine-tuning.ipynb"
    assert set(read_values(tmp_path)) == {"svm.auc", "old"}
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    second = Publication(tmp_path, "03-fine-tuning")
    second.value("new", 2)
    second.table("new", pd.DataFrame({"depth": [110]}), "Depths.")
    assert before.items() <= {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}.items()
    place(second, "2")
    assert set(read_values(tmp_path)) == {"svm.auc", "new"}
    assert files(tmp_path) == [
        "figures/layers.png",
        "figures/layers.svg",
        "notebooks/03-fine-tuning.ipynb",
        "notebooks/04-svm.ipynb",
        "published/03-fine-tuning.json",
        "published/04-svm.json",
        "tables/new.csv",
        "tables/new.html",
    ]
    assert not (tmp_path / "staged").exists()
    assert damages(tmp_path, "03-fine-tuning") == []


@pytest.mark.parametrize("step", range(20))
def test_a_page_that_ends_halfway_is_the_one_before_or_the_new_one_or_named(tmp_path, monkeypatch, step):
    """Killed before the n-th change of the folder: nothing after it happens."""
    for number in (1, 2):
        publish = Publication(tmp_path, "03-fine-tuning")
        publish.value("number", number)
        publish.table("both", pd.DataFrame({"number": [number]}), "Numbers.")
        publish.table(f"own-{number}", pd.DataFrame({"number": [number]}), "Numbers.")
        if number == 1:
            place(publish, "1")
    counted = 0

    def killed(change):
        def changed(*arguments, **options):
            nonlocal counted
            counted += 1
            if counted > step:
                raise KeyboardInterrupt
            return change(*arguments, **options)

        return changed

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync"), (shutil, "rmtree")):
            patch.setattr(owner, name, killed(getattr(owner, name)))
        with suppress(KeyboardInterrupt):
            place(publish, "2")
    wrong = damages(tmp_path, "03-fine-tuning")
    value = read_values(tmp_path)["number"]["value"]
    notebook = (tmp_path / "notebooks" / "03-fine-tuning.ipynb").read_text(encoding="utf-8")
    table = (tmp_path / "tables" / "both.csv").read_text(encoding="utf-8")
    if not wrong:
        assert (notebook, table) == (str(value), f"number\n{value}\n")
    seen.add((value, bool(wrong)))
    again = Publication(tmp_path, "03-fine-tuning")
    again.value("number", 3)
    place(again, "3")
    assert damages(tmp_path, "03-fine-tuning") == []
    assert files(tmp_path) == ["notebooks/03-fine-tuning.ipynb", "published/03-fine-tuning.json"]
    if step == 19:
        assert counted <= step  # all steps were tried
        assert seen == {(1, False), (1, True), (2, False)}


seen: set[tuple[int, bool]] = set()


def test_a_page_that_was_damaged_is_put_in_place_again(tmp_path):
    publish = Publication(tmp_path, "03-fine-tuning")
    place(publish)
    (tmp_path / "published" / "03-fine-tuning.json").write_text("{", encoding="utf-8")
    assert damages(tmp_path, publish.page) == ["published/03-fine-tuning.json is not there or cannot be read"]
    again = Publication(tmp_path, "03-fine-tuning")
    again.value("new", 1)
    place(again)
    assert damages(tmp_path, publish.page) == []
    assert set(read_values(tmp_path)) == {"new"}


def test_a_name_belongs_to_one_page(tmp_path, publish):
    publish.value("auc", 0.9)
    publish.value("auc", 0.8)
    late = Publication(publish.folder, "05-results")
    late.value("auc", 0.6)
    place(publish)
    other = Publication(publish.folder, "04-svm")
    with pytest.raises(PublishError, match=r"value 'auc': page 03-fine-tuning publishes it already.*04-svm"):
        other.value("auc", 0.7)
    with pytest.raises(PublishError, match="or execute 03-fine-tuning first"):
        place(late)
    assert read_values(publish.folder)["auc"] == {"value": 0.8}


@pytest.mark.parametrize(
    ("name", "value", "interval", "message"),
    [
        ("a b", 1, None, "value 'a b': cannot be its name; write it like 'fine-tuning.auc'"),
        ("../a", 1, None, "cannot be its name"),
        ("a:b", 1, None, "cannot be its name"),
        ("a", float("nan"), None, "value 'a': it is nan; publish finite numbers only"),
        ("a", np.inf, None, "it is inf"),
        ("a", [1], None, "value 'a': a list cannot be quoted"),
        ("a", None, None, "a NoneType cannot be quoted"),
        ("a", 0.5, (0.6, 0.4), r"its interval is \(0.6, 0.4\); give \(lower, upper\)"),
        ("a", 0.5, (0.6,), "give .lower, upper."),
        ("a", 0.5, ("low", "high"), "give .lower, upper."),
        ("a", 0.5, (0.1, float("nan")), "it is nan"),
    ],
)
def test_values_that_cannot_be_published(publish, name, value, interval, message):
    with pytest.raises(PublishError, match=message):
        publish.value(name, value, interval)
    assert read_values(publish.staged) == {}


def test_a_page_needs_its_name(tmp_path):
    with pytest.raises(InputError, match="page 'fine tuning': a page is named by two digits"):
        Publication(tmp_path, "fine tuning")


def test_a_damaged_publication_is_named(tmp_path):
    place(Publication(tmp_path, "03-fine-tuning"))
    (tmp_path / "published" / "03-fine-tuning.json").write_text("{", encoding="utf-8")
    with pytest.raises(PublishError, match=r"03-fine-tuning\.json: not what a page publishes; delete it"):
        read_pages(tmp_path)


def test_a_table_keeps_numbers_in_full_and_shows_them_short(publish):
    frame = pd.DataFrame(
        {"depth": [11, 110], "AUC": [0.98123, np.nan], "change": [-0.5, 0.25], "best": [True, False]}
    )
    table = publish.table("depths", frame, "AUC by *depth* & `layer`.", {"AUC": ".1%"})
    with (publish.staged / "tables" / "depths.csv").open(encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == [["11", "0.98123", "-0.5", "True"], ["110", "", "0.25", "False"]]
    content = (publish.staged / "tables" / "depths.html").read_text(encoding="utf-8")
    assert content == table.data["text/html"]
    assert " ".join(re.findall(r"<t[dh][^>]*>([^<]*)</t", content)) == (
        "depth AUC change best 11 98.1\xa0% −0.500 yes 110 – 0.250 no"
    )
    assert ">AUC by *depth* &amp; `layer`.</caption>" in content
    assert content.count('scope="col"') == 4
    assert content.count('scope="row"') == 2
    assert 'id="table-depths"' in content
    assert read_pages(publish.staged)["03-fine-tuning"]["tables"]["depths"] == {
        "caption": "AUC by *depth* & `layer`.",
        "columns": ["depth", "AUC", "change", "best"],
        "rows": 2,
    }


def test_an_index_becomes_the_headers_of_the_rows(publish):
    index = pd.MultiIndex.from_tuples([("pool2", 1), ("pool5", 1)], names=["layer", "fold"])
    table = publish.table("layers", pd.DataFrame({"AUC": [0.5, 0.75]}, index=index), "AUC by layer and fold.")
    rows = re.findall(
        r'<tr><th scope="row">(.*?)</th><th scope="row"[^>]*>(.*?)</th><td[^>]*>(.*?)</td>',
        table.data["text/html"],
    )
    assert rows == [("pool2", "1", "0.500"), ("pool5", "1", "0.750")]


def test_only_numbers_stand_to_the_right(publish):
    frame = pd.DataFrame({"layer": ["pool2"], "AUC": ["0.9 (0.8 to 1.0)"], "note": ["<b>"], "none": [None]})
    table = publish.table("layers", frame, "Layers.")
    assert re.findall(r'class="hep2-number">([^<]*)<', table.data["text/html"]) == [
        "AUC",
        "0.9 (0.8\u00a0to\u00a01.0)",
    ]
    assert "&lt;b&gt;" in table.data["text/html"]


def test_a_table_wider_than_a_phone_can_be_laid_out_as_blocks_and_stays_a_table(publish):
    auc, title = "0.9 (0.8 to 1.0)", 'Its "best" configuration'
    frame = pd.DataFrame({"": ["freeze 11"], title: ["batches of 16, a rate of 0.001"], "AUC": [auc]})
    wide = frame.assign(Validation=auc, Verdict="undecided so far")
    content = publish.table("wide", wide, "Wide.").data["text/html"]
    assert '<div class="hep2-table hep2-wide" id="table-wide"' in content
    heads, cells = (
        [("td", "cell"), *[("th", "columnheader")] * 4],
        [("th", "rowheader"), *[("td", "cell")] * 4],
    )
    assert re.findall(r'<(\w+)[^>]* role="(\w+)"', content) == [
        ("div", "region"),
        *(("thead", "rowgroup"), ("tr", "row"), *heads),
        *(("tbody", "rowgroup"), ("tr", "row"), *cells),
    ]
    labels = dict(re.findall(r'data-label="([^"]*)"(?: class="([^"]*)")?', content))
    assert labels.pop("Its &quot;best&quot; configuration") == "hep2-long"
    assert labels == {"AUC": "hep2-number", "Validation": "hep2-number", "Verdict": ""}
    narrow = publish.table("narrow", frame[["AUC"]], "Narrow.").data["text/html"]
    assert "hep2-wide" not in narrow
    assert "data-label" not in narrow


def test_a_p_value_is_a_number_that_is_not_broken(publish):
    frame = pd.DataFrame({"p": ["< 0.001", "0.5 (0.4 to 0.6)"]}, index=pd.Index(["a", "b"], name="against"))
    content = publish.table("p-values", frame, "P.").data["text/html"]
    texts = re.findall(r'<td class="hep2-number">([^<]*)</td>', content)
    assert texts == ["&lt;\u00a00.001", "0.5 (0.4\u00a0to\u00a00.6)"]


@pytest.mark.parametrize(
    ("frame", "caption", "formats", "message"),
    [
        (pd.DataFrame({"a": []}), "C.", None, "table 't': there is nothing in it"),
        ([[1]], "C.", None, "there is nothing in it; give a DataFrame"),
        (pd.DataFrame({"a": [1]}), " ", None, "table 't': it has no caption"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "C.", None, "each needs a title of its own"),
        (pd.DataFrame([[1]]), "C.", None, "each needs a title of its own"),
        (pd.DataFrame({"a": [1]}), "C.", {"b": ".1f"}, "a format is given for 'b', but its columns are"),
    ],
)
def test_tables_that_cannot_be_published(publish, frame, caption, formats, message):
    with pytest.raises(PublishError, match=message):
        publish.table("t", frame, caption, formats)
    assert not (publish.staged / "tables").exists()


def test_a_figure_is_kept_twice_shown_once_and_closed(publish):
    drawn = line()
    figure = publish.figure(
        "roc-curves", drawn, f"  {ALT}\n", "  ROC curve on\n  the\t *simulated* database. "
    )
    assert not plt.fignum_exists(drawn.number)
    assert (publish.staged / "figures" / "roc-curves.png").read_bytes() == shown_png(figure)
    assert (publish.staged / "figures" / "roc-curves.svg").read_text(encoding="utf-8").count("<svg") == 1
    data, metadata = figure._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert metadata["image/png"] == {"alt": ALT, "width": shown_width(figure)}
    assert metadata["hep2"] == {
        "alt": ALT,
        "caption": "ROC curve on the *simulated* database.",
        "kind": "figure",
        "name": "roc-curves",
    }


def test_a_figure_is_drawn_at_the_size_of_its_letters_and_compact(publish):
    figure = publish.figure("line", line(6.4, 4.0), ALT, "A line.")
    with Image.open(io.BytesIO(shown_png(figure))) as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert image.width / shown_width(figure) == pytest.approx(200 / 96, rel=0.01)
    assert shown_width(figure) == pytest.approx(6.4 * 96, abs=12)
    assert len(shown_png(figure)) < 50_000


def test_a_figure_too_heavy_is_drawn_with_fewer_dots(publish):
    figure, axes = plt.subplots(figsize=(6, 6))
    axes.imshow(np.random.default_rng(0).random((600, 600)), cmap="gray", interpolation="nearest")
    shown = publish.figure("noise", figure, ALT, "Noise.")
    with Image.open(io.BytesIO(shown_png(shown))) as image:
        assert image.width / shown_width(shown) == pytest.approx(110 / 96, rel=0.01)


def test_a_scale_of_few_pixels_beside_a_picture_of_many_keeps_its_colours(publish):
    figure, axes = plt.subplots(figsize=(4, 4))
    axes.imshow(np.random.default_rng(0).random((300, 300)), cmap="gray")
    bar = axes.inset_axes((0.1, -0.2, 0.8, 0.04))
    bar.imshow(np.linspace(0, 1, 256)[None], cmap="PuOr_r", aspect="auto")
    with Image.open(io.BytesIO(shown_png(publish.figure("scale", figure, ALT, "A scale.")))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    row = np.abs(pixels - plt.cm.PuOr_r(1.0, bytes=True)[:3]).sum(2).min(1).argmin()  # the scale's brown end
    shown = np.unique(pixels[row], axis=0)
    for part in (0.02, 0.2, 0.35, 0.65, 0.8, 0.98):
        colour = plt.cm.PuOr_r(part, bytes=True)[:3]
        assert np.abs(shown - colour).sum(1).min() <= 30, part
    assert tuple(pixels[0, 0]) == (255, 255, 255)


def test_what_holds_a_figure_will_do(publish):
    axes = line().axes[0]
    assert shown_png(publish.figure("axes", axes, ALT, "A figure.")).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "figure", "alt", "caption", "message"),
    [
        (
            "Roc Curves",
            line,
            ALT,
            "C.",
            "figure 'Roc Curves': cannot be its name; write it like 'roc-curves'",
        ),
        ("f", line, "A line.", "C.", "figure 'f': its alt text has 7 characters; describe in 40 or more"),
        ("f", line, None, "C.", "its alt text has 0 characters"),
        ("f", line, ALT, ALT.upper(), "its alt text repeats the caption"),
        ("f", line, ALT, "", "figure 'f': it has no caption"),
        ("f", lambda: 3, ALT, "C.", "figure 'f': int is not a Matplotlib figure"),
    ],
)
def test_figures_that_cannot_be_published(publish, name, figure, alt, caption, message):
    with pytest.raises(PublishError, match=message):
        publish.figure(name, figure(), alt, caption)
    assert read_pages(publish.staged)["03-fine-tuning"]["figures"] == {}
    plt.close("all")


def test_pages_are_json_for_anyone(publish):
    publish.value("auc", 0.5)
    content = json.loads((publish.staged / "published" / "03-fine-tuning.json").read_text(encoding="utf-8"))
    assert content == {
        "page": "03-fine-tuning",
        "values": {"auc": {"value": 0.5}},
        "tables": {},
        "figures": {},
        "kept": [],
    }


def test_an_explorer_holds_its_data_and_no_text_of_them_ends_it(publish):
    shown = publish.explorer("operating-points", {"names": ["</script><b>"], "n": [1.5]}, "a < b")
    assert publish.explorer("operating-points", {}, "a").metadata == {"hep2": {"kind": "explorer"}}
    place = BeautifulSoup(shown.data["text/html"], "html5lib").body.div
    assert (place["class"], place["data-explorer"]) == (["hep2-explorer"], "operating-points")
    assert place.p.text == shown.data["text/plain"] == "a < b"
    assert json.loads(place.script.string) == {"names": ["</script><b>"], "n": [1.5]}
    assert [child.name for child in place.find_all(recursive=False)] == ["p", "script"]
    with pytest.raises(PublishError, match="explorer 'a/b': cannot be its name"):
        publish.explorer("a/b", {}, "a")


def test_what_a_page_takes_from_images_is_kept_with_it_and_read_where_there_are_none(tmp_path):
    maps, calls = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3), []

    def computed(rows):
        calls.append(rows)
        return maps

    def executed():
        publish = Publication(tmp_path, "05-results")
        found = publish.kept("maps", np.array([7, 4]), computed)
        put_in_place(tmp_path, "05-results", "{}", {})
        return found

    file = "records/05-results-maps.csv.gz"
    assert np.array_equal(executed(), maps)
    assert calls == [[7, 4]]
    assert file in json.loads((tmp_path / "published" / "05-results.json").read_text())["files"]
    before = (tmp_path / file).read_bytes()
    executed()
    assert len(calls) == 2  # a run with images computes it each time
    (tmp_path / "records" / "records.json").write_text("{}", encoding="utf-8")  # made from records
    assert np.array_equal(executed(), maps)
    assert len(calls) == 2
    assert (tmp_path / file).read_bytes() == before
    with pytest.raises(
        RecordsError, match="hold 05-results-maps of images 7, 4, not of 7, 5; a run of its own"
    ):
        Publication(tmp_path, "05-results").kept("maps", [7, 5], computed)
    with pytest.raises(PublishError, match="kept 'all maps': cannot be its name"):
        Publication(tmp_path, "05-results").kept("all maps", [7], computed)
    Publication(tmp_path, "05-results")
    put_in_place(tmp_path, "05-results", "{}", {})
    assert not (tmp_path / file).exists()  # no page keeps it any longer


@pytest.mark.parametrize(
    "caption",
    ["AUC by *freeze depth*, **simulated** `pool2`.", "p < 0.05 & 2 * 3 * 4", "[a](b) $x$ {role}`y` _u_ <b>"],
)
def test_a_caption_is_plain_text_in_markdown_too(caption):
    shown = MarkdownIt("commonmark").render(caption_markdown(caption))
    assert shown == f"<p>{html.escape(caption, quote=False)}</p>\n"


DRAWING = """
import sys
import matplotlib.pyplot as plt
from hep2lib.figures.style import panels, style
from hep2lib.runs.publish import Publication

with style():
    figure, axes = panels(1, 2, 5, 2)
    image = axes[0, 0].imshow([[1, 2], [3, 4]])
    image.set_clip_path(plt.Circle((0.5, 0.5), 1, transform=axes[0, 0].transData))
    axes[0, 0].bar([0, 1], [1, 2], hatch="//", label="bars")
    axes[0, 1].plot([-1, 2], [1, 3], marker="o", label="a line")
    axes[0, 1].scatter([1, 2], [2, 1], s=[9, 20], c=[1, 2])
    axes[0, 1].fill_between([0, 1], [1, 2], clip_path=plt.Circle((0.5, 1), 1, transform=axes[0, 1].transData))
    axes[0, 1].legend()
alt = "Bars over a picture of two by two pixels, beside a line with two dots."
Publication(sys.argv[1], "01-dataset").figure("drawn", figure, alt=alt, caption="Bars and a line.")
"""


def test_a_figure_is_the_same_file_in_every_process(tmp_path):
    drawn = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", DRAWING, tmp_path / seed], check=True, env=environment)
        folder = tmp_path / seed / "staged" / "01-dataset" / "figures"
        drawn.append([(folder / f"drawn.{ending}").read_bytes() for ending in ("svg", "png")])
    assert drawn[0] == drawn[1]
    assert drawn[0][0].count(b"<clipPath") >= 3


def test_a_figure_is_the_same_file_where_its_layout_differs_in_the_last_bits(tmp_path):
    drawn = []
    for name, width in (("one", 0.8), ("another", 0.8 - 1e-13)):
        figure = line()
        figure.set_layout_engine("none")
        figure.axes[0].set_position((0.1, 0.1, width, 0.8))
        Publication(tmp_path / name, "01-dataset").figure("drawn", figure, ALT, "A line.")
        drawn.append((tmp_path / name / "staged" / "01-dataset" / "figures" / "drawn.svg").read_bytes())
    assert drawn[0] == drawn[1]
    assert b'clip-path="url(#drawn-clip-0)"' in drawn[0]
