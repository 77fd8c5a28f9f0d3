"""What a job found: one line per check, and an exit code."""

from __future__ import annotations


class Report:
    """Collects checks; `exit_code` is 1 when one did not hold."""

    def __init__(self) -> None:
        self.failed = 0

    def check(self, what: str, held: bool, detail: object = "") -> None:
        """Print one finding."""
        self.failed += not held
        print(f"{'ok  ' if held else 'FAIL'}  {what:<58} {detail}", flush=True)  # noqa: T201 - a report on the terminal

    @property
    def exit_code(self) -> int:
        """0 when everything held."""
        return int(self.failed > 0)
