"""The world of a rollout: what is asked of editor and judge, what is masked, what waits, what is kept."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, JudgeError, Refused, StoreError
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest, Judged, Sample, Score
from editthinker.darkroom import targets
from editthinker.darkroom.judge import DarkroomJudge
from editthinker.darkroom.program import Operation
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import tinted
from editthinker.training import rollouts
from editthinker.training.kept import Kept
from editthinker.training.recipe import World
from editthinker.training.rewards import Looks
from editthinker.training.rollouts import Environment, Outage, Scene, Wish, seed_of

pytestmark = pytest.mark.clock

WORLD = {"editor": ("scripted",), "judge": ("scripted",), "deadline": 5.0, "patience": 5.0}


class Painter:
    """Tints; fails as told by words, `fails` of an instruction being asked before anything is made."""

    info = EditorInfo("painter")

    def __init__(
        self, fails: Callable[[str, int], Exception | float | None] = lambda words, number: None
    ) -> None:
        self.asked: list[EditRequest] = []
        self.cancelled = 0
        self._fails = fails

    async def edit(self, request: EditRequest) -> Edited:
        self.asked.append(request)
        what = self._fails(request.instruction, len(self.asked))
        if isinstance(what, Exception):
            raise what
        try:
            await asyncio.sleep(what or 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Edited(tinted(request))

    @property
    def words(self) -> list[str]:
        return sorted(request.instruction for request in self.asked)


class Eyes:
    """Scores by the image alone, so that a mixed-up answer shows."""

    name = "eyes"

    def __init__(self, fails: Callable[[int], Exception | None] = lambda number: None) -> None:
        self.asked = 0
        self._fails = fails

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        self.asked += 1
        if error := self._fails(self.asked):
            raise error
        return Judged(seen(edited))


def seen(image: Picture) -> Score:
    return Score(int(image.sha256[:4], 16) / 65535 * 10, int(image.sha256[4:8], 16) / 65535 * 10)


@pytest.fixture
def scenes(tmp_path: Path) -> list[Scene]:
    made = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        photograph(40, 32, seed=number).save(path)
        made.append(Scene(f"scene{number}", f"wish {number}", f"sent {number}", (path,)))
    return made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., Environment]]:
    opened: list[Environment] = []

    def make(editor: Any, judge: Any = None, /, **more: Any) -> Environment:
        extra = {name: more.pop(name) for name in ("tell", "leave", "preservation") if name in more}
        recipe = World.model_validate(WORLD | more)
        opened.append(Environment(editor, judge or Eyes(), recipe, tmp_path / "kept", **extra).__enter__())
        return opened[-1]

    yield make
    for one in opened:
        one.__exit__(None, None, None)
    assert "environment" not in {thread.name for thread in threading.enumerate()}


def expected(scene: Scene, words: str, seed: int = 0) -> Score:
    request = EditRequest((Picture.open(scene.sources[0]),), words, seed_of(seed, scene.id))
    return seen(tinted(request))


def until(true: Callable[[], bool]) -> None:
    """Wait for it, not for long."""
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def looked(world: Environment, wishes: Sequence[Wish]) -> list[Looks | None]:
    return world.looks(world.begin(wishes))


def test_the_darkrooms_judge_knows_by_its_tag_what_was_wanted(
    scenes: list[Scene], world: Callable[..., Environment]
) -> None:
    tagged = replace(scenes[0], tags={targets.TAG: targets.spelled((Operation("sepia"),))})
    env = world(Painter(), DarkroomJudge())
    known, unknown = looked(env, [Wish(tagged, "a"), Wish(scenes[1], "a")])
    assert known
    assert known[1].score
    assert unknown is None


def test_each_wish_gets_both_images_of_its_own_scene(world: Any, scenes: list[Scene]) -> None:
    """R5, R6: by content, not by place; the same from whatever order they come in."""
    wishes = [Wish(scene, words) for scene in scenes for words in ("redder", None, "bluer", "redder")]
    random.Random(1).shuffle(wishes)
    for wish, looks in zip(wishes, looked(world(Painter()), wishes), strict=True):
        if wish.words is None:
            assert looks is None
        else:
            assert looks is not None
            assert looks[0].score == expected(wish.scene, wish.scene.sent)
            assert looks[1].score == expected(wish.scene, wish.words)


def test_equal_wishes_are_edited_once_with_one_seed_for_a_scene(world: Any, scenes: list[Scene]) -> None:
    editor, judge = Painter(), Eyes()
    looked(
        world(editor, judge),
        [Wish(scenes[0], "redder")] * 4 + [Wish(scenes[0], "bluer"), Wish(scenes[1], "redder")],
    )
    assert editor.words == ["bluer", "redder", "redder", "sent 0", "sent 1"]
    assert judge.asked == 5
    by_image: dict[str, set[int]] = {}
    for request in editor.asked:
        by_image.setdefault(request.images[0].sha256, set()).add(request.seed)
    assert all(len(seeds) == 1 for seeds in by_image.values())
    assert len(set.union(*by_image.values())) == 2  # R6: not one seed for everything


def test_going_back_to_the_sent_words_gains_exactly_nothing(world: Any, scenes: list[Scene]) -> None:
    looks = looked(world(Painter()), [Wish(scenes[0], "sent 0")])[0]
    assert looks is not None
    assert looks[0] == looks[1]


def test_what_was_answered_is_never_asked_again(world: Any, scenes: list[Scene], tmp_path: Path) -> None:
    wishes = [Wish(scene, "redder") for scene in scenes]
    first = looked(world(Painter()), wishes)
    for name in ("edits.jsonl", "looks.jsonl"):
        with (tmp_path / "kept" / name).open("ab") as torn:
            torn.write(b'\n{"key": "killed in the mid')
    for image in (tmp_path / "kept" / "images").iterdir():
        image.unlink()  # a score needs its image only once
    editor, judge = Painter(), Eyes()
    again = world(editor, judge)
    assert looked(again, wishes) == first
    assert (editor.asked, judge.asked) == ([], 0)
    assert again.figures()["known"] == 6


def test_another_editor_judge_seed_or_wish_is_another_question(world: Any, scenes: list[Scene]) -> None:
    looked(world(Painter()), [Wish(scenes[0], "redder")])
    other_wish = Scene("scene0", "another wish", "sent 0", scenes[0].sources)
    for change, scene, edits, judgements in (
        ({"editor": ("other",)}, scenes[0], 2, 0),  # it paints the same, and equal images are judged once
        ({"judge": ("other",)}, scenes[0], 0, 2),
        ({"seed": 1}, scenes[0], 2, 2),
        ({}, other_wish, 0, 2),
    ):
        editor, judge = Painter(), Eyes()
        looked(world(editor, judge, **change), [Wish(scene, "redder")])
        assert (len(editor.asked), judge.asked) == (edits, judgements)


def test_a_failed_edit_or_judgement_is_none_and_moves_nobody(world: Any, scenes: list[Scene]) -> None:
    """R3, R4, R5, R10: nothing is invented, nobody's answer shifts."""
    editor = Painter(lambda words, _: EditorError("broken") if words == "b" else None)
    judge = Eyes(lambda number: JudgeError("cannot read the reply") if number == 4 else None)
    wishes = [Wish(scene, words) for scene in scenes for words in ("a", "b", "c", "d")]
    env = world(editor, judge)
    looks = looked(env, wishes)
    lost = [wish for wish, one in zip(wishes, looks, strict=True) if one is None]
    assert {wish.words for wish in lost} >= {"b"}
    for wish, one in zip(wishes, looks, strict=True):
        assert one is None or one[1].score == expected(wish.scene, str(wish.words))
    figures = env.figures()
    assert figures["failed"] == len(lost)
    assert figures["editor_calls"] == 15
    assert figures["late"] == figures["declined"] == 0


