"""Refined instructions to images to scores, while the trainer does something else: the world of a rollout.

In: an editor, a judge, and wishes: a scene and the words it is to be edited with. Out: for each wish what the
judge says of the image that the old words make and of that of the new ones, one seed for both; None where an
edit or a judgement failed or came too late. An event loop of its own, in a thread, makes all calls of a batch
at once, by the rules of `core.calls`; how many a server gets at a time is the pool's business. The same
question is asked once, now or ever (`kept`). What comes too late for its step is finished for the folder.

The seed is made of the recipe's and the scene's name: the same for all rollouts of a scene, and for no other.
When servers are down and too few rollouts of a step could have a reward, the step waits and asks again; it is
never learned from. Nothing here knows what a reward is.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from editthinker.core.calls import Calls
from editthinker.core.contracts import Editor, Judge
from editthinker.core.desk import Desk
from editthinker.core.errors import EditorError, EditThinkerError, Refused, StoreError
from editthinker.core.images import Picture
from editthinker.core.limits import Limits
from editthinker.core.method import Method
from editthinker.core.policies import Move
from editthinker.core.preservation import preserved
from editthinker.core.types import Call, Sample
from editthinker.training.kept import Kept, key_of, sha_of
from editthinker.training.recipe import World
from editthinker.training.rewards import Look, Looks

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a step is asked for again, doubled each time."""
GIVEN_UP = 2.0
"""A call that takes so many times the deadline is cancelled."""


class Outage(EditorError):
    """Editor or judge were down for longer than the recipe waits; nothing was learned from it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is edited, and what the user wants."""

    id: str
    instruction: str
    """T_s, by which images are judged."""
    sent: str
    """T_{t-1}, which new words must beat."""
    sources: tuple[Path, ...]
    mask: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """For the judge only."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One rollout."""

    scene: Scene
    words: str | None
    """None: it asks for no edit."""


@dataclass(slots=True)
class Batch:
    """Wishes under way."""

    wishes: Sequence[Wish]
    asked: dict[Wish, futures.Future[Looks]]
    """Wishes with words, equal ones once."""

    def missing(self) -> list[Wish]:
        """Those that may still get an answer; that the editor declined the words is one."""
        return [wish for wish in self.wishes if (made := self.asked.get(wish)) and not _settled(made)]


