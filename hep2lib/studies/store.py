"""Where results of trials are kept: one JSON file a trial, written whole or not at all."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hep2lib.errors import InputError
from hep2lib.files import written_whole

Record = dict[str, Any]


class StoreError(InputError):
    """A store that cannot be read or written."""


class TrialStore:
    """The records of one study, each in a file of its own that is named after its trial.

    Resuming a study is a difference of sets, and the results of two machines are merged by copying files.

    Args:
        folder: where the files are; made when the first record is written.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def __contains__(self, name: str) -> bool:
        return self._file(name).is_file()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that have no record yet, in the order given."""
        return [name for name in names if name not in self]

    def read(self, name: str) -> Record:
        """The record of a trial.

        Raises:
            StoreError: if there is none, or its file was damaged from outside.
        """
        file = self._file(name)
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["id"] != name:
                raise ValueError("it holds another trial")
        except FileNotFoundError:
            raise StoreError(f"{file}: no such trial; run the study to compute it") from None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{file}: not a readable record ({error}); delete it and run the study again"
            ) from None
        return record

    def write(self, record: Record) -> Path:
        """Keep a record under ``record["id"]``; a reader sees the whole file or none.

        Raises:
            StoreError: if the folder cannot be written, for want of permission or of room.
        """
        file = self._file(record["id"])
        try:
            with written_whole(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
                json.dump(record, stream, allow_nan=False)
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot keep a result there ({error.strerror}); make room or choose another "
                "run folder, then start again: the trials already kept are not repeated"
            ) from None
        return file

    def discard(self, name: str) -> None:
        """Forget a trial's record, if there is one."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
