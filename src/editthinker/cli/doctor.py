"""`editthinker doctor`: whether this editor and this thinker are of use, asked of them by real requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.exits import Exit
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.core.contracts import Editor, Judge, Thinker
    from editthinker.testing.probes import Finding

MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "skipped": "-"}

JudgeName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Examine a judge too.", show_default=False),
]
Quick = Annotated[bool, typer.Option("--quick", help="One request to each, and no look at the GPU.")]


def doctor(
    editor: options.EditorName = "darkroom",
    thinker: options.ThinkerName = "darkroom",
    judge: JudgeName = None,
    json: options.Json = False,
    quick: Quick = False,
) -> Exit:
    """Ask an editor and a thinker small real questions, and say in plain words what is wrong.

    Reachable, authorised, the right model; edits at all, keeps the size, hears the words, honours seeds, sees
    every image, keeps to masks; scores a good edit above a bad one and knows which image is which. It says
    first what that costs. Exit code 0: the pair is usable; 1: it is not.

    \b
    Examples:
      editthinker doctor
      editthinker doctor --editor "openai:NAME?base_url=http://127.0.0.1:8005/v1" --quick
      editthinker doctor --editor diffusers:black-forest-labs/FLUX.1-Kontext-dev --thinker none
    """  # noqa: D301 click looks for \b
    import asyncio

    from editthinker.cli import installed, naming
    from editthinker.resolve import resolve_judge

    patients = Patients(naming.editor(editor), naming.thinker(thinker), None)
    if judge:
        naming.look_here_too("judge", judge)
        patients.judge = resolve_judge(judge)
    facts = installed.installed(devices=not quick)
    told = say if json else _print
    for line in installed.lines(facts):
        told(line)
    told(patients.cost(quick=quick))
    findings = asyncio.run(_examined(patients, told, quick=quick))
    usable = not any(finding.verdict == "fail" for finding in findings)
    if json:
        print(_document(facts, findings, usable=usable))
    else:
        print(_summary(findings, usable=usable))
    return Exit.DELIVERED if usable else Exit.NOT_DELIVERED


class Patients:
    """Who is examined."""

    def __init__(self, editor: Editor, thinker: Thinker | None, judge: Judge | None) -> None:
        self.editor, self.thinker, self.judge = editor, thinker, judge

    @property
    def is_person(self) -> bool:
        """Whether the thinker is somebody at the terminal, who needs no examination."""
        return self.thinker is not None and self.thinker.name == "human"

    def cost(self, *, quick: bool) -> str:
        """What the examination will cost at most, as far as prices are known."""
        from editthinker.testing import probes

        calls: list[tuple[str, float | None, int]] = [
            ("editor", self.editor.info.price, probes.editor_calls(self.editor.info)),
        ]
        if self.thinker and not self.is_person:
            calls.append(("thinker", getattr(self.thinker, "price", 0.0), probes.THINKER_CALLS))
        if self.judge:
            calls.append(("judge", getattr(self.judge, "price", 0.0), probes.JUDGE_CALLS))
        total = sum((price or 0.0) * (1 if quick else most) for _, price, most in calls)
        most = ", ".join(f"{role} {1 if quick else most}" for role, _, most in calls)
        unknown = [role for role, price, _ in calls if price is None]
        about = f"${total:.2f}" if total else "nothing"
        if unknown:
            about = f"{about} and what the {' and the '.join(unknown)} costs, which is not known"
        return f"requests at most: {most}; they cost about {about}"

    async def findings(self, *, quick: bool) -> AsyncIterator[Finding]:
        """Everything that is found, as it is found."""
        from editthinker.testing import probes

        async for finding in probes.examine_editor(self.editor, quick=quick):
            yield finding
        if self.is_person:
            yield probes.Finding("thinker", "answers", "skipped", "the thinker is you")
        elif self.thinker:
            async for finding in probes.examine_thinker(self.thinker, quick=quick):
                yield finding
        if self.judge:
            async for finding in probes.examine_judge(self.judge, quick=quick):
                yield finding


async def _examined(patients: Patients, told: Any, *, quick: bool) -> list[Finding]:
    findings = []
    async for finding in patients.findings(quick=quick):
        findings.append(finding)
        told(_line(finding))
    return findings


def _line(finding: Finding) -> str:
    """A row of the table: who, what, how it is, why."""
    return f"{finding.role:<8} {finding.question:<20} {MARKS[finding.verdict]:<5} {finding.sentence}"


def _print(line: str) -> None:
    print(inert(line), flush=True)


def _summary(findings: list[Finding], *, usable: bool) -> str:
    failed = [finding for finding in findings if finding.verdict == "fail"]
    warned = sum(finding.verdict == "warn" for finding in findings)
    spent = f"{sum(f.seconds for f in findings):.1f} s, ${sum(f.cost for f in findings):.2f}"
    if usable:
        return f"usable{f', with {warned} warnings' if warned else ''} ({spent})"
    worst = ", ".join(dict.fromkeys(f"{finding.role}: {finding.question}" for finding in failed))
    return f"not usable ({worst}; {spent})"


def _document(facts: dict[str, Any], findings: list[Finding], *, usable: bool) -> str:
    from dataclasses import asdict
    from json import dumps

    return dumps(
        {
            "schema_version": 1,
            "usable": usable,
            "findings": [asdict(finding) for finding in findings],
            "installed": facts,
        },
        indent=2,
    )
