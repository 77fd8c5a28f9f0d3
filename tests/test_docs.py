"""The pages tell the truth: commands parse and their names and settings are accepted, configurations load."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from editthinker import resolve
from editthinker.cli import main
from editthinker.config import load, user_file
from editthinker.testing import photograph

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "editors-and-thinkers.md"
OTHERS = ("export", "vllm", "sglang")
"""Commands that are not ours to try."""
SERVERS = ("serve-editor",)
WORKFLOW = {
    "1": {"class_type": "LoadImage", "_meta": {"title": "editthinker:image"}, "inputs": {"image": "a.png"}},
    "6": {"class_type": "CLIPTextEncode", "_meta": {"title": "editthinker:prompt"}, "inputs": {"text": ""}},
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "latent_image": ["1", 0], "positive": ["6", 0]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line]


OURS = [line for line in commands() if re.match(r"(EDITTHINKER_\w+=\S+ )?editthinker ", line)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page talks about, and the page's configuration as the user's own."""
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "made-up-for-a-test")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("EDITTHINKER_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "dress.jpg"):
        photograph(96, 64).save(tmp_path / name)
    (tmp_path / "steps.txt").write_text("warmer\nflip it\n", "utf-8")
    (tmp_path / "workflow.json").write_text(json.dumps(WORKFLOW), "utf-8")
    (tmp_path / "prompt_template.txt").write_text(
        "Was it done? {original_instruction} {rewritten_prompt}", "utf-8"
    )
    user_file().parent.mkdir(parents=True)
    user_file().write_text(blocks("toml")[0], "utf-8")
    return tmp_path


def test_every_command_is_ours_or_known() -> None:
    rest = [line for line in commands() if line not in OURS and line.split()[0] not in OTHERS]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for line in rest:
        found = re.fullmatch(r"pip install 'editthinker\[(\w+)\]'", line)
        assert found, line
        assert found[1] in extras
    assert len(OURS) > 20


@pytest.mark.parametrize("line", OURS)
def test_the_command_would_work(
    line: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edits are tried with --dry-run, which builds every model and calls none; servers only by name."""
    words = shlex.split(line.partition(" > ")[0])
    while "=" in words[0]:
        monkeypatch.setenv(*words.pop(0).split("=", 1))  # type: ignore[arg-type]  # two parts
    verb = words[1]
    if verb in SERVERS:
        assert resolve.understood("editor", words[2]).model.target
        return
    if words[1:] == ["config", "trust"]:
        (place / "editthinker.toml").write_text(blocks("toml")[0], "utf-8")
    offline = {"edit": ["--dry-run", "--json"]}.get(verb, [])
    if "--plan-only" in words:
        offline = ["--editor", "darkroom", "--thinker", "darkroom"]
    code = main([*words[1:], *offline])
    out, err = capsys.readouterr()
    if code == 2 and "needs an optional part: pip install" in err:
        pytest.skip(err)
    assert code == 0, err
    if "--dry-run" in offline:
        assert json.loads(out)["editors"]
    assert not (place / "runs").exists()


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_configuration_loads_and_every_name_in_it_can_be_built(text: str, place: Path) -> None:
    user_file().write_text(text, "utf-8")
    config = load()
    assert config.models
    for role, name in config.models:
        if resolve.understood(role, name).model.available:
            getattr(resolve, f"resolve_{'comparer' if role == 'judge' else role}")(name)
    for choices in (config.defaults, *config.presets.values()):
        for key, role in (("editor", "editor"), ("thinker", "thinker"), ("compare", "judge")):
            if key in choices:
                assert (role, choices[key][0]) in config.models


def test_its_python_runs(place: Path) -> None:
    for block in blocks("python"):
        exec(compile(block, PAGE.name, "exec"), {})  # noqa: S102 - our own text
    assert (place / "out.png").stat().st_size > 100


def test_what_it_links_to_is_there() -> None:
    for page in (PAGE, *(ROOT / "docs" / "decisions").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), target


def test_every_scheme_is_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    assert [model.shown for model in resolve.BUILTIN if model.form and f"{model.name}:" not in text] == []
