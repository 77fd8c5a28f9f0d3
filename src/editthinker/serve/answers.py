"""How a failure looks over HTTP: its status, and its words in the shape of the API that was called.

In: an error of `core.errors`, or what the framework raised. Out: `{"error": {message, type, code}}` below
/v1, as OpenAI's API answers; `{"detail": ...}` elsewhere, as the paper's service does.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from editthinker.core.errors import EditThinkerError, InputError, Refused
from editthinker.serve.line import Busy

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


class BadField(InputError):
    """One field of a request cannot be used; `code` is for programs."""

    def __init__(self, message: str, field: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.field, self.code = field, code


def failure(
    path: str, status: int, message: Any, *, code: str = "", field: str = "", retry_after: float | None = None
) -> JSONResponse:
    """The answer for a failure of the endpoint at `path`."""
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if not path.startswith("/v1/"):
        return JSONResponse({"detail": message}, status, headers)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    error = {"message": str(message), "type": kind, "code": code or None, "param": field or None}
    return JSONResponse({"error": error}, status, headers)


def of_error(path: str, error: EditThinkerError) -> JSONResponse:
    """The answer for an error of ours."""
    if isinstance(error, Refused):
        return failure(path, 400, str(error), code="moderation_blocked")
    if isinstance(error, BadField):
        return failure(path, 400, str(error), code=error.code, field=error.field)
    if isinstance(error, InputError):
        return failure(path, 400, str(error), code="invalid_request")
    status = 503 if error.transient else 500
    code = "queue_full" if isinstance(error, Busy) else "editor_error"
    return failure(path, status, str(error), code=code, retry_after=error.retry_after)


def explain(app: FastAPI) -> None:
    """Make `app` answer every failure in its endpoint's shape."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, EditThinkerError)  # noqa: S101 registered for this class
        return of_error(request.url.path, error)

    async def of_framework(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, StarletteHTTPException)  # noqa: S101 registered for this class
        return failure(request.url.path, error.status_code, error.detail)

    async def of_fields(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 registered for this class
        # Without "input": a wrong field may be an image of many megabytes.
        told = [{key: one[key] for key in ("loc", "msg", "type")} for one in error.errors()]
        return failure(request.url.path, 422, told)

    app.add_exception_handler(EditThinkerError, ours)
    app.add_exception_handler(StarletteHTTPException, of_framework)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, of_fields)
