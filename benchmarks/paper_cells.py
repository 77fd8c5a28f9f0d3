"""The cells of the paper in miniature: an editor, a thinker and a strategy, played on the same samples.

In: cells, where thinkers lie, a split, a count. Out: a file of JSON lines for each cell, one line a sample,
its first line saying which weights it was. What is there is not played again. Work goes sample by sample, not
cell by cell, so an edit, a critique and a verdict that several cells need are made once: the same editor,
words and seed give the same image, and the same thinker answers the same view in the same way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from editthinker.benchmarks.darkroom import row_json, row_of, seed_of
from editthinker.core.contracts import Editor, EditorInfo, Thinker, View
from editthinker.core.episode import Episode
from editthinker.core.errors import ReplyError, StoreError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Edited, EditRequest, Judged, Sample, Thought
from editthinker.darkroom import weights
from editthinker.darkroom.cases import draw_samples
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import Case
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.targets import target_of
from editthinker.darkroom.thinker import DarkroomThinker, ExpertThinker

EDITORS = {"small": "editor-small", "base": "editor", "large": "editor-large"}
"""As the page calls them, and as the manifest does."""
THINKERS = (
    "untrained",
    "sft",
    "sft-rl",
    "rl-without-critic",
    "rl-without-gain",
    "rl-official",
    "rl-small",
    "rl-large",
)
"""Those that have to be trained; "sft-rl" learned with the base editor and the full reward."""
WHILE, BEFORE, BOTH = "think-while-edit", "think-before-edit", "think-before-and-while"
SINGLE, BEST_OF_N = "single", "best-of-n"
TURNS = 8
"""As many as any experiment asks for; fewer turns are read off the same run."""
KEPT = ("group", "judged", "thought", "delivered", "after", "source", "calls", "stop")
"""Of a row of the bench: what figures are made of. Held-out words stay out of the files."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration."""

    editor: str
    thinker: str
    strategy: str = WHILE

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.editor}.{self.thinker}.{self.strategy}"


@dataclass(frozen=True)
class World:
    """Everything that decides what a line of a cell says, but for the cell."""

    split: str
    seed: int
    thinkers: Mapping[str, str]
    """Folder with `weights.THINKER` by name, or "shipped"; names that are not here are not trained."""

    def identity(self, cell: Cell) -> dict[str, Any] | None:
        """What the lines of a cell depend on; None when a model of it is not there."""
        found = self._settings(cell, self._thinker(cell.thinker))
        return found if found["editor_weights"] and found["thinker_weights"] else None

    def measured(self, cell: Cell, folder: Path) -> dict[str, Any] | None:
        """The same of its file, also where the thinker that it was measured with is no longer there."""
        header = next(lines_of(folder / f"{cell.name}.jsonl"), {})
        there = self._thinker(cell.thinker) or header.get("thinker_weights", "")
        return header if header == self._settings(cell, there) else None

    def _settings(self, cell: Cell, thinker: str) -> dict[str, Any]:
        return {
            "editor": cell.editor,
            "editor_weights": self._editor(cell.editor),
            "thinker": cell.thinker,
            "thinker_weights": thinker,
            "strategy": cell.strategy,
            "turns": TURNS,
            "split": self.split,
            "seed": self.seed,
        }

    @staticmethod
    def _editor(name: str) -> str:
        files = weights.manifest().get(EDITORS[name], {}).get("files", [])
        return " ".join(file["sha256"][:12] for file in files)

    def _thinker(self, name: str) -> str:
        if name in ("none", "expert"):
            return name
        where = self.thinkers.get(name, "")
        if where == "shipped":
            return " ".join(file["sha256"][:12] for file in weights.manifest()["thinker"]["files"])
        if not where or weights.lacking(Path(where)):
            return ""
        return " ".join(
            hashlib.sha256(file).hexdigest()[:12] for file in weights.opened(Path(where)).values()
        )


# --- what is made once for a sample ---


@dataclass
class Once:
    """What was made for the sample in hand, and how often it was asked for."""

    edits: dict[tuple[str, str, int], Edited] = field(default_factory=dict)
    thoughts: dict[tuple[str, str, str, bool], Thought | ReplyError] = field(default_factory=dict)
    asked: int = 0


class KeptEditor:
    """An editor that makes each image once. The strategies played here always edit the source."""

    def __init__(self, editor: Editor, once: Once) -> None:
        self._editor, self._once = editor, once

    @property
    def info(self) -> EditorInfo:
        """Of the editor."""
        return self._editor.info

    async def edit(self, request: EditRequest) -> Edited:
        """As the editor would."""
        key = (self.info.name, request.instruction, request.seed)
        self._once.asked += 1
        if key not in self._once.edits:
            self._once.edits[key] = await self._editor.edit(request)
        return self._once.edits[key]


class KeptThinker:
    """A greedy thinker that answers each view once, an unreadable answer included."""

    price = 0.0

    def __init__(self, thinker: Thinker, name: str, once: Once) -> None:
        self._thinker, self.name, self._once = thinker, name, once

    async def think(self, view: View) -> Thought:
        """As the thinker would."""
        edited = view.edited.sha256 if view.edited else ""
        key = (self.name, view.instruction, edited, bool(view.turns))
        self._once.asked += 1
        if key not in self._once.thoughts:
            try:
                self._once.thoughts[key] = await self._thinker.think(view)
            except ReplyError as error:
                self._once.thoughts[key] = error
        found = self._once.thoughts[key]
        if isinstance(found, ReplyError):
            raise found
        return found


