"""What is looked at between the steps of TRL's trainers: is it telling, is it sane, is it wanted, is it safe.

In: the trainer's own callbacks. Out: lines for a person, lines of JSON for a program, checkpoints that say
when they are whole, and an end in good order. A checkpoint counts when `complete.json`, its last file, is
there and every file has the size it says: what a killed process or a full disk left behind never does.
"""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.utils import logging

from editthinker.core.errors import EditThinkerError
from editthinker.core.files import write_atomically

COMPLETE = "complete.json"
PREFIX = "checkpoint-"


class BadNumbers(EditThinkerError):
    """The loss or a gradient is not a number any more; the weights were not changed by it."""


def quiet() -> None:
    """Silence what the libraries tell each other, in the whole process: for programs, not for callers."""
    logging.disable_progress_bar()
    warnings.simplefilter("ignore", FutureWarning)
    getLogger("datasets.fingerprint").setLevel(ERROR)  # rows that are made are not cached


def complete(place: Path) -> list[Path]:
    """Whole checkpoints, the newest first."""
    found = {}
    for folder in place.glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX)
        if number.isdigit() and _is_whole(folder):
            found[int(number)] = folder
    return [found[number] for number in sorted(found, reverse=True)]


def clear(place: Path) -> None:
    """Remove what is left of checkpoints that never became whole."""
    whole = complete(place)
    for folder in place.glob(f"{PREFIX}*"):
        if folder not in whole:
            shutil.rmtree(folder, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        files = json.loads((folder / COMPLETE).read_bytes())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


class Keeping(TrainerCallback):  # type: ignore[misc] # transformers is untyped here
    """Seals checkpoints, and removes old ones only then."""

    def __init__(self, keep: int) -> None:
        self._keep = keep

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Every process has written its part when this one seals."""
        wait_for_all()
        if not state.is_world_process_zero:
            return
        place = Path(args.output_dir)
        folder = place / f"{PREFIX}{state.global_step}"
        (folder / COMPLETE).unlink(missing_ok=True)
        files = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            files[path.relative_to(folder).as_posix()] = path.stat().st_size
        text = json.dumps({"step": state.global_step, "files": files}, indent=1)
        write_atomically(folder / COMPLETE, text.encode(), overwrite=True)
        for old in complete(place)[self._keep :]:
            shutil.rmtree(old)


class Sanity(TrainerCallback):  # type: ignore[misc]
    """Stops before a step whose gradient is not finite; with DeepSpeed, at the next loss that is not."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """After clipping, which makes every gradient NaN when the norm is not finite."""
        grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
        if grads and not math.isfinite(float(sum(_total(grad) for grad in grads))):
            raise BadNumbers(self._sentence(state.global_step + 1, "a gradient"))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """The average loss since the last line."""
        if not math.isfinite(float((logs or {}).get("loss", 0.0))):
            raise BadNumbers(self._sentence(state.global_step, "the loss"))

    @staticmethod
    def _sentence(step: int, what: str) -> str:
        return f"{what} is not a finite number at step {step}"


def _total(grad: Any) -> Any:
    local = grad.to_local() if hasattr(grad, "to_local") else grad
    return local.sum(dtype=torch.float32).to("cpu" if not local.is_cuda else local.device)


class Leaving(TrainerCallback):  # type: ignore[misc]
    """Ctrl-C or SIGTERM: the step ends, a checkpoint is written, the training stops. Twice does not wait."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.asked = False
        self._tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """All processes leave after the same step."""
        if said_by_any(self.asked):
            self.asked = True
            control.should_save = control.should_training_stop = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this lasts, signals ask instead of ending."""

        def leave(number: int, _frame: Any) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            self._tell("stopping after this step, with a checkpoint; once more stops at once")

        before = {}
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, leave)
        except ValueError:  # not the main thread: whoever owns that one decides
            pass
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Telling(TrainerCallback):  # type: ignore[misc]
    """A line on the terminal and a line of JSON, every few steps."""

    def __init__(self, log: Path, rows: int, tell: Callable[[str], None]) -> None:
        self._log, self._rows, self._tell = log, rows, tell
        self._began = (0, 0.0, 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count time from here."""
        self._began = (state.global_step, time.monotonic(), time.process_time())
        self._write(state, {"event": "begin", "step": state.global_step, "of": state.max_steps})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """One line of figures."""
        if not logs or "loss" not in logs:
            return
        step, since, cpu = self._began
        done, seconds = state.global_step - step, time.monotonic() - since
        pace = done / seconds if seconds else 0.0
        left = (state.max_steps - state.global_step) / pace if pace else 0.0
        figures = {
            "step": state.global_step,
            **{key: value for key, value in logs.items() if isinstance(value, int | float)},
            "rows_per_second": round(pace * self._rows, 3),
            "seconds": round(seconds, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
            "gigabytes": round(memory() / 1e9, 3),
        }
        self._write(state, figures)
        if state.is_world_process_zero:
            reward = f"reward {logs['reward']:.3f}  " if "reward" in logs else ""
            self._tell(
                f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}  {reward}"
                f"rate {float(logs.get('learning_rate', 0)):.2e}  {pace * self._rows:.2f} rows/s  "
                f"{spoken(left)} left  {memory() / 1e9:.1f} GB"
            )

    def _write(self, state: Any, figures: dict[str, Any]) -> None:
        if state.is_world_process_zero:
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(figures) + "\n")


def memory() -> float:
    """Bytes at most in use so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (
        1 if sys.platform == "darwin" else 1024
    )


def spoken(seconds: float) -> str:
    """A duration in two words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def processes() -> int:
    """How many train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process among them."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The number of this process on its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that writes and tells."""
    return rank() == 0


def on_gpu() -> bool:
    """Whether there is a CUDA device."""
    return bool(torch.cuda.is_available())


def wait_for_all() -> None:
    """Go on when every process is here."""
    if processes() > 1:
        from accelerate import PartialState

        PartialState(cpu=not on_gpu()).wait_for_everyone()


def said_by_any(said: bool) -> bool:
    """Whether any process says so."""
    if processes() == 1:
        return said
    import torch.distributed as dist

    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    votes = torch.tensor([int(said)], device=device)
    dist.all_reduce(votes)
    return bool(votes.item())
