"""`penstock adjust`: correct the books of one SKU at one location, by an event with author and reason."""

from typing import Annotated

import typer

from flows.cli import output
from flows.cli.command import By, Json, Sku, Timeout, command
from flows.runtime import exit_codes, policy_follower, session, signals
from flows.services.corrections import adjust as adjusting
from flows.services.corrections import manual_events
from state.events.adjustment_reasons import AdjustReason

app = typer.Typer(add_completion=False)


@app.command(context_settings={"ignore_unknown_options": True})
@command("adjust")
def adjust(
    sku: Sku,
    location: Annotated[str, typer.Argument(help="Where.")],
    delta: Annotated[int, typer.Argument(help="The change: any integer but 0.")],
    *,
    reason: Annotated[AdjustReason, typer.Option(help="Why, one of a closed list.")],
    by: By,
    note: Annotated[str, typer.Option(help="Anything more, up to 1,000 characters.")] = "",
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> int:
    """Correct the books by an event in the log; show the figures before and after.

    Example: `penstock adjust A1 s001 -3 --reason damaged --by y.lin --note "pallet fell"`
    """
    signals.install()
    adjustment = adjusting.AdjustmentRequest(sku, location, delta, reason, by, note)
    with session.reached_or_made() as run:
        policy_follower.follow_policy(run)
        if run.store.read(sku) is None:
            output.fault("adjust", f"sku: the store did not know {sku!r} before")
        try:
            adjusted = adjusting.adjust(run, adjustment, timeout)
        except manual_events.EventRejected as refused:
            output.fault("adjust", str(refused))
            return exit_codes.USAGE
    if adjusted.rejection:
        output.fault("adjust", f"rejected: {adjusted.rejection}")
        return exit_codes.FINDING
    sent = {"id": adjusted.id, "sku": sku, "location": location, "delta": delta}
    if adjusted.after is None:
        output.record(sent, as_json=as_json)
        output.fault("adjust", f"in the log, not applied within {timeout:g} s: is it running?")
        return exit_codes.AWAY_EXIT
    figures = {"before": adjusted.before, "after": adjusted.after}
    output.record({**sent, **figures}, as_json=as_json)
    return exit_codes.OK
