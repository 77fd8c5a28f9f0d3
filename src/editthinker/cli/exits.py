"""Every way a command ends, as an exit code and one sentence on stderr.

A traceback is for us, not for users: it is shown only when EDITTHINKER_DEBUG=1.
"""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum
from typing import Any

import typer

from editthinker.cli.terminal import say
from editthinker.core.errors import EditThinkerError, InputError, MissingExtra, StoreError

UsageError = typer.BadParameter.__base__ or typer.BadParameter
"""The class typer raises for a wrong command line; its own home moves between typer's versions."""


class Exit(IntEnum):
    """What the shell is told."""

    DELIVERED = 0
    NOT_DELIVERED = 1
    BAD_INPUT = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


def explain(error: BaseException) -> Exit:
    """Say what happened in one sentence and return the exit code for it."""
    if os.environ.get("EDITTHINKER_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # of several that failed at once, the first speaks for all
    match error:
        case KeyboardInterrupt():
            say("interrupted")
            return Exit.INTERRUPTED
        case BrokenPipeError():
            # Whoever read our output has left; a second complaint at interpreter exit is avoided this way.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.NOT_DELIVERED
        case InputError() | MissingExtra() | StoreError():
            say(f"error: {error}")
            return Exit.BAD_INPUT
        case EditThinkerError():
            say(f"error: {error}")
            return Exit.NOT_DELIVERED
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            say(f"error: {place}{error.strerror or error}")
            return Exit.BAD_INPUT
        case MemoryError():
            say("error: not enough memory for this image")
            return Exit.BAD_INPUT
    if isinstance(error, UsageError):
        return _explain_usage(error)
    say(f"error: a bug ({type(error).__name__}: {error}); EDITTHINKER_DEBUG=1 shows where")
    return Exit.NOT_DELIVERED


def _explain_usage(error: BaseException) -> Exit:
    context = getattr(error, "ctx", None)
    verb = context.command_path if context else "editthinker"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    say(f"error: {message.rstrip('.')}{_variable(error, context)}; see '{verb} --help'")
    return Exit.BAD_INPUT


def _variable(error: BaseException, context: Any) -> str:
    """The environment variable that held the wrong value, if one did."""
    param = getattr(error, "param", None)
    source = context.get_parameter_source(param.name) if context and param else None
    return f" (in {param.envvar})" if param and source and source.name == "ENVIRONMENT" else ""
