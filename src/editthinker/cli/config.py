"""`editthinker config`: what holds, and who said so; a file to start from; trust in a project's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.terminal import inert, say

if TYPE_CHECKING:
    from editthinker.config import Config

STARTER = """\
# What `editthinker edit` does when nothing else is said. The command line and EDITTHINKER_... variables win.
# Remove the '#' of what you want; `editthinker config show` says what holds and why.

[defaults]
# editor = "kontext"                # a name below, or one of `editthinker models`
# thinker = "editthinker-8b"
# turns = 3
# threshold = 8.0
# max_cost = 1.00                   # US dollars for one photo
# max_seconds = 600

# [presets.careful]                 # chosen by --preset careful
# turns = 5
# candidates = 2

# [editors.kontext]
# use = "diffusers:black-forest-labs/FLUX.1-Kontext-dev"
# steps = 28                        # settings: `editthinker models diffusers`

# [thinkers.editthinker-8b]
# use = "vllm:EditThinker-8B"
# base_url = "http://127.0.0.1:8000/v1"

# [editors.hosted]
# use = "openai:gpt-image-2.5-flare"
# key = "env:OPENAI_API_KEY"        # or file:PATH, or keyring:SERVICE/USER; never the key itself

# [bench.imgedit]                   # then `editthinker bench imgedit` alone is enough
# data = "~/data/ImgEdit/Benchmark"
# prompts = "~/code/ImgEdit"        # a checkout of the authors' code
# judge = "chat:gpt-4o"             # or several addresses of one judge: ["...", "..."]

# [prices]                          # US dollars, in place of the table that comes with the program
# "gpt-image-2.5-flare" = 0.05      # one edited image
# "some-chat-model" = { price_in = 1.0, price_out = 4.0 }  # per million tokens
"""


def show(context: typer.Context, json: options.Json = False) -> None:
    """Print every value that 'editthinker edit' would use, and where it comes from.

    Keys are never printed, only where they are.
    """
    from editthinker.config import load

    config = load()
    told = _document(context.find_root(), config)
    if json:
        from json import dumps

        print(dumps(told, indent=2))
        return
    for line in _lines(told):
        print(inert(line))


def init(
    user: Annotated[
        bool, typer.Option("--user", help="Your own file, instead of the one of this folder.")
    ] = False,
) -> None:
    """Write a commented file to start from: editthinker.toml here, or your own with --user."""
    from editthinker.config import user_file
    from editthinker.config.reading import PROJECT
    from editthinker.core.errors import StoreError
    from editthinker.core.files import write_atomically

    path = user_file() if user else Path(PROJECT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    write_atomically(path, STARTER.encode(), overwrite=False)
    say(f"written: {path}")


def trust(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Without it, the nearest editthinker.toml upwards."),
    ] = None,
) -> None:
    """Let a project's file define models, as it is now.

    What a model is decides which code runs, and where photos and keys go. A file that came with somebody
    else's folder may do that only after you have read it; once it changes, it has to be trusted again.
    """
    from editthinker.config import project_file
    from editthinker.config.reading import PROJECT, checked, read_bytes
    from editthinker.config.trust import trust as remember
    from editthinker.core.errors import InputError

    path = file or project_file()
    if path is None:
        raise InputError(f"there is no {PROJECT} here or in a folder above")
    content = read_bytes(path)
    config, _ = checked(path, content)
    remember(path, content)
    say(f"trusted: {path}")
    for named in config.models.values():
        say(f"  [{named.role}s.{named.name}] {named.use}")


def _document(root: Any, config: Config) -> dict[str, Any]:
    """What holds, as JSON."""
    from editthinker import resolve
    from editthinker.config import project_file, user_file

    models = [
        {
            "role": role,
            "name": name,
            "means": resolve.understood(role, name, config).spelled,
            "origin": str(named.file),
        }
        for (role, name), named in config.models.items()
    ]
    project = project_file()
    return {
        "schema_version": 1,
        "files": {"user": str(user_file()), "project": str(project) if project else None},
        "found": [str(path) for path in config.files],
        "values": _values(root, config),
        "models": models,
        "prices": {model: dict(price) for model, price in config.prices.items()},
        "bench": _bench(config),
    }


def _values(root: Any, config: Config) -> dict[str, dict[str, Any]]:
    """Every option that can be configured, read exactly as `edit` would read it."""
    from editthinker.core import names

    command: Any = root.command.commands["edit"]
    edit = command.make_context("edit", ["IMAGE", "INSTRUCTION"], parent=root)
    preset = config.presets.get(edit.params["preset"] or "", {})
    told = {}
    for param in command.params:
        if not param.envvar:
            continue
        value, source = edit.params[param.name], edit.get_parameter_source(param.name).name
        if source == "ENVIRONMENT":
            origin = f"variable {param.envvar}"
        elif source == "DEFAULT_MAP":
            _, file = preset.get(param.name) or config.defaults[param.name]
            origin = f"{file}{', preset ' + edit.params['preset'] if param.name in preset else ''}"
        else:
            origin = "built in"
        several = isinstance(value, list | tuple)
        safe = [names.recorded(str(name)) for name in value] if several else value
        told[param.name] = {
            "value": names.recorded(safe) if isinstance(safe, str) else safe,
            "origin": origin,
        }
    return told


def _bench(config: Config) -> dict[str, dict[str, Any]]:
    """What is said of each benchmark. Raises `UnknownName` for one that does not exist."""
    from editthinker.cli.bench.configured import known
    from editthinker.core import names

    return {
        suite: {
            key: {
                "value": [names.recorded(one) for one in value] if isinstance(value, list) else value,
                "origin": str(file),
            }
            for key, (value, file) in said.items()
        }
        for suite, said in known(config).items()
    }


def _lines(told: dict[str, Any]) -> list[str]:
    """The document for a person."""
    lines = [f"{kind + ' file:':14}{_found(path, told['found'])}" for kind, path in told["files"].items()]
    lines.append("")
    width = max(len(_shown(row["value"])) for row in told["values"].values())
    for key, row in told["values"].items():
        lines.append(f"{key:18}{_shown(row['value']):{width}}  {row['origin']}")
    if told["models"]:
        lines.append("")
        lines += [f"{row['role']} {row['name']} = {row['means']}  {row['origin']}" for row in told["models"]]
    for suite, said in told["bench"].items():
        lines.append("")
        lines += [
            f"bench {suite} {key} = {_shown(row['value'])}  {row['origin']}" for key, row in said.items()
        ]
    lines += [f"price of {model}: {price}" for model, price in told["prices"].items()]
    return lines


def _found(path: str | None, found: list[str]) -> str:
    if path is None:
        return "none"
    return path if path in found else f"{path} (not there)"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
