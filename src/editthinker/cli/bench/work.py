"""A benchmark from the command line to its tables: load, edit, judge, score; each step is taken up again.

What can be refused is refused before the first call, and before anything is written.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from editthinker import resolve
from editthinker.benchmarks import evaluation
from editthinker.benchmarks.evaluation import Asker, Edited, Ended, Evaluation
from editthinker.benchmarks.judged import About, Judged
from editthinker.benchmarks.known import benchmark_named, options_of
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.suite import Benchmark, Case
from editthinker.cli import batch, naming
from editthinker.cli.bench import tables
from editthinker.cli.bench.suites import ImportOrder, JudgeOrder, SuiteOrder
from editthinker.cli.exits import Exit
from editthinker.cli.run import BatchOrder
from editthinker.cli.run_progress import tell_end, watch
from editthinker.cli.terminal import inert, say
from editthinker.core import names
from editthinker.core.contracts import Priced
from editthinker.core.errors import ImageError, InputError
from editthinker.core.estimate import Estimate, estimate
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner

MOST_TOLD = 20
"""Failures that are told one by one."""
LINE_SECONDS = 10.0
OF_CONNECTION = ("base_url", "key", "timeout", "cache", "price_in", "price_out", "reasks")
"""Settings of a judge that do not change what it says."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be judged, by whom."""

    benchmark: Benchmark
    cases: tuple[Case, ...]
    prompts: Prompts
    judge: Asker
    called: str
    """The judge as the store knows it."""
    about: About


def play(suite: str, options: Mapping[str, Any], order: SuiteOrder) -> Exit:
    """Run a benchmark, judge it, print its tables. Raises `InputError`, `MissingExtra` or `StoreError`."""
    task = _task(suite, options, order, every_turn=order.every_turn)
    asked = _batch_order(order)
    called = batch.named(asked)
    told: list[Callable[[str], None]] = []

    def tell(sentence: str) -> None:
        for one in told:
            one(sentence)

    crew = batch.crew_of(asked, called, tell)
    orders = batch.orders_of(asked, crew, batch.samples_at_a_time(order.concurrency))
    if order.dry_run:
        return _foresee(task, order, crew, orders)
    config = {**batch.binding(asked, orders, called), "verb": "bench", "benchmark": suite, "options": options}
    with taken_up(order.run, config, _free(order), must_exist=False) as folder:
        runner = Runner(folder, [case.entry for case in task.cases], crew, orders)
        view = watch(runner, quiet=order.quiet)
        told += [view.say, runner.tally.note]
        asyncio.run(batch.played(runner, view))
        if runner.halted:
            tell_end(runner, asked, resume=batch.again())
            return Exit.INTERRUPTED if runner.halted == batch.INTERRUPTED else Exit.SOME_FAILED
        for failed in runner.tally.failures[:MOST_TOLD]:
            say(f"{failed.id}: {failed.ending} ({failed.blame}): {failed.message}")
        images = list(evaluation.of_run(folder, task.cases, every_turn=order.every_turn))
        ended = _judge(task, order, images, spent=runner.tally.cost)
    exit_code = _tell(task, ended, order)
    unfinished = runner.tally.endings["finished"] < runner.tally.inputs
    return Exit.SOME_FAILED if unfinished and exit_code is Exit.DELIVERED else exit_code


def take_in(order: ImportOrder, options: Mapping[str, Any]) -> Exit:
    """Judge somebody else's results. Raises as `play` does."""
    task = _task(order.suite, options, order)
    images = evaluation.of_results(task.benchmark, task.cases, order.results)
    say(f"{len(images)} of {len(task.cases)} samples have an image; the others count as missing")
    if order.dry_run:
        number = sum(len(_calls(task, one.case, one)) for one in images)
        return _print_plan(_plan(task, order, number, None), order)
    config = {
        "verb": "bench import",
        "benchmark": order.suite,
        "options": dict(options),
        "results": str(order.results.absolute()),
    }
    with taken_up(order.run, config, _free(order), must_exist=False):
        ended = _judge(task, order, images)
    return _tell(task, ended, order)


