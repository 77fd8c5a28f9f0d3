"""What both trainings share: a folder, one writer, exact resume, sentences for what breaks, the last word.

In: a recipe and a folder. Out: the folder, which is a model that others load, and beside it

    recipe.toml, measured.json, README.md    what was asked, what came of it, the model card
    training/                                may be deleted when finished: log.jsonl, the lessons,
                                             checkpoint-N, training.json (what must be as it was on resume)

The same recipe into the same folder goes on from the newest whole checkpoint. Whatever changes what is
learned binds: the recipe but for `recipe.FREE`, the base, the content of the steps.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from editthinker.core.errors import EditThinkerError, InputError, StoreError
from editthinker.core.files import cause, shown, write_atomically
from editthinker.runs.lock import Lock
from editthinker.thinkers.local import loading
from editthinker.training import card, checkpoints, fingerprints, lessons, measuring, recipe, watching
from editthinker.training.recipe import Recipe

INSIDE = "training"
STATE = "training.json"
MEASURED = "measured.json"
RECIPE = "recipe.toml"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FULL_SAID = ("No space left", "File too large", "PytorchStreamWriter failed", "unexpected pos")
"""As safetensors and torch say it."""
LOGS = "TENSORBOARD_LOGGING_DIR"
OWN_LOGS = os.environ.get(LOGS)
"""What the user said. A process may train several times, and each time has a place of its own."""
Tell = Callable[[str], None]


class Session:
    """`with Session("sft", recipe, out) as session:` holds the folder; only the first process writes."""

    def __init__(
        self,
        kind: Literal["sft", "grpo"],
        asked: Recipe,
        out: Path,
        *,
        resume: bool = False,
        tell: Tell = lambda _: None,
    ) -> None:
        self.kind, self.recipe, self.out = kind, asked, out
        self.place = out / INSIDE
        self._must_exist = resume
        self.tell: Tell = tell if watching.is_first() else lambda _: None
        self._lock: Lock | None = None
        self._leaving = watching.Leaving(self.tell)
        self._steps: dict[str, lessons.Steps] = {}
        self._trainee: checkpoints.Trainee | None = None

    def __enter__(self) -> Session:
        if watching.is_first():
            with self._disk():
                self._prepare()
                try:
                    self._agree()
                except BaseException:
                    self._let_go()
                    raise
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    @property
    def finished(self) -> bool:
        """Whether this training is over, its result written."""
        return bool(self._state().get("finished"))

    @property
    def resume_from(self) -> Path | None:
        """The newest whole checkpoint."""
        return next(iter(watching.complete(self.place)), None)

    def model(self) -> checkpoints.Trainee:
        """The model to train; on resume it must be the one it was."""
        if self._trainee is None:
            self._trainee = checkpoints.load(self.recipe.model)
            self._bind("base", self._trainee.identity["sha256"], self.recipe.model.base)
        return self._trainee

    def steps(self, side: Literal["train", "held_out"], *, answered: bool) -> lessons.Steps | None:
        """The lessons of a side, prepared once; None for a held-out side that nobody named."""
        data, model = self.recipe.data, self.recipe.model
        paths = data.train if side == "train" else data.held_out
        if not paths:
            if side == "train":
                raise InputError("the recipe names no steps to learn from; say data.train = [...]")
            return None
        limit = data.limit if side == "train" else data.held_out_limit
        limits = lessons.Limits(data.max_tokens, model.pixels, limit, answered)
        content = fingerprints.of_files(paths, model.prompt, repr(limits))
        if side == "train":
            self._bind("steps", content, ", ".join(map(str, paths)))
        folder = self.place / f"{side}-{content[:12]}"
        feeds = self.model().processor
        if watching.is_first():
            made = lessons.prepare(folder, paths, model.style, model.prompt, feeds, limits)
            left = ", ".join(f"{number} {reason}" for reason, number in made.left_out.items())
            self.tell(f"{side}: {len(made)} steps" + (f"; left out: {left}" if left else ""))
        watching.wait_for_all()
        self._steps[side] = lessons.prepare(folder, paths, model.style, model.prompt, feeds, limits)
        return self._steps[side]

    def lessons(self, *, answered: bool) -> Any:
        """The lessons to learn from, as TRL's trainers take them."""
        steps = self.steps("train", answered=answered)
        assert steps is not None  # noqa: S101 only the held-out side may be missing
        return steps.dataset()

    def made(self, rows: Any) -> Any:
        """Rows that are made by number rather than read; on resume they must be those they were."""
        self._bind("lessons", fingerprints.of_rows(rows), "made by number")
        return rows

    def arguments(self, ours: Collection[str] = ()) -> dict[str, Any]:
        """What TRL's configuration is given; `ours`: further keys that `[trl]` may not set."""
        import torch

        how, saving, gpu = self.recipe.optimiser, self.recipe.saving, torch.cuda.is_available()
        together = how.at_once * watching.processes()
        if how.batch % together:
            raise InputError(
                f"optimiser.batch = {how.batch} cannot be shared: {watching.processes()} processes work at"
                f" optimiser.at_once = {how.at_once} rows each; {how.batch} must be a multiple of {together}"
            )
        own = {
            "output_dir": str(self.place),
            "per_device_train_batch_size": how.at_once,
            "per_device_eval_batch_size": how.at_once,
            "gradient_accumulation_steps": how.batch // together,
            "learning_rate": how.learning_rate,
            "lr_scheduler_type": how.schedule.replace("constant", "constant_with_warmup"),
            "warmup_steps": how.warmup,
            "weight_decay": how.weight_decay,
            "adam_beta1": how.betas[0],
            "adam_beta2": how.betas[1],
            "max_grad_norm": how.max_norm,
            "num_train_epochs": how.epochs,
            "max_steps": how.steps or -1,
            "seed": how.seed,
            "data_seed": how.seed,
            "bf16": self.recipe.model.dtype == "mixed" or (gpu and self.recipe.model.dtype != "float32"),
            "use_cpu": not gpu,
            "activation_checkpointing": how.save_memory,
            "logging_steps": saving.tell_every,
            "logging_first_step": True,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps",
            "save_steps": saving.every,
            "dataloader_num_workers": self.recipe.data.workers,
            "dataloader_pin_memory": gpu,
            "remove_unused_columns": False,
            "report_to": self._reporters(),
            "disable_tqdm": True,
        }
        if taken := sorted({*own, *ours} & self.recipe.trl.keys()):
            raise InputError(f"[trl] may not set {', '.join(taken)}: that is decided elsewhere in the recipe")
        return own | self.recipe.trl

    def callbacks(self) -> list[Any]:
        """For the trainer."""
        rows = self.recipe.optimiser.batch
        telling = watching.Telling(self.place / "log.jsonl", rows, self.tell)
        return [telling, watching.Sanity(), watching.Keeping(self.recipe.saving.keep), self._leaving]

    def train(self, trainer: Any) -> None:
        """Run the trainer from where it stopped. Raises a sentence, or `KeyboardInterrupt`."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # data loading forks
        from transformers import PrinterCallback

        trainer.remove_callback(PrinterCallback)  # we tell
        begin = self.resume_from
        if begin:
            self.tell(f"going on from step {begin.name.removeprefix(watching.PREFIX)}")
        with self._leaving.listening(), self._explained(trainer):
            trainer.train(resume_from_checkpoint=begin and str(begin))
        if self._leaving.asked and trainer.state.global_step < trainer.state.max_steps:
            self.tell(f"stopped after step {trainer.state.global_step}; the same command goes on from there")
            raise KeyboardInterrupt

    def finish(self, trainer: Any, measured: Mapping[str, Any] | None = None) -> Path:
        """Write the model, measure it on the held-out steps, write figures and card; return the folder.

        `measured`: figures of the training itself, to stand beside them. Whoever is killed here finds the
        last checkpoint whole, and the same command ends what was begun.
        """
        part = self.place / "result.part"
        trained = {"steps_trained": trainer.state.global_step, "processes": watching.processes()}
        with self._disk():
            if watching.is_first():
                shutil.rmtree(part, ignore_errors=True)
            watching.wait_for_all()
            checkpoints.save(trainer, part, self.model().dtype)
            watching.wait_for_all()
            trainer.accelerator.free_memory()
            figures = {**trained, **(measured or {}), **self._held_out(part)}
            if watching.is_first():
                for file in part.iterdir():
                    file.replace(self.out / file.name)
                part.rmdir()
                steps = {side: made.manifest for side, made in self._steps.items()}
                text = card.written(self.kind, self.recipe, self.model().identity, steps, figures)
                self._put(self.out / "README.md", text)
                self._put(self.out / MEASURED, json.dumps(figures, indent=2) + "\n")
                self._remember(finished=True)
        watching.wait_for_all()
        return self.out

    def _held_out(self, folder: Path) -> dict[str, Any]:
        steps = self._steps.get("held_out")
        if steps is None:
            return {}
        self.tell(f"measuring on {len(steps)} held-out steps")
        return {"held_out": measuring.measure(folder, steps, self.recipe.model)}

    # --- the folder ---

    def _let_go(self) -> None:
        if self._lock:
            self._lock.release()

    def _prepare(self) -> None:
        """The folder, locked."""
        known = (self.place / STATE).is_file()
        if self._must_exist and not known:
            raise InputError(f"there is no training in {shown(str(self.out))} to resume")
        if (
            not known
            and self.out.exists()
            and (not self.out.is_dir() or any(path.name != INSIDE for path in self.out.iterdir()))
        ):
            raise InputError(f"{shown(str(self.out))} holds something else; say another folder as out=...")
        self.place.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = Lock(self.place)
        except StoreError as error:
            raise StoreError(str(error).replace("the run", "the training", 1)) from None

    def _agree(self) -> None:
        """What was begun here, if anything, is what is asked for now."""
        bound = recipe.binding(self.recipe)
        if not (self.place / STATE).is_file():
            self._remember(kind=self.kind, recipe=bound)
        if not (self.out / RECIPE).is_file():
            self._put(self.out / RECIPE, recipe.written(self.recipe))
        before = self._state()
        if before.get("kind") != self.kind:
            raise InputError(
                f"{shown(str(self.out))} holds a training by {before.get('kind')}, not {self.kind}"
            )
        old = before.get("recipe", {})
        for key in (*old, *(key for key in bound if key not in old)):
            if old.get(key) != json.loads(json.dumps(bound.get(key))):
                raise InputError(
                    f"the training in {shown(str(self.out))} was begun with {key} = {_short(old.get(key))},"
                    f" not {_short(bound.get(key))}; say the same again, or another folder as out=..."
                )
        watching.clear(self.place)

    def _bind(self, what: str, content: str, name: str) -> None:
        before = self._state().get(what)
        if before is None:
            if watching.is_first():
                self._remember(**{what: content})
        elif before != content:
            raise InputError(
                f"the {what} {name!r} is not what the training in {shown(str(self.out))} was begun with;"
                " bring the same back, or say another folder as out=..."
            )

    def _state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.place / STATE).read_bytes()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreError(f"{shown(str(self.place / STATE))} cannot be read: {error}") from error

    def _remember(self, **facts: Any) -> None:
        self._put(self.place / STATE, json.dumps({**self._state(), **facts}, indent=1) + "\n")

    @staticmethod
    def _put(path: Path, text: str) -> None:
        write_atomically(path, text.encode(), overwrite=True)

    def _reporters(self) -> list[str]:
        os.environ[LOGS] = OWN_LOGS or str(self.place / "tensorboard")
        there: list[str] = [name for name in self.recipe.saving.report_to if find_spec(name)]
        for name in self.recipe.saving.report_to:
            if name not in there:
                self.tell(f"{name} is not installed (pip install {name}); log.jsonl has the same figures")
        return there

    # --- what breaks ---

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"cannot write {shown(str(self.out))}: {_why(error)}") from error

    @contextmanager
    def _explained(self, trainer: Any) -> Iterator[None]:
        """What breaks during a training, as a sentence that says what is safe and what to do."""
        try:
            yield
        except KeyboardInterrupt:
            self.tell(f"stopped at once; {self._safe()}")
            raise
        except watching.BadNumbers as error:
            advice = "try a smaller optimiser.learning_rate"
            raise watching.BadNumbers(
                f"{error}: stopped before it could spoil the weights; {self._safe()}; {advice}"
            ) from error
        except EditThinkerError as error:
            if "Original Traceback" in str(error):  # it comes from a process that prepares batches
                raise InputError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error
            raise
        except Exception as error:
            if full(error):
                watching.clear(self.place)
                raise StoreError(
                    f"cannot write a checkpoint into {shown(str(self.place))}: the disk is full;"
                    f" {self._safe()}, make room first"
                ) from error
            if loading.out_of_memory(error):
                raise EditThinkerError(
                    "out of memory: set optimiser.at_once or model.pixels smaller,"
                    f" optimiser.save_memory = true, or train with lora; {self._safe()}"
                ) from error
            raise

    def _safe(self) -> str:
        newest = self.resume_from
        if newest is None:
            return "there is no checkpoint yet, the same command begins anew"
        return f"the same command goes on from step {newest.name.removeprefix(watching.PREFIX)}"


def full(error: BaseException) -> bool:
    """Whether the disk is full; torch and safetensors say it in words of their own."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and chain.errno in FULL:
            return True
        if any(words in str(chain) for words in FULL_SAID):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _why(error: OSError) -> str:
    return "the disk is full" if error.errno in FULL else cause(error)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."
