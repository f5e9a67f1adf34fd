import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hep2lib.errors import InputError
from hep2lib.files import (
    database_part,
    find_kept,
    kept_file,
    own_name,
    typed_path,
    user_cache,
    write_bytes,
    write_json,
    write_text,
    written_whole,
)


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


def test_a_message_names_the_file_that_was_meant(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match="directory") as raised:
        write_text(tmp_path / "a.txt", "new")
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "a.txt"), None)
    assert ".part" not in str(raised.value)
    (tmp_path / "b").write_text("a file")
    with pytest.raises(OSError, match="b") as raised:
        write_text(tmp_path / "b" / "c.txt", "new")
    assert ".part" not in str(raised.value)


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


def test_one_file_has_one_path_however_it_is_typed(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b", target_is_directory=True)
    (tmp_path / "a" / "w.pth").symlink_to("blob")  # a store of files by their contents
    monkeypatch.chdir(tmp_path / "a")
    for typed in ("w.pth", "./w.pth", "b/../w.pth", "../link/../w.pth", str(tmp_path / "a" / "w.pth")):
        assert typed_path(typed) == tmp_path / "a" / "w.pth"
    assert (typed_path(".."), typed_path("."), typed_path("b/..")) == (
        tmp_path,
        tmp_path / "a",
        tmp_path / "a",
    )
    assert typed_path("x", tmp_path / "link") == tmp_path / "link" / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_path("~/a") == tmp_path / "a"
    with pytest.raises(InputError, match="~nosuchuser/a: nobody here has that home folder; write the whole"):
        typed_path("~nosuchuser/a")


def test_a_part_of_a_database_is_found_in_it_or_where_it_was_typed(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(tmp_path)
    assert database_part("truth.csv", data) == data / "truth.csv"
    (tmp_path / "truth.csv").touch()
    assert database_part("truth.csv", data) == tmp_path / "truth.csv"
    assert database_part(data / "truth.csv", data) == data / "truth.csv"
    (data / "truth.csv").symlink_to(tmp_path / "truth.csv")
    assert database_part("truth.csv", data) == data / "truth.csv"  # the same file
    assert database_part("truth.csv", data / "truth.csv") == data / "truth.csv"
    (data / "truth.csv").unlink()
    (data / "truth.csv").touch()
    with pytest.raises(InputError, match=r"truth\.csv: there are .*data/truth\.csv and .*; write the whole"):
        database_part("truth.csv", data)
    assert database_part("x" * 300, data) == data / ("x" * 300)


def written(text, calls):
    def write(path):
        calls.append(path)
        path.write_text(text, encoding="utf-8")

    return write


def test_what_is_kept_is_written_once_and_its_name_holds_a_checksum(tmp_path):
    calls = []
    path = tmp_path / "cache" / "gram-pool2-0123abcd.npy"
    assert find_kept(path) is None
    files = {kept_file(path, written("whole", calls)) for _ in range(3)}
    assert len(calls) == len(files) == 1
    digest = hashlib.sha256(b"whole").hexdigest()[:16]
    assert [file.name for file in files] == [f"gram-pool2-0123abcd.{digest}.npy"]
    assert find_kept(path) in files
    assert list(path.parent.iterdir()) == list(files)


@pytest.mark.parametrize("content", ["Whole", "whol", "", "whole "])
def test_what_was_altered_is_set_aside_said_and_written_again(tmp_path, capsys, content):
    calls = []
    path = tmp_path / "gram-0123abcd.npy"
    file = kept_file(path, written("whole", calls))
    file.write_text(content, encoding="utf-8")
    assert kept_file(path, written("whole", calls)) == file
    assert file.read_text(encoding="utf-8") == "whole"
    assert len(calls) == 2
    assert file.with_name(f"{file.name}.damaged").read_text(encoding="utf-8") == content
    assert f"{file}: not what was written there; it is set aside" in capsys.readouterr().err


def test_what_other_code_kept_stays_and_is_mentioned_once(tmp_path, capsys):
    for code in ("0123abcd", "89abcdef"):
        for name in ("one", "two"):
            kept_file(tmp_path / f"{name}-{code}.npy", written(code, []))
    assert len(list(tmp_path.iterdir())) == 4
    assert capsys.readouterr().err.count("follows from other code; it is computed again") == 1


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_nothing_is_kept_of_what_was_interrupted(tmp_path, error):
    def write(path):
        path.write_text("half")
        raise error

    with pytest.raises(error):
        kept_file(tmp_path / "a.npy", write)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path, monkeypatch):
    path = tmp_path / "a[1]-b.json"
    live = [own_name(path), own_name(tmp_path / "other.json")]
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    monkeypatch.setattr("os.getpid", lambda: gone.pid)
    left, elsewhere = own_name(path), own_name(tmp_path / "other.json")
    monkeypatch.setattr("platform.node", lambda: "another machine")
    foreign = own_name(path)
    monkeypatch.undo()
    kept = {*live, elsewhere, foreign}
    for each in (left, *kept):
        each.touch()
    write_text(path, "{}")
    assert set(tmp_path.iterdir()) == {path, *kept}


@pytest.mark.parametrize(
    ("own", "system", "folder"),
    [
        ("/own", "/xdg", "/own"),
        ("", "/xdg", "/xdg/hep2lib"),
        (None, "/xdg", "/xdg/hep2lib"),
        (None, "", "/home/me/.cache/hep2lib"),
        (None, None, "/home/me/.cache/hep2lib"),
        ("~/mine", None, "/home/me/mine"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the system's folder has another name there")
def test_the_cache_is_where_the_environment_says(monkeypatch, own, system, folder):
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("HEP2_CACHE", own), ("XDG_CACHE_HOME", system)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert user_cache() == Path(folder)


def test_without_a_home_there_is_nowhere_to_keep_anything(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HEP2_CACHE", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(OSError, match=re.escape(os.devnull)), written_whole(user_cache() / "a.json"):
        pass
