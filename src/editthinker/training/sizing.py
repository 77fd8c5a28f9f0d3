"""Memory, steps and hours of a training before anything is loaded: the real model without its weights.

In: a recipe; of the base only its configuration (folder, Hub cache, or `KNOWN`). Out: `Plan`. Parameters are
counted on PyTorch's meta device, frozen parts and adapters as they will be. The rest is arithmetic:

    state        bytes of a trained parameter: float32 weight 4, its bfloat16 copy under autocast 2 (GPU),
                 gradient 4, Adam's two moments 8; of a frozen one 2 (bfloat16; nf4 0.56; float32 on a CPU 4).
                 ZeRO-3: bfloat16 weight 2, gradient 2, float32 weight and moments 12, and what is frozen, all
                 shared by N (arXiv 1910.02054, section 3.1)
    activations  of the rows a device works at together, for the backward pass: each layer's input and the
                 inside of one layer when they are computed twice, else the inside of all. The inside is what
                 products, norms and gates keep, numbers of 2 bytes (on a CPU 4): per token 8 hidden + 3 heads
                 x head_dim + 2 kv_heads x head_dim + 4 intermediate (arXiv 2205.05198, equation 1, for a
                 gated layer, without the square of attention and without dropout)
    work         2 FLOP per parameter and token forward, 2 for the gradient of what flows through, 2 for that
                 of a trained weight (arXiv 2001.08361, section 2.1), forward once more when activations are
                 computed twice. The tower that sees works on patches, four to a token, forward only when it
                 is frozen. Attention: 2 x tokens x heads x head_dim per token and layer, as it is causal

It is an estimate: what PyTorch, its kernels and the loss keep for themselves is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from editthinker.core.errors import InputError
from editthinker.training import checkpoints, watching
from editthinker.training.recipe import GrpoRecipe, Recipe

TEXT, ANSWER = 600, 300
"""Tokens of a question's words and of an answer, where no steps can be looked at: assumed."""
IMAGES = 2
LOOKED_AT = 64
"""Steps that are measured to know how long they are."""
GB = 1e9
_SMALL = {
    "depth": 24,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "deepstack_visual_indexes": [5, 11, 17],
}
_LARGE = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "deepstack_visual_indexes": [8, 16, 24],
}
KNOWN: Mapping[str, tuple[tuple[int, int, int, int], dict[str, Any], bool]] = {
    "2B": ((2048, 6144, 28, 16), _SMALL, True),
    "4B": ((2560, 9728, 36, 32), _SMALL, True),
    "8B": ((4096, 12288, 36, 32), _LARGE, False),
}
"""Hidden and intermediate size, layers and heads of the text model; what sees; whether embeddings are tied.
From config.json of https://huggingface.co/Qwen/Qwen3-VL-2B-Instruct and its -4B- and -8B- siblings."""
_TEXT = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


@dataclass(frozen=True)
class Plan:
    """What a training needs. Bytes are per device, tokens per row."""

    base: str
    shape_from: str
    """folder, cache, built in, or made from nothing."""
    devices: int
    parameters: int
    trained: int
    rows: int | None
    """To learn from; None when they cannot be counted."""
    steps: int | None
    """Of the optimiser."""
    tokens: int
    tokens_are: str
    """measured, or assumed."""
    tokens_per_step: int
    weights: int
    gradients: int
    optimiser: int
    activations: int
    zero3: int
    """Weights, gradients and optimiser under ZeRO-3."""
    flop_per_step: float
    hours: float | None

    @property
    def memory(self) -> int:
        """Of one device, every device holding everything."""
        return self.weights + self.gradients + self.optimiser + self.activations

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"schema_version": 1, **asdict(self), "memory": self.memory}

    def lines(self) -> list[str]:
        """For a person."""
        rows, steps = ("unknown" if one is None else f"{one:,}" for one in (self.rows, self.steps))
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimiser": self.optimiser,
            "activations about": self.activations,
        }
        lines = [
            f"base:         {self.base} (shape: {self.shape_from})",
            f"parameters:   {self.parameters / GB:.3f} B, of which {self.trained / GB:.3f} B are trained",
            f"rows:         {rows} of {self.tokens:,} tokens ({self.tokens_are})",
            f"steps:        {steps}, {self.tokens_per_step:,} tokens each",
            f"memory:       {_size(self.memory)} on a device that holds everything:",
            "              " + ", ".join(f"{name} {_size(size)}" for name, size in parts.items()),
            f"with ZeRO-3:  {_size(self.zero3 + self.activations)} on each of {self.devices}",
            f"work:         {self.flop_per_step / 1e12:,.3g} TFLOP a step",
        ]
        if self.hours is not None:
            lines.append(f"time:         about {self.hours:.1f} hours")
        return lines


