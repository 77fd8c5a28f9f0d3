"""Reinforcement: the thinker learns what this editor can do (paper section 3.3.2), by TRL's GRPOTrainer.

In: a recipe, an editor, a judge and a folder. Out: the folder, a model that is loaded as any other. Several
replies to every prompt are written; what they ask for is edited and judged (`rollouts`), rewarded (`rewards`)
and compared within its group. Editing begins as soon as the replies are there, and goes on while the
reference model reads them. A masked reward is not in its group: TRL's mean and deviation pass over it and its
advantage is 0; only the distance to the first model (`rollouts.kl`) still counts for it. The vision tower
sees the images of a prompt once for all its replies (`towers`).

Deviations from the paper, beside those of `rewards`: the weights of equation 5 are not known, the defaults
are those the release has in a comment; the vision tower is frozen as in SFT, where the release trains it. Of
what the paper does not say, TRL's defaults are taken: rewards are divided by the group's deviation, ratios
are clipped at 0.2. KL 1e-3, 8 replies, 16 prompts and 128 rows a step are the paper's. The vLLM options are
handed to TRL as they are and were not tried here.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from editthinker.core.contracts import Editor, Judge
from editthinker.core.errors import InputError
from editthinker.training import watching
from editthinker.training.recipe import GrpoRecipe
from editthinker.training.rollouts import Environment
from editthinker.training.scoring import Scoring, text_of
from editthinker.training.session import Session
from editthinker.training.towers import look_once

ANSWERS, SAMPLES = "answers", "rollouts.jsonl"
"""In the training's folder: what editor and judge said, and some rollouts to read."""
OURS = frozenset(
    {
        *("num_generations", "generation_batch_size", "steps_per_generation", "num_iterations", "beta"),
        *("loss_type", "temperature", "top_p", "top_k", "max_completion_length", "reward_weights"),
        *("use_vllm", "vllm_mode", "vllm_server_base_url", "ddp_timeout", "model_init_kwargs"),
    }
)
"""Of `GRPOConfig`: said by `[rollouts]`, `[reward]` and `[world]`."""
PARTS = ("generation", "editor", "judge", "update")
"""Of a step's time; what remains is update: reference, loss, gradient, optimiser, data."""


def train(
    asked: GrpoRecipe,
    editor: Editor,
    judge: Judge,
    out: Path,
    *,
    resume: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    dataset: Any = None,
) -> Path:
    """Train into `out`, or go on there. Raises what `sft.train` does, and `Outage` when nobody answers.

    `dataset` takes the place of the recipe's steps, for rows that are made rather than read, with the columns
    of `lessons`.
    """
    with Session("grpo", asked, out, resume=resume, tell=tell) as session:
        if session.finished:
            tell(f"finished already: {out}")
            return out
        arguments = session.arguments(OURS) | settings(asked)
        trainee = session.model()
        session.steps("held_out", answered=True)
        learned = session.made(dataset) if dataset is not None else session.lessons(answered=False)
        callbacks = session.callbacks()
        leaving = next(one for one in callbacks if isinstance(one, watching.Leaving))
        with Environment(
            editor,
            judge,
            asked.world,
            session.place / ANSWERS,
            preservation=asked.reward.preservation > 0,
            tell=session.tell,
            leave=lambda: leaving.asked,
        ) as world:
            samples = session.place / SAMPLES if watching.is_first() else None
            trainer = Trainer(
                together=together(asked),
                scoring=Scoring(world, asked.reward, samples, asked.saving.tell_every),
                model=trainee.model,
                args=GRPOConfig(**arguments),
                processing_class=trainee.processor,
                train_dataset=learned,
                peft_config=trainee.peft,
                callbacks=callbacks,
            )
            trainer.add_callback(trainer.shares)
            trainer.add_callback(Aligned(together(asked)))  # last: it has the last word on checkpoints
            session.train(trainer)
        return session.finish(trainer, trainer.shares.measured())


def together(asked: GrpoRecipe) -> int:
    """Optimiser steps that learn from the same rollouts. Raises `InputError`."""
    rows = asked.rollouts.prompts * asked.rollouts.group
    if rows % asked.optimiser.batch:
        raise InputError(
            f"rollouts.prompts x rollouts.group = {rows} must be a multiple of optimiser.batch ="
            f" {asked.optimiser.batch}: a step learns from rollouts of one time only"
        )
    return rows // asked.optimiser.batch * asked.rollouts.updates