class Environment:
    """Editor and judge as a trainer needs them. A context manager; used from one thread."""

    def __init__(
        self,
        editor: Editor,
        judge: Judge,
        world: World,
        folder: Path,
        *,
        preservation: bool = False,
        tell: Callable[[str], None] = lambda sentence: None,
        leave: Callable[[], bool] = lambda: False,
    ) -> None:
        """`folder` keeps answers; `preservation`: measure it too; `tell` gets sentences for a person.

        `leave`: whether to give up waiting in an outage; it ends in `KeyboardInterrupt`.
        """
        self.editor, self.judge, self.world, self.kept = editor, judge, world, Kept(folder)
        self._preservation, self._tell, self._leave = preservation, tell, leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event | None = None
        self._jobs: dict[Hashable, asyncio.Task[Any]] = {}
        """Under way, or of this batch: what is asked twice at a time is made once."""
        self._declined: dict[str, Refused] = {}
        self._shas: dict[Path, str] = {}
        self._calls: list[Call] = []
        self._counts: Counter[str] = Counter()
        self._blocked = 0.0

    # --- the trainer's side ---

    def begin(self, wishes: Sequence[Wish]) -> Batch:
        """Start on these wishes and return at once."""
        batch = Batch(wishes, {})
        self._ask(batch, [wish for wish in dict.fromkeys(wishes) if wish.words is not None])
        return batch

    def looks(self, batch: Batch) -> list[Looks | None]:
        """In the order of the wishes; None for those without words, too. Raises `Outage` and `StoreError`."""
        began = time.monotonic()
        try:
            self._wait(batch, began)
        finally:
            self._blocked += time.monotonic() - began
        return [self._taken(batch, wish) for wish in batch.wishes]

    def figures(self) -> dict[str, float]:
        """Counts and seconds since this was asked last.

        `ROLE_blocked` is what the trainer waited, shared out by the time that calls of each role took.
        """
        calls, self._calls = self._calls, []
        counts, self._counts = self._counts, Counter()
        blocked, self._blocked = self._blocked, 0.0
        told = {name: float(counts[name]) for name in ("known", "failed", "late", "declined")}
        seconds = {role: [c.seconds for c in calls if c.role == role] for role in ("editor", "judge")}
        for role, took in seconds.items():
            told[f"{role}_calls"] = float(len(took))
            told[f"{role}_seconds"] = sum(took) / max(1, len(took))
            told[f"{role}_blocked"] = blocked * sum(took) / max(1e-9, sum(map(sum, seconds.values())))
        queued = [float(call.notes.get("waited", 0.0)) for call in calls]
        return told | {"queued_seconds": sum(queued) / max(1, len(queued))}

    def __enter__(self) -> Self:
        ready: futures.Future[None] = futures.Future()
        self._thread = threading.Thread(target=self._live, args=(ready,), name="environment", daemon=True)
        self._thread.start()
        ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what is under way and wait until it is."""
        if self._loop is not None and self._end is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
            self._loop = None

    def _wait(self, batch: Batch, began: float) -> None:
        """Until enough is there, or nobody can be expected to come back."""
        bearable = (1 - self.world.at_least) * len(batch.wishes)
        for again in count():
            futures.wait(batch.asked.values(), timeout=self.world.deadline)
            for made in batch.asked.values():
                if made.done() and (error := made.exception()) and not _outside(error):
                    raise error  # a full disk or a bug of ours is nobody's outage
            missing = batch.missing()
            if len(missing) <= bearable:
                break
            why = f"{len(missing)} of {len(batch.wishes)} rollouts have no image or no score ({_why(batch)})"
            left = self.world.patience - (time.monotonic() - began)
            if left <= 0:
                raise Outage(
                    f"{why}; that is an outage, and nothing was learned from it: start the same command again"
                    " when editor and judge answer, and it goes on from the last checkpoint"
                )
            if not again:
                self._tell(f"{why}; the step waits up to {left:.0f} s and is asked for again")
            self._pause(min(FIRST_PAUSE * 2.0 ** min(again, 10), LONGEST_PAUSE, left))
            self._ask(batch, [wish for wish in dict.fromkeys(missing) if batch.asked[wish].done()])
        if again:
            self._tell(f"editor and judge answer again after {time.monotonic() - began:.0f} s; going on")

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._leave():
                raise KeyboardInterrupt
            time.sleep(min(left, FIRST_PAUSE))

    def _taken(self, batch: Batch, wish: Wish) -> Looks | None:
        made = batch.asked.get(wish)
        if made is None:
            return None
        if not made.done():
            self._counts["late"] += 1
            return None
        error = made.exception()
        if error is not None:
            self._counts["declined" if isinstance(error, Refused) else "failed"] += 1
            return None
        return made.result()

    # --- the loop's side ---

    def _live(self, ready: futures.Future[None]) -> None:
        async def live() -> None:
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            ready.set_result(None)
            await self._end.wait()

        asyncio.run(live())  # cancels what is left, and lets clients close

    def _ask(self, batch: Batch, wishes: Sequence[Wish]) -> None:
        if self._loop is None:
            raise RuntimeError("the environment is not open")
        self._loop.call_soon_threadsafe(self._forget)
        for wish in wishes:
            batch.asked[wish] = asyncio.run_coroutine_threadsafe(self._both(wish), self._loop)

    def _forget(self) -> None:
        """Let go of what is done, images above all."""
        self._jobs = {key: job for key, job in self._jobs.items() if not job.done()}

    async def _both(self, wish: Wish) -> Looks:
        scene, words = wish.scene, wish.words or ""
        both = [self._look(scene, scene.sent), self._look(scene, words)]
        before, after = await asyncio.gather(*both, return_exceptions=True)
        if isinstance(before, BaseException):
            raise before
        if isinstance(after, BaseException):
            raise after
        return before, after

    async def _look(self, scene: Scene, words: str) -> Look:
        """What the judge says of the image that these words make."""
        what = await self._content(scene)
        seed = seed_of(self.world.seed, scene.id)
        edit = key_of("edit", self.world.editor, what, words, seed)
        name = self.kept.image_of(edit)
        known = self.kept.look(self._judgement(scene, what, name)) if name else None
        if known is not None:
            self._counts["known"] += 1
            return known
        sample = await self._shared(("sample", scene), partial(self._sample, scene))
        name, image = await self._shared(edit, partial(self._edit, edit, sample, words, seed))
        key = self._judgement(scene, what, name)
        return await self._shared(key, partial(self._judge, key, sample, image))

    async def _edit(self, key: str, sample: Sample, words: str, seed: int) -> tuple[str, Picture]:
        """The image and its name, kept from before or made now."""
        if key in self._declined:
            raise self._declined[key]
        name = self.kept.image_of(key)
        if name and (known := await asyncio.to_thread(self.kept.image, name)):
            return name, known
        desk = self._desk(sample, seed)
        try:
            turn = await desk.edit(desk.whole, Move(words))
        except Refused as error:
            self._declined[key] = error
            raise
        finally:
            self._calls.extend(desk.calls.made)
        return await asyncio.to_thread(self.kept.keep_image, key, turn.image), turn.image

    async def _judge(self, key: str, sample: Sample, image: Picture) -> Look:
        if known := self.kept.look(key):  # other words made the same image
            return known
        desk = self._desk(sample, 0)
        try:
            score = await desk.score(desk.whole, 1, image)
        finally:
            self._calls.extend(desk.calls.made)
        look = Look(score)
        if self._preservation:
            found = await asyncio.to_thread(preserved, sample.source, image, sample.mask)
            look = Look(score, None if found.ssim is None else max(0.0, found.ssim))
        await asyncio.to_thread(self.kept.keep_look, key, look)
        return look

    def _desk(self, sample: Sample, seed: int) -> Desk:
        limits = Limits(turns=1, seconds=GIVEN_UP * self.world.deadline)
        return Desk(
            sample=sample,
            editors=(self.editor,),
            thinker=None,
            calls=Calls(limits),
            method=Method(),
            seed=seed,
            judge=self.judge,
        )

    def _judgement(self, scene: Scene, what: list[str], image: str) -> str:
        return key_of("look", self.world.judge, scene.instruction, what, image, self._preservation)

    async def _content(self, scene: Scene) -> list[str]:
        """sha256 of the files of a scene; the last is the mask's."""
        paths = [*scene.sources, *([scene.mask] if scene.mask else [])]
        if new := [path for path in paths if path not in self._shas]:
            shas = await self._shared(("files", *new), partial(asyncio.to_thread, sha_of, new))
            self._shas.update(zip(new, shas, strict=True))
        return [*(self._shas[path] for path in paths), *([] if scene.mask else [""])]

    async def _sample(self, scene: Scene) -> Sample:
        def opened() -> Sample:
            images = tuple(Picture.open(path) for path in scene.sources)
            mask = Picture.open(scene.mask) if scene.mask else None
            return Sample(images, scene.instruction, id=scene.id, mask=mask, tags=scene.tags)

        return await asyncio.to_thread(opened)

    async def _shared(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What is being made under this key already, else a new one; a failed one is not shared later."""
        job = self._jobs.get(key)
        if job is None or (job.done() and (job.cancelled() or job.exception())):
            job = self._jobs[key] = asyncio.ensure_future(_made(make))
        made: T = await asyncio.shield(job)
        return made


def seed_of(seed: int, scene: str) -> int:
    """The seed of a scene: 31 bits, as every editor takes them."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{scene}".encode()).digest()[:4], "big") >> 1


async def _made(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _settled(made: futures.Future[Looks]) -> bool:
    return made.done() and (made.exception() is None or isinstance(made.exception(), Refused))


def _outside(error: BaseException) -> bool:
    """Whether it is the editor's, the judge's or the image's doing."""
    return isinstance(error, EditThinkerError) and not isinstance(error, StoreError)


def _why(batch: Batch) -> str:
    """What most of them failed with."""
    errors = [made.exception() for made in batch.asked.values() if made.done()]
    said = Counter(str(error) for error in errors if error is not None)
    return said.most_common(1)[0][0] if said else "no answer came in time"
