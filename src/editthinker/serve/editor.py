"""Any editor behind HTTP: OpenAI's image-edit API and the paper's editing service in one application.

In: an editor. Out: an ASGI application. It answers 200 on /health only once the editor has really edited
something; a client that leaves takes its edit with it.

    editthinker serve-editor darkroom
    editthinker edit photo.jpg "warmer" --editor 'openai:darkroom?base_url=http://127.0.0.1:8005/v1'
    editthinker edit photo.jpg "warmer" --editor 'service:http://127.0.0.1:8005'
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from editthinker.core.contracts import Editor
from editthinker.core.errors import EditThinkerError
from editthinker.serve import openai_wire, paper_wire
from editthinker.serve.answers import explain
from editthinker.serve.guard import Guard
from editthinker.serve.line import Line

MAX_BYTES = 128 * 2**20
"""Of a request: several photographs of 12 megapixels as PNG, or one in base64."""
LONGEST_LINE = 32


def editor_app(
    editor: Editor,
    *,
    served_as: str,
    token: str = "",
    max_bytes: int = MAX_BYTES,
    concurrency: int = 1,
    longest: int = LONGEST_LINE,
    told: Callable[[EditThinkerError | None], None] | None = None,
) -> FastAPI:
    """The application; `served_as` is its model id, and `concurrency` edits run at a time.

    The editor is warmed up when the server starts (or at the first request, where the application is part of
    another); `told` hears the end of that: None, or why the editor will never be ready.
    """
    line = Line(editor, concurrency=concurrency, longest=longest, told=told)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        line.open()
        yield
        await line.close()

    app = FastAPI(title=f"editthinker serve-editor {served_as}", lifespan=lifespan)
    app.include_router(openai_wire.routes(line, served_as))
    app.include_router(paper_wire.routes(line, served_as))
    app.add_middleware(Guard, token=token, max_bytes=max_bytes, entered=line.open)
    explain(app)
    return app
