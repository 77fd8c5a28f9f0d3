"""A benchmark from the command line to its tables: load, edit, judge, score; each step is taken up again.

What can be refused is refused before the first call, and before anything is written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from editthinker.benchmarks import evaluation
from editthinker.benchmarks.evaluation import Asker, Edited, Ended, Evaluation
from editthinker.benchmarks.judged import About, Judged
from editthinker.benchmarks.known import benchmark_named, options_of
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.suite import Benchmark, Case
from editthinker.cli import batch
from editthinker.cli.bench import configured, judging, keeping, tables
from editthinker.cli.bench.suites import ImportOrder, JudgeOrder, SuiteOrder
from editthinker.cli.exits import Exit
from editthinker.cli.run import BatchOrder
from editthinker.cli.run_progress import tell_end, watch
from editthinker.cli.terminal import inert, say
from editthinker.core import names
from editthinker.core.contracts import Priced
from editthinker.core.errors import ImageError, InputError
from editthinker.core.estimate import Estimate, estimate
from editthinker.runs.folder import RunFolder, new_place
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner

MOST_TOLD = 20
"""Failures that are told one by one."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be judged, by whom, and where it lies."""

    data: Path
    run: Path
    benchmark: Benchmark
    cases: tuple[Case, ...]
    prompts: Prompts
    judge: Asker
    judges: list[str]
    """Its names, as they were said."""
    called: str
    """The judge as the store knows it."""
    about: About


def play(suite: str, options: Mapping[str, Any], order: SuiteOrder) -> Exit:
    """Run a benchmark, judge it, print its tables. Raises `InputError`, `MissingExtra` or `StoreError`."""
    run = order.run or configured.usual(suite, "run") or new_place().parent / suite
    task = _task(suite, options, order, Path(run), every_turn=order.every_turn)
    asked = _batch_order(order, task)
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
    with taken_up(task.run, config, _free(order, task), must_exist=False) as folder:
        runner = Runner(folder, [case.entry for case in task.cases], crew, orders)
        view = watch(runner, quiet=order.quiet)
        told += [view.say, runner.tally.note]
        asyncio.run(batch.played(runner, view))
        if runner.halted:
            tell_end(runner, asked, resume=batch.again())
            return Exit.INTERRUPTED if runner.halted == batch.INTERRUPTED else Exit.SOME_FAILED
        failures = runner.tally.failures
        _list({one.id: f"{one.ending} ({one.blame}): {one.message}" for one in failures})
        images = list(evaluation.of_run(folder, task.cases, every_turn=order.every_turn))
        ended = _judge(task, order, folder, images, spent=runner.tally.cost)
        _measure(task, order, images, ended)
    exit_code = _tell(task, ended, order)
    unfinished = runner.tally.endings["finished"] < runner.tally.inputs
    return Exit.SOME_FAILED if unfinished and exit_code is Exit.DELIVERED else exit_code


def take_in(order: ImportOrder, options: Mapping[str, Any]) -> Exit:
    """Judge somebody else's results. Raises as `play` does."""
    run = configured.folder(order.suite, "run", order.run, "the folder that keeps the marks")
    task = _task(order.suite, options, order, run)
    images = evaluation.of_results(task.benchmark, task.cases, order.results)
    found = {one.case.id for one in images}
    lost = [case for case in task.cases if case.id not in found]
    _list({case.id: case.problem or f"no {task.benchmark.where(case).edited}" for case in lost})
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
    with taken_up(task.run, config, _free(order, task), must_exist=False) as folder:
        ended = _judge(task, order, folder, images)
        _measure(task, order, images, ended)
    return _tell(task, ended, order)


def _task(
    suite: str, options: Mapping[str, Any], order: JudgeOrder, run: Path, *, every_turn: bool = False
) -> Task:
    data = configured.folder(suite, "data", order.data, "the benchmark's data")
    judges = configured.judges(suite, order.judge)
    benchmark = benchmark_named(suite, options)
    everything = benchmark.load(data)
    cases = everything[: order.limit]
    prompts = _prompts(benchmark, order.prompts or configured.usual(suite, "prompts") or "", data)
    about = About(
        suite,
        options_of(benchmark),
        len(everything),
        prompts.origin,
        prompts.sha256,
        prompts.differences,
        prompts.unverified,
        prompts.source,
        every_turn,
    )
    most = batch.samples_at_a_time(order.judge_concurrency, "--judge-concurrency")
    judge, called = judging.asker_of(judges, order.patience_seconds, most)
    return Task(data, run, benchmark, cases, prompts, judge, judges, called, about)


