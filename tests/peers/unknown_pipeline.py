"""Pipelines that no table knows, as in somebody's own repository: one edits, one cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from PIL import Image


class TintPipeline(DiffusionPipeline):
    """Pulls the picture's latents towards noise, step by step; gives Pillow images."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.register_modules(vae=vae)

    @torch.no_grad()
    def __call__(
        self,
        image: Image.Image,
        prompt: str,
        num_inference_steps: int = 3,
        guidance_scale: float = 2.0,
        strength: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> Any:
        if not isinstance(strength, int | float):
            raise TypeError(f"strength must be a number, not {strength!r}")
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        latents = self.vae.encode(pixels).latent_dist.mode()
        with self.progress_bar(total=num_inference_steps) as bar:
            for _ in range(num_inference_steps):
                noise = torch.randn(latents.shape, generator=generator)
                latents = latents + strength * guidance_scale * noise
                bar.update()
        decoded = (self.vae.decode(latents).sample[0].clamp(-1, 1) + 1) * 127.5
        return SimpleNamespace(images=[Image.fromarray(decoded.permute(1, 2, 0).byte().numpy())])


class PlainPipeline(TintPipeline):
    """Takes a picture and words, and no settings at all."""

    def __call__(self, image: Image.Image, prompt: str) -> Any:  # type: ignore[override]
        return super().__call__(image, prompt)


class WordsOnlyPipeline(TintPipeline):
    """Makes pictures of words alone."""

    def __call__(self, prompt: str, generator: torch.Generator | None = None) -> Any:  # type: ignore[override]
        raise AssertionError("never called: it takes no image")
