"""Tiny random-weight pipelines of the real diffusers classes, made on the spot and saved in a folder.

Each builder takes the folder to fill and returns it. Weights come from a fixed seed, tokenizers spell bytes,
and VAEs shrink by 32, so that even a megapixel is edited in about a second on a CPU.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_klein(folder: Path, *, distilled: bool = False) -> Path:
    """FLUX.2 klein (Flux2KleinPipeline); several images, sizes are multiples of 64."""
    import torch
    from diffusers import (
        AutoencoderKLFlux2,
        FlowMatchEulerDiscreteScheduler,
        Flux2KleinPipeline,
        Flux2Transformer2DModel,
    )
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    levels = 6
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLFlux2(
            sample_size=32,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=(4,) * levels,
            layers_per_block=1,
            latent_channels=1,
            norm_num_groups=1,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=Qwen3ForCausalLM(
            Qwen3Config(
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=28,  # the pipeline reads layers 9, 18 and 27
                num_attention_heads=2,
                num_key_value_heads=2,
                head_dim=8,
                vocab_size=len(tokenizer),
                max_position_embeddings=2048,
            )
        ),
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=256,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=distilled,
    )
    return _saved(pipeline, folder)


def tiny_kontext(folder: Path) -> Path:
    """FLUX.1 Kontext (FluxKontextPipeline); one image, sizes are multiples of 64."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        FluxKontextPipeline,
        FluxTransformer2DModel,
    )
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    pipeline = FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=_clip_text(clip),
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=len(t5),
                d_model=32,
                d_kv=8,
                d_ff=37,
                num_layers=2,
                num_heads=4,
                decoder_start_token_id=0,
            )
        ),
        tokenizer=clip,
        tokenizer_2=t5,
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        vae=_deep_vae(latent_channels=1),
    )
    return _saved(pipeline, folder)


def tiny_qwen_edit(folder: Path) -> Path:
    """Qwen-Image-Edit (QwenImageEditPipeline); one image, sizes are multiples of 64."""
    from diffusers import QwenImageEditPipeline

    return _qwen(QwenImageEditPipeline, folder)


def tiny_qwen_edit_plus(folder: Path) -> Path:
    """Qwen-Image-Edit-2509 and -2511 (QwenImageEditPlusPipeline); several images, multiples of 64."""
    from diffusers import QwenImageEditPlusPipeline

    return _qwen(QwenImageEditPlusPipeline, folder)


def tiny_longcat(folder: Path) -> Path:
    """LongCat-Image-Edit (LongCatImageEditPipeline); one image, always about a megapixel."""
    import torch
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        LongCatImageEditPipeline,
        LongCatImageTransformer2DModel,
    )

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    pipeline = LongCatImageEditPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_deep_vae(latent_channels=16),  # the pipeline counts on sixteen
        text_encoder=_qwen_vl(tokenizer),
        tokenizer=tokenizer,
        text_processor=_qwen_processor(tokenizer),
        transformer=LongCatImageTransformer2DModel(
            patch_size=1,
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=[4, 4, 8],
        ),
    )
    return _with_processor(_saved(pipeline, folder), "text_processor")


def tiny_pix2pix(folder: Path) -> Path:
    """InstructPix2Pix (StableDiffusionInstructPix2PixPipeline); one image, sizes are multiples of 64."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionInstructPix2PixPipeline,
        UNet2DConditionModel,
    )

    torch.manual_seed(0)
    tokenizer = clip_tokenizer()
    pipeline = StableDiffusionInstructPix2PixPipeline(
        scheduler=DDIMScheduler(),
        vae=AutoencoderKL(
            block_out_channels=(4,) * 4,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=4,
        ),
        text_encoder=_clip_text(tokenizer),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            block_out_channels=(8, 16),
            layers_per_block=1,
            sample_size=32,
            in_channels=8,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            norm_num_groups=4,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return _saved(pipeline, folder)


def tiny_unknown(folder: Path) -> Path:
    """A class that diffusers does not have, peers.unknown_pipeline:TintPipeline."""
    import torch

    from peers.unknown_pipeline import TintPipeline

    torch.manual_seed(0)
    return _saved(TintPipeline(vae=_deep_vae(latent_channels=4)), folder)


@cache
def tiny(builder: Callable[[Path], Path]) -> Path:
    """The folder of a builder, made once in this process and removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix=builder.__name__))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return builder(folder)


