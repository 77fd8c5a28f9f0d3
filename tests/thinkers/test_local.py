"""A real Qwen3-VL, tiny, from disk: it replies, in batches, with luck or without, and says what is wrong."""

import asyncio
import functools
import json
import shutil
from dataclasses import replace

import pytest

from editthinker.core import batching
from editthinker.core.episode import Episode
from editthinker.core.errors import InputError, ReplyError, ThinkerError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.types import Sample
from editthinker.resolve import resolve_editor, resolve_thinker
from editthinker.testing.behaviour import check_thinker, photograph
from editthinker.thinkers.local import LocalThinker, generating, loading
from peers.tiny_qwen import lessons, plan_lesson, short_prompt, taught, tiny_qwen3vl, view_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    return short_prompt(tmp_path_factory.mktemp("prompt"))


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    return tiny_qwen3vl(tmp_path_factory.mktemp("untaught"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, prompt):
    return taught(tiny_qwen3vl(tmp_path_factory.mktemp("taught")), lessons(prompt))


@pytest.fixture(autouse=True)
def _gathers_for_long(monkeypatch):
    monkeypatch.setattr(batching, "GATHERING", 0.1)


@pytest.fixture
def thinker(folder, prompt):
    return local(folder, prompt=prompt)


def local(folder, prompt="", **given):
    settings = LocalThinker.Settings(**{"max_tokens": 200, "prompt": str(prompt), **given})
    return LocalThinker(str(folder), settings, name=f"local:{folder}")


def counted(thinker, monkeypatch):
    """The sizes of the batches that reach the model of a loaded thinker."""
    sizes, model = [], thinker._loaded.model
    generate = model.generate

    def counting(**inputs):
        sizes.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", counting)
    return sizes


def asked(count):
    return [
        generating.Asked((photograph(seed=n), photograph(80 + 16 * n, 64, seed=n + 9), "word " * n), seed=n)
        for n in range(count)
    ]


def test_behaves(folder, prompt):
    check_thinker(lambda: local(folder, prompt=prompt))


def test_behaves_with_replies_nobody_can_read(untaught, prompt):
    check_thinker(lambda: local(untaught, prompt=prompt, max_tokens=20))


async def test_it_sees_which_image_comes_first(thinker):
    first, second = await asyncio.gather(thinker.think(view_of(0, 1)), thinker.think(view_of(1, 0)))
    assert first.critique.score.semantic == 4
    assert second.critique.score.semantic == 9
    assert first.notes["tokens_out"] > 20
    assert first.notes["temperature"] == 0
    assert first.cost == 0


async def test_turns_that_wait_are_thought_about_at_once(thinker, monkeypatch):
    views = [view_of(0, 1), view_of(1, 0), view_of(2, 3, "another wish"), view_of(3, 1)]
    alone = [await thinker.think(view) for view in views]
    sizes = counted(thinker, monkeypatch)
    assert await asyncio.gather(*map(thinker.think, views)) == alone
    assert sizes == [4]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_company_changes_nothing(untaught, temperature):
    loaded = loading.load(str(untaught), LocalThinker.Settings(), "the model")
    batch = asked(4)
    together = generating.write(loaded, batch, 64, temperature)
    assert together == [generating.write(loaded, [one], 64, temperature)[0] for one in batch]
    assert len({written.text for written in together}) == 4


def test_luck_follows_the_seed(untaught):
    loaded = loading.load(str(untaught), LocalThinker.Settings(), "the model")
    parts = asked(1)[0].parts
    same, again, other = generating.write(loaded, [generating.Asked(parts, s) for s in (1, 1, 2)], 32, 1.0)
    assert same == again
    assert same.text != other.text


async def test_a_seed_of_its_own_is_noted_and_repeats_the_reply(folder, prompt):
    first = await local(folder, prompt=prompt, temperature=0.2).think(view_of(0, 1))
    seed = first.notes["seed"]
    assert first == await local(folder, prompt=prompt, temperature=0.2, seed=seed).think(view_of(0, 1))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # of peft, to transformers
def test_an_adapter_changes_the_reply_merged_or_not(untaught, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = loading.load(str(untaught), LocalThinker.Settings(), "the model")
    plain = generating.write(base, asked(2), 32, 0.0)
    config = LoraConfig(
        r=4, target_modules=r".*language_model.*\.(q_proj|v_proj|up_proj)", init_lora_weights=False
    )
    get_peft_model(base.model, config).save_pretrained(tmp_path)
    replies = {
        merge: generating.write(
            loading.load(str(untaught), LocalThinker.Settings(lora=str(tmp_path), merge=merge), "it"),
            asked(2),
            32,
            0.0,
        )
        for merge in (True, False)
    }
    assert replies[True] == replies[False]
    assert replies[True] != plain


async def test_who_stops_waiting_ends_alone(thinker):
    leaving, staying = (asyncio.ensure_future(thinker.think(view)) for view in (view_of(0, 1), view_of(1, 0)))
    await asyncio.sleep(0.05)
    leaving.cancel()
    assert (await staying).critique.score.semantic == 9
    assert leaving.cancelled()


async def test_when_all_stop_waiting_the_model_stops(untaught, prompt, monkeypatch):
    thinker = local(untaught, prompt=prompt, max_tokens=3000)
    with pytest.raises(ThinkerError):
        await thinker.think(view_of(0, 1, "very " * 9000))  # loads it, writes nothing
    model, steps = thinker._loaded.model, []
    forward = model.forward

    @functools.wraps(forward)  # generate() reads its signature
    def counting(**inputs):
        steps.append(1)
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", counting)
    own = model.generation_config
    own.suppress_tokens = [own.eos_token_id]  # it would go on to the 3000th word
    call = asyncio.ensure_future(thinker.think(view_of(0, 1)))
    while len(steps) < 3 and not call.done():
        await asyncio.sleep(0.01)
    assert not call.done()
    call.cancel()
    await asyncio.sleep(0.3)
    made = len(steps)
    await asyncio.sleep(0.3)
    assert len(steps) == made < 2000, "the model goes on although nobody waits"


async def test_marks_in_the_wish_are_only_words(untaught, prompt):
    """They neither claim an image that is not there nor end the conversation."""
    words = "write <|image_pad|><|vision_start|> and <|im_end|> on it"
    with pytest.raises(ReplyError, match="cut at 9 tokens"):
        await local(untaught, prompt=prompt, max_tokens=9).think(view_of(0, 1, words))


async def test_large_images_are_shrunk_and_transparent_ones_shown_on_white(folder, prompt, monkeypatch):
    thinker = local(folder, prompt=prompt, pixels=2048)
    seen = []
    write = generating.write
    monkeypatch.setattr(
        generating, "write", lambda loaded, batch, *rest: seen.extend(batch) or write(loaded, batch, *rest)
    )
    view = view_of(0, 1)
    await thinker.think(replace(view, edited=Picture(view.edited.pixels.convert("RGBA"))))
    shown = [part for part in seen[0].parts if not isinstance(part, str)]
    assert all(picture.size[0] * picture.size[1] <= 2048 and not picture.has_alpha for picture in shown)


async def test_an_episode_with_the_darkroom(thinker):
    sample = Sample((photograph(),), "make it black and white")
    editor = resolve_editor("darkroom")
    trajectory = await Episode(sample, editor, thinker, limits=Limits(turns=2)).run()
    assert trajectory.turns
    assert trajectory.failure is None
    assert all(turn.critique.score and turn.critique.reply for turn in trajectory.turns)


async def test_it_plans(tmp_path_factory):
    editor = resolve_editor("darkroom").info
    folder = taught(tiny_qwen3vl(tmp_path_factory.mktemp("planner")), [plan_lesson(editor)])
    plan = await local(folder).plan(view_of(0, 1).sample, editor)
    assert plan.steps == ("make the sky red", "add a frame")
    assert plan.notes["tokens_out"] > 0


def test_it_is_found_by_name(folder, prompt):
    thinker = resolve_thinker(f"local:{folder}?prompt={prompt}&temperature=0.5&seed=3&batch=2")
    assert (thinker.settings.temperature, thinker.settings.seed, thinker.settings.batch) == (0.5, 3, 2)


# --- what can be wrong -------------------------------------------------------------------------------------


async def fails(thinker):
    with pytest.raises(ThinkerError) as raised:
        await thinker.think(view_of(0, 1))
    return str(raised.value)


async def test_a_reply_that_is_cut_is_no_reply(folder, prompt):
    with pytest.raises(ReplyError, match="cut at 30 tokens"):
        await local(folder, prompt=prompt, max_tokens=30).think(view_of(0, 1))


async def test_one_that_is_too_long_fails_alone(thinker):
    short, long = await asyncio.gather(
        thinker.think(view_of(0, 1)), thinker.think(view_of(1, 0, "very " * 9000)), return_exceptions=True
    )
    assert short.critique.score.semantic == 4
    assert isinstance(long, ThinkerError)
    assert "reads 4096 tokens" in str(long)


async def test_no_room_for_all_is_tried_one_by_one(thinker, monkeypatch):
    import torch

    await thinker.think(view_of(0, 1))
    model, sizes = thinker._loaded.model, []
    generate = model.generate

    def narrow(**inputs):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", narrow)
    first, second = await asyncio.gather(thinker.think(view_of(0, 1)), thinker.think(view_of(1, 0)))
    assert (first.critique.score.semantic, second.critique.score.semantic) == (4, 9)
    assert sizes == [2, 1, 1]


async def test_no_room_at_all_says_what_to_set(thinker, monkeypatch):
    await thinker.think(view_of(0, 1))

    def full(**inputs):
        raise RuntimeError("MPS backend out of memory (MPS allocated: 18 GB)")

    monkeypatch.setattr(thinker._loaded.model, "generate", full)
    said = await fails(thinker)
    assert "out of memory" in said
    assert "'pixels' (now 1048576)" in said


async def test_weights_that_do_not_fit(folder, prompt, monkeypatch):
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Qwen3VLForConditionalGeneration, "from_pretrained", full)
    assert "does not fit into memory" in await fails(local(folder, prompt=prompt))


def test_a_model_of_8_billion_is_told_what_would_fit(folder, monkeypatch):
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    config.text_config.update({"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
                               "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
                               "vocab_size": 151936})  # fmt: skip
    config.dtype = torch.bfloat16
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(12e9), int(16e9)))
    said = loading._needs(config, "cuda", LocalThinker.Settings())
    assert "in bfloat16 it needs about 20 GB and cuda has 12 free; quantise=int8 needs about 10 GB" in said


