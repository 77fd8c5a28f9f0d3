"""Every way an edit can fail, and whom to blame for it.

    EditThinkerError
    ├── InputError        the photo, the instruction, an option: exit code 2, nothing was spent
    │   ├── ImageError        the image cannot be used (missing, broken, too large, wrong kind)
    │   └── UnknownName       no editor, thinker or judge has that name; lists what exists
    ├── MissingExtra      an optional part is not installed; prints the install command
    ├── EditorError       the editor failed
    │   └── Refused           the editor (or its provider) declined this instruction
    ├── ThinkerError      the thinker failed
    │   └── ReplyError        its reply does not follow the grammar; never read as a score
    ├── JudgeError        the judge failed
    ├── BudgetExceeded    a hard limit would be broken by the next call
    └── StoreError        the run folder cannot be read or written (full disk, foreign schema)

To add one: subclass the branch of the party to blame and set `blame` only if it differs from the parent's.
`blame` is one of "input", "editor", "thinker", "judge", "budget", "ours" and is recorded on the trajectory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

Blame = Literal["input", "editor", "thinker", "judge", "budget", "ours"]


class EditThinkerError(Exception):
    """Base of every error this package raises on purpose; the message is meant for the user."""

    blame: ClassVar[Blame] = "ours"

    transient: bool = False
    """Whether the same call may well succeed a moment later (overload, lost connection)."""
    retry_after: float | None = None
    """Seconds the other side asked to wait before that, if it said so."""
    nobody: bool = False
    """Whether nobody was there to answer: that uses up no repetition, whoever waits for them ends it."""
    status: int | None = None
    """The HTTP status behind it, where there was one."""
    endpoint: str = ""
    """Which of several servers it came from; empty when there is only one."""
    refused: bool = False
    """Whether the other side declined, rather than failed: the same words will be declined again."""
    cost: float = 0.0
    """US dollars the failed call cost all the same (a reply that cannot be read was paid for)."""


class InputError(EditThinkerError):
    """The user's photo, instruction or option cannot be used."""

    blame = "input"


class ImageError(InputError):
    """The image cannot be used; the message names it and says why."""


class UnknownName(InputError):
    """No editor, thinker, judge or strategy has this name."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        from difflib import get_close_matches  # late: who is told to guess has time

        heads = {shown.partition(":")[0]: shown for shown in reversed(known)}
        meant = get_close_matches(name.partition(":")[0], heads, 1, 0.8)
        guess = f"; did you mean {heads[meant[0]]!r}?" if meant else ";"
        super().__init__(f"unknown {kind} {name!r}{guess} known: {', '.join(known)}")


class MissingExtra(EditThinkerError):
    """An optional part of the package is needed and not installed."""

    blame = "input"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part: pip install 'editthinker[{extra}]'")


class EditorError(EditThinkerError):
    """The editor failed to return an image."""

    blame = "editor"


class Refused(EditorError):
    """The editor declined this instruction; retrying the same words is pointless."""

    refused = True


class ThinkerError(EditThinkerError):
    """The thinker failed to return a critique."""

    blame = "thinker"


class ReplyError(ThinkerError):
    """The thinker's reply does not follow the grammar of `core.reply`."""


class JudgeError(EditThinkerError):
    """The judge failed to return a score."""

    blame = "judge"


class BudgetExceeded(EditThinkerError):
    """The next call would break a hard limit; it was not made."""

    blame = "budget"


class StoreError(EditThinkerError):
    """The run folder cannot be read or written."""


FAILURES: Mapping[Literal["editor", "thinker", "judge"], type[EditThinkerError]] = {
    "editor": EditorError,
    "thinker": ThinkerError,
    "judge": JudgeError,
}
"""What a model of each role fails with."""
