"""`docs/results.md` out of the results of experiments: tables, plots, beside them the paper's own figures.

In: what `paper.py` measured. Out: the page and its plots. A darkroom figure and a figure of the paper never
stand in one table: editors, judge, samples and scale differ, only the question is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paper_goals import goals, told
from paper_plots import write_bars, write_curves

from editthinker.darkroom.language.sentences import GROUPS

NAMES = {
    "none": "single edit",
    "untrained": "+ untrained thinker",
    "sft": "+ SFT",
    "sft-rl": "+ SFT + RL",
    "expert": "+ expert",
}
EDITORS = ("small", "base", "large")
MISSING = "not trained"
PAPER = {
    "main": """\
| editor | thinker | ImgEdit (1-5) | GEdit-EN G_O (0-10) | RISE % | KRIS |
|---|---|---|---|---|---|
| OmniGen2 | none | 3.41 | 6.03 | 3.1 | 50.52 |
| | EditThinker-8B | 3.52 | 6.28 | 3.4 | 53.09 |
| | GPT-4.1 | 3.81 | 6.78 | 9.2 | 57.34 |
| FLUX.1 Kontext | none | 3.44 | 6.18 | 5.8 | 61.81 |
| | EditThinker-8B | 3.98 | 7.02 | 14.4 | 69.53 |
| | GPT-4.1 | 4.13 | 7.19 | 20.6 | 74.93 |
| Qwen-Image-Edit | none | 4.36 | 7.49 | 8.9 | 64.43 |
| | EditThinker-8B | 4.40 | 7.73 | 17.8 | 71.91 |
| | GPT-4.1 | 4.49 | 7.90 | 27.5 | 79.34 |

Tables 1, 2 and 7; judges are GPT-4.1 and those of the benchmarks; no intervals are given.""",
    "turns": """\
| thinker | 1 | 2 | 4 | 6 | 8 | by turn 2, of the gain at 4 |
|---|---|---|---|---|---|---|
| EditThinker-8B | 6.18 | 6.90 | 6.94 | 7.01 | 7.03 | 95 % |
| GPT-4.1 | 6.18 | 6.95 | 7.13 | 7.16 | 7.30 | 81 % |

Tables 4 and 8: GEdit-EN G_O with FLUX.1 Kontext; the shares are computed from them.""",
    "patterns": """\
| thinker | single | before | while | before and while |
|---|---|---|---|---|
| GPT-4.1 | 6.18 | 6.82 | 7.19 | 7.06 |

Table 3: GEdit-EN G_O with FLUX.1 Kontext.""",
    "stages": """\
| | single | untrained Qwen3-VL-8B | + SFT | + SFT + RL |
|---|---|---|---|---|
| GEdit-EN G_O | 6.18 | 6.23 | 6.93 | 7.02 |
| ImgEdit | 3.44 | 3.42 | 3.57 | 3.95 |

Table 5, with FLUX.1 Kontext.""",
    "rewards": "No such ablation in the paper. Its released code pays for format and semantic gain only.",
    "best-of-n": "The paper does not compare with best-of-n.",
    "transfer": """\
The paper trains one thinker on trajectories of three editors and has no such table; its released RL code has
FLUX.1 Kontext alone in the loop, and the gains on the other two editors are those of the first table.""",
}
TITLES = {
    "main": "Editors and thinkers",
    "turns": "Turns",
    "patterns": "Think before, while, or both",
    "stages": "SFT against RL",
    "rewards": "What the reward needs",
    "best-of-n": "Refining against best-of-n at equal editor calls",
    "transfer": "A thinker trained with one editor, used with another",
}


def write_page(results: Mapping[str, Any], out: Path) -> Path:
    """Write the page, into the folder `out` of the results or, if that is `docs/results/paper`, above it."""
    page = out.parent.parent / "results.md" if out.parts[-2:] == ("results", "paper") else out / "results.md"
    link = out.relative_to(page.parent).as_posix()
    parts = [_opening(results), _goals(results)]
    for name, title in TITLES.items():
        parts.append(f"## {title}")
        if found := results.get(name):
            parts.append("\n".join(TABLES[name](found["figures"])))
            parts += [f"![{title}]({link}/{plot})" for plot in PLOTS.get(name, _none)(found["figures"], out)]
            parts.append(_source(found))
        else:
            parts.append(f"Not measured yet: `python benchmarks/paper.py {name}`.")
        parts.append(f"**The paper's figures for the same question.**\n\n{PAPER[name]}")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return page


def _opening(results: Mapping[str, Any]) -> str:
    seen = {(found["split"], found["n"]) for found in results.values()}
    tried = [f"{n} samples of split {split!r}" for split, n in sorted(seen) if split != "test" or n < 500]
    warning = f"\n\n**Only tried out: {'; '.join(tried)}. No figure here is a result.**" if tried else ""
    return f"""\