@contextmanager
def small_megapixel(area: int = 128 * 128) -> Iterator[None]:
    """Where pipelines of Qwen and LongCat insist on a megapixel, let them work at `area` pixels instead."""
    from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit as longcat
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as edit
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as inpaint
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus

    exact_longcat, exact_qwen = longcat.calculate_dimensions, edit.calculate_dimensions
    with ExitStack() as stack:

        def put(module: Any, name: str, value: Any) -> None:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)

        # 64 is what the tiny VAE needs sides to be multiples of; the pipeline rounds for its own VAE.
        put(
            longcat,
            "calculate_dimensions",
            lambda _, ratio: [64 * round(side / 64) for side in exact_longcat(area, ratio)],
        )
        put(edit, "calculate_dimensions", lambda _, ratio: exact_qwen(area, ratio))
        put(inpaint, "calculate_dimensions", lambda _, ratio: exact_qwen(area, ratio))
        put(plus, "VAE_IMAGE_SIZE", area)
        put(plus, "CONDITION_IMAGE_SIZE", area)
        yield


def clip_tokenizer() -> Any:
    """CLIP's, spelling every byte."""
    from transformers import CLIPTokenizer

    letters = _bytes()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: at for at, piece in enumerate(pieces)}, merges=[], model_max_length=77)


def t5_tokenizer() -> Any:
    """T5's, spelling printable ASCII."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(code), -3.0) for code in range(33, 127)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def qwen_tokenizer() -> Any:
    """Qwen's, spelling every byte, with its special tokens and a chat template of our own."""
    from transformers import Qwen2Tokenizer

    pieces = [*_bytes(), "Ġt", *SPECIAL]
    tokenizer = Qwen2Tokenizer(
        vocab={piece: at for at, piece in enumerate(pieces)},
        merges=[("Ġ", "t")],
        extra_special_tokens=list(SPECIAL[1:]),
        model_max_length=32768,
    )
    tokenizer.chat_template = CHAT
    return tokenizer


def _bytes() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _clip_text(tokenizer: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    size = len(tokenizer)
    return CLIPTextModel(
        CLIPTextConfig(
            bos_token_id=size - 2,
            eos_token_id=size - 1,
            pad_token_id=size - 1,
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            vocab_size=size,
            projection_dim=32,
            max_position_embeddings=77,
        )
    )


def _qwen(made_by: Any, folder: Path) -> Path:
    import torch
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageTransformer2DModel,
    )

    torch.manual_seed(0)
    tokenizer = qwen_tokenizer()
    pipeline = made_by(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1] * 6,
            num_res_blocks=1,
            temperal_downsample=[False] * 4 + [True],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=_qwen_vl(tokenizer),
        tokenizer=tokenizer,
        processor=_qwen_processor(tokenizer),
        transformer=QwenImageTransformer2DModel(
            patch_size=2,
            in_channels=16,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=3,
            joint_attention_dim=16,
            guidance_embeds=False,
            axes_dims_rope=(8, 4, 4),
        ),
    )
    return _with_processor(_saved(pipeline, folder), "processor")


def _qwen_vl(tokenizer: Any) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1000000.0,
                    "mrope_section": [1, 1, 2],
                },
                "vocab_size": len(tokenizer),
                "max_position_embeddings": 32768,
                "bos_token_id": 0,
                "eos_token_id": token("<|im_end|>"),
                "pad_token_id": token("<|endoftext|>"),
            },
            vision_config={
                "depth": 2,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 16,
                "patch_size": 14,
                "window_size": 112,
                "fullatt_block_indexes": [1],
            },
            vision_start_token_id=token("<|vision_start|>"),
            vision_end_token_id=token("<|vision_end|>"),
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
        )
    )


def _qwen_processor(tokenizer: Any) -> Any:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from peers.qwen_processor import ImageOnlyProcessor

    pixels = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    images = Qwen2VLImageProcessorPil(patch_size=14, temporal_patch_size=2, merge_size=2, size=pixels)
    return ImageOnlyProcessor(image_processor=images, tokenizer=tokenizer, chat_template=CHAT)


def _with_processor(folder: Path, key: str) -> Path:
    """Name the module of the processor: diffusers writes down only its top-level package."""
    file = folder / "model_index.json"
    index = json.loads(file.read_text("utf-8"))
    index[key] = ["peers.qwen_processor", "ImageOnlyProcessor"]
    file.write_text(json.dumps(index, indent=1), "utf-8")
    return folder


def _deep_vae(latent_channels: int) -> Any:
    from diffusers import AutoencoderKL

    levels = 6
    return AutoencoderKL(
        sample_size=32,
        block_out_channels=(4,) * levels,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=latent_channels,
        norm_num_groups=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )


def _saved(pipeline: Any, folder: Path) -> Path:
    pipeline.save_pretrained(folder)
    return folder
