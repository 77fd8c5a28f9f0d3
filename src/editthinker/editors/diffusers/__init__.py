"""Editing pipelines of `diffusers` in this process, all through one adapter and one table of facts.

In: `diffusers:REPO_OR_PATH?setting=...`, then `EditRequest`s. Out: `Edited` pictures of the source's size.
`families` is the table: what each pipeline class calls its arguments, which of them act, the presets of its
model's card. `settings` refuses what would not act, `index` reads what a folder holds, `loading` makes the
pipeline, `sizes` chooses the canvas a picture is put on, `calling` is one call, `memory` says what would fit,
and `editor` joins them; requests that wait at the same time are gathered by `core.batching`.

It knows nothing of the loop. torch and diffusers are imported when the first edit needs them.
To add a pipeline: one row in `families.FAMILIES`; without one its call signature decides.
"""

from editthinker.editors.diffusers.editor import DiffusersEditor

__all__ = ["DiffusersEditor"]