def test_a_refusal_is_masked_is_no_outage_and_is_asked_once(world: Any, scenes: list[Scene]) -> None:
    editor = Painter(lambda words, _: Refused("no") if words == "naked" else None)
    env = world(editor, patience=0, at_least=1.0)
    for _ in range(2):
        assert looked(env, [Wish(scenes[0], "naked")] * 3) == [None] * 3
    assert editor.words.count("naked") == 1
    assert env.figures()["declined"] == 6


def test_a_late_call_is_masked_and_finished_for_the_folder(
    world: Any, scenes: list[Scene], monkeypatch: Any
) -> None:
    monkeypatch.setattr(rollouts, "GIVEN_UP", 100.0)
    editor = Painter(lambda words, _: 3.0 if words == "slow" else None)
    env = world(editor, deadline=1.0)
    wishes = [Wish(scenes[0], words) for words in ("slow", "quick")]
    began = time.monotonic()
    looks = looked(env, wishes)
    assert time.monotonic() - began < 2.5
    assert looks[0] is None
    assert looks[1] is not None
    assert env.figures()["late"] == 1
    until(lambda: looked(env, wishes)[0] is not None)
    assert editor.words.count("slow") == 1


def test_a_hung_call_is_given_up_in_the_end(world: Any, scenes: list[Scene]) -> None:
    editor = Painter(lambda words, _: 60.0 if words == "hung" else None)
    env = world(editor, deadline=0.5, at_least=0.1)
    looked(env, [Wish(scenes[0], words) for words in ("hung", "a", "b")])
    until(lambda: editor.cancelled == 1)  # R9: nothing goes on behind our back


