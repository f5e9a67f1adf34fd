"""What a reader can move says what hep2lib says, at every threshold and layer, by every way of moving it."""

import base64
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hep2lib.cnn.googlenet import architecture, cut_point
from hep2lib.cnn.layers import layer_table
from hep2lib.evaluation.calibration import net_benefit, reliability
from hep2lib.evaluation.decisions import candidates, confusion, predictive_value, share
from hep2lib.evaluation.specimens import routine_day
from hep2lib.figures import network, results
from hep2lib.figures.style import estimated, thumbnails, typeset
from hep2lib.runs.publish import Publication

from .conftest import DESKTOP, PHONE, axe_findings, in_theme
from .test_pages import THEMES_OWN

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
PREVALENCES = {"these images": 0.55, "routine": 0.226}
LAYERS = architecture("torchvision")
SHOWN = """() => Object.fromEntries([...document.querySelectorAll("[data-shown]")]
    .map(one => [one.dataset.shown, one.textContent]))"""
TYPED = f"""([id, values]) => values.map(value => {{
    const field = document.querySelector(id);
    field.value = value;
    field.dispatchEvent(new Event("input", {{bubbles: true}}));
    return ({SHOWN})();
}})"""
WIDER = """() => [...document.querySelectorAll(".hep2-explorer *")]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
    .map(one => one.outerHTML.slice(0, 80))"""
PAGE = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width">
<style>* { box-sizing: border-box }
html { --pst-color-background: white; color: var(--pst-color-text-base) }
body { background: var(--pst-color-background) }
STYLE</style></head>
<body><main class="bd-article"><h1>A page</h1><h2>Of a book</h2><h3>To move</h3>SHOWN</main>
<script type="module">MODULE</script></body></html>"""


def made_scores(seed: int) -> pd.DataFrame:
    """Two fields of 60 specimens; many scores are equal, and some are 0 or 1."""
    draw = np.random.default_rng(seed)
    label = np.repeat(np.arange(60) % 9 < 5, 2).astype(int)
    score = np.clip(np.round(0.5 + 0.35 * draw.normal(2 * label - 1, 1.2), 2), 0, 1)
    owner = np.repeat(np.arange(60), 2).astype(str)
    return pd.DataFrame({"row": range(120), "label": label, "score": score, "specimen": owner})


TEST = made_scores(0)
BINS = reliability(TEST["label"], TEST["score"], TEST["specimen"], bins=5)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A page of each explorer, put together as the book does."""
    folder = tmp_path_factory.mktemp("explorers")
    publish = Publication(folder / "run", "05-results")
    draw = np.random.default_rng(0)
    points = results.operating_points(made_scores(1), TEST, most=4)
    tiles = thumbnails(draw.integers(0, 255, (len(points["shown"]), 3, 64, 64), dtype=np.uint8))
    points = results.with_fields(points, tiles, pd.DataFrame({"pattern": ["<b>fine</b>"] * 120}))
    values = {
        one.name: draw.normal(size=(2, 2 if one.channels == 2 else 5, row["size"], row["size"]))
        for one, row in zip(LAYERS, layer_table(LAYERS, 112).to_dict("records"), strict=True)
    }
    fields = draw.integers(0, 255, (2, 3, 112, 112), dtype=np.uint8)
    data = {
        "operating-points": points | {"prevalences": PREVALENCES},
        "freezing": network.layer_answers(LAYERS, 112, fields, values),
    }
    found = {}
    for name, one in data.items():
        shown = publish.explorer(name, one, "The table above says the same.").data["text/html"]
        files = [(STATIC / file).read_text(encoding="utf-8") for file in ("hep2.css", f"{name}.js")]
        found[name] = folder / f"{name}.html"
        page = PAGE.replace("STYLE", files[0]).replace("SHOWN", shown).replace("MODULE", files[1])
        found[name].write_text(page, encoding="utf-8")
    return found


