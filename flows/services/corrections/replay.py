"""Replay dead letters: their messages return to their topics, after what they failed on was fixed."""

from connectors.messages import dead_letters
from connectors.messages.dead_letters import Replay
from flows.runtime.context import Runtime
from state.store import guard_decisions


def replay(run: Runtime, letter_id: str | None, *, accept: bool) -> Replay:
    """Put the message of a letter back on its topic; without an id, those of all letters not replayed yet.

    `accept` lets a message pass that the shrink guard held back. Delivery guarantee: at least once.
    """
    ids = None if letter_id is None else [letter_id]
    headers = (guard_decisions.ACCEPTED,) if accept else ()
    return dead_letters.replay(run.log, ids, run.clock.now_ms(), headers)
