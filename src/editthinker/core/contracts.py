"""What the loop needs of others: one verb each. Foreign models are bent to these at the edge.

Cancelling the task that awaits a verb must cancel the work behind it. Errors leave as the classes of
`core.errors`; anything else is a bug of the implementation and is recorded as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest, Judged, Plan, Preference, Sample, Thought, Turn


@dataclass(frozen=True, slots=True)
class EditorInfo:
    """Facts about an editor that matter to the thinker and to the loop."""

    name: str
    max_images: int = 1
    mask: bool = False
    """Whether it takes a mask and keeps to it."""
    seeded: bool = True
    """The same request gives the same image."""
    languages: tuple[str, ...] = ("en",)
    """ISO 639-1 codes of the languages it follows well; empty when that is unknown."""
    prompt_hint: str = ""
    """One sentence on the wording it follows best."""
    prompt_limit: int | None = None
    """Words of an instruction it reads; what is longer is cut. None: no limit that matters."""
    price: float | None = None
    """US dollars one call is expected to cost; 0 for local ones, None when unknown."""
    card: str = ""
    """Where these facts and its presets come from: the model's own card."""


@dataclass(frozen=True, slots=True)
class View:
    """What a thinker is shown (paper equation 1: I_src, I_edit, T_s, T_t) plus the turns before."""

    sample: Sample
    instruction: str
    """The instruction that produced `edited`."""
    edited: Picture | None
    """None when thinking before any edit."""
    turns: Sequence[Turn] = ()
    """Finished turns, oldest first; the one being judged is not among them."""
    editor: EditorInfo | None = None
    complaint: str = ""
    """On a re-ask: why the last reply could not be used (unreadable, or refused by the editor)."""
    stacked: bool = False
    """The next edit starts from `edited`, not from the source: only what is still missing need be said."""


@runtime_checkable
class Editor(Protocol):
    """Turns (images, instruction) into an image."""

    @property
    def info(self) -> EditorInfo:
        """Facts about this editor."""
        ...

    async def edit(self, request: EditRequest) -> Edited:
        """Return an edited image of the source's size. Raises `EditorError` or `Refused`."""
        ...


@runtime_checkable
class Thinker(Protocol):
    """Turns (source, edited, instructions) into a critique."""

    @property
    def name(self) -> str:
        """Name for records."""
        ...

    async def think(self, view: View) -> Thought:
        """Critique `view.edited`, or rewrite the instruction when it is None. Raises `ThinkerError`."""
        ...


@runtime_checkable
class Planner(Protocol):
    """A thinker that can also take a compound instruction apart."""

    @property
    def name(self) -> str:
        """Name for records."""
        ...

    async def plan(self, sample: Sample, editor: EditorInfo) -> Plan:
        """The instruction of `sample` as atomic steps for this editor. Raises `ThinkerError`."""
        ...


@runtime_checkable
class Judge(Protocol):
    """Scores an edited image independently of the thinker."""

    @property
    def name(self) -> str:
        """Name for records."""
        ...

    async def score(self, sample: Sample, edited: Picture) -> Judged:
        """Score `edited` as an answer to `sample`. Raises `JudgeError`."""
        ...


@runtime_checkable
class Comparer(Protocol):
    """A judge of two images at a time; it cancels its own bias for the first or second place."""

    @property
    def name(self) -> str:
        """Name for records."""
        ...

    async def prefer(self, sample: Sample, first: Picture, second: Picture) -> Preference:
        """Which of the two answers `sample` better. Raises `JudgeError`."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A thinker or judge that knows what a call costs; editors say so in `EditorInfo.price`."""

    @property
    def price(self) -> float | None:
        """US dollars one call is expected to cost; None when unknown."""
        ...


def price_of_all(members: Sequence[object]) -> float | None:
    """What one call of each is expected to cost together; None when one of them does not know.

    A member without a price is one that runs here.
    """
    prices = [member.price if isinstance(member, Priced) else 0.0 for member in members]
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None
