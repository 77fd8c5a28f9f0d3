"""A strong chat model as the paper's expert: reason, refined instruction, stop; no score (paper section 4).

In: a `View`. Out: a `Thought` whose critique has a verdict and no score; one model doing both refinement and
scoring was found worse, so scores come from a separate judge where they are wanted. Images are shown with at
most 1024 pixels a side, as to the paper's GPT-4.1.
"""

from __future__ import annotations

from pydantic import Field

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.types import Plan, Sample, Thought
from editthinker.thinkers import prompts
from editthinker.thinkers.chat import Asking
from editthinker.wire.chat import Chat, ChatSettings


class ExpertSettings(ChatSettings):
    """What can be set on the expert."""

    side: int | None = Field(1024, ge=32, description="longest side an image is shrunk to, as in the paper")


class ExpertThinker:
    """The thinker behind `expert:MODEL`."""

    Settings = ExpertSettings

    def __init__(self, model: str, settings: ExpertSettings, *, name: str = "expert") -> None:
        """No connection is made yet. Raises `InputError` for a key that is not there."""
        self.name = name
        self.asking = Asking(Chat(model, settings, "thinker", name), prompts.load("expert"))

    @property
    def price(self) -> float | None:
        """US dollars one verdict is expected to cost; None when the model's price is unknown."""
        return self.asking.chat.price

    async def think(self, view: View) -> Thought:
        """One verdict, or before any edit a rewording. Raises `ReplyError`, or `ThinkerError`."""
        return await self.asking.think(view)

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The instruction as atomic steps. Raises as `think` does."""
        return await self.asking.plan(sample, editor)
