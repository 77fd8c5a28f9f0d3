"""The grammar thinkers speak, in its one home; prompts, parser, training targets and rewards all use it.

    <think> reasoning </think>
    <score> {"semantic": 7, "quality": 8.5} </score>
    <answer> the instruction for the next turn </answer>

In: a reply, or a critique. Out: a critique, or a reply. Tolerant where the meaning is certain (letter case,
fences, order, `[7, 8.5]`, "7/10", a missing `<think>`, one JSON object instead of tags), strict where it is
not (two different scores, a number out of range, a reply cut off): then `ReplyError`, whose message can be
sent back to the thinker as it is. No score is ever invented, clipped or defaulted.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from editthinker.core.errors import ReplyError
from editthinker.core.types import Critique, Score

MAX_ANSWER = 4_000
"""Characters of a refined instruction; twice the last instruction when that is longer still."""
MAX_SCORE = 2_000
"""Characters of a `<score>` block."""
MAX_TAGS = 100
"""A reply that repeats itself more often than this is not read."""

_TAG = re.compile(r"<\s{0,3}(/?)\s{0,3}(think|score|answer)\s{0,3}>", re.IGNORECASE)
_ESCAPED_TAG = re.compile(r"&lt;(\s{0,3}/?\s{0,3}(?:think|score|answer)\s{0,3})&gt;", re.IGNORECASE)
_TORN_TAG = re.compile(r"<(?:/(?:a(?:n(?:s(?:w(?:er?)?)?)?)?)?)?\Z", re.IGNORECASE)
_FENCE = re.compile(r"\A```[\w-]{0,20}\s(.*)```\Z", re.DOTALL)

_NUMBER = r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?"
_OF_TEN = r"(?:\s{0,3}/\s{0,3}10\b)?"
_TEXT_NUMBER = re.compile(rf"\s*({_NUMBER}){_OF_TEN}\s*")
_TEXT_SCORE = re.compile(
    rf"\b(semantics?|quality)\b[\"'*]*\s*[:=][\"'*\s]*({_NUMBER}){_OF_TEN}", re.IGNORECASE
)
_TEXT_SCORE_PADDING = frozenset(" \t\n{}(),;.-*\"'")

_LABEL = re.compile(
    r"\A\W{0,3}(?:the )?(?:(?:refined|rewritten|improved|revised|updated|edited|new|next|final) )?"
    r"(?:prompt|instruction|answer)\W{0,3}:\W{0,3}\s(?=\S)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"[\[<{][^\]>}]*\b(?:prompt|instruction)\b[^\]>}]*[\]>}]", re.IGNORECASE)
_NOTHING = frozenset({"none", "null", "nil", "n/a", "nan", "-", "...", "…"})
_WRAPPINGS = (("**", "**"), ('"', '"'), ("“", "”"), ("`", "`"), ("[", "]"))

_TERMINAL_COMMAND = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~])?")
_INVISIBLE = dict.fromkeys(
    code
    for first, last in (
        (0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F),  # control characters
        (0x200B, 0x200B), (0x2060, 0x2060), (0xFEFF, 0xFEFF),  # zero-width spaces
        (0x202A, 0x202E), (0x2066, 0x2069),  # direction overrides
    )
    for code in range(first, last + 1)
)  # fmt: skip
"""What must reach neither an editor nor a terminal; joiners stay, emoji and Persian need them."""

T = TypeVar("T")


def render(critique: Critique) -> str:
    """The reply that says this critique; `parse` gives it back, white space of the instruction collapsed."""
    score = critique.score
    if score is None:
        raise ValueError("a critique without a score has no reply in this grammar")
    return (
        f"<think>{_escaped(critique.reasoning)}</think>\n"
        f'<score>{{"semantic": {score.semantic:.12g}, "quality": {score.quality:.12g}}}</score>\n'
        f"<answer>{_escaped(critique.refined_instruction)}</answer>"
    )


def parse(text: str, *, previous_instruction: str) -> Critique:
    """Read a reply. Raises `ReplyError` saying what to do better when its meaning is not certain."""
    clean = _visible(text)
    parts = _parts_of_json(clean) or _parts_of_tags(clean)
    longest = max(MAX_ANSWER, 2 * len(previous_instruction))
    return Critique(
        score=_the_one("score", {_score(part) for part in parts.scores}),
        reasoning=_unescaped(_TAG.sub("", parts.reasoning)).strip(),
        refined_instruction=_the_one("answer", {_answer(part, longest) for part in parts.answers}),
        reply=text.encode("utf-8", "replace").decode(),
    )


def read_instruction(text: str, *, previous_instruction: str) -> str:
    """An instruction of a reply in another form, cleaned and checked as `<answer>`. Raises `ReplyError`."""
    return _answer(_visible(text), max(MAX_ANSWER, 2 * len(previous_instruction)))


@dataclass(slots=True)
class _Parts:
    """The contents of the three kinds of block, as they came."""

    reasoning: str = ""
    scores: list[Any] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def _parts_of_tags(text: str) -> _Parts:
    if not _TAG.search(text) and "&lt;" in text:
        text = html.unescape(text)
    tags = list(islice(_TAG.finditer(text), MAX_TAGS + 1))
    if len(tags) > MAX_TAGS:
        raise ReplyError("the reply repeats its tags over and over; write each block once")
    if not tags:
        raise ReplyError("the reply has no <think>, <score> and <answer> blocks; write all three")
    parts, index = _Parts(), 0
    while index < len(tags):
        kind, start = tags[index][2].lower(), tags[index].end()
        if tags[index][1]:
            if kind != "think":
                raise ReplyError(f"</{kind}> closes nothing; write each block once, opened and closed")
            parts = _Parts(reasoning=text[: tags[index].start()])  # the opening <think> was left out
            index += 1
            continue
        index, end = _end_of_block(tags, index, len(text))
        content = text[start:end]
        if kind == "think":
            parts.reasoning = content
        elif kind == "score":
            parts.scores.append(content)
        else:
            parts.answers.append(_whole(content) if end == len(text) else content)
    return parts


def _end_of_block(tags: list[re.Match[str]], opening: int, length: int) -> tuple[int, int]:
    """Index of the first tag after the block, and the position in the text where its content ends."""
    kind = tags[opening][2].lower()
    for index in range(opening + 1, len(tags)):
        inner, closes = tags[index][2].lower(), bool(tags[index][1])
        if inner == kind and closes:
            return index + 1, tags[index].start()
        if kind != "think" and inner != "think":
            raise ReplyError(
                f"<{kind}> is not closed before <{inner}>; write each block once, opened and closed"
            )
    if kind == "think":  # left open: the thoughts end where the next block begins
        for index in range(opening + 1, len(tags)):
            if tags[index][2].lower() != "think":
                return index, tags[index].start()
    if kind == "score":
        raise ReplyError("<score> is not closed; the reply seems cut off")
    return len(tags), length


def _whole(answer: str) -> str:
    """An answer without its closing tag, if it is certain that no word is missing.

    That is so where it ends with a line end, or with a closing tag that was begun.
    """
    whole = answer.rstrip()
    if "\n" in answer[len(whole) :]:
        return whole
    torn = _TORN_TAG.search(answer)
    if torn is None:
        raise ReplyError("<answer> is not closed; the reply seems cut off, answer more briefly")
    return answer[: torn.start()]


def _parts_of_json(text: str) -> _Parts | None:
    """The same content as one JSON object, fenced or not; None when the reply is no JSON object."""
    body = _unfenced(text)
    data = _json(body) if body.startswith("{") else None
    if not isinstance(data, dict):
        return None
    if "is_satisfied" in data:
        raise ReplyError(
            "a verdict without scores cannot be used; write <think>, <score> and <answer> blocks"
        )
    answer = data.get("answer")
    return _Parts(
        reasoning=str(data.get("think") or data.get("reasoning") or ""),
        scores=[data["score"]] if "score" in data else [],
        answers=[answer] if isinstance(answer, str) else [],
    )


def _score(content: Any) -> Score:
    data = content
    if isinstance(content, str):
        body = _unfenced(content)
        if len(body) > MAX_SCORE:
            raise ReplyError('<score> is too long; write only {"semantic": 0-10, "quality": 0-10}')
        data = _json(body)
        data = _text_scores(body) if data is None else data
    if isinstance(data, dict) and isinstance(data.get("score"), dict):
        data = data["score"]
    if isinstance(data, dict):
        data = [data.get("semantic", data.get("semantics")), data.get("quality")]
    if not isinstance(data, list) or len(data) != 2:
        raise ReplyError('<score> cannot be read; write {"semantic": 0-10, "quality": 0-10}')
    return Score(_points("semantic", data[0]), _points("quality", data[1]))


def _points(name: str, value: Any) -> float:
    if isinstance(value, str) and (number := _TEXT_NUMBER.fullmatch(value)):
        value = float(number[1])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
        raise ReplyError(f"{name} must be a number from 0 to 10, got {str(value)[:40]!r}")
    return float(value)


def _text_scores(body: str) -> dict[str, str] | None:
    """`semantic: 7, quality: 8` in any dress, if nothing else is said."""
    found = {match[1].lower(): match[2] for match in _TEXT_SCORE.finditer(body)}
    rest, count = _TEXT_SCORE.subn("", body)
    return found if count == 2 and not set(rest) - _TEXT_SCORE_PADDING else None


def _answer(content: str, longest: int) -> str:
    answer = " ".join(_unescaped(_unfenced(content)).split())
    if len(answer) > longest:
        raise ReplyError(f"<answer> has {len(answer)} characters; write an instruction of at most {longest}")
    if _PLACEHOLDER.fullmatch(answer):
        raise ReplyError("<answer> holds a placeholder; write the instruction itself")
    bare = _unwrapped(_LABEL.sub("", _unwrapped(answer)))
    if not bare or bare.lower() in _NOTHING:
        raise ReplyError("<answer> is empty; repeat the last instruction when nothing should change")
    return bare


def _unwrapped(text: str) -> str:
    """Without quotes, bold or brackets around the whole."""
    for opening, closing in _WRAPPINGS:
        inner = text.removeprefix(opening).removesuffix(closing)
        wraps = len(text) - len(inner) == len(opening) + len(closing)
        if wraps and (_balanced(inner) if opening == "[" else opening not in inner and closing not in inner):
            return inner.strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if depth < 0:
            return False
    return depth == 0


def _the_one(kind: str, values: set[T]) -> T:
    if not values:
        raise ReplyError(f"the reply has no <{kind}> block; write all three blocks")
    if len(values) > 1:
        raise ReplyError(f"the reply has {len(values)} different <{kind}> blocks; write each block once")
    return values.pop()


def _json(text: str) -> Any:
    """The JSON value, keys in lower case; None when it is none or holds a key twice."""

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = {key.lower(): value for key, value in pairs}
        if len(data) != len(pairs):
            raise ValueError("a key comes twice")
        return data

    try:
        return json.loads(text, object_pairs_hook=object_of)
    except (ValueError, RecursionError):
        return None


def _unfenced(text: str) -> str:
    text = text.strip()
    fenced = _FENCE.match(text)
    return fenced[1].strip() if fenced else text


def _visible(text: str) -> str:
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    return _TERMINAL_COMMAND.sub("", text).translate(_INVISIBLE)


def _escaped(text: str) -> str:
    return _TAG.sub(lambda tag: f"&lt;{tag[0][1:-1]}&gt;", _visible(text))


def _unescaped(text: str) -> str:
    return _ESCAPED_TAG.sub(r"<\1>", text)
