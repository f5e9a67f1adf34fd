import json
import os
import stat
import threading

import pytest

from hep2lib.files import cores, write_bytes, write_json, write_text, written_whole


def test_the_folder_is_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with written_whole(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.read_bytes() == b""
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_the_old_contents(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted():
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_contents_that_cannot_be_kept_for_good_do_not_take_the_place_of_others(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError("no room")

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no room"):
        write_text(tmp_path / "a.txt", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_parallel_writers_and_readers_see_whole_files(tmp_path):
    path = tmp_path / "a.txt"
    contents = [letter * 100_000 for letter in "abcd"]
    write_text(path, contents[0])
    writers = [threading.Thread(target=write_text, args=(path, content)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in contents
    assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file_even_if_the_writer_makes_its_own(tmp_path, mask):
    before = os.umask(mask)
    try:
        with written_whole(tmp_path / "a.txt") as temporary:
            temporary.unlink()
            temporary.touch(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask


def test_what_is_written_is_what_was_given(tmp_path):
    write_bytes(tmp_path / "a", b"\r\n\x00")
    write_text(tmp_path / "b", "\u00e4\n")
    write_json(tmp_path / "c", {"b": [1.5], "a": "\u00e4"})
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"\r\n\x00", b"\xc3\xa4\n"]
    text = (tmp_path / "c").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": "\u00e4", "b": [1.5]}
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "c", float("nan"))
    assert (tmp_path / "c").read_text(encoding="utf-8") == text


def test_there_is_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)
