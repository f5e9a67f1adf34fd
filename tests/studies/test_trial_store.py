import errno
import json
import os

import pytest

from hep2lib.studies.trial import StoreError, TrialStore


@pytest.fixture
def store(tmp_path):
    return TrialStore(tmp_path / "trials")


def test_what_was_written_is_read(store):
    record = {"id": "a", "scores": [0.25, 1e-17, 1 / 3]}
    file = store.write(record)
    assert store.read("a") == record
    assert "a" in store
    assert [file] == list(store.folder.iterdir())


def test_missing_keeps_the_order(store):
    store.write({"id": "b"})
    assert store.missing(["c", "b", "a"]) == ["c", "a"]


def test_a_store_without_folder_has_nothing(store):
    assert store.missing(["a"]) == ["a"]
    with pytest.raises(StoreError, match=r"a\.json: no such trial; run the study to compute it"):
        store.read("a")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": "other"}', "\x00\x01", "null"])
def test_a_damaged_record_is_named(store, content):
    store.write({"id": "a"})
    (store.folder / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=r"a\.json: not a readable record .* delete it and run the study"):
        store.read("a")


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def forbidden(*arguments, **options):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize(
    ("module", "function", "replacement", "reason"),
    [
        (os, "fsync", full, "No space left on device"),
        (json, "dump", full, "No space left on device"),
        (os, "replace", forbidden, "Permission denied"),
    ],
)
def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(
    store, monkeypatch, module, function, replacement, reason
):
    store.write({"id": "a", "scores": [1]})
    with monkeypatch.context() as broken:
        broken.setattr(module, function, replacement)
        for name in ("a", "b"):
            with pytest.raises(StoreError, match=f"cannot keep a result there .{reason}") as raised:
                store.write({"id": name, "scores": [2]})
    assert str(store.folder) in str(raised.value)
    assert [file.name for file in store.folder.iterdir()] == ["a.json"]
    assert store.read("a") == {"id": "a", "scores": [1]}
    store.write({"id": "b"})


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "trials").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot keep a result there"):
        TrialStore(tmp_path / "trials").write({"id": "a"})


def test_a_record_that_is_not_a_number_is_refused_and_leaves_nothing(store):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write({"id": "a", "score": float("nan")})
    assert list(store.folder.iterdir()) == []
