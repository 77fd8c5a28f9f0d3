"""The darkroom's thinker: made from nothing, taught words, looks and critiques, then reinforced."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file

from editthinker.core import reply
from editthinker.core.errors import InputError, ReplyError
from editthinker.core.images import Picture
from editthinker.core.types import Critique, Score
from editthinker.darkroom import layout, weights
from editthinker.darkroom.editor import DarkroomEditor
from editthinker.darkroom.language import sentences
from editthinker.darkroom.regions import RegionMasks
from editthinker.darkroom.replying import Writer
from editthinker.testing import photograph
from editthinker.thinkers.local import processor
from editthinker.training import checkpoints, grpo, recipe, watching
from editthinker.training.darkroom import answers, lessons, looking, nets, packing, prompts, reading, thinker
from editthinker.training.darkroom.sightings import Sightings
from editthinker.training.darkroom.sources import Sources
from editthinker.training.darkroom.trajectories import Trajectories, read_requests
from editthinker.training.session import Session

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]
RECIPES = Path(__file__).parents[2] / "recipes" / "darkroom"
SMALL = ("model.base=darkroom:small", "optimiser.batch=4", "optimiser.at_once=4", "saving.every=1")


@pytest.fixture(scope="module", autouse=True)
def small_tokenizer() -> Any:
    """A tokenizer of a few rows: the whole one takes seconds."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        few = nets.learned(300, vocabulary=600)
        patch.setattr(nets, "learned", lambda: few)
        yield


@pytest.fixture(scope="module")
def pictures() -> Sources:
    return Sources([photograph(96, 96, seed=seed).array() for seed in (0, 1)])


