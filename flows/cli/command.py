"""Doing the work of a command: whatever it raises becomes words and an exit code."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on a terminal, too.")]


def do(name: str, work: Callable[[], int]) -> NoReturn:
    """Do the work of a command, and end with its exit code."""
    from flows.cli.output import fault
    from flows.runtime.exit_codes import verdict
    from flows.runtime.process import set_up_logging

    set_up_logging()
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has gone; the interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # noqa: BLE001 - the edge
        code, text = verdict(error)
        fault(name, text)
    raise typer.Exit(code)
