"""`penstock dead-letters`: what could not be used, why, and putting it back after a fix."""

from typing import Any

from connectors.messages import dead_letters
from connectors.messages.dead_letters import Listed
from connectors.messages.printable import text_or_base64
from flows.cli import output
from flows.runtime.clock import now_ms
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.session import reached_or_made
from state.events.timestamps import ms_rfc3339
from state.store import guard_decisions as feeds


def list_letters(*, as_json: bool) -> int:
    """List every letter, the oldest first."""
    with reached_or_made() as run:
        rows = [_row(listed) for listed in dead_letters.listing(run.log)]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row)
    else:
        for row in rows:
            again = "  replayed" if row["replayed"] else ""
            output.line(f"{row['id']}  {row['time']}  {row['topic']}  {row['step']}{again}")
            output.line(f"    {row['reason']}")
        letters = "dead letter" if len(rows) == 1 else "dead letters"
        output.line(f"{len(rows)} {letters}; see one whole with `penstock dead-letters show ID`")
    return OK


def show(letter_id: str, *, as_json: bool) -> int:
    """Show one letter whole: its reason, its place, and its bytes as text if they are."""
    with reached_or_made() as run:
        found = [x for x in dead_letters.listing(run.log) if x.letter.id == letter_id]
    if not found:
        return _unknown("show", letter_id)
    letter = found[0].letter
    whole = {
        **_row(found[0]),
        "key": text_or_base64(letter.key),
        "headers": {name: text_or_base64(value) for name, value in letter.headers},
        "payload": text_or_base64(letter.payload),
    }
    if output.wants_json(asked=as_json):
        output.json_line(whole)
    else:
        output.fields(whole)
    return OK


def replay(letter_id: str | None, *, every: bool, accept: bool) -> int:
    """Put the message of a letter, or of `every` letter not replayed yet, back on its topic.

    `accept` lets one pass that was held back because it took too much stock away.
    """
    if (letter_id is None) != every:
        output.fault("dead-letters replay", "expected an ID or --all")
        return USAGE
    if accept and every:
        output.fault("dead-letters replay", "--accept: expected one ID: look at each before")
        return USAGE
    with reached_or_made() as run:
        ids = None if letter_id is None else [letter_id]
        more = (feeds.ACCEPTED,) if accept else ()
        counts = dead_letters.replay(run.log, ids, now_ms(), more)
    if counts.unknown:
        return _unknown("replay", letter_id or "")
    output.line(f"dead-letters: replayed={counts.replayed} failed={counts.failed}")
    return FINDING if counts.failed else OK


def _row(listed: Listed) -> dict[str, Any]:
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


def _unknown(command: str, letter_id: str) -> int:
    output.fault(
        f"dead-letters {command}",
        f"expected the ID of a dead letter, got {letter_id!r}; see `penstock dead-letters list`",
    )
    return FINDING
