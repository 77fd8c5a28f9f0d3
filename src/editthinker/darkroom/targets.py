"""The target program of a sample: in memory its `truth`, in a file its tag `darkroom.program`.

In: a sample, or a program. Out: the program, or the text that stands for it. Tags go wherever a sample goes
(run folders, training rows) and are never shown to an editor or a thinker, so a judge or a reward can tell
later what was wanted. A tag keeps the order in which a wish was said; what is executed is in execution order.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields

from editthinker.core.types import Sample
from editthinker.darkroom.program import Operation, Program, ordered

TAG = "darkroom.program"
_USUAL = {field.name: field.default for field in fields(Operation)}


def spelled(program: Program) -> str:
    """The program as JSON; what is as usual is left out."""
    said = [{k: v for k, v in asdict(operation).items() if v != _USUAL[k]} for operation in program]
    return json.dumps(said, separators=(",", ":"))


def target_of(sample: Sample) -> Program | None:
    """What was wanted of this sample, as it is executed; None when nobody knows or its tag is no program."""
    said = said_of(sample)
    return said and ordered(said)


def said_of(sample: Sample) -> Program | None:
    """What was wanted, in the order in which it was said, as far as that is known."""
    truth = sample.truth
    known = getattr(truth, "said", ()) or getattr(truth, "program", truth)
    if isinstance(known, tuple) and all(isinstance(one, Operation) for one in known):
        return known
    try:
        return tuple(Operation(**one) for one in json.loads(sample.tags[TAG])) if TAG in sample.tags else None
    except (ValueError, TypeError):
        return None
