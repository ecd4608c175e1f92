"""`penstock audit`: one SKU, its figures compared with each other and with the log."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli import op_text, output
from flows.cli.command import Json, Sku, command
from flows.runtime import exit_codes, session
from flows.services.queries import audit as auditing
from flows.services.queries import sku_history, stock_view
from state.events.timestamps import ms_rfc3339

app = typer.Typer(add_completion=False)

COLUMNS = ("place", "time", "type", "id", "does")


@app.command()
@command("audit")
def audit(
    sku: Sku,
    *,
    limit: Annotated[int, typer.Option(min=0, help="How many events to list, the newest.")] = 20,
    as_json: Json = False,
) -> int:
    """Compare the figures of a SKU with each other and with the log; exit 1 on a finding.

    Example: `penstock audit A1 --limit 50`
    """
    with session.reached_or_made() as run:
        try:
            found = auditing.audit(run, sku)
        except auditing.Moving as moving:
            output.fault("audit", str(moving))
            return exit_codes.FINDING
        if found is None:
            output.fault("audit", f"sku: expected one that the store knows, got {sku!r}")
            return exit_codes.FINDING
        available = stock_view.view(found.state, run.policy)["available"]
    events = [_event(touch) for touch in found.touches[-limit:]]
    if output.wants_json(asked=as_json):
        output.json_line(
            {
                "sku": sku,
                "version": found.state.version,
                "available": available,
                "whole_log": found.is_whole,
                "unproven": found.unproven,
                "findings": [finding._asdict() for finding in found.findings],
                "events": events,
            }
        )
    else:
        _tables(found, events)
    return exit_codes.FINDING if found.findings else exit_codes.OK


def _event(touch: sku_history.Touch) -> dict[str, Any]:
    return {
        "topic": touch.topic,
        "partition": touch.partition,
        "offset": touch.offset,
        "log_time": ms_rfc3339(touch.log_ms),
        "time": ms_rfc3339(touch.time_ms),
        "type": touch.type,
        "id": touch.id,
        "source": touch.source,
        "does": op_text.summary(touch.ops),
        "repeated": touch.is_repeated,
    }


def _tables(found: auditing.Audit, events: list[dict[str, Any]]) -> None:
    rows = [
        (
            f"{event['topic']}/{event['partition']}/{event['offset']}",
            event["time"],
            event["type"] + (" (repeated)" if event["repeated"] else ""),
            event["id"],
            event["does"],
        )
        for event in events
    ]
    output.table(f"{found.state.sku}: {len(found.touches)} events in the log", COLUMNS, rows)
    output.table("findings", ("what", "expected", "found"), found.findings)
    if found.unproven:
        output.line(f"the log tells too little of: {', '.join(found.unproven)}")
    if not found.findings:
        output.line("audit: every figure agrees")
