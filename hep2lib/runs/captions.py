"""Captions: one line of plain text."""

import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def one_line(text: str) -> str:
    """The text with every run of white space, line breaks included, made one blank."""
    return " ".join(text.split())


def caption_markdown(caption: str) -> str:
    """The caption as Markdown that no extension (mathematics, roles, links) can read in another way."""
    return _PUNCTUATION.sub(r"\\\1", caption)
