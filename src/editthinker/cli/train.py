"""`editthinker train sft | grpo`: a recipe in, a thinker out. GRPO's editor and judge are built here."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from editthinker.cli import options
from editthinker.cli.options import HOW, WHERE, Grouped, taking
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.training.recipe import GrpoRecipe, Recipe
    from editthinker.wire.pooled import PooledEditor, PooledJudge

HELP = """Train a thinker on steps that 'editthinker data' made: imitate (sft), then learn from edits (grpo).

\b
Examples:
  editthinker train sft recipes/paper/sft.toml data.train=data/steps --dry-run
  editthinker train sft recipes/paper/sft_lora.toml model.base=Qwen/Qwen3-VL-2B-Instruct out=trained/mine
  editthinker train grpo recipes/paper/grpo.toml model.base=trained/mine data.train=data/rl
  accelerate launch --config_file recipes/accelerate/fsdp.yaml -m editthinker.cli train sft RECIPE
  editthinker edit photo.jpg "warmer" --thinker local:trained/mine

Needs the extra: pip install 'editthinker[train]'.
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


def _option(group: str, name: str, text: str, *more: str, **settings: Any) -> Any:
    return typer.Option(name, *more, help=text, rich_help_panel=group, **settings)


@dataclass(frozen=True, kw_only=True)
class TrainOrder:
    """What was said of a training."""

    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file.", show_default=False)]
    said: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="In place of what it says.", show_default=False),
    ] = None
    dry_run: Annotated[
        bool,
        _option(HOW, "--dry-run", "Say what it would need: parameters, memory, steps, hours; load nothing."),
    ] = False
    devices: Annotated[
        int, _option(HOW, "--devices", "For --dry-run: GPUs that share the work.", min=1, metavar="N")
    ] = 1
    tflops: Annotated[
        float | None,
        _option(HOW, "--tflops", "For --dry-run: what one device does, TFLOP/s.", min=0.001, metavar="X"),
    ] = None
    resume: Annotated[bool, _option(HOW, "--resume", "Insist that the training is there already.")] = False
    merge: Annotated[
        bool, _option(WHERE, "--merge", "With LoRA: write the whole model too, into OUT/merged.")
    ] = False
    json: options.Json = False
    quiet: options.Quiet = False


@app.command(cls=Grouped)
@taking(TrainOrder)
def sft(**said: Any) -> int:
    """Imitate: learn the answers of the steps, word for word.

    \b
    Examples:
      editthinker train sft recipe.toml
      editthinker train sft recipe.toml model.lora=16 optimiser.at_once=1 out=trained/small
      editthinker train sft recipe.toml 'data.train=["data/a","data/b"]' optimiser.steps=100
      editthinker train sft recipes/paper/sft.toml data.train=data/steps --dry-run --devices 8

    The result, trained/NAME unless the recipe says out, is a folder that 'edit --thinker local:FOLDER',
    transformers and vLLM load; in it are README.md, the model card, measured.json and recipe.toml. The same
    command goes on where it stopped, exactly; what was changed in between is refused by name. Ctrl-C ends
    the step, writes a checkpoint and leaves with 130; twice does not wait.
    """  # noqa: D301 click looks for \b
    return _train("sft", TrainOrder(**said))


@app.command(cls=Grouped)
@taking(TrainOrder)
def grpo(**said: Any) -> int:
    """Reinforce: several replies to every step, an edit by each, and more of what made the image better.

    \b
    Examples:
      editthinker train grpo recipe.toml
      editthinker train grpo recipes/paper/grpo.toml model.base=trained/sft data.train=data/sides/rl.jsonl \\
          'world.editor=["service:http://gpu1:8005","service:http://gpu2:8005"]' \\
          'world.judge=chat:gpt-4.1?concurrency=32'

    Begin with a thinker that SFT has trained: one that never keeps to the grammar is never rewarded. Editors
    and judges are named as for 'edit'; several share the work. A failed edit or judgement is left out, never
    paid and never punished; when all servers are down the training waits for them (world.patience).
    Everything else is as for 'train sft'.
    """  # noqa: D301 click looks for \b
    return _train("grpo", TrainOrder(**said))


