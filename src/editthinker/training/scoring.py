"""Replies to rewards as a trainer hands them over: read, edited and judged elsewhere, rewarded, written down.

In: rows of `lessons`, replies, an `Environment`. Out: rewards in the same order, None for what is masked;
means for the log; a few rollouts as lines of JSON, for people to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editthinker.core.types import Score
from editthinker.training import rewards
from editthinker.training.recipe import Reward
from editthinker.training.rewards import Looks, Reading, Shown, Terms
from editthinker.training.rollouts import Batch, Environment, Scene, Wish

SAMPLED = 4
"""Rollouts that are written down each time."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One reply and what came of it."""

    shown: Shown
    text: str
    reading: Reading
    terms: Terms | None = None
    reward: float | None = None


class Scoring:
    """`begin` starts the edits of a batch, `reward` waits for them; in turns."""

    def __init__(self, world: Environment, weights: Reward, samples: Path | None, every: int) -> None:
        """`samples`: a file that gets some rollouts every so many steps."""
        self.world, self.weights = world, weights
        self._samples, self._every = samples, every
        self._under_way: tuple[list[Rollout], Batch] | None = None

    def begin(self, rows: Sequence[Row], replies: Sequence[str]) -> None:
        """Read the replies and start to edit with what they say."""
        rollouts = []
        for row, text in zip(rows, replies, strict=True):
            shown = shown_in(row)
            rollouts.append(Rollout(shown, text, rewards.read(text, shown, self.weights.rule)))
        wishes = [Wish(scene_of(row), one.reading.words) for row, one in zip(rows, rollouts, strict=True)]
        self._under_way = rollouts, self.world.begin(wishes)

    def reward(
        self,
        completions: Sequence[Any],
        id: Sequence[str],
        trainer_state: Any,
        log_metric: Callable[[str, float], None],
        **columns: Any,
    ) -> list[float | None]:
        """What TRL calls; None is masked. Raises `Outage` and `StoreError`."""
        if self._under_way is None:
            raise RuntimeError("rewards are asked for before their edits have begun")
        (begun, batch), self._under_way = self._under_way, None
        looks = self.world.looks(batch)
        rollouts = [self._paid(one, seen) for one, seen in zip(begun, looks, strict=True)]
        for name, value in summed(rollouts).items():
            log_metric(name, value)
        step = int(trainer_state.global_step)
        if self._samples is not None and step % self._every == 0:
            with self._samples.open("a", encoding="utf-8") as file:
                file.writelines(map(_line, [step] * SAMPLED, id, rollouts))
        return [one.reward for one in rollouts]

    def _paid(self, one: Rollout, seen: Looks | None) -> Rollout:
        worth = rewards.terms(one.reading, one.shown, seen)
        reward = rewards.reward(one.reading, one.shown, seen, self.weights)
        return Rollout(one.shown, one.text, one.reading, worth, reward)


def shown_in(row: Row) -> Shown:
    """What a reply to this row is about."""
    said = [part["text"] for message in row["prompt"] for part in _parts(message) if part["type"] == "text"]
    score = Score(row["semantic"], row["quality"])
    return Shown(row["instruction"], row["sent"], score, "\n".join(said))


def scene_of(row: Row) -> Scene:
    """What is edited for this row."""
    sources = tuple(Path(path) for path in row["sources"])
    mask = Path(row["mask"]) if row["mask"] else None
    return Scene(row["id"], row["instruction"], row["sent"], sources, mask, row.get("tags") or {})


def text_of(completion: Any) -> str:
    """The words of a completion: a text, or the messages of an assistant."""
    if isinstance(completion, str):
        return completion
    return "".join(
        part["text"] for message in completion for part in _parts(message) if part["type"] == "text"
    )


def summed(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Means for the log: each term over the rollouts that have it, and shares of all."""
    worth = [one.terms for one in rollouts if one.terms]
    formed = [one for one in worth if one.form]
    edited = [one for one in formed if one.turns]
    said = {
        "terms/form": [one.form for one in worth],
        "terms/critic": [one.critic for one in formed],
        "terms/gain": [one.gain for one in edited],
        "terms/gain_quality": [one.gain_quality for one in edited],
        "terms/preservation": [one.preservation for one in edited],
        "terms/turns": [one.turns for one in formed],
        "rollouts/masked": [float(one.reward is None) for one in rollouts],
        "rollouts/tricks": [
            float(one.reading.score is not None and bool(one.reading.fault)) for one in rollouts
        ],
    }
    return {name: sum(values) / len(values) for name, values in said.items() if values}


def _parts(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _line(step: int, name: str, one: Rollout) -> str:
    told = {
        "step": step,
        "id": name,
        "instruction": one.shown.instruction,
        "sent": one.shown.sent,
        "reply": one.text,
        "fault": one.reading.fault,
        "terms": one.terms and one.terms.named(),
        "reward": one.reward,
    }
    return json.dumps(told, ensure_ascii=False) + "\n"
