"""HEp-2 intensity classification based on deep fine-tuning, as a reproducible paper.

The rooms follow the paper: ``data`` (section 2.1 and 2.2), ``cnn`` (2.3), ``studies`` (2.4 and 2.5),
``evaluation`` (3), and ``runs``, which turns all of it into one executed book.
"""

__version__ = "0.1.0"
