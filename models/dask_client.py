"""A connection to a Dask cluster that somebody runs."""

from __future__ import annotations

from typing import Any

_CONNECT_SECONDS = 20


class ClusterError(RuntimeError):
    """The Dask cluster cannot be reached, or lost what it was given."""

    exit_code = 1


def connect(scheduler: str, *, default: bool) -> Any:
    """A client of a cluster that has workers; close it, such as by ``with``.

    Args:
        scheduler: its address, such as ``tcp://host:8786``.
        default: whether whatever Dask computes from here on is computed there.

    Raises:
        ClusterError: no scheduler there, or one without workers.
    """
    from distributed import Client  # noqa: PLC0415  (only where a cluster is used)

    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=default)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"there is no Dask scheduler at {scheduler}: {error}; start one first") from error
    try:
        client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
    except TimeoutError as error:
        client.close()
        message = f"the scheduler at {scheduler} has no workers; start some: dask worker {scheduler}"
        raise ClusterError(message) from error
    return client
