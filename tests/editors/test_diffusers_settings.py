"""What is decided before torch is imported: the table, the settings, the sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from editthinker.core.errors import InputError
from editthinker.core.images import same_shape
from editthinker.editors.diffusers import DiffusersEditor
from editthinker.editors.diffusers.families import FAMILIES, by_repository, described, known
from editthinker.editors.diffusers.settings import adapters
from editthinker.editors.diffusers.sizes import canvas
from editthinker.resolve import resolve_editor


def folder(at: Path, pipeline: str, **config: object) -> Path:
    """A folder that says no more than which pipeline it holds."""
    (at / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **config}))
    return at


def made(at: Path, **given: object) -> DiffusersEditor:
    return DiffusersEditor(str(at), DiffusersEditor.Settings.read("x", given))


@pytest.mark.parametrize(
    "size", [(1, 1), (33, 47), (96, 64), (1200, 900), (4000, 3000), (3000, 40), (40, 3000)]
)
@pytest.mark.parametrize("multiple", [16, 64])
@pytest.mark.parametrize("grows", [True, False])
def test_canvas_is_of_the_pictures_shape_and_within_the_budget(
    size: tuple[int, int], multiple: int, grows: bool
) -> None:
    pixels = 1024 * 1024
    width, height = canvas(size, pixels=pixels, multiple=multiple, longest=3, grows=grows)
    assert width % multiple == height % multiple == 0
    assert width * height <= pixels
    assert max(width / height, height / width) <= 3.4
    if grows:
        assert width * height >= 0.85 * pixels
    if min(size) >= 900:
        assert same_shape(size, (width, height)) or multiple == 64


def test_a_small_picture_stays_small_where_the_model_allows_it() -> None:
    assert canvas((320, 240), pixels=1024**2, multiple=16, longest=3, grows=False) == (320, 240)
    assert canvas((320, 240), pixels=1024**2, multiple=16, longest=3, grows=True) == (1168, 880)


def test_every_row_names_its_card_and_its_class_once() -> None:
    assert all(family.card.startswith("https://huggingface.co/") for family in FAMILIES)
    named = [(family.pipeline, tuple(family.when)) for family in FAMILIES]
    assert len(set(named)) == len(named)


def test_presets_follow_the_variant_of_the_model() -> None:
    base, distilled = (known("Flux2KleinPipeline", {"is_distilled": flag}) for flag in (False, True))
    assert base
    assert base.steps == 50
    assert base.guidance_preset == 4.0
    assert distilled
    assert distilled.steps == 4
    assert distilled.guidance is None
    assert by_repository("Qwen/Qwen-Image-Edit") is known("QwenImageEditPipeline", {})


def test_qwen_guidance_comes_with_the_negative_prompt_it_needs() -> None:
    family = known("QwenImageEditPipeline", {})
    assert family
    assert family.guidance == "true_cfg_scale"
    assert family.negative_preset == " "


@pytest.mark.parametrize(
    ("pipeline", "given", "complaint"),
    [
        ("Flux2KleinPipeline", {"negative_prompt": "blur"}, "no use for 'negative_prompt'"),
        ("Flux2KleinPipeline", {"image_guidance": "2"}, "no use for 'image_guidance'"),
        ("LongCatImageEditPipeline", {"pixels": "65536"}, "no use for 'pixels'"),
        ("QwenImageEditPlusPipeline", {"batch": "4"}, "one request at a time"),
        ("QwenImageEditPipeline", {"guidance": "1", "negative_prompt": "blur"}, "does not act"),
        ("FluxKontextPipeline", {"negative_prompt": "blur"}, "give both or neither"),
        ("FluxKontextPipeline", {"extra.true_cfg_scale": "4"}, "give both or neither"),
        ("StableDiffusionInstructPix2PixPipeline", {"image_guidance": "0.5"}, "switches all guidance off"),
        ("StableDiffusionInstructPix2PixPipeline", {"image_guidance": "2", "guidance": "1"}, "does not act"),
        ("BriaFiboEditPipeline", {}, "reads JSON"),
        ("FluxKontextPipeline", {"step": "3"}, "did you mean 'steps'"),
        ("FluxKontextPipeline", {"device": "tpu"}, "setting 'device'"),
        ("FluxKontextPipeline", {"lora": ":0.5"}, "PATH:WEIGHT"),
    ],
)
def test_a_setting_that_would_not_act_is_refused_before_loading(
    tmp_path: Path, pipeline: str, given: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        made(folder(tmp_path, pipeline), **given)


def test_distilled_guidance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no use for 'guidance'; it takes pixels"):
        made(folder(tmp_path, "Flux2KleinPipeline", is_distilled=True), guidance="4")


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ("./no/such/folder", "there is no folder"),
        ("OmniGen2/OmniGen2", "diffusers has no OmniGen2; .*service:URL"),
        ("not a repository", "neither a folder nor the name of a repository"),
    ],
)
def test_a_wrong_place_is_refused_before_loading(what: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        DiffusersEditor(what)


def test_a_folder_may_be_called_what_it_likes(tmp_path: Path) -> None:
    at = tmp_path / "omnigen2 and other bagels"
    at.mkdir()
    assert made(folder(at, "FluxKontextPipeline")).info.max_images == 1


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no model_index.json"):
        DiffusersEditor(str(tmp_path))
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        DiffusersEditor(str(tmp_path))
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(InputError, match="names no pipeline class"):
        DiffusersEditor(str(tmp_path))


def test_a_modular_pipeline_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "modular_model_index.json").write_text("{}")
    with pytest.raises(InputError, match="modular pipeline"):
        DiffusersEditor(str(tmp_path))


def test_facts_are_known_before_loading() -> None:
    info = DiffusersEditor("Qwen/Qwen-Image-Edit").info
    assert info.languages == ("en", "zh")
    assert info.mask
    assert info.max_images == 1
    assert info.seeded
    assert info.card == "https://huggingface.co/Qwen/Qwen-Image-Edit"
    assert DiffusersEditor("somebody/unheard-of").info.languages == ()


def test_sharing_calls_gives_up_the_promise_of_equal_bits() -> None:
    settings = DiffusersEditor.Settings.read("x", {"batch": "4"})
    assert not DiffusersEditor("Qwen/Qwen-Image-Edit", settings).info.seeded


def test_it_goes_by_its_name(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    at = folder(tmp_path, "FluxKontextPipeline")
    assert resolve_editor(f"diffusers:{at}?steps=8&extra.strength=0.5").info.name == f"diffusers:{at}"


def test_loras_and_their_weights_are_read() -> None:
    assert adapters("a.safetensors:0.5, owner/name ,C:/x.safetensors") == [
        ("a.safetensors", 0.5),
        ("owner/name", 1.0),
        ("C:/x.safetensors", 1.0),
    ]


def test_an_unknown_pipeline_is_described_by_its_call() -> None:
    def call(self, images, prompt, true_cfg_scale=4.0, negative_prompt=None, height=None, width=None):  # type: ignore[no-untyped-def]
        """A call."""

    family = described("Mine", call)
    assert family.image == "images"
    assert family.sized
    assert family.guidance == "true_cfg_scale"
    assert family.negative_preset == " "


def test_an_idle_negative_prompt_of_an_unknown_pipeline_is_found_out() -> None:
    family = described("Mine", lambda self, image, prompt, true_cfg_scale=1.0, negative_prompt=None: None)
    assert family.negative == "with true_cfg_scale"


def test_a_pipeline_without_an_image_cannot_edit() -> None:
    with pytest.raises(InputError, match="this model cannot edit: its pipeline Text2Image takes no image"):
        described("Text2Image", lambda self, prompt, height=None: None)
