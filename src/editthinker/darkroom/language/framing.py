"""What stands around and between the clauses of a wish: joiners, polite frames, words about the rest.

In: a random generator, clauses or a text, a split. Out: a text. Lists named `MORE_` are for the splits "more"
and "fresh", `HELD_OUT_` for the test split only (`phrases.of_split`).
"""

from __future__ import annotations

import random

from editthinker.darkroom.language import phrases
from editthinker.darkroom.language.phrases import of_split

JOINERS = (
    "{} and {}",
    "{}, {}",
    "{}, then {}",
    "{} and also {}",
    "{}. {}",
    "{}; {}",
    "{}. then {}",
    "{} and then {}",
    "first {}, then {}",
    "{} plus {}",
    "{}. also {}",
)
FRAMES = (
    "{}",
    "{}",
    "{}",
    "{}.",
    "please {}",
    "{} please",
    "can you {}?",
    "could you {}?",
    "i want you to {}",
    "i would like you to {}",
    "{}, thanks",
    "{}!",
    "hello, {}",
    "ok, {}",
    "just {}",
    "{} for me",
    "{}, that is all",
    "in this picture, {}",
    "{} - it is for my website",
    "my idea: {}",
    "i think it would be nice: {}",
    "{} now",
    "{}, if possible",
    "hey, can you {}",
    "let's {}",
    "{} so that it looks better",
    "next step: {}",
)
HELD_OUT_FRAMES = ("{}", "{}.", "would you {}?", "for this one, {}", "my wish: {}", "{} if you can")
ASKS_FOR_A_VERB = (
    "can you",
    "could you",
    "would you",
    "i want you to",
    "i would like you to",
    "hey, can",
    "let's",
    "just",
    "go ahead and",
    "try to",
    "be so kind and",
    "your job is to",
    "i need you to",
    "help me",
)
REST = (
    "leave the rest as it is",
    "keep everything else unchanged",
    "don't touch anything else",
    "nothing else",
    "the rest must stay the same",
    "without changing anything else",
    "keep the rest",
)
HELD_OUT_REST = (
    "everything else must stay as it is",
    "do not change the rest",
    "and please keep all the rest",
)
MORE_JOINERS = (
    "{} & {}",
    "{} - {}",
    "{}, and {}",
    "{}, plus {}",
    "{}, also {}",
    "{}; then {}",
    "{} as well as this: {}",
    "{}, after that {}",
    "{}. after that, {}",
    "{}. next, {}",
    "{}. and {}",
    "{}, and on top of that {}",
    "{}, while you are at it {}",
    "{}. while you are there, {}",
    "{}, followed by: {}",
    "{} / {}",
    "{}. finally, {}",
    "{} + {}",
    "{}, and at the same time {}",
    "{}. oh, and {}",
    "start like this: {}. then {}",
)
MORE_FRAMES = (
    "hi! {}",
    "hi there, {}",
    "dear editor, {}",
    "good evening, {}",
    "{}, many thanks",
    "{}. thank you very much",
    "{}. thx",
    "{} pls",
    "pls {}",
    "task: {}",
    "edit: {}",
    "request: {}",
    "to do: {}",
    "here is what i need: {}",
    "what i have in mind: {}",
    "i have one request: {}",
    "for the album: {}",
    "for my grandmother: {}",
    "on this shot, {}",
    "with this photograph, {}",
    "about this photo: {}",
    "quick one: {}",
    "small favour: {}",
    "{} - it is a present",
    "{}. it is for a poster",
    "{}, i need it by tonight",
    "{}, it would look great",
    "{}, and that's it",
    "{}, no more than that",
    "{} in one go",
    "{} right away",
    "{}...",
    "{}!!",
    "{} :)",
    "- {}",
    "* {}",
    "1) {}",
    "go ahead and {}",
    "try to {}",
    "be so kind and {}",
    "your job is to {}",
    "i need you to {}",
    "help me {}",
    "what about this: {}",
    "let me see how it looks: {}",
    "as discussed, {}",
    "once more: {}",
    "listen, {}",
    "nice shot! now {}",
    "the photo is fine, but {}",
    "i took this yesterday. {}",
    "this was taken on holiday; {}",
    "sorry to bother you: {}",
    "{} (you know what i mean)",
    "{}, the way you did last time",
    "{}, don't overthink it",
)
MORE_REST = (
    "leave all other things alone",
    "and leave it at that",
    "i like the remainder as it is",
    "other things should not move",
    "apart from that it is fine",
    "the other parts are good already",
    "hands off the other parts",
    "no further changes",
    "no other edits",
    "that and only that",
    "preserve whatever else there is",
    "other areas stay untouched",
    "make no other change",
    "nothing more than that",
    "the remaining parts stay like they are",
    "otherwise leave it alone",
    "the remaining picture is fine",
    "avoid altering other areas",
    "just that and not a thing more",
    "all other areas should look like before",
)
EXCEPT = ("{} except {}", "{}, but keep {} as it is", "{} but leave {} alone", "{}, only {} stays")
MORE_EXCEPT = (
    "{}, with the exception of {}",
    "{} apart from {}",
    "{}, sparing {}",
    "{} - not {} though",
    "{} without touching {}",
    "{}, {} is fine as it is",
    "{}. leave out {}",
    "{}, but {} has to stay normal",
    "{} and exclude {}",
    "{}, save for {}",
    "{}, {} excluded",
)


def join(rng: random.Random, clauses: list[str], split: str) -> str:
    """Clauses one after the other."""
    text = clauses[0]
    for clause in clauses[1:]:
        text = rng.choice(of_split(split, JOINERS, MORE_JOINERS, JOINERS)).format(text, clause)
    return text


def framed(rng: random.Random, text: str, split: str) -> str:
    """The wish in a polite frame; "can you" only before a verb."""
    frames = of_split(split, FRAMES, MORE_FRAMES, HELD_OUT_FRAMES)
    if text.split(" ", 1)[0] not in _VERBS:
        frames = tuple(frame for frame in frames if not frame.startswith(ASKS_FOR_A_VERB))
    return rng.choice(frames).format(text)


def rest(rng: random.Random, split: str) -> str:
    """That nothing else may change."""
    return rng.choice(of_split(split, REST, MORE_REST, HELD_OUT_REST))


def excepting(rng: random.Random, clause: str, kept: str, split: str) -> str:
    """A wish for everything but what is kept."""
    return rng.choice(of_split(split, EXCEPT, MORE_EXCEPT, EXCEPT)).format(clause, kept)


_VERBS = frozenset(
    w.split(" ", 1)[0] for rows in (phrases.WORDINGS, phrases.HELD_OUT) for row in rows.values() for w in row
) - {"{x}", "the", "i", "there", "everything"} | {"protect", "hide", "anonymise"}
