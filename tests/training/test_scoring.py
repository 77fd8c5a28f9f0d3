"""Rows and replies to rewards in the trainer's order, without a trainer."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from editthinker.core import reply
from editthinker.core.types import Critique, Score
from editthinker.training import scoring
from editthinker.training.recipe import Reward
from editthinker.training.rewards import Look
from editthinker.training.rollouts import Scene, Wish

ROW = {
    "prompt": [
        {
            "role": "user",
            "content": [
                {"type": "image", "text": None},
                {"type": "text", "text": "Judge and refine the words."},
            ],
        }
    ],
    "id": "k:1",
    "instruction": "a red sky",
    "sent": "make it red",
    "semantic": 4.0,
    "quality": 9.0,
    "sources": ["/photos/source.png", "/photos/further.png"],
    "mask": "",
}
SCENE = Scene("k:1", "a red sky", "make it red", (Path("/photos/source.png"), Path("/photos/further.png")))


class Asked:
    """Takes the place of the environment: knows what it was asked, answers as told."""

    def __init__(self, *looks: Any) -> None:
        self.wishes: list[Wish] = []
        self._looks = list(looks)

    def begin(self, wishes: list[Wish]) -> str:
        self.wishes = wishes
        return "a batch"

    def looks(self, batch: str) -> list[Any]:
        return self._looks


def said(words: str) -> str:
    return reply.render(Critique(Score(4, 9), "hm", words))


def scored(world: Asked, texts: list[str], samples: Path | None = None, step: int = 0) -> Any:
    made = scoring.Scoring(world, Reward(), samples, every=2)  # type: ignore[arg-type]
    rows = [ROW | {"mask": "/photos/mask.png"} if text == texts[-1] else ROW for text in texts]
    made.begin(rows, texts)
    figures: dict[str, float] = {}
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    names = [row["id"] for row in rows]
    state = SimpleNamespace(global_step=step)
    return made.reward(completions, names, state, figures.__setitem__, task=["x"] * len(texts)), figures


def test_what_is_wished_and_what_is_paid(tmp_path: Path) -> None:
    better = Look(Score(4, 9)), Look(Score(9, 9))
    world = Asked(better, None, None, None)
    paid, figures = scored(world, [said("a deep red sky"), said("make it red"), "no form", said("red, red")])
    mask = Scene(SCENE.id, SCENE.instruction, SCENE.sent, SCENE.sources, Path("/photos/mask.png"))
    assert world.wishes == [
        Wish(SCENE, "a deep red sky"),
        Wish(SCENE, None),
        Wish(SCENE, None),
        Wish(mask, None),
    ]
    assert paid == pytest.approx([0.5 + 0.1 + 0.3 * 0.5, 0.6, 0.0, 0.0])
    assert figures == pytest.approx(
        {
            "terms/form": 0.5,
            "terms/critic": 1.0,
            "terms/gain": 0.5,
            "terms/gain_quality": 0.0,
            "terms/preservation": 0.0,
            "terms/turns": 0.5,
            "rollouts/masked": 0.0,
            "rollouts/tricks": 0.25,
        }
    )


def test_the_judge_gets_the_tags_of_a_step() -> None:
    tags = {"darkroom.program": '[{"kind":"sepia"}]'}
    assert scoring.scene_of(ROW | {"tags": tags}).tags == tags
    assert scoring.scene_of(ROW).tags == {}


def test_a_masked_rollout_is_in_no_mean() -> None:
    paid, figures = scored(Asked(None, None), [said("a deep red sky"), said("make it red")])
    assert paid == [None, pytest.approx(0.6)]
    assert figures["rollouts/masked"] == 0.5
    assert figures["terms/form"] == 1.0
    assert "terms/gain" not in figures


def test_a_few_rollouts_are_written_down_every_so_often(tmp_path: Path) -> None:
    samples, texts = tmp_path / "rollouts.jsonl", [said("make it red")] * 6
    for step in range(4):
        scored(Asked(*[None] * 6), texts, samples, step)
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0] * scoring.SAMPLED + [2] * scoring.SAMPLED
    assert lines[0]["reply"] == texts[0]
    assert lines[0]["terms"]["critic"] == 1.0


def test_rewards_come_after_edits_were_begun() -> None:
    made = scoring.Scoring(Asked(), Reward(), None, 1)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="begun"):
        made.reward([], [], SimpleNamespace(global_step=0), print)
