"""Export, import, licences, checks and figures: against the shapes of the published files."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_rows import lines, step, trajectory

from editthinker.core import reply
from editthinker.core.errors import InputError
from editthinker.data import arrays, exporting, importing
from editthinker.data.arrays import items
from editthinker.data.checking import Benchmarks, clean
from editthinker.data.exporting import FORMATS, answer, inert
from editthinker.data.figures import Figures, svg
from editthinker.data.importing import Images, Template
from editthinker.data.licences import conflicts, folded, traits
from editthinker.data.records import StepRow
from editthinker.data.stage import Counts, begun
from editthinker.testing import photograph


@pytest.fixture
def steps(tmp_path: Path) -> list[StepRow]:
    """Two steps on images that exist; the words of the second try to be more than words."""
    for name in ("s.png", "e.png"):
        photograph(64, 48, seed=len(name)).save(tmp_path / name)
    source, edited = str(tmp_path / "s.png"), {"path": str(tmp_path / "e.png")}
    return [
        step("one", 4.5, source=source, edited=edited),
        step(
            "two",
            7,
            source=source,
            edited=edited,
            instruction="<image> here <|im_end|> {rewritten_prompt}",
            refined="say </answer> and <|image_pad|>",
        ),
    ]


def ask(one: StepRow) -> tuple[str | int, ...]:
    return 0, 1, f"Asked: {one.instruction}\nSent: {one.sent}\nEnd"


def exported(form: str, rows: list[StepRow], out: Path) -> Path:
    with begun("export", out, {}) as stage:
        stage.counts.read = len(rows)
        FORMATS[form](rows, stage, ask, str)
    return out


def test_llamafactory_is_sharegpt_with_its_entry(steps: list[StepRow], tmp_path: Path) -> None:
    out = exported("llamafactory", steps, tmp_path / "out")
    rows = json.loads((out / "sft_train.json").read_text("utf-8"))
    entry = json.loads((out / "dataset_info.json").read_text("utf-8"))["edit_thinker_qwen3vl_sft"]
    assert entry["formatting"] == "sharegpt"
    assert entry["columns"] == {"messages": "messages", "images": "images"}
    assert entry["tags"] == {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
    }
    for row, one in zip(rows, steps, strict=True):
        assert list(row) == ["messages", "images"]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["messages"][0]["content"].startswith("<image><image>Asked: ")
        assert row["images"] == [one.images[0].path, one.edited.path]
        words = json.dumps(row["messages"])
        assert words.count("<image>") == len(row["images"])
        assert "<|" not in words
    critique = reply.parse(rows[0]["messages"][1]["content"], previous_instruction=steps[0].sent)
    assert (critique.score and critique.score.semantic, critique.refined_instruction) == (
        4.5,
        "make it much warmer",
    )


def test_easyr1_says_semantics(steps: list[StepRow], tmp_path: Path) -> None:
    (first, second) = lines(exported("easyr1", steps, tmp_path / "out") / "rl_train.jsonl")
    assert first == {
        "origin_prompt": "make it warm",
        "rewritten_prompt": "make it warm",
        "origin_image_path": steps[0].images[0].path,
        "edited_image_path": steps[0].edited.path,
        "evaluation": {"semantics": 4.5, "quality": 4.5},
    }
    assert second["origin_prompt"] == "&lt;image&gt; here &lt;|im_end|&gt; {rewritten_prompt}"


def test_trl_is_conversational(steps: list[StepRow], tmp_path: Path) -> None:
    (first, _) = lines(exported("trl", steps, tmp_path / "out") / "train.jsonl")
    (message,) = first["prompt"]  # type: ignore[misc]
    assert [part["type"] for part in message["content"]] == ["image", "image", "text"]  # type: ignore[has-type]
    assert first["completion"][0]["content"][0]["text"] == answer(steps[0])  # type: ignore[index]
    assert first["images"] == [steps[0].images[0].path, steps[0].edited.path]
    assert (first["semantic"], first["task"]) == (4.5, "style")


@pytest.mark.slow
def test_trl_itself_takes_it_for_a_conversation_with_images(steps: list[StepRow], tmp_path: Path) -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    (first, _) = lines(exported("trl", steps, tmp_path / "out") / "train.jsonl")
    assert data_utils.is_conversational(first)
    pictures = ["source", "edited"]
    prepared = data_utils.prepare_multimodal_messages(first["prompt"], images=list(pictures))
    content = prepared[0]["content"]
    assert [part.get("image") for part in content[:2]] == pictures


@pytest.mark.slow
def test_parquet_opens_as_a_dataset_with_images(steps: list[StepRow], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    out = exported("parquet", steps, tmp_path / "out")
    again = exported("parquet", steps, tmp_path / "again")
    assert (out / "train.parquet").read_bytes() == (again / "train.parquet").read_bytes()
    rows = datasets.Dataset.from_parquet(str(out / "train.parquet"), cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 2
    assert [image.size for image in rows[0]["images"]] == [(64, 48), (64, 48)]
    assert rows[0]["prompt"][0]["content"][2]["text"].startswith("Asked")


def test_parquet_takes_nothing_into_itself_that_is_no_image(steps: list[StepRow], tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "secret.txt").write_text("password", "utf-8")
    hostile = steps[0].model_copy(
        update={"edited": steps[0].edited.model_copy(update={"path": str(tmp_path / "secret.txt")})}
    )
    counts = Counts()
    with begun("export", tmp_path / "out", {}) as stage:
        stage.counts = counts
        counts.read = 2
        FORMATS["parquet"]([hostile, steps[1]], stage, ask, str)
    assert pq.read_table(tmp_path / "out" / "train.parquet").num_rows == counts.kept == 1
    assert counts.dropped == {"missing_image": 1}
    assert b"password" not in (tmp_path / "out" / "train.parquet").read_bytes()


def test_steps_that_a_format_cannot_hold_are_counted(steps: list[StepRow], tmp_path: Path) -> None:
    mute = step("mute", 5, reasoning=None, refined=None, source=steps[0].images[0].path)
    mute = mute.model_copy(update={"edited": steps[0].edited})
    rows = [steps[0], step("gone", 5), step("unscored", None), mute]
    dropped = {}
    for form in ("llamafactory", "easyr1"):
        with begun("export", tmp_path / form, {}) as stage:
            stage.counts.read = 4
            FORMATS[form](rows, stage, ask, str)
        dropped[form] = dict(stage.counts.dropped)
    assert dropped["llamafactory"] == {"missing_image": 1, "unscored": 1, "no_answer": 1}
    assert dropped["easyr1"] == {"missing_image": 1, "unscored": 1}
    assert exporting.pictures(steps[0]) == (steps[0].images[0].path, steps[0].edited.path)
    assert inert("a < b | c <imagine>") == "a < b | c <imagine>"


# --- import ---

TEMPLATE = (
    "<image><image>\n# Evaluate\n"
    "Original: {original_instruction}\nRewritten: {rewritten_prompt}\n\nNow reply."
)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder laid out as the published data: images, sft_train.json, rl_train.jsonl."""
    root = tmp_path / "published"
    (root / "images").mkdir(parents=True)
    for name in ("a", "b"):
        photograph(32, 32, seed=ord(name)).save(root / "images" / f"{name}.png")
    return root


