import errno
import json
import os
import re

import pytest

from hep2lib import progress
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


def altered(old, new):
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    "change",
    [
        *(lambda text, content=content: content for content in ("", "{", "[]", "{}", "null", "\x00\x01")),
        lambda text: text[:-3],
        altered('"id": "a"', '"id": "b"'),
        altered("0.25", "0.75"),
        altered("0.25", "0.250"),  # the same number, and nothing else
        lambda text: re.sub(', "checksum": "[0-9a-f]*"', "", text),
    ],
)
def test_a_record_that_was_altered_is_named_set_aside_and_computed_again(store, capsys, change, monkeypatch):
    monkeypatch.setattr(progress, "_said", set())
    file = store.write({"id": "a", "scores": [0.25]})
    whole = file.read_text(encoding="utf-8")
    file.write_text(change(whole), encoding="utf-8")
    if json.loads(whole) == (json.loads(change(whole)) if change(whole)[-1:] == "}" else None):
        assert store.missing(["a"]) == []
        return
    assert store.missing(["a"]) == ["a"]
    assert [path.name for path in store.folder.iterdir()] == ["a.json.damaged"]
    assert f"{file}: not what was written there; it is set aside" in capsys.readouterr().err
    with pytest.raises(StoreError, match="no such trial; run the study"):
        store.read("a")


def test_records_of_other_code_are_kept_and_mentioned_once(store, capsys, monkeypatch):
    monkeypatch.setattr(progress, "_said", set())
    store.write({"id": f"{'a' * 24}-0123abcd"})
    store.write({"id": f"{'b' * 24}-0123abcd"})
    names = [f"{letter * 24}-89abcdef" for letter in "abc"]
    for _ in range(2):
        assert store.missing(names) == names
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "note: 2 results in" in said
    assert "follow from other code; they are computed again" in said
    assert len(list(store.folder.iterdir())) == 2


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