def test_an_outage_is_waited_out_and_nothing_is_lost(
    world: Any, scenes: list[Scene], monkeypatch: Any
) -> None:
    monkeypatch.setattr(rollouts, "FIRST_PAUSE", 0.05)
    told: list[str] = []
    editor = Painter(lambda _, number: EditorError("connection refused") if number <= 14 else None)
    wishes = [Wish(scene, words) for scene in scenes for words in ("a", "b")]
    looks = looked(world(editor, tell=told.append), wishes)
    assert all(looks)
    assert "6 of 6 rollouts have no image or no score (connection refused)" in told[0]
    assert "answer again" in told[-1]
    assert len(told) == 2


def test_an_outage_that_lasts_ends_the_training_with_a_sentence(world: Any, scenes: list[Scene]) -> None:
    judge = Eyes(lambda _: JudgeError("no key"))
    with pytest.raises(Outage, match=r"1 of 2 .*no key.*nothing was learned.*last checkpoint"):
        looked(
            world(Painter(), judge, patience=0.2, at_least=0.6), [Wish(scenes[0], "a"), Wish(scenes[0], None)]
        )


def test_whoever_wants_to_leave_need_not_wait_for_an_outage_to_end(world: Any, scenes: list[Scene]) -> None:
    editor = Painter(lambda *_: EditorError("down"))
    env = world(editor, patience=60, leave=lambda: True)
    with pytest.raises(KeyboardInterrupt):
        looked(env, [Wish(scenes[0], "a")])


def test_a_full_disk_is_no_outage(world: Any, scenes: list[Scene], monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(Kept, "keep_look", full)
    began = time.monotonic()
    with pytest.raises(StoreError, match="full"):
        looked(world(Painter(), patience=60), [Wish(scenes[0], "a")])
    assert time.monotonic() - began < 5


def test_an_unreadable_source_is_masked(world: Any, scenes: list[Scene], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    gone = Scene("gone", "w", "s", (tmp_path / "gone.png",))
    broken = Scene("broken", "w", "s", (bad,))
    looks = looked(
        world(Painter()), [Wish(scenes[0], "a"), Wish(scenes[1], "a"), Wish(broken, "a"), Wish(gone, "a")]
    )
    assert [one is None for one in looks] == [False, False, True, True]


def test_closing_cancels_what_is_under_way(world: Any, scenes: list[Scene]) -> None:
    editor = Painter(lambda *_: 60.0)
    env = world(editor)
    env.begin([Wish(scenes[0], "a"), Wish(scenes[1], "a")])
    while len(editor.asked) < 4:
        time.sleep(0.01)
    began = time.monotonic()
    env.__exit__(None, None, None)
    assert editor.cancelled == 4
    assert time.monotonic() - began < 5


def test_a_batch_is_edited_at_the_same_time_and_while_the_trainer_works(
    world: Any, scenes: list[Scene]
) -> None:
    env = world(Painter(lambda *_: 0.3))
    began = time.monotonic()
    batch = env.begin([Wish(scene, words) for scene in scenes for words in "abcdefgh"])
    assert time.monotonic() - began < 0.25
    time.sleep(0.3)  # the trainer's own work
    assert all(env.looks(batch))
    figures = env.figures()
    assert figures["editor_calls"] == 27
    assert figures["editor_seconds"] >= 0.29
    assert figures["editor_blocked"] + figures["judge_blocked"] < time.monotonic() - began - 0.29


def test_what_was_kept_is_measured_when_it_is_asked_for(world: Any, scenes: list[Scene]) -> None:
    looks = looked(world(Painter(), preservation=True), [Wish(scenes[0], "a")])[0]
    assert looks is not None
    assert looks[0].kept is None or 0 <= looks[0].kept <= 1
    assert looked(world(Painter()), [Wish(scenes[0], "a")])[0][1].kept is None  # type: ignore[index]


def test_images_go_when_they_are_many_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path, most=4000)
    names = [kept.keep_image(f"k{number}", photograph(24, 24, seed=number)) for number in range(6)]
    assert sum(path.stat().st_size for path in (tmp_path / "images").iterdir()) <= 4000
    assert kept.image(names[0]) is None
    last = kept.image(names[-1])
    assert last is not None
    assert last.sha256 == photograph(24, 24, seed=5).sha256
    (tmp_path / "images" / f"{names[-1]}.png").write_bytes(b"torn")
    assert Kept(tmp_path).image(names[-1]) is None
