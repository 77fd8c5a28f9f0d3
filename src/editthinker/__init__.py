"""Makes any image editor follow instructions better: edit, critique, refine, repeat, keep the best turn.

    import editthinker
    result = editthinker.edit("photo.jpg", "make it look like an old photograph")
    result.image.save("out.png")

Everything listed in `__all__` is loaded when it is first used, so that `import editthinker` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from editthinker.api import edit
    from editthinker.core.contracts import Editor, EditorInfo, Judge, Thinker, View
    from editthinker.core.episode import Episode, think_while_edit
    from editthinker.core.errors import EditThinkerError
    from editthinker.core.images import Picture
    from editthinker.core.limits import Limits
    from editthinker.core.types import (
        Critique,
        Edited,
        EditRequest,
        Sample,
        Score,
        Stop,
        StopReason,
        Thought,
        Trajectory,
        Turn,
    )

__version__ = "0.1.0"

_HOMES = {
    "api": ("edit",),
    "core.contracts": ("Editor", "EditorInfo", "Judge", "Thinker", "View"),
    "core.episode": ("Episode", "think_while_edit"),
    "core.errors": ("EditThinkerError",),
    "core.images": ("Picture",),
    "core.limits": ("Limits",),
    "core.types": (
        "Critique",
        "EditRequest",
        "Edited",
        "Sample",
        "Score",
        "Stop",
        "StopReason",
        "Thought",
        "Trajectory",
        "Turn",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Critique",
    "EditRequest",
    "EditThinkerError",
    "Edited",
    "Editor",
    "EditorInfo",
    "Episode",
    "Judge",
    "Limits",
    "Picture",
    "Sample",
    "Score",
    "Stop",
    "StopReason",
    "Thinker",
    "Thought",
    "Trajectory",
    "Turn",
    "View",
    "edit",
    "think_while_edit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
