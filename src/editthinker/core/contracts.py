"""What the loop needs of others: one verb each. Foreign models are bent to these at the edge.

Cancelling the task that awaits a verb must cancel the work behind it. Errors leave as the classes of
`core.errors`; anything else is a bug of the implementation and is recorded as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from editthinker.core.images import Picture
from editthinker.core.types import Edited, EditRequest, Sample, Score, Thought, Turn


@dataclass(frozen=True, slots=True)
class EditorInfo:
    """Facts about an editor that matter to the thinker and to the loop."""

    name: str
    max_images: int = 1
    mask: bool = False
    seeded: bool = True
    """The same request gives the same image."""
    languages: tuple[str, ...] = ("en",)
    prompt_hint: str = ""
    """One sentence on the wording it follows best."""


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
    """On a re-ask: why the last reply could not be used."""


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
class Judge(Protocol):
    """Scores an edited image independently of the thinker."""

    @property
    def name(self) -> str:
        """Name for records."""
        ...

    async def score(self, sample: Sample, edited: Picture) -> Score:
        """Score `edited` as an answer to `sample`. Raises `JudgeError`."""
        ...
