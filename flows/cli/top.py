"""`penstock top`: how the flows are doing, read from the metrics of every process, again and again.

On a terminal a screen that renews itself, until `q` or Ctrl-C; piped, a line of JSON for each interval.
"""

import os
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from connectors.config import settings as environment
from flows.cli import output
from flows.cli.top_screen import nothing_answers, screen
from flows.runtime import signals as stop
from flows.runtime.exit_codes import AWAY_EXIT, OK, USAGE
from flows.services.board.figures import Figures, figures
from flows.services.board.scrape import Reading, place, read_all, span


def top(named: Sequence[str], interval_s: float, *, once: bool, as_json: bool) -> int:
    """Show figures of every interval until stopped, or of one; exit 3 if one was asked for and nothing answers.

    Args:
        named: addresses, `host:port`; none = those of the setting.
        interval_s: from one reading to the next.
        once: leave after the first figures.
        as_json: lines of JSON on a terminal, too.
    """
    addresses = list(named)
    try:
        for address in addresses:
            place(address)
    except ValueError as error:
        output.fault("top", str(error))
        return USAGE
    if not addresses:
        setting = environment.load()
        if setting.metrics_address is None:
            output.fault("top", "PENSTOCK_METRICS is off: expected the addresses to look at")
            return USAGE
        addresses = span(setting.metrics)
    stop.install()
    watch = Watch(addresses, bool(named))
    if once:
        return _once(watch, interval_s, as_json=as_json)
    if output.wants_json(asked=as_json):
        return _stream(watch, interval_s)
    return _screen(watch, interval_s)


@dataclass(slots=True)
class Watch:
    """The addresses that are asked, and the last reading of each."""

    addresses: Sequence[str]
    were_named: bool
    last: list[Reading] = field(default_factory=list)

    def look(self) -> Figures | None:
        """Read all; return what happened since the last look, None when nothing answers."""
        before, self.last = self.last, read_all(self.addresses)
        answering = {reading.address for reading in self.last}
        silent = [a for a in self.addresses if a not in answering] if self.were_named else []
        return figures(before, self.last, time.time(), silent) if self.last else None


def _once(watch: Watch, interval_s: float, *, as_json: bool) -> int:
    found = watch.look()
    if found is not None:
        if stop.wait(interval_s):
            return OK
        found = watch.look()
    if found is None:
        output.fault("top", nothing_answers(watch.addresses))
        return AWAY_EXIT
    if output.wants_json(asked=as_json):
        output.json_line(found)
    else:
        Console().print(screen(found, interval_s), soft_wrap=True)
    return OK


def _stream(watch: Watch, interval_s: float) -> int:
    """Print a line for each interval; when nothing answers say so, once until something does."""
    watch.look()
    told = False
    while not stop.wait(interval_s):
        found = watch.look()
        if found is not None:
            output.json_line(found)
            sys.stdout.flush()
        elif not told:
            output.fault("top", nothing_answers(watch.addresses))
        told = found is None
    return OK


def _screen(watch: Watch, interval_s: float) -> int:
    watch.look()
    with _keys(), Live(screen=True, auto_refresh=False) as live:
        live.update(Text("reading ..."), refresh=True)
        while not stop.wait(interval_s):
            found = watch.look()
            shown = (
                Text(nothing_answers(watch.addresses))
                if found is None
                else screen(found, interval_s)
            )
            live.update(Text.assemble(shown, ("\n\nq leaves", "dim")), refresh=True)
    return OK


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
    stop.ask()
