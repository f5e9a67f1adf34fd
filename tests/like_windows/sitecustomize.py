"""Notes what a program does with files that Windows would refuse, or does otherwise.

Every Python that starts with this folder in PYTHONPATH loads it, workers and kernels too. HEP2_WATCHED names
the folder whose files are watched, HEP2_WATCHER the file that takes notes: a line a process, a file, a fault.
"""

import os
import re
import sys
import threading

#: The names that Windows has for devices, with whatever ending.
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
#: Characters of a path below the watched folder. Windows takes 259 in all, so that a folder has 100 left.
LONGEST = 159
_BUSY = threading.local()  # looking at what is open opens files


def whole(path: object, folder: object = -1) -> str:
    """An absolute path, where it may be given relative to an open folder."""
    start = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else "."
    return os.path.abspath(os.path.join(os.path.realpath(start), os.fsdecode(path)))


def held(path: str) -> bool:
    """Whether this process has that file open or mapped, or one in that folder."""
    if not os.path.isdir("/proc/self/fd"):  # Linux alone tells
        return False
    names = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            names.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # closed meanwhile
            continue
    with open("/proc/self/maps", encoding="utf-8") as stream:
        names |= {line.split(maxsplit=5)[5].rstrip() for line in stream if len(line.split(maxsplit=5)) > 5}
    return any(os.path.isfile(name) and (name == path or name.startswith(f"{path}/")) for name in names)


def faults(path: str, root: str) -> list[str]:
    """What Windows has against the name of a new file or folder."""
    inside = os.path.relpath(path, root)
    parts = inside.split("/")
    found = ["long"] if len(inside) > LONGEST else []
    found += ["sign" for part in parts if re.search(r'[<>:"|?*\\\x00-\x1f]|[ .]$', part)]
    return found + ["device" for part in parts if DEVICES.fullmatch(part)]


def note(*words: str) -> None:
    """Write a line."""
    with open(os.environ["HEP2_WATCHER"], "a", encoding="utf-8") as stream:
        stream.write("\t".join((str(os.getpid()), *words)) + "\n")


def watch(event: str, given: tuple) -> None:
    """Look at what is about to happen."""
    if (
        not event.startswith(("open", "os."))
        or getattr(_BUSY, "now", False)
        or "HEP2_WATCHED" not in os.environ
    ):
        return
    _BUSY.now = True
    try:
        root, made, moved = os.environ["HEP2_WATCHED"], [], []
        match event, given:
            case "open", (str() | bytes() as path, _, int(flags)) if flags & os.O_CREAT:
                made = [whole(path)]
            case "os.mkdir", (path, _, folder):
                made = [whole(path, folder)]
            case "os.rename", (path, other, folder, other_folder):
                made = [whole(other, other_folder)]
                moved = [whole(path, folder), *made]
            case "os.remove", (path, folder):
                moved = [whole(path, folder)]
            case (("os.fork" | "os.forkpty"), _):
                note("fork", "")
        for path in (path for path in made if path.startswith(f"{root}/")):
            note("made", path)
            for fault in faults(path, root):
                note(fault, path)
        for path in (path for path in moved if path.startswith(f"{root}/")):
            if held(path):
                note(f"open at {event}", path)
    finally:
        _BUSY.now = False


if "HEP2_WATCHER" in os.environ:
    note("begun", " ".join(" ".join(sys.orig_argv).split())[:80])
sys.addaudithook(watch)