def expected(threshold: float, prevalence: float) -> dict[str, str]:
    """What hep2lib says of the threshold, as the book prints it."""
    called = TEST["score"] >= threshold
    decided = TEST.assign(decision=called.astype(int))
    count = confusion(TEST["label"], decided["decision"])
    hit, clear = count.sensitivity, count.specificity
    told = {"found": count.true_positive, "missed": count.false_negative}
    told |= {"alarms": count.false_positive, "cleared": count.true_negative}
    for rate in ("sensitivity", "specificity", "accuracy"):
        told[rate] = estimated(share(decided, rate), ".1f", 100).replace(" (", "\u00a0% (")
    values = predictive_value(hit, clear, prevalence), predictive_value(clear, hit, 1 - prevalence)
    for name, value in zip(("ppv", "npv"), values, strict=True):
        told[name] = typeset(value, ".1%") if np.isfinite(value) else "\u2013"
    if threshold < 1:
        of_all = net_benefit(TEST["label"], np.ones(120), threshold, prevalence)
        told["benefit"] = typeset(net_benefit(TEST["label"], TEST["score"], threshold, prevalence), ".3f")
        told["benefitOfAll"] = typeset(of_all, ".3f")
    day = routine_day(hit, clear, prevalence)
    day["alarms"] = day.pop("false_alarms")
    told |= {f"sera-{kind}": f"{day[kind]:.0f}" for kind in ("found", "missed", "alarms", "cleared")}
    group = min(int((BINS.highest < threshold).sum()), BINS.images.size - 1)
    told["calibration"] = (
        f"{BINS.images[group]} images have scores from {BINS.lowest[group]:.3f} to "
        f"{BINS.highest[group]:.3f}, on average {typeset(BINS.predicted[group], '.1%')} (triangle). "
        f"Of these images {typeset(BINS.observed[group], '.1%')} are positive (bar; interval "
        f"{typeset(BINS.low[group], '.1%')} to {typeset(BINS.high[group], '.1%')})."
    )
    return {name: str(text) for name, text in told.items()}


def differing(shown: dict[str, str], threshold: float, prevalence: float = 0.226) -> dict[str, tuple]:
    """What a page shows that is not what hep2lib says."""
    wanted = expected(threshold, prevalence)
    assert set(wanted) <= set(shown)
    return {name: (shown[name], text) for name, text in wanted.items() if shown[name] != text}


def test_a_threshold_that_is_typed_shows_what_hep2lib_says(pages, opened):
    page = opened(pages["operating-points"])
    scores = np.unique(TEST["score"])  # at a score, just below it, just above it, and between
    beside = [*np.nextafter(scores[::4], 0), *np.nextafter(scores[::4], 1)]
    values = [0.0, *scores, *beside, *np.linspace(0, 1, 23)]
    values = np.unique(np.clip(values, 0, 1))
    assert values.size >= 100
    assert len(scores) < 100  # some are equal
    field = "input[aria-label^='Threshold']"
    for value, shown in zip(values, page.evaluate(TYPED, [field, values.tolist()]), strict=True):
        assert differing(shown, value) == {}, value
    before = page.evaluate(SHOWN)
    assert page.evaluate(TYPED, [field, ["", "1.2", "-0.1"]]) == 3 * [before]


def test_a_slider_and_its_keys_show_what_hep2lib_says(pages, opened):
    page = opened(pages["operating-points"])
    values = np.round(np.linspace(0, 1, 51), 3).tolist()
    for value, shown in zip(values, page.evaluate(TYPED, ["#op-threshold", values]), strict=True):
        assert differing(shown, value) == {}, value
    steps = candidates(TEST["score"].to_numpy())
    shares = page.evaluate(TYPED, ["#op-share", list(range(len(steps)))])
    for threshold, shown in zip(steps[::-1], shares, strict=True):
        assert differing(shown, threshold) == {}, threshold
    page.locator("#op-share").focus()
    for key, place in (("Home", -1), ("ArrowRight", -2), ("End", 0), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert differing(page.evaluate(SHOWN), steps[place]) == {}, key
    page.locator("#op-threshold").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert differing(page.evaluate(SHOWN), 0.001) == {}


def test_a_prevalence_a_mark_and_a_finger_move_it_too(pages, opened):
    page = opened(pages["operating-points"])
    for prevalence, shown in zip(
        (0, 1, 50, 0.7),
        page.evaluate(TYPED, ["input[aria-label^='Prevalence']", [0, 1, 50, 0.7]]),
        strict=True,
    ):
        assert (
            differing(shown, results.operating_points(made_scores(1), TEST)["chosen"], prevalence / 100) == {}
        )
    page.get_by_role("button", name="these images (55.0\u00a0%)").click()
    page.get_by_role("button", name="0.5", exact=True).click()
    assert differing(page.evaluate(SHOWN), 0.5, 0.55) == {}
    page.get_by_role("button", name="none").click()
    assert page.evaluate(SHOWN)["found"] == "0"
    box = page.locator("svg.touch").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + 20)
    assert page.locator("input[aria-label^='Threshold']").input_value() == f"{(170 - 38) / 294:.3f}"
    roc = page.locator("svg.touch").nth(1)
    box = roc.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 10, box["y"] + 12)  # the upper right corner
    assert page.evaluate(SHOWN)["missed"] == "0"


