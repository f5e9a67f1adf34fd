"""``python -m hep2lib`` is ``hep2``."""

import sys

from hep2lib.cli import main

if __name__ == "__main__":  # worker processes import this module too
    sys.exit(main())
