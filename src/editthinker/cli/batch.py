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
from typing import Any

from editthinker import resolve
from editthinker.cli.crew import Tend, crew_of, role_of, working
from editthinker.cli.exits import Exit
from editthinker.cli.run import BatchOrder
from editthinker.cli.run_progress import Watch, tell_end, watch
from editthinker.cli.session import prompted
from editthinker.cli.terminal import inert, say
from editthinker.config import load
from editthinker.core import names
from editthinker.core.errors import InputError
from editthinker.core.estimate import estimate
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.records import editor_record
from editthinker.core.strategies import DEFAULT, SINGLE, strategy_named
from editthinker.runs.doors import Budget
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner
from editthinker.runs.samples import Entry, read

__all__ = ["crew_of", "play"]

INTERRUPTED = "interrupted"
_MOST_HASHED = 10 * 2**20


def play(
    order: BatchOrder, entries: Sequence[Entry] | None = None, binds: Mapping[str, Any] | None = None
) -> Exit:
    """Carry out an order. Raises `InputError`, `MissingExtra` or `StoreError` when it cannot be.

    `entries` stand in for those of the order's file; `binds` is what else must be as it was to go on.
    """
    strategy_named(order.strategy)
    samples = samples_at_a_time(order.concurrency)
    entries = read(order.samples, order.images)[: order.limit] if entries is None else entries
    called = named(order)
    listeners: list[Callable[[str], None]] = []

    def tell(sentence: str) -> None:
        for listener in listeners:
            listener(sentence)
        if not listeners and not order.quiet:
            say(sentence)

    with working(order, called, tell) as (crew, tend):
        orders = orders_of(order, crew, samples)
        if order.dry_run:
            return _foresee(order, entries, crew, orders)
        config = {**binding(order, orders, called), **(binds or {})}
        free = {
            "facts": facts(crew),
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
            asyncio.run(played(runner, view, tend))
    tell_end(runner, order, resume=again())
    if order.json:
        summary = {**runner.tally.document(), "run": str(order.run), "halted": runner.halted}
        print(json.dumps(summary, indent=2))
    if runner.halted == INTERRUPTED:
        return Exit.INTERRUPTED
    tally = runner.tally
    return Exit.DELIVERED if tally.endings["finished"] == tally.inputs else Exit.SOME_FAILED


async def played(runner: Runner, view: Watch, tend: Tend | None = None) -> None:
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
        beside = [asyncio.ensure_future(work()) for work in (view.follow, tend) if work is not None]
        try:
            await runner.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(warming, *beside, return_exceptions=True)


def _warm() -> None:
    """Load what the first calls would wait for while the samples are opened."""
    if "editthinker.wire.chat" in sys.modules:
        import_module("httpx2")


def again() -> str:
    """The command line that takes the run up."""
    return " ".join(["editthinker", *map(shlex.quote, sys.argv[1:])])


def samples_at_a_time(concurrency: str, option: str = "--concurrency") -> int | None:
    if concurrency == "auto":
        return None
    if not concurrency.isdigit() or int(concurrency) < 1:
        raise InputError(f"{option} takes a whole number of at least 1, or auto, not {concurrency!r}")
    return int(concurrency)


def named(order: BatchOrder) -> dict[str, list[str]]:
    """Every name by option; what was not said is as it would be for `edit`."""
    thinkers = order.thinkers or usual("thinker") or ["darkroom"]
    return {
        "editor": order.editors or usual("editor") or ["darkroom"],
        "thinker": [name for name in (prompted(name, order.prompt) for name in thinkers) if name != "none"],
        "judge": order.judges or usual("judge"),
        "compare": [order.compare] if order.compare else [],
        "also": list(order.also or ()),
    }


def usual(option: str) -> list[str]:
    """What a variable or the configuration files say."""
    if given := os.environ.get(f"EDITTHINKER_{option.upper()}"):
        return [given]
    value = load().defaults.get(option, (None, None))[0]
    return [value] if value else []


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
            meaning = resolve.understood(role_of(option), name)
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


def facts(crew: Crew) -> dict[str, Any]:
    """What the thinker is told of each editor, by its name."""
    infos = [editor.info for editor in (crew.editor, *crew.alternates)]
    return {info.name: editor_record(info).model_dump(mode="json") for info in infos}


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
    plan = foreseen(order, entries, crew, orders)
    if order.json:
        print(json.dumps(plan, indent=2))
        return Exit.DELIVERED
    print(f"samples:  {plan['usable']} of {len(entries)} can be used")
    for entry in [entry for entry in entries if entry.problem][:20]:
        print(inert(f"  {entry.id}: {entry.problem}"))
    for line in told_plan(plan):
        print(inert(line))
    say("nothing was called")
    return Exit.DELIVERED


def foreseen(order: BatchOrder, entries: Sequence[Entry], crew: Crew, orders: Orders) -> dict[str, Any]:
    """What would be called at most, and what that may cost, as JSON values."""
    number = sum(not entry.problem for entry in entries)
    editors = [editor.info for editor in (crew.editor, *crew.alternates)]
    each = estimate(orders.method, orders.limits, editors, crew.thinker, crew.judge, crew.comparer)
    return {
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


def told_plan(plan: Mapping[str, Any]) -> list[str]:
    """Calls and cost of a plan, for a person."""
    calls = [f"{plan[f'most_{role}_calls']} of the {role}" for role in ("editor", "thinker", "judge")]
    cost = "unknown" if plan["most_cost"] is None else f"at most ${plan['most_cost']:.2f}"
    unknown = plan["prices_unknown"]
    without = f", without a price of {', '.join(unknown)}" if unknown else ""
    return [
        f"calls:    at most {', '.join(calls)}, repeated ones not counted",
        f"cost:     {cost}{without}",
    ]
