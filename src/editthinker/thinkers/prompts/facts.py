"""What a thinker is told besides the two photos: words, editor, region, further images, the turns before.

In: a `View`. Out: what stands at each place of a template. The words of users and models are quoted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from editthinker.core.contracts import EditorInfo, View
from editthinker.core.method import MOST_STEPS
from editthinker.core.types import Turn
from editthinker.thinkers.prompts.template import text
from editthinker.wire.prompting import Part, others, quoted, region

MOST_TURNS = 8
"""Turns of the history that are told, the last ones."""
MOST_REASONING = 600
"""Characters of an earlier turn's reasoning that are told."""

_LANGUAGES = {
    "ar": "Arabic", "de": "German", "en": "English", "es": "Spanish", "fr": "French", "hi": "Hindi",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "pt": "Portuguese", "ru": "Russian", "zh": "Chinese",
}  # fmt: skip


def values(view: View) -> Mapping[str, str | Sequence[Part]]:
    """What stands at each place of a template."""
    asked, sent = view.sample.instruction, view.instruction
    edited = view.edited
    return {
        "source": [view.sample.source],
        "edited": [] if edited is None else [edited],
        "others": others(view.sample),
        "instruction": quoted(asked),
        "sent": "the user's instruction, unchanged" if sent == asked else quoted(sent),
        "editor": _editor(view.editor, len(view.sample.images)) if view.editor else "",
        "region": region(view.sample, judged=edited is not None),
        "start": text("_stacked" if view.stacked else "_afresh").strip(),
        "wording": "" if sent == asked else f"The wording so far:\n{quoted(sent)}\n\n",
        "history": _history(view.turns, asked),
        "most_steps": str(MOST_STEPS),
        "original_instruction": asked,
        "rewritten_prompt": "" if edited is None else sent,
    }


def _editor(editor: EditorInfo, images: int) -> str:
    facts = []
    if editor.languages:
        spoken = " or ".join(_LANGUAGES.get(code, code) for code in editor.languages)
        facts.append(
            f"It follows {spoken} best: write the instruction so, whatever language the user writes."
            " Text that shall appear in the picture stays in its own language."
        )
    if editor.prompt_limit:
        facts.append(
            f"It reads at most {editor.prompt_limit} words and never sees the rest: stay well below."
        )
    if editor.prompt_hint:
        facts.append(editor.prompt_hint)
    if images > 1 and editor.max_images < images:
        seen = (
            "only the source photo"
            if editor.max_images == 1
            else f"only the first {editor.max_images} images"
        )
        facts.append(f"It is shown {seen}: describe in words what it needs to know of the others.")
    elif images > 1:
        facts.append(
            "It is shown all input images, in the same order: refer to them as image 1, image 2 and so on."
        )
    facts.append(
        "Every turn has a new seed, so the same words give another picture."
        if editor.seeded
        else "It is random: the same words give another picture each time, and a single flaw may be chance."
    )
    return "About the editor:\n" + "".join(f"- {fact}\n" for fact in facts) + "\n"


def _history(turns: Sequence[Turn], asked: str) -> str:
    if not turns:
        return ""
    told = "".join(_turn(turn, asked) for turn in turns[-MOST_TURNS:])
    return f"The turns so far, oldest first:\n{told}\n"


def _turn(turn: Turn, asked: str) -> str:
    words = (
        "the user's instruction, unchanged" if turn.instruction == asked else f"\n{quoted(turn.instruction)}"
    )
    score = turn.score
    found = f"semantic {score.semantic:g}, quality {score.quality:g}" if score else "no score"
    lines = f"Turn {turn.index}: {found}; it was sent: {words}\n"
    if turn.base:
        lines += f"It edited the result of turn {turn.base}.\n"
    reasoning = turn.critique.reasoning.strip() if turn.critique else ""
    if reasoning:
        cut = reasoning if len(reasoning) <= MOST_REASONING else f"{reasoning[:MOST_REASONING].rstrip()} …"
        lines += f"What was said of it:\n{quoted(cut)}\n"
    return lines
