"""How fast a simulated database is written, and whether its bytes depend on the number of processes.

    python benchmarks/simulating.py              the default database, 208 images, on one process and on all

Ends with code 1 if it takes more than a tenth of a second an image on all cores, or if the bytes differ.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

from hep2lib.errors import counted
from hep2lib.processes import cores
from hep2lib.simulator.writing import write_database

IMAGES_A_SECOND = 10.0


def digest(folder: Path) -> str:
    """Compute one checksum over the names and contents of all files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


def main() -> int:
    """Write the database once on all cores and once on one, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--specimens", type=int, default=100, help="default: %(default)s")
    options = parser.parse_args()
    rates, digests = [], []
    for workers in (cores(), 1):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            database = write_database(Path(folder) / "database", options.specimens, workers=workers)
            seconds = time.perf_counter() - start
            digests.append(digest(Path(folder) / "database"))
        rates.append(len(database) / seconds)
        print(
            f"{len(database)} images, {counted(workers, 'worker')}: {seconds:.1f} s, {rates[-1]:.1f} a second"
        )
    print("same bytes" if digests[0] == digests[1] else "the bytes differ")
    return 0 if rates[0] >= IMAGES_A_SECOND and digests[0] == digests[1] else 1


if __name__ == "__main__":
    sys.exit(main())