def _task(suite: str, options: Mapping[str, Any], order: JudgeOrder, *, every_turn: bool = False) -> Task:
    benchmark = benchmark_named(suite, options)
    everything = benchmark.load(order.data)
    cases = everything[: order.limit]
    prompts = _prompts(benchmark, order)
    naming.look_here_too("judge", order.judge)
    about = About(
        suite,
        options_of(benchmark),
        len(everything),
        prompts.origin,
        prompts.sha256,
        prompts.differences,
        every_turn,
    )
    judge: Asker = resolve.resolve_asker(order.judge)
    return Task(benchmark, cases, prompts, judge, judge_id(order.judge), about)


def _prompts(benchmark: Benchmark, order: JudgeOrder) -> Prompts:
    if order.prompts == "ours":
        return benchmark.prompts(None)
    if order.prompts:
        return benchmark.prompts(Path(order.prompts))
    try:
        return benchmark.prompts(order.data)
    except InputError as error:
        raise InputError(
            f"{error}; --prompts names the checkout that has the judge prompts, --prompts ours does without"
        ) from None


def judge_id(name: str) -> str:
    """A judge's name as far as it says who judges, without where that is."""
    meaning = resolve.understood("judge", name)
    called = f"{meaning.model.name}:{meaning.what}" if meaning.what else meaning.model.name
    given = {key: value for key, value in meaning.given.items() if key not in OF_CONNECTION}
    return names.put_together(called, given)


def _batch_order(order: SuiteOrder) -> BatchOrder:
    same = [one.name for one in fields(BatchOrder) if one.name in {mine.name for mine in fields(order)}]
    said = {name: getattr(order, name) for name in same}
    return BatchOrder(samples=order.data, run_cost=order.max_cost, **said)


def _free(order: JudgeOrder) -> dict[str, Any]:
    """What does not bind a run."""
    return {
        "data": str(order.data.absolute()),
        "prompts": order.prompts,
        "judge": names.recorded(order.judge),
        "limit": order.limit,
        "max_cost": order.max_cost,
    }


# --- judging ---


def _judge(task: Task, order: JudgeOrder, images: Sequence[Edited], *, spent: float = 0.0) -> Ended:
    """Ask what has no answer yet, with the money that is left after what was `spent` on the images."""
    with Judged(order.run, write=True) as store:
        left = None if order.max_cost is None else order.max_cost - spent - store.spent(task.called)[1]
        return asyncio.run(_judged(task, order, images, store, left))


async def _judged(
    task: Task, order: JudgeOrder, images: Sequence[Edited], store: Judged, max_cost: float | None
) -> Ended:
    asking = Evaluation(
        task.benchmark,
        task.prompts,
        task.judge,
        store,
        task.called,
        at_a_time=order.judge_concurrency,
        reasks=order.reasks,
        retries=order.retries,
        max_cost=max_cost,
    )
    work = asyncio.ensure_future(asking.run(task.about, task.cases, images))
    _stop_on_signals(asking, work.cancel)
    watching = asyncio.create_task(_follow(asking.ended, quiet=order.quiet))
    try:
        return await work
    except asyncio.CancelledError:
        if not asking.ended.halted:
            raise
        return asking.ended
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _stop_on_signals(asking: Evaluation, cancel: Callable[[], object]) -> None:
    def leave() -> None:
        if asking.ended.halted:
            cancel()
        asking.stop(batch.INTERRUPTED)

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C then ends in KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, leave)


async def _follow(ended: Ended, *, quiet: bool) -> None:
    while not quiet:
        await asyncio.sleep(LINE_SECONDS)
        failed = f", {len(ended.failed)} failed" * bool(ended.failed)
        say(f"judge: {ended.answered} of {ended.questions} questions answered{failed}")


