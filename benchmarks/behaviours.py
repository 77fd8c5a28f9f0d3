"""Which promise is kept by whom: `python benchmarks/behaviours.py [--only WORD]`.

Runs the promises of `editthinker.testing` over every editor and thinker that can run here: the embedded ones,
every adapter over loopback against the strict servers of `tests/peers`, tiny pipelines of random weights, and
`serve-editor`'s application through our own adapters. Prints the two tables and saves them to
`docs/results/behaviours/` (editors.md, thinkers.md, behaviours.json). Exits with 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from editthinker.core.contracts import Thinker  # noqa: E402
from editthinker.resolve import resolve_editor, resolve_thinker  # noqa: E402
from editthinker.testing.behaviour import EDITOR_PROMISES, THINKER_PROMISES, hold_to  # noqa: E402

OUT = ROOT / "docs" / "results" / "behaviours"
FINE = ("yes", "-")
"""Kept, or not claimed (an editor without a mask has none to keep to)."""
Factory = Callable[[], Any]
Subject = Callable[[], AbstractContextManager[Factory]]

EDITORS: dict[str, Subject] = {}
THINKERS: dict[str, Subject] = {}


@dataclass(frozen=True)
class Row:
    """One subject held to every promise."""

    name: str
    seconds: float
    kept: dict[str, str]
    """Promise to "yes", "-" where it is not claimed, or what broke it."""
    skipped: str = ""
    """Why it was not run at all."""


def subject(table: dict[str, Subject], name: str) -> Callable[[Callable[[], Iterator[Factory]]], Subject]:
    """Enter a generator of one factory under `name`."""

    def enter(made: Callable[[], Iterator[Factory]]) -> Subject:
        table[name] = contextmanager(made)
        return table[name]

    return enter


# --- editors ---


@subject(EDITORS, "darkroom")
def darkroom() -> Iterator[Factory]:
    yield lambda: resolve_editor("darkroom")


def images_api(flavour: Any, model: str) -> Iterator[Factory]:
    """`openai:` against the stand-in of `/v1/images/edits`."""
    from peers.openai_images import KEY, ImagesPeer
    from peers.serving import serving

    os.environ["BEHAVIOUR_KEY"] = KEY
    with serving(ImagesPeer(flavour, model).app) as url:
        yield lambda: resolve_editor(f"openai:{model}?base_url={url}/v1&key=env:BEHAVIOUR_KEY")


@subject(EDITORS, "openai (its own rules)")
def openai_hosted() -> Iterator[Factory]:
    yield from images_api("openai", "gpt-image-2")


@subject(EDITORS, "openai (open servers)")
def openai_open() -> Iterator[Factory]:
    yield from images_api("self-hosted", "black-forest-labs/FLUX.1-Kontext-dev")


@subject(EDITORS, "service")
def service() -> Iterator[Factory]:
    from peers.edit_service import EditService
    from peers.serving import serving

    with serving(EditService("flux").app) as url:
        yield lambda: resolve_editor(f"service:{url}?model=flux")


@subject(EDITORS, "gemini")
def gemini() -> Iterator[Factory]:
    from peers.gemini_api import GeminiApi
    from peers.serving import serving

    os.environ["GEMINI_API_KEY"] = "test-key"
    with serving(GeminiApi().app) as url:
        yield lambda: resolve_editor(f"gemini:gemini-2.5-flash-image?base_url={url}")


@subject(EDITORS, "hf (endpoint)")
def hugging_face() -> Iterator[Factory]:
    from peers.huggingface_api import HuggingFace
    from peers.serving import serving

    hub = HuggingFace()
    os.environ["BEHAVIOUR_BOX_KEY"] = "hf_test_token"
    with serving(hub.app) as hub.url:
        given = f"base_url={hub.url}/endpoint&key=env:BEHAVIOUR_BOX_KEY"
        yield lambda: resolve_editor(f"hf:my/kontext?{given}")


@subject(EDITORS, "comfyui")
def comfyui() -> Iterator[Factory]:
    from peers.comfyui_server import ComfyUI
    from peers.serving import serving

    def node(kind: str, title: str = "", **inputs: Any) -> dict[str, Any]:
        return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}

    graph = {
        "1": node("LoadImage", "editthinker:image", image="example.png"),
        "2": node("PrimitiveString", "editthinker:prompt", value="a prompt"),
        "3": node("InstructEdit", "Editor", image=["1", 0], prompt=["2", 0], seed=5),
        "9": node("SaveImage", images=["3", 0], filename_prefix="ComfyUI"),
    }
    with tempfile.TemporaryDirectory() as folder, serving(ComfyUI().app) as url:
        path = Path(folder) / "workflow.json"
        path.write_text(json.dumps(graph), "utf-8")
        yield lambda: resolve_editor(f"comfyui:{url}#{path}")


OWN_SIZE = ("tiny_longcat",)
"""Pipelines that choose the size they work at themselves."""


def tiny_pipeline(builder: str) -> Iterator[Factory]:
    """`diffusers:` over a pipeline of the real class with random weights."""
    from editthinker.editors.diffusers import DiffusersEditor
    from peers import tiny_pipelines

    folder = str(tiny_pipelines.tiny(getattr(tiny_pipelines, builder)))
    small = {} if builder in OWN_SIZE else {"pixels": str(128 * 64)}
    settings = DiffusersEditor.Settings.read("tiny", {"steps": "2", **small})
    with tiny_pipelines.small_megapixel():
        yield lambda: DiffusersEditor(folder, settings, name=f"diffusers:{builder}")


for pipeline in ("kontext", "klein", "qwen_edit", "qwen_edit_plus", "longcat", "pix2pix"):

    def _tiny(builder: str = f"tiny_{pipeline}") -> Iterator[Factory]:
        yield from tiny_pipeline(builder)

    EDITORS[f"diffusers ({pipeline.replace('_', '-')})"] = contextmanager(_tiny)


def served(inner: Subject, wire: str) -> Iterator[Factory]:
    """Our own adapter against our own server over an editor."""
    from editthinker.serve.editor import editor_app
    from peers.serving import serving

    with inner() as make:
        editor = make()
        app = editor_app(editor, served_as="m", concurrency=2)
        facts = {"most": editor.info.max_images, "mask": str(editor.info.mask).lower()}
        with serving(app) as url:
            yield lambda: resolve_editor(wire.format(url=url, **facts))


OPENAI_WIRE, PAPER_WIRE = "openai:m?base_url={url}/v1&max_images={most}&mask={mask}", "service:{url}"


@subject(EDITORS, "serve-editor darkroom, by openai")
def served_darkroom() -> Iterator[Factory]:
    yield from served(darkroom, OPENAI_WIRE)


@subject(EDITORS, "serve-editor darkroom, by service")
def served_darkroom_paper() -> Iterator[Factory]:
    yield from served(darkroom, PAPER_WIRE)


@subject(EDITORS, "serve-editor klein, by openai")
def served_klein() -> Iterator[Factory]:
    yield from served(EDITORS["diffusers (klein)"], OPENAI_WIRE)


# --- thinkers ---


def thinker_called(name: str) -> Factory:
    """A factory of a thinker that there is."""

    def make() -> Thinker:
        thinker = resolve_thinker(name)
        assert thinker is not None  # noqa: S101 only "none" is None
        return thinker

    return make


@subject(THINKERS, "darkroom")
def darkroom_thinker() -> Iterator[Factory]:
    yield thinker_called("darkroom")


def chat(kind: str, given: str = "") -> Iterator[Factory]:
    """A chat thinker against the stand-in of `/v1/chat/completions`."""
    from peers.chat_server import MODEL, ChatPeer
    from peers.serving import serving

    with serving(ChatPeer().app) as url:
        yield thinker_called(f"{kind}:{MODEL}?base_url={url}/v1{given}")


@subject(THINKERS, "chat (grammar)")
def chat_grammar() -> Iterator[Factory]:
    yield from chat("chat")


@subject(THINKERS, "chat (JSON)")
def chat_json() -> Iterator[Factory]:
    yield from chat("chat", "&style=json")


@subject(THINKERS, "expert")
def expert() -> Iterator[Factory]:
    yield from chat("expert")


@subject(THINKERS, "local (tiny Qwen3-VL)")
def local() -> Iterator[Factory]:
    from editthinker.thinkers.local import LocalThinker
    from peers.tiny_qwen import lessons, taught, tiny_qwen3vl

    with tempfile.TemporaryDirectory() as name:
        folder, prompt = Path(name), Path(name) / "short.txt"
        (folder / "model").mkdir()
        model = taught(tiny_qwen3vl(folder / "model"), lessons(prompt))
        settings = LocalThinker.Settings(max_tokens=200, prompt=str(prompt))
        yield lambda: LocalThinker(str(model), settings, name="local:tiny")


@subject(THINKERS, "ensemble (darkroom and chat)")
def ensemble() -> Iterator[Factory]:
    from editthinker.thinkers.ensemble import EnsembleThinker

    with ExitStack() as stack:
        members = [stack.enter_context(THINKERS[name]()) for name in ("darkroom", "chat (grammar)")]
        yield lambda: EnsembleThinker.of([make() for make in members])


@subject(THINKERS, "human (scripted)")
def human() -> Iterator[Factory]:
    from editthinker.thinkers.human import HumanThinker

    yield lambda: HumanThinker(lambda question: "7")


# --- the table ---


def row(name: str, made: Subject, promises: Any) -> Row:
    """Hold one subject to every promise; what cannot be set up is skipped with its reason."""
    began, kept = time.monotonic(), {}
    try:
        with made() as factory:
            for promise, check in promises:
                kept[promise] = held(promise, check, factory)
                print(f"  {name}: {promise}: {kept[promise]}", file=sys.stderr, flush=True)
    except Exception as error:  # noqa: BLE001 what a subject needs may be missing in many ways
        return Row(name, 0.0, kept, f"{type(error).__name__}: {error}"[:200])
    return Row(name, round(time.monotonic() - began, 2), kept)


def held(promise: str, check: Any, factory: Factory) -> str:
    """Whether it is kept: "yes", "-" where it is not claimed, or what broke it."""
    try:
        return "yes" if hold_to(promise, check, factory) else "-"
    except AssertionError as error:
        return str(error).splitlines()[0][:200] or "assertion failed"
    except Exception as error:  # noqa: BLE001 whatever a subject raises, the table goes on
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def table(rows: list[Row], promises: Any) -> str:
    """Markdown: a line for each subject, a column for each promise, footnotes for what is broken."""
    names = [promise for promise, _ in promises]
    lines = [f"| | {' | '.join(names)} | s |", "|---" * (len(names) + 2) + "|"]
    notes: list[str] = []
    for one in rows:
        cells = []
        for name in names:
            told = "not run" if one.skipped else one.kept[name]
            cells.append(told if told in FINE or one.skipped else "NO")
            if cells[-1] == "NO":
                notes.append(f"{one.name}, {name}: {told}")
        if one.skipped:
            notes.append(f"{one.name} was not run: {one.skipped}")
        lines.append(f"| {one.name} | {' | '.join(cells)} | {one.seconds:g} |")
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]).rstrip() + "\n"


def main() -> int:
    """Run, print, save; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="subjects whose name holds this word; nothing is saved")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of libraries, while models load
    found: dict[str, list[Row]] = {}
    for role, subjects, promises in (
        ("editors", EDITORS, EDITOR_PROMISES),
        ("thinkers", THINKERS, THINKER_PROMISES),
    ):
        found[role] = [row(name, made, promises) for name, made in subjects.items() if arguments.only in name]
        text = table(found[role], promises)
        if found[role]:
            print(text)
        if not arguments.only:
            OUT.mkdir(parents=True, exist_ok=True)
            (OUT / f"{role}.md").write_text(text, "utf-8")
    if not arguments.only:
        rows = {role: [asdict(one) for one in several] for role, several in found.items()}
        (OUT / "behaviours.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return int(any(set(one.kept.values()) - {*FINE} for several in found.values() for one in several))


if __name__ == "__main__":
    sys.exit(main())
