"""Reading a database of AIDA's size, for the first time and again, against the limits that are set for it.

Limits: 2,080 images of 1,388 x 1,038 pixels (JPG, BMP and PNG in turn) are decoded into the store in less
than 4 minutes on 2 cores and in less than 2 GiB of memory, and are there again in less than 2 seconds.
The same limits of time hold for the whole command `hep2 data`, which decodes every image the first time, and
the next time none that has not changed; it has to say the same.

    python benchmarks/reading.py --images 200      a tenth of it; the limits are scaled down in proportion
    python benchmarks/reading.py                   the whole: about 4.2 GB of temporary files

Ends with code 1 if a limit was passed.
"""

import argparse
import csv
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from hep2lib.data.database import read_database
from hep2lib.data.images import load_images
from hep2lib.processes import cores
from hep2lib.progress import progress

AIDA = 2080
SECONDS, SECONDS_AGAIN, GIBIBYTES = 240.0, 2.0, 2.0
WIDTH, HEIGHT = 1388, 1038
SCENES = 12
WARM_CALLS = 3  # the lowest counts: other programs only add to it


def scene(seed: int) -> Image.Image:
    """Draw a field with some fifty discs and camera noise, which a PNG cannot compress away."""
    generator = np.random.default_rng(seed)
    light = Image.new("L", (WIDTH, HEIGHT), 12)
    for x, y, grey in generator.uniform((0, 0, 30), (WIDTH, HEIGHT, 160), (52, 3)):
        light.paste(int(grey), (int(x), int(y), int(x) + 105, int(y) + 95))
    green = np.asarray(light.filter(ImageFilter.GaussianBlur(6)), dtype=np.float32)
    noise = generator.normal(0, 2, (HEIGHT, WIDTH, 3)).astype(np.float32)
    colours = np.stack((0.1 * green, green, 0.15 * green), axis=-1) + noise
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def write_fields(folder: Path, images: int) -> None:
    """Write a manifest and its images; every twelfth is a copy, since writing is not what is measured."""
    scenes = [scene(seed) for seed in range(SCENES)]
    originals: dict[int, Path] = {}
    rows = []
    for number in progress(range(images), "writing images", unit="image"):
        path = folder / f"{number:04d}{('.jpg', '.bmp', '.png')[number % 3]}"
        kind = number % (3 * SCENES)
        if kind in originals:
            shutil.copyfile(originals[kind], path)
        else:
            scenes[number % SCENES].save(path, quality=90)
            originals[kind] = path
        rows.append((path.name, f"S{number // 2:04d}", "positive" if number // 2 % 4 else "negative"))
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("image", "specimen", "label"), *rows])


def described(root: Path) -> tuple[str, float]:
    """Call ``hep2 data`` with a cache beside the database: what it says, and seconds from start to end."""
    command = [sys.executable, "-m", "hep2lib", "data", str(root)]
    start = time.perf_counter()
    done = subprocess.run(
        command,
        env=os.environ | {"HEP2_CACHE": str(root.parent / "kept")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout, time.perf_counter() - start


def measure(root: Path, images: int) -> bool:
    """Read the database twice, print what it took, and say whether that is within the limits."""
    share = images / AIDA
    start = time.perf_counter()
    database = read_database(root)
    listed = time.perf_counter()
    first = load_images(database, cache=root.parent / "cache")
    decoded = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    again = time.perf_counter()
    second = load_images(database, cache=root.parent / "cache")
    found = time.perf_counter()
    if not bool((first[:: max(1, images // 50)] == second[:: max(1, images // 50)]).all()):
        raise SystemExit("the second call gave other images than the first")
    said, cold = described(root)
    calls = [described(root) for _ in range(WARM_CALLS)]
    if any(text != said for text, _ in calls):
        raise SystemExit("`hep2 data` said something else when it was called again")
    warm = min(seconds for _, seconds in calls)
    size = sum(path.stat().st_size for path in root.iterdir()) / 2**30
    print(f"{images:,} images of {WIDTH} x {HEIGHT}, {size:.2f} GiB, on {cores()} cores")
    limits = [
        ("check the table and the headers", listed - start, float("inf"), "s"),
        ("decode into the store", decoded - listed, SECONDS * share, "s"),
        ("find them in the store again", found - again, SECONDS_AGAIN, "s"),
        ("memory at its highest", memory, GIBIBYTES, "GiB"),
        ("`hep2 data`, the first time", cold, SECONDS * share, "s"),
        (f"`hep2 data` again, best of {WARM_CALLS}", warm, SECONDS_AGAIN, "s"),
    ]
    for name, value, limit, unit in limits:
        print(f"  {name:<34}{value:>8.2f} {unit:<4}" + (f"limit {limit:.1f}" if limit < float("inf") else ""))
    print(f"  `hep2 data` again takes {warm / cold:.1%} of the first time")
    return all(value < limit for _, value, limit, _ in limits)


def main() -> int:
    """Write the images to a temporary folder, measure, and clean up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=AIDA, help="how many images (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the temporary files go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder) / "fields"
        root.mkdir()
        write_fields(root, options.images)
        old = time.time() - 3600
        for path in root.iterdir():
            # Files written just now are not trusted to stay as they are; these are to look settled.
            os.utime(path, (old, old))
        return 0 if measure(root, options.images) else 1


if __name__ == "__main__":
    sys.exit(main())
