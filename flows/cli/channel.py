"""`penstock channel`: what holds a channel, and steering it by hand."""

from functools import partial
from typing import Any, Final

from flows.cli import output
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import OK, USAGE
from flows.runtime.session import reached
from flows.services.policy import overlay as steering
from state.events.timestamps import ms_rfc3339
from state.policy import overlay
from state.policy.overlay import Overlay

HISTORY_SHOWN: Final = 10
HELD: Final[dict[str, overlay.Held]] = {"freeze": "frozen", "zero": "zero", "resume": ""}


def list_channels(*, as_json: bool) -> int:
    """Show each channel: the mode of the file, the one in force, and who decided it."""
    with reached() as run:
        known = run.policy.overlay
        rows = _rows(run, known)
        if output.wants_json(asked=as_json):
            for row in rows:
                output.json_line(row)
            return OK
        columns = ("channel", "file", "mode", "by", "why", "since")
        output.table("channels", columns, [tuple(row[name] for name in columns) for row in rows])
        if known.history:
            newest = known.history[: -HISTORY_SHOWN - 1 : -1]
            told = [(ms_rfc3339(s.at_ms), s.what, s.about, s.by, s.why) for s in newest]
            output.table("decided last", ("at", "what", "about", "by", "why"), told)
    return OK


def _rows(run: Runtime, known: Overlay) -> list[dict[str, Any]]:
    in_force = run.policy.compiled.channels
    rows = []
    for channel in run.policy.of_file.channels:
        steered = known.steered(channel.id)
        held = in_force[channel.id].mode != channel.mode
        rows.append(
            {
                "channel": channel.id,
                "file": channel.mode,
                "mode": in_force[channel.id].mode,
                "by": steered.by if held else "",
                "why": steered.why if held else "",
                "since": ms_rfc3339(steered.at_ms) if held else None,
                "resynced": ms_rfc3339(steered.resynced_ms) if steered.resynced_ms else None,
            }
        )
    return rows


def steer_channel(what: str, channel: str, by: str, why: str) -> int:
    """Freeze, zero, resume or resync a channel; every process follows before this returns."""
    with reached() as run:
        known = run.policy.of_file.channels
        mode = next((each.mode for each in known if each.id == channel), None)
        if mode is None:
            names = ", ".join(each.id for each in known) or "no channel at all"
            output.fault("channel", f"expected one of {names}, got {channel!r}")
            return USAGE
        if mode == "shadow":
            output.fault("channel", f"{channel} is a shadow channel: nothing is emitted for it")
            return USAGE
        now_ms = run.clock.now_ms()
        if what == "resync":
            steering.resync(run, channel, by, why)
            changed = True
        else:
            held = HELD[what]
            changed = steering.steer(
                run,
                partial(overlay.hold, channel=channel, held=held, now_ms=now_ms, by=by, why=why),
            )
        output.line(f"channel: {what} {channel}" + ("" if changed else " (it was so already)"))
    return OK
