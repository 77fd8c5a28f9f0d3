"""What a judge is asked: one text file per question, ours, filled in one pass with sample and images.

In: the name of a text, a sample, and the pictures to judge. Out: the parts to show, in order. The sample's
words are quoted, once and as they are. It knows no model and makes no call.

To add one: `NAME.txt` here with the places below.
"""

from __future__ import annotations

from importlib.resources import files

from editthinker.core.images import Picture
from editthinker.core.types import Sample
from editthinker.wire.prompting import Part, Template, others, quoted, region

PLACES = (
    "source",
    "others",
    "instruction",
    "region",
    "edited",
    "first",
    "second",
    "questions",
    "most",
)


def parts(name: str, sample: Sample, **shown: str | Picture) -> tuple[Part, ...]:
    """The parts of a prompt; `shown` stands at the places of its names."""
    text = (files("editthinker.judges.prompts") / f"{name}.txt").read_text("utf-8")
    template = Template.of(text, PLACES)
    values: dict[str, str | list[Part]] = {
        "source": [sample.source],
        "others": others(sample),
        "instruction": quoted(sample.instruction),
    }
    values["region"] = region(sample, judged="edited" in shown or "first" in shown)
    values |= {place: what if isinstance(what, str) else [what] for place, what in shown.items()}
    return template.filled(values)
