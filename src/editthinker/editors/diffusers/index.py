"""What a folder or a repository says it holds: its `model_index.json`, from disk or from the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from editthinker.core.errors import EditorError, InputError
from editthinker.editors.diffusers.families import ELSEWHERE

INDEX = "model_index.json"


def is_folder(what: str) -> bool:
    """Whether `what` names a place on this machine rather than a repository."""
    return what.startswith((".", "/", "~")) or Path(what).expanduser().exists() or what.count("/") > 1


def cached_index(what: str, revision: str = "") -> dict[str, Any] | None:
    """`model_index.json` if it is on this machine; fetches nothing. Raises `InputError` for a wrong one."""
    if is_folder(what):
        if revision:
            raise InputError(f"{what!r} is a folder, which has no revisions; leave out 'revision'")
        return _index_in(Path(what).expanduser())
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(what, INDEX, revision=revision or None)
    except HFValidationError as error:
        raise InputError(f"{what!r} is neither a folder nor the name of a repository (OWNER/NAME)") from error
    return _read(Path(found)) if isinstance(found, str) else None


def index_of(what: str, revision: str = "") -> dict[str, Any]:
    """`model_index.json`, from disk or from the hub. Raises `InputError` or `EditorError`."""
    found = cached_index(what, revision)
    return found if found is not None else _fetched(what, revision)


def refuse_absent(label: str, what: str) -> None:
    """Raises `InputError` for models that diffusers is known not to have."""
    for name, instead in ELSEWHERE.items():
        if name.lower() in what.lower():
            raise InputError(f"{label}: {instead}")


def _index_in(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {str(folder)!r}; name a diffusers folder or a repository OWNER/NAME"
        )
    if (folder / INDEX).is_file():
        return _read(folder / INDEX)
    if (folder / "modular_model_index.json").is_file():
        raise InputError(
            f"{str(folder)!r} holds a modular pipeline; only pipelines with {INDEX} can be loaded"
        )
    raise InputError(
        f"{str(folder)!r} holds no diffusers pipeline: it has no {INDEX}; "
        "name the folder that save_pretrained wrote"
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        index = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(file)!r} cannot be read: {error}") from error
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise InputError(f"{str(file)!r} names no pipeline class")
    return index


def _fetched(what: str, revision: str) -> dict[str, Any]:
    from huggingface_hub import errors, hf_hub_download

    try:
        return _read(Path(hf_hub_download(what, INDEX, revision=revision or None)))
    except errors.GatedRepoError as error:
        page = f"https://huggingface.co/{what}"
        raise InputError(f"{what} is gated: accept its licence at {page}, then `hf auth login`") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{what} has no revision {revision!r}") from error
    except errors.LocalEntryNotFoundError as error:
        raise EditorError(
            f"{what} is not on this machine and the hub does not hand it out now "
            f"({first_line(error.__cause__ or error)}); connect, or name a folder"
        ) from error
    except errors.EntryNotFoundError as error:
        raise InputError(f"{what} is no diffusers pipeline: it has no {INDEX}") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"there is no repository {what}, or it is private: check the name, or `hf auth login`"
        ) from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise EditorError(f"the hub did not hand out {what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says, for a message of one sentence."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
