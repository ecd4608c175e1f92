"""`penstock wait --idle`: return once all that is in the log is applied and emitted."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes, idle, session, signals

app = typer.Typer(add_completion=False)


@app.command()
@command("wait")
def wait(
    *,
    until_idle: Annotated[
        bool, typer.Option("--idle", help="Until nothing is left to do.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait at most.")] = 60.0,
    as_json: Json = False,
) -> int:
    """Wait until all that was appended is applied and emitted; exit 1 if it takes too long.

    Example: `penstock wait --idle --timeout 30`
    """
    if not until_idle:
        output.fault("wait", "expected --idle, what to wait for; see `penstock wait --help`")
        return exit_codes.USAGE
    signals.install()
    with session.reached_or_made() as run:
        waited = idle.wait_until_idle(run, timeout)
    if waited.left is None:
        output.fault("wait", f"a server is away: {waited.error}")
        return exit_codes.AWAY_EXIT
    if output.wants_json(asked=as_json):
        lag = {f"{topic}/{n}": count for (topic, n), count in sorted(waited.left.lag.items())}
        output.json_line({"idle": not waited.left, "lag": lag, "due": waited.left.due})
    elif not waited.left:
        output.line("idle")
    if waited.is_idle:
        return exit_codes.OK
    why = "stopped" if signals.wanted() else f"not idle within {timeout:g} s"
    left = str(waited.left) if waited.left else f"quiet for less than {idle.Idle.QUIET_S:g} s"
    output.fault("wait", f"{why}; open: {left}")
    return exit_codes.FINDING
