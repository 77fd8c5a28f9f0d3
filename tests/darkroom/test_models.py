"""The shipped models: they keep the contracts' promises, need no torch, and refuse tampered weights."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from editthinker.core import reply
from editthinker.core.contracts import View
from editthinker.core.errors import Refused, StoreError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, EditRequest, Sample
from editthinker.darkroom import layout, weights
from editthinker.darkroom.cases import Truth, draw_samples
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.judge import DarkroomJudge
from editthinker.darkroom.language import sentences
from editthinker.darkroom.operations import execute
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.program import Operation
from editthinker.darkroom.thinker import DarkroomThinker, ExpertThinker
from editthinker.testing import check_editor, check_judge, check_thinker, photograph

WARM, OLD = (Operation("warmth", "warm"),), "make it look like an old photograph"


@cache
def editor() -> DarkroomEditor:
    return DarkroomEditor.load()


@cache
def thinker() -> DarkroomThinker:
    return DarkroomThinker.load()


def edited(instruction: str, seed: int = 0) -> tuple[Picture, list[str]]:
    answer = asyncio.run(editor().edit(EditRequest((photograph(),), instruction, seed)))
    return answer.image, answer.notes["program"]


def test_they_keep_the_promises_of_the_contracts() -> None:
    check_editor(DarkroomEditor.load)
    check_thinker(DarkroomThinker.load)
    sample = Sample((photograph(),), "make it warmer", truth=WARM)
    check_judge(DarkroomJudge, (sample,))


def test_plain_words_do_what_they_say() -> None:
    assert edited("make it black and white")[1] == ["<black_and_white> <@all>"]
    assert edited("make it much warmer")[1] == ["<warmth> <=warm> <@all> <~strong>"]


def test_any_string_can_be_written() -> None:
    for string in ("Grüße", "100 %", "<program> & </answer>", "make it black and white"):
        image, program = edited(f'write "{string}" at the top')
        assert program == ["<text> <=top>"]
        pixels = image.array()
        changed = np.abs(pixels.astype(int) - photograph().array()).sum(axis=(1, 2)) > 0
        assert changed[: len(changed) // 2].any()
        assert not changed[-5:].any()


def test_an_unread_language_is_refused_with_a_way_out() -> None:
    with pytest.raises(Refused, match="English"):
        edited("把天空变成红色")


def test_most_ordinary_wishes_are_understood() -> None:
    """At least 70 % of direct instructions, in held-out wordings of a fixed draw."""
    rng, right = random.Random(5), 0
    for number in range(120):
        utterance = sentences.draw(rng, "test", "direct")
        program = editor()._writer.write(utterance.instruction, seed=number)
        right += program == utterance.program
    assert right >= 84


def test_critiques_follow_the_grammar_and_repeat() -> None:
    source = photographs("validation")[0].picture()
    sample = Sample((source,), OLD)
    view = View(sample, OLD, execute(source, WARM))
    one, two = (asyncio.run(thinker().think(view)).critique for _ in range(2))
    assert one == two
    assert one == reply.parse(one.reply, previous_instruction=OLD)
    assert one.score.semantic < 8, "a warmer photo is not an old photograph"
    assert one.refined_instruction != OLD


def test_before_any_edit_it_rewrites() -> None:
    sample = Sample((photographs("validation")[0].picture(),), OLD)
    critique = asyncio.run(thinker().think(View(sample, OLD, None))).critique
    assert critique.score.semantic <= 2, "nothing is done yet"
    assert critique.refined_instruction != OLD


def test_the_expert_needs_a_truth_and_knows_done_from_undone() -> None:
    source = photographs("validation")[0].picture()
    with pytest.raises(ThinkerError, match="known target"):
        asyncio.run(ExpertThinker().think(View(Sample((source,), "x"), "x", source)))
    sample = Sample((source,), "like a summer evening", truth=Truth(WARM, "reasoning"))

    def critique(image: Picture) -> Critique:
        return asyncio.run(ExpertThinker().think(View(sample, sample.instruction, image))).critique

    undone, done = critique(source), critique(execute(source, WARM))
    assert undone.score.overall <= 2
    assert done.score.overall >= 9.5
    assert undone.refined_instruction == sentences.plain(WARM)


def test_tampered_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"name": "editor.tokenizer.json", "size": 1, "sha256": "0" * 64}
    monkeypatch.setattr(weights, "manifest", lambda: {"editor": {"files": [entry]}})
    with pytest.raises(StoreError, match="does not match"):
        weights.verified("editor")
    entry["name"] = "nothing.onnx"
    with pytest.raises(StoreError, match="missing"):
        weights.verified("editor")


def test_the_manifest_names_every_file() -> None:
    named = {file["name"] for model in weights.manifest().values() for file in model["files"]}
    there = {file.name for file in weights.FOLDER.iterdir()} - {"MANIFEST.toml"}
    assert named == there
    sizes = [len(data) for model in ("editor", "thinker") for data in weights.verified(model).values()]
    assert sum(sizes) < 40e6


def test_an_edit_loads_no_torch() -> None:
    code = (
        "import sys, editthinker\n"
        "from editthinker.darkroom.photographs import photographs\n"
        "photo = photographs('validation')[0].path\n"
        "result = editthinker.edit(photo, 'make it warmer', turns=2)\n"
        "assert result.turns[0].critique.score.overall >= 0 and result.stop.reason\n"
        "assert not {'torch', 'transformers', 'diffusers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_views_are_fitted_never_squeezed() -> None:
    wide = photograph(200, 100)
    views = layout.views(wide, wide)
    assert views.shape == (3, layout.SIDE, layout.SIDE, 3)
    assert (views[0][:30] == 128).all()
    assert (views[2] == 128).all(), "nothing changed, so the difference is flat"


def test_samples_are_repeatable_and_visible() -> None:
    photos = [(p.name, p.picture()) for p in photographs("validation")[:4]]
    one, two = (draw_samples(photos, 8, split="validation", seed=3) for _ in range(2))
    assert [s.instruction for s in one] == [s.instruction for s in two]
    assert [s.tags["group"] for s in one[:4]] == list(sentences.GROUPS)
    for sample in one:
        score = asyncio.run(DarkroomJudge().score(sample, execute(sample.source, sample.truth.program)))
        assert score.score.overall >= 9.5
        assert asyncio.run(DarkroomJudge().score(sample, sample.source)).score.overall <= 2
