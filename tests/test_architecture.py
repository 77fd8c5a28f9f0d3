"""The shape of the project as tests: who may import whom, how large a thing may grow, what must stay light.

Every rule is a function from a source tree to complaints, so that the second half of this file can show, on a
planted tree, that each rule is able to complain.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "editthinker"

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "wire": {"core"},
    "editors": {"core", "wire"},
    "thinkers": {"core", "wire"},
    "judges": {"core", "wire"},
    "darkroom": {"core", "wire"},
    "testing": {"core", "wire"},
    "runs": {"core", "wire"},
    "data": {"core", "runs", "darkroom"},
    "benchmarks": {"core", "runs", "darkroom"},
    "training": {"core", "runs", "darkroom", "data", "thinkers"},
    "config": {"core"},
    "serve": {"core", "runs"},
    "ui": {"core", "runs"},
    "resolve": {"core", "config", "wire", "editors", "thinkers", "judges", "darkroom", "testing"},
    "api": {"core", "runs", "resolve"},
    "": {"core", "api"},  # editthinker/__init__.py
}
"""Room -> rooms it may import; `cli` may import anything and nothing may import `cli`."""

HEAVY = {"torch", "transformers", "diffusers", "trl", "accelerate", "datasets", "onnx", "peft", "ray"}
"""Never imported by a module on its own account, except in the room where models are trained."""

LATE = {
    *HEAVY,
    "onnxruntime",
    "tokenizers",
    "cv2",
    "numpy",
    "PIL",
    "pydantic",
    "rich",
    "sqlite3",
    "asyncio",
    "openai",
    "httpx2",
}
"""Not loaded by `editthinker --help`."""

BANNED_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


@dataclass(frozen=True)
class Module:
    path: Path
    name: str
    """Dotted, below the package: "core.types"; "" for the package itself."""

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def imports(self, nodes: Iterator[ast.AST]) -> Iterator[str]:
        """Absolute dotted names these nodes import; relative ones are resolved."""
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    here = ["editthinker", *filter(None, self.name.split("."))]
                    if self.path.name != "__init__.py":
                        here.pop()
                    base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [base])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)

    @property
    def all_imports(self) -> set[str]:
        return set(self.imports(ast.walk(self.tree)))

    @property
    def eager_imports(self) -> set[str]:
        """What merely importing this module imports: neither function bodies nor TYPE_CHECKING blocks."""
        return set(self.imports(_executed_on_import(self.tree)))


def _executed_on_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if not deferred and not for_types:
            yield child
            yield from _executed_on_import(child)


def modules_of(root: Path) -> list[Module]:
    return [
        Module(
            path,
            ".".join(part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"),
        )
        for path in sorted(root.rglob("*.py"))
    ]


def ours(imported: str) -> str | None:
    """Our part of an import: "core.types" of "editthinker.core.types", "" of our root; None if foreign."""
    package, _, rest = imported.partition(".")
    return rest if package == "editthinker" else None


# --- the rules ---


def import_law(root: Path) -> Iterator[str]:
    rooms = {module.room for module in modules_of(root)}
    for module in modules_of(root):
        if module.room == "cli":
            continue
        if module.room not in MAY_IMPORT:
            yield f"{module.path}: room {module.room!r} has no place in the import law"
            continue
        allowed = {*MAY_IMPORT[module.room], module.room}
        for imported in sorted(module.all_imports):
            target = ours(imported)
            room = target.partition(".")[0] if target else ""
            if room in rooms | MAY_IMPORT.keys() | {"cli"} and room and room not in allowed:
                yield f"{module.path}: {module.room or 'the package'} may not import {imported}"


def no_cycles(root: Path) -> Iterator[str]:
    known = {module.name: module for module in modules_of(root)}
    graph = {
        name: {target for target in map(ours, module.eager_imports) if target in known} - {name}
        for name, module in known.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> Iterator[str]:
        if name in trail:
            yield "import cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        elif name not in done:
            for target in sorted(graph[name]):
                # A package is always imported before its own modules; that edge alone is no cycle.
                if not (target == "" or name.startswith(f"{target}.")):
                    yield from visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        yield from visit(name, ())


def heavy_imports_late(root: Path) -> Iterator[str]:
    for module in modules_of(root):
        if module.room != "training":
            for imported in sorted({name.partition(".")[0] for name in module.eager_imports} & HEAVY):
                yield f"{module.path}: imports {imported} at the top"


def sizes(root: Path) -> Iterator[str]:
    for module in modules_of(root):
        if (lines := len(module.text.splitlines())) >= MAX_FILE_LINES:
            yield f"{module.path}: {lines} lines"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines >= MAX_FUNCTION_LINES:
                    yield f"{module.path}:{node.lineno}: {node.name} has {lines} lines"


def names(root: Path) -> Iterator[str]:
    for module in modules_of(root):
        parts = module.path.relative_to(root).with_suffix("").parts
        classes = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
        for name in (*parts, *classes):
            if BANNED_WORDS & set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")):
                yield f"{module.path}: {name!r} says nothing; name the thing"


def no_print(root: Path) -> Iterator[str]:
    for module in modules_of(root):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and module.room != "cli":
                yield f"{module.path}:{node.lineno}: print outside cli/"


def cards(root: Path) -> Iterator[str]:
    """Every folder of code opens with a card: what comes in, what goes out, what it does not know."""
    for folder in sorted({path.parent for path in root.rglob("*.py")}):
        card = folder / "__init__.py"
        text = (ast.get_docstring(ast.parse(card.read_text("utf-8"))) if card.exists() else None) or ""
        if len(text.split()) < 20:
            yield f"{folder}: __init__.py has no card (a docstring of at least 20 words)"


def _export_order(name: str) -> tuple[int, str]:
    """Constants, classes, the rest: the order that ruff keeps (RUF022)."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def exports(root: Path) -> Iterator[str]:
    for module in modules_of(root):
        for node in module.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                listed = ast.literal_eval(node.value)  # type: ignore[attr-defined]
                if list(listed) != sorted(set(listed), key=_export_order):
                    yield f"{module.path}: __all__ is not sorted"


