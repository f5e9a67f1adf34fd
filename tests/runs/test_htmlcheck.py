import pytest

from .htmlcheck import check_html

PAGE = '<!DOCTYPE html><html lang="en"><head></head><body><article>{}</article></body></html>'
TITLE = "<h1 id='top'>A page</h1>"


def write(folder, body, name="a.html", page=PAGE):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(page.replace("{}", body), encoding="utf-8")


def test_a_sound_page_has_no_problem(tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    write(tmp_path / "deep", TITLE, "b.html")
    write(
        tmp_path,
        TITLE
        + '<h2 id="é">B</h2><h3>C</h3><h2>D</h2><img src="x.png" alt="A curve.">'
        + '<a href="deep/b.html#top">there</a> <a href="#%C3%A9">here</a> <a href="https://example.org">out</a>'
        + "<pre>{val}`quoted` ?? Traceback</pre><code>{numref}`x`</code><script>x ?? y</script>",
    )
    assert check_html(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (TITLE + '<img src="no.png" alt="A curve.">', "there is no file no.png"),
        (
            TITLE + '<img src="data:image/png;base64," alt=" ">',
            "the image data:image/png;base64, has no alt text",
        ),
        (TITLE + '<img src="data:image/png;base64,">', "the image data:image/png;base64, has no alt text"),
        (TITLE + '<a href="no.html">x</a>', "the link no.html leads nowhere"),
        (TITLE + '<a href="../../etc/passwd">x</a>', "the link ../../etc/passwd leads nowhere"),
        (TITLE + '<a href="#no">x</a>', "the link #no leads to no place on that page"),
        (TITLE + '<a href="a.html#no">x</a>', "the link a.html#no leads to no place on that page"),
        (
            TITLE + '<script src="https://x.org/a.js"></script>',
            "https://x.org/a.js is fetched from elsewhere",
        ),
        (
            TITLE + '<link rel="stylesheet" href="//x.org/a.css">',
            "//x.org/a.css is fetched from elsewhere",
        ),
        (TITLE + "<p>The AUC is <span>??</span>.</p>", "something is shown as ??"),
        (TITLE + "<p>{val}<code>auc</code></p>", "the role {val} is shown as text"),
        (TITLE + "<p>{cite:p}`x`</p>", "the role {cite:p} is shown as text"),
        (TITLE + "<pre>Traceback (most recent call last)</pre>", "a cell shows an error"),
        (TITLE + '<div class="output traceback">x</div>', "a cell shows an error"),
        ("<p>No title.</p>", "there are 0 titles (h1)"),
        (TITLE + TITLE, "there are 2 titles (h1)"),
        (TITLE + "<h3>C</h3>", "a heading h3 follows h1"),
        ("<h2>B</h2>" + TITLE, "the first heading is h2"),
    ],
)
def test_each_problem_is_said_once_with_its_page(tmp_path, body, problem):
    write(tmp_path / "book", body)
    assert check_html(tmp_path / "book") == [f"a.html: {problem}"]


def test_a_page_says_its_language(tmp_path):
    write(tmp_path, TITLE, page="<html><body><article>{}</article></body></html>")
    assert check_html(tmp_path) == ["a.html: the page does not say its language"]


def test_a_page_that_only_leads_on_needs_no_title_but_a_place_to_go(tmp_path):
    write(tmp_path, '<meta http-equiv="refresh" content="0; url=b.html"><a href="b.html">b</a>', "index.html")
    assert check_html(tmp_path) == ["index.html: the link b.html leads nowhere"]


def test_no_page_is_a_problem(tmp_path):
    assert check_html(tmp_path) == [f"{tmp_path}: there is no page"]
