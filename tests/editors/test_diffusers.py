"""Local pipelines: real classes with tiny random weights, loaded from disk and really run."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("diffusers")

from editthinker.core.errors import EditorError, InputError, Refused
from editthinker.core.images import Picture
from editthinker.core.selection import same_pixels
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.diffusers import DiffusersEditor
from editthinker.editors.diffusers.memory import shortage
from editthinker.testing.behaviour import check_editor, photograph
from peers.serving import serving
from peers.tiny_pipelines import (
    small_megapixel,
    tiny,
    tiny_klein,
    tiny_kontext,
    tiny_longcat,
    tiny_pix2pix,
    tiny_qwen_edit,
    tiny_qwen_edit_plus,
    tiny_unknown,
)

pytestmark = pytest.mark.slow

UNKNOWN = {"pipeline": "peers.unknown_pipeline:TintPipeline"}
SMALL = {"pixels": str(128 * 64)}
PIPELINES: dict[str, tuple[Callable[[Path], Path], dict[str, str]]] = {
    "kontext": (tiny_kontext, SMALL),
    "klein": (tiny_klein, {}),
    "qwen": (tiny_qwen_edit, SMALL),
    "qwen-plus": (tiny_qwen_edit_plus, SMALL),
    "longcat": (tiny_longcat, {}),
    "pix2pix": (tiny_pix2pix, SMALL),
    "unknown": (tiny_unknown, UNKNOWN),
}
SHARING = ("kontext", "klein", "qwen", "pix2pix")


def mostly_slow(*quick: str) -> list[Any]:
    """Every pipeline; all but `quick` are left to the slow set."""
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in PIPELINES]


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_megapixel():
        yield


def editor(kind: str, **given: str) -> DiffusersEditor:
    build, own = PIPELINES[kind]
    settings = DiffusersEditor.Settings.read("x", {"steps": "2", **own, **given})
    return DiffusersEditor(str(tiny(build)), settings, name=f"diffusers:{kind}")


def request(seed: int = 7, words: str = "make it blue", *pictures: Picture, **rest: Any) -> EditRequest:
    return EditRequest(pictures or (photograph(),), words, seed, **rest)


def difference(one: Edited, other: Edited) -> int:
    a, b = (edited.image.array().astype(int) for edited in (one, other))
    return int(np.abs(a - b).max())


@pytest.mark.parametrize("kind", mostly_slow("kontext"))
def test_keeps_the_promises_of_an_editor(kind: str) -> None:
    check_editor(lambda: editor(kind))


@pytest.mark.parametrize("kind", PIPELINES)
async def test_every_pipeline_edits_every_shape(kind: str) -> None:
    local = editor(kind)
    for size in ((96, 64), (31, 97), (200, 20)):
        edited = await local.edit(request(7, "make it blue", photograph(*size)))
        assert edited.image.size == size
        assert edited.notes["seed"] == 7
        assert edited.notes["num_inference_steps"] == 2
        assert edited.image.array().std() > 1, "the picture must hold something"


@pytest.mark.parametrize("kind", mostly_slow("kontext", "qwen", "pix2pix"))
async def test_seed_words_and_steps_take_effect(kind: str) -> None:
    local = editor(kind)
    first = await local.edit(request(1))
    assert same_pixels(first.image, (await local.edit(request(1))).image)
    assert difference(first, await local.edit(request(2))) > 0
    more = await editor(kind, steps="3").edit(request(1))
    assert more.notes["num_inference_steps"] == 3
    assert difference(first, more) > 0
    if kind != "unknown":  # whose words go nowhere
        assert difference(first, await local.edit(request(1, "add a red hat to the dog"))) > 0


@pytest.mark.parametrize("kind", mostly_slow("kontext", "unknown"))
async def test_guidance_takes_effect(kind: str) -> None:
    strong, weak = [await editor(kind, guidance=value).edit(request()) for value in ("30", "1.5")]
    assert difference(strong, weak) > 0


@pytest.mark.parametrize("kind", ["qwen", "qwen-plus", "longcat", "pix2pix"])
async def test_negative_prompt_takes_effect(kind: str) -> None:
    plain = await editor(kind, guidance="20").edit(request())
    steered = await editor(kind, guidance="20", negative_prompt="a cold grey winter morning").edit(request())
    assert difference(plain, steered) > 0


async def test_qwen_guides_by_its_own_preset() -> None:
    """With true_cfg_scale alone, without a negative prompt, the pipeline would not guide at all."""
    preset, off = await editor("qwen").edit(request()), await editor("qwen", guidance="1").edit(request())
    assert preset.notes["true_cfg_scale"] == 4.0
    assert difference(preset, off) > 0


async def test_kontext_takes_true_guidance_with_its_negative_prompt() -> None:
    plain = await editor("kontext").edit(request())
    given = {"extra.true_cfg_scale": "20", "negative_prompt": "grey"}
    assert difference(plain, await editor("kontext", **given).edit(request())) > 0


async def test_image_guidance_and_pixels_take_effect() -> None:
    plain = await editor("pix2pix").edit(request())
    assert difference(plain, await editor("pix2pix", image_guidance="9").edit(request())) > 0
    larger = await editor("pix2pix", pixels=str(256 * 128)).edit(request())
    assert plain.notes["size"] == [128, 64]
    assert larger.notes["size"] == [192, 128]


async def test_a_transparent_picture_keeps_its_alpha() -> None:
    pixels = photograph().pixels.convert("RGBA")
    pixels.putalpha(pixels.getchannel("R"))
    edited = await editor("kontext").edit(request(7, "make it blue", Picture.open(pixels)))
    assert edited.image.pixels.getchannel("A").tobytes() == pixels.getchannel("A").tobytes()


@pytest.mark.parametrize("kind", ["klein", "qwen-plus"])
async def test_further_images_are_seen(kind: str) -> None:
    local = editor(kind)
    alone = await local.edit(request())
    both = await local.edit(request(7, "make it blue", photograph(), photograph(70, 200, seed=3)))
    other = await local.edit(request(7, "make it blue", photograph(), photograph(70, 200, seed=4)))
    assert difference(alone, both) > 0
    assert difference(both, other) > 0


async def test_too_many_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"takes 1 image, not 2"):
        await editor("kontext").edit(request(7, "x", photograph(), photograph()))


@pytest.mark.parametrize("kind", SHARING)
async def test_sharing_a_call_changes_rounding_and_nothing_else(kind: str) -> None:
    requests = [request(s, f"make it {'very ' * s}blue", photograph(seed=s)) for s in range(3)]
    shared, single = editor(kind, batch="3"), editor(kind)
    together = await asyncio.gather(*(shared.edit(one) for one in requests))
    assert [edited.notes.get("together") for edited in together] == [3, 3, 3]
    alone = [await single.edit(one) for one in requests]
    # Larger matrices are added up in another order, which moves a value over the edge between two levels.
    assert max(difference(*pair) for pair in zip(together, alone, strict=True)) <= 1
    assert difference(alone[0], alone[1]) > 1


async def test_different_sizes_do_not_share_a_call() -> None:
    shared = editor("kontext", batch="4", pixels=str(256 * 128))
    sizes = ((128, 64), (64, 128), (128, 64))
    edited = await asyncio.gather(*(shared.edit(request(1, "x", photograph(*size))) for size in sizes))
    assert tuple(one.image.size for one in edited) == sizes
    assert [one.notes.get("together") for one in edited] == [2, None, 2]


async def test_steps_are_told_and_cancelling_ends_the_call_between_two() -> None:
    for kind in ("kontext", "longcat"):  # with a step callback, and without one
        local = editor(kind, steps="1000")
        told: list[tuple[int, int]] = []
        begun = threading.Event()

        def on_step(done: int, total: int, told: list[Any] = told, begun: threading.Event = begun) -> None:
            told.append((done, total))
            begun.set()

        local.on_step = on_step
        task = asyncio.create_task(local.edit(request()))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await local._queue.apart(lambda: None)  # the worker is free again: the call has ended
        assert told[0] == (1, 1000)
        assert len(told) < 900


async def test_cancelling_one_of_a_shared_call_leaves_the_others() -> None:
    local = editor("kontext", batch="2", steps="30")
    await local.load()
    begun = threading.Event()
    local.on_step = lambda *_: begun.set()
    tasks = [asyncio.create_task(local.edit(request(seed))) for seed in (1, 2)]
    await asyncio.to_thread(begun.wait, 20)
    tasks[0].cancel()
    edited = await tasks[1]
    assert edited.notes["together"] == 2
    assert difference(edited, await editor("kontext", steps="30").edit(request(2))) <= 1


async def test_a_long_instruction_is_cut_and_noted() -> None:
    edited = await editor("pix2pix").edit(request(1, "make it warmer " * 40))
    assert edited.notes["words_cut"] == 120 - 55


@pytest.mark.parametrize("kind", ["kontext", "klein", "qwen"])
async def test_a_mask_keeps_what_lies_outside(kind: str) -> None:
    photo = photograph(256, 128)
    half = np.zeros((128, 256), np.uint8)
    half[:, 128:] = 255
    local = editor(kind, pixels=str(256 * 128), steps="4")
    assert local.info.mask
    edited = await local.edit(EditRequest((photo,), "make it blue", 3, Picture.open(half)))
    changed = np.abs(edited.image.array().astype(int) - photo.array()).max(axis=(0, 2))
    assert changed[:128].max() == 0
    assert changed[128:].min() > 0


async def test_a_lora_takes_effect_and_a_foreign_one_is_refused(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model_state_dict
    from safetensors.torch import save_file

    local = editor("kontext")
    plain = await local.edit(request())
    transformer = local._loaded.pipe.transformer  # type: ignore[union-attr]
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    weights = get_peft_model_state_dict(transformer)
    fits, foreign = tmp_path / "fits.safetensors", tmp_path / "foreign.safetensors"
    save_file({f"transformer.{key}": value.contiguous() * 3 for key, value in weights.items()}, fits)
    save_file(
        {"other.to_q.lora_A.weight": torch.zeros(2, 4), "other.to_q.lora_B.weight": torch.zeros(4, 2)},
        foreign,
    )

    full = await editor("kontext", lora=str(fits)).edit(request())
    weak = await editor("kontext", lora=f"{fits}:0.01").edit(request())
    assert difference(plain, full) > difference(plain, weak)
    with pytest.raises(InputError, match=r"LoRA .*foreign"):
        await editor("kontext", lora=str(foreign)).load()
    with pytest.raises(InputError, match=r"LoRA .*gone.* cannot be loaded"):
        await editor("kontext", lora=str(tmp_path / "gone.safetensors")).load()
    with pytest.raises(InputError, match="takes no LoRA"):
        await editor("unknown", lora=str(fits)).load()


async def test_an_unknown_pipeline_is_loaded_by_its_dotted_path() -> None:
    local = editor("unknown", **{"extra.strength": "0.5"})
    edited = await local.edit(request())
    assert edited.notes["strength"] == 0.5
    assert edited.notes["size"] == [128, 64]
    assert difference(edited, await editor("unknown").edit(request())) > 0


@pytest.mark.parametrize(
    ("kind", "given", "complaint"),
    [
        (
            "unknown",
            {"pipeline": "peers.unknown_pipeline:WordsOnlyPipeline"},
            "cannot edit: .* takes no image",
        ),
        ("unknown", {"pipeline": ""}, "has no TintPipeline; .*pipeline=pkg.module:Class"),
        ("unknown", {"pipeline": "peers.unknown_pipeline:np"}, "is no pipeline of diffusers"),
        ("unknown", {"pipeline": "peers.nowhere:X"}, "cannot be imported"),
        ("unknown", {"negative_prompt": "blur"}, "no use for 'negative_prompt'"),
        ("kontext", {"extra.strenght": "0.5"}, "takes no 'extra.strenght'"),
        ("kontext", {"extra.max_sequence_lenght": "64"}, "did you mean 'extra.max_sequence_length'"),
        ("kontext", {"extra.guidance_scale": "5"}, "'guidance'"),
        ("kontext", {"extra.image": "x"}, "takes no 'extra.image'"),
        ("kontext", {"offload": "model"}, "there is none"),
        ("kontext", {"device": "cuda:7"}, "no device 'cuda:7'"),
        ("kontext", {"quantise": "nf4"}, "needs an NVIDIA GPU"),
        ("unknown", {"compile": "true"}, "no denoiser to compile"),
        ("unknown", {"pipeline": "peers.unknown_pipeline:PlainPipeline"}, "takes no number of steps"),
        ("unknown", {"revision": "main"}, "a folder, which has no revisions"),
        ("qwen", {"extra.max_sequence_length": "64"}, "takes no 'extra.max_sequence_length'"),
    ],
)
async def test_what_cannot_work_is_refused_by_name(kind: str, given: dict[str, str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        await editor(kind, **given).load()


def test_what_may_fit_depends_on_what_is_used_already() -> None:
    def ways(device: str, **given: str) -> str:
        return shortage(DiffusersEditor.Settings.read("x", given), device, 2**20).partition("fit: ")[2]

    assert ways("cuda") == "quantise=nf4, offload=model, vae_tiling=true, pixels=524288"
    assert ways("cuda:1", quantise="nf4", offload="model", batch="4") == (
        "batch=1, offload=sequential, vae_tiling=true, pixels=524288"
    )
    assert ways("mps", offload="sequential", vae_tiling="true") == "pixels=524288"


@pytest.mark.parametrize(
    ("status", "code", "error", "complaint"),
    [
        (403, "GatedRepo", InputError, "is gated: accept its licence at https://huggingface.co/some/model"),
        (404, "RepoNotFound", InputError, "there is no repository some/model"),
        (404, "RevisionNotFound", InputError, "has no revision 'v9'"),
        (404, "EntryNotFound", InputError, "is no diffusers pipeline"),
        (418, "", EditorError, r"the hub does not hand it out now \(.*418"),
    ],
)
async def test_each_answer_of_the_hub_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    code: str,
    error: type[Exception],
    complaint: str,
) -> None:
    async def hub(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-error-code", code.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with serving(hub) as url:
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        local = DiffusersEditor("some/model", DiffusersEditor.Settings.read("x", {"revision": "v9"}))
        with pytest.raises(error, match=complaint):
            await local.load()


async def test_quantising_asks_for_the_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("editthinker.editors.diffusers.loading.find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        await editor("kontext", quantise="nf4", device="cuda").load()


async def test_a_processor_that_needs_torchvision_says_so(tmp_path: Path) -> None:
    if find_spec("torchvision"):
        pytest.skip("torchvision is here")
    folder = shutil.copytree(tiny(tiny_qwen_edit), tmp_path / "qwen")
    index = json.loads((folder / "model_index.json").read_text())
    index["processor"] = ["transformers", "Qwen2VLProcessor"]  # as every published repository has it
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"needs torchvision .*pip install torchvision"):
        await DiffusersEditor(str(folder)).load()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
async def test_a_compiled_denoiser_gives_the_same_picture() -> None:
    compiled, plain = [await editor("kontext", compile=value).edit(request()) for value in ("true", "false")]
    assert difference(compiled, plain) <= 1


async def test_bfloat16_takes_effect() -> None:
    import torch

    local = editor("kontext", dtype="bfloat16")
    assert difference(await local.edit(request()), await editor("kontext").edit(request())) > 0
    assert local._loaded.pipe.transformer.dtype == torch.bfloat16  # type: ignore[union-attr]


async def test_tiles_are_used_and_give_a_picture() -> None:
    local = editor("pix2pix", vae_tiling="true")
    assert (await local.edit(request())).image.size == (96, 64)
    assert local._loaded.pipe.vae.use_tiling  # type: ignore[union-attr]


async def test_running_out_of_memory_says_what_may_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    local = editor("kontext")
    await local.load()
    decode = local._loaded.pipe.vae.decode  # type: ignore[union-attr]

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(local._loaded.pipe.vae, "decode", full)  # type: ignore[union-attr]
    with pytest.raises(EditorError, match="what may fit: dtype=bfloat16, vae_tiling=true, pixels=4096"):
        await local.edit(request())
    monkeypatch.setattr(local._loaded.pipe.vae, "decode", decode)  # type: ignore[union-attr]
    assert (await local.edit(request())).image.size == (96, 64), "it works again when there is room"


async def test_what_does_not_fit_together_is_done_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    local = editor("kontext", batch="3")
    await local.load()
    decode = local._loaded.pipe.vae.decode  # type: ignore[union-attr]

    def narrow(latents: Any, **rest: Any) -> Any:
        if len(latents) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(latents, **rest)

    monkeypatch.setattr(local._loaded.pipe.vae, "decode", narrow)  # type: ignore[union-attr]
    edited = await asyncio.gather(*(local.edit(request(seed)) for seed in range(3)))
    assert all("together" not in one.notes for one in edited)


@pytest.mark.parametrize(
    ("value", "error", "complaint"),
    [(float("nan"), EditorError, "NaN"), (-1.0, EditorError, "entirely black")],
)
async def test_no_picture_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, value: float, error: type[Exception], complaint: str
) -> None:
    local = editor("kontext")
    await local.load()
    decode = local._loaded.pipe.vae.decode  # type: ignore[union-attr]

    def broken(latents: Any, **rest: Any) -> Any:
        return (decode(latents, **rest)[0].fill_(value),)

    monkeypatch.setattr(local._loaded.pipe.vae, "decode", broken)  # type: ignore[union-attr]
    with pytest.raises(error, match=complaint):
        await local.edit(request())


async def test_the_safety_checkers_objection_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    local = editor("pix2pix")
    await local.load()
    pipe = local._loaded.pipe  # type: ignore[union-attr]
    monkeypatch.setattr(pipe, "run_safety_checker", lambda image, *_: (image * 0, [True]))
    with pytest.raises(Refused, match="safety checker"):
        await local.edit(request())


async def test_a_pipeline_that_breaks_is_the_editors_failure() -> None:
    with pytest.raises(EditorError, match=r"failed: TypeError: strength must be a number"):
        await editor("unknown", **{"extra.strength": "much"}).edit(request())


async def test_a_folder_with_missing_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_bytes((tiny(tiny_kontext) / "model_index.json").read_bytes())
    with pytest.raises(EditorError, match="cannot be loaded from"):
        await DiffusersEditor(str(tmp_path)).load()


async def test_a_repository_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EditorError, match="not on this machine and the hub does not hand it out now"):
        await DiffusersEditor("somebody/unheard-of").load()


def test_it_serves_one_event_loop_after_another() -> None:
    local = editor("kontext")
    one, other = (asyncio.run(local.edit(request())) for _ in range(2))
    assert same_pixels(one.image, other.image)
