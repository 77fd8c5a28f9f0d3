"""Rows to weights: how the thinkers are trained.

In: rows or generators of them, a recipe. Out: weights, tokenizer, a manifest of what was measured.
Needs the extra `[train]`; nothing in the rest of the package imports this room.

`darkroom/` makes the embedded default from nothing on a CPU.
"""