def _prompts(benchmark: Benchmark, place: str, data: Path) -> Prompts:
    if place == "ours":
        return benchmark.prompts(None)
    if place:
        return benchmark.prompts(Path(place))
    try:
        return benchmark.prompts(data)
    except InputError as error:
        raise InputError(
            f"{error}; --prompts names the checkout that has the judge prompts, --prompts ours does without"
        ) from None


def _batch_order(order: SuiteOrder, task: Task) -> BatchOrder:
    same = {one.name for one in fields(BatchOrder)} & {one.name for one in fields(order)}
    said = {name: getattr(order, name) for name in same - {"run"}}
    return BatchOrder(samples=task.data, run=task.run, run_cost=order.max_cost, **said)


def _free(order: JudgeOrder, task: Task) -> dict[str, Any]:
    """What does not bind a run."""
    return {
        "data": str(task.data.absolute()),
        "prompts": task.prompts.origin or "ours",
        "judge": [names.recorded(name) for name in task.judges],
        "limit": order.limit,
        "max_cost": order.max_cost,
    }


# --- judging ---


def _judge(
    task: Task, order: JudgeOrder, folder: RunFolder, images: Sequence[Edited], *, spent: float = 0.0
) -> Ended:
    """Ask what has no answer yet, with the money that is left after what was `spent` on the images."""
    with Judged(task.run, write=True) as store:
        left = None if order.max_cost is None else order.max_cost - spent - store.spent(task.called)[1]
        return asyncio.run(_judged(task, order, folder, images, store, left))


async def _judged(
    task: Task,
    order: JudgeOrder,
    folder: RunFolder,
    images: Sequence[Edited],
    store: Judged,
    max_cost: float | None,
) -> Ended:
    asking = Evaluation(
        task.benchmark,
        task.prompts,
        task.judge,
        store,
        task.called,
        at_a_time=batch.samples_at_a_time(order.judge_concurrency, "--judge-concurrency"),
        reasks=order.reasks,
        retries=order.retries,
        max_cost=max_cost,
    )
    work = asking.run(task.about, task.cases, images)
    return await judging.judged(asking, work, folder, quiet=order.quiet)


def _measure(task: Task, order: JudgeOrder, images: Sequence[Edited], ended: Ended) -> None:
    if order.preservation and ended.halted != batch.INTERRUPTED:
        keeping.measure(task.run, images, quiet=order.quiet)


def _list(found: Mapping[str, str]) -> None:
    """Say the first ones, and how many there are."""
    for name, words in list(found.items())[:MOST_TOLD]:
        say(f"{name}: {words}")
    if len(found) > MOST_TOLD:
        say(f"... and {len(found) - MOST_TOLD} more")


def _tell(task: Task, ended: Ended, order: JudgeOrder) -> Exit:
    """Say how judging ended, print what is known; what is missing stands in the tables."""
    _list({case: f"counts as missing: {problem}" for case, problem in ended.problems.items()})
    _list({question: f"not judged: {problem}" for question, problem in ended.failed.items()})
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
        task.run,
        order.rules,
        judge=task.called,
        json_wanted=order.json,
        markdown=order.markdown,
        preservation=order.preservation,
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
    turns = each.editor_calls + 1 if order.every_turn else 1  # the source may be judged too, see `of_run`
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
        "prompts": task.prompts.state,
        "prompts_from": task.prompts.origin,
        "differences": [*task.prompts.differences, *task.prompts.unverified],
    }


def _print_plan(plan: dict[str, Any], order: JudgeOrder) -> Exit:
    if order.json:
        print(json.dumps(plan, indent=2))
        return Exit.DELIVERED
    print(f"samples:  {plan['usable']} of {plan['samples']} can be used; the data has {plan['of']}")
    for case, problem in list(plan["unusable"].items())[:MOST_TOLD]:
        print(inert(f"  {case}: {problem}"))
    if len(plan["unusable"]) > MOST_TOLD:
        print(f"  and {len(plan['unusable']) - MOST_TOLD} more")
    calls = [f"{plan[f'most_{role}_calls']} of the {role}" for role in ("editor", "thinker", "judge")]
    print(f"calls:    at most {', '.join(calls)}, repeated ones not counted")
    cost = "unknown" if plan["most_cost"] is None else f"at most ${plan['most_cost']:.2f}"
    without = f", without a price of {', '.join(plan['prices_unknown'])}" * bool(plan["prices_unknown"])
    print(inert(f"cost:     {cost}{without}"))
    from_there = f", from {plan['prompts_from']}" * bool(plan["prompts_from"])
    comparable = "" if plan["prompts"].endswith("verified") else "; not comparable with published figures"
    print(inert(f"prompts:  {plan['prompts']}{from_there}{comparable}"))
    for difference in plan["differences"][:MOST_TOLD]:
        print(inert(f"  {difference}"))
    say("nothing was called")
    return Exit.DELIVERED
