"""Many samples from the command line to their ends: check, build, play, tell.

What can be refused is refused before the first call, and before anything is written.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from editthinker import resolve
from editthinker.cli import naming
from editthinker.cli.exits import Exit
from editthinker.cli.run import BatchOrder
from editthinker.cli.run_progress import Watch, tell_end, watch
from editthinker.cli.session import prompted
from editthinker.cli.terminal import inert, say
from editthinker.core import names
from editthinker.core.errors import InputError
from editthinker.core.estimate import estimate
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.strategies import DEFAULT, SINGLE, strategy_named
from editthinker.core.types import Role
from editthinker.runs.doors import Budget
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner
from editthinker.runs.samples import Entry, read
from editthinker.wire.pool import Pool
from editthinker.wire.pooled import PooledEditor, PooledJudge, pooled_thinker

Model = TypeVar("Model")
INTERRUPTED = "interrupted"
_MOST_HASHED = 10 * 2**20


def play(order: BatchOrder) -> Exit:
    """Carry out an order. Raises `InputError`, `MissingExtra` or `StoreError` when it cannot be."""
    strategy_named(order.strategy)
    samples = samples_at_a_time(order.concurrency)
    entries = read(order.samples, order.images)[: order.limit]
    called = named(order)
    listeners: list[Callable[[str], None]] = []

    def tell(sentence: str) -> None:
        for listener in listeners:
            listener(sentence)

    crew = crew_of(order, called, tell)
    orders = orders_of(order, crew, samples)
    if order.dry_run:
        return _foresee(order, entries, crew, orders)
    config = binding(order, orders, called)
    free = {
        "samples": str(order.samples.absolute()),
        "images": str(order.images.absolute()) if order.images else None,
        "retries": order.retries,
        "max_cost": order.run_cost,
        "max_editor_calls": order.run_editor_calls,
    }
    with taken_up(order.run, config, free, must_exist=order.resume) as folder:
        runner = Runner(folder, entries, crew, orders)
        view = watch(runner, quiet=order.quiet)
        listeners += [view.say, runner.tally.note]
        asyncio.run(played(runner, view))
    tell_end(runner, order, resume=again())
    if order.json:
        summary = {**runner.tally.document(), "run": str(order.run), "halted": runner.halted}
        print(json.dumps(summary, indent=2))
    if runner.halted == INTERRUPTED:
        return Exit.INTERRUPTED
    tally = runner.tally
    return Exit.DELIVERED if tally.endings["finished"] == tally.inputs else Exit.SOME_FAILED


async def played(runner: Runner, view: Watch) -> None:
    loop = asyncio.get_running_loop()
    asked = 0

    def leave() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            view.say("stopping: calls under way may end, for a few seconds; once more stops at once")
            runner.drain(INTERRUPTED)
        else:
            runner.stop(INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C then ends in KeyboardInterrupt
            loop.add_signal_handler(number, leave)
    with view.watching():
        warming = asyncio.create_task(asyncio.to_thread(_warm))
        watching = asyncio.create_task(view.follow())
        try:
            await runner.run()
        finally:
            watching.cancel()
            await asyncio.gather(warming, watching, return_exceptions=True)


def _warm() -> None:
    """Load what the first thinker's call would wait for while the first edits are made."""
    if "editthinker.wire.chat" in sys.modules:
        import_module("openai")


def again() -> str:
    """The command line that takes the run up."""
    return " ".join(["editthinker", *map(shlex.quote, sys.argv[1:])])


def samples_at_a_time(concurrency: str) -> int | None:
    if concurrency == "auto":
        return None
    if not concurrency.isdigit() or int(concurrency) < 1:
        raise InputError(f"--concurrency takes a whole number of at least 1, or auto, not {concurrency!r}")
    return int(concurrency)


def named(order: BatchOrder) -> dict[str, list[str]]:
    """Every name by option; what was not said is as it would be for `edit`."""
    thinkers = order.thinkers or _usual("thinker") or ["darkroom"]
    return {
        "editor": order.editors or _usual("editor") or ["darkroom"],
        "thinker": [name for name in (prompted(name, order.prompt) for name in thinkers) if name != "none"],
        "judge": order.judges or _usual("judge"),
        "compare": [order.compare] if order.compare else [],
        "also": list(order.also or ()),
    }


def _usual(option: str) -> list[str]:
    """What a variable or the configuration files say."""
    if given := os.environ.get(f"EDITTHINKER_{option.upper()}"):
        return [given]
    context = click.get_current_context(silent=True)
    config = context.find_root().obj if context else None
    if isinstance(config, Exception):
        raise config
    value = config.defaults.get(option, (None, None))[0] if config else None
    return [value] if value else []


