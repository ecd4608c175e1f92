"""`penstock channel`: override channels, and show by whom the present mode was set."""

from __future__ import annotations

from typing import Any, Final

import typer

from flows.cli import output
from flows.cli.command import By, ChannelId, Json, Why, command
from flows.runtime import exit_codes, session
from flows.services.policy import channel_overrides
from state.events.timestamps import ms_rfc3339

app = typer.Typer(add_completion=False, help="Override channels: freeze, zero, resume, resync.")

HISTORY_SHOWN: Final = 10


@app.command("list")
@command("channel list")
def list_channels(*, as_json: Json = False) -> int:
    """Show every channel with its mode, who decided it and why, and what was decided last.

    Example: `penstock channel list`
    """
    with session.reached() as run:
        rows = [_row(state) for state in channel_overrides.states(run)]
        history = run.policy.overlay.history
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row)
        return exit_codes.OK
    columns = ("channel", "file", "mode", "by", "why", "since")
    output.table("channels", columns, [[row[name] for name in columns] for row in rows])
    if history:
        newest = history[: -HISTORY_SHOWN - 1 : -1]
        decisions = [(ms_rfc3339(s.at_ms), s.what, s.about, s.by, s.why) for s in newest]
        output.table("decided last", ("at", "what", "about", "by", "why"), decisions)
    return exit_codes.OK


@app.command()
@command("channel freeze")
def freeze(channel: ChannelId, *, by: By = "", why: Why = "") -> int:
    """Keep what the channel shows now, whatever happens to the stock.

    Example: `penstock channel freeze shopee --by ana --why "prices are wrong"`
    """
    return _override("freeze", channel, by, why)


@app.command()
@command("channel zero")
def zero(channel: ChannelId, *, by: By = "", why: Why = "") -> int:
    """Show 0 for every SKU of the channel.

    Example: `penstock channel zero shopee --by ana --why "site is down"`
    """
    return _override("zero", channel, by, why)


@app.command()
@command("channel resume")
def resume(channel: ChannelId, *, by: By = "", why: Why = "") -> int:
    """Return to the mode of the file; what the circuit breaker stopped is let through.

    Example: `penstock channel resume shopee --by ana --why "policy is mended"`
    """
    return _override("resume", channel, by, why)


@app.command()
@command("channel resync")
def resync(channel: ChannelId, *, by: By = "", why: Why = "") -> int:
    """Emit every level of the channel once more, also those that did not change.

    Example: `penstock channel resync shopee --by ana --why "they restored a backup"`
    """
    return _override("resync", channel, by, why)


def _override(verb: channel_overrides.Verb, channel: str, by: str, why: str) -> int:
    with session.reached() as run:
        try:
            changed = channel_overrides.override(run, verb, channel, by, why)
        except channel_overrides.NotOverridable as error:
            output.fault("channel", str(error))
            return exit_codes.USAGE
    output.line(f"channel: {verb} {channel}" + ("" if changed else " (it was so already)"))
    return exit_codes.OK


def _row(state: channel_overrides.ChannelState) -> dict[str, Any]:
    return {
        "channel": state.channel,
        "file": state.file_mode,
        "mode": state.mode,
        "by": state.by,
        "why": state.why,
        "since": None if state.since_ms is None else ms_rfc3339(state.since_ms),
        "resynced": None if state.resynced_ms is None else ms_rfc3339(state.resynced_ms),
    }