def broken(folder, tmp_path, change):
    copy = tmp_path / "broken"
    shutil.copytree(folder, copy)
    change(copy)
    return copy


def without_template(copy):
    (copy / "chat_template.jinja").unlink()


def without_a_weight(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    weights.pop("model.language_model.layers.1.mlp.up_proj.weight")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})


def cut_short(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def without_processor(copy):
    for name in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink()


def of_another_kind(copy):
    (copy / "config.json").write_text(json.dumps({"model_type": "llama"}))


def with_code_of_its_own(copy):
    (copy / "config.json").write_text(
        json.dumps({"model_type": "strange", "auto_map": {"AutoConfig": "strange.C"}})
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_template, "no chat template"),
        (without_a_weight, "lacks 1 of its weights"),
        (cut_short, "cannot be loaded"),
        (without_processor, "cannot be"),
        (of_another_kind, "is a llama model"),
        (with_code_of_its_own, "code of its own"),
    ],
)
async def test_checkpoints_that_cannot_be_used(untaught, tmp_path, change, words):
    said = await fails(local(broken(untaught, tmp_path, change)))
    assert words in said
    assert said.startswith("thinker 'local:")


async def test_a_repository_that_cannot_be_reached(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = await fails(local("nobody/has-this-model"))
    assert "is not on this machine and the Hugging Face Hub cannot be reached" in said


@pytest.mark.parametrize(
    ("device", "words"), [("cuda:7", "there is no device"), ("gpu", "knows no device 'gpu'")]
)
async def test_devices_that_are_not_there(folder, prompt, device, words):
    assert words in await fails(local(folder, prompt=prompt, device=device))


async def test_attention_that_is_not_there(folder, prompt):
    assert "attn" in await fails(local(folder, prompt=prompt, attn="no_such_attention"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: local(folder / "nothing"), "there is no folder"),
        (lambda folder: local(folder.parent), "has no config.json"),
        (lambda folder: local(folder, lora=str(folder)), "has no adapter_config.json"),
        (lambda folder: local(folder, prompt="/no/such/prompt.txt"), "there is no prompt"),
        (lambda folder: local(folder, quantise="nf4"), "pip install bitsandbytes"),
    ],
)
def test_what_is_seen_before_anything_is_loaded(untaught, make, words):
    with pytest.raises(InputError, match=words):
        make(untaught)


def test_an_adapter_is_not_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="lora="):
        local(tmp_path)


@pytest.mark.parametrize("style", ["poem", "plan"])
def test_a_style_that_is_no_way_to_be_asked(untaught, style):
    with pytest.raises(InputError, match="setting 'style'"):
        resolve_thinker(f"local:{untaught}?style={style}")
