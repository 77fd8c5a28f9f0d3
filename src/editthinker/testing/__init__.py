"""What tests of editing-by-thinking need: scripted fakes, and behaviour suites any implementation must pass.

In: scripts for the fakes, factories for the suites. Out: real images and critiques, deterministic;
AssertionErrors that say which promise of `core.contracts` is broken. It knows no editor, thinker or judge,
ours included, and needs plain pytest or nothing.

    from editthinker.testing import check_editor
    def test_my_editor(): check_editor(MyEditor)

`probes` are the questions of `editthinker doctor`, to be asked of a live editor, thinker or judge.

To add a promise: a function in `behaviour`, listed in its suite.
"""

from __future__ import annotations

from editthinker.testing.behaviour import check_editor, check_judge, check_thinker, photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker

__all__ = ["ScriptedEditor", "ScriptedThinker", "check_editor", "check_judge", "check_thinker", "photograph"]
