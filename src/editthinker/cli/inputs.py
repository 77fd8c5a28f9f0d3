"""What an edit is given besides its photo and its words: a plan in a file, a box."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from editthinker.core.errors import ImageError, InputError
from editthinker.core.files import open_regular, shown

MOST_BYTES = 2**20


def read_plan(path: Path) -> list[str]:
    """The steps in a file: one a line ("#" begins a comment), or `steps` in JSON or TOML."""
    label = f"cannot use the plan {shown(str(path))}"
    try:
        with open_regular(path, MOST_BYTES) as stream:
            text = stream.read().decode("utf-8-sig")
        content = _content(path.suffix.lower(), text)
    except ImageError as error:
        raise InputError(f"{label}: {error}") from None
    except OSError as error:
        raise InputError(f"{label}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{label}: it is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{label}: {error}") from None
    steps = content.get("steps") if isinstance(content, dict) else content
    if not isinstance(steps, list) or not all(isinstance(step, str) and step.strip() for step in steps):
        raise InputError(f"{label}: it must hold 'steps', a list of instructions")
    if not steps:
        raise InputError(f"{label}: there is no step in it")
    return [step.strip() for step in steps]


def _content(suffix: str, text: str) -> Any:
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".toml":
        return tomllib.loads(text)
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def read_box(text: str) -> tuple[float, ...]:
    """Left, top, width and height: whole pixels, or shares of the photo where they were percent."""
    words = [word.strip() for word in text.split(",")]
    percent = [word.endswith("%") for word in words]
    try:
        numbers = [float(word.removesuffix("%")) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or len(set(percent)) != 1:
        raise InputError(f"--box takes left,top,width,height, all in pixels or all in percent; got {text!r}")
    if not percent[0]:
        if not all(number.is_integer() for number in numbers):
            raise InputError(f"--box takes whole pixels, got {text!r}; or percent, as in 10%,10%,50%,50%")
        return tuple(map(int, numbers))
    if not all(0 <= number <= 100 for number in numbers):
        raise InputError(f"--box takes percent from 0% to 100%, got {text!r}")
    return tuple(number / 100 for number in numbers)
