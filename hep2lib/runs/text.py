"""What programs print, made fit to be kept: the same on every machine and readable without a terminal."""

import re

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def without_control(text: str) -> str:
    """The text without the codes that colour it or move a terminal's cursor."""
    return _CONTROL.sub("", text)


def terminal_text(text: str) -> str:
    """The text as a terminal would show it in the end: no control codes, the last state of each line."""
    lines = without_control(text).split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def without_addresses(text: str) -> str:
    """The text without the memory addresses that Python shows of objects without a better name."""
    return _ADDRESS.sub("", text)


def without_paths(text: str, replacements: dict[str, str]) -> str:
    """Replace absolute folders in a text, the longest first.

    Args:
        text: what may name folders of the machine it was made on.
        replacements: what to write instead of each folder; "" takes the separator that follows away too.

    Returns:
        The text with paths that mean the same on every machine.
    """
    for folder in sorted(replacements, key=len, reverse=True):
        short = replacements[folder].replace("\\", r"\\")
        whole = re.escape(folder) + r"(?![\w-])"
        text = re.sub(whole + (r"[/\\]?" if short == "" else ""), short, text)
    return text