def _train(kind: Literal["sft", "grpo"], order: TrainOrder) -> int:
    from editthinker.cli.exits import Exit
    from editthinker.training import recipe

    asked = recipe.read(kind, order.recipe, order.said or ())
    if order.dry_run:
        return _foresee(asked, order)
    out = asked.out or Path("trained") / asked.name
    folder = _play(asked, out, order, _nobody if order.quiet else say)
    _told(folder, asked, order)
    return Exit.DELIVERED


def _play(asked: Recipe, out: Path, order: TrainOrder, tell: Callable[[str], None]) -> Path:
    """The training itself. Raises `MissingExtra` when its libraries are not installed."""
    from editthinker.core.errors import MissingExtra
    from editthinker.training.recipe import SftRecipe

    try:
        import datasets  # noqa: F401
        import trl  # noqa: F401

        from editthinker.training import watching
    except ImportError as error:
        raise MissingExtra(f"training (no {error.name})", "train") from None
    watching.quiet()
    if isinstance(asked, SftRecipe):
        from editthinker.training import sft

        folder = sft.train(asked, out, resume=order.resume, tell=tell)
    else:
        from editthinker.training import grpo

        editor, judge = _world(asked, tell)
        folder = grpo.train(asked, editor, judge, out, resume=order.resume, tell=tell)
    if order.merge and asked.model.lora:
        from editthinker.training import checkpoints, watching

        if watching.is_first() and not (folder / "merged" / "config.json").is_file():
            checkpoints.merge(asked.model, folder, folder / "merged")
            tell(f"merged: {folder / 'merged'}")
    return folder


def _world(asked: GrpoRecipe, tell: Callable[[str], None]) -> tuple[PooledEditor, PooledJudge]:
    """Who edits and who judges, each a pool even of one."""
    from editthinker import resolve
    from editthinker.cli import naming
    from editthinker.core import names
    from editthinker.core.types import Role
    from editthinker.wire.pool import Pool
    from editthinker.wire.pooled import PooledEditor, PooledJudge

    world = asked.world
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (("editor", world.editor), ("judge", world.judge))
    for role, listed in roles:
        for name in listed:
            naming.look_here_too(role, name)
    editors = {names.recorded(name): resolve.resolve_editor(name) for name in world.editor}
    judges = {names.recorded(name): resolve.resolve_judge(name) for name in world.judge}
    how: dict[str, Any] = {"patience": world.patience, "tell": tell}
    return PooledEditor(Pool("editor", editors, **how)), PooledJudge(Pool("judge", judges, **how))


def _foresee(asked: Recipe, order: TrainOrder) -> int:
    from json import dumps

    from editthinker.cli.exits import Exit
    from editthinker.training import sizing

    warnings.simplefilter("ignore", FutureWarning)
    plan = sizing.foresee(asked, devices=order.devices, tflops=order.tflops)
    if order.json:
        print(dumps(plan.as_json(), indent=2))
    else:
        for line in plan.lines():
            print(inert(line))
    return Exit.DELIVERED


def _told(folder: Path, asked: Recipe, order: TrainOrder) -> None:
    from json import dumps, loads

    from editthinker.training import watching

    if not watching.is_first():
        return
    measured = loads((folder / "measured.json").read_bytes())
    if order.json:
        print(dumps({"schema_version": 1, "folder": str(folder), "measured": measured}, indent=2))
        return
    if order.quiet:
        return
    for name, value in measured.get("held_out", {}).items():
        say(f"held out, {name.replace('_', ' ')}: {value}")
    adapter = asked.model.lora and not order.merge
    whole = folder / "merged" if asked.model.lora else folder
    use = f"local:{asked.model.base}?lora={folder}" if adapter else f"local:{whole}"
    say(f'trained: {folder}   try it: editthinker edit photo.jpg "warmer" --thinker "{use}"')


def _nobody(_: str) -> None:
    """Tell nothing."""
