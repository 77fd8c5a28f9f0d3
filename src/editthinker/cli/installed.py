"""What is installed here: versions, extras and how to get them, processors, which keys are set."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import Any

KEYS = (
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
)
"""Variables that adapters read keys from."""
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)[^;]*(?:;.*extra == ['\"]([A-Za-z0-9._-]+)['\"])?")
_FOR_DEVELOPERS = "dev"
GIB = 2**30


def installed(*, devices: bool) -> dict[str, Any]:
    """Facts about this machine; `devices` asks torch for GPUs, where it is installed (that takes seconds)."""
    wanted = _requirements()
    return {
        "editthinker": metadata.version("editthinker"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": _memory(),
        "gpus": _gpus() if devices else None,
        "packages": _versions(wanted.pop("", [])),
        "extras": {extra: _extra(extra, names) for extra, names in sorted(wanted.items())},
        "keys": [name for name in KEYS if os.environ.get(name, "").strip()],
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """The same for a person."""
    memory = f", {facts['memory_gib']} GiB of memory" if facts["memory_gib"] else ""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    told = [
        f"editthinker {facts['editthinker']}, Python {facts['python']} on {facts['system']}",
        f"{facts['cores']} processor cores{memory}; {_told_gpus(facts['gpus'])}",
        f"packages: {packages}",
    ]
    for extra, state in facts["extras"].items():
        have = ", ".join(f"{name} {version}" for name, version in state["packages"].items() if version)
        missing = ", ".join(name for name, version in state["packages"].items() if not version)
        told.append(f"extra {extra}: " + (f"no {missing}; {state['install']}" if missing else have))
    told.append(f"keys in the environment: {', '.join(facts['keys']) or 'none'}")
    return told


def _requirements() -> dict[str, list[str]]:
    """Packages by extra, "" for those that are always needed; as declared by what is installed."""
    wanted: dict[str, list[str]] = {"": []}
    for line in metadata.requires("editthinker") or ():
        if (found := _REQUIREMENT.match(line)) and found[2] != _FOR_DEVELOPERS:
            wanted.setdefault(found[2] or "", []).append(found[1])
    return wanted


def _versions(names: list[str]) -> dict[str, str | None]:
    return {name: _version(name) for name in sorted(names)}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extra(extra: str, names: list[str]) -> dict[str, Any]:
    packages = _versions(names)
    return {
        "installed": all(packages.values()),
        "packages": packages,
        "install": f"pip install 'editthinker[{extra}]'",
    }


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB)
    except (AttributeError, ValueError, OSError):  # not every system tells
        return None


def _gpus() -> list[str] | None:
    """Names and memory; None when nobody can tell, because torch is not installed or does not load."""
    if _version("torch") is None:
        return None
    try:
        import torch
    except Exception:  # noqa: BLE001 a broken torch fails in many ways, and the doctor goes on without it
        return None
    if torch.cuda.is_available():
        seen = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return [f"{one.name}, {one.total_memory / GIB:.0f} GiB" for one in seen]
    return ["Apple GPU (mps)"] if torch.backends.mps.is_available() else []


def _told_gpus(gpus: list[str] | None) -> str:
    if gpus is None:
        return "GPUs were not looked for"
    return f"GPU: {'; '.join(gpus)}" if gpus else "no GPU that torch can use"