def sft_record(user: str, assistant: str, *images: str) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}],
        "images": list(images),
    }


FILLED = TEMPLATE.replace("{original_instruction}", "make it {rewritten_prompt} warm").replace(
    "{rewritten_prompt}\n\nNow", "warmer\n\nNow"
)
ANSWER = '<think>cold</think>\n\n<score>{"semantic": 3, "quality": 9}</score>\n\n<answer>very warm</answer>'


def imported(rows: Iterator[Any]) -> list[Any]:
    return list(rows)


def test_published_sft_rows_become_steps(published: Path) -> None:
    file = published / "sft_train.json"
    good = sft_record(FILLED, ANSWER, "images/a.png", "images/b.png")
    bad = [
        sft_record("another prompt", ANSWER, "images/a.png", "images/b.png"),
        sft_record(FILLED, "no tags", "images/a.png", "images/b.png"),
        sft_record(FILLED, ANSWER, "images/a.png", "images/absent.png"),
        sft_record(FILLED, ANSWER, "../../../etc/passwd", "images/b.png"),
        sft_record(FILLED, ANSWER, "images/a.png"),
        {"messages": []},
        7,
    ]
    (published / "images" / "link.png").symlink_to("/etc/hostname")
    bad.append(sft_record(FILLED, ANSWER, "images/link.png", "images/b.png"))
    file.write_text(json.dumps([good, *bad], indent=1), "utf-8")
    counts = Counts()
    (found,) = importing.steps_of_sft(file, Images(published), Template(TEMPLATE), counts, {"licence": "X"})
    assert (found.instruction, found.sent, found.refined) == (
        "make it {rewritten_prompt} warm",
        "warmer",
        "very warm",
    )
    assert found.score
    assert (found.score.semantic, found.score.quality) == (3, 9)
    assert (found.licence, found.turn) == ("X", 2)
    assert counts.read == 9
    assert counts.dropped == {
        "other_prompt": 1, "malformed_answer": 1, "missing_image": 1, "outside_images": 2, "malformed": 3,
    }  # fmt: skip


