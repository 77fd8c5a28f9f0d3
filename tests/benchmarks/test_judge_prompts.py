"""Judge prompts out of other people's files: read as data, never run, and told apart from what is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from editthinker.benchmarks import prompts
from editthinker.benchmarks.table import Table
from editthinker.core.errors import InputError

TABLE = Table("imgedit", "strict", ("all", "score"), (), ())


def test_constants_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    path = tmp_path / "prompts.py"
    path.write_text(
        f"import os\nopen({str(trap)!r}, 'w').write('run')\n"
        'A = """first\nsecond"""\nB: str = "one" "two"\nC = A + B\n'
        'D = """\n  held  \n""".strip()\nE = F = "same"\n'
        "G = open('x').read()\nH = f'{A}'\nI = 5\nJ = A.upper()\ndef f():\n    K = 'inner'\n"
    )
    assert prompts.from_python(path) == {
        "A": "first\nsecond",
        "B": "onetwo",
        "C": "first\nsecondonetwo",
        "D": "held",
        "E": "same",
        "F": "same",
    }
    assert not trap.exists()


def test_windows_line_ends_are_read_as_python_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "prompts.py"
    path.write_bytes(b'A = """one\r\ntwo"""\r\n')
    assert prompts.from_python(path) == {"A": "one\ntwo"}


@pytest.mark.parametrize("text", ["A = (", "\0", "A = " + "(" * 5000])
def test_what_is_no_python_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.py"
    path.write_text(text)
    with pytest.raises(InputError, match="no valid Python"):
        prompts.from_python(path)


def test_json_prompts_are_its_strings(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"add": "x", "n": 5}))
    assert prompts.from_json(path) == {"add": "x"}
    path.write_text("[]")
    with pytest.raises(InputError, match="no JSON object"):
        prompts.from_json(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        prompts.from_json(path)


def test_a_text_that_is_not_the_known_one_is_reported_and_used(tmp_path: Path) -> None:
    texts = {"same": "a", "other": "b", "unknown": "c"}
    known = {"same": prompts.sha256_of("a"), "other": prompts.sha256_of("a")}
    read = prompts.compared(texts, tmp_path / "p.json", known, "a/b 1234567")
    assert read.texts == texts
    assert read.differences == ("'other' differs from a/b 1234567",)
    assert read.unverified == ("no sha256 is known for 'unknown'",)
    assert read.state == "different"
    right = prompts.compared({"same": "a"}, tmp_path / "p.json", known, "a/b 1234567")
    assert right.state == "verified"
    assert right.sha256 != read.sha256


def test_a_table_says_which_prompts_it_rests_on(tmp_path: Path) -> None:
    own = prompts.stamped(TABLE, prompts.ours({"a": "x"}))
    assert not own.comparable
    assert "our own prompts: not comparable" in own.flags[0]
    read = prompts.compared({"a": "x"}, tmp_path / "p.json", {"a": "0" * 64}, "a/b 1234567")
    differing = prompts.stamped(TABLE, read)
    assert not differing.comparable
    assert differing.flags == ("judge prompts: 'a' differs from a/b 1234567",)
    official = prompts.compared({"a": "x"}, tmp_path / "p.json", {"a": prompts.sha256_of("x")}, "a/b 1234567")
    verified = prompts.stamped(TABLE, official)
    assert (verified.comparable, verified.flags) == (True, ("judge prompts: as in a/b 1234567",))
    unknown = prompts.stamped(TABLE, prompts.unverified({"a": "x"}, tmp_path / "p.py", "somebody"))
    assert unknown.comparable
    assert unknown.flags[0].startswith("judge prompts not verified: read from ")
    assert unknown.flags[0].endswith("p.py; no sha256 is known for the prompts of somebody")


def test_a_checkout_without_prompts_says_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a/p\.py or p\.py in it"):
        prompts.located(tmp_path, "a/p.py", "p.py")
    (tmp_path / "p.py").write_text("A = 'x'")
    assert prompts.located(tmp_path, "a/p.py", "p.py") == tmp_path / "p.py"
    assert prompts.located(tmp_path / "p.py", "a/p.py") == tmp_path / "p.py"
    with pytest.raises(InputError, match="lacks the judge prompts B"):
        prompts.chosen({"A": "x"}, ["A", "B"], tmp_path)
