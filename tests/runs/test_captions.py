import html

import pytest
from markdown_it import MarkdownIt

from hep2lib.runs.publish import caption_markdown, one_line


@pytest.mark.parametrize(
    "caption",
    ["AUC by *freeze depth*, **simulated** `pool2`.", "p < 0.05 & 2 * 3 * 4", "[a](b) $x$ {role}`y` _u_ <b>"],
)
def test_a_caption_is_plain_text_in_markdown_too(caption):
    shown = MarkdownIt("commonmark").render(caption_markdown(caption))
    assert shown == f"<p>{html.escape(caption, quote=False)}</p>\n"


def test_a_caption_is_one_line():
    assert one_line("  a\n  b\t c ") == "a b c"