class KeptJudge:
    """The exact judge of one sample."""

    name, price = "darkroom", 0.0

    def __init__(self, sample: Sample) -> None:
        program = target_of(sample)
        assert program is not None  # noqa: S101 every sample of the bench has a target
        self._case = Case(sample.source, program)
        self._known: dict[str, Judged] = {}

    async def score(self, _: Sample, edited: Picture) -> Judged:
        """Of an image."""
        if edited.sha256 not in self._known:
            self._known[edited.sha256] = Judged(self._case.verdict(edited).score)
        return self._known[edited.sha256]


# --- one process ---


@dataclass
class Player:
    """Plays samples; models are loaded when they are first needed."""

    world: World
    count: int
    models: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import cv2

        cv2.setNumThreads(1)
        photos = [
            (one.name, one.picture())
            for one in photographs("test" if self.world.split == "test" else "validation")
        ]
        self.samples = draw_samples(photos, self.count, split=self.world.split, seed=self.world.seed)

    def play(self, number: int, cells: Sequence[Cell]) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """A line for each cell, and what it cost."""
        began, sample, once = time.process_time(), self.samples[number], Once()
        judge = KeptJudge(sample)
        lines = [asyncio.run(self._line(sample, number, cell, judge, once)) for cell in cells]
        made = {"edits": len(once.edits), "thoughts": len(once.thoughts)}
        return lines, {
            "seconds": time.process_time() - began,
            "turns": sum(len(line["judged"]) for line in lines),
            **made,
            "spared": once.asked - sum(made.values()),
        }

    async def _line(
        self, sample: Sample, number: int, cell: Cell, judge: KeptJudge, once: Once
    ) -> dict[str, Any]:
        editor = KeptEditor(self._model(f"editor {cell.editor}"), once)
        thinker = None
        if cell.thinker != "none":
            thinker = KeptThinker(self._model(f"thinker {cell.thinker}"), cell.thinker, once)
        episode = Episode(
            sample,
            editor,
            thinker,
            strategy=cell.strategy,
            limits=Limits(turns=TURNS),
            seed=seed_of(self.world.seed, number),
        )
        row = row_json(await row_of(await episode.run(), judge))
        return {"number": number, **{key: row[key] for key in KEPT}}

    def _model(self, what: str) -> Any:
        if what not in self.models:
            self.models[what] = self._load(*what.split(" "))
        return self.models[what]

    def _load(self, role: str, name: str) -> Any:
        if role == "editor":
            return DarkroomEditor.load("" if name == "base" else name)
        if name == "expert":
            return ExpertThinker()
        where = self.world.thinkers[name]
        if where == "shipped":
            return DarkroomThinker.load()
        return DarkroomThinker(weights.opened(Path(where)))


_player: Player


def _begin(world: World, count: int) -> None:
    global _player
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    _player = Player(world, count)


def _play(task: tuple[int, tuple[Cell, ...]]) -> tuple[int, tuple[Cell, ...], Any, Any]:
    number, cells = task
    return number, cells, *_player.play(number, cells)


# --- all of them ---


def lines_of(file: Path) -> Iterator[dict[str, Any]]:
    """The header and the whole lines of a cell; a line that was cut by an interruption is none."""
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


def rows_of(folder: Path, cell: Cell, count: int) -> list[dict[str, Any]]:
    """The first `count` samples of a cell; empty when they are not all there."""
    _, *rows = [*lines_of(folder / f"{cell.name}.jsonl")] or [{}]
    found = {row["number"]: row for row in rows if row["number"] < count}
    return [found[number] for number in range(count)] if len(found) == count else []


def measure(
    cells: Sequence[Cell],
    world: World,
    count: int,
    folder: Path,
    *,
    workers: int = 2,
    tell: Callable[[str], None] = print,
) -> dict[str, float]:
    """Play whatever is missing; return what it cost. Raises `StoreError` for cells of other weights."""
    folder.mkdir(parents=True, exist_ok=True)
    missing: dict[int, list[Cell]] = {}
    for cell in dict.fromkeys(cells):
        identity = world.identity(cell)
        if identity is None:
            known = "played before" if rows_of(folder, cell, count) else "not played"
            tell(f"{cell.name}: its thinker is not here, {known}")
            continue
        done = _begun(folder / f"{cell.name}.jsonl", identity)
        for number in set(range(count)) - done:
            missing.setdefault(number, []).append(cell)
    spent = dict.fromkeys(("seconds", "turns", "edits", "thoughts", "spared"), 0.0)
    tasks = [(number, tuple(missing[number])) for number in sorted(missing)]
    began, told = time.monotonic(), 0.0
    if not tasks:
        return spent
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(tasks)), _begin, (world, count)) as pool:
        for done_now, (number, played, lines, cost) in enumerate(pool.imap_unordered(_play, tasks), 1):
            for cell, line in zip(played, lines, strict=True):
                with (folder / f"{cell.name}.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, separators=(",", ":")) + "\n")
            spent = {key: value + cost[key] for key, value in spent.items()}
            minutes = (time.monotonic() - began) / 60
            if minutes - told > 0.5 or done_now == len(tasks):
                told = minutes
                left = minutes / done_now * (len(tasks) - done_now)
                tell(f"{done_now} of {len(tasks)} samples, {left:.0f} min left (sample {number})")
    return spent


def _begun(file: Path, identity: Mapping[str, Any]) -> set[int]:
    """The samples that a cell has; its file is begun, and mended after an interruption."""
    header, *rows = [*lines_of(file)] or [dict(identity)]
    if header != identity:
        differing = [key for key in identity if header.get(key) != identity[key]]
        raise StoreError(
            f"{file} was measured with other {', '.join(differing)}; delete it to measure it anew"
        )
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (header, *rows))
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    return {row["number"] for row in rows}
