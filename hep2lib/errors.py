"""What is raised when the input cannot be used: one message for a person, and nothing half-written."""

import re
from collections.abc import Iterable


class InputError(Exception):
    """An input that cannot be used, said in full for the person who gave it.

    The message names the file, the row or the parameter, and what to do about it. The command line
    prints it as it is, without a traceback, and ends with exit code 2. Each room derives its own kind
    (``DatabaseError``, ``WeightsError``, ...), so that a caller can catch just that one.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: in a notebook, too, the message stands alone."""
        return [f"{type(self).__name__}: {self}"]


class DatabaseError(InputError):
    """A database, a sheet or an image that cannot be used.

    ``problems`` are all that were found, a sentence each; ``subject`` stands in the heading over several.
    """

    def __init__(self, problems: str | Iterable[str], subject: str = "the database") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        if len(self.problems) == 1:
            message = self.problems[0]
        else:
            lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(self.problems, 1))
            message = f"{subject} cannot be used, for {len(self.problems)} reasons:{lines}"
        super().__init__(printable(message))


def printable(text: str) -> str:
    r"""Write control and broken characters as escapes (``\x1b``): names must not steer a terminal."""
    return re.sub(r"[^\n -~\xa0-\ud7ff\ue000-\U0010ffff]", lambda found: repr(found[0])[1:-1], text)


def quoted(name: str) -> str:
    """Quote a name as it was typed, the middle of one longer than 100 characters left out."""
    return repr(name if len(name) <= 100 else f"{name[:50]}...{name[-50:]}").replace(r"\\", "\\")


def some(names: Iterable[str], limit: int = 5) -> str:
    """Name the first few of many: "a, b, c and 12 more"."""
    shown = [str(name) for name in names]
    if len(shown) <= limit:
        return ", ".join(shown)
    return f"{', '.join(shown[:limit])} and {len(shown) - limit} more"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: "1 image", "2,080 images"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
