"""`editthinker serve-editor`: one half of the loop here, the other wherever you like."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from editthinker.cli import options
from editthinker.cli.terminal import say

if TYPE_CHECKING:
    import socket

    import uvicorn

    from editthinker.core.contracts import EditorInfo
    from editthinker.core.errors import EditThinkerError

GRACE_SECONDS = 3
"""How long edits may go on after Ctrl-C."""
SPARE_CONNECTIONS = 64

Name = Annotated[str, typer.Argument(metavar="NAME", help="See 'editthinker models'; or pkg.module:factory.")]
Host = Annotated[str, typer.Option(help="Where to listen; beyond this machine a token is required.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]
TokenFrom = Annotated[
    str,
    typer.Option(
        metavar="env:NAME",
        help="Where the token is that clients must send: env:NAME, file:PATH or keyring:SERVICE/USER.",
        show_default=False,
    ),
]
Concurrency = Annotated[int, typer.Option(min=1, metavar="N", help="Edits made at the same time.")]
Longest = Annotated[int, typer.Option("--queue", min=0, metavar="N", help="Edits that may wait.")]


def serve_editor(
    name: Name,
    host: Host = "127.0.0.1",
    port: Port = 8005,
    token_from: TokenFrom = "",
    concurrency: Concurrency = 1,
    longest: Longest = 32,
    quiet: options.Quiet = False,
) -> None:
    """Put an editor behind HTTP, for a loop that runs somewhere else.

    It speaks OpenAI's image-edit API (/v1/images/edits) and the paper's service (/edit). /health is 503 until
    the editor has really edited a tiny image, then 200. Ctrl-C stops it.

    \b
    Examples:
      editthinker serve-editor darkroom
      editthinker serve-editor diffusers:black-forest-labs/FLUX.1-Kontext-dev --concurrency 1
      editthinker serve-editor darkroom --host 0.0.0.0 --token-from env:EDITOR_TOKEN
    """  # noqa: D301 click looks for \b
    from editthinker.cli import naming
    from editthinker.core.errors import InputError
    from editthinker.wire import secrets

    _check_installed()
    from editthinker.serve.editor import editor_app

    token = secrets.read(token_from)
    if not token and not _is_loopback(host):
        raise InputError(f"anybody who reaches {host} could use this editor; give a token with --token-from")
    editor, served_as = naming.editor(name), model_id(name)
    warm_up = WarmUp(quiet=quiet)
    with _listening(host, port) as listener:
        url = f"http://{_shown(host)}:{listener.getsockname()[1]}"
        if not quiet:
            _introduce(editor.info, served_as, url, token.origin)
        app = editor_app(
            editor,
            served_as=served_as,
            token=token.value,
            concurrency=concurrency,
            longest=longest,
            told=warm_up,
        )
        warm_up.server = _server(app, concurrency + longest + SPARE_CONNECTIONS)
        warm_up.server.run(sockets=[listener])
    if warm_up.failure:
        raise warm_up.failure


class WarmUp:
    """Hears how the warm-up ended: says that the editor is ready, or ends the server that can do nothing."""

    server: uvicorn.Server
    failure: EditThinkerError | None = None

    def __init__(self, *, quiet: bool) -> None:
        self._began, self._quiet = time.monotonic(), quiet

    def __call__(self, failure: EditThinkerError | None) -> None:
        """Called once."""
        if failure:
            self.failure = failure
            self.server.should_exit = True
        elif not self._quiet:
            say(f"ready after {time.monotonic() - self._began:.1f} s")


def _server(app: Any, most_connections: int) -> uvicorn.Server:
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            ws="none",
            limit_concurrency=most_connections,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def _check_installed() -> None:
    from importlib.util import find_spec

    from editthinker.core.errors import MissingExtra

    if not all(find_spec(module) for module in ("fastapi", "uvicorn", "python_multipart")):
        raise MissingExtra("serve-editor", "serve")


def model_id(name: str) -> str:
    """What clients call it: "darkroom", "org/repo" of "diffusers:org/repo?steps=4", "klein" of a path."""
    what = name.partition(":")[2].partition("?")[0] or name
    return what.rstrip("/").rpartition("/")[2] if "//" in what or what[:1] in "/.~" else what


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(host: str) -> str:
    """The host as others can write it in a URL."""
    import socket

    if host in ("0.0.0.0", "::", ""):  # noqa: S104 compared, not listened to
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listening(host: str, port: int) -> socket.socket:
    """A socket that accepts connections already. Raises `InputError`."""
    import os
    import socket

    from editthinker.core.errors import InputError

    # The protocol is named because asyncio lets answers go out at once (TCP_NODELAY) only where it is.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listener


def _introduce(info: EditorInfo, served_as: str, url: str, key: str) -> None:
    """Who is here, and the names under which a loop elsewhere uses it."""
    of_openai = f"&max_images={info.max_images}{'&mask=true' if info.mask else ''}"
    of_openai += f"&key={key}" if key else ""
    of_paper = f"?key={key}" if key else ""
    say(f"{served_as} at {url}; {url}/health says when it is ready; stop it with Ctrl-C")
    say("name it as an editor, with the one or the other API:")
    say(f"  --editor 'openai:{served_as}?base_url={url}/v1{of_openai}'")
    say(f"  --editor 'service:{url}{of_paper}'")
    if "127.0.0.1" in url or "localhost" in url:
        port = url.rpartition(":")[2]
        say(f"from another machine, first: ssh -N -L {port}:127.0.0.1:{port} THIS_MACHINE")
