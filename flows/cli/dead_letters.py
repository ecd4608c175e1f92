"""`penstock dead-letters`: what could not be used, why, and putting it back after a fix."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.messages import dead_letters, printable
from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes, session
from flows.services.corrections import replay as replaying
from state.events.timestamps import ms_rfc3339

app = typer.Typer(
    add_completion=False, help="The dead-letter queue: messages that could not be used."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


@app.command("list")
@command("dead-letters list")
def list_letters(*, as_json: Json = False) -> int:
    """List every dead letter, the oldest first.

    Example: `penstock dead-letters list`
    """
    with session.reached_or_made() as run:
        rows = [_row(listed) for listed in dead_letters.listing(run.log)]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row)
        return exit_codes.OK
    for row in rows:
        replayed = "  replayed" if row["replayed"] else ""
        output.line(f"{row['id']}  {row['time']}  {row['topic']}  {row['step']}{replayed}")
        output.line(f"    {row['reason']}")
    letters = "dead letter" if len(rows) == 1 else "dead letters"
    output.line(f"{len(rows)} {letters}; see one whole with `penstock dead-letters show ID`")
    return exit_codes.OK


@app.command()
@command("dead-letters show")
def show(letter: Id, *, as_json: Json = False) -> int:
    """Show one dead letter: why, from where, and the message itself.

    Example: `penstock dead-letters show 2f1c.../0/42`
    """
    with session.reached_or_made() as run:
        found = next((x for x in dead_letters.listing(run.log) if x.letter.id == letter), None)
    if found is None:
        return _unknown("show", letter)
    text = printable.text_or_base64
    message = found.letter
    whole = {
        **_row(found),
        "key": text(message.key),
        "headers": {name: text(value) for name, value in message.headers},
        "payload": text(message.payload),
    }
    output.record(whole, as_json=as_json)
    return exit_codes.OK


@app.command()
@command("dead-letters replay")
def replay(
    letter: Annotated[str | None, typer.Argument(metavar="ID", help="As `list` shows it.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All not replayed before.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Also if it takes much stock away at once.")
    ] = False,
) -> int:
    """Put messages back on their topics, after what they failed on was fixed.

    Examples: `penstock dead-letters replay --all`, `penstock dead-letters replay 2f1c.../0/42 --accept`
    """
    if (letter is None) != every:
        output.fault("dead-letters replay", "expected an ID or --all")
        return exit_codes.USAGE
    if accept and every:
        output.fault("dead-letters replay", "--accept: expected one ID: look at each before")
        return exit_codes.USAGE
    with session.reached_or_made() as run:
        counts = replaying.replay(run, letter, accept=accept)
    if counts.unknown:
        return _unknown("replay", letter or "")
    output.line(f"dead-letters: replayed={counts.replayed} failed={counts.failed}")
    return exit_codes.FINDING if counts.failed else exit_codes.OK


def _row(listed: dead_letters.ListedLetter) -> dict[str, Any]:
    letter = listed.letter
    return {
        "id": letter.id,
        "time": ms_rfc3339(listed.timestamp_ms),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "step": letter.step,
        "reason": letter.reason,
        "replayed": listed.replayed,
    }


def _unknown(verb: str, letter: str) -> int:
    output.fault(
        f"dead-letters {verb}",
        f"expected the ID of a dead letter, got {letter!r}; see `penstock dead-letters list`",
    )
    return exit_codes.FINDING
