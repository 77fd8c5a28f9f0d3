"""Candidates, judges, plans, bases and masks: kept as they happen, and shown."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from test_report import PAYLOADS, Page

from editthinker.core.episode import Episode
from editthinker.core.events import EditFinished, Event
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.records import ImageRef, TrajectoryRecord
from editthinker.core.regions import mask_of_box
from editthinker.core.types import Plan, Sample
from editthinker.runs import RunFolder, report
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker
from peers.scripted_models import Comparing, Judging, Planning, says

PHOTO = photograph()
GOOD, FAIR, POOR = (9, 9), (6, 6), (1, 5)


def kept(run: RunFolder, thinker: Any, *, sample: Sample | None = None, **more: Any) -> TrajectoryRecord:
    sample = sample or Sample((PHOTO,), "warmer and sharper")
    recorder = run.recorder(sample)
    limits = Limits(turns=more.pop("turns", 2))
    editor = more.pop("editor", None) or ScriptedEditor()
    episode = Episode(sample, editor, thinker, limits=limits, listener=recorder, **more)
    asyncio.run(episode.run())
    return recorder.finish(episode.trajectory)


# --- kept ---


def test_everything_comes_back_as_it_was(run: RunFolder) -> None:
    thinker = Planning("warmer", "worse", script=(GOOD, GOOD, says("x", POOR), POOR, POOR, POOR, FAIR, FAIR))
    comparer = Comparing(lambda first, second: 0)
    record = kept(run, thinker, strategy="plan-and-edit", candidates=2, judge=Judging(), comparer=comparer)
    (read,) = run.trajectories()
    assert read == record
    assert {call.role for call in read.calls} == {"editor", "thinker", "judge"}
    assert len(read.calls) == read.spend.editor_calls + read.spend.thinker_calls + read.spend.judge_calls


def test_calls_are_kept_in_the_order_of_the_trajectory_while_it_runs(run: RunFolder) -> None:
    """`finish` only fills what is missing, so a call with another's number would be lost."""
    sample = Sample((PHOTO,), "warmer")
    recorder = run.recorder(sample)
    thinker = ScriptedThinker(seconds=0.002)
    episode = Episode(
        sample,
        ScriptedEditor(seconds=0.001),
        thinker,
        judge=Judging(seconds=0.003),
        candidates=3,
        listener=recorder,
    )
    asyncio.run(episode.run())
    (before,) = run.trajectories()
    recorder.finish(episode.trajectory)
    (after,) = run.trajectories()
    assert before.calls == after.calls
    assert [(call.role, call.started) for call in after.calls] == [
        (call.role, call.started) for call in episode.trajectory.calls
    ]


async def test_candidates_are_kept_before_they_are_judged(run: RunFolder) -> None:
    sample = Sample((PHOTO,), "warmer")
    recorder = run.recorder(sample)
    seen: list[TrajectoryRecord] = []

    async def hear(event: Event) -> None:
        await recorder(event)
        if isinstance(event, EditFinished):
            seen.extend(run.trajectories())

    episode = Episode(sample, ScriptedEditor(), ScriptedThinker(), candidates=3, listener=hear)
    await anext(aiter(episode))
    await episode.aclose()
    last = seen[-1].turns[0]
    assert (last.critique, last.editor) == (None, "scripted")
    assert len({last.image.sha256, *(other.image.sha256 for other in last.others)}) == 3
    assert all(run.image_path(other.image).is_file() for other in last.others)


