"""What may stand in a configuration file, as typed tables."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from editthinker.core.settings import Settings


class Strict(Settings):
    """No text where a number belongs: TOML has types."""

    model_config = ConfigDict(strict=True)


class Preset(Strict):
    """Options of `editthinker edit`, to be chosen by one name."""

    editor: str | None = Field(None, description="who edits")
    thinker: str | None = Field(None, description="who looks at the result; 'none': nobody")
    judge: str | None = Field(None, description="who scores in the thinker's place")
    compare: str | None = Field(None, description="who decides between two images")
    also: list[str] | None = Field(None, description="further editors to switch to")
    strategy: str | None = Field(None, description="how turns are produced")
    policy: str | None = Field(None, description="refine, or adaptive")
    turns: int | None = Field(None, ge=1, le=100, description="turns at most")
    candidates: int | None = Field(None, ge=1, le=16, description="images per turn, the best is kept")
    stack: bool | None = Field(None, description="edit the last result instead of the photo")
    paste_back: bool | None = Field(None, description="keep the pixels outside the edited region")
    seed: int | None = Field(None, ge=0, description="same seed, photo and words: same result")
    threshold: float | None = Field(None, ge=0, description="satisfied when both scores reach this")
    semantic: float | None = Field(None, ge=0, description="the threshold of the semantic score alone")
    quality: float | None = Field(None, ge=0, description="the threshold of the quality score alone")
    patience: int | None = Field(None, ge=1, description="stop after so many turns without a better score")
    retries: int | None = Field(None, ge=0, le=20, description="repeat a call that failed in passing")
    max_cost: float | None = Field(None, ge=0, description="US dollars")
    max_seconds: float | None = Field(None, ge=0, description="seconds")
    max_editor_calls: int | None = Field(None, ge=1, description="calls of the editor")
    max_thinker_calls: int | None = Field(None, ge=0, description="calls of the thinker")


class Defaults(Preset):
    """What an option of `editthinker edit` is when neither the command line nor a variable says so."""

    preset: str | None = Field(None, description="a table of [presets] to start from")


class Bench(Strict):
    """Where a benchmark lies and who judges it; folders are relative to the file that names them."""

    data: str | None = Field(None, description="the benchmark's data")
    prompts: str | None = Field(None, description="checkout with the judge prompts, or 'ours'")
    judge: str | list[str] | None = Field(None, description="who marks the images; several share the work")
    run: str | None = Field(None, description="folder of the run")


class Price(Strict):
    """What a model costs, in the words of the settings of its adapter."""

    price: float | None = Field(None, ge=0, description="US dollars per edited image")
    price_in: float | None = Field(None, ge=0, description="US dollars per million tokens in")
    price_out: float | None = Field(None, ge=0, description="US dollars per million tokens out")


class Content(Strict):
    """A whole file."""

    defaults: dict[str, Any] = Field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    editors: dict[str, dict[str, Any]] = Field(default_factory=dict)
    thinkers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    judges: dict[str, dict[str, Any]] = Field(default_factory=dict)
    prices: dict[str, Any] = Field(default_factory=dict)
    bench: dict[str, dict[str, Any]] = Field(default_factory=dict)
