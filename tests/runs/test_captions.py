import pytest
from markdown_it import MarkdownIt

from hep2lib.runs.captions import caption_html, caption_markdown, one_line, plain_text

CAPTIONS = [
    (
        "AUC by *freeze depth*, **simulated** `inception_3a-output`.",
        "AUC by freeze depth, simulated inception_3a-output.",
        "AUC by <em>freeze depth</em>, <strong>simulated</strong> <code>inception_3a-output</code>.",
    ),
    ("p < 0.05 & 2 * 3 * 4", "p < 0.05 & 2 * 3 * 4", "p &lt; 0.05 &amp; 2 * 3 * 4"),
    (
        "[a](b) $x$ {role}`y` _u_ <b>",
        "[a](b) $x$ {role}y _u_ <b>",
        "[a](b) $x$ {role}<code>y</code> _u_ &lt;b&gt;",
    ),
    ("`a * b` and *c*", "a * b and c", "<code>a * b</code> and <em>c</em>"),
]


@pytest.mark.parametrize(("caption", "plain", "html"), CAPTIONS)
def test_captions_read_the_same_everywhere(caption, plain, html):
    assert plain_text(caption) == plain
    assert caption_html(caption) == html
    assert MarkdownIt("commonmark").render(caption_markdown(caption)) == f"<p>{html}</p>\n"


def test_a_caption_is_one_line():
    assert one_line("  a\n  b\t c ") == "a b c"
    assert caption_html("a\n\nb") == "a b"