@pytest.fixture(scope="module")
def trajectories(pictures: Sources, tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    """Steps on two small pictures; no editor was asked."""
    file = tmp_path_factory.mktemp("wishes") / answers.FILE
    answers.collect(None, file, 60)
    return Trajectories(pictures, read_requests(file))


@pytest.fixture(scope="module")
def taught(pictures: Sources, trajectories: Trajectories) -> dict[str, thinker.Lessons]:
    """The lessons of every stage."""
    return {
        "words": lessons.of_words,
        "looks": partial(lessons.of_looks, sightings=Sightings(pictures)),
        "sft": partial(lessons.of_steps, trajectories=trajectories),
    }


def asked(name: str, out: Path, *said: str) -> recipe.SftRecipe:
    made = recipe.read("sft", RECIPES / f"{name}.toml", [*SMALL, *said, f"out={out}"])
    assert isinstance(made, recipe.SftRecipe)
    return made


# --- made from nothing ---


def test_the_processor_writes_what_the_darkroom_reads(tmp_path: Path) -> None:
    net, feeds = nets.made("darkroom:small")
    net.save_pretrained(tmp_path)
    feeds.save_pretrained(tmp_path)
    again = processor.load(str(tmp_path), net.config)
    content = [
        *({"type": "image"} for _ in range(3)),
        {"type": "text", "text": layout.question("Warmer", "Warmer")},
    ]
    text = again.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    views = layout.views(photograph(128, 96, seed=0), photograph(128, 96, seed=1))
    inputs = again(text=[text], images=[list(views)], return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == nets.learned().encode(layout.prompt("Warmer", "Warmer")).ids
    np.testing.assert_allclose(inputs["pixel_values"].numpy(), layout.patches(views), atol=1e-5)


def test_a_reply_without_special_tokens_keeps_its_frame_and_its_quotes() -> None:
    tokenizer = nets.processor(nets.learned()).tokenizer
    said = reply.render(Critique(Score(10, 7), "seen: nothing.", "write <text> at the top"))
    ids = tokenizer(said)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == said
    for piece in (*layout.frame(), *"0123456789"):
        assert tokenizer.convert_tokens_to_ids(piece) in ids or piece.isdigit()
    assert len(tokenizer("10")["input_ids"]) == 2  # a score is read digit by digit


def test_the_same_name_is_the_same_base() -> None:
    one, two = (checkpoints.load(asked("words", Path("x")).model) for _ in range(2))
    assert one.identity == two.identity
    assert all(weight.requires_grad for weight in one.model.parameters())
    with pytest.raises(InputError, match="small, base, large"):
        nets.made("darkroom:huge")


@pytest.mark.filterwarnings("ignore")  # torch's tracing exporter warns about itself
def test_what_is_exported_reads_as_it_was_trained(tmp_path: Path) -> None:
    base(tmp_path)
    wish = "make it warmer, then add a frame"
    trainee = checkpoints.load(asked("words", tmp_path, f"model.base={tmp_path}").model, for_training=False)
    trainee.model.eval()
    prompt = trainee.processor.tokenizer(layout.prompt(wish, "", images=0), return_tensors="pt")["input_ids"]
    written = trainee.model.generate(input_ids=prompt, max_new_tokens=40, do_sample=False)[
        0, prompt.shape[1] :
    ]
    packing.export_thinker(tmp_path, tmp_path / "onnx")
    vision, decoder, tokenizer = weights.opened(tmp_path / "onnx").values()
    writer = Writer(vision, decoder, tokenizer.decode())
    ours = writer.read(wish).text
    assert len(written) == 40
    assert ours.startswith(trainee.processor.tokenizer.decode(written)[:40])
    views = layout.patches(layout.views(photograph(64, 64), photograph(64, 64, seed=1)))
    said = writer.reply(views, wish, wish, writer.read(wish))
    assert said == writer.reply(views, wish, wish, writer.read(wish))
    with pytest.raises(ReplyError):
        reply.parse(said.text(0.0), previous_instruction=wish)


# --- lessons ---


def test_other_lessons_are_no_going_on(tmp_path: Path, taught: dict[str, thinker.Lessons]) -> None:
    """Photographs, wishes and constants are no part of the recipe, but of what was begun."""
    how = asked("sft", tmp_path / "out", "optimiser.steps=2", "optimiser.batch=1", "optimiser.at_once=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thinker.sft, "train", begun)
        assert thinker.train(how, tmp_path / "out", taught["sft"]) == tmp_path / "out"
        thinker.train(how, tmp_path / "out", taught["sft"])
        patch.setattr(lessons, "GROUPS", {"direct": 1})
        with pytest.raises(InputError, match=r"the lessons .* not what the training"):
            thinker.train(how, tmp_path / "out", taught["sft"])


def begun(how: recipe.SftRecipe, out: Path, *, dataset: Any, **_: Any) -> Path:
    """As far as every training goes before its first step."""
    with Session("sft", how, out, resume=False, tell=print) as session:
        session.made(dataset)
    return out


def test_a_lesson_is_its_number() -> None:
    tokenizer = nets.learned()
    lesson = lessons.of_words(tokenizer, 0)
    assert lesson(7) == lesson(7)
    assert lesson(7) != lesson(8)
    assert lesson(7) != lessons.of_words(tokenizer, 1)(7)


def test_only_what_is_wanted_is_learned_from_words() -> None:
    tokenizer = nets.learned()
    (row,) = lessons.of_words(tokenizer, 0)(3)
    learned = [token for token, weight in zip(row.ids, row.weights, strict=True) if weight]
    text = tokenizer.decode(learned, skip_special_tokens=False)
    rng = random.Random("words:0:3")
    assert text == f"wanted: {sentences.plain(lessons.utterance(rng)[1].said)}.{layout.IM_END}"


def test_masks_of_sources_are_those_of_the_picture(pictures: Sources) -> None:
    picture, masks, _ = pictures[0]
    plain = RegionMasks(picture)
    for region in ("subject", "background", "top", "red"):
        np.testing.assert_allclose(masks[region], plain[region], atol=1e-3)
        np.testing.assert_array_equal(masks[region], pictures[0][1][region])


def test_only_what_is_seen_is_learned_from_looks(pictures: Sources) -> None:
    """And nothing before it says what that is."""
    tokenizer = nets.learned()
    drawn = Sightings(pictures)
    prompts_met = set()
    for number in range(40):
        sighting = drawn(number)
        row, *words = lessons.of_looks(tokenizer, 0, sightings=drawn)(number)
        learned = [token for token, weight in zip(row.ids, row.weights, strict=True) if weight]
        said = sentences.plain(sighting.seen) or "nothing"
        assert tokenizer.decode(learned, skip_special_tokens=False) == f" seen: {said}.{layout.IM_END}"
        assert sighting.seen or (sighting.images[0] == sighting.images[1]).all()
        assert [other.images for other in words] == [None] * lessons.BESIDE_LOOKS
        prompts_met.add(tuple(row.ids[: -len(learned)]))
    assert len(prompts_met) == 1
    assert drawn(3).seen == Sightings(pictures)(3).seen


@pytest.mark.parametrize("seeing", [False, True])
def test_a_comparison_follows_from_what_is_given(seeing: bool, trajectories: Trajectories) -> None:
    """What is wanted and what is seen stand in the prompt, only the difference is learned."""
    tokenizer = nets.learned()
    agreed = set()
    for number in range(40):
        step = trajectories(number) if seeing else None
        row = lessons.comparing(tokenizer, random.Random(number), step)
        assert row.images is (step and step.images)
        parts: dict[bool, list[int]] = {True: [], False: []}
        for token, weight in zip(row.ids, row.weights, strict=True):
            parts[bool(weight)].append(token)
        given, said = (tokenizer.decode(parts[side], skip_special_tokens=False) for side in (False, True))
        found = re.search(r"wanted: ([^.]*)[.] seen: ([^.]*)[.]$", given)
        assert found is not None
        wanted, seen = (set(one.split(", ")) for one in found.groups())
        assert step is None or wanted == set(sentences.plain(step.wanted).split(", "))
        assert ("nothing is wrong." in said) == (wanted == seen)
        assert ("missing:" in said) <= (not wanted <= seen)
        agreed.add(wanted == seen)
    assert agreed == {True, False}


def test_some_critiques_are_of_edits_that_the_wish_does_not_give_away(trajectories: Trajectories) -> None:
    untouched = [
        step
        for step in map(trajectories, range(150))
        if step.sent and (step.images[0] == step.images[1]).all()
    ]
    assert untouched
    assert all("seen: nothing." in step.critique.reasoning for step in untouched)


def test_what_is_seen_and_the_score_weigh_more(trajectories: Trajectories) -> None:
    tokenizer = nets.learned()
    step = trajectories(0)
    row = lessons.critiquing(tokenizer, step)
    heavy = tokenizer.decode(
        [i for i, w in zip(row.ids, row.weights, strict=True) if w == 3], skip_special_tokens=False
    )
    seen = re.search("seen: [^.]*[.]", step.critique.reasoning)
    assert seen is not None
    score = step.critique.score
    assert score is not None
    assert heavy.strip() == f"{seen[0]}{score.semantic:g}{score.quality:g}"
    whole = tokenizer.decode(
        [i for i, w in zip(row.ids, row.weights, strict=True) if w], skip_special_tokens=False
    )
    assert whole == reply.render(step.critique) + layout.IM_END


def test_an_answer_is_exact_when_it_would_be_written(pictures: Sources) -> None:
    """`looking` measures without writing; what a greedy model writes counts, one wrong token does not."""
    tokenizer = nets.learned()
    net, _ = nets.made("darkroom:small")
    collate = lessons.Collator(tokenizer)
    row = next(looking.Sights(tokenizer, pictures).rows("unrelated"))
    asked = sum(weight == 0 for weight in row.weights)
    part = collate.part([lessons.Row(row.ids[:asked], row.weights[:asked], row.images)])
    grid = torch.tensor([[1, layout.GRID, layout.GRID]] * layout.IMAGES)
    written = row.ids[:asked]
    for _ in range(3):
        said = collate.part([lessons.Row(written, [0.0] * len(written), row.images)])
        with torch.no_grad():
            told = net(
                input_ids=said["ids"],
                position_ids=said["positions"],
                pixel_values=part["patches"],
                image_grid_thw=grid,
            )
        written = [*written, int(told.logits[0, -1].argmax())]
    weights = [0.0] * asked + [1.0] * 3
    other = [*written[:-1], (written[-1] + 1) % 300]
    rows = [lessons.Row(written, weights, row.images), lessons.Row(other, weights, row.images)]
    with torch.no_grad():
        assert thinker.exact(net, collate.part(rows)) == 1


def test_a_thinker_that_looks_is_measured(tmp_path: Path) -> None:
    """Untrained, it names nothing, whatever it is shown."""
    photograph(400, 300, seed=0).save(tmp_path / "photo.jpg")
    found = looking.measure(base(tmp_path / "base"), tmp_path, 2)
    assert found == dict.fromkeys(looking.KINDS, 0.0)


def test_a_batch_cut_by_length_has_the_loss_of_the_whole() -> None:
    tokenizer = nets.learned()
    net, _ = nets.made("darkroom:small")
    lesson = lessons.of_words(tokenizer, 0)
    collate = lessons.Collator(tokenizer)
    batch = collate([{"rows": lesson(number)} for number in range(40)])
    assert [len(part["ids"]) for part in batch["words"]] == [32, 8]
    assert batch["words"][0]["ids"].shape[1] < batch["words"][1]["ids"].shape[1]
    whole = [collate.part([row for number in range(40) for row in lesson(number)])]
    with torch.no_grad():
        torch.testing.assert_close(thinker.mean_loss(net, batch["words"]), thinker.mean_loss(net, whole))


# --- trained ---


class Stopping(thinker.Trainer):
    """Breaks off in the third step, as a killed process does."""

    def training_step(self, *given: Any, **more: Any) -> Any:
        if self.state.global_step == 2:
            raise KeyboardInterrupt
        return super().training_step(*given, **more)


@pytest.mark.parametrize("stage", ["words", "looks", "sft"])
def test_a_training_goes_on_exactly(
    stage: str, tmp_path: Path, taught: dict[str, thinker.Lessons], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ("optimiser.steps=3", "data.workers=0")
    thinker.train(asked(stage, tmp_path / "once", *said), tmp_path / "once", taught[stage])
    whole = thinker.Trainer
    monkeypatch.setattr(thinker, "Trainer", Stopping)
    with pytest.raises(KeyboardInterrupt):
        thinker.train(asked(stage, tmp_path / "twice", *said), tmp_path / "twice", taught[stage])
    assert watching.complete(tmp_path / "twice" / "training")[0].name == "checkpoint-2"
    monkeypatch.setattr(thinker, "Trainer", whole)
    thinker.train(asked(stage, tmp_path / "twice", *said), tmp_path / "twice", taught[stage])
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("once", "twice"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    begun = nets.made("darkroom:small")[0].state_dict()
    moved = {name for name, weight in one.items() if not torch.equal(weight, begun[name])}
    assert any(".language_model." in name for name in moved)
    assert any(".visual." in name for name in moved) == (stage != "words")


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    photograph(400, 300, seed=0).save(tmp_path / "photo.jpg")
    places = ["--photos", str(tmp_path), "--sources", "3", "--recipes", str(RECIPES)]
    said = [f"model.base={base(tmp_path / 'base')}", "optimiser.steps=3", "optimiser.batch=8"]
    said += ["optimiser.at_once=2"]  # so that gradients are added up before they are averaged
    step = ["-m", "editthinker.training.darkroom", *places, "looks", *said]
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    for name, how in (("one", []), ("two", launch)):
        subprocess.run(
            [sys.executable, *how, *step, f"out={tmp_path / name}"],
            capture_output=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    begun = load_file(tmp_path / "base" / "model.safetensors")
    moved = max(float((one[name] - begun[name]).abs().max()) for name in one)
    apart = max(float((one[name] - two[name]).abs().mean()) for name in one)
    assert apart < 1e-2 * moved


def test_a_reading_is_right_with_all_clauses_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base(tmp_path)
    rng = random.Random("reading:fresh:compound")
    drawn = [sentences.draw(rng, "fresh", "compound") for _ in range(2)]
    said = [sentences.plain(one.said[::-1]).split(", ") for one in drawn]
    monkeypatch.setattr(reading, "read", lambda *_: [said[0], said[1][:-1]])
    monkeypatch.setattr(sentences, "GROUPS", ("compound",))
    assert reading.measure(tmp_path, 2, splits=["fresh"]) == {"fresh": {"compound": 0.5, "list": 0.0}}


def test_endless_lessons_need_a_number_of_steps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="say optimiser"):
        thinker.train(asked("words", tmp_path, "optimiser.steps=null"), tmp_path, lessons.of_words)


# --- reinforced ---


def test_prompts_are_numbered_and_judged_exactly(tmp_path: Path) -> None:
    drawn = prompts.Prompts(sources(tmp_path), DarkroomEditor.load())
    row = drawn.row(1)
    assert row == prompts.Prompts(sources(tmp_path), DarkroomEditor.load()).row(1) | {"images": row["images"]}
    scene = drawn.scene(1)
    assert row["instruction"] == scene.instruction
    assert drawn.case(1).program == scene.drawn.program
    assert drawn.case(1).visible


def test_reinforcement_takes_two_steps(tmp_path: Path) -> None:
    editor = DarkroomEditor.load()
    drawn = prompts.Prompts(sources(tmp_path), editor)
    said = ("optimiser.steps=2", "rollouts.group=2", "rollouts.prompts=2", "rollouts.max_tokens=16")
    begun = f"model.base={base(tmp_path / 'base')}"
    made = recipe.read("grpo", RECIPES / "grpo.toml", [*SMALL, *said, begun, f"out={tmp_path / 'out'}"])
    assert isinstance(made, recipe.GrpoRecipe)
    judge = prompts.PromptJudge(drawn)
    out = grpo.train(made, editor, judge, tmp_path / "out", dataset=prompts.dataset(drawn, 4))
    assert (out / "model.safetensors").is_file()


def base(folder: Path) -> Path:
    net, feeds = nets.made("darkroom:small")
    for weight in net.parameters():
        weight.data = weight.data.half().float()  # as exported files hold them
    net.save_pretrained(folder)
    feeds.save_pretrained(folder)
    return folder


def sources(folder: Path) -> list[Path]:
    paths = [folder / f"{seed}.png" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        Picture.from_array(photograph(96, 96, seed=seed).array()).save(path, overwrite=True)
    return paths
