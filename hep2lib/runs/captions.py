"""Captions: one line of plain text in which **strong**, *emphasis* and `code` are the only marks."""

import html
import re

_MARK = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*\s](?:[^*]*[^*\s])?)\*\*|\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*"
)
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def one_line(text: str) -> str:
    """The text with every run of white space, line breaks included, made one blank."""
    return " ".join(text.split())


def plain_text(caption: str) -> str:
    """The caption without its marks."""
    return _MARK.sub(lambda mark: mark["code"] or mark["strong"] or mark["em"], one_line(caption))


def caption_html(caption: str) -> str:
    """The caption as HTML; whatever is no mark is shown as it was typed."""
    pieces = []
    for kind, text in caption_pieces(one_line(caption)):
        escaped = html.escape(text, quote=False)
        pieces.append(escaped if kind == "text" else f"<{kind}>{escaped}</{kind}>")
    return "".join(pieces)


def caption_markdown(caption: str) -> str:
    """The caption as Markdown that no extension (mathematics, roles, links) can read in another way."""
    around = {"text": "", "code": "`", "strong": "**", "em": "*"}
    pieces = []
    for kind, text in caption_pieces(one_line(caption)):
        kept = text if kind == "code" else _PUNCTUATION.sub(r"\\\1", text)
        pieces.append(f"{around[kind]}{kept}{around[kind]}")
    return "".join(pieces)


def caption_pieces(caption: str) -> list[tuple[str, str]]:
    """The caption as (kind, text) in order; kind is "text", "code", "strong" or "em"."""
    pieces, end = [], 0
    for mark in _MARK.finditer(caption):
        pieces.append(("text", caption[end : mark.start()]))
        pieces.append((str(mark.lastgroup), mark[str(mark.lastgroup)]))
        end = mark.end()
    pieces.append(("text", caption[end:]))
    return [(kind, text) for kind, text in pieces if text]
