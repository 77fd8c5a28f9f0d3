"""One trajectory on the page: its instruction, the slider, the strip, every turn, and why it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from editthinker.core.records import CallRecord, TrajectoryRecord, TurnRecord
from editthinker.core.types import StopReason
from editthinker.runs.folder import UNFINISHED
from editthinker.runs.markup import Html, element, joined, text
from editthinker.runs.pieces import grade, image, plural
from editthinker.runs.previews import Preview
from editthinker.runs.turns import accounts


@dataclass(frozen=True, slots=True)
class Chapter:
    """One trajectory and its images."""

    number: int
    """From 1; the page's only name for it, since a sample's id may be anything."""
    record: TrajectoryRecord
    previews: Mapping[str, Preview]
    """By sha256."""

    @property
    def anchor(self) -> str:
        return f"t{self.number}"

    @property
    def source(self) -> Preview:
        return self.previews[self.record.sample.images[0].sha256]

    def preview(self, turn: TurnRecord) -> Preview:
        return self.previews[turn.image.sha256]

    @property
    def shown(self) -> TurnRecord | None:
        """The turn the slider starts with: the delivered one, else the last."""
        turns = self.record.turns
        return next(
            (turn for turn in turns if turn.index == self.record.chosen), turns[-1] if turns else None
        )


def article(chapter: Chapter) -> Html:
    record = chapter.record
    words = record.sample.instruction
    return element(
        "article",
        element("p", "Instruction", class_="eyebrow"),
        element(
            "h2", text(words, 2000), class_=f"instruction{' long' if len(words) > 140 else ''}", dir="auto"
        ),
        _verdict(record),
        _plan(record),
        _stage(chapter),
        _strip(chapter),
        element("section", *accounts(record, chapter.previews), class_="turns", aria_label="Turns"),
        _ending(record),
        _calls(record.calls) if record.calls else None,
        id=chapter.anchor,
    )


def _verdict(record: TrajectoryRecord) -> Html:
    spend = record.spend
    details = [
        plural(len(record.turns), "turn"),
        record.strategy,
        f"{spend.seconds:.1f} s" if spend.seconds else "",
        f"${spend.cost:.4g}" if spend.cost else "",
    ]
    return element(
        "p",
        element("strong", outcome(record), class_="delivered" if record.chosen else "withheld"),
        *(element("span", detail) for detail in details if detail),
        class_="verdict",
    )


def outcome(record: TrajectoryRecord) -> str:
    if record.chosen:
        return f"Turn {record.chosen} delivered"
    if record.stop == UNFINISHED:
        return "Not finished"
    return "Failed" if record.failure else "Nothing better than the source"


def _plan(record: TrajectoryRecord) -> Html | None:
    """The steps, and what became of each."""
    if record.plan is None or len(record.plan.steps) < 2:
        return None
    fates = [f"turn {index}" if index else "skipped" for index in record.accepted]
    fates += ["not reached"] * (len(record.plan.steps) - len(fates))
    steps = (
        element(
            "li",
            element("span", text(words, 300), class_="words", dir="auto"),
            element("span", fate, class_="fate"),
            class_=None if fate.startswith("turn") else "undone",
        )
        for words, fate in zip(record.plan.steps, fates, strict=False)
    )
    return element("ol", *steps, class_="plan", aria_label="Plan")


def _stage(chapter: Chapter) -> Html:
    """The slider: the source on the left of the handle, a turn on the right."""
    before = element("img", class_="before", src=chapter.source.large or None, alt="Source image")
    shown = chapter.shown
    if shown is None:
        return element("div", before, class_="compare alone")
    afters = (
        element(
            "img",
            class_="after",
            src=chapter.preview(turn).large or None,
            alt=f"Edited image of turn {turn.index}",
            data_turn=turn.index,
            hidden=turn is not shown,
        )
        for turn in chapter.record.turns
    )
    return element(
        "div",
        *afters,
        before,
        element("span", class_="handle"),
        element("span", "Source", class_="tag left"),
        element("span", f"Turn {shown.index}", class_="tag right"),
        element(
            "input",
            type="range",
            min=0,
            max=100,
            step=1,
            value=50,
            aria_label="How much of the source to show",
        ),
        class_="compare",
    )


def _strip(chapter: Chapter) -> Html | None:
    if chapter.shown is None:
        return None
    frames = (_frame(chapter, turn) for turn in chapter.record.turns)
    return element("ol", *_inputs(chapter), *frames, class_="strip")


def _inputs(chapter: Chapter) -> Iterator[Html]:
    """The source, further images that went with it, the mask."""
    sample = chapter.record.sample
    names = ["Source", *(f"Image {number}" for number in range(2, len(sample.images) + 1)), "Mask"]
    for name, ref in zip(names, (*sample.images, sample.mask), strict=True):
        if ref is not None:
            shown = image(chapter.previews[ref.sha256].small, f"{name} image" if name == "Source" else name)
            yield element("li", shown, element("span", name, class_="name"))


def _frame(chapter: Chapter, turn: TurnRecord) -> Html:
    """One turn in the strip; pressing it puts it on the slider."""
    delivered = turn.index == chapter.record.chosen
    score = f"{turn.score.overall:.1f}" if turn.score else "not judged"
    button = element(
        "button",
        image(chapter.preview(turn).small, f"Edited image of turn {turn.index}"),
        element("span", f"Turn {turn.index}" + (f" · step {turn.step}" * bool(turn.step)), class_="name"),
        element("span", score, class_=f"figure {grade(turn.score)}"),
        element("span", "Delivered", class_="badge") if delivered else None,
        type="button",
        data_show=turn.index,
        aria_pressed="true" if turn is chapter.shown else "false",
    )
    return element("li", button)


def _ending(record: TrajectoryRecord) -> Html:
    stop, failure, untried = record.stop, record.failure, _untried(record)
    return element(
        "aside",
        element(
            "p",
            element("b", "Why it stopped"),
            _sentence(stop.sentence),
        ),
        element("p", element("b", f"Failed ({failure.blame})"), failure.message) if failure else None,
        element("p", element("b", "How it was chosen"), text(_sentence(record.chosen_by), 600))
        if record.chosen_by
        else None,
        element("p", element("b", "Not tried any more"), text(untried, 600), dir="auto") if untried else None,
        class_="ending",
    )


def _sentence(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:].rstrip('.')}."


def _untried(record: TrajectoryRecord) -> str:
    """The last refined instruction, if the thinker wanted another turn."""
    last = record.turns[-1] if record.turns else None
    if last is None or last.critique is None or record.stop.reason is StopReason.SATISFIED:
        return ""
    refined = last.critique.refined_instruction
    return "" if refined == last.instruction else refined.strip()


def _calls(calls: Sequence[CallRecord]) -> Html:
    began = min(call.started for call in calls)
    whole = max(max(call.started + call.seconds for call in calls) - began, 1e-6)
    head = element(
        "tr", *(element("th", name, scope="col") for name in ("Turn", "Call", "Model", "When", "Time", ""))
    )
    return element(
        "details",
        element("summary", f"{plural(len(calls), 'call')} in {whole:.1f} s"),
        element("div", element("table", head, *(_call(call, began, whole) for call in calls)), class_="wide"),
        class_="calls",
    )


def _call(call: CallRecord, began: float, whole: float) -> Html:
    start, length = 100 * (call.started - began) / whole, max(100 * call.seconds / whole, 0.6)
    lane = element(
        "svg",
        element("rect", x=f"{start:.2f}", width=f"{length:.2f}", height=6, rx=1, class_=call.role),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    failure = None if call.outcome == "ok" else joined(call.outcome, ": ", text(call.error, 300))
    return element(
        "tr",
        element("td", call.turn or "–"),
        element("td", call.role),
        element("td", text(call.name, 80)),
        element("td", lane, class_="lane"),
        element("td", f"{call.seconds:.2f} s", class_="figure"),
        element("td", failure, class_="error"),
    )
