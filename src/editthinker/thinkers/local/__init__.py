"""The thinker behind `local:PATH_OR_REPO`: a vision-language model of transformers in this process.

In: a folder or a repository on the Hub, and settings. Out: a `Thinker` and `Planner`. `loading` makes a model
of a checkpoint, `processor` what feeds it, `generating` lets the model
write. Nothing here knows a prompt or the grammar of replies; `thinker` joins both sides.
"""

from editthinker.thinkers.local.thinker import LocalThinker

__all__ = ["LocalThinker"]
