"""The program as a separate process: what the fixture `run` of the command-line tests is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Run = Callable[..., subprocess.CompletedProcess[bytes]]
"""`run("edit", "photo.jpg", ..., stdin=b"")` in the current folder."""
