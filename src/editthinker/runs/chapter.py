"""One trajectory on the page: its instruction, the slider, the strip, every turn, and why it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from editthinker.core.records import CallRecord, CritiqueRecord, TrajectoryRecord, TurnRecord
from editthinker.core.types import StopReason
from editthinker.runs.folder import UNFINISHED
from editthinker.runs.markup import Html, changed_words, element, joined, text
from editthinker.runs.pieces import bar, facts, grade, image, plural
from editthinker.runs.previews import Preview


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
        _stage(chapter),
        _strip(chapter),
        element("section", *_turns(chapter), class_="turns", aria_label="Turns"),
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
    source = element(
        "li", image(chapter.source.small, "Source image"), element("span", "Source", class_="name")
    )
    return element("ol", source, *(_frame(chapter, turn) for turn in chapter.record.turns), class_="strip")


def _frame(chapter: Chapter, turn: TurnRecord) -> Html:
    """One turn in the strip; pressing it puts it on the slider."""
    delivered = turn.index == chapter.record.chosen
    score = f"{turn.critique.score.overall:.1f}" if turn.critique else "not judged"
    button = element(
        "button",
        image(chapter.preview(turn).small, f"Edited image of turn {turn.index}"),
        element("span", f"Turn {turn.index}", class_="name"),
        element("span", score, class_=f"figure {grade(turn.critique)}"),
        element("span", "Delivered", class_="badge") if delivered else None,
        type="button",
        data_show=turn.index,
        aria_pressed="true" if turn is chapter.shown else "false",
    )
    return element("li", button)


def _turns(chapter: Chapter) -> Iterator[Html]:
    before = chapter.record.sample.instruction
    overall: float | None = None
    for turn in chapter.record.turns:
        yield _turn(chapter, turn, before, overall)
        before = turn.instruction
        overall = turn.critique.score.overall if turn.critique else None


def _turn(chapter: Chapter, turn: TurnRecord, before: str, overall: float | None) -> Html:
    same = turn.instruction == before
    words = text(turn.instruction) if same else changed_words(before, turn.instruction)
    note = ("sent unchanged" if turn.index == 1 else "sent again") if same else "refined"
    delivered = turn.index == chapter.record.chosen
    return element(
        "section",
        element(
            "div", image(chapter.preview(turn).small, f"Edited image of turn {turn.index}"), class_="picture"
        ),
        element(
            "div",
            element(
                "h3",
                f"Turn {turn.index}",
                element("span", note, class_="note"),
                element("span", "Delivered", class_="badge") if delivered else None,
            ),
            element("p", words, class_="sent", dir="auto"),
            _critique(turn.critique, overall)
            if turn.critique
            else element("p", "Not judged.", class_="note"),
            _particulars(turn),
            class_="account",
        ),
        class_="turn chosen" if delivered else "turn",
    )


def _critique(critique: CritiqueRecord, overall_before: float | None) -> Html:
    score = critique.score
    gain = None if overall_before is None else score.overall - overall_before
    rows = (
        ("Semantic", score.semantic, None),
        ("Quality", score.quality, None),
        ("Overall", score.overall, gain),
    )
    return joined(
        element("dl", *(_score(name, value, change) for name, value, change in rows), class_="scores"),
        element("blockquote", text(critique.reasoning, 1500), dir="auto")
        if critique.reasoning.strip()
        else None,
    )


def _score(name: str, value: float, change: float | None) -> Html:
    sign = "up" if change and change > 0 else "down"
    moved = change is not None and abs(change) >= 0.05
    delta = element("span", f"{change:+.1f}", class_=f"change {sign}") if moved else None
    return element(
        "div",
        element("dt", name),
        element("dd", bar(value), element("span", f"{value:.1f}", class_="figure"), delta),
    )


def _particulars(turn: TurnRecord) -> Html:
    """What only the curious want: the editor's notes, the thinker's raw reply, the seed."""
    reply = turn.critique.reply if turn.critique else ""
    return element(
        "details",
        element("summary", "Particulars"),
        facts({"seed": turn.seed, **turn.notes}),
        element("pre", text(reply), dir="auto") if reply.strip() else None,
    )


def _ending(record: TrajectoryRecord) -> Html:
    stop, failure, untried = record.stop, record.failure, _untried(record)
    return element(
        "aside",
        element(
            "p",
            element("b", "Why it stopped"),
            f"{stop.sentence[:1].upper()}{stop.sentence[1:].rstrip('.')}.",
        ),
        element("p", element("b", f"Failed ({failure.blame})"), failure.message) if failure else None,
        element("p", element("b", "Not tried any more"), text(untried, 600), dir="auto") if untried else None,
        class_="ending",
    )


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