# The paper in miniature

Written by `python benchmarks/paper.py`; do not edit.

Every number is from the darkroom: three editors of different ability, held-out photographs, wordings and
looks, and an exact judge that knows the target. *Success* is the share of samples, in per cent, whose
delivered image has an overall score of at least 8; brackets hold 95 % of bootstrap resamples; differences
are paired by sample. Unless a table says otherwise a thinker has five turns, as in the paper, and what is
delivered is the turn that the thinker itself scores best. The untrained thinker has learned to read wishes
(`recipes/darkroom/words.toml`), not to look or to answer in form, so every edit stays as it came; the
paper's is Qwen3-VL-8B as it comes. SFT is the thinker that ships (`sft=shipped`), and RL was begun with it
(`recipes/darkroom/grpo.toml`, [training.md](training.md#the-paper-in-miniature)). The paper's figures
stand apart: other editors, other judges, other scales; only the question is the same.{warning}"""


def _goals(results: Mapping[str, Any]) -> str:
    return "## Goals\n\n" + "\n".join(f"- {told(goal)}" for goal in goals(results))


def _source(found: Mapping[str, Any]) -> str:
    return (
        f"`{found['command']}` · {found['date']} · split {found['split']}, n = {found['n']} for each cell,"
        f" seed {found['seed']}, judge {found['judge']}"
    )


# --- cells of tables ---


def shown(value: Mapping[str, Any] | None, digits: int = 1, missing: str = MISSING) -> str:
    """`53.1 [47.8, 58.4]`."""
    if not value or value["mean"] is None:
        return missing
    mean, low, high = (f"{value[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _mean(value: Mapping[str, Any] | None, digits: int = 1) -> str:
    return f"{value['mean']:.{digits}f}" if value else "-"


def _signed(value: Mapping[str, Any] | None) -> str:
    return f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}]" if value else MISSING


def _head(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]


def _row(*values: str) -> str:
    return "| " + " | ".join(values) + " |"


def _line(label: Sequence[str], line: Mapping[str, Any]) -> str:
    groups = [shown(line[group], 0, "-") for group in GROUPS]
    worse = [_mean(line["overall"], 2), _mean(line["edits"], 2), _mean(line["worse"])]
    return _row(*label, shown(line["all"]), *groups, *worse)


_COLUMNS = ("success", *GROUPS, "overall", "edits", "worse than turn 1, %")


# --- one table an experiment ---


def _main(figures: Any) -> Iterator[str]:
    yield from _head("editor", "thinker", *_COLUMNS)
    for editor in EDITORS:
        for place, (stage, line) in enumerate(figures[editor].items()):
            yield _line((editor if place == 0 else "", NAMES[stage]), line)


def _turns(figures: Any) -> Iterator[str]:
    turns = [str(k) for k in range(1, 9)]
    yield from _head("editor", "thinker", "single", *turns, "gain of five turns that is there by turn 2, %")
    for editor in EDITORS:
        for place, (thinker, found) in enumerate(figures[editor].items()):
            curve, label = found["curve"], (editor if place == 0 else "", NAMES[thinker])
            if not curve[0]:
                yield _row(*label, MISSING, *"-" * 9)
                continue
            ends = [
                shown(value, 0) if k in (1, 2, 5, 8) else _mean(value, 0) for k, value in enumerate(curve, 1)
            ]
            share = shown(found["by_turn_2"], 0, "no gain")
            yield _row(*label, _mean(found["single"], 0), *ends, share)
    yield ""
    yield "After one turn a thinker may already give the source back, so 1 may lie below the single edit."


def _patterns(figures: Any) -> Iterator[str]:
    yield from _head("thinker", "pattern", *_COLUMNS)
    for thinker, found in figures.items():
        for place, (pattern, line) in enumerate(found.items()):
            yield _line((NAMES[thinker] if place == 0 else "", pattern), line)


def _stages(figures: Any) -> Iterator[str]:
    yield from _head("base editor", *_COLUMNS)
    for stage, line in figures["stages"].items():
        yield _line((NAMES[stage],), line)
    yield ""
    yield from _head("editor", "SFT + RL less SFT, points", "way from single to expert, %")
    for editor in (*EDITORS, "mean"):
        name = "mean of the three" if editor == "mean" else editor
        yield _row(name, _signed(figures["gain"][editor]), shown(figures["way_to_expert"][editor]))


def _rewards(figures: Any) -> Iterator[str]:
    names = {
        "sft": "none (SFT only)",
        "sft-rl": "format + critic + gain",
        "rl-without-critic": "without critic",
        "rl-without-gain": "without edit gain",
        "rl-official": "official formula",
    }
    yield from _head(
        "reward", "success", "less SFT, points", "error of its semantic score", "overall", "edits"
    )
    for thinker, found in figures.items():
        gain = "0" if thinker == "sft" and found["all"] else _signed(found["gain"])
        means = _mean(found["overall"], 2), _mean(found["edits"], 2)
        yield _row(names[thinker], shown(found["all"]), gain, shown(found["critic_error"], 2), *means)


def _best_of_n(figures: Any) -> Iterator[str]:
    yield from _head("editor", "at most turns", "edits a sample", "refine", "best-of-n", "difference, points")
    for editor in EDITORS:
        points = [point for point in figures[editor]["points"] if point["turns"] in (2, 3, 5, 8)]
        if not points:
            yield _row(editor, *[MISSING] * 5)
        for place, point in enumerate(points):
            label = (editor if place == 0 else "", str(point["turns"]), f"{point['edits']:.2f}")
            yield _row(
                *label, shown(point["refine"]), shown(point["best-of-n"]), _signed(point["difference"])
            )
    yield ""
    yield "Best-of-n sends the user's words with other seeds and delivers what the same thinker scores best."
    yield "Where the calls are no whole number it is the mixture of the two next to it that makes as many."


def _transfer(figures: Any) -> Iterator[str]:
    names = {"sft": "none (SFT only)", "rl-small": "small", "sft-rl": "base", "rl-large": "large"}
    yield from _head("RL with the editor", *(f"used with {editor}" for editor in EDITORS))
    for thinker, found in figures.items():
        yield _row(names[thinker], *(shown(found[editor]["all"]) for editor in EDITORS))


TABLES = {
    "main": _main,
    "turns": _turns,
    "patterns": _patterns,
    "stages": _stages,
    "rewards": _rewards,
    "best-of-n": _best_of_n,
    "transfer": _transfer,
}


# --- plots ---


def _none(_: Any, __: Path) -> list[str]:
    return []


def _plot_main(figures: Any, out: Path) -> list[str]:
    bars = [
        (f"{editor}, {NAMES[stage]}", stage, line["all"])
        for editor in EDITORS
        for stage, line in figures[editor].items()
    ]
    return ["main.svg"] if write_bars(out / "main.svg", bars) else []


def _plot_turns(figures: Any, out: Path) -> list[str]:
    written = []
    for editor in EDITORS:
        series = {thinker: list(enumerate(found["curve"], 1)) for thinker, found in figures[editor].items()}
        if write_curves(out / f"turns-{editor}.svg", series, NAMES, f"turns at most ({editor} editor)"):
            written.append(f"turns-{editor}.svg")
    return written


def _plot_best_of_n(figures: Any, out: Path) -> list[str]:
    written = []
    for editor in EDITORS:
        found = figures[editor]
        series = {
            "sft-rl": [(point["edits"], point["refine"]) for point in found["points"]],
            "best-of-n": list(enumerate(found["best-of-n"], 1)),
        }
        names = {"sft-rl": "refine (+ SFT + RL)", "best-of-n": "best-of-n"}
        across = f"editor calls a sample ({editor} editor)"
        if write_curves(out / f"best-of-n-{editor}.svg", series, names, across):
            written.append(f"best-of-n-{editor}.svg")
    return written


PLOTS = {"main": _plot_main, "turns": _plot_turns, "best-of-n": _plot_best_of_n}
