"""The README tells the truth: its Python runs, and its table is the one the bench wrote."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from editthinker.darkroom.photographs import photographs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(photographs("validation")[0].path, "photo.jpg")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own text
    assert Path("out.png").stat().st_size > 1000


def test_its_table_is_the_measured_one() -> None:
    shown = re.search(r"<!-- table:start -->\n(.*?)<!-- table:end -->", README, re.DOTALL)
    assert shown
    assert shown.group(1) == (ROOT / "docs/results/darkroom/table.md").read_text(encoding="utf-8")


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
