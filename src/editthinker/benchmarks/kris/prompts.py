"""The judge prompts of KRIS-Bench: which one a call takes, where they are read, and ours in their place.

In: the `utils/prompts.py` of a checkout. Out: `Prompts` by the names of the authors' templates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from editthinker.benchmarks import prompts as judge_prompts
from editthinker.benchmarks.kris.scoring import (
    CONSISTENCY,
    DUAL,
    INSTRUCTION,
    MULTI,
    QUALITY,
    TEMPORAL,
    VIEWPOINT,
)
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.records import filled

FILES: Final = ("utils/prompts.py", "ReasonEdit/prompts.py", "prompts.py", "eval/kris/prompts.py")
_CONSISTENCY: Final = {MULTI: "prompt_consist_multi", TEMPORAL: "prompt_consist_temporal"}
_INSTRUCTION: Final = {
    MULTI: "prompt_instruction_multi",
    TEMPORAL: "prompt_instruction_temporal",
    VIEWPOINT: "prompt_view_instruction_following",
}


def name_of(category: str, call: str) -> str:
    """The template of one call.

    Never `prompt_abnormal_instruction_following`: the scripts ask for a category that does not exist.
    """
    if call == QUALITY:
        return "prompt_quality"
    if call == CONSISTENCY:
        return _CONSISTENCY.get(category, "prompt_consist")
    usual = "prompt_dual_evaluation" if category in DUAL else "prompt_instruction_following"
    return _INSTRUCTION.get(category, usual)


NAMES: Final = (
    "prompt_consist",
    *_CONSISTENCY.values(),
    "prompt_instruction_following",
    *_INSTRUCTION.values(),
    "prompt_dual_evaluation",
    "prompt_quality",
)


def official(checkout: Path) -> Prompts:
    """The authors' templates. Raises `InputError`."""
    path = judge_prompts.located(checkout, *FILES)
    texts = judge_prompts.chosen(judge_prompts.from_python(path), NAMES, path)
    return judge_prompts.unverified(texts, path, "KRIS-Bench")


def _form(*names: str) -> str:
    scores = ", ".join(
        f'"{name}_score": <whole number from 1 (not at all) to 5 (completely)>' for name in names
    )
    return (
        f'\n\nReply with one JSON object and nothing else: {{{{"reasoning": "<a few sentences>", {scores}}}}}'
    )


_ASKED = "What was asked for: {instruct}\n\n"
_KEPT = "Is everything that had not to change for this still the same?"
_DONE = "Was exactly this done?"
_ONE = "You are shown an image and an edited version of it. "
_SEVERAL = "You are shown the images that were given, then what was made of them. "
_FRAMES = "You are shown the frames of a sequence in order; frame {N} was made, the others were given. "


def ours() -> Prompts:
    """Our own questions, under the names of the authors' templates."""
    consistency, instruction = _form(CONSISTENCY), _form(INSTRUCTION)
    truth = "After them stands an image of what is right. "
    texts = {
        "prompt_consist": _ONE + _ASKED + _KEPT + consistency,
        "prompt_consist_multi": _SEVERAL
        + _ASKED
        + "Is what was taken over from them the same?"
        + consistency,
        "prompt_consist_temporal": _FRAMES + _ASKED + "Are scene and things the same in it?" + consistency,
        "prompt_instruction_following": _ONE + _ASKED + _DONE + instruction,
        "prompt_instruction_multi": _SEVERAL + _ASKED + _DONE + instruction,
        "prompt_instruction_temporal": _FRAMES + _ASKED + "Does it fit at its place?" + instruction,
        "prompt_view_instruction_following": _ONE + truth + _ASKED + _DONE + instruction,
        "prompt_dual_evaluation": (
            _ONE
            + _ASKED
            + "What should happen: {explanation}\n\n"
            + "Score apart: was what was asked for done, and does the image show what should happen?"
            + " Where it was not done, the second score is 1."
            + _form(INSTRUCTION, "knowledge")
        ),
        # sent as it is: nothing is put into it, so its braces are single
        "prompt_quality": "Is this image natural and free of faults?" + filled(_form(QUALITY), {}),
    }
    return judge_prompts.ours(texts)
