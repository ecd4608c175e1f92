"""Overrides of channels: an operator freezes, zeroes, resumes or resyncs one; and who set the present mode."""

from typing import Final, Literal, NamedTuple

from flows.runtime.context import Runtime
from flows.services.policy.overlay import change_overlay, resync
from state.policy import overlay

Verb = Literal["freeze", "zero", "resume", "resync"]
HELD: Final[dict[str, overlay.Held]] = {"freeze": "frozen", "zero": "zero", "resume": ""}


class NotOverridable(ValueError):
    """There is no such channel, or nothing is emitted for it."""


class ChannelState(NamedTuple):
    """A channel: its mode in the file, its mode now, and who decided that, why and when (ms), if they differ."""

    channel: str
    file_mode: str
    mode: str
    by: str = ""
    why: str = ""
    since_ms: int | None = None
    resynced_ms: int | None = None


def override(run: Runtime, verb: Verb, channel: str, by: str, why: str) -> bool:
    """Override a channel for every process, which all follow before this returns; say whether anything changed.

    Raises:
        NotOverridable: with what was expected; nothing was changed.
    """
    _check(run, channel)
    if verb == "resync":
        resync(run, channel, by, why)
        return True
    held, now_ms = HELD[verb], run.clock.now_ms()
    return change_overlay(run, lambda known: overlay.hold(known, channel, held, now_ms, by, why))


def states(run: Runtime) -> list[ChannelState]:
    """Return every channel in the order of the file."""
    channels, known = run.policy.compiled.channels, run.policy.overlay
    found = []
    for channel in run.policy.of_file.channels:
        mode, decided = channels[channel.id].mode, known.steered(channel.id)
        state = ChannelState(
            channel.id, channel.mode, mode, resynced_ms=decided.resynced_ms or None
        )
        if mode != channel.mode:
            state = state._replace(by=decided.by, why=decided.why, since_ms=decided.at_ms)
        found.append(state)
    return found


def _check(run: Runtime, channel: str) -> None:
    modes = {each.id: each.mode for each in run.policy.of_file.channels}
    if channel not in modes:
        names = ", ".join(modes) or "no channel at all"
        raise NotOverridable(f"expected one of {names}, got {channel!r}")
    if modes[channel] == "shadow":
        raise NotOverridable(f"{channel} is a shadow channel: nothing is emitted for it")
