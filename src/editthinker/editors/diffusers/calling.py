"""One call of a pipeline: pictures and words in, checked pictures out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from editthinker.core.errors import EditorError, EditThinkerError, Refused
from editthinker.core.images import Picture
from editthinker.core.types import EditRequest
from editthinker.editors.delivery import Frame, delivered
from editthinker.editors.diffusers.families import Family
from editthinker.editors.diffusers.loading import Loaded
from editthinker.editors.diffusers.settings import DiffusersSettings
from editthinker.editors.diffusers.sizes import canvas

LARGEST_SEED = 2**63


@dataclass(frozen=True, slots=True)
class Task:
    """A request as the pipeline takes it."""

    request: EditRequest
    frame: Frame
    images: tuple[Image.Image, ...]
    """RGB; the first lies in `frame`."""
    words: str
    cut: int
    """Words of the instruction that the model would not have read."""

    @property
    def key(self) -> tuple[Any, ...]:
        """Tasks with equal keys fit into one call; one with a mask is edited alone."""
        alone = None if self.request.mask is None else id(self)
        return alone, *(image.size for image in self.images)

    @property
    def pixels(self) -> int:
        """Of the first image as the model sees it."""
        return self.frame.canvas[0] * self.frame.canvas[1]


def prepared(request: EditRequest, loaded: Loaded, settings: DiffusersSettings) -> Task:
    """Put the pictures on canvases the pipeline takes and cut the words to what it reads."""
    family = loaded.family
    pixels = settings.pixels or family.pixels

    def framed(picture: Picture) -> Frame:
        size = canvas(
            picture.size,
            pixels=pixels,
            multiple=loaded.multiple,
            longest=family.longest,
            grows=family.grows,
        )
        return Frame(picture.size, size)

    frames = [framed(picture) for picture in request.images]
    images = tuple(f.put(p.flattened()).pixels for f, p in zip(frames, request.images, strict=True))
    words, cut = request.instruction, 0
    spoken = words.split()
    if family.words is not None and len(spoken) > family.words:
        words, cut = " ".join(spoken[: family.words]), len(spoken) - family.words
    return Task(request, frames[0], images, words, cut)


def arguments(tasks: Sequence[Task], loaded: Loaded, settings: DiffusersSettings) -> dict[str, Any]:
    """The arguments of the call for one task, or for several with one key."""
    import torch

    family = loaded.family
    alone = len(tasks) == 1
    # Generators of the CPU give the same noise on every device.
    generators = [torch.Generator().manual_seed(task.request.seed % LARGEST_SEED) for task in tasks]
    given: dict[str, Any] = {
        **family.also,
        family.image: _images(tasks, family),
        "prompt": _prompts(tasks, family),
        "generator": generators[0] if alone else generators,
        "num_inference_steps": settings.steps or family.steps,
    }
    if family.guidance:
        given[family.guidance] = _first(settings.guidance, family.guidance_preset)
    if family.image_guidance:
        given[family.image_guidance] = _first(settings.image_guidance, family.image_guidance_preset)
    given["negative_prompt"] = _negative(len(tasks), family, settings)
    if family.sized:
        given["width"], given["height"] = tasks[0].frame.canvas
    if "max_area" in loaded.takes:
        given["max_area"] = tasks[0].pixels
    if "mask_image" in loaded.takes:  # such requests come alone
        given["mask_image"] = _mask(tasks[0])
        given[family.image] = tasks[0].images[0]
        given["image_reference"] = list(tasks[0].images[1:]) or None
    # Values between 0 and 1 show NaN where 8-bit pictures would show black.
    given["output_type"] = "np" if hasattr(loaded.pipe, "image_processor") else "pil"
    given |= settings.extra
    return {name: value for name, value in given.items() if value is not None and name in loaded.takes}


def pictures(
    output: Any, tasks: Sequence[Task], loaded: Loaded, label: str
) -> list[Picture | EditThinkerError]:
    """For each task the picture it asked for, or why there is none."""
    painted = "mask_image" in loaded.takes
    images = output.images if hasattr(output, "images") else output[0]
    flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(tasks)
    if len(images) != len(tasks):
        raise EditorError(f"{label} returned {len(images)} pictures for {len(tasks)} requests")
    return [
        _blacked_out(label) if unsafe else _picture(image, task, painted, label)
        for image, task, unsafe in zip(images, tasks, flagged, strict=True)
    ]


@contextmanager
def watched(pipe: Any, step: Callable[[int, int], None]) -> Iterator[None]:
    """Call `step(done, total)` after each denoising step of `pipe`; what it raises ends the call.

    Every pipeline counts its steps on `progress_bar`, also those that offer no callback (LongCat, DreamLite).
    """

    class Bar:
        def __init__(self, total: int) -> None:
            self.done, self.total = 0, total

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, steps: int = 1) -> None:
            self.done += steps
            step(self.done, self.total)

        def set_postfix(self, *_: object, **__: object) -> None:
            pass

    def progress_bar(iterable: Any = None, total: int | None = None) -> Any:
        if iterable is None:
            return Bar(total or 0)
        return _counted(iterable, step)

    pipe.progress_bar = progress_bar
    try:
        yield
    finally:
        del pipe.progress_bar


@contextmanager
def grouped(pipe: Any, requests: int) -> Iterator[None]:
    """Let each of several prompts see its own images only.

    FLUX.2 takes one list of images and shows all of them to every prompt of the call. The list holds every
    request's images in turn; here each request's share is encoded by the pipeline itself and put at its place
    in the batch.
    """
    import torch

    encode = pipe.prepare_image_latents

    def prepare_image_latents(images: Sequence[Any], batch_size: int, **rest: Any) -> tuple[Any, Any]:
        share = len(images) // requests
        parts = [
            encode(images=list(images[start : start + share]), batch_size=batch_size // requests, **rest)
            for start in range(0, len(images), share)
        ]
        return torch.cat([latents for latents, _ in parts]), torch.cat([ids for _, ids in parts])

    pipe.prepare_image_latents = prepare_image_latents
    try:
        yield
    finally:
        del pipe.prepare_image_latents


def _counted(iterable: Any, step: Callable[[int, int], None]) -> Iterator[Any]:
    total = len(iterable)
    for done, item in enumerate(iterable, 1):
        yield item
        step(done, total)


def _images(tasks: Sequence[Task], family: Family) -> Any:
    if family.nested:
        return [list(task.images) for task in tasks]
    if len(tasks) > 1:
        return [image for task in tasks for image in task.images]
    images = list(tasks[0].images)
    return images if family.max_images > 1 else images[0]


def _prompts(tasks: Sequence[Task], family: Family) -> Any:
    words = [task.words for task in tasks]
    if family.image == "input_images":
        # OmniGen wants each image named in the text (huggingface.co/docs/diffusers/api/pipelines/omnigen).
        places = [
            " ".join(f"<img><|image_{n + 1}|></img>" for n in range(len(task.images))) for task in tasks
        ]
        return [f"{place} {text}" for place, text in zip(places, words, strict=True)]
    return words if len(words) > 1 or family.nested else words[0]


def _negative(requests: int, family: Family, settings: DiffusersSettings) -> str | list[str] | None:
    words = _first(settings.negative_prompt, family.negative_preset)
    guidance = _first(settings.guidance, family.guidance_preset)
    if words is None or (family.negative == "always" and guidance is not None and guidance <= 1):
        return None
    return words if requests == 1 else [words] * requests


def _mask(task: Task) -> Image.Image:
    if task.request.mask is None:
        return Image.new("L", task.frame.canvas, 255)
    return task.frame.put(task.request.mask.flattened()).pixels.convert("L")


def _blacked_out(label: str) -> EditThinkerError:
    return Refused(f"{label} blacked out its result: the model's safety checker objects to it")


def _picture(image: Any, task: Task, painted: bool, label: str) -> Picture | EditThinkerError:
    import numpy as np

    if not isinstance(image, Image.Image):
        values = np.asarray(image, dtype=np.float32)
        if not np.isfinite(values).all():
            return EditorError(
                f"{label} computed numbers that are none (NaN); try dtype=bfloat16 or dtype=float32"
            )
        image = Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8).squeeze())
    source, mask = task.request.images[0], task.request.mask
    try:
        picture = delivered(source, Picture(image.convert("RGB")), task.frame)
    except EditThinkerError as error:
        return error
    if mask is None or not painted:
        return picture
    # The pipeline kept the latents outside the mask; decoding them still blurs what must not change.
    inside = mask.flattened().pixels.convert("L")
    return Picture(Image.composite(picture.pixels, source.pixels, inside), name=picture.name)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def noted(task: Task, given: Mapping[str, Any], together: int) -> dict[str, Any]:
    """What belongs into the record: the values that acted."""
    simple = {
        name: value
        for name, value in given.items()
        if isinstance(value, bool | int | float) and name not in ("width", "height", "max_area")
    }
    notes = {**simple, "seed": task.request.seed, "size": list(task.frame.canvas)}
    if task.cut:
        notes["words_cut"] = task.cut
    if together > 1:
        notes["together"] = together
    return notes
