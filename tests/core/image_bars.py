"""Measure the door on a corpus of hostile and awkward images: python tests/core/image_bars.py CORPUS

CORPUS/corpus.json lists {"file", "class": "hostile" | "tricky", "kind", "expect"}. Every file is opened in
a process of its own. Hostile ones (and a folder, a FIFO, links to a device, to nothing and to text) must be
refused by name within 400 MB and 5 s; an "either" in `expect` may also be accepted. Tricky ones must come out
right in size, corner colours, mean and holes, and leave without metadata. Prints one JSON line per file (time
and memory are those of opening, not of the checks) and a summary.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_MB, MAX_SECONDS = 400, 5.0
CORNERS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def look(path: str, expect: dict[str, Any]) -> dict[str, Any]:
    """In the child: open one file and compare with what is expected."""
    from editthinker.core.errors import ImageError
    from editthinker.core.images import Picture

    picture, message = None, ""
    started = time.perf_counter()
    try:
        picture = Picture.open(path)
    except ImageError as error:
        message = str(error)
    seconds = round(time.perf_counter() - started, 3)
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return {
        "outcome": "accepted" if picture else "refused",
        "message": message,
        "seconds": seconds,
        "mb": int(peak) // 1024,
        "wrong": faults(picture, expect) if picture else [],
    }


def faults(picture: Any, expect: dict[str, Any]) -> list[str]:
    import numpy as np
    from PIL import Image

    from editthinker.core.images import Picture

    wrong = [] if list(picture.size) == expect.get("size", list(picture.size)) else ["size"]
    rgb = picture.array()[..., :3].astype(int)
    for key, pixel in (("tl", rgb[3, 3]), ("br", rgb[-4, -4])):
        if key in expect and np.abs(pixel - CORNERS[expect[key]]).max() > 60:
            wrong.append(f"{key} is {pixel.tolist()}")
    if "mean" in expect and abs(rgb.mean() - expect["mean"]) > 2:
        wrong.append(f"mean is {rgb.mean():.1f}")
    for media_type in ("image/png", "image/jpeg", "image/webp"):
        sent = picture.encode(media_type)
        with Image.open(io.BytesIO(sent)) as image:
            if dict(image.getexif()) or {"exif", "xmp", "comment", "prompt", "gps"} & set(image.info):
                wrong.append(f"metadata in {media_type}")
            if Image.MIME[image.format or ""] != media_type:
                wrong.append(f"{media_type} is mislabelled")
            red, green, blue = np.asarray(image.convert("RGB"))[min(65, image.height - 1), 95 % image.width]
        if "hole" in expect and min(red, green, blue) < 240:
            wrong.append(f"hole in {media_type} is {[int(red), int(green), int(blue)]}")
    if Picture.open(picture.encode()).sha256 != picture.sha256:
        wrong.append("what is sent differs from what is seen")
    return wrong


def cases(corpus: Path, special: Path) -> Iterator[tuple[str, Path, Any]]:
    """Class, path and expectation of every file, the special ones included."""
    for item in json.loads((corpus / "corpus.json").read_text()):
        if item["file"] != "hostile/dir.png":  # stands for the special files below
            yield item["class"], corpus / item["file"], item["expect"]
    (special / "adir.png").mkdir()
    os.mkfifo(special / "fifo.png")
    for name, target in (("zero", "/dev/zero"), ("dangling", "/nonexistent"), ("passwd", "/etc/passwd")):
        (special / f"{name}.png").symlink_to(target)
    for path in sorted(special.iterdir()):
        yield "hostile", path, "refuse"


def verdict(kind: str, path: Path, expect: Any, seen: dict[str, Any]) -> bool:
    if seen["mb"] > MAX_MB or seen.get("seconds", 0) > MAX_SECONDS or seen["wrong"]:
        return False
    if seen["outcome"] == "accepted":
        return kind == "tricky" or str(expect).startswith("either")
    return kind == "hostile" and str(path) in seen["message"]


def main() -> int:
    if sys.argv[1] == "--one":
        sys.stdout.write(json.dumps(look(sys.argv[2], json.loads(sys.argv[3]))))
        return 0
    rows = []
    with tempfile.TemporaryDirectory() as special:
        for kind, path, expect in cases(Path(sys.argv[1]), Path(special)):
            started = time.perf_counter()
            asked = json.dumps(expect if kind == "tricky" else {})
            command = [sys.executable, "-W", "error", __file__, "--one", str(path), asked]
            child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            wall = round(time.perf_counter() - started, 2)
            crash = {"outcome": "crash", "wrong": [child.stderr[-300:]], "mb": 0, "message": ""}
            seen = {**(json.loads(child.stdout) if child.returncode == 0 else crash), "wall": wall}
            seen["ok"] = verdict(kind, path, expect, seen) and not child.stderr
            rows.append((kind, seen))
            sys.stdout.write(
                json.dumps({"file": path.name, "class": kind, **seen}, ensure_ascii=False) + "\n"
            )
    for kind in ("hostile", "tricky"):
        of_kind = [seen for name, seen in rows if name == kind]
        sys.stdout.write(
            f"{kind}: {sum(seen['ok'] for seen in of_kind)} of {len(of_kind)} right,"
            f" {sum(seen['outcome'] == 'refused' for seen in of_kind)} refused,"
            f" at most {max(seen['mb'] for seen in of_kind)} MB and {max(seen['wall'] for seen in of_kind)} s"
            f" (of which inside the door {max(seen.get('seconds', 0) for seen in of_kind)} s)\n"
        )
    return 0 if all(seen["ok"] for _, seen in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