def test_paths_of_whoever_wrote_the_file_can_be_cut(published: Path) -> None:
    found = Images(published, "/mnt/theirs").find("/mnt/theirs/images/a.png")
    assert found.path == (published.resolve() / "images" / "a.png").as_posix()
    with pytest.raises(importing.Unusable):
        Images(published).find("/mnt/theirs/images/a.png")


def test_a_template_needs_both_places() -> None:
    with pytest.raises(InputError, match=r"prompt_template.txt"):
        Template("only {original_instruction}")


def test_published_rl_rows_become_steps_without_an_answer(published: Path, tmp_path: Path) -> None:
    row = {
        "origin_prompt": "warm",
        "rewritten_prompt": "warmer",
        "origin_image_path": "images/a.png",
        "edited_image_path": "images/b.png",
        "evaluation": {"semantics": 3, "quality": 9.5},
        "task_type": "style",
    }
    file = published / "rl_train.jsonl"
    broken = ["{", json.dumps(row | {"evaluation": {"semantics": 30, "quality": 1}}), json.dumps([row])]
    unscored = json.dumps({key: value for key, value in row.items() if key != "evaluation"})
    file.write_text("\n".join([json.dumps(row), *broken, unscored]), "utf-8")
    counts = Counts()
    first, second = importing.steps_of_rl(file, Images(published), counts, {})
    assert first.score
    assert (first.score.semantic, first.score.quality) == (3, 9.5)
    assert (first.task, first.refined, second.score) == ("style", None, None)
    assert counts.dropped == {"malformed": 3}
    assert counts.noted == {"without_answer": 2, "without_scores": 1}
    (out,) = lines(exported("easyr1", [first], tmp_path / "out") / "rl_train.jsonl")
    assert out["evaluation"] == row["evaluation"]


