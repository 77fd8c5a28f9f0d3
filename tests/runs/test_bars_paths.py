"""Names and paths from outside: nothing is written but in the run and `--out`, nothing read but images."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from editthinker.core.errors import InputError
from editthinker.core.limits import Limits
from editthinker.runs.orders import Crew, Orders
from editthinker.runs.resuming import taken_up
from editthinker.runs.runner import Runner
from editthinker.runs.samples import read
from editthinker.testing import ScriptedEditor, ScriptedThinker, photograph

IDS = (
    *(
        "..",
        ".",
        "../x",
        "../../../../x",
        "/etc/x",
        "/",
        "//x",
        "a/b",
        "a/../../b",
        "~",
        "~/x",
        "./x",
        "a\0b",
    ),
    *("%2e%2e%2fx", "..%2fx", "..\\x", "..\\..\\x", "C:\\x", "C:x", "\\\\host\\x", "x" * 300, "é" * 300),
    *("con", "CON.png", "nul", "com1", "aux.txt", "same", "SAME", "Same", "a\nb", "\x1b[2J", "-rf", "--out"),
    *(".hidden", "x.", "x ", " x", "$HOME", "`id`", "a;b", "*", "?", "\u202ex", "\ud800", "run.json"),
)
IMAGES = (
    *(
        "../secret.png",
        "../../secret.png",
        "inside/../../secret.png",
        "{secret}",
        "file://{secret}",
        "~/s.png",
    ),
    *("link.png", "deep/link.png", "circle.png", "folder/secret.png", "dangling.png", "a\0b.png", "x" * 300),
    *(
        "..\\secret.png",
        "%2e%2e/secret.png",
        "..%2fsecret.png",
        "/dev/zero",
        "/etc/passwd",
        "/proc/self/environ",
    ),
    *(".", "..", "", " ", "pipe.png", "http://127.0.0.1:9/x.png", "data:image/png;base64,AA==", "\ud800.png"),
)
NAMES = st.text(st.sampled_from("./\\%2e~:\0ab ") | st.characters(), max_size=40)
PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "secret.png", "p.png", "link.png", "folder", "%2e", "\0", "~", "a"]
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/`, which holds links that lead out, beside `secret.png`, and `secrets/`."""
    here = tmp_path_factory.mktemp("place")
    (here / "secrets").mkdir()
    for secret in (here / "secret.png", here / "secrets" / "secret.png"):
        photograph(40, 40, seed=666).save(secret)
    (here / "secrets" / "words.txt").write_text("the secret words")
    photos = here / "photos"
    (photos / "deep").mkdir(parents=True)
    photograph(32, 32).save(photos / "p.png")
    for name, target in {
        "link.png": here / "secret.png",
        "deep/link.png": Path("../../secret.png"),
        "circle.png": Path("circle.png"),
        "folder": here / "secrets",
        "dangling.png": here / "nothing.png",
    }.items():
        (photos / name).symlink_to(target)
    os.mkfifo(photos / "pipe.png")
    return here


@pytest.fixture
def opened(place: Path) -> Iterator[list[Path]]:
    """Every file that was opened below `place`."""
    seen: list[Path] = []
    listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and isinstance(arguments[0], str | bytes):
            path = Path(os.path.realpath(os.fsdecode(arguments[0])))
            if path.is_relative_to(place):
                seen.append(path)

    sys.addaudithook(hear)
    yield seen
    listening = False


def samples(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps({"instruction": "warmer", **row}) for row in rows))
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def played(list_: Path, photos: Path, work: Path) -> Runner:
    crew = Crew(editor=ScriptedEditor(), thinker=ScriptedThinker())
    orders = replace(Orders(), limits=Limits(turns=1), out=work / "out")
    with taken_up(work / "run", {"verb": "run"}, {}, must_exist=False) as folder:
        runner = Runner(folder, read(list_, photos), crew, orders)
        asyncio.run(runner.run())
        return runner


def test_whatever_an_id_is_its_image_lies_in_the_folder_for_them(place: Path, tmp_path: Path) -> None:
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    before = files(place)
    runner = played(
        samples(work / "s.jsonl", *({"id": name, "image": "p.png"} for name in IDS)), place / "photos", work
    )
    assert runner.tally.endings["finished"] == len(IDS), runner.tally.failures
    assert {path.split("/")[0] for path in files(work)} == {"s.jsonl", "run", "out"}
    assert {path for path in files(tmp_path) if not path.startswith("a/b/c")} == {"a", "a/b"}
    assert files(place) == before
    made = [path.name for path in (work / "out").iterdir()]
    assert len({name.casefold() for name in made}) == len(IDS), "also where case makes no difference"


def test_whatever_an_image_is_called_nothing_outside_is_opened(
    place: Path, tmp_path: Path, opened: list[Path]
) -> None:
    names = [name.replace("{secret}", str(place / "secret.png")) for name in IMAGES]
    rows = [{"id": f"{field}{number}", "image": "p.png"} | {field: name} for number, name in enumerate(names)
            for field in ("image", "mask", "references")]  # fmt: skip
    runner = played(
        samples(tmp_path / "s.jsonl", {"id": "good", "image": "p.png"}, *rows), place / "photos", tmp_path
    )
    assert set(opened) == {place / "photos" / "p.png"}
    assert len(runner.tally.failures) == len(rows) - 2, "an empty mask and empty references are none"
    assert runner.tally.endings["finished"] == 3
    assert all(failure.blame == "input" for failure in runner.tally.failures)


@given(name=NAMES | st.lists(PIECES, max_size=8).map("".join))
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_of_a_file_below_the_folder_or_of_none(place: Path, tmp_path: Path, name: str) -> None:
    root = place / "photos"
    (entry,) = read(samples(tmp_path / "s.jsonl", {"image": name}), root)
    assert entry.problem or all(
        isinstance(path, Path) and path.resolve() == path and path.is_relative_to(root)
        for path in entry.images
    )
    assert set(entry.id) & set("/\\\0") == set()


@pytest.mark.parametrize("name", ["instructions.txt", "instructions.csv", "instructions.jsonl", "photo.txt"])
def test_words_of_another_folder_are_not_read(
    place: Path, tmp_path: Path, opened: list[Path], name: str
) -> None:
    photograph(32, 32).save(tmp_path / "photo.png")
    (tmp_path / name).symlink_to(place / "secrets" / "words.txt")
    with pytest.raises(InputError, match="outside"):
        read(tmp_path)
    assert not opened
