"""The judge prompts of RISEBench: which there are, how they are checked, and ours in their place.

In: the `utils.py` of a checkout. Out: `Prompts` by the names of the authors' templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from editthinker.benchmarks import prompts as judge_prompts
from editthinker.benchmarks.prompts import Prompts
from editthinker.benchmarks.records import filled

UNCHECKED: Final = "prompt_logical_img"
"""Its text at the known commit was never sent: the 360 records lead around it, see `rise.plan`."""

SOURCE: Final = "PhoenixZ810/RISEBench 5f22651"
AS_THEY_ARE: Final = frozenset({"prompt_generation", "prompt_spatial_qual", "prompt_logical_img_wo_q"})
"""Templates that nothing is put into."""

PROBES: Final = {
    "prompt_consist": (
        "made-up: after one year",
        "an older tree",
        "8e7576fcfc4437eeeaa1a6d4e98030c0432f5438f184ad45246733f092a39a29",
    ),
    "prompt_reasoning": (
        "made-up: after one year",
        "an older tree",
        "dc70dec2572ef77ed2828b89d3543166fd96e1c1a7b125abf2f9d9e097f35708",
    ),
    "prompt_generation": (
        "made-up: after one year",
        "an older tree",
        "2d607960deffa2e1b5178bfbf9f06c865654ddbe35b249caa9e59c616ff6c916",
    ),
    "prompt_reasoning_w_input": (
        "made-up: 1920",
        "old street",
        "c005d9117e6ca3f780c44ebfe89776a527953e1a6ce7bc1ef60b22ad07841934",
    ),
    "prompt_spatial_cons": (
        "made-up: assemble",
        "assembled",
        "21d14c1a797b007f3cde6437f9d93ac9a3032528d1cc4bf7f8952df0eb0a0cd0",
    ),
    "prompt_spatial_ref": (
        "made-up: assemble",
        "assembled",
        "f5ba51b3748621c31e36a0937025c873c12123a8a58d10a15cbe2cbbfe976bd8",
    ),
    "prompt_spatial_qual": (
        "made-up: assemble",
        "assembled",
        "3bead46a4b0bcf295700caec5c116809dd72d4a03a750f7bb9da3e2563123c80",
    ),
    "prompt_spatial_ref_img": (
        "made-up: top view",
        "",
        "4855a89659f0320669c6d24fb0204ce3555612b8081e0b83976368ef182d4f78",
    ),
    "prompt_spatial_ref_w_input": (
        "made-up: hidden",
        "cube",
        "debe9f9964291dd7eb2b3c6b71f8a425da36c1aa71299a5e49fa35540765373a",
    ),
    "prompt_logical_cons": (
        "made-up: pattern",
        "",
        "8f364c64851f88a3d5feca903726a1e5ca9324d6b9dd0e09e7f2e56104384538",
    ),
    "prompt_logical_img_wo_q": (
        "made-up: pattern",
        "",
        "8cd49d5335cd303c810affa011b21dcd1416fcbb76df00f175ee3af949dcaa8d",
    ),
    "prompt_logical_cons_ans": (
        "made-up: sum",
        "12",
        "c61e7e4964e3ea0d2a4342308f4ebcb5351e1c45531da6ff6907de036ac3e0b4",
    ),
    "prompt_logical_txt": (
        "made-up: sum",
        "12",
        "717c19312a66737ef6a683548935e5e1fdb4c7c61e85bb7f1491d3d3c8489f10",
    ),
}
"""Template -> instruction, reference, and the sha256 of the official text with these in it (5f22651)."""


def official(path: Path) -> Prompts:
    """The authors' templates, compared with the known commit. Raises `InputError`."""
    texts = judge_prompts.chosen(judge_prompts.from_python(path), (*PROBES, UNCHECKED), path)
    probes = {
        name: text(texts, name, {"instruct": instruct, "reference": reference})
        for name, (instruct, reference, _) in PROBES.items()
    }
    known = {name: sha256 for name, (*_, sha256) in PROBES.items()}
    checked = judge_prompts.compared({name: texts[name] for name in PROBES}, path, known, SOURCE, probes)
    return replace(checked, texts=texts)


def text(texts: Mapping[str, str], name: str, values: Mapping[str, str]) -> str:
    """What is sent: the template with `values` in their places."""
    return texts[name] if name in AS_THEY_ARE else filled(texts[name], values)


_ASKED = "What was asked for: {instruct}\n\n"
_ONE_TO_FIVE = (
    "\n\nGive a few sentences of reasons, then one whole number from 1 (not at all) to 5 (completely)"
    " on the last line, written exactly so:\nFinal Score: <number>"
)
_ZERO_ONE = (
    "\n\nGive a few sentences of reasons, then 1 for yes or 0 for no on the last line, written exactly so:\n"
    "Final Score: <number>"
)
_KEPT = "Is everything that had not to change for this the same in the second image as in the first?"
_SHOWS = "The result should show: {reference}\n\nDoes the last image show that?"

_CONSISTENCY = (
    "The first image is a photo or drawing, the second an edited version of it. "
    + _ASKED
    + _KEPT
    + _ONE_TO_FIVE
)
_REASONING = "The image is the result of an edit. " + _ASKED + _SHOWS + _ONE_TO_FIVE
_WITH_INPUT = "The first image was edited; the last image is the result. " + _ASKED + _SHOWS + _ONE_TO_FIVE
_QUALITY = (
    "Is this image sharp, free of faults, and possible for what it is (a photo, a drawing)?" + _ONE_TO_FIVE
)
_LIKE_REFERENCE = (
    "The first image shows a right solution, the second what somebody made. Does the second show the same"
    " solution?"
)

OURS: Final = {
    "prompt_consist": _CONSISTENCY,
    "prompt_reasoning": _REASONING,
    "prompt_reasoning_w_input": _WITH_INPUT,
    "prompt_generation": _QUALITY,
    "prompt_spatial_cons": _CONSISTENCY,
    "prompt_spatial_ref": _REASONING,
    "prompt_spatial_ref_w_input": _WITH_INPUT,
    "prompt_spatial_ref_img": (
        "The first image shows what the result should be, the second what somebody made. "
        + _ASKED
        + "Does the second show the same as the first?"
        + _ONE_TO_FIVE
    ),
    "prompt_spatial_qual": _QUALITY,
    "prompt_logical_cons": (
        "The first image shows a right solution of a puzzle, the second what somebody made. "
        + _ASKED
        + "Apart from the solution itself: are style, layout and setting the same in both?"
        + _ZERO_ONE
    ),
    "prompt_logical_cons_ans": (
        "The first image shows a puzzle, the second what somebody made of it. "
        + _ASKED
        + "The right answer: {reference}\n\n"
        + "Apart from the answer: are style, layout and setting the same in both?"
        + _ZERO_ONE
    ),
    "prompt_logical_txt": (
        "The image is somebody's solution of a puzzle. "
        + _ASKED
        + "The right answer: {reference}\n\nDoes the image show it?"
        + _ZERO_ONE
    ),
    "prompt_logical_img": _LIKE_REFERENCE + "\n\n" + _ASKED.strip() + _ZERO_ONE,
    "prompt_logical_img_wo_q": _LIKE_REFERENCE + _ZERO_ONE,
}
"""Our own questions, under the names of the authors' templates."""
