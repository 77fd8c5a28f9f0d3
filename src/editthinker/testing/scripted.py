"""An editor and a thinker that follow a script, then go on by themselves; they remember what was asked."""

from __future__ import annotations

import asyncio
import hashlib

from PIL import Image

from editthinker.core import reply
from editthinker.core.contracts import EditorInfo, View
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Edited, EditRequest, Score, Thought

EditStep = Picture | Exception | None
"""An image to return, an error to raise, or None for the default image."""
ThinkStep = tuple[float, float] | Critique | str | Exception
"""Scores (semantic, quality), a critique, a reply in the grammar, or an error to raise."""


class ScriptedEditor:
    """Plays its script, one step a call; after that, and for None, tints the source by words and seed."""

    def __init__(
        self, *script: EditStep, name: str = "scripted", seconds: float = 0.0, cost: float = 0.0
    ) -> None:
        self.info = EditorInfo(name)
        self.requests: list[EditRequest] = []
        """Everything it was asked, in order."""
        self.cancelled = 0
        """How many calls were cancelled while they ran."""
        self._script = list(script)
        self._seconds, self._cost = seconds, cost

    async def edit(self, request: EditRequest) -> Edited:
        self.requests.append(request)
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        step = self._script.pop(0) if self._script else None
        if isinstance(step, Exception):
            raise step
        return Edited(step or tinted(request), cost=self._cost, notes={"seed": request.seed})


class ScriptedThinker:
    """Plays its script, one step a call; after that scores 5 and 5 and asks for "... (again)"."""

    def __init__(
        self, *script: ThinkStep, name: str = "scripted", seconds: float = 0.0, cost: float = 0.0
    ) -> None:
        self.name = name
        self.views: list[View] = []
        """Everything it was shown, in order."""
        self.cancelled = 0
        """How many calls were cancelled while they ran."""
        self._script = list(script)
        self._seconds, self._cost = seconds, cost

    async def think(self, view: View) -> Thought:
        self.views.append(view)
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Thought(self._critique(view), cost=self._cost)

    def _critique(self, view: View) -> Critique:
        step = self._script.pop(0) if self._script else (5.0, 5.0)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, Critique):
            return step
        if isinstance(step, str):
            return reply.parse(step, previous_instruction=view.instruction)
        critique = Critique(Score(*step), "as the script says", f"{view.instruction} (again)")
        return Critique(
            critique.score, critique.reasoning, critique.refined_instruction, reply.render(critique)
        )


def tinted(request: EditRequest) -> Picture:
    """The source, a quarter of the way to a colour that instruction and seed decide; alpha is kept."""
    key = f"{request.seed}\n{request.instruction}".encode("utf-8", "surrogatepass")
    colour = tuple(hashlib.sha256(key).digest()[:3])
    source = request.images[0].pixels
    tint = Image.new("RGB", source.size, colour)
    mixed = Image.blend(source.convert("RGB"), tint, 0.25)
    if source.mode == "RGBA":
        mixed.putalpha(source.getchannel("A"))
    return Picture.open(mixed)
