"""What all tests share: no progress bars between messages they look at, a cache of their own, the
longest file first."""

import os

import pytest

os.environ["HEP2_PROGRESS"] = "0"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let nothing be kept in, or found in, the home of whoever runs the tests."""
    os.environ["HEP2_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what takes minutes before what takes seconds, so that no core waits for it at the end."""
    long = ("test_end_to_end", "test_records_published", "test_architecture", "test_fine_tuning")
    items.sort(key=lambda item: next((n for n, name in enumerate(long) if name in item.nodeid), len(long)))
