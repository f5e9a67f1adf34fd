"""What all tests share: no progress bars between the messages that they look at."""

import os

os.environ["HEP2_PROGRESS"] = "0"
