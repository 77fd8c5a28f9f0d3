"""The README's table: every strategy on the darkroom bench, one after the other.

    python benchmarks/darkroom_table.py --n 320 --out docs/results/darkroom

Each line is one `editthinker bench darkroom` of its own process, whose JSON is kept beside the table. A line
that is there already is not run again, so an interrupted table goes on.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LINES = {
    "single": ["--strategy", "single", "--thinker", "none"],
    "best-of-3": ["--strategy", "best-of-n", "--turns", "3"],
    "think-before-edit": ["--strategy", "think-before-edit"],
    "think-while-edit-2": ["--turns", "2"],
    "think-while-edit-3": ["--turns", "3"],
    "think-while-edit-5": ["--turns", "5"],
    "expert-3": ["--thinker", "darkroom-expert", "--turns", "3"],
    "think-before-and-while-3": ["--strategy", "think-before-and-while", "--turns", "3"],
}
MANIFEST = Path("src/editthinker/darkroom/weights/MANIFEST.toml")
GROUPS = ("direct", "compound", "preserve", "reasoning")


def measure(name: str, options: list[str], n: int, seed: int, out: Path) -> dict[str, Any]:
    """Run one line, unless its file is there."""
    file = out / f"{name}.json"
    if not file.exists():
        command = [sys.executable, "-m", "editthinker.cli", "bench", "darkroom", "--quiet"]
        command += ["--n", str(n), "--seed", str(seed), *options, "--json", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    report: dict[str, Any] = json.loads(file.read_text())
    return report


def line(name: str, report: dict[str, Any]) -> str:
    """One row of the markdown table."""
    rows = {row["group"]: row for row in report["table"]}
    whole = rows["all"]["success"]
    interval = f"**{100 * whole['mean']:.1f}** [{100 * whole['low']:.1f}, {100 * whole['high']:.1f}]"
    groups = " | ".join(f"{100 * rows[group]['success']['mean']:.0f}" for group in GROUPS)
    overall = f"{rows['all']['overall']['mean']:.2f} | {rows['all']['editor_calls']:.2f}"
    return f"| {name} | {interval} | {groups} | {overall} | {100 * rows['all']['worse_than_first']:.1f} |"


def record(reports: dict[str, dict[str, Any]]) -> None:
    """Write what was measured into the manifest of the weights it was measured on."""
    text = MANIFEST.read_text(encoding="utf-8")
    for model, name in (("editor", "single"), ("thinker", "think-while-edit-3")):
        rows = {row["group"]: row["success"] for row in reports[name]["table"]}
        success = ", ".join(f"{group} {100 * rows[group]['mean']:.1f}" for group in ("all", *GROUPS))
        told = f'measured = "{name}, success % of {rows["all"]["n"]}: {success}"'
        text = re.sub(rf'(\[{model}\]\n(?:.+\n)*?)measured = ".*"', lambda m, told=told: m[1] + told, text)
    MANIFEST.write_text(text, encoding="utf-8")


def main() -> None:
    """Measure every line; write `table.md` and the manifest's figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/darkroom"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    groups = " | ".join(GROUPS)
    table = [
        f"| strategy | success % [95 %] | {groups} | overall | edits | worse % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    reports = {}
    for name, options in LINES.items():
        reports[name] = report = measure(name, options, arguments.n, arguments.seed, arguments.out)
        table.append(line(name, report))
        print(table[-1], flush=True)
        if report["agreement"]:
            print("   ", {key: round(value, 3) for key, value in report["agreement"].items()}, flush=True)
    (arguments.out / "table.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    record(reports)


if __name__ == "__main__":
    main()
