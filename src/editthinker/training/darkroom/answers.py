"""What the trained editor makes of many instructions: the raw material of the expert's trajectories.

In: the exported editor, a count, a seed. Out: a file of lines: instruction, group, what was said in its
order, the editor's answer to the user's words and to plain words. Appends, so an interrupted run goes on.
"""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any

from editthinker.darkroom import spelling
from editthinker.darkroom.editor import ProgramWriter
from editthinker.darkroom.language import sentences
from editthinker.darkroom.language.slips import MORE_FILLERS, stumble
from editthinker.darkroom.wording import fold_quotes, unfold_quotes
from editthinker.training.darkroom.trajectories import GROUP_WEIGHTS

FILE = "wishes.jsonl"
SPLIT = "more"


def collect(writer: ProgramWriter | None, out: Path, count: int, *, seed: int = 0) -> None:
    """Write rows up to `count`; without a writer the rows have no answers (targets only)."""
    done = sum(1 for _ in out.open()) if out.exists() else 0
    with out.open("a") as file:
        for number in range(done, count):
            rng = random.Random(f"{seed}:{number}")
            group = rng.choices(list(GROUP_WEIGHTS), list(GROUP_WEIGHTS.values()))[0]
            utterance = sentences.draw(rng, SPLIT, group)
            folded, strings = fold_quotes(utterance.instruction)
            instruction = unfold_quotes(stumble(rng, folded, fillers=MORE_FILLERS), strings)
            row: dict[str, Any] = {
                "instruction": instruction,
                "group": group,
                "said": [spelling.spell_operation(operation) for operation in utterance.said],
                "answers": [],
                "plain": [],
            }
            if writer:
                plain = sentences.plain(utterance.said)
                # `<text>` in plain words stands for a quoted string, as the thinker's answer will have it.
                plain = plain.replace("<text>", '"text"')
                row["answers"] = [spelling.spell(writer.write(instruction, seed=number))]
                row["plain"] = [spelling.spell(writer.write(plain, seed=number))]
            file.write(json.dumps(row) + "\n")
            if (number + 1) % 1000 == 0:
                logging.getLogger(__name__).info("%d of %d instructions", number + 1, count)
