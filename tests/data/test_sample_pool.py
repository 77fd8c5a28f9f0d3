"""Who edits what, and samples that say their target in a tag."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from editthinker.core.errors import InputError
from editthinker.core.types import Sample
from editthinker.darkroom.cases import Truth
from editthinker.darkroom.photographs import photographs
from editthinker.darkroom.program import Operation
from editthinker.darkroom.targets import TAG, spelled, target_of
from editthinker.data.pool import digest, divided, drawn, tagged, training_photographs
from editthinker.runs.samples import Entry
from editthinker.testing import photograph

Tasks = st.lists(st.sampled_from("abcd"), max_size=60)


def entries(tasks: list[str]) -> list[Entry]:
    return [Entry(f"s{number}", "do it", tags=(("task", task),)) for number, task in enumerate(tasks)]


@given(Tasks, st.integers(1, 5))
def test_every_editor_gets_its_share_of_every_kind(tasks: list[str], editors: int) -> None:
    pool = entries(tasks)
    parts = divided(pool, editors)
    assert sorted(entry.id for part in parts for entry in part) == sorted(entry.id for entry in pool)
    for task, number in Counter(tasks).items():
        each = [sum(dict(entry.tags)["task"] == task for entry in part) for part in parts]
        assert max(each) - min(each) <= 1
        assert sum(each) == number


@given(Tasks, Tasks, st.integers(1, 5))
def test_a_pool_that_grows_at_its_end_changes_nobodys_part(
    first: list[str], more: list[str], editors: int
) -> None:
    before, after = divided(entries(first), editors), divided(entries(first + more), editors)
    assert [part[: len(old)] for part, old in zip(after, before, strict=True)] == before


def test_tags_lie_on_top_and_change_what_the_pool_is() -> None:
    pool = entries(["a"])
    (one,) = tagged(pool, {"licence": "CC0-1.0", "task": "b"})
    assert dict(one.tags) == {"task": "b", "licence": "CC0-1.0"}
    assert digest([one]) != digest(pool) == digest(entries(["a"]))


PROGRAM = (Operation("exposure", "up", strength="strong"), Operation("text", "top", text="été \u202e"))


def test_a_target_is_the_same_from_memory_and_from_a_tag() -> None:
    photo = (photograph(16, 16),)
    assert target_of(Sample(photo, "x", truth=PROGRAM)) == PROGRAM
    assert target_of(Sample(photo, "x", truth=Truth(PROGRAM, "direct"))) == PROGRAM
    assert target_of(Sample(photo, "x", tags={TAG: spelled(PROGRAM)})) == PROGRAM
    assert spelled(PROGRAM).isascii()
    assert target_of(Sample(photo, "x")) is None
    for broken in ("", "[", "3", "[3]", '[{"kind":"magic"}]', '[{"colour":"red"}]'):
        assert target_of(Sample(photo, "x", tags={TAG: broken})) is None


def test_drawn_samples_say_whose_they_are_and_are_drawn_once(tmp_path: Path) -> None:
    photos = photographs("validation")[:3]
    out = tmp_path / "pool"
    assert drawn(out, photos, 4, keep=False) == drawn(out, photos, 4)
    first = drawn(out, photos, 4)
    text = (out / "samples.jsonl").read_bytes()
    assert drawn(out, photos, 2) == first[:2]
    assert (out / "samples.jsonl").read_bytes() == text
    assert drawn(out, photos, 6)[:4] == first
    by_name = {photo.name: photo for photo in photos}
    for entry in first:
        tags = dict(entry.tags)
        assert not entry.problem
        assert tags["licence"] == by_name[tags["photo"]].licence
        assert tags["dataset"] == f"darkroom {by_name[tags['photo']].package}"
        assert target_of(Sample((photograph(16, 16),), "x", tags=tags))
    with pytest.raises(InputError, match="was drawn with the seed 0, not 1"):
        drawn(out, photos, 2, seed=1)


def test_photographs_of_a_folder_with_a_manifest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        photograph(32, 32).save(tmp_path / f"{name}.png")
    assert [photo.licence for photo in training_photographs(tmp_path)] == ["", ""]
    row = '[[photograph]]\nfile = "{}.png"\nsplit = "{}"\nlicence = "CC0-1.0"\nwidth = 32\nheight = 32\n'
    place = tmp_path / "photographs.toml"
    place.write_text(row.format("one", "train") + row.format("two", "test"))
    assert [photo.name for photo in training_photographs(tmp_path)] == ["one"], "held out stays held out"
    place.write_text(row.format("two", "test"))
    with pytest.raises(InputError, match="only held-out ones"):
        training_photographs(tmp_path)
    place.write_text("photograph = 3")
    with pytest.raises(InputError, match="cannot read"):
        training_photographs(tmp_path)
