"""Figures of the paper in miniature, out of the lines of cells: estimates with 95 % bootstrap intervals.

In: the rows of cells (`paper_cells`), all over the same samples. Out: JSON values per experiment; None where
a cell is missing, because its models are not trained or it was not measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from paper_cells import BEFORE, BEST_OF_N, BOTH, SINGLE, TURNS, WHILE, Cell

from editthinker.benchmarks.darkroom import SUCCESS, WORSE
from editthinker.benchmarks.intervals import RESAMPLES, estimate
from editthinker.darkroom.language.sentences import GROUPS

EDITORS = ("small", "base", "large")
STAGES = ("none", "untrained", "sft", "sft-rl", "expert")
FIVE = 5
"""The paper's number of turns (C.1, C.2)."""
Row = dict[str, Any]
Rows = Callable[[Cell], list[Row]]
Value = dict[str, float | int | None]


def cell(editor: str, thinker: str, strategy: str = "") -> Cell:
    """Without a strategy the usual one: a single edit where nobody thinks, else think-while-edit."""
    return Cell(editor, thinker, strategy or (SINGLE if thinker == "none" else WHILE))


# --- one sample ---


def overall(score: Sequence[float]) -> float:
    """The geometric mean, as everywhere (paper: G_O)."""
    return math.sqrt(max(0.0, score[0]) * max(0.0, score[1]))


def after(row: Row, turns: int = FIVE) -> float:
    """The judge's overall of what would have been delivered after so many turns."""
    if not row["judged"]:
        return 0.0
    index = row["after"][min(turns, len(row["after"])) - 1]
    return overall(row["judged"][index - 1] if index else row["source"])


def success(row: Row, turns: int = FIVE) -> float:
    """1 if that is a success."""
    return float(after(row, turns) >= SUCCESS)


def edits(row: Row, turns: int = FIVE) -> float:
    """Editor calls until then."""
    calls = row["calls"]["editor"]
    return float(calls[min(turns, len(calls)) - 1]) if calls else 1.0


# --- many samples ---


def percent(values: Sequence[float]) -> Value | None:
    """A mean in percent, with its interval."""
    return estimate([100 * value for value in values]).as_json() if values else None


def mean(values: Sequence[float]) -> Value | None:
    """A mean with its interval."""
    return estimate(values).as_json() if values else None


def paired(one: Sequence[float], other: Sequence[float]) -> Value | None:
    """`one` less `other`, in points, sample by sample."""
    return percent([a - b for a, b in zip(one, other, strict=True)]) if one and other else None


def ratio(part: Sequence[float], whole: Sequence[float], *, seed: int = 0) -> Value | None:
    """The mean of `part` as a share of the mean of `whole`, in percent; samples are drawn in pairs."""
    if not part or not whole:
        return None
    a, b = np.asarray(part), np.asarray(whole)
    picks = np.random.default_rng(seed).integers(0, len(a), (RESAMPLES, len(a)))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 100 * a[picks].mean(axis=1) / b[picks].mean(axis=1)
    if b.mean() <= 0 or not np.isfinite(shares).any():
        return None
    low, high = np.percentile(shares[np.isfinite(shares)], [2.5, 97.5])
    return {"mean": float(100 * a.mean() / b.mean()), "low": float(low), "high": float(high), "n": len(a)}


def line(rows: Sequence[Row], turns: int = FIVE) -> dict[str, Any]:
    """What a table says of a cell."""
    parts = {group: [row for row in rows if row["group"] == group] for group in GROUPS}
    worse = [float(after(row, turns) < overall(row["judged"][0]) - WORSE) for row in rows if row["judged"]]
    return {
        "n": len(rows),
        "all": percent([success(row, turns) for row in rows]),
        **{group: percent([success(row, turns) for row in part]) for group, part in parts.items()},
        "overall": mean([after(row, turns) for row in rows]),
        "edits": mean([edits(row, turns) for row in rows]),
        "worse": percent(worse),
    }


# --- the experiments ---


def main_table(rows: Rows) -> dict[str, Any]:
    """3 editors x 5 thinkers x 4 groups."""
    return {editor: {stage: line(rows(cell(editor, stage))) for stage in STAGES} for editor in EDITORS}


def turns(rows: Rows) -> dict[str, Any]:
    """Success after 1 to 8 turns, and how much of what five turns gain over a single edit is there by turn 2.

    After one turn the thinker may already give the source back, so 1 may lie below the single edit.
    """
    return {editor: {thinker: _course(rows, editor, thinker) for thinker in STAGES[1:]} for editor in EDITORS}


def _course(rows: Rows, editor: str, thinker: str) -> dict[str, Any]:
    played = rows(cell(editor, thinker))
    single = [success(row) for row in rows(cell(editor, "none"))] if played else []
    by = {k: [success(row, k) for row in played] for k in range(1, TURNS + 1)}
    gains = {k: [b - a for a, b in zip(single, by[k], strict=True)] if single else [] for k in (2, FIVE)}
    return {
        "single": percent(single),
        "curve": [percent(by[k]) for k in range(1, TURNS + 1)],
        "edits": [mean([edits(row, k) for row in played]) for k in range(1, TURNS + 1)],
        "by_turn_2": ratio(gains[2], gains[FIVE]),
    }


PATTERNS = {"single": SINGLE, "before": BEFORE, "while": WHILE, "before and while": BOTH}


def patterns(rows: Rows) -> dict[str, Any]:
    """Think before, while, or both, on the base editor."""
    return {
        thinker: {
            name: line(rows(cell("base", "none") if how == SINGLE else cell("base", thinker, how)))
            for name, how in PATTERNS.items()
        }
        for thinker in ("sft-rl", "expert")
    }


