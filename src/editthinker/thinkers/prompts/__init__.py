"""What a thinker is asked and how its reply is read: one text file per style, ours, filled in one pass.

In: a style or a user's file, and a `View`. Out: the parts to show, in order (texts and pictures), and from
the reply a `Critique`, or a `ReplyError` that says what to do better. Words of users and models are put in as
quoted material, once and as they are: braces, tags and orders inside them mean nothing. It knows no model and
makes no call.

    grammar     the paper's reply grammar, pictures first, as EditThinker was trained
    history     the same reply, with the turns so far and their scores
    checklist   the same reply, after deriving and answering yes/no checks
    json        the same critique as one JSON object
    expert      a verdict instead of scores (paper section 4), JSON
    rewrite     before any edit: a better wording; every style falls back on it then
    plan        the instruction as atomic steps

To add a style: `NAME.txt` here, and a row in `_FORM`. A picture's place in the text is its place in the
prompt: what never changes stands first, what changes every turn last, so that servers can reuse their prefix
cache; only `grammar` keeps to the order it was trained with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from editthinker.core.contracts import View
from editthinker.core.errors import UnknownName
from editthinker.core.types import Critique, Plan
from editthinker.thinkers.prompts import facts, reading, template
from editthinker.thinkers.prompts.reading import FORMS, PLAN_SCHEMA
from editthinker.wire.prompting import Part, Template, complaint

__all__ = ["STYLES", "Part", "Prompt", "load"]

_FORM: Mapping[str, str] = {
    "grammar": "tags",
    "history": "tags",
    "checklist": "tags",
    "json": "json",
    "expert": "verdict",
    "rewrite": "rewording",
    "plan": "plan",
}
STYLES = tuple(_FORM)


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a thinker is asked, in one style."""

    style: str
    template: Template

    def parts(self, view: View) -> tuple[Part, ...]:
        """What is shown, in order: texts and pictures. Before any edit, that of the style `rewrite`."""
        prompt = self.of(view)
        places = facts.values(view)
        if prompt.official and view.edited is None:  # as the official code does in its first turn
            places = {**places, "edited": [view.sample.source]}
        parts = prompt.template.filled(places)
        return (*parts, complaint(view.complaint)) if view.complaint else parts

    def read(self, text: str, view: View) -> Critique:
        """The critique in a reply to `parts(view)`. Raises `ReplyError`."""
        prompt = self.of(view)
        critique = FORMS[_FORM[prompt.style]].read(text, view)
        unscored = prompt.official and view.edited is None
        return replace(critique, score=None, satisfied=False) if unscored else critique

    def read_plan(self, text: str) -> Plan:
        """The plan in a reply to the style `plan`. Raises `ReplyError`."""
        return reading.read_plan(text)

    def of(self, view: View) -> Prompt:
        """The prompt for this view: itself, or before any edit the one of the style `rewrite`.

        EditThinker's own template serves both: it is shown the source twice, with no instruction sent.
        """
        fits = view.edited is not None or self.style in ("rewrite", "plan") or self.official
        return self if fits else load("rewrite")

    @property
    def official(self) -> bool:
        """Whether it has the placeholders of EditThinker's own template."""
        return bool(self.template.places & template.OFFICIAL)

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """JSON schema of its reply, for guided decoding; None when the reply is in tags."""
        return PLAN_SCHEMA if self.style == "plan" else FORMS[_FORM[self.style]].schema

    @property
    def regex(self) -> str | None:
        """Regular expression of its reply, for guided decoding; None when the reply is JSON."""
        return None if self.style == "plan" else FORMS[_FORM[self.style]].regex


def load(style: str = "grammar", file: str = "") -> Prompt:
    """The prompt of a style; with `file`, its text is the user's, such as the template of EditThinker.

    Raises `UnknownName` for a style that does not exist, `InputError` for a file that cannot be used.
    """
    if style not in _FORM:
        raise UnknownName("style", style, list(STYLES))
    return Prompt(style, template.of_file(file) if file else template.own(style))
