"""`penstock top`: how the flows are doing, read from the metrics of every process, again and again.

On a terminal a screen that renews itself, until `q` or Ctrl-C; piped, a line of JSON for each interval.
"""

from __future__ import annotations

import os
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich import console, live, text

from connectors.config import settings
from flows.cli import output, top_screen
from flows.cli.command import Json, command
from flows.runtime import exit_codes, signals
from flows.services.board import scrape, watch

app = typer.Typer(add_completion=False)


@app.command()
@command("top")
def top(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST:PORT",
            help="Where metrics are served. Default: PENSTOCK_METRICS and the nine ports above.",
        ),
    ] = None,
    *,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds from one look to the next.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Leave after one interval.")] = False,
    as_json: Json = False,
) -> int:
    """Watch the flows: traffic, freshness, lag, what is oversold, paused or silent. `q` leaves.

    Piped, each interval is a line of JSON. Exit 3 if --once is given and nothing answers.

    Examples: `penstock top`, `penstock top --once --json`, `penstock top shop1:9464 shop2:9464`
    """
    try:
        named = _checked(addresses or [])
    except ValueError as error:
        output.fault("top", str(error))
        return exit_codes.USAGE
    found = named or _of_settings()
    if not found:
        output.fault("top", "PENSTOCK_METRICS is off: expected the addresses to look at")
        return exit_codes.USAGE
    signals.install()
    watched = watch.Watch(found, were_named=bool(named))
    if once:
        return _once(watched, interval, as_json=as_json)
    if output.wants_json(asked=as_json):
        return _stream(watched, interval)
    return _screen(watched, interval)


def _checked(addresses: list[str]) -> list[str]:
    for address in addresses:
        scrape.place(address)
    return addresses


def _of_settings() -> list[str]:
    """Return where the processes of the settings serve metrics, nothing where they serve none."""
    found = settings.load()
    return [] if found.metrics_address is None else scrape.span(found.metrics)


def _once(watched: watch.Watch, interval_s: float, *, as_json: bool) -> int:
    figures = watched.look()
    if figures is not None:
        if signals.wait(interval_s):
            return exit_codes.OK
        figures = watched.look()
    if figures is None:
        output.fault("top", top_screen.nothing_answers(watched.addresses))
        return exit_codes.AWAY_EXIT
    if output.wants_json(asked=as_json):
        output.json_line(figures)
    else:
        console.Console().print(top_screen.screen(figures, interval_s), soft_wrap=True)
    return exit_codes.OK


def _stream(watched: watch.Watch, interval_s: float) -> int:
    """Print a line for each interval; when nothing answers say so, once until something does."""
    watched.look()
    was_silent = False
    while not signals.wait(interval_s):
        figures = watched.look()
        if figures is not None:
            output.json_line(figures)
            sys.stdout.flush()
        elif not was_silent:
            output.fault("top", top_screen.nothing_answers(watched.addresses))
        was_silent = figures is None
    return exit_codes.OK


def _screen(watched: watch.Watch, interval_s: float) -> int:
    watched.look()
    with _keys(), live.Live(screen=True, auto_refresh=False) as screen:
        screen.update(text.Text("reading ..."), refresh=True)
        while not signals.wait(interval_s):
            figures = watched.look()
            if figures is None:
                shown = text.Text(top_screen.nothing_answers(watched.addresses))
            else:
                shown = top_screen.screen(figures, interval_s)
            screen.update(text.Text.assemble(shown, ("\n\nq leaves", "dim")), refresh=True)
    return exit_codes.OK


@contextmanager
def _keys() -> Iterator[None]:
    """Let `q` ask this process to stop; the terminal shows no keys meanwhile."""
    if not sys.stdin.isatty():
        yield
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    threading.Thread(target=_await_q, args=(keyboard,), name="keys", daemon=True).start()
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _await_q(keyboard: int) -> None:
    while os.read(keyboard, 1) not in {b"q", b"Q", b""}:
        continue
    signals.ask()