def foresee(asked: Recipe, *, devices: int = 1, tflops: float | None = None) -> Plan:
    """The plan of a recipe on so many devices that do `tflops` each. Raises `InputError`."""
    config, origin = _config(asked)
    model, trained_names = _meta(asked, config)
    total, trained = model.num_parameters(), sum(trained_names.values())
    rows = _rows(asked)
    tokens, measured = _tokens(asked, config)
    how = asked.optimiser
    of_a_step = how.batch
    if isinstance(asked, GrpoRecipe):
        of_a_step = asked.rollouts.prompts * asked.rollouts.group
        rows = rows and rows * asked.rollouts.group
    steps = how.steps or (rows and max(1, round(rows * how.epochs / of_a_step)))
    state = _state(asked, total, trained)
    flop = of_a_step * work(asked, model, trained_names, tokens)
    hours = steps * flop / (devices * tflops * 1e12) / 3600 if steps and tflops else None
    return Plan(
        base=asked.model.base,
        shape_from=origin,
        devices=devices,
        parameters=total,
        trained=trained,
        rows=rows,
        steps=steps,
        tokens=tokens,
        tokens_are="measured" if measured else "assumed",
        tokens_per_step=of_a_step * tokens,
        **state,
        activations=activations(
            config, how.at_once * tokens, save_memory=how.save_memory, number=2 if _on_gpu(total) else 4
        ),
        zero3=int((16 * trained + _frozen(asked) * (total - trained) + _reference(asked, total)) / devices),
        flop_per_step=flop,
        hours=hours,
    )


def _size(count: float) -> str:
    return f"{count / GB:.1f} GB" if count >= GB else f"{count / 1e6:.1f} MB"


def _state(asked: Recipe, total: int, trained: int) -> dict[str, int]:
    copy = 2 if _on_gpu(total) else 0
    return {
        "weights": int(
            (4 + copy) * trained
            + _frozen(asked, small=not copy) * (total - trained)
            + _reference(asked, total)
        ),
        "gradients": 4 * trained,
        "optimiser": 8 * trained,
    }


def _reference(asked: Recipe, total: int) -> int:
    """Bytes of the first model, to which GRPO keeps near; with LoRA it is the base without adapters."""
    kept = isinstance(asked, GrpoRecipe) and asked.rollouts.kl and not asked.model.lora
    return 2 * total if kept else 0


def _frozen(asked: Recipe, *, small: bool = False) -> float:
    """Bytes of a weight that is not trained."""
    if asked.model.quantise == "nf4":
        return 0.56
    return 4.0 if small or asked.model.dtype in ("float32", "mixed") else 2.0


def _on_gpu(total: int) -> bool:
    """Whether the plan is one for a GPU: one is here, or nobody would train so much on a CPU."""
    return watching.on_gpu() or total > 10**9


def activations(config: Any, tokens: int, *, save_memory: bool, number: int = 2) -> int:
    """Bytes kept for the backward pass, for so many tokens worked at together; `number`: bytes of each."""
    text = config.get_text_config()
    heads = text.num_attention_heads * text.head_dim
    pairs = 2 * text.num_key_value_heads * text.head_dim
    inside = number * (8 * text.hidden_size + 3 * heads + pairs + 4 * text.intermediate_size)
    kept = number * text.hidden_size
    layers = text.num_hidden_layers
    return int(tokens * (layers * kept + inside if save_memory else layers * inside))


