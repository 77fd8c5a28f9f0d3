"""What the page says of each turn: how it was made, its scores, the thinker's words, the other candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from editthinker.core.records import CandidateRecord, ScoreRecord, TrajectoryRecord, TurnRecord
from editthinker.runs.markup import Html, changed_words, element, text
from editthinker.runs.pieces import bar, facts, grade, image, plural
from editthinker.runs.previews import Preview


def accounts(record: TrajectoryRecord, previews: Mapping[str, Preview]) -> Iterator[Html]:
    """One section for each turn; words and scores are held against the turn before it of the same step."""
    before: TurnRecord | None = None
    for turn in record.turns:
        same_step = before is not None and before.step == turn.step
        yield _account(record, previews, turn, before if same_step else None, before)
        before = turn


def _account(
    record: TrajectoryRecord,
    previews: Mapping[str, Preview],
    turn: TurnRecord,
    before: TurnRecord | None,
    last: TurnRecord | None,
) -> Html:
    delivered = turn.index == record.chosen
    picture = image(previews[turn.image.sha256].small, f"Edited image of turn {turn.index}")
    notes = [_said(record, turn, before), *_made(record, turn, last)]
    return element(
        "section",
        element("div", picture, class_="picture"),
        element(
            "div",
            element(
                "h3",
                f"Turn {turn.index}",
                *(element("span", note, class_="note") for note in notes),
                element("span", "Delivered", class_="badge") if delivered else None,
            ),
            element("p", text(turn.why, 300), class_="why", dir="auto") if turn.why else None,
            element("p", _words(record, turn, before), class_="sent", dir="auto"),
            _scores(turn.score, before) if turn.score else element("p", "Not judged.", class_="note"),
            _thought(turn),
            _reasoning(turn),
            _others(turn, previews),
            _particulars(turn),
            class_="account",
        ),
        class_="turn chosen" if delivered else "turn",
    )


def first_words(record: TrajectoryRecord, turn: TurnRecord) -> str:
    """What was asked for in the first place: the plan's step, or the whole instruction."""
    steps = record.plan.steps if record.plan else ()
    return steps[turn.step - 1] if 0 < turn.step <= len(steps) else record.sample.instruction


def is_check(record: TrajectoryRecord, turn: TurnRecord) -> bool:
    """Whether the turn only looks at an earlier one's image."""
    return 0 < turn.base <= len(record.turns) and record.turns[turn.base - 1].image == turn.image


def _said(record: TrajectoryRecord, turn: TurnRecord, before: TurnRecord | None) -> str:
    if is_check(record, turn):
        return "looked at as a whole"
    if turn.instruction != (before.instruction if before else first_words(record, turn)):
        return "refined"
    return "sent again" if before else "sent unchanged"


def _made(record: TrajectoryRecord, turn: TurnRecord, last: TurnRecord | None) -> Iterator[str]:
    if turn.step:
        yield f"step {turn.step}"
    if turn.base and not is_check(record, turn):
        yield f"made from turn {turn.base}"
    if last and turn.editor != last.editor:
        yield f"by {turn.editor[:80]}"


def _words(record: TrajectoryRecord, turn: TurnRecord, before: TurnRecord | None) -> Html:
    words = before.instruction if before else first_words(record, turn)
    plain = turn.instruction == words or is_check(record, turn)
    return text(turn.instruction) if plain else changed_words(words, turn.instruction)


def _scores(score: ScoreRecord, before: TurnRecord | None) -> Html:
    gain = score.overall - before.score.overall if before and before.score else None
    rows = (
        ("Semantic", score.semantic, None),
        ("Quality", score.quality, None),
        ("Overall", score.overall, gain),
    )
    return element("dl", *(_score(name, value, change) for name, value, change in rows), class_="scores")


def _score(name: str, value: float, change: float | None) -> Html:
    sign = "up" if change and change > 0 else "down"
    moved = change is not None and abs(change) >= 0.05
    delta = element("span", f"{change:+.1f}", class_=f"change {sign}") if moved else None
    return element(
        "div",
        element("dt", name),
        element("dd", bar(value), element("span", f"{value:.1f}", class_="figure"), delta),
    )


def _thought(turn: TurnRecord) -> Html | None:
    """What the thinker gave where a judge's scores count."""
    if turn.judged is None or turn.critique is None:
        return None
    given, verdict = turn.critique.score, turn.critique.satisfied
    if given:
        said = f"The thinker gave semantic {given.semantic:.1f}, quality {given.quality:.1f}"
    else:
        said = {True: "The thinker is satisfied", False: "The thinker is not satisfied"}.get(verdict, "")  # type: ignore[arg-type]
    return element("p", f"Scored by the judge. {said}{'.' if said else ''}".strip(), class_="note")


def _reasoning(turn: TurnRecord) -> Html | None:
    said = turn.critique.reasoning if turn.critique else ""
    return element("blockquote", text(said, 1500), dir="auto") if said.strip() else None


def _others(turn: TurnRecord, previews: Mapping[str, Preview]) -> Html | None:
    """The candidates that were not taken."""
    if not turn.others:
        return None
    return element(
        "div",
        element("p", f"Chosen over {plural(len(turn.others), 'other candidate')}", class_="note"),
        element("ol", *(_other(other, previews) for other in turn.others), class_="row"),
        class_="others",
    )


def _other(other: CandidateRecord, previews: Mapping[str, Preview]) -> Html:
    score = f"{other.score.overall:.1f}" if other.score else "not scored"
    return element(
        "li",
        image(previews[other.image.sha256].small, f"Candidate with seed {other.seed}"),
        element("span", f"seed {other.seed}", class_="name"),
        element("span", score, class_=f"figure {grade(other.score)}"),
    )


def _particulars(turn: TurnRecord) -> Html:
    """What only the curious want: the editor's notes, the thinker's raw reply, the seed."""
    reply = turn.critique.reply if turn.critique else ""
    made = {"editor": turn.editor} if turn.editor else {}
    return element(
        "details",
        element("summary", "Particulars"),
        facts({"seed": turn.seed, **made, **turn.notes}),
        element("pre", text(reply), dir="auto") if reply.strip() else None,
    )