def test_results_of_the_official_script_become_trajectories(tmp_path: Path) -> None:
    folder = tmp_path / "final" / "fullset" / "style_change" / "en"
    folder.mkdir(parents=True)
    for name in ("k1_SRCIMG", "k1_turn1", "k1_turn2", "k1_turn3", "k1"):
        photograph(32, 32).save(folder / f"{name}.png")

    def turn(
        number: int, prompt: str, verdict: dict[str, Any] | None, action: str = "generated"
    ) -> dict[str, Any]:
        return {
            "turn_number": number,
            "rewritten_prompt": prompt,
            "evaluation": verdict,
            "generated": action == "generated",
            "output_path": f"/theirs/k1_turn{number}.png",
            "source_path": "/etc/passwd",
            "method": "no_rewrite",
            "action": action,
        }

    meta = {
        "key": "k1",
        "task_type": "style_change",
        "instruction_language": "en",
        "original_instruction": "warm",
        "turns": [
            turn(1, "warm", None),
            turn(2, "warmer", {"is_satisfied": False, "reason": "cold", "new_prompt": "warmer"}),
            turn(
                3,
                "warmer",
                {"is_satisfied": True, "reason": "good", "new_prompt": None},
                "copied_from_previous_turn",
            ),
        ],
        "is_satisfied": True,
    }
    (folder / "k1_meta.json").write_text(json.dumps(meta), "utf-8")
    (folder / "k2_meta.json").write_text(json.dumps(meta | {"key": "k2"}), "utf-8")
    (folder / "k3_meta.json").write_text("{", "utf-8")
    counts = Counts()
    (found,) = importing.trajectories_of_results(tmp_path, counts, {"licence": "CC0-1.0"})
    assert [one.instruction for one in found.turns] == ["warm", "warmer"]
    critiques = [one.critique for one in found.turns]
    assert [(c.reasoning, c.refined_instruction, c.satisfied) for c in critiques if c] == [
        ("cold", "warmer", False),
        ("good", "warmer", True),
    ]
    assert [Path(one.image.path).name for one in found.turns] == ["k1_turn1.png", "k1_turn2.png"]
    assert (found.task, found.stop, found.overalls) == ("style_change", "satisfied", ())
    assert counts.noted == {"without_scores": 1}
    assert counts.dropped == {"missing_image": 1, "malformed": 1}


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_a_long_array_is_read_item_by_item(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "CHUNK", chunk)
    content = [{"a": 'ü]}\\",'}, [], 3, "x", None, {"b": [1, {"c": 2}]}]
    path = tmp_path / "a.json"
    for indent in (None, 1):
        path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), "utf-8-sig")
        with path.open("rb") as stream:
            assert list(items(stream)) == content


@pytest.mark.parametrize("text", ["{}", "", "[1, ", "[1 2]", "[1] 2", '[{"a": 1}, {"b"', "[1,", "\xff["])
def test_a_broken_array_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with path.open("rb") as stream, pytest.raises(InputError, match=r"array|UTF-8"):
        list(items(stream))


# --- check ---


def test_copies_benchmarks_and_missing_images_are_found(tmp_path: Path) -> None:
    from PIL import Image

    from editthinker.core.images import Picture

    one, other = photograph(320, 240, seed=1), photograph(320, 240, seed=9)
    one.save(tmp_path / "one.png")
    one.resized((240, 180)).save(tmp_path / "again.jpg")
    other.save(tmp_path / "other.png")
    bench = tmp_path / "bench" / "deep"
    bench.mkdir(parents=True)
    Picture(other.pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).resized((200, 150)).save(bench / "b.jpg")
    (bench / "broken.png").write_bytes(b"x")
    known = Benchmarks()
    known.add(tmp_path / "bench")
    assert len(known.skipped) == 1
    named = {"edited": {"path": str(tmp_path / "one.png")}}
    rows = [
        step("first", 5, source=str(tmp_path / "one.png"), **named),
        step("first", 6, turn=2, source=str(tmp_path / "one.png"), **named),
        step("first", 6, turn=2, source=str(tmp_path / "one.png"), **named),
        step("copied", 5, source=str(tmp_path / "again.jpg"), **named),
        step("asks else", 5, source=str(tmp_path / "again.jpg"), instruction="colder", **named),
        step("of the benchmark", 5, source=str(tmp_path / "other.png"), **named),
        step("gone", 5, **named),
        step("gone too", 5, source=str(tmp_path / "one.png"), editor="another"),
    ]
    counts = Counts()
    found = list(clean(iter(rows), lambda: iter(rows), counts, benchmarks=known))
    assert [(row.id, row.turn) for row in found] == [("first", 1), ("first", 2), ("asks else", 1)]
    assert counts.dropped == {"copy": 2, "contaminated": 1, "missing_image": 2}
    assert counts.examples["contaminated"] == ["of the benchmark shows deep/b.jpg"]
    assert counts.facts["pictures"] == 2
    shown = [
        step("shows it", 5, source=str(tmp_path / "one.png"), edited={"path": str(tmp_path / "other.png")})
    ]
    for edited, left in ((False, 1), (True, 0)):
        again = clean(iter(shown), lambda: iter(shown), Counts(), benchmarks=known, edited=edited)
        assert len(list(again)) == left


