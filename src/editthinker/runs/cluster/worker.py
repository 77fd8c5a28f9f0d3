"""What runs in an actor of Ray: one model, built where it is needed, and calls to it.

In: a factory; then calls as bytes and pictures. Out: answers likewise, or a `Fault`; it never raises. The
model is built when somebody first asks, and again after a restart. Many calls may be under way at once, as
many as the pool of the driver lets in; cancelling one cancels it here.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

from editthinker.core.contracts import Comparer, Editor, EditorInfo, Judge, Planner, Priced, Thinker
from editthinker.core.images import Picture
from editthinker.runs.cluster.faults import Fault
from editthinker.runs.cluster.parcels import Facts, Parcel, afar, finished, packed, unpacked

VERBS = {Editor: "edit", Thinker: "think", Planner: "plan", Judge: "score", Comparer: "prefer"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""What numerical libraries read when they are loaded: without it each takes every core of the machine."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the driver must know of a model."""

    name: str
    price: float | None
    info: EditorInfo | None
    """Of an editor."""
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way."""

    body: bytes
    pictures: tuple[Parcel, ...]


def version() -> str:
    """Of this package, as installed here."""
    try:
        return metadata.version("editthinker")
    except metadata.PackageNotFoundError:
        return "unknown"


class Worker:
    """The actor."""

    def __init__(self, factory: Callable[[], object], folder: str, threads: int) -> None:
        """Nothing is built yet. `folder`: the driver's, where modules and files that names hold are found."""
        for variable in THREADS:
            os.environ[variable] = str(threads)
        if os.path.isdir(folder):  # noqa: PTH112 - a node need not have it
            os.chdir(folder)
        self._factory, self._folder = factory, folder
        self._model: Any = None
        self._threads = ThreadPoolExecutor(threads, "model")
        self._packing = ThreadPoolExecutor(1, "packing")
        self._building = asyncio.Lock()

    async def hello(self) -> dict[str, Any]:
        """Where this is, and what it runs; plain values, which every version understands."""
        return {"version": version(), "node": platform.node(), "pid": os.getpid()}

    async def facts(self) -> Model | Fault:
        """Build the model, and say what it is."""
        try:
            return _facts(await self._built())
        except Exception as error:  # noqa: BLE001 - a stranger's factory may raise anything; the driver judges
            return Fault.of(error)

    async def call(
        self, verb: str, body: bytes, far: dict[int, tuple[Facts, Any]], places: list[int], *near: Parcel
    ) -> Reply | Fault:
        """One call of the model. `near` pictures are here, at these places; `far` ones come on demand."""
        try:
            model = await self._built()
            loop = asyncio.get_running_loop()
            pictures = await loop.run_in_executor(self._packing, _opened, far, places, near)
            answer = await getattr(model, verb)(*unpacked(body, pictures))
            return await loop.run_in_executor(self._packing, _reply, answer)
        except Exception as error:  # noqa: BLE001 - a model may raise anything; the driver tells what it means
            return Fault.of(error)

    async def _built(self) -> Any:
        async with self._building:
            if self._model is None:
                if self._folder not in sys.path:  # last: a stray file must not stand in for a library
                    sys.path.append(self._folder)
                asyncio.get_running_loop().set_default_executor(self._threads)  # a call more is no CPU more
                self._model = await asyncio.to_thread(self._factory)
            return self._model


def _facts(model: Any) -> Model:
    info = model.info if isinstance(model, Editor) else None
    price = model.price if isinstance(model, Priced) else info.price if info else None
    verbs = tuple(verb for contract, verb in VERBS.items() if isinstance(model, contract))
    return Model(info.name if info else model.name, price, info, verbs)


def _opened(far: dict[int, tuple[Facts, Any]], places: list[int], near: tuple[Parcel, ...]) -> list[Picture]:
    found = dict(zip(places, (parcel.picture() for parcel in near), strict=True))
    found.update((place, afar(facts, partial(_fetched, ref))) for place, (facts, ref) in far.items())
    return [found[place] for place in range(len(found))]


def _fetched(ref: Any) -> bytes:
    import ray

    parcel: Parcel = ray.get(ref)
    return parcel.encoded


def _reply(answer: object) -> Reply:
    body, pictures = packed(answer)
    return Reply(body, tuple(map(finished, pictures)))