def work(asked: Recipe, net: Any, trained: Mapping[str, int], tokens: int) -> float:
    """FLOP of one row."""
    text = net.config.get_text_config()
    again = 1 if asked.optimiser.save_memory else 0
    sees = checkpoints.vision(net)
    seeing = sum(weight.numel() for weight in sees.parameters()) if sees is not None else 0
    learned_seeing = sum(count for name, count in trained.items() if ".visual." in name)
    speaking, learned = net.num_parameters() - seeing, sum(trained.values()) - learned_seeing
    attention = 2 * tokens * text.num_attention_heads * text.head_dim * text.num_hidden_layers
    words = tokens * (2 * speaking * (2 + again) + 2 * learned + attention * (3 + again))
    back = 2 + again if learned_seeing else 1  # nothing flows back through a frozen tower
    patches = 4 * min(tokens, IMAGES * asked.model.pixels // 32**2)
    return float(words + patches * (2 * seeing * back + 2 * learned_seeing))


def _config(asked: Recipe) -> tuple[Any, str]:
    from transformers import AutoConfig, Qwen3VLConfig

    if asked.model.base.startswith(checkpoints.MADE):
        return checkpoints.load(asked.model, for_training=False).model.config, "made from nothing"
    place, hub = checkpoints.where(asked.model)
    try:
        return AutoConfig.from_pretrained(place, local_files_only=True, **hub), "its config.json"
    except (OSError, ValueError):
        name = next((name for name in KNOWN if f"Qwen3-VL-{name}" in asked.model.base), None)
    if name is None:
        raise InputError(
            f"the shape of {asked.model.base!r} is not known here; say a folder, or one of"
            f" {', '.join(f'Qwen/Qwen3-VL-{known}-Instruct' for known in KNOWN)}"
        ) from None
    numbers, vision, tied = KNOWN[name]
    text = dict(zip(_TEXT, numbers, strict=True))
    rope = {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_section": [24, 20, 20],
        "mrope_interleaved": True,
    }
    shared = {"vocab_size": 151936, "num_key_value_heads": 8, "head_dim": 128, "rope_parameters": rope}
    seen = {
        "num_heads": 16,
        "patch_size": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": text["hidden_size"],
    }
    return Qwen3VLConfig(
        text_config={**shared, **text}, vision_config={**seen, **vision}, tie_word_embeddings=tied
    ), "built in"


def _meta(asked: Recipe, config: Any) -> tuple[Any, dict[str, int]]:
    """The model without weights, and the sizes of what is trained, by name."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        net = AutoModelForImageTextToText.from_config(config)
        checkpoints.freeze(net, asked.model, f"the base {asked.model.base!r}")
        if adapters := checkpoints.adapters(asked.model):
            from peft import get_peft_model

            named = get_peft_model(net, adapters).named_parameters()
        else:
            named = net.named_parameters()
        return net, {name: weight.numel() for name, weight in named if weight.requires_grad}


def _rows(asked: Recipe) -> int | None:
    """Lines of the files, those that may be left out too."""
    from editthinker.data.records import StepRow
    from editthinker.data.rows import Source

    if not asked.data.train:
        return None
    source, count = Source(StepRow, asked.data.train), 0
    for path in map(source.file, asked.data.train):
        with path.open("rb") as stream:
            count += sum(1 for line in stream if line.strip())
    return min(count, asked.data.limit or count)


def _tokens(asked: Recipe, config: Any) -> tuple[int, bool]:
    """Of a row: measured on the first steps if they and the processor are there."""
    assumed = IMAGES * asked.model.pixels // 32**2 + TEXT + ANSWER
    if not asked.data.train:
        return assumed, False
    from itertools import islice

    from editthinker.data.exporting import conversation, usable
    from editthinker.data.records import StepRow
    from editthinker.data.rows import Source
    from editthinker.data.stage import Counts
    from editthinker.thinkers.local import processor
    from editthinker.training import lessons

    place, hub = checkpoints.where(asked.model)
    try:
        feeds = processor.load(place, config, local_files_only=True, **hub)
    except (OSError, ValueError, processor.NoChatTemplate):
        return assumed, False
    answered = not isinstance(asked, GrpoRecipe)
    rows = Source(StepRow, asked.data.train).read(Counts())
    ask, measure = (
        lessons.asking(asked.model.style, asked.model.prompt),
        lessons.measuring(feeds, asked.model.pixels),
    )
    first = islice(usable(rows, Counts(), answered=answered), LOOKED_AT)
    counts = [measure(*conversation(row, ask)) for row in first]
    return (round(sum(counts) / len(counts)), True) if counts else (assumed, False)
