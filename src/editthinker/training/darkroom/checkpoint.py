"""Where training stands, on disk and on the terminal."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Checkpoint:
    """A file from which training goes on exactly: weights, optimiser, step, seconds spent."""

    file: Path
    model: torch.nn.Module
    optimiser: torch.optim.Optimizer

    def restore(self) -> tuple[int, float]:
        """Load it if it is there; the step and the seconds reached."""
        if not self.file.exists():
            return 0, 0.0
        state = torch.load(self.file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        return state["step"], state["seconds"]

    def save(self, step: int, seconds: float) -> None:
        """Write it beside and put it in place, so that an interruption leaves the old one."""
        new = self.file.with_suffix(".tmp")
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        torch.save({**state, "step": step, "seconds": seconds}, new)
        new.replace(self.file)


def progress(file: Path, entry: dict[str, float], *, done: float) -> None:
    """Append an entry to a log of JSON lines and say it; `done` is the share of the work that is finished."""
    with file.open("a") as log:
        log.write(json.dumps(entry) + "\n")
    told = ", ".join(f"{key} {value:g}" for key, value in entry.items())
    logging.getLogger(__name__).info("%3.0f %%  %s", 100 * done, told)
