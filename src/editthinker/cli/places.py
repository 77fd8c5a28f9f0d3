"""Where the photo comes from and where the result goes; what can be refused is refused before any work."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from editthinker.core.decoding import MAX_BYTES
from editthinker.core.errors import InputError
from editthinker.core.formats import format_of_suffix
from editthinker.core.images import Picture

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Destination:
    """A place for one result: a file that may be written, or stdout."""

    path: Path | None
    """None: PNG on stdout."""
    replace: bool = False

    def write(self, picture: Picture) -> None:
        """Write the picture, whole or not at all. Raises `InputError` or `StoreError`."""
        if self.path:
            picture.save(self.path, overwrite=self.replace)
        else:
            sys.stdout.buffer.write(picture.encode("image/png"))
            sys.stdout.buffer.flush()


def destination(out: str | None, image: str, *, force: bool) -> Destination:
    """Choose and check the place of the result. Raises `InputError` if it could not be written there."""
    if out == STREAM:
        if sys.stdout.isatty():
            raise InputError("'-o -' writes PNG bytes; send them to a file or a pipe, not to the terminal")
        return Destination(None)
    path = Path(out) if out is not None else default_name(image)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the result a file name with -o")
    format_of_suffix(path.suffix)
    if (path.exists() or path.is_symlink()) and not force:
        raise InputError(f"{path} exists already; --force replaces it, -o names another file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file; -o names another")
    check_writable(path.resolve().parent)
    return Destination(path, replace=force)


def default_name(image: str) -> Path:
    """`photo.edited.png` beside `photo.jpg`; `stdin.edited.png` here when the photo comes from stdin."""
    if image == STREAM:
        return Path("stdin.edited.png")
    source = Path(image)
    return source.with_name(f"{source.stem}.edited.png")


def label(image: str) -> str:
    """What the photo is called in records."""
    return "stdin" if image == STREAM else Path(image).name


def check_writable(folder: Path) -> None:
    """Prove that a file can be made in `folder`, by making a nameless one. Raises `InputError`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error


def photo(image: str) -> Picture:
    """Read the source from a file or stdin. Raises `ImageError`."""
    if image != STREAM:
        return Picture.open(image)
    if sys.stdin.isatty():
        raise InputError(
            "'-' reads the photo from stdin; pipe one in, as in: editthinker edit - ... < photo.jpg"
        )
    return Picture.open(sys.stdin.buffer.read(MAX_BYTES + 1))