def crew_of(
    order: BatchOrder, called: dict[str, list[str]], tell: Callable[[str], None] | None = None
) -> Crew:
    """Everybody, each role a pool even of one: it finds out how much a server takes, and waits for it.

    `tell` gets a sentence when all servers of a role are gone, and when one is back.
    """
    for option, listed in called.items():
        for name in listed:
            naming.look_here_too(_role(option), name)
        if len(set(listed)) < len(listed):
            raise InputError(f"the same {option} is named twice: {max(listed, key=listed.count)!r}")
    how: dict[str, Any] = {"patience": order.patience_seconds, "tell": tell}
    editors = {name: resolve.resolve_editor(name) for name in called["editor"]}
    thinkers = {name: member for name in called["thinker"] if (member := resolve.resolve_thinker(name))}
    judges = {name: resolve.resolve_judge(name) for name in called["judge"]}
    return Crew(
        editor=PooledEditor(Pool("editor", _shown(editors), **how)),
        thinker=pooled_thinker(Pool("thinker", _shown(thinkers), **how)) if thinkers else None,
        judge=PooledJudge(Pool("judge", _shown(judges), **how)) if judges else None,
        comparer=next(map(resolve.resolve_comparer, called["compare"]), None),
        alternates=tuple(map(resolve.resolve_editor, called["also"])),
    )


def _role(option: str) -> Role:
    roles: dict[str, Role] = {"editor": "editor", "also": "editor", "thinker": "thinker"}
    return roles.get(option, "judge")


def _shown(members: Mapping[str, Model]) -> dict[str, Model]:
    """By the names that records and messages may hold."""
    return {names.recorded(name): member for name, member in members.items()}


def orders_of(order: BatchOrder, crew: Crew, samples: int | None) -> Orders:
    alone = crew.thinker is None and order.strategy == DEFAULT
    return Orders(
        method=Method(
            strategy=SINGLE if alone else order.strategy,
            policy=order.policy,
            candidates=order.candidates,
            stack=order.stack,
            paste_back=order.paste_back,
        ),
        limits=Limits(
            turns=order.turns,
            patience=order.plateau,
            retries=order.retries,
            semantic=order.threshold if order.semantic is None else order.semantic,
            quality=order.threshold if order.quality is None else order.quality,
        ),
        seed=order.seed,
        budget=Budget(editor_calls=order.run_editor_calls, cost=order.run_cost, seconds=order.run_seconds),
        samples=samples,
        fail_fast=order.fail_fast,
        retry_failed=order.retry_failed,
        out=order.out,
    )


def binding(order: BatchOrder, orders: Orders, called: dict[str, list[str]]) -> dict[str, Any]:
    """What binds a run, for its folder: models by name, no secret, and the content of files they name."""
    means: dict[str, str] = {}
    files: dict[str, str] = {}
    for option, listed in called.items():
        for name in listed:
            meaning = resolve.understood(_role(option), name)
            if meaning.where:
                means[names.recorded(name)] = meaning.spelled
            for value in (*meaning.given.values(), meaning.what.rpartition("#")[2]):
                if digest := _digest(str(value)):
                    files[str(value)] = digest
    limits, method = orders.limits, orders.method
    return {
        "verb": "run",
        **{option: [names.recorded(name) for name in listed] for option, listed in called.items()},
        "means": means,
        "files": files,
        "strategy": method.strategy,
        "policy": method.policy,
        "candidates": method.candidates,
        "stack": method.stack,
        "paste_back": method.paste_back,
        "turns": limits.turns,
        "semantic": limits.semantic,
        "quality": limits.quality,
        "plateau": limits.patience,
        "seed": orders.seed,
    }


def _digest(name: str) -> str:
    """Of the content, when this is the name of a file of sensible size; a prompt, a workflow."""
    path = Path(name).expanduser()
    try:
        if not path.is_file() or path.stat().st_size > _MOST_HASHED:
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return ""


def _foresee(order: BatchOrder, entries: Sequence[Entry], crew: Crew, orders: Orders) -> Exit:
    """Say what would be done and what it may cost; nothing is called, nothing is written."""
    usable = [entry for entry in entries if not entry.problem]
    editors = [editor.info for editor in (crew.editor, *crew.alternates)]
    each = estimate(orders.method, orders.limits, editors, crew.thinker, crew.judge, crew.comparer)
    number = len(usable)
    plan = {
        "schema_version": 1,
        "samples": len(entries),
        "usable": number,
        "unusable": {entry.id: entry.problem for entry in entries if entry.problem},
        "most_editor_calls": each.editor_calls * number,
        "most_thinker_calls": each.thinker_calls * number,
        "most_judge_calls": each.judge_calls * number,
        "most_cost": None if each.cost is None else each.cost * number,
        "prices_unknown": list(each.unknown),
        "max_cost": order.run_cost,
    }
    if order.json:
        print(json.dumps(plan, indent=2))
        return Exit.DELIVERED
    print(f"samples:  {number} of {len(entries)} can be used")
    for entry in [entry for entry in entries if entry.problem][:20]:
        print(inert(f"  {entry.id}: {entry.problem}"))
    calls = [f"{plan[f'most_{role}_calls']} of the {role}" for role in ("editor", "thinker", "judge")]
    print(f"calls:    at most {', '.join(calls)}, repeated ones not counted")
    cost = f"at most ${plan['most_cost']:.2f}" if each.cost is not None else "unknown"
    without = f", without a price of {', '.join(each.unknown)}" if each.unknown else ""
    print(inert(f"cost:     {cost}{without}"))
    say("nothing was called")
    return Exit.DELIVERED
