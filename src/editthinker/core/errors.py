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

from typing import ClassVar, Literal

Blame = Literal["input", "editor", "thinker", "judge", "budget", "ours"]


class EditThinkerError(Exception):
    """Base of every error this package raises on purpose; the message is meant for the user."""

    blame: ClassVar[Blame] = "ours"


class InputError(EditThinkerError):
    """The user's photo, instruction or option cannot be used."""

    blame = "input"


class ImageError(InputError):
    """The image cannot be used; the message names it and says why."""


class UnknownName(InputError):
    """No editor, thinker, judge or strategy has this name."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(known)}")


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
