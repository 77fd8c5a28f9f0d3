"""A process that plays episodes into a run, saying what is durable; it is there to be killed.

python writer.py RUN SAMPLES
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from editthinker.core.episode import Episode
from editthinker.core.events import EditFinished, Event, TurnFinished
from editthinker.core.limits import Limits
from editthinker.core.types import Sample
from editthinker.runs import RunFolder
from editthinker.testing.behaviour import photograph
from editthinker.testing.scripted import ScriptedEditor, ScriptedThinker

TURNS = 4


def say(verb: str, number: int = 0, turn: int = 0) -> None:
    sys.stdout.write(f"{verb} {number} {turn}\n")
    sys.stdout.flush()


def sample(number: int) -> Sample:
    return Sample((photograph(64, 48, seed=number),), f"instruction {number}", id=f"sample {number}")


async def play(run: RunFolder, number: int) -> None:
    recorder = run.recorder(sample(number))

    async def store_and_say(event: Event) -> None:
        await recorder(event)
        match event:
            case EditFinished(call):
                say("edited", number, call.turn)
            case TurnFinished(turn):
                say("finished", number, turn.index)

    episode = Episode(
        sample(number),
        ScriptedEditor(seconds=0.003),
        ScriptedThinker(seconds=0.003),
        limits=Limits(turns=TURNS),
        listener=store_and_say,
    )
    await episode.run()
    recorder.finish(episode.trajectory)
    say("ended", number)


async def main(path: Path, samples: int) -> None:
    with RunFolder.open(path, write=True) if path.exists() else RunFolder.create(path, {}) as run:
        say("opened")
        for number in range(samples):
            if not run.is_finished(sample(number)):
                await play(run, number)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
