"""Who works on a run: names become models, here or held by workers of a Ray cluster, and these pools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from editthinker import resolve
from editthinker.cli import naming
from editthinker.core import names
from editthinker.core.errors import InputError
from editthinker.core.types import Role
from editthinker.runs.orders import Crew
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledComparer, PooledEditor, PooledJudge, pooled_thinker

if TYPE_CHECKING:
    from editthinker.cli.run import BatchOrder

Tend = Callable[[], Awaitable[None]]
"""Keeps the pools as the workers are, until cancelled; runs beside the runner."""
Held = Mapping[tuple[str, str], Mapping[str, Any]]
"""By option and name: the workers that hold it, by theirs."""

OPTIONS: dict[str, tuple[Role, str, Callable[..., Any]]] = {
    "editor": ("editor", "edit", resolve.resolve_editor),
    "thinker": ("thinker", "think", resolve.resolve_thinker),
    "judge": ("judge", "score", resolve.resolve_judge),
    "compare": ("judge", "prefer", resolve.resolve_comparer),
    "also": ("editor", "edit", resolve.resolve_editor),
}
"""What a model named by an option is, what it is asked, and who builds it."""


def role_of(option: str) -> Role:
    """The role of the models that an option names."""
    return OPTIONS[option][0]


@contextmanager
def working(
    order: BatchOrder, called: dict[str, list[str]], tell: Callable[[str], None]
) -> Iterator[tuple[Crew, Tend | None]]:
    """Everybody, as long as they are needed. Raises `InputError` or `MissingExtra`.

    `tell` gets a sentence when all members of a role are gone, when one is back, and about workers.
    """
    if order.engine not in ("local", "ray"):
        raise InputError(f"--engine takes local or ray, not {order.engine!r}")
    if order.engine == "local" and (order.workers, order.gpus, order.address) != ("auto",) * 3:
        raise InputError("--workers, --gpus and --address go with --engine ray")
    if order.engine == "local" or order.dry_run:
        yield crew_of(order, called, tell), None
        return
    _check(called)
    from editthinker.runs import cluster

    asked = cluster.Asked.read(order.workers, order.gpus)
    posts = _posts(called)
    places, models = list(posts), list(posts.values())
    tickets = asked.tickets([post.role for post in models])
    with cluster.connected(order.address, cpus=tickets) as own:
        staff = cluster.Staff(models, asked, tell)
        try:
            members = staff.begin(order.patience_seconds, grows=not own)
            crew = crew_of(order, called, tell, dict(zip(places, members, strict=True)))
            yield crew, partial(staff.tend, [_pool(crew, called, *place) for place in places])
        finally:
            staff.close()


def crew_of(
    order: BatchOrder,
    called: dict[str, list[str]],
    tell: Callable[[str], None] | None = None,
    held: Held | None = None,
) -> Crew:
    """Everybody, each role a pool even of one: it finds out how much a server takes, and waits for it."""
    _check(called)
    if order.hedge and (order.run_editor_calls is not None or order.run_cost is not None):
        raise InputError(
            "--hedge asks twice at times, which --max-editor-calls and --max-cost could not hold back;"
            " leave one of them out"
        )
    how: dict[str, Any] = {"patience": order.patience_seconds, "tell": tell, "hedge": order.hedge}

    def members(option: str, names_: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names_:
            there = (held or {}).get((option, name))
            found.update(there or {names.recorded(name): OPTIONS[option][2](name)})
        return found

    def apart(option: str, pooled: Callable[[Pool[Any]], Any]) -> Iterator[Any]:
        """Each of the option's models for itself; a pool only where several workers hold it."""
        for name in called[option]:
            there = members(option, [name])
            is_held = held and (option, name) in held
            yield pooled(Pool(role_of(option), there, **how)) if is_held else next(iter(there.values()))

    editors, thinkers, judges = (members(option, called[option]) for option in ("editor", "thinker", "judge"))
    return Crew(
        editor=PooledEditor(Pool("editor", editors, **how)),
        thinker=pooled_thinker(Pool("thinker", thinkers, **how)) if thinkers else None,
        judge=PooledJudge(Pool("judge", judges, **how)) if judges else None,
        comparer=next(apart("compare", PooledComparer), None),
        alternates=tuple(apart("also", PooledEditor)),
    )


def _check(called: dict[str, list[str]]) -> None:
    """Raises `InputError` when a name is given twice."""
    for option, listed in called.items():
        for name in listed:
            naming.look_here_too(role_of(option), name)
        if len(set(listed)) < len(listed):
            raise InputError(f"the same {option} is named twice: {max(listed, key=listed.count)!r}")


def _posts(called: dict[str, list[str]]) -> dict[tuple[str, str], Any]:
    """What workers are to hold. The rest is called over a network, and a worker between would only copy."""
    from editthinker.config import Config
    from editthinker.resolve.holding import runs_here, spelled_out, wants_gpu
    from editthinker.runs.cluster import Post

    posts = {}
    for option, listed in called.items():
        role, verb, build = OPTIONS[option]
        for name in listed:
            if runs_here(role, name):
                # Without the files of whichever machine it is built on: the name says everything.
                factory = partial(build, spelled_out(role, name), Config())
                shown = names.recorded(name)
                posts[option, name] = Post(
                    role=role, verb=verb, name=shown, factory=factory, heavy=wants_gpu(role, name)
                )
    if not posts:
        raise InputError("every model of this run is called over a network; --engine ray has none to hold")
    return posts


def _pool(crew: Crew, called: dict[str, list[str]], option: str, name: str) -> Pool[Any]:
    """The pool that the workers of a name belong to."""
    models: dict[str, Any] = {
        "editor": crew.editor,
        "thinker": crew.thinker,
        "judge": crew.judge,
        "compare": crew.comparer,
        "also": crew.alternates[called["also"].index(name)] if option == "also" else None,
    }
    pool: Pool[Any] = models[option].pool
    return pool