def test_fields_that_change_side_are_counted_and_shown(pages, opened):
    page = opened(pages["operating-points"])
    chosen = results.operating_points(made_scores(1), TEST)["chosen"]
    assert page.locator(".hep2-fields span").count() == 0
    for value in (0.02, 0.98):
        page.evaluate(TYPED, ["#op-threshold", [value]])
        changed = TEST[(TEST["score"] >= value) != (TEST["score"] >= chosen)]
        counts = [int((changed["label"] == label).sum()) for label in (1, 0)]
        titles = page.locator(".hep2-explorer h5")
        assert [int(titles.nth(n).get_attribute("data-count")) for n in (0, 1)] == counts
        rows = page.locator(".hep2-fields")
        assert [rows.nth(n).locator("span").count() for n in (0, 1)] == [min(4, one) for one in counts]
        assert "(the first 4 are shown)" in titles.nth(0).text_content()
    first = page.locator(".hep2-fields span").first
    assert first.get_attribute("aria-label").endswith(", <b>fine</b>")  # a text, not an element


def test_a_layer_shows_what_hep2lib_says_by_every_way_of_choosing_it(pages, opened):
    page = opened(pages["freezing"])
    page.wait_for_selector("#freeze-layer")
    table = layer_table(LAYERS, 112).set_index("index")
    total = int(table["parameters"].sum())
    for way in ("#freeze-layer", "input[aria-label^='Layer']"):
        for depth, shown in enumerate(page.evaluate(TYPED, [way, list(range(1, 145))]), start=1):
            row, left = table.loc[depth], int(table["parameters"][depth:].sum())
            assert shown["layer"] == row["name"]
            assert shown["output"] == row["output"].replace("x", " \u00d7 ")
            assert shown["parameters"] == f"{row['parameters']:,}"
            assert shown["receptive"] == f"{row['receptive_field']:,} pixels"
            assert shown["trained"].startswith(f"{left:,} of {total:,} parameters (")
            cut = cut_point(LAYERS, depth)
            assert shown["cut"] == f"layers 1 to {cut}, up to {LAYERS[cut - 1].name}"
    assert page.evaluate(TYPED, ["input[aria-label^='Layer']", [0, 145, ""]])[-1]["layer"] == "output"
    page.get_by_role("combobox").select_option("97 inception_4e-1x1")
    assert page.evaluate(SHOWN)["layer"] == "inception_4e-1x1"
    page.locator("#freeze-layer").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(SHOWN)["layer"] == LAYERS[97].name
    for depth, share_left in ((11, "97.8"), (110, "41.6"), (139, "under 0.1")):
        page.get_by_role("button", name=f"{depth} layers").click()
        shown = page.evaluate(SHOWN)
        assert shown["layer"] == LAYERS[depth - 1].name
        assert shown["trained"].endswith(f"({share_left}\u00a0%)")


def test_a_layers_map_is_its_own(pages, opened):
    page = opened(pages["freezing"])
    page.wait_for_selector("#freeze-layer")
    text = pages["freezing"].read_text(encoding="utf-8")
    sprite = text.partition('"sprite":"data:image/png;base64,')[2].partition('"')[0]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sprite))))
    for depth in (1, 11, 97, 140):
        page.evaluate(TYPED, ["#freeze-layer", [depth]])
        for n in (0, 1):
            shown = (
                page.locator("canvas")
                .nth(n)
                .evaluate("canvas => canvas.getContext('2d').getImageData(2, 2, 1, 1).data[0]")
            )
            assert shown == picture[32 * (depth - 1), 32 * n]
    page.evaluate(TYPED, ["#freeze-layer", [144]])
    assert not page.locator("canvas").first.is_visible()


@pytest.mark.parametrize("name", ["operating-points", "freezing"])
def test_an_explorer_fits_its_window_and_axe_finds_nothing(name, pages, opened):
    findings = []
    for width in (DESKTOP, PHONE):
        page = opened(pages[name], width)
        page.wait_for_selector(".hep2-controls")
        if name == "operating-points":
            page.evaluate(TYPED, ["#op-threshold", [0.1]])
        assert page.evaluate(WIDER) == []
        findings += axe_findings(page)
        in_theme(page, "dark")
        findings += axe_findings(page, runOnly=["color-contrast"])
    assert [finding for finding in findings if not finding.startswith(THEMES_OWN)] == []


@pytest.mark.parametrize("name", ["operating-points", "freezing"])
def test_an_explorer_works_from_a_server_and_without_javascript_a_sentence_stands_there(name, pages, browser):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=pages[name].parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/{name}.html"
    for script in (True, False):
        window = browser.new_context(java_script_enabled=script)
        page = window.new_page()
        page.goto(address)
        text = page.locator(".hep2-explorer p").first
        if script:
            page.wait_for_selector(".hep2-controls input")
        else:
            assert text.is_visible()
            assert text.text_content() == "The table above says the same."
            assert page.locator("input").count() == 0
        window.close()
    server.shutdown()
