from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editthinker.core.errors import InputError, MissingExtra
from editthinker.core.images import Picture
from editthinker.runs import samples
from editthinker.runs.opening import changes, opened
from editthinker.runs.samples import Entry, read, safe
from editthinker.testing.behaviour import photograph


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        photograph(48, 32, seed=number).save(folder / f"p{number}.png")
    return folder


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return path


def only(entries: list[Entry]) -> Entry:
    (entry,) = entries
    return entry


# --- forms ---


def test_jsonl_in_our_words(photos: Path) -> None:
    row = {
        "id": "one",
        "image": "p0.png",
        "references": ["p1.png"],
        "instruction": "warmer",
        "box": [4, 4, 8, 8],
        "tags": {"task": "tone"},
        "edit_type": "color",
    }
    entry = only(read(jsonl(photos / "samples.jsonl", row)))
    assert not entry.problem
    assert (entry.id, entry.instruction) == ("one", "warmer")
    assert [Path(str(path)).name for path in entry.images] == ["p0.png", "p1.png"]
    assert dict(entry.tags) == {"task": "tone", "edit_type": "color"}
    sample, _ = opened(entry)
    assert len(sample.images) == 2
    assert sample.mask is not None
    assert sample.source.sha256 == photograph(48, 32, seed=0).sha256


def test_the_form_of_imgedit(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "singleturn.json"
    path.write_text(json.dumps({"k1": {"id": "p1.png", "prompt": "a hat", "edit_type": "add"}}))
    entry = only(read(path, photos))
    assert (entry.id, entry.instruction, entry.problem) == ("k1", "a hat", "")
    assert entry.images == ((photos / "p1.png").resolve(),)


def test_other_names_are_understood_and_two_that_disagree_are_not(photos: Path) -> None:
    rows = (
        {"index": 7, "image_path": "p0.png", "ins_en": "warmer"},
        {"key": "b", "source": "p0.png", "prompt": "colder", "text": "warmer"},
        {"key": "c", "source": "p0.png", "instruction": "colder", "text": "warmer"},
    )
    seven, mixed, ours = read(jsonl(photos / "s.jsonl", *rows))
    assert (seven.id, seven.instruction) == ("7", "warmer")
    assert "say different things" in mixed.problem
    assert ours.instruction == "colder"


def test_csv(photos: Path) -> None:
    (photos / "s.csv").write_text('id,image,instruction\na,p0.png,"warm, and bright"\nb,p1.png,\n', "utf-8")
    first, second = read(photos / "s.csv")
    assert first.instruction == "warm, and bright"
    assert second.problem == "it has no instruction"


def test_a_folder_with_words_beside_each_photo(photos: Path) -> None:
    (photos / "p0.txt").write_text("warmer\n")
    first, *others = read(photos)
    assert (first.id, first.instruction, first.problem) == ("p0", "warmer", "")
    assert [entry.problem for entry in others] == ["it has no instruction"] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p0.png: warmer\np2.png\tcolder: much\n# a remark\n", ["warmer", "colder: much"]),
        ("all of them sepia\n", ["all of them sepia"] * 3),
    ],
)
def test_a_folder_with_a_list_of_instructions(photos: Path, text: str, words: list[str]) -> None:
    (photos / "instructions.txt").write_text(text)
    assert [entry.instruction for entry in read(photos)] == words


def test_parquet_keeps_its_images_in_the_file_until_they_are_needed(photos: Path, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    data = [(photos / f"p{number}.png").read_bytes() for number in range(3)]
    images = pa.array(
        [{"bytes": one, "path": None} for one in data],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({"id": ["a", "b", "c"], "image": images, "prompt": ["x", "y", "z"]})
    parquet.write_table(table, tmp_path / "s.parquet", row_group_size=2)
    entries = read(tmp_path / "s.parquet")
    assert [entry.instruction for entry in entries] == ["x", "y", "z"]
    for number, entry in reversed(list(enumerate(entries))):
        sample, inputs = opened(entry)
        assert sample.source.sha256 == photograph(48, 32, seed=number).sha256
        assert changes(entry, inputs) == ""


@pytest.mark.slow
def test_a_saved_dataset(photos: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {
        "key": ["a", "b"],
        "image": [str(photos / "p0.png"), str(photos / "p1.png")],
        "prompt": ["x", "y"],
    }
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    made.save_to_disk(tmp_path / "saved")
    first, second = read(tmp_path / "saved")
    assert (first.id, second.instruction) == ("a", "y")
    assert opened(first)[0].source.sha256 == photograph(48, 32, seed=0).sha256


def test_a_missing_extra_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "s.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"editthinker\[data\]"):
        read(photos / "s.parquet")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("s.jsonl", "", "no sample"),
        ("s.json", "[", "not valid JSON"),
        ("s.json", "3", "neither a list nor an object"),
        ("s.parquet", "no parquet", "cannot read"),
        ("s.xlsx", "", "of no kind that holds samples"),
        ("s.jsonl", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_what_holds_no_samples_is_refused(photos: Path, name: str, content: str | bytes, reason: str) -> None:
    (photos / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=reason):
        read(photos / name)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="no instructions"):
        read(tmp_path)


# --- what is wrong with one does not cost the others ---


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"image": "p0.png"}, "no instruction"),
        ({"image": "p0.png", "instruction": "  "}, "no instruction"),
        ({"instruction": "x"}, "names no image"),
        ({"image": "missing.png", "instruction": "x"}, "does not exist"),
        ({"image": 3, "instruction": "x"}, "no file name"),
        ({"image": "../p0.png", "instruction": "x"}, "outside"),
        ({"image": "/etc/passwd", "instruction": "x"}, "outside"),
        ({"image": "p0.png", "instruction": "x", "mask": "../../m.png"}, "outside"),
        ({"image": "p0.png", "instruction": "x", "references": ["../q.png"]}, "outside"),
        ({"image": "a\0b", "instruction": "x"}, "cannot be a file"),
        ({"image": ".", "instruction": "x"}, "is no file"),
        ({"image": "p0.png", "instruction": "x", "box": [1, 2]}, "four numbers"),
        ({"image": "p0.png", "instruction": "x", "id": ["a"]}, "neither text nor a number"),
        ('{"image": ', "not valid JSON"),
        ("[1]", "no JSON object"),
    ],
)
def test_a_bad_sample_says_why(photos: Path, row: object, reason: str) -> None:
    path = jsonl(photos / "s.jsonl", row, {"id": "good", "image": "p0.png", "instruction": "x"})
    bad, good = read(path)
    assert reason in bad.problem
    assert not good.problem


