"""A command: what its function raises becomes words on standard error and an exit code; and options that many have."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, ParamSpec

import typer

from flows.cli import output
from flows.runtime import exit_codes, process

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON on a terminal, too.")]
By = Annotated[str, typer.Option("--by", metavar="WHO", help="Who decides; kept in the history.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; kept in the history.")]
Timeout = Annotated[float, typer.Option(min=0.0, help="Seconds to wait until it is applied.")]
Sku = Annotated[str, typer.Argument(metavar="SKU", help="The SKU.")]
ChannelId = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its id in the configuration.")]

Params = ParamSpec("Params")


def command(name: str) -> Callable[[Callable[Params, int]], Callable[Params, int]]:
    """Decorate the function of `penstock NAME`, which does the work and returns the exit code.

    An error becomes its words and the exit code of `exit_codes.verdict`; one of usage (`typer.BadParameter`) is
    passed on to the root.
    """

    def decorate(work: Callable[Params, int]) -> Callable[Params, int]:
        @wraps(work)
        def run(*args: Params.args, **options: Params.kwargs) -> int:
            process.set_up_logging()
            try:
                code = work(*args, **options)
                sys.stdout.flush()
            except BrokenPipeError:
                # The reader has gone; the interpreter flushes once more at its end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = exit_codes.OK
            except typer.TyperException:
                raise
            except Exception as error:  # noqa: BLE001 - the edge
                code, text = exit_codes.verdict(error)
                output.fault(name, text)
            return code

        return run

    return decorate