async def test_what_came_later_is_not_overwritten_by_what_was_slow_to_store(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = Sample((PHOTO,), "warmer")
    recorder = run.recorder(sample)
    keep, slow = run._blobs.keep, [0.0, 0.15]

    def hesitating(picture: Picture) -> ImageRef:
        time.sleep(slow.pop(0) if slow else 0.0)
        return keep(picture)

    monkeypatch.setattr(run._blobs, "keep", hesitating)
    thinker = ScriptedThinker(seconds=0.5)
    episode = Episode(sample, ScriptedEditor(), thinker, candidates=3, listener=recorder)
    task = asyncio.create_task(episode.run())
    while not thinker.views:
        await asyncio.sleep(0.01)
    (seen,) = run.trajectories()
    assert len(seen.turns[0].others) == 2
    await episode.aclose()
    await task


def test_losing_images_are_in_the_summary(run: RunFolder) -> None:
    record = kept(run, ScriptedThinker(), candidates=3, turns=1)
    document = json.loads(json.dumps(report.summary(run)))
    assert {other.image.sha256 for other in record.turns[0].others} < set(document["images"])


# --- shown ---


def test_a_plan_is_shown_with_what_became_of_its_steps(run: RunFolder) -> None:
    script = (says("warmer still", FAIR), GOOD, says("x", POOR), POOR, GOOD, GOOD)
    kept(run, Planning("warmer", "worse", "sharper", script=script), strategy="plan-and-edit")
    page = Page(report.write_html(run))
    page.check_inert()
    assert len(page.with_class("plan")) == 1
    assert len(page.with_class("undone")) == 1
    assert "warmerturn 2worseskippedsharperturn 5" in page.words
    assert "Turn 2 · step 1" in page.words
    assert "made from turn 2" in page.words
    assert "step 2 came to nothing and was skipped" in page.words
    assert "looked at as a whole" in page.words
    assert "warmer<ins> still</ins>" in page.html


def test_steps_that_were_not_reached_are_said_to_be(run: RunFolder) -> None:
    limits: Any = {"turns": 1}
    sample = Sample((PHOTO,), "both")
    recorder = run.recorder(sample)
    episode = Episode(
        sample,
        ScriptedEditor(),
        ScriptedThinker(FAIR, FAIR),
        strategy="plan-and-edit",
        plan=Plan(("warmer", "sharper")),
        limits=Limits(editor_calls=1, **limits),
        listener=recorder,
    )
    asyncio.run(episode.run())
    recorder.finish(episode.trajectory)
    assert "sharpernot reached" in Page(report.write_html(run)).words


def test_candidates_are_shown_small_with_their_scores(run: RunFolder) -> None:
    record = kept(run, ScriptedThinker((5, 5), (7, 7), (6, 6)), candidates=3, turns=1)
    page = Page(report.write_html(run))
    page.check_inert()
    assert "Chosen over 2 other candidates" in page.words
    assert "seed 05.0" in page.words
    assert "seed 26.0" in page.words
    alts = [image["alt"] for image in page.of("img") if "Candidate" in (image["alt"] or "")]
    assert alts == ["Candidate with seed 0", "Candidate with seed 2"]
    run.image_path(record.turns[0].others[0].image).unlink()
    assert "image missing" in Page(report.write_html(run)).words


def test_judged_and_thought_are_told_apart_and_the_choice_is_explained(run: RunFolder) -> None:
    thinker, judge = (
        ScriptedThinker(says("b", (10, 9)), says("c", None, satisfied=False)),
        Judging(FAIR, FAIR),
    )
    record = kept(run, thinker, judge=judge, comparer=Comparing(lambda first, second: 1))
    assert record.chosen == 2
    page = Page(report.write_html(run))
    assert "Scored by the judge. The thinker gave semantic 10.0, quality 9.0." in page.words
    assert "Scored by the judge. The thinker is not satisfied." in page.words
    assert "How it was chosen" in page.words
    assert "Turns 1 and 2 were compared by comparing." in page.words


def test_a_change_of_editor_and_its_reason_are_shown(run: RunFolder) -> None:
    thinker = ScriptedThinker(says("b", FAIR), says("c", (5, 5)), says("d", (5, 5)), says("e", (5, 5)))
    other = ScriptedEditor(name="the other")
    kept(run, thinker, policy="adaptive", alternates=[other], turns=4)
    page = Page(report.write_html(run))
    assert page.words.count("by the other") == 1
    assert "turn 2 was no better than turn 1: its words with another seed" in page.words


def test_further_images_and_the_mask_are_shown(run: RunFolder) -> None:
    editor = ScriptedEditor()
    editor.info = replace(editor.info, max_images=2, mask=True)
    sample = Sample((PHOTO, photograph(seed=3)), "mix", mask=mask_of_box(PHOTO.size, (0, 0, 9, 9)))
    record = kept(run, ScriptedThinker(), sample=sample, editor=editor, turns=1)
    assert record.sample.mask
    page = Page(report.write_html(run))
    assert "SourceImage 2Mask" in page.words
    assert record.sample.mask.sha256 in report.summary(run)["images"]


@pytest.mark.parametrize("payload", [p for p in PAYLOADS if p.strip() and "\udcff" not in p][:24])
def test_words_of_plans_reasons_and_editors_are_data(run: RunFolder, payload: str) -> None:
    steps = Plan((payload, payload + " again"), payload)
    comparer = Comparing(lambda first, second: 0)
    comparer.name = payload
    thinker = ScriptedThinker(says(payload, FAIR), says("x", FAIR), says("y", FAIR), says("z", FAIR))
    editor = ScriptedEditor(name=payload)
    kept(
        run,
        thinker,
        editor=editor,
        plan=steps,
        strategy="plan-and-edit",
        comparer=comparer,
        policy="adaptive",
    )
    Page(report.write_html(run)).check_inert()


def test_a_record_of_the_first_version_is_still_shown(run: RunFolder) -> None:
    record = kept(run, ScriptedThinker(GOOD))
    old = json.loads(record.model_dump_json())
    for key in ("plan", "accepted", "chosen_by"):
        del old[key]
    for turn in old["turns"]:
        for key in ("judged", "base", "step", "editor", "why", "others"):
            del turn[key]
    read = TrajectoryRecord.model_validate({**old, "schema_version": 1})
    assert read.turns[0].score == record.turns[0].score