def _tell(task: Task, ended: Ended, order: JudgeOrder) -> Exit:
    """Say how judging ended, print what is known; what is missing stands in the tables."""
    for case, problem in list(ended.problems.items())[:MOST_TOLD]:
        say(f"{case}: counts as missing: {problem}")
    for question, problem in list(ended.failed.items())[:MOST_TOLD]:
        say(f"{question}: not judged: {problem}")
    if ended.halted:
        say(f"stopped: {ended.halted}")
    if not ended.complete:
        say(f"{ended.questions - ended.answered} of {ended.questions} questions have no answer")
        say(f"resume: {batch.again()}")
    if not order.quiet:
        cost = f", ${ended.cost:.4f}" * bool(ended.cost)
        say(f"judge: {ended.calls} calls{cost}; {ended.kept} questions were answered before")
    if ended.halted == batch.INTERRUPTED:
        return Exit.INTERRUPTED
    tables.print_scores(
        order.run, order.rules, judge=task.called, json_wanted=order.json, markdown=order.markdown
    )
    return Exit.DELIVERED if ended.complete else Exit.SOME_FAILED


# --- before anything is sent ---


def _calls(task: Task, case: Case, image: Edited) -> Sequence[Any]:
    try:
        return () if case.problem else task.benchmark.judge_calls(case, image.image, task.prompts)
    except ImageError:
        return ()


def _foresee(task: Task, order: SuiteOrder, crew: Crew, orders: Orders) -> Exit:
    usable = [case for case in task.cases if not case.problem]
    each = estimate(orders.method, orders.limits, [crew.editor.info], crew.thinker)
    turns = each.editor_calls if order.every_turn else 1
    judged = sum(len(_calls(task, case, Edited(case, case.images[0]))) for case in usable) * turns
    return _print_plan(_plan(task, order, judged, each), order)


def _plan(task: Task, order: JudgeOrder, judged: int, each: Estimate | None) -> dict[str, Any]:
    """What would be called at most, and what that costs; repeated calls are not counted."""
    usable = [case for case in task.cases if not case.problem]
    number = len(usable)
    price = task.judge.price if isinstance(task.judge, Priced) else None
    unknown = [*(each.unknown if each else ()), *([task.called] if price is None and judged else [])]
    run = 0.0 if each is None else each.cost
    known = None if price is None or run is None else run * number + price * judged
    return {
        "schema_version": 1,
        "benchmark": task.about.benchmark,
        "samples": len(task.cases),
        "of": task.about.cases,
        "usable": number,
        "unusable": {case.id: case.problem for case in task.cases if case.problem},
        "most_editor_calls": each.editor_calls * number if each else 0,
        "most_thinker_calls": each.thinker_calls * number if each else 0,
        "most_judge_calls": judged,
        "most_cost": known,
        "prices_unknown": unknown,
        "max_cost": order.max_cost,
        "official_prompts": task.prompts.official,
        "differences": list(task.prompts.differences),
    }


def _print_plan(plan: dict[str, Any], order: JudgeOrder) -> Exit:
    if order.json:
        print(json.dumps(plan, indent=2))
        return Exit.DELIVERED
    print(f"samples:  {plan['usable']} of {plan['samples']} can be used; the data has {plan['of']}")
    for case, problem in list(plan["unusable"].items())[:MOST_TOLD]:
        print(inert(f"  {case}: {problem}"))
    calls = [f"{plan[f'most_{role}_calls']} of the {role}" for role in ("editor", "thinker", "judge")]
    print(f"calls:    at most {', '.join(calls)}, repeated ones not counted")
    cost = "unknown" if plan["most_cost"] is None else f"at most ${plan['most_cost']:.2f}"
    without = f", without a price of {', '.join(plan['prices_unknown'])}" * bool(plan["prices_unknown"])
    print(inert(f"cost:     {cost}{without}"))
    print(f"prompts:  {'official' if plan['official_prompts'] else 'not comparable with published figures'}")
    for difference in plan["differences"][:MOST_TOLD]:
        print(inert(f"  {difference}"))
    say("nothing was called")
    return Exit.DELIVERED
