"""Executing a run: the studies first, with their progress bars, then the notebooks that show them."""

import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from hep2lib.files import cores, write_json
from hep2lib.progress import progress
from hep2lib.runs.notebooks import PAGES, execute
from hep2lib.runs.run import Run
from hep2lib.studies.execution import close_pools


def page_values(run: Run) -> dict[str, object]:
    """Values of the parameters that every notebook of the book has, so that it finds this run."""
    p = run.parameters
    return {
        "run_folder": str(run.folder),
        "profile": p.profile,
        "data": p.data,
        "weights": p.weights,
        "seed": p.seed,
    }


def execute_run(run: Run) -> None:
    """Run both studies and all notebooks, and write ``run.json``.

    Results that the run has already are not computed again; the notebooks are always executed.

    Args:
        run: an open run.

    Raises:
        InputError: if the database, the weights or the folder cannot be used.
        RunError: if a notebook fails.
    """
    seconds = {}
    for name in ("images", "folds", "fine_tuning", "batchnorm", "svm", "svm_variants"):
        start = time.perf_counter()
        getattr(run, name)
        seconds[name.replace("_", "-")] = time.perf_counter() - start
    close_pools()
    seconds |= _execute_pages(run)
    write_json(run.folder / "run.json", run.describe(seconds))


def _execute_pages(run: Run) -> dict[str, float]:
    """Execute all notebooks, two at a time: most of a notebook's time is one core's, spent on starting."""

    def timed(page: str) -> tuple[str, float]:
        start = time.perf_counter()
        execute(page, run.folder, page_values(run))
        return page, time.perf_counter() - start

    with ThreadPoolExecutor(min(2, cores())) as pool:
        pages = [pool.submit(timed, page) for page in PAGES]
        try:
            done = progress(as_completed(pages), "notebooks", total=len(pages), unit="notebook")
            seconds = dict(future.result() for future in done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {page: seconds[page] for page in PAGES}
