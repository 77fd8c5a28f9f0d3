"""The cold start: the thinker imitates the expert (paper section 3.3.1), by TRL's SFTTrainer.

In: a recipe and a folder. Out: the folder, a model that is loaded as any other. Only the answer is learned:
`<think>`, `<score>`, `<answer>` and the token that ends the turn; question and images carry no loss. The loss
is the mean over the answer tokens of one optimiser step, on whatever number of devices it is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trl import SFTConfig, SFTTrainer

from editthinker.training.recipe import SftRecipe
from editthinker.training.session import Session

OURS = frozenset(
    {
        "max_length",
        "packing",
        "assistant_only_loss",
        "completion_only_loss",
        "dataset_kwargs",
        "eval_strategy",
        "eval_steps",
    }
)
"""Of `SFTConfig`: a length cuts images off, the rest decides what is learned."""


def train(
    asked: SftRecipe,
    out: Path,
    *,
    resume: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    dataset: Any = None,
    collator: Any = None,
    trainer: type[SFTTrainer] = SFTTrainer,
) -> Path:
    """Train into `out`, or go on there. Raises `InputError`, `ThinkerError`, `StoreError`, `BadNumbers`.

    `dataset` and `collator` take the place of the recipe's steps, for rows that are made rather than read;
    `trainer` that of TRL's, for a loss of another kind. Rows by number keep the resume exact.
    """
    with Session("sft", asked, out, resume=resume, tell=tell) as session:
        if session.finished:
            tell(f"finished already: {out}")
            return out
        trainee = session.model()
        held_out = session.steps("held_out", answered=True)
        learned = session.made(dataset) if dataset is not None else session.lessons(answered=True)
        often = asked.saving.evaluate_every if held_out else None
        teacher = trainer(
            model=trainee.model,
            args=SFTConfig(
                **session.arguments(OURS),
                max_length=None,
                ddp_find_unused_parameters=dataset is not None,  # rows without images do not reach the tower
                eval_strategy="steps" if often else "no",
                eval_steps=often,
            ),
            processing_class=trainee.processor,
            train_dataset=learned,
            eval_dataset=held_out.dataset() if held_out and often else None,
            data_collator=collator,
            peft_config=trainee.peft,
            callbacks=session.callbacks(),
        )
        session.train(teacher)
        return session.finish(teacher)