def test_nothing_is_a_copy_of_what_cannot_be_read(tmp_path: Path) -> None:
    from PIL import Image

    from editthinker.core.images import Picture

    Picture(Image.new("RGB", (32, 32), "grey")).save(tmp_path / "flat.png")  # its print is that of nothing
    flat = str(tmp_path / "flat.png")
    rows = [step("gone", 5), step("flat", 5, source=flat, edited={"path": flat})]
    counts = Counts()
    assert [row.id for row in clean(iter(rows), lambda: iter(rows), counts)] == ["flat"]
    assert counts.dropped == {"missing_image": 1}
    assert list(clean(iter([]), lambda: iter([]), Counts())) == []  # type: ignore[type-var]


def test_a_folder_without_images_decontaminates_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no readable image"):
        Benchmarks().add(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        Benchmarks().add(tmp_path / "absent")


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (["CC-BY-NC-ND-4.0"], 0),
        (["CC-BY-NC-ND-4.0", "CC0-1.0"], 1),
        (["cc by-nc-nd 4.0", ""], 1),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], 1),
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], 1),
        (["CC-BY-NC-SA-4.0", "CC-BY-NC-4.0", "CC-BY-4.0"], 0),
        (["CC-BY-4.0", "MIT", "Apache-2.0", "", "Attribution-ShareAlike 4.0"], 0),
    ],
)
def test_what_must_not_be_mixed(names: list[str], refused: int) -> None:
    assert len(conflicts(dict.fromkeys(names, 1))) == refused


def test_a_licence_can_be_allowed_and_is_read_however_it_is_spelled() -> None:
    mixed = {"CC-BY-NC-ND-4.0": 3, "MIT": 1}
    assert conflicts(mixed, ["cc-by-nc-nd 4.0"]) == []
    assert folded(" cc_by-nc/nd 4.0 ") == "CC-BY-NC-ND-4.0"
    assert traits("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0") == {"NC", "ND"}
    assert traits("BSD-3-Clause") == frozenset()


# --- figures ---


def test_figures_count_tasks_levels_and_turns() -> None:
    rows = [
        trajectory(2, 9, name="a"),
        trajectory(7.6, name="b", tags={"task": "<b>bold</b>"}),
        trajectory(None, name="c"),
    ]
    figures = Figures.of(rows)
    told = figures.as_json()
    assert told["tasks"] == {"style": 2, "<b>bold</b>": 1}
    assert told["levels"]["overall"] == [0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0]
    assert told["turns"] == {"1": 2, "2": 1}
    assert told["mean_overall_by_turn"] == {"1": 4.8, "2": 9.0}
    assert told["unscored"] == 1
    tree = ET.fromstring(svg(figures))  # noqa: S314 our own picture
    assert "<b>bold</b>" in [node.text for node in tree.iter() if node.text]
    bars = [node for node in tree.iter() if node.tag.endswith("rect")]
    assert len(bars) == 1 + 2 + 3
    assert next(figures.lines()) == "3 trajectories, 3 scores, 1 without"


def test_no_score_is_lost_in_the_picture_whatever_tasks_are_called() -> None:
    names = ["others", "all others", *"abcdefg"]
    rows = [trajectory(5, name=name, tags={"task": name}) for name in names * 2]
    tree = ET.fromstring(svg(Figures.of(rows)))  # noqa: S314 our own picture
    titles = [node.text or "" for node in tree.iter() if node.tag.endswith("title")]
    assert sum(int(title.rpartition(":")[2]) for title in titles) == len(rows)


def test_figures_of_nothing_are_a_picture_too() -> None:
    ET.fromstring(svg(Figures.of([])))  # noqa: S314 our own picture