RULES: list[Callable[[Path], Iterator[str]]] = [
    import_law,
    no_cycles,
    heavy_imports_late,
    sizes,
    names,
    no_print,
    cards,
    exports,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Callable[[Path], Iterator[str]]) -> None:
    assert list(rule(SOURCE)) == []


def test_every_exported_name_exists() -> None:
    package = import_module("editthinker")
    missing = [name for name in getattr(package, "__all__", ()) if not hasattr(package, name)]
    assert missing == []


# --- staying light ---


def _loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\nLOADED', *sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_importing_the_package_is_light() -> None:
    assert _loaded_after("import editthinker") & (LATE - {"asyncio"}) == set()


@pytest.mark.parametrize(
    "verb",
    ["", "edit", "show", "models", "bench", "doctor", "serve-editor", "config", "data", "run", "train"],
)
def test_help_is_light(verb: str) -> None:
    code = f"import editthinker.cli as cli\nassert cli.main({[*filter(None, [verb]), '--help']!r}) == 0"
    typers_own = {"pydantic"} if verb else set()  # it checks the options of a verb with it
    assert _loaded_after(code) & LATE <= typers_own


# --- every rule is able to complain ---

GOOD = '"""' + "A card that says what comes in and what goes out. " * 3 + '"""\n'
PLANTED: dict[str, tuple[dict[str, str], str]] = {
    "import_law": ({"core/types.py": "def f():\n    from editthinker.cli import main"}, "may not import"),
    "no_cycles": (
        {"core/a.py": "from editthinker.core import b", "core/b.py": "from .a import x"},
        "core.a -> core.b -> core.a",
    ),
    "heavy_imports_late": ({"darkroom/x.py": "import torch.nn"}, "imports torch"),
    "sizes": ({"core/x.py": "def f():\n" + "    x = 1\n" * 60}, "f has 61 lines"),
    "names": ({"core/image_utils.py": ""}, "'image_utils' says nothing"),
    "no_print": ({"core/x.py": "print('here')"}, "print outside"),
    "cards": ({"data/__init__.py": '"""Data."""'}, "no card"),
    "exports": ({"core/x.py": "__all__ = ['b', 'a']"}, "not sorted"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_can_complain(rule: Callable[[Path], Iterator[str]], tmp_path: Path) -> None:
    files, complaint = PLANTED[rule.__name__]
    tree = {"__init__.py": GOOD, "core/__init__.py": GOOD, "cli/__init__.py": GOOD, **files}
    for name, text in tree.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert [line for line in rule(tmp_path) if complaint in line]


def test_deferred_imports_make_no_cycle(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from editthinker import b", "utf-8")
    (tmp_path / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from editthinker.a import x\n"
        "def f():\n    from editthinker import a\n",
        "utf-8",
    )
    assert list(no_cycles(tmp_path)) == []
