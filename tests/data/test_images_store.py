import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from hep2lib.data import images as store_module
from hep2lib.data.images import ImageStore
from hep2lib.errors import DatabaseError


def old_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return str(path)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are read."""
    read: list[str] = []
    checksum = store_module.file_checksum
    monkeypatch.setattr(store_module, "file_checksum", lambda path: (read.append(path), checksum(path))[1])
    return read


def test_only_new_and_changed_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counting(monkeypatch)
    a, b = old_file(tmp_path / "a", b"a"), old_file(tmp_path / "b", b"b")
    store = ImageStore(tmp_path / "cache")
    first = store.checksums([a, b])
    assert store.checksums([b, a]) == first[::-1]
    assert sorted(read) == [a, b]
    old_file(tmp_path / "b", b"longer")
    assert store.checksums([a, b])[1] != first[1]
    assert sorted(read) == [a, b, b]


def test_a_file_written_just_now_is_not_trusted_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(monkeypatch)
    (tmp_path / "a").write_bytes(b"a")
    store = ImageStore(tmp_path / "cache")
    store.checksums([str(tmp_path / "a")])
    store.checksums([str(tmp_path / "a")])
    assert len(read) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', "\x00"])
def test_damaged_index_is_an_empty_one(tmp_path: Path, damage: str) -> None:
    path = old_file(tmp_path / "a", b"a")
    store = ImageStore(tmp_path / "cache")
    expected = store.checksums([path])
    (tmp_path / "cache" / "index.json").write_text(damage, encoding="utf-8")
    assert store.checksums([path]) == expected


def test_array_is_filled_once_for_a_key(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    filled = []

    def fill(array: np.ndarray) -> None:
        filled.append(1)
        array[:] = 7

    for _ in range(2):
        assert (np.load(store.images(["key", 1], (2, 3), fill)) == 7).all()
    assert len(filled) == 1
    store.images(["key", 2], (2, 3), fill)
    assert len(filled) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_interrupted_filling_leaves_nothing(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)

    def interrupt(array: np.ndarray) -> None:
        array[0] = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.images(["key"], (2, 3), interrupt)
    assert list(tmp_path.iterdir()) == []


def test_full_disc_is_noticed_before_anything_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "_reserve", full)
    with pytest.raises(
        DatabaseError, match=r"cannot be kept here \(No space left on device\); give another folder"
    ):
        ImageStore(tmp_path).images(["key"], (2, 3), lambda array: None)
    assert list(tmp_path.iterdir()) == []


def test_store_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatabaseError, match="cannot be kept here"):
        ImageStore(tmp_path / "file")