def settings(asked: GrpoRecipe) -> dict[str, Any]:
    """`[rollouts]` in TRL's words. Raises `InputError`."""
    how, processes = asked.rollouts, watching.processes()
    rows, at_a_time = how.prompts * how.group, asked.optimiser.at_once * processes
    together(asked)
    if rows % at_a_time or (rows // processes) % how.group:
        raise InputError(
            f"{how.prompts} prompts of {how.group} replies cannot be shared by {processes} processes with"
            f" optimiser.at_once = {asked.optimiser.at_once} rows each; choose rollouts.prompts accordingly"
        )
    vllm: dict[str, Any] = {}
    if how.vllm != "off":
        vllm = {"use_vllm": True, "vllm_mode": how.vllm}
        vllm |= {"vllm_server_base_url": how.vllm_url} if how.vllm == "server" else {}
    waits = asked.world.deadline + asked.world.patience
    return {
        "num_generations": how.group,
        "steps_per_generation": rows // at_a_time,
        "num_iterations": how.updates,
        "max_completion_length": how.max_tokens,
        "temperature": how.temperature,
        "top_p": how.top_p,
        "top_k": 0,
        "beta": how.kl,
        "loss_type": how.loss,
        "ddp_timeout": int(max(1800, 2 * waits)),
        "model_init_kwargs": {"revision": asked.model.revision} if asked.model.revision else None,
        **vllm,
    }


class Trainer(GRPOTrainer):  # type: ignore[misc] # trl is untyped here
    """TRL's, which hands replies to the environment as soon as it has them, and is timed."""

    def __init__(self, *, scoring: Scoring, together: int, **more: Any) -> None:
        """`together`: optimiser steps that learn from the same rollouts."""
        self.scoring, self.shares = scoring, Shares(self, together)
        super().__init__(reward_funcs=[scoring.reward], **more)
        for model in filter(None, (self.model, self.ref_model)):
            look_once(model)
        logging.getLogger(GRPOTrainer.__module__).addFilter(_not_of_masked)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Any:
        """Without the answers of the data, which nobody reads here and which may be none."""
        self._rows = [{name: row[name] for name in row if name != "completion"} for row in inputs]
        return super()._generate_and_score_completions(self._rows)

    def _generate(self, prompts: list[Any]) -> Any:
        with self.shares.timing("generation"):
            made = super()._generate(prompts)
        self.scoring.begin(self._rows, [text_of(completion) for completion in made[3]])
        return made

    def note(self, figures: Mapping[str, float]) -> None:
        """Take these into the next line of the log."""
        for name, value in figures.items():
            self._metrics["train"][name].append(value)


class Shares(TrainerCallback):  # type: ignore[misc]
    """Where a step's time goes; told once for all optimiser steps that learn from the same rollouts."""

    def __init__(self, trainer: Trainer, together: int) -> None:
        self._trainer, self._together = trainer, together
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._whole: defaultdict[str, float] = defaultdict(float)
        self._steps = 0
        self._since = 0.0

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Around a part of a step."""
        began = time.monotonic()
        yield
        self._seconds[part] += time.monotonic() - began

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Count from here."""
        self._since = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Share the time out."""
        self._steps += 1
        if state.global_step % self._together:
            return
        now, figures = time.monotonic(), self._trainer.scoring.world.figures()
        took, self._since = now - self._since, now
        for role in ("editor", "judge"):
            self._seconds[role] += figures.pop(f"{role}_blocked")
        self._seconds["update"] = took - sum(self._seconds.values())
        self._trainer.note({f"share/{part}": self._seconds[part] / took for part in PARTS})
        self._trainer.note({f"world/{name}": value for name, value in figures.items()})
        for part in PARTS:
            self._whole[part] += self._seconds[part]
        self._seconds.clear()

    def measured(self) -> dict[str, Any]:
        """Of the whole training, since it was last taken up."""
        seconds = sum(self._whole.values())
        if not seconds:
            return {}
        share = {part: round(self._whole[part] / seconds, 4) for part in PARTS}
        return {"seconds_per_step": round(seconds / self._steps, 3), "share_of_time": share}


class Aligned(TrainerCallback):  # type: ignore[misc]
    """Checkpoints between rollouts only: what several optimiser steps learn from is not in a checkpoint."""

    def __init__(self, together: int) -> None:
        self._together = together
        self._owed = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint, and with it the end, waits until the rollouts are used up."""
        if state.global_step >= state.max_steps:
            return
        self._owed |= control.should_save
        if state.global_step % self._together:
            control.should_save = control.should_training_stop = False
        elif self._owed:
            control.should_save, self._owed = True, False


def _not_of_masked(record: logging.LogRecord) -> bool:
    """TRL warns of every masked reward, with all there is to know of its row; `rollouts/masked` is enough."""
    return not record.getMessage().startswith("All reward functions returned None")
