"""A user's ComfyUI workflow, and where image, words, mask and seed go in it.

In: a workflow in API format (a table of nodes), places from settings. Out: a graph ready for `POST /prompt`.
A place is marked by the title of its node ("editthinker:prompt"), or given as "NODE.INPUT" ("6.text"). It
knows the format only, no server.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editthinker.core.errors import InputError

MARK = "editthinker:"
_INPUTS: Mapping[str, tuple[str, ...]] = {
    "image": ("image",),
    "mask": ("image", "mask"),
    "prompt": ("text", "prompt", "value", "string", "instruction"),
    "seed": ("seed", "noise_seed", "value"),
}
"""Which input of a marked node takes the value: the first of these that it has and that is no link."""
_SEEDS = ("seed", "noise_seed")
_SAVERS = ("SaveImage", "PreviewImage")

Graph = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """One input of one node."""

    node: str
    input: str


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph and the places in it that this package fills."""

    graph: Mapping[str, Mapping[str, Any]]
    images: tuple[tuple[Place, ...], ...]
    """For each image in order, the places that show it."""
    prompts: tuple[Place, ...]
    seeds: tuple[Place, ...]
    """Those marked; without a mark every `seed` and `noise_seed` that is a plain number."""
    masks: tuple[Place, ...]
    output: str
    """The node whose image is the result."""

    @classmethod
    def read(cls, path: str, given: Mapping[str, str]) -> Workflow:
        """The workflow in a file; `given` are the places from settings, by what goes there.

        Raises `InputError` that says what is missing and how to mark it.
        """
        graph = _graph(path)
        marked = _marked(graph)
        for what, written in given.items():
            if written:
                marked = {key: places for key, places in marked.items() if _kind(key) != what}
                marked |= _written(graph, what, written)
        numbers = sorted({_number(key) for key in marked if _kind(key) == "image"})
        if numbers != list(range(1, len(numbers) + 1)):
            raise InputError(f"workflow: images must be marked 1, 2, ... without a gap, found {numbers}")
        for what in ("image", "prompt"):
            if not any(_kind(key) == what for key in marked):
                raise InputError(
                    f"workflow: no node takes the {what}; give one the title '{MARK}{what}', or set "
                    f"{what}_node=NODE.INPUT"
                )
        by_number = {_number(key): places for key, places in marked.items() if _kind(key) == "image"}
        return cls(
            graph,
            tuple(by_number[number] for number in numbers),
            marked["prompt"],
            marked.get("seed") or _all_seeds(graph),
            marked.get("mask", ()),
            marked["output"][0].node if "output" in marked else _saver(graph),
        )

    def title(self, node: str) -> str:
        """How a message names a node: `4 'Load Checkpoint' (CheckpointLoaderSimple)`."""
        found = self.graph.get(node, {})
        kind = str(found.get("class_type", "?"))
        title = str(found.get("_meta", {}).get("title", "")) or kind
        return f"{node} '{title}'" + (f" ({kind})" if title != kind else "")

    def filled(self, images: Sequence[str], prompt: str, seed: int, mask: str | None) -> Graph:
        """A graph with these names of uploaded files, as many as there are, this prompt and this seed."""
        graph: Graph = copy.deepcopy({node: dict(what) for node, what in self.graph.items()})
        values: list[tuple[Sequence[Place], Any]] = [(self.prompts, prompt), (self.seeds, seed)]
        values += list(zip(self.images, images, strict=False))
        if mask is not None:
            values.append((self.masks, mask))
        for places, value in values:
            for place in places:
                graph[place.node]["inputs"][place.input] = value
        return graph


def _graph(path: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        graph = json.loads(Path(path).expanduser().read_text("utf-8"))
    except OSError as error:
        raise InputError(f"workflow: cannot read {path!r}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"workflow: {path!r} is no JSON") from None
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), list):
        raise InputError(
            f"workflow: {path!r} was saved for the ComfyUI page; export it for the API: menu Workflow, "
            "Export (API), in older versions 'Save (API Format)' after enabling the developer mode"
        )
    nodes = graph.values() if isinstance(graph, dict) else ()
    whole = [
        n for n in nodes if isinstance(n, dict) and "class_type" in n and isinstance(n.get("inputs"), dict)
    ]
    if not isinstance(graph, dict) or not graph or len(whole) != len(graph):
        raise InputError(f"workflow: {path!r} is no ComfyUI workflow in API format")
    return graph


def _marked(graph: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Place, ...]]:
    """What the titles mark: "image", "image2", "prompt", ... to its places."""
    marked: dict[str, tuple[Place, ...]] = {}
    for node, found in graph.items():
        title = str(found.get("_meta", {}).get("title", "")).strip().lower()
        if title.startswith(MARK):
            what = title.removeprefix(MARK).strip()
            marked[what] = (*marked.get(what, ()), Place(node, _input(node, found, what)))
    return marked


def _written(graph: Mapping[str, Mapping[str, Any]], what: str, written: str) -> dict[str, tuple[Place, ...]]:
    """Places as a setting gives them: "12.image", several with commas; images in their order."""
    places = []
    for text in written.split(","):
        node, _, name = text.strip().partition(".")
        if node not in graph:
            raise InputError(f"workflow: {what}_node names node {node!r}; it has {', '.join(graph)}")
        if name and name not in graph[node]["inputs"]:
            has = ", ".join(graph[node]["inputs"]) or "none"
            raise InputError(f"workflow: node {node} has no input {name!r}; it has {has}")
        places.append(Place(node, name or _input(node, graph[node], what)))
    if what == "image":
        return {f"image{number}": (place,) for number, place in enumerate(places, 1)}
    return {what: tuple(places)}


def _input(node: str, found: Mapping[str, Any], what: str) -> str:
    kind = _kind(what)
    if kind == "output":
        return ""
    if kind not in _INPUTS:
        raise InputError(
            f"workflow: node {node} is marked {MARK}{what}, which means nothing; known are image, image2, "
            "..., mask, prompt, seed, output"
        )
    inputs = found["inputs"]
    for name in _INPUTS[kind]:
        if name in inputs and not isinstance(inputs[name], list):
            return name
    raise InputError(
        f"workflow: node {node} ({found['class_type']}) has no free input for the {kind}; mark the node "
        f"where it is typed in, or set {kind}_node=NODE.INPUT"
    )


def _kind(mark: str) -> str:
    return "image" if re.fullmatch(r"image\d*", mark) else mark


def _number(mark: str) -> int:
    return int(mark.removeprefix("image") or 1)


def _all_seeds(graph: Mapping[str, Mapping[str, Any]]) -> tuple[Place, ...]:
    return tuple(
        Place(node, name)
        for node, found in graph.items()
        for name in _SEEDS
        if isinstance(found["inputs"].get(name), int)
    )


def _saver(graph: Mapping[str, Mapping[str, Any]]) -> str:
    """The node that saves the result: the only SaveImage, or else the only PreviewImage."""
    found = {kind: [node for node, what in graph.items() if what["class_type"] == kind] for kind in _SAVERS}
    for kind in _SAVERS:
        if len(found[kind]) == 1:
            return found[kind][0]
        if found[kind]:
            break
    all_of_them = [f"{node} ({kind})" for kind in _SAVERS for node in found[kind]]
    raise InputError(
        f"workflow: the result could be any of {', '.join(all_of_them) or 'none'}; give one node the title "
        f"'{MARK}output', or set output_node=NODE"
    )
