"""The photographs: freely licensed ones with their credits, and a person's own folder.

In: a split, or a folder. Out: `Photograph`s, which name a file and say whose it is. Validation and test
photographs and the demo lie beside this file and ship with the package; the training photographs lie in
`training-photos/` of the source repository. Each folder has a `photographs.toml` with one entry per file.
No photograph, nor two of one view, is in two splits. To add one: scale it, strip it, put it in the folder
with an entry, and let the tests check it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from editthinker.core.errors import ImageError, InputError
from editthinker.core.images import Picture

Split = Literal["train", "validation", "test", "demo", "own"]
"""`own` is a person's folder; every other split is disjoint from the rest."""

SHIPPED = Path(__file__).parent
TRAINING = SHIPPED.parents[3] / "training-photos"
MANIFEST = "photographs.toml"


class Photograph(BaseModel):
    """One photograph on disk and whose it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    split: Split
    width: int
    height: int
    author: str = ""
    licence: str = ""
    """SPDX identifier, or `LicenseRef-public-domain`; empty for a person's own photographs."""
    package: str = ""
    """The package that published it, with its version."""
    source: str = ""
    """The file in that package."""
    url: str = ""
    """Where its author published it, if the package says so."""
    sha256: str = ""
    """Of the file's bytes."""

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def picture(self) -> Picture:
        """Its pixels. Raises `ImageError`."""
        return Picture.open(self.path)


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds: the photographs, and what could not be read with one sentence each."""

    photographs: tuple[Photograph, ...]
    skipped: tuple[str, ...]


def photographs(split: Split) -> list[Photograph]:
    """The photographs of one split, by name. Raises `InputError` for training ones outside the repository."""
    folder = TRAINING if split == "train" else SHIPPED
    try:
        table = tomllib.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"there are no {split} photographs here: {folder} has no {MANIFEST}") from error
    every = [Photograph(path=folder / row.pop("file"), **row) for row in table["photograph"]]
    return sorted((photo for photo in every if photo.split == split), key=lambda photo: photo.name)


def demo_photo() -> Path:
    """The photograph that examples and the demo use, 1600 x 1067 pixels."""
    return photographs("demo")[0].path


def folder(path: Path) -> Folder:
    """A person's own photographs: every image directly in `path`, by name; hidden files are passed over.

    Raises `InputError` when it is no folder or holds no readable image.
    """
    if not path.is_dir():
        raise InputError(f"{path} is not a folder of photographs")
    found, skipped = [], []
    for file in sorted(path.iterdir()):
        if file.is_dir() or file.name.startswith("."):
            continue
        try:
            width, height = Picture.open(file).size
        except ImageError as error:
            skipped.append(str(error))
        else:
            found.append(Photograph(path=file, split="own", width=width, height=height))
    if not found:
        raise InputError(f"{path} holds no readable photograph" + (f": {skipped[0]}" if skipped else ""))
    return Folder(tuple(found), tuple(skipped))
