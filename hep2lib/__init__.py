"""HEp-2 intensity classification based on deep fine-tuning, as a reproducible paper.

The rooms follow the paper: ``data`` (section 2.1 and 2.2), ``cnn`` (2.3), ``studies`` (2.4 and 2.5),
``evaluation`` (3), and ``runs``, which turns all of it into one executed book. A notebook starts with
``from hep2lib import notebook_run, printed``: its run, and what the paper printed. A script opens a run with
``open_run``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing a run takes seconds, and `hep2 layers` needs none
    from hep2lib.runs.paper import printed, stated_weights
    from hep2lib.runs.run import notebook_run, open_run
    from hep2lib.runs.teach import check

__all__ = ["check", "notebook_run", "open_run", "printed", "stated_weights"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what notebooks take from here when it is first asked for."""
    homes = {"check": "teach", "notebook_run": "run", "open_run": "run"}
    homes |= dict.fromkeys(("printed", "stated_weights"), "paper")
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"hep2lib.runs.{homes[name]}"), name)
