"""The Python facade takes what the command line takes, as objects or as names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editthinker import api
from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import InputError
from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest, Judged, Plan, Sample, Score
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph


class Keen:
    """Takes several images and a mask, and remembers what it was asked."""

    def __init__(self) -> None:
        self.info = EditorInfo("keen", max_images=4, mask=True, price=0.5)
        self.requests: list[EditRequest] = []

    async def edit(self, request: EditRequest) -> Edited:
        self.requests.append(request)
        return Edited(Picture(Image.new("RGB", request.images[0].size, "teal")))


class Generous:
    name = "generous"
    price = 0.1

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        return Judged(Score(9, 9))


def edit(editor: Any, **options: Any) -> api.Trajectory:
    return api.edit(photograph(96, 64), "warmer", editor=editor, thinker=ScriptedThinker(), **options)


def test_references_and_a_mask_in_any_form() -> None:
    editor = Keen()
    edit(
        editor,
        images=[photograph(32, 32), photograph(48, 48).pixels],
        mask=Image.new("L", (96, 64), 255),
        turns=1,
    )
    (request,) = editor.requests
    assert [image.size for image in request.images] == [(96, 64), (32, 32), (48, 48)]
    assert request.mask
    assert request.mask.size == (96, 64)


@pytest.mark.parametrize("box", [(48, 0, 48, 32), (0.5, 0.0, 0.5, 0.5)])
def test_a_box_is_left_top_width_height(box: tuple[float, ...]) -> None:
    editor = Keen()
    edit(editor, box=box, turns=1)
    assert editor.requests[0].mask
    assert editor.requests[0].mask.pixels.convert("L").getbbox() == (48, 0, 96, 32)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"box": (1, 2, 3)}, "a box is four numbers"),
        ({"box": (0, 0, 9, 9), "mask": photograph(96, 64)}, "say the same thing"),
        ({"mask": photograph(32, 32)}, "must be the same"),
        ({"plan": []}, "at least one step"),
        ({"plan": ["warmer"], "strategy": "single"}, "does not go by a plan"),
        ({"candidates": 99}, "candidates must be a whole number"),
        ({"retries": -1}, "retries must be a whole number"),
        ({"policy": "wild"}, "unknown policy 'wild'"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_call(options: dict[str, Any], sentence: str) -> None:
    editor = Keen()
    with pytest.raises(InputError, match=sentence):
        edit(editor, **options)
    assert editor.requests == []


def test_an_option_that_is_none_is_a_mistake_in_the_program() -> None:
    with pytest.raises(TypeError, match="there is no option 'turn'"):
        edit(Keen(), turn=2)


def test_judges_alternates_and_a_plan_may_be_objects_or_names() -> None:
    result = edit(Keen(), judge=Generous())
    assert result.turns[0].judged == Score(9, 9)
    result = edit(
        ScriptedEditor(),
        alternates=[ScriptedEditor(name="other")],
        policy="adaptive",
        turns=4,
        comparer="none",
        judge="none",
    )
    assert {turn.editor for turn in result.turns} == {"scripted", "other"}
    assert edit(Keen(), plan=["warmer", "darker"], turns=1).strategy == "plan-and-edit"
    assert edit(Keen(), plan=Plan(("warmer",)), turns=1).plan == Plan(("warmer",))


def test_every_option_is_in_the_record_by_name(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "judge": Generous(),
        "alternates": [ScriptedEditor(name="other")],
        "images": [photograph(32, 32)],
        "box": (0.0, 0.0, 1.0, 0.5),
    }
    with pytest.raises(InputError, match="takes 1 image"):
        edit(ScriptedEditor(), run=tmp_path / "no", **options)
    del options["alternates"]
    edit(Keen(), run=tmp_path / "run", **options)
    config = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["config"]
    assert set(api.DEFAULTS) < set(config)
    assert (config["editor"], config["thinker"], config["judge"]) == ("keen", "scripted", "generous")
    assert (config["images"], config["mask"], config["box"]) == (1, False, [0.0, 0.0, 1.0, 0.5])
    assert config["max_cost"] is None


def test_an_outlook_counts_without_asking() -> None:
    editor = Keen()
    options: dict[str, Any] = {"editor": editor, "thinker": "darkroom", "judge": Generous()}
    told = api.outlook(photograph(96, 64), "warmer", turns=2, candidates=2, **options)
    assert (told.estimate.editor_calls, told.estimate.cost) == (4, pytest.approx(4 * 0.5 + 4 * 0.1))
    assert editor.requests == []
    alone = api.outlook(photograph(96, 64), "warmer", editor=editor, thinker=None)
    assert (alone.method.strategy, alone.estimate.editor_calls) == ("single", 1)
