"""What the user wrote down once, so as not to type it each time: two TOML files, read and checked.

In: the nearest `editthinker.toml` upwards of a folder (the project's), and the user's own
`~/.config/editthinker/config.toml`. Out: a `Config`: defaults, presets, named editors, thinkers and judges,
prices, each with the file it came from; or an `InputError` that names the file, the key, and what was
probably meant. The project's file wins.

    tables    what may stand in a file
    reading   files found, read, checked and laid over each other
    trust     which project files the user has read and allowed to define models

It knows no model: what a name means is `resolve`'s business, flags and variables are the command line's.
Keys are references (env:NAME, file:PATH, keyring:SERVICE/USER); a literal one is refused and not repeated.
To add a default: a field in `tables.Defaults` and the option of the same name in `cli/options.py`.
"""

from __future__ import annotations

from editthinker.config.reading import Config, Named, load, project_file, user_file

__all__ = ["Config", "Named", "load", "project_file", "user_file"]
