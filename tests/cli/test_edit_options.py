"""Every option of `editthinker edit` reaches the loop, does what it says, and is in the run's record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editthinker import api
from editthinker.cli import main
from editthinker.cli.inputs import read_box, read_plan
from editthinker.cli.options import Order
from editthinker.cli.session import _options
from editthinker.core.errors import InputError
from editthinker.core.images import Picture

SECRET = "sk-very-secret-0123456789"  # noqa: S105 - a made-up one
Edit = Callable[..., dict[str, Any]]


@pytest.fixture
def edit(folder: Path, capsys: pytest.CaptureFixture[str]) -> Edit:
    """Edits the photo and gives the JSON document; `code` is the exit code it must end with."""

    def edit(*arguments: str, code: int = 0, words: str = "warmer") -> dict[str, Any]:
        given = ("--editor", "fakes:editor", "--thinker", "fakes:rising", *arguments)
        assert main(["edit", "photo.jpg", words, "--json", "-f", *given]) == code
        out, err = capsys.readouterr()
        told: dict[str, Any] = {**json.loads(out), "said": err}
        told["config"] = json.loads((Path(told["run"]) / "run.json").read_text("utf-8"))["config"]
        return told

    return edit


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence with which these are refused; nothing is left behind."""
    before = {path.name for path in folder.iterdir()} | {"__pycache__"}
    assert main(["edit", "photo.jpg", "warmer", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert {path.name for path in folder.iterdir()} | {"__pycache__"} == before
    return err


def result() -> np.ndarray[Any, Any]:
    return Picture.open("photo.edited.png").array()


def mask(path: Path, box: tuple[int, int, int, int]) -> None:
    image = Image.new("L", (96, 64))
    image.paste(255, box)
    image.save(path)


def test_references_are_sent_along(edit: Edit, folder: Path) -> None:
    Image.new("RGB", (16, 16), "green").save(folder / "a.png")
    two = ("--reference", "a.png", "--reference", "photo.jpg")
    told = edit("--editor", "fakes:masked_editor", *two)
    assert result()[0, 0].tolist() == [3, 0, 0]
    assert told["config"]["reference"] == ["a.png", "photo.jpg"]
    assert len(told["trajectory"]["sample"]["images"]) == 3


def test_too_many_images_for_an_editor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(folder, capsys, "--reference", "photo.jpg")
    assert "editor 'darkroom' takes 1 image(s), the sample has 2" in sentence


@pytest.mark.parametrize(
    "way", [("--mask", "mask.png"), ("--box", "48,0,48,32"), ("--box", "50%,0%,50%,50%")]
)
def test_a_mask_or_a_box_says_where(way: tuple[str, str], edit: Edit, folder: Path) -> None:
    mask(folder / "mask.png", (48, 0, 96, 32))
    told = edit("--editor", "fakes:masked_editor", *way)
    red = (result() == [255, 0, 0]).all(axis=-1)
    assert red[:32, 48:].all()
    assert red.sum() == 32 * 48
    assert told["config"][way[0].strip("-")] is not None


def test_paste_back_keeps_the_rest_of_the_photo(edit: Edit, folder: Path) -> None:
    mask(folder / "mask.png", (48, 0, 96, 32))
    told = edit("--editor", "fakes:plain_editor", "--mask", "mask.png", "--paste-back")
    photo = Picture.open(folder / "photo.jpg").array()
    assert (result()[40:, :40] == photo[40:, :40]).all()
    assert (result()[10, 80] == [0, 0, 255]).all()
    assert told["config"]["paste_back"] is True


BAD = {
    "both": (("--mask", "photo.jpg", "--box", "0,0,9,9"), "a mask and a box say the same thing"),
    "no mask": (("--mask", "nowhere.png"), "there is no such file"),
    "an editor without masks": (("--box", "0,0,9,9"), "takes no mask"),
    "an empty box": (("--box", "200,0,9,9", "--editor", "fakes:masked_editor"), "holds no pixel"),
    "three numbers": (("--box", "1,2,3"), "--box takes left,top,width,height"),
    "a mixture": (("--box", "1,2,3%,4"), "--box takes left,top,width,height"),
    "half a pixel": (("--box", "1.5,2,3,4"), "--box takes whole pixels"),
    "more than all": (("--box", "1%,2%,300%,4%"), "--box takes percent from 0% to 100%"),
    "nonsense": (("--box", "nan,0,1,1"), "--box takes whole pixels"),
    "no reference": (("--reference", "nowhere.png"), "there is no such file"),
    "unknown judge": (("--judge", "nope"), "unknown judge 'nope'"),
    "a judge that cannot compare": (("--compare", "darkroom"), "which cannot compare two images"),
    "unknown policy": (("--policy", "adaptve"), "did you mean 'adaptive'?"),
    "unknown alternate": (("--also", "darkrom"), "did you mean 'darkroom'?"),
    "twice the same editor": (
        ("--also", "fakes:editor", "--editor", "fakes:editor"),
        "two editors are called",
    ),
    "no candidates": (("--candidates", "0"), "Invalid value for '--candidates'"),
    "a plan nobody made": (
        ("--plan", "nowhere.txt"),
        "cannot use the plan nowhere.txt: there is no such file",
    ),
    "a plan for another strategy": (("--plan", "plan.txt", "--strategy", "single"), "does not go by a plan"),
    "a template nobody reads": (("--prompt", "plan.txt"), "thinker 'darkroom' has no settings, got 'prompt'"),
    "a template for nobody": (("--prompt", "p", "--thinker", "none"), "--prompt needs a single thinker"),
    "settings nobody has": (
        ("--editor", "darkroom?steps=3"),
        "editor 'darkroom' has no settings, got 'steps'",
    ),
    "no settings": (("--editor", "openai:m?steps"), "written as ?key=value&key=value"),
    "a typo in a scheme": (("--editor", "opnai:m"), "did you mean 'openai:MODEL'?"),
    "an empty scheme": (("--editor", "openai:"), "is not complete; write openai:MODEL"),
    "a member that is none": (("--thinker", "ensemble:darkroom|none"), "'none' cannot be one of several"),
    "a vote on a vote": (("--thinker", "ensemble:ensemble:darkroom"), "cannot be one of several"),
    "endless costs": (("--max-cost", "nan"), "Invalid value for '--max-cost'"),
}


@pytest.mark.parametrize(("arguments", "part"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused(
    arguments: tuple[str, ...], part: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "plan.txt").write_text("warmer\n", "utf-8")
    assert part in refused(folder, capsys, *arguments)


def test_a_judge_scores_in_the_thinker_s_place(edit: Edit) -> None:
    told = edit("--judge", "fakes:Judge")
    assert told["trajectory"]["turns"][0]["judged"]["overall"] == 9
    assert told["trajectory"]["stop"]["reason"] == "satisfied"
    assert told["config"]["judge"] == "fakes:Judge"


def test_a_comparer_picks_what_is_delivered(edit: Edit) -> None:
    told = edit("--compare", "fakes:Judge")
    assert told["trajectory"]["chosen"] == 1
    assert "compared by fair" in told["said"]
    assert told["config"]["comparer"] == "fakes:Judge"


def test_candidates_are_made_and_the_best_is_kept(edit: Edit) -> None:
    told = edit("--candidates", "3", "--turns", "1", "--judge", "fakes:Judge")
    assert [len(turn["others"]) for turn in told["trajectory"]["turns"]] == [2]
    assert told["config"]["candidates"] == 3


def test_the_adaptive_policy_switches_the_editor(edit: Edit) -> None:
    also = ("--policy", "adaptive", "--also", "fakes:second_editor", "--turns", "4")
    told = edit("--thinker", "fakes:flat", *also)
    editors = [turn["editor"] for turn in told["trajectory"]["turns"]]
    assert "second" in editors
    assert (told["config"]["policy"], told["config"]["alternates"]) == ("adaptive", ["fakes:second_editor"])


def test_stacking_edits_the_last_result(edit: Edit) -> None:
    told = edit("--stack")
    assert [turn["base"] for turn in told["trajectory"]["turns"]] == [0, 1]
    assert told["config"]["stack"] is True


def test_a_plan_from_a_file_is_gone_by(edit: Edit, folder: Path) -> None:
    (folder / "steps.txt").write_text("# first\nwarmer\n\n  sepia  \n", "utf-8")
    told = edit("--plan", "steps.txt", "--thinker", "fakes:Planner", words="warmer and sepia")
    assert told["trajectory"]["strategy"] == told["config"]["strategy"] == "plan-and-edit"
    assert told["trajectory"]["plan"]["steps"] == told["config"]["plan"] == ["warmer", "sepia"]


def test_the_plan_alone_can_be_edited_and_given_back(
    edit: Edit, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["edit", "photo.jpg", "warmer and sepia", "--plan-only", "--thinker", "fakes:Planner"]
    assert main(asked) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("warmer\nsepia\n", "")
    (folder / "p.txt").write_text(out, "utf-8")
    assert main([*asked, "--json"]) == 0
    (folder / "p.json").write_text(capsys.readouterr().out, "utf-8")
    assert read_plan(Path("p.txt")) == read_plan(Path("p.json")) == ["warmer", "sepia"]
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("p.json", '["warmer", 3]', "must hold 'steps'"),
        ("p.json", "{", "Expecting"),
        ("p.json", '{"stepps": []}', "must hold 'steps'"),
        ("p.toml", 'steps = ["warmer", " "]', "must hold 'steps'"),
        ("p.toml", "steps = [", "Invalid"),
        ("p.txt", "# nothing\n", "there is no step in it"),
    ],
)
def test_a_plan_that_is_none(name: str, text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=part):
        read_plan(tmp_path / name)


def test_a_plan_in_toml(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('steps = ["warmer", "sepia"]\n', "utf-8")
    assert read_plan(tmp_path / "p.toml") == ["warmer", "sepia"]


def test_shares_stay_shares(tmp_path: Path) -> None:
    assert read_box("0%,0%,100%,50%") == (0, 0, 1, 0.5)
    assert read_box(" 1, 2, 3, 4") == (1, 2, 3, 4)


def test_a_template_reaches_the_thinker(edit: Edit) -> None:
    told = edit("--thinker", "fakes:Planner?temperature=1", "--prompt", "my template&.txt")
    assert told["trajectory"]["turns"][0]["critique"]["reasoning"] == "my template&.txt"
    assert told["config"]["thinker"].startswith("fakes:Planner?temperature=1&prompt=my")


def test_money_is_a_limit(edit: Edit) -> None:
    told = edit("--editor", "fakes:costly_editor", "--max-cost", "0.2", "--threshold", "11", "--turns", "9")
    assert told["trajectory"]["stop"]["reason"] == "cost_limit"
    assert told["trajectory"]["spend"]["cost"] == 0.25
    assert "cost:   $0.2500" in told["said"]
    assert told["config"]["max_cost"] == 0.2


def test_thinker_calls_are_a_limit(edit: Edit) -> None:
    told = edit("--max-thinker-calls", "1", "--threshold", "11")
    assert told["trajectory"]["stop"]["reason"] == "call_limit"
    assert told["trajectory"]["spend"]["thinker_calls"] == 1


def test_patience_and_thresholds(edit: Edit) -> None:
    told = edit("--thinker", "fakes:flat", "--patience", "1", "--turns", "9")
    assert told["trajectory"]["stop"]["reason"] == "plateau"
    told = edit("--thinker", "fakes:flat", "--semantic", "5", "--quality", "8", "--threshold", "11")
    assert told["trajectory"]["stop"]["reason"] == "satisfied"
    assert len(told["trajectory"]["turns"]) == 1


def test_a_dry_run_calls_nobody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--editor", "openai:m?base_url=http://127.0.0.1:9/v1&price=0.1", "--max-cost", "2"]
    dry = ["edit", "photo.jpg", "warmer", "--dry-run", *nowhere, "--candidates", "2"]
    assert main(dry) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "images:   96 x 64" in out
    assert "editor:   openai:m, $0.1000 an edit" in out
    assert "at most 6 of the editor" in out
    assert "cost:     at most $0.6000" in out
    assert "no call starts once $2 are spent" in out
    assert main([*dry, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["most_editor_calls"], told["most_cost"], told["max_cost"]) == (6, pytest.approx(0.6), 2)
    assert sorted(path.name for path in folder.iterdir()) == ["fakes.py", "photo.jpg"]


def test_a_dry_run_says_what_it_does_not_know(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edit", "photo.jpg", "warmer", "--dry-run", "--editor", "fakes:editor"]) == 0
    assert "cost:     unknown, without a price of scripted" in capsys.readouterr().out


def test_prices_of_the_configuration_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = folder / ".config" / "editthinker"
    home.mkdir(parents=True)
    (home / "config.toml").write_text('[prices]\n"some/model" = 0.5\n', "utf-8")
    named = "openai:some/model?base_url=http://127.0.0.1:9/v1"
    dry = ["edit", "photo.jpg", "warmer", "--dry-run", "--json", "--turns", "1", "--editor"]
    assert main([*dry, named]) == 0
    assert json.loads(capsys.readouterr().out)["most_cost"] == 0.5
    assert main([*dry, f"{named}&price=0.2"]) == 0
    assert json.loads(capsys.readouterr().out)["most_cost"] == 0.2


def test_impossible_is_told_with_its_reason(edit: Edit) -> None:
    told = edit("--thinker", "fakes:hopeless", code=1)
    assert told["trajectory"]["stop"]["reason"] == "impossible"
    assert "the thinker judged the instruction impossible for this photo: there is no dog" in told["said"]


def test_an_editor_that_gives_the_photo_back_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--editor", "fakes:Still", "--thinker", "fakes:flat"]
    assert main(["edit", "photo.jpg", "warmer", *models]) == 1
    assert "the editor gave the photo back unchanged; no turn is better" in capsys.readouterr().err


def test_a_server_that_is_down_is_one_sentence_and_a_report(edit: Edit) -> None:
    told = edit("--editor", "openai:m?base_url=http://127.0.0.1:9/v1", "--retries", "0", "-q", code=1)
    first, second, *rest = told["said"].splitlines()
    assert "editor 'openai:m' (http://127.0.0.1:9/v1) cannot be reached" in first
    assert first.endswith("is the server running?; nothing was written")
    assert Path(second.removeprefix("report: ")).is_file()
    assert rest == []
    assert told["config"]["retries"] == 0


def test_a_key_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "set OPENAI_API_KEY" in refused(folder, capsys, "--editor", "openai:gpt-image-2.5-flare")
    assert "there is no key at 'env:NO'" in refused(folder, capsys, "--editor", "openai:m?key=env:NO")


def test_no_secret_reaches_the_record_or_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    literal = refused(folder, capsys, "--editor", f"openai:m?key={SECRET}&base_url=http://127.0.0.1:9/v1")
    assert "a key is given by reference" in literal
    assert "sk-" not in literal
    name = f"openai:m?base_url=http://127.0.0.1:9/v1&extra.api_key={SECRET}&key=env:MY_KEY"
    monkeypatch.setenv("MY_KEY", f"{SECRET}-too")
    assert main(["edit", "photo.jpg", "warmer", "--editor", name, "--retries", "0", "--run", "r"]) == 1
    assert "sk-" not in capsys.readouterr().err
    for path in (folder / "r").rglob("*"):
        assert not path.is_file() or b"sk-very" not in path.read_bytes(), path
    recorded = json.loads((folder / "r" / "run.json").read_text("utf-8"))["config"]["editor"]
    assert recorded == "openai:m?base_url=http://127.0.0.1:9/v1&extra.api_key=***&key=env:MY_KEY"


def test_what_a_name_of_ones_own_stood_for_is_recorded(edit: Edit, folder: Path) -> None:
    home = folder / ".config" / "editthinker"
    home.mkdir(parents=True)
    table = '[thinkers.mine]\nuse = "fakes:Planner"\ntemperature = 0.5\nprompt = "x"\n'
    (home / "config.toml").write_text(table, "utf-8")
    config = edit("--thinker", "mine?prompt=y")["config"]
    assert config["thinker"] == "mine?prompt=y"
    assert config["means"] == {"mine?prompt=y": "fakes:Planner?temperature=0.5&prompt=y"}


def test_the_command_line_and_python_have_the_same_options_and_defaults() -> None:
    options = _options(Order(image="photo.jpg", instruction="warmer"))
    assert {**options, "judge": None} == api.DEFAULTS
