"""Replies to our prompts, read: tags by `core.reply`, JSON by `wire.answers`; never a guessed score.

In: a reply and the view it answers. Out: a `Critique` or a `Plan`, or a `ReplyError` whose message can be
sent back to the thinker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import Field

from editthinker.core import reply
from editthinker.core.contracts import View
from editthinker.core.errors import ReplyError
from editthinker.core.method import MOST_STEPS
from editthinker.core.types import Critique, Plan
from editthinker.wire.answers import Answer, Unreadable, json_object

_IMPOSSIBLE = re.compile(r"^[ \t*]*IMPOSSIBLE:[ \t*]*(\S.*)$", re.MULTILINE)
_TAGS = re.compile(r"<\s*answer\s*>", re.IGNORECASE)
_NUMBER = re.compile(r"\A\s*(?:step\s+)?\d{1,2}\s*[.):]\s+", re.IGNORECASE)
_POINTS = r"(10|[0-9](\.[0-9])?)"
TAG_REGEX = (
    r"<think>[^<]+</think>\n"
    rf'<score>\{{"semantic": {_POINTS}, "quality": {_POINTS}\}}</score>\n'
    r"<answer>[^<\n]+</answer>"
)
"""The grammar of `core.reply`, as its `render` writes it, for guided decoding."""


class Points(Answer):
    """Both parts of a score."""

    semantic: float = Field(ge=0, le=10)
    quality: float = Field(ge=0, le=10)


class JsonCritique(Answer):
    """A critique in the style `json`; its score and its words are read by `core.reply`."""

    reasoning: str = ""
    score: Points
    impossible: str = ""
    answer: str


class Verdict(Answer):
    """What the expert says (paper section 4: reason, refined instruction, stop)."""

    reasoning: str = ""
    satisfied: bool
    impossible: str = ""
    instruction: str = ""


class Rewording(Answer):
    """What is said before any edit."""

    reasoning: str = ""
    impossible: str = ""
    instruction: str = ""


class Steps(Answer):
    """A plan."""

    reasoning: str = ""
    steps: list[str]


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a reply: how it is read, and how a server can be held to it."""

    read: Callable[[str, View], Critique]
    schema: Mapping[str, Any] | None = None
    regex: str | None = None


def _tags(text: str, view: View) -> Critique:
    critique = reply.parse(text, previous_instruction=view.instruction)
    found = _IMPOSSIBLE.search(critique.reasoning)
    return (
        replace(critique, impossible=_reason(found[1], critique.refined_instruction, view))
        if found
        else critique
    )


def _json(text: str, view: View) -> Critique:
    if _TAGS.search(text):  # a model that was trained on the grammar, whatever it is asked for
        return _tags(text, view)
    data = _object(text)
    critique = reply.parse(json.dumps(data), previous_instruction=view.instruction)
    instruction = _instruction(critique.refined_instruction, view)
    return replace(
        critique,
        refined_instruction=instruction,
        reply=_kept(text),
        impossible=_reason(data.get("impossible"), instruction, view),
    )


def _verdict(text: str, view: View) -> Critique:
    said = _read(Verdict, text)
    if said.satisfied or not _words(said.instruction):
        instruction = view.instruction
    else:
        instruction = _instruction(said.instruction, view)
    impossible = "" if said.satisfied else _reason(said.impossible, instruction, view)
    if not (said.satisfied or impossible or _words(said.instruction)):
        raise ReplyError('"instruction" is empty; write the instruction for the next turn')
    return Critique(None, said.reasoning, instruction, _kept(text), said.satisfied, impossible)


def _rewording(text: str, view: View) -> Critique:
    if _TAGS.search(text):  # likewise; what it scores is no edit, and so no score
        return replace(_tags(text, view), score=None, satisfied=False)
    said = _read(Rewording, text)
    words = _words(said.instruction)
    instruction = _instruction(words, view) if words else view.instruction
    impossible = _reason(said.impossible, instruction, view)
    if not (words or impossible):
        raise ReplyError('"instruction" is empty; write the instruction for the editor')
    return Critique(None, said.reasoning, instruction, _kept(text), False, impossible)


def read_plan(text: str) -> Plan:
    """The plan in a reply to the style `plan`. Raises `ReplyError`."""
    said = _read(Steps, text)
    steps = tuple(_NUMBER.sub("", _words(step)) for step in said.steps)
    if not steps or not all(steps):
        raise ReplyError('"steps" needs at least one instruction, and words in each')
    if len(steps) > MOST_STEPS:
        raise ReplyError(f"the plan has {len(steps)} steps; write at most {MOST_STEPS}")
    return Plan(tuple(_cleaned(step, "", "a step") for step in steps), said.reasoning)


Read = TypeVar("Read", bound=Answer)


def _read(kind: type[Read], text: str) -> Read:
    try:
        return kind.read(text)
    except Unreadable as error:
        raise ReplyError(str(error)) from None


def _object(text: str) -> dict[str, Any]:
    try:
        return json_object(text)
    except Unreadable as error:
        raise ReplyError(str(error)) from None


def _instruction(words: str, view: View) -> str:
    return _cleaned(words, view.instruction, '"instruction"')


def _cleaned(words: str, previous: str, field: str) -> str:
    try:
        return reply.read_instruction(words, previous_instruction=previous)
    except ReplyError as error:
        raise ReplyError(str(error).replace("<answer>", field)) from None


def _reason(words: Any, instruction: str, view: View) -> str:
    """Why it is impossible. A refined instruction is a way that might work, and counts for more."""
    reason = _words(words) if isinstance(words, str) else ""
    return reason if _words(instruction) == _words(view.instruction) else ""


def _words(text: str) -> str:
    """On one line; what only says that there is nothing is nothing."""
    words = " ".join(text.split())
    return "" if words.lower().strip(".") in ("none", "null", "n/a", "no", "-") else words


def _kept(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


FORMS: Mapping[str, Form] = {
    "tags": Form(_tags, regex=TAG_REGEX),
    "json": Form(_json, JsonCritique.schema()),
    "verdict": Form(_verdict, Verdict.schema()),
    "rewording": Form(_rewording, Rewording.schema()),
}
"""By the name of the form."""
PLAN_SCHEMA = Steps.schema()