def test_two_of_one_id_are_both_refused_and_both_told(photos: Path) -> None:
    row = {"id": "a", "image": "p0.png", "instruction": "x"}
    entries = read(jsonl(photos / "s.jsonl", row, row, {**row, "id": "b"}))
    assert [bool(entry.problem) for entry in entries] == [True, True, False]
    assert len({entry.id for entry in entries}) == 3


# --- paths ---


def test_a_link_that_leads_out_is_not_followed(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes((photos / "p0.png").read_bytes())
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    (photos / "inner.png").symlink_to(photos / "p0.png")
    rows = ({"id": n, "image": f"{n}.png", "instruction": "x"} for n in ("link", "inner"))
    out, inside = read(jsonl(photos / "s.jsonl", *rows))
    assert "outside" in out.problem
    assert not inside.problem


def test_a_pipe_is_never_opened(photos: Path) -> None:
    os.mkfifo(photos / "pipe.png")
    entry = only(read(jsonl(photos / "s.jsonl", {"image": "pipe.png", "instruction": "x"})))
    assert "is no file" in entry.problem


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_id_becomes_a_safe_name(name: str) -> None:
    made = safe(name)
    assert made == safe(name)
    assert 0 < len(made) <= 80
    assert made.isascii()
    assert not set(made) & set('/\\:*?"<>|%\0 ')
    assert made not in (".", "..")
    assert not made.startswith((".", "-"))
    assert made.partition(".")[0].lower() not in samples._RESERVED


def test_ids_that_differ_only_in_case_or_in_what_is_unsafe_stay_apart(photos: Path) -> None:
    ids = ["same", "SAME", "a/b", "a:b", "../../x", "..", "con", "nul.png", "x" * 300, "x" * 299, "a%2e"]
    rows = ({"id": name, "image": "p0.png", "instruction": "x"} for name in ids)
    entries = read(jsonl(photos / "s.jsonl", *rows))
    assert not any(entry.problem for entry in entries)
    assert len({entry.id.casefold() for entry in entries}) == len(ids)
    assert entries[0].id == "same"


# --- nothing is opened before its time ---


def test_reading_opens_no_image(photos: Path) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    entry = only(read(jsonl(photos / "s.jsonl", {"image": "broken.png", "instruction": "x"})))
    assert not entry.problem
    with pytest.raises(InputError, match=r"broken\.png"):
        opened(entry)


def test_a_changed_file_is_noticed_by_its_content(photos: Path) -> None:
    path = jsonl(photos / "s.jsonl", {"image": "p0.png", "instruction": "x"})
    entry = only(read(path))
    _, inputs = opened(entry)
    assert changes(entry, inputs) == ""
    os.utime(photos / "p0.png", (1, 1))
    assert changes(entry, inputs) == "", "touched, but the same"
    photograph(48, 32, seed=9).save(photos / "p0.png", overwrite=True)
    assert changes(entry, inputs) == "the file p0.png has changed"
    other = only(read(jsonl(photos / "t.jsonl", {"image": "p0.png", "instruction": "y"})))
    assert "instruction" in changes(other, inputs)


def test_a_plain_png_is_sent_as_it_came_and_any_other_without_its_metadata(photos: Path) -> None:
    rows = [{"id": n, "image": f"{n}", "instruction": "x"} for n in ("p0.png", "told.png")]
    from PIL import PngImagePlugin

    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "taken at home")
    photograph(48, 32).pixels.save(photos / "told.png", pnginfo=words)
    plain, told = (opened(entry)[0].source for entry in read(jsonl(photos / "s.jsonl", *rows)))
    assert plain.encode() == (photos / "p0.png").read_bytes()
    assert b"taken at home" not in told.encode()
    assert Picture.open(told.encode()).sha256 == photograph(48, 32).sha256


@pytest.mark.clock
def test_ten_thousand_take_little_time_and_memory(photos: Path) -> None:
    rows = ({"id": f"{n}", "image": "p0.png", "instruction": "warmer"} for n in range(10_000))
    path = jsonl(photos / "s.jsonl", *rows)
    code = (
        "import sys, time, resource; from pathlib import Path; from editthinker.runs.samples import read;"
        "t = time.process_time(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "n = len(read(Path(sys.argv[1])));"
        "print(n, time.process_time() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    number, seconds, kilobytes = told.stdout.split()
    assert number == "10000"
    assert float(seconds) < 3
    assert int(kilobytes) < 60_000
