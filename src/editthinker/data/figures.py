"""How tasks and scores are distributed (figure 3 of the paper), as numbers, a table and a picture.

In: trajectories or steps. Out: `Figures`: JSON values, lines of text, an SVG that needs only a browser.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from editthinker.data.balancing import level
from editthinker.data.licences import UNKNOWN, folded
from editthinker.data.records import StepRow, TrajectoryRow

LEVELS = range(11)
MOST_TASKS = 30
"""Tasks that are shown, the most frequent ones; all of them are in the JSON."""
SHADES = ("#2f6690", "#d1495b", "#edae49", "#66a182", "#8d96a3", "#7d5ba6")


@dataclass
class Figures:
    """Counts over rows; scores by level, 0..10."""

    kind: str = ""
    rows: int = 0
    tasks: Counter[str] = field(default_factory=Counter)
    """Rows."""
    levels: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Scores by (overall, semantic or quality; task; level)."""
    turns: Counter[int] = field(default_factory=Counter)
    """Trajectories by number of turns; steps by turn."""
    by_turn: dict[int, list[float]] = field(default_factory=dict)
    """Turn: number of scores, sum of overalls."""
    editors: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    unscored: int = 0

    @classmethod
    def of(cls, rows: Iterable[TrajectoryRow | StepRow]) -> Figures:
        """Count them all."""
        figures = cls()
        for row in rows:
            figures._add(row)
        return figures

    def _add(self, row: TrajectoryRow | StepRow) -> None:
        self.kind = row.kind
        self.rows += 1
        self.tasks[row.task] += 1
        self.editors[row.editor or UNKNOWN] += 1
        self.licences[folded(row.licence)] += 1
        if isinstance(row, TrajectoryRow):
            self.turns[len(row.turns)] += 1
            scored = [(turn.index, turn.score) for turn in row.turns]
        else:
            self.turns[row.turn] += 1
            scored = [(row.turn, row.score)]
        for turn, score in scored:
            if score is None:
                self.unscored += 1
                continue
            for name in ("overall", "semantic", "quality"):
                self.levels[name, row.task, level(getattr(score, name))] += 1
            known = self.by_turn.setdefault(turn, [0, 0.0])
            known[0] += 1
            known[1] += score.overall

    def of_level(self, name: str) -> list[int]:
        """How many scores of this name lie at each level, all tasks together."""
        return [sum(self.levels[name, task, number] for task in self.tasks) for number in LEVELS]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "kind": self.kind,
            "rows": self.rows,
            "tasks": _sorted(self.tasks),
            "levels": {name: self.of_level(name) for name in ("overall", "semantic", "quality")},
            "overall_by_task": {
                task: [self.levels["overall", task, number] for number in LEVELS]
                for task in _sorted(self.tasks)
            },
            "turns": {str(turn): count for turn, count in sorted(self.turns.items())},
            "mean_overall_by_turn": {
                str(turn): round(total / count, 4) for turn, (count, total) in sorted(self.by_turn.items())
            },
            "editors": _sorted(self.editors),
            "licences": _sorted(self.licences),
            "unscored": self.unscored,
        }

    def lines(self) -> Iterator[str]:
        """A table: a line for each task, a column for each level of the overall score."""
        noun = "trajectories" if self.kind == "trajectory" else "steps"
        yield f"{self.rows} {noun}, {sum(self.of_level('overall'))} scores" + (
            f", {self.unscored} without" if self.unscored else ""
        )
        yield f"{'task':<18}{noun:>13}  overall " + "".join(f"{number:>6}" for number in LEVELS)
        for task, count in list(_sorted(self.tasks).items())[:MOST_TASKS]:
            cells = "".join(f"{self.levels['overall', task, number]:>6}" for number in LEVELS)
            yield f"{task[:17]:<18}{count:>13}          {cells}"
        for name in ("overall", "semantic", "quality"):
            cells = "".join(f"{count:>6}" for count in self.of_level(name))
            yield f"{'all, ' + name:<31}          {cells}"
        told = ", ".join(f"{turn}: {count}" for turn, count in sorted(self.turns.items()))
        yield f"{'by number of turns' if self.kind == 'trajectory' else 'by turn'}: {told}"


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


WIDTH, BAR, CHART = 720, 22, 170


def svg(figures: Figures) -> str:
    """The picture: a bar for each task, and how many scores lie at each level, stacked by task."""
    tasks = dict(list(_sorted(figures.tasks).items())[:MOST_TASKS])
    shown = list(tasks)[: len(SHADES) - 1]
    shade = {task: SHADES[place] for place, task in enumerate(shown)}
    below = 60 + BAR * len(tasks)
    parts = [_text(20, 30, f"{figures.rows} rows by task", size=15), *_bars(tasks, figures.rows, shade)]
    parts += [_text(20, below + 20, "scores by level of the overall score, 0 to 10", size=15)]
    parts += _columns(figures, shown, below + 40)
    height = below + CHART + 80
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" role="img" '
        f'aria-label="distribution of tasks and scores">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _bars(tasks: Mapping[str, int], rows: int, shade: Mapping[str, str]) -> Iterator[str]:
    most = max(tasks.values(), default=1)
    for place, (task, count) in enumerate(tasks.items()):
        top, width = 44 + place * BAR, 380 * count / most
        colour = shade.get(task, SHADES[-1])
        yield _text(170, top + 14, task[:22], anchor="end")
        yield f'<rect x="180" y="{top}" width="{width:.1f}" height="{BAR - 6}" fill="{colour}"/>'
        yield _text(186 + width, top + 14, f"{count} ({100 * count / rows:.1f} %)")


def _columns(figures: Figures, shown: list[str], top: int) -> Iterator[str]:
    totals = figures.of_level("overall")
    most = max([*totals, 1])
    for number in LEVELS:
        left, floor = 40 + number * 60, float(top + CHART)
        parts = [(task, figures.levels["overall", task, number]) for task in shown]
        parts.append(("all others", totals[number] - sum(count for _, count in parts)))
        for place, (task, count) in enumerate(parts):
            height = (CHART - 20) * count / most
            floor -= height
            if count:
                yield (
                    f'<rect x="{left}" y="{floor:.1f}" width="44" height="{height:.1f}" '
                    f'fill="{SHADES[place]}">'
                    f"<title>{html.escape(task)}, level {number}: {count}</title></rect>"
                )
        yield _text(left + 22, floor - 4, str(totals[number]), anchor="middle")
        yield _text(left + 22, top + CHART + 16, str(number), anchor="middle")


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" fill="#222222">'
        f"{html.escape(words)}</text>"
    )
