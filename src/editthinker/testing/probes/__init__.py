"""Questions to an editor, a thinker or a judge that only a real request can answer; a doctor's, not a test's.

In: any object of `core.contracts`. Out: a `Finding` for each question as soon as it is answered: a verdict,
one plain sentence, seconds and cost. "fail" means that the loop is no use with it, "warn" that what it says
of itself is not so, or that it is weak. It sends few requests (`editor_calls`, ...), one at a time.

    async for finding in examine_editor(editor): ...

To add a question: a method of `EditorExam` (or its sisters) that returns a finding, named in its `questions`.
"""

from __future__ import annotations

from editthinker.testing.probes.editors import editor_calls, examine_editor
from editthinker.testing.probes.finding import Finding, Verdict
from editthinker.testing.probes.judges import JUDGE_CALLS, examine_judge
from editthinker.testing.probes.thinkers import THINKER_CALLS, examine_thinker

__all__ = [
    "JUDGE_CALLS",
    "THINKER_CALLS",
    "Finding",
    "Verdict",
    "editor_calls",
    "examine_editor",
    "examine_judge",
    "examine_thinker",
]
