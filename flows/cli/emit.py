"""`penstock emit`: the lines of a file, or of standard input, become messages."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from flows.cli import output, progress
from flows.cli.command import command
from flows.runtime import exit_codes, session
from flows.services.corrections import append_events

app = typer.Typer(add_completion=False)

FAULTS_SHOWN = 20


@app.command()
@command("emit")
def emit(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="Lines to append; - is stdin.")],
    *,
    topic: Annotated[
        str | None, typer.Option(help="Append the bytes of each line to this topic as they are.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Key of every message.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Header; may come again.")
    ] = None,
) -> int:
    """Append each line as a message: a CloudEvent goes where its type says, or to --topic.

    Examples: `penstock emit events.jsonl`, `cat raw | penstock emit - --topic pos.sales --key s001`
    """
    try:
        target = _target(topic, key, header or [])
    except ValueError as error:
        output.fault("emit", str(error))
        return exit_codes.USAGE
    failures = Failures()
    with ExitStack() as stack:
        try:
            lines = stack.enter_context(_lines(source))
        except OSError as error:
            output.unreadable("emit", source, error)
            return exit_codes.USAGE
        run = stack.enter_context(session.reached_or_made())
        advance = stack.enter_context(_progress(source))
        tally = append_events.append_lines(run.log, lines, target, failures.add, advance)
    failures.close()
    output.line(f"emit: appended={tally.appended} failed={tally.failed}")
    if tally.is_away:
        return exit_codes.AWAY_EXIT
    return exit_codes.FINDING if tally.failed else exit_codes.OK


class Failures:
    """Prints the first lines that failed, then only counts them."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, number: int, reason: str) -> None:
        """Print why a line did not become a message, or count it."""
        self._count += 1
        if self._count <= FAULTS_SHOWN:
            output.fault("emit", f"line {number}: {reason}")

    def close(self) -> None:
        """Print how many were only counted."""
        if self._count > FAULTS_SHOWN:
            output.fault("emit", f"and {self._count - FAULTS_SHOWN} more lines")


def _target(topic: str | None, key: str | None, headers: list[str]) -> append_events.Target:
    if topic is not None and topic not in session.TOPICS:
        expected = f"expected one of {', '.join(session.TOPICS)}"
        raise ValueError(f"--topic: {expected}, got {topic!r}")
    pairs = [header.partition("=") for header in headers]
    if wrong := [name + equals for name, equals, _ in pairs if not (name and equals)]:
        raise ValueError(f"--header: expected name=value, got {wrong[0]!r}")
    encoded = tuple((name, value.encode()) for name, _, value in pairs)
    return append_events.Target(topic, None if key is None else key.encode(), encoded)


def _lines(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")


def _progress(source: str) -> AbstractContextManager[progress.Advance]:
    """Return a bar over the bytes of a file; how much standard input will yield is not known."""
    if source == "-":
        return nullcontext(lambda _count: None)
    return progress.bar("emit", Path(source).stat().st_size)
