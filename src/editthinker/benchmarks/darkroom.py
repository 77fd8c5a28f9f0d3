"""The darkroom bench: held-out photographs, phrasings and looks; the exact judge scores every turn.

In: samples of `darkroom.cases`, an editor, a thinker or None, a strategy. Out: a `Report`: success (overall
of at least 8 by the judge), scores, calls, and how far the thinker's scores can be trusted. One run with many
turns also tells what fewer turns would have delivered, because turns only depend on those before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from editthinker.benchmarks.course import SOURCE, calls_by
from editthinker.benchmarks.intervals import Estimate, estimate, rank_correlation
from editthinker.core.contracts import Editor, Judge, Thinker
from editthinker.core.episode import Episode
from editthinker.core.limits import Limits
from editthinker.core.selection import choose
from editthinker.core.types import Sample, Score, Trajectory
from editthinker.darkroom.language.sentences import GROUPS
from editthinker.runs.folder import RunFolder

SUCCESS = 8.0
WORSE = 0.5
"""A delivered image counts as worse than turn 1's when the judge's overall is lower by more than this."""


@dataclass(frozen=True, slots=True)
class Row:
    """One sample: what the judge says of every turn, of the delivered image, and what the thinker said."""

    sample: Sample
    judged: tuple[Score, ...]
    thought: tuple[Score | None, ...]
    delivered: Score
    chosen: int | None
    editor_calls: int
    thinker_calls: int
    unread: int
    """Thinker replies that could not be read."""
    stop: str
    instructions: tuple[str, ...]
    seconds: float
    after: tuple[int, ...] = ()
    """Turn that would have been delivered after one, two, ... turns; 0: the source."""
    source: Score | None = None
    """What the judge says of the source, where one of `after` is the source."""
    calls: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Calls by role, up to each turn."""


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of one configuration."""

    strategy: str
    editor: str
    thinker: str
    turns: int
    rows: tuple[Row, ...]

    def table(self) -> list[dict[str, Any]]:
        """One line for all samples and one per group: success, scores and calls with 95 % intervals."""
        return [_line("all", self.rows)] + [
            _line(group, rows)
            for group in GROUPS
            if (rows := [row for row in self.rows if row.sample.tags["group"] == group])
        ]

    def agreement(self) -> dict[str, float]:
        """The thinker's scores against the judge's, over all judged turns."""
        pairs = [(t, j) for row in self.rows for t, j in zip(row.thought, row.judged, strict=True) if t]
        if not pairs:
            return {}
        content = [j.overall >= SUCCESS for t, j in pairs if min(t.semantic, t.quality) >= SUCCESS]
        overalls = [t.overall for t, _ in pairs], [j.overall for _, j in pairs]
        replies = sum(row.thinker_calls for row in self.rows)
        return {
            "critiques": len(pairs),
            "semantic_error": sum(abs(t.semantic - j.semantic) for t, j in pairs) / len(pairs),
            "quality_error": sum(abs(t.quality - j.quality) for t, j in pairs) / len(pairs),
            "rank_correlation": rank_correlation(*overalls),
            "satisfied_right": sum(content) / len(content) if content else float("nan"),
            "satisfied_share": len(content) / len(pairs),
            "replies_read": 1 - sum(row.unread for row in self.rows) / max(1, replies),
        }


def _line(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    number = max(1, len(rows))
    best = [max((score.overall for score in row.judged), default=0.0) for row in rows]
    worse = [bool(row.judged) and row.delivered.overall < row.judged[0].overall - WORSE for row in rows]
    return {
        "group": name,
        "success": estimate([float(row.delivered.overall >= SUCCESS) for row in rows]),
        "overall": estimate([row.delivered.overall for row in rows]),
        "semantic": estimate([row.delivered.semantic for row in rows]),
        "quality": estimate([row.delivered.quality for row in rows]),
        "editor_calls": sum(row.editor_calls for row in rows) / number,
        "thinker_calls": sum(row.thinker_calls for row in rows) / number,
        "worse_than_first": sum(worse) / number,
        "oracle": estimate([float(overall >= SUCCESS) for overall in best]),
    }


async def run(
    samples: Sequence[Sample],
    editor: Editor,
    thinker: Thinker | None,
    judge: Judge,
    *,
    strategy: str,
    limits: Limits,
    seed: int = 0,
    concurrency: int = 2,
    finished: Callable[[Row], None] = lambda row: None,
    folder: RunFolder | None = None,
) -> Report:
    """Play every sample and judge every turn. `finished` is told of each row as it comes.

    With `folder` images and calls are kept there. Raises `StoreError`.
    """
    rows: dict[int, Row] = {}
    waiting = iter(enumerate(samples))

    async def work() -> None:
        for number, sample in waiting:
            own = seed_of(seed, number)
            episode = Episode(sample, editor, thinker, strategy=strategy, limits=limits, seed=own)
            recorder = folder.recorder(sample) if folder else None
            if recorder:
                episode.listen(recorder)
            trajectory = await episode.run()
            if recorder:
                await recorder.finished(trajectory)
            rows[number] = await row_of(trajectory, judge)
            finished(rows[number])

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work())
    name = thinker.name if thinker else "none"
    ordered = tuple(rows[number] for number in sorted(rows))
    return Report(strategy, editor.info.name, name, limits.turns, ordered)


def seed_of(seed: int, number: int) -> int:
    """The seed of the first turn of a sample: no two samples share one at any turn."""
    return seed + 1000 * number


async def row_of(trajectory: Trajectory, judge: Judge) -> Row:
    """Judge every turn of a sample that was played."""
    sample, turns = trajectory.sample, trajectory.turns
    judged = [(await judge.score(sample, turn.image)).score for turn in turns]
    after = tuple(choose(sample.source, turns[:number]) or SOURCE for number in range(1, len(turns)))
    after = (*after, trajectory.chosen or SOURCE)
    source = (await judge.score(sample, sample.source)).score if SOURCE in after else None
    indices = [turn.index for turn in turns]
    return Row(
        sample=sample,
        judged=tuple(judged),
        thought=tuple(turn.score for turn in turns),
        delivered=judged[after[-1] - 1] if after[-1] or source is None else source,
        chosen=trajectory.chosen,
        editor_calls=trajectory.spend.editor_calls,
        thinker_calls=trajectory.spend.thinker_calls,
        unread=sum(call.outcome == "ReplyError" for call in trajectory.calls),
        stop=trajectory.stop.reason.value,
        instructions=tuple(turn.instruction for turn in turns),
        seconds=trajectory.spend.seconds,
        after=after,
        source=source,
        calls={role: calls_by(trajectory.calls, role, indices) for role in ("editor", "thinker")},
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON values: configuration, table, agreement, and every row."""

    def plain(value: Any) -> Any:
        if isinstance(value, Estimate):
            return {"mean": value.mean, "low": value.low, "high": value.high, "n": value.n}
        return value

    return {
        "strategy": report.strategy,
        "editor": report.editor,
        "thinker": report.thinker,
        "turns": report.turns,
        "table": [{key: plain(value) for key, value in line.items()} for line in report.table()],
        "agreement": report.agreement(),
        "rows": [row_json(row) for row in report.rows],
    }


def row_json(row: Row) -> dict[str, Any]:
    """A row as JSON values."""

    def score(value: Score | None) -> list[float] | None:
        return None if value is None else [round(value.semantic, 3), round(value.quality, 3)]

    return {
        "id": row.sample.id,
        **row.sample.tags,
        "instruction": row.sample.instruction,
        "instructions": list(row.instructions),
        "judged": [score(value) for value in row.judged],
        "thought": [score(value) for value in row.thought],
        "delivered": score(row.delivered),
        "chosen": row.chosen,
        "after": list(row.after),
        "source": score(row.source),
        "calls": {role: list(calls) for role, calls in row.calls.items()},
        "stop": row.stop,
        "seconds": round(row.seconds, 3),
    }
