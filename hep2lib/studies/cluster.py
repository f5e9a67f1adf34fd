"""Trials on a Dask cluster, through the same ``concurrent.futures`` interface as on one machine."""

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hep2lib.errors import InputError

RETRIES = 2  # of a trial that failed


class ClusterError(InputError):
    """A cluster that cannot be used."""


@contextmanager
def cluster_executor(scheduler: str, local: int, shared: Path, *, timeout: float = 10) -> Iterator[Executor]:
    """An executor on a Dask scheduler's workers, or on some that are started here.

    Dask gives the trial of a worker that died to another one, so a death costs a trial's time. The workers
    read images, weights and activations from the run's folder, and send back scores alone: the folder must
    be on a file system that all of them see under the same path. Each worker should have one thread
    (``dask worker --nthreads 1``): a trial takes one core.

    Args:
        scheduler: its address, for example ``tcp://10.0.0.5:8786``; "" starts a cluster on this machine.
        local: number of workers to start, where there is no scheduler.
        shared: a folder that every worker must see.
        timeout: seconds after which a silent scheduler counts as none.

    Raises:
        ClusterError: if Dask is missing, no scheduler answers, there are no workers, or one of them does not
            see the folder or cannot import this package.
    """
    if find_spec("distributed") is None:
        raise ClusterError("Dask is not installed here; install it with: pip install 'hep2lib[cluster]'")
    from distributed import Client, KilledWorker, LocalCluster

    if scheduler and local:
        raise ClusterError("a scheduler's address and a local cluster were given; choose one of them")
    with _client(Client, LocalCluster, scheduler, local, timeout) as client:
        check_workers(client, shared)
        executor = client.get_executor(pure=False, retries=RETRIES)
        try:
            yield executor
        except KilledWorker as error:
            raise ClusterError(
                f"trial after trial, workers died ({error}); look into their logs: too little memory is the "
                "usual reason. What was computed is kept"
            ) from None
        except CancelledError:
            raise ClusterError(
                f"the scheduler at {client.scheduler.address} is gone; start it again, then the study: what "
                "was computed is kept"
            ) from None
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _client(client: Any, local_cluster: Any, scheduler: str, local: int, timeout: float) -> Iterator[Any]:
    if scheduler:
        try:
            opened = client(scheduler, timeout=timeout)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {scheduler!r} ({error}); start one with `dask scheduler`"
            ) from None
        with opened:
            yield opened
        return
    with (
        local_cluster(
            n_workers=local, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        ) as cluster,
        client(cluster) as opened,
    ):
        yield opened


def check_workers(client: Any, shared: Path) -> None:
    """Refuse a cluster without workers, or with one that does not see the folder."""
    shared.mkdir(parents=True, exist_ok=True)
    try:
        client.wait_for_workers(1, timeout=30)
    except TimeoutError:
        raise ClusterError(
            f"the scheduler at {client.scheduler.address} has no workers; start some with `dask worker`"
        ) from None
    try:
        seen = client.run(sees, str(shared))
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker lacks a package ({error}); install hep2lib where it runs") from None
    blind = [address for address, answer in seen.items() if not answer]
    if blind:
        raise ClusterError(
            f"{shared}: not seen by the worker at {blind[0]}; choose a run folder on a file system that all "
            "workers share under the same path"
        )


def sees(folder: str) -> bool:
    """Whether a folder is there, as seen from where this runs."""
    return Path(folder).is_dir()
