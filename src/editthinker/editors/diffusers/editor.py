"""The editor behind the name "diffusers:REPO_OR_PATH"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from editthinker.core.batching import Abandoned, Job, Queue
from editthinker.core.contracts import EditorInfo
from editthinker.core.errors import EditorError, EditThinkerError, InputError
from editthinker.core.types import Edited, EditRequest
from editthinker.editors.diffusers.calling import Task, arguments, grouped, noted, pictures, prepared, watched
from editthinker.editors.diffusers.families import Family, by_repository, known
from editthinker.editors.diffusers.index import cached_index, first_line, is_folder, refuse_absent
from editthinker.editors.diffusers.loading import Loaded, load, masking
from editthinker.editors.diffusers.memory import free, is_shortage, shortage
from editthinker.editors.diffusers.settings import DiffusersSettings, check


class DiffusersEditor:
    """A pipeline of diffusers in this process, loaded once, when first needed, in a thread of its own."""

    Settings = DiffusersSettings

    def __init__(self, what: str, settings: DiffusersSettings | None = None, *, name: str = "") -> None:
        """`what` is a folder or a repository. Raises `InputError` for what is known to be wrong already."""
        self._what, self._settings = what, settings or DiffusersSettings.read("diffusers", {})
        self._name = name or f"diffusers:{what}"
        self._label = f"editor {self._name!r}"
        self.on_step: Callable[[int, int], None] | None = None
        """Told (steps done, steps in all) after each step, in the worker thread."""
        self._family = self._expected()
        if self._family:
            check(self._label, self._settings, self._family)
        self._loaded: Loaded | None = None
        self._masking: Loaded | None = None
        self._queue: Queue[Task, Edited] = Queue(self._run, self._settings.batch)

    @property
    def info(self) -> EditorInfo:
        """Facts for the thinker and the loop; of an unknown pipeline they are complete once it is loaded.

        Requests that share a call are rounded together, so that with `batch` an image may depend, in its last
        bit, on who was edited beside it: such an editor does not promise the same image for the same seed.
        """
        family = self._family or Family("", languages=())
        return EditorInfo(
            self._name,
            max_images=family.max_images,
            mask=bool(family.inpainting),
            seeded=family.seeded and self._settings.batch == 1,
            languages=family.languages,
            prompt_hint=family.hint,
            prompt_limit=family.words,
            price=0.0,
            card=family.card,
        )

    async def load(self) -> None:
        """Load the pipeline now. Raises `InputError` or `EditorError` with one sentence."""
        if self._loaded is None:
            await self._queue.apart(self._load)

    async def edit(self, request: EditRequest) -> Edited:
        """Edit, perhaps in a call shared with others. Raises `EditorError`, `Refused` or `InputError`."""
        await self.load()
        task = await asyncio.to_thread(self._prepared, request)
        return await self._queue.do(task, task.key)

    def _expected(self) -> Family | None:
        """The family as far as it is known from what lies on this machine, or by the repository's name."""
        if not is_folder(self._what) and not self._settings.pipeline:
            refuse_absent(self._label, self._what)
        index = cached_index(self._what, self._settings.revision)
        if index is None:
            return None if self._settings.pipeline else by_repository(self._what)
        return known((self._settings.pipeline or index["_class_name"]).rpartition(":")[2], index)

    def _load(self) -> None:
        if self._loaded is None:
            self._loaded = load(self._label, self._what, self._settings)
            self._family = self._loaded.family

    def _prepared(self, request: EditRequest) -> Task:
        assert self._loaded is not None  # noqa: S101 - `edit` loads first
        most = self._loaded.family.max_images
        if len(request.images) > most:
            raise InputError(f"{self._label} takes {most} image{'s'[: most > 1]}, not {len(request.images)}")
        return prepared(request, self._loaded, self._settings)

    def _pipeline_for(self, task: Task) -> Loaded:
        """The pipeline itself; for a masked request, the one that paints within a mask."""
        assert self._loaded is not None  # noqa: S101 - `edit` loads first
        if (
            task.request.mask is None
            or "mask_image" in self._loaded.takes
            or not self._loaded.family.inpainting
        ):
            return self._loaded
        self._masking = self._masking or masking(self._loaded, self._settings)
        return self._masking

    def _run(self, jobs: Sequence[Job[Task, Edited]]) -> None:
        """Answer these jobs by one call; runs in the worker thread."""
        tasks = [job.work for job in jobs]
        loaded = self._pipeline_for(tasks[0])

        def step(done: int, total: int) -> None:
            if not any(job.wanted for job in jobs):
                raise Abandoned
            if self.on_step is not None:
                self.on_step(done, total)

        apart = len(tasks) > 1 and loaded.family.together == "grouped"
        try:
            given = arguments(tasks, loaded, self._settings)
            with watched(loaded.pipe, step), grouped(loaded.pipe, len(tasks)) if apart else nullcontext():
                output = loaded.pipe(**given)
            results = pictures(output, tasks, loaded, self._label)
        except (Abandoned, EditThinkerError):
            loaded.pipe.maybe_free_model_hooks()
            raise
        except Exception as error:  # noqa: BLE001 - a pipeline may raise anything; it is this editor's failure
            failure = self._failure(error, tasks[0], loaded)
        else:
            for job, result in zip(jobs, results, strict=True):
                if isinstance(result, EditThinkerError):
                    job.fail(result)
                else:
                    job.succeed(Edited(result, notes=noted(job.work, given, len(jobs))))
            return
        # Only here, where the error and what its frames held are gone, can memory be given back.
        loaded.pipe.maybe_free_model_hooks()
        free()
        self._run_apart(jobs, failure)

    def _run_apart(self, jobs: Sequence[Job[Task, Edited]], failure: EditorError) -> None:
        """What did not fit together, or broke together, may work one by one; a single job has failed."""
        for job in jobs:
            if len(jobs) == 1:
                job.fail(failure)
            elif job.wanted:
                self._run([job])

    def _failure(self, error: Exception, task: Task, loaded: Loaded) -> EditorError:
        if is_shortage(error):
            return EditorError(f"{self._label} {shortage(self._settings, loaded.device, task.pixels)}")
        return EditorError(f"{self._label} failed: {type(error).__name__}: {first_line(error)}")