def stages(rows: Rows) -> dict[str, Any]:
    """SFT against SFT and RL: paired differences per editor, and of the mean over editors."""
    gains: dict[str, Any] = {}
    each = []
    for editor in EDITORS:
        sft, rl = ([success(row) for row in rows(cell(editor, stage))] for stage in ("sft", "sft-rl"))
        gains[editor] = paired(rl, sft)
        each.append([a - b for a, b in zip(rl, sft, strict=True)] if rl and sft else [])
    gains["mean"] = percent([sum(three) / 3 for three in zip(*each, strict=True)]) if all(each) else None
    return {
        "stages": {stage: line(rows(cell("base", stage))) for stage in STAGES[:-1]},
        "gain": gains,
        "way_to_expert": {editor: _way(rows, [editor]) for editor in EDITORS} | {"mean": _way(rows, EDITORS)},
    }


def _way(rows: Rows, editors: Sequence[str]) -> Value | None:
    """Which share of the way from the single edit to the expert SFT and RL go."""
    part: list[list[float]] = []
    whole: list[list[float]] = []
    for editor in editors:
        single, rl, expert = (
            [success(row) for row in rows(cell(editor, stage))] for stage in ("none", "sft-rl", "expert")
        )
        if not single or not rl or not expert:
            return None
        part.append([b - a for a, b in zip(single, rl, strict=True)])
        whole.append([c - a for a, c in zip(single, expert, strict=True)])
    return ratio([sum(x) for x in zip(*part, strict=True)], [sum(x) for x in zip(*whole, strict=True)])


REWARDS = {
    "sft": "SFT only",
    "sft-rl": "format + critic + gain",
    "rl-without-critic": "without critic",
    "rl-without-gain": "without edit gain",
    "rl-official": "official formula",
}


def rewards(rows: Rows) -> dict[str, Any]:
    """What each reward teaches: success, and how well the thinker's own scores agree with the judge's."""
    return {
        thinker: {
            **line(rows(cell("base", thinker))),
            "critic_error": mean(_errors(rows(cell("base", thinker)))),
            "gain": paired(
                [success(row) for row in rows(cell("base", thinker))],
                [success(row) for row in rows(cell("base", "sft"))],
            ),
        }
        for thinker in REWARDS
    }


def _errors(rows: Sequence[Row]) -> list[float]:
    """Mean absolute error of `semantic` for each sample whose images were scored by the thinker."""
    found = []
    for row in rows:
        pairs = [(t, j) for t, j in zip(row["thought"], row["judged"], strict=True) if t]
        if pairs:
            found.append(sum(abs(t[0] - j[0]) for t, j in pairs) / len(pairs))
    return found


def best_of_n(rows: Rows, thinker: str = "sft-rl") -> dict[str, Any]:
    """Refining against best-of-n, chosen by the same thinker, at the same number of editor calls."""
    found: dict[str, Any] = {}
    for editor in EDITORS:
        refined, sampled = rows(cell(editor, thinker)), rows(cell(editor, thinker, BEST_OF_N))
        points = []
        for limit in range(1, TURNS + 1) if refined and sampled else ():
            calls = sum(edits(row, limit) for row in refined) / len(refined)
            ours = [success(row, limit) for row in refined]
            theirs = [_between(row, calls) for row in sampled]
            points.append(
                {
                    "turns": limit,
                    "edits": calls,
                    "refine": percent(ours),
                    "best-of-n": percent(theirs),
                    "difference": paired(ours, theirs),
                }
            )
        curve = [percent([success(row, n) for row in sampled]) for n in range(1, TURNS + 1)]
        found[editor] = {"points": points, "best-of-n": curve}
    return found


def _between(row: Row, calls: float) -> float:
    """Success of best-of-n for a number of calls that is not whole: n or one more, by chance."""
    whole = int(calls)
    share = calls - whole
    return (1 - share) * success(row, whole) + (share * success(row, whole + 1) if share else 0.0)


TRANSFER = {"rl-small": "small", "sft-rl": "base", "rl-large": "large"}
"""Which editor a thinker learned with."""


def transfer(rows: Rows) -> dict[str, Any]:
    """A thinker trained with one editor, used with another; and without RL at all."""
    return {
        thinker: {editor: line(rows(cell(editor, thinker))) for editor in EDITORS}
        for thinker in ("sft", *TRANSFER)
    }


# --- what each experiment needs ---

EXPERIMENTS: dict[str, tuple[Callable[[Rows], dict[str, Any]], tuple[Cell, ...]]] = {
    "main": (main_table, tuple(cell(editor, stage) for editor in EDITORS for stage in STAGES)),
    "turns": (turns, tuple(cell(editor, stage) for editor in EDITORS for stage in STAGES)),
    "patterns": (
        patterns,
        tuple(
            cell("base", "none") if how == SINGLE else cell("base", thinker, how)
            for thinker in ("sft-rl", "expert")
            for how in PATTERNS.values()
        ),
    ),
    "stages": (stages, tuple(cell(editor, stage) for editor in EDITORS for stage in STAGES)),
    "rewards": (rewards, tuple(cell("base", thinker) for thinker in REWARDS)),
    "best-of-n": (
        best_of_n,
        tuple(cell(editor, "sft-rl", how) for editor in EDITORS for how in (WHILE, BEST_OF_N)),
    ),
    "transfer": (
        transfer,
        tuple(cell(editor, thinker) for thinker in ("sft", *TRANSFER) for editor in EDITORS),
    ),
}
