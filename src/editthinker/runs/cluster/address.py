"""The cluster of a run: one that is there already, or one of our own that ends with the run.

In: `auto`, `local`, HOST:PORT or ray://HOST:PORT. Out: a connection for as long as it is needed. Whatever
else Ray would print, install or report home is turned off: the terminal and the signals belong to the run.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError, MissingExtra
from editthinker.runs.cluster.shares import Node

VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by itself one day; it warns until then
}


@contextmanager
def connected(address: str = "auto", *, cpus: int | None = None) -> Iterator[bool]:
    """Within it Ray can be used; yields whether the cluster is ours and so has what it will ever have.

    `cpus`: how many CPUs one of our own says it has, None for what the machine has. Raises `MissingExtra`,
    and `InputError` when nobody answers at the address.
    """
    if find_spec("ray") is None:
        raise MissingExtra("--engine ray", "ray")
    for variable, value in VARIABLES.items():
        os.environ.setdefault(variable, value)
    where = _found(address)
    if where is not None and _has_token():  # Ray looks for one by itself where it starts a cluster
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    if ray.is_initialized():
        yield False
        return
    handlers = _handlers()
    try:
        if where is None:
            ray.init("local", num_cpus=cpus, include_dashboard=False, **_quiet(ray))
        else:
            ray.init(where, **_quiet(ray))
    except (ConnectionError, OSError, RuntimeError, ValueError, ImportError) as error:
        ray.shutdown()
        told = f"there is no Ray cluster at {where}" if where else "Ray does not start here"
        raise InputError(f"{told}: {str(error).strip().splitlines()[0]}") from error
    finally:
        _restore(handlers)
    try:
        yield where is None
    finally:
        ray.shutdown()


def nodes() -> list[Node]:
    """Machines of the cluster that are up."""
    import ray

    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(each.get("CPU", 0.0), each.get("GPU", 0.0)) for each in resources]


def _has_token() -> bool:
    """Whether there is a token to show to the cluster (docs.ray.io, "Ray token authentication")."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return "RAY_AUTH_TOKEN" in os.environ or Path(named or Path.home() / ".ray" / "auth_token").is_file()


def _found(address: str) -> str | None:
    """Where to connect to; None: nowhere, start one."""
    if address == "local":
        return None
    if address != "auto":
        return address
    if named := os.environ.get("RAY_ADDRESS"):
        return named
    # Written by `ray start`, removed by `ray stop`. Clusters that end with somebody's program are not in it.
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    try:
        return note.read_text().strip() or None
    except OSError:
        return None


def _quiet(ray: Any) -> dict[str, Any]:
    # What went wrong on a node is printed on stdout, where a document of ours may be; no option prevents it.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    return {"log_to_driver": False, "logging_level": logging.ERROR}


def _handlers() -> dict[signal.Signals, Any]:
    """Ray puts a handler of its own in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
