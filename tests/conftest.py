"""What all tests share: no progress bars between messages they look at, and the longest file first."""

import os

import pytest

os.environ["HEP2_PROGRESS"] = "0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what takes minutes before what takes seconds, so that no core waits for it at the end."""
    long = ("test_end_to_end", "test_architecture", "test_fine_tuning")
    items.sort(key=lambda item: next((n for n, name in enumerate(long) if name in item.nodeid), len(long)))
