import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hep2lib.data import images as store_module
from hep2lib.data.images import each_new, kept_images
from hep2lib.errors import DatabaseError


def old_file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return str(path)


def checksums(cache: Path, paths: list[str]) -> list[str]:
    files = [(Path(path), "") for path in paths]
    return each_new(store_module.file_checksum, files, "checksums", index=cache / "index.json")[0]


def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are read."""
    read: list[str] = []
    checksum = store_module.file_checksum
    monkeypatch.setattr(
        store_module, "file_checksum", lambda path: (read.append(str(path)), checksum(path))[1]
    )
    return read


def test_only_new_and_changed_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counting(monkeypatch)
    a, b = old_file(tmp_path / "a", b"a"), old_file(tmp_path / "b", b"b")
    cache = tmp_path / "cache"
    first = checksums(cache, [a, b])
    assert checksums(cache, [b, a]) == first[::-1]
    assert sorted(read) == [a, b]
    old_file(tmp_path / "b", b"longer")
    assert checksums(cache, [a, b])[1] != first[1]
    assert sorted(read) == [a, b, b]


def test_a_file_written_just_now_is_not_trusted_to_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = counting(monkeypatch)
    (tmp_path / "a").write_bytes(b"a")
    cache = tmp_path / "cache"
    checksums(cache, [str(tmp_path / "a")])
    checksums(cache, [str(tmp_path / "a")])
    assert len(read) == 2


def flipped(content: str, digit: int) -> str:
    """Change one of the hexadecimal digits at the end of an index: those of the last result."""
    place = content.rindex('"') - 1 - digit
    return content[:place] + ("1" if content[place] == "0" else "0") + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: "",
        lambda content: "{",
        lambda content: "[]",
        lambda content: '{"a": 1}',
        lambda content: "\x00",
        lambda content: content.partition("\n")[2],
        lambda content: content[:-9],
        lambda content: flipped(content, 5),
        lambda content: "1" + content,
    ],
)
def test_damaged_index_is_an_empty_one(tmp_path: Path, damage: Callable[[str], str]) -> None:
    path = old_file(tmp_path / "a", b"a")
    cache = tmp_path / "cache"
    expected = checksums(cache, [path])
    index = cache / "index.json"
    whole = index.read_text(encoding="utf-8")
    index.write_text(damage(whole), encoding="utf-8")
    assert checksums(cache, [path]) == expected
    assert index.read_text(encoding="utf-8") == whole


def test_an_index_of_bytes_that_are_no_text_is_an_empty_one(tmp_path: Path) -> None:
    path = old_file(tmp_path / "a", b"a")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "index.json").write_bytes(b"\xff\xfe\xfa")
    assert checksums(cache, [path]) == [hashlib.sha256(b"a").hexdigest()]


def test_a_file_that_changed_within_two_seconds_before_it_was_looked_at_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long looking lasts: the clock is read before, since a file may change meanwhile.
    clock = [time.time_ns()]
    monkeypatch.setattr(store_module.time, "time_ns", lambda: clock[0])
    for name, age in (("fresh", 1), ("settled", 3)):
        (tmp_path / name).write_bytes(b"a")
        os.utime(tmp_path / name, ns=(0, clock[0] - age * 10**9))
    looked = []

    def look(path: Path) -> int:
        looked.append(path.name)
        clock[0] += 60 * 10**9
        return 7

    files = [(tmp_path / name, "") for name in ("fresh", "settled")]
    for _ in range(2):
        clock[0] = (tmp_path / "fresh").stat().st_mtime_ns + 10**9
        assert each_new(look, files, "looking", index=tmp_path / "index") == ([7, 7], [])
    assert sorted(looked) == ["fresh", "fresh", "settled"]


def test_another_file_under_the_same_name_size_and_time_is_looked_at(tmp_path: Path) -> None:
    # As unpacked from an archive, or of a format whose files are all of one size.
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (10**9, 10**9))
    files = [(tmp_path / name, "") for name in ("a", "b")]

    def contents() -> list[str]:
        return each_new(Path.read_text, files, "reading", index=tmp_path / "index")[0]

    assert contents() == ["a", "b"]
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    assert contents() == ["b", "a"]


def test_what_is_wrong_is_said_every_time_at_its_place(tmp_path: Path) -> None:
    sound = Path(old_file(tmp_path / "sound", b"a"))
    damaged, gone = Path(old_file(tmp_path / "damaged", b"b")), tmp_path / "gone"
    looked = []

    def look(path: Path) -> str:
        looked.append(path)
        if path != sound:
            raise DatabaseError(f"{path.name}: no")
        return "fine"

    files = [(gone, "row 1"), (sound, "row 2"), (damaged, "row 3")]
    for _ in range(2):
        found = each_new(look, files, "looking", index=tmp_path / "index")
        assert found == ([None, "fine", None], ["row 1: gone: no", "row 3: damaged: no"])
    assert looked.count(sound) == 1
    sound.unlink()  # what was kept of it is not given for a file that is gone
    found = each_new(lambda path: None, files, "looking", index=tmp_path / "index")
    assert found == ([None, None, None], [])


def test_results_of_other_code_are_not_given(tmp_path: Path) -> None:
    files = [(Path(old_file(tmp_path / "a", b"a")), "")]
    index = tmp_path / "index"
    for follows, value in ((["one"], 1), (["two"], 2), (["two"], 2), (["one"], 1)):
        assert each_new(lambda path, value=value: value, files, "looking", follows, index) == ([value], [])


def test_array_is_filled_once_for_a_key(tmp_path: Path) -> None:
    filled = []

    def fill(array: np.ndarray) -> None:
        filled.append(1)
        array[:] = 7

    for _ in range(2):
        assert (np.load(kept_images(tmp_path, ["key", 1], (2, 3), fill)) == 7).all()
    assert len(filled) == 1
    kept_images(tmp_path, ["key", 2], (2, 3), fill)
    assert len(filled) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_interrupted_filling_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(array: np.ndarray) -> None:
        array[0] = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_images(tmp_path, ["key"], (2, 3), interrupt)
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
        kept_images(tmp_path, ["key"], (2, 3), lambda array: None)
    assert list(tmp_path.iterdir()) == []


def test_store_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatabaseError, match="cannot be kept here"):
        kept_images(tmp_path / "file", ["key"], (2, 3), lambda array: None)
