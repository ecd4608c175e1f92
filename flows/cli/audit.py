"""`penstock audit`: one SKU, its figures held against each other and against the log."""

from typing import Any

from flows.cli import output
from flows.cli.op_text import summary
from flows.runtime.exit_codes import FINDING, OK
from flows.runtime.session import reached_or_made
from flows.services.queries.audit import Audit, Moving, audit
from flows.services.queries.sku_history import Touch
from flows.services.queries.stock_view import view
from state.events.timestamps import ms_rfc3339

COLUMNS = ("place", "time", "type", "id", "does")


def audit_sku(sku: str, limit: int, *, as_json: bool) -> int:
    """Tell what is wrong with a SKU, and the newest events that touched it; exit 1 on a finding."""
    with reached_or_made() as run:
        try:
            found = audit(run, sku)
        except Moving as moving:
            output.fault("audit", str(moving))
            return FINDING
        if found is None:
            output.fault("audit", f"sku: expected one that the store knows, got {sku!r}")
            return FINDING
        shown = view(found.state, run.policy)
    told = {
        "sku": sku,
        "version": found.state.version,
        "available": shown["available"],
        "whole_log": found.is_whole,
        "unproven": found.unproven,
        "findings": [finding._asdict() for finding in found.findings],
        "events": [_event(touch) for touch in found.touches[-limit:]],
    }
    if output.wants_json(asked=as_json):
        output.json_line(told)
    else:
        _tables(found, told)
    return FINDING if found.findings else OK


def _event(touch: Touch) -> dict[str, Any]:
    return {
        "topic": touch.topic,
        "partition": touch.partition,
        "offset": touch.offset,
        "log_time": ms_rfc3339(touch.log_ms),
        "time": ms_rfc3339(touch.time_ms),
        "type": touch.type,
        "id": touch.id,
        "source": touch.source,
        "does": summary(touch.ops),
        "repeated": touch.is_repeated,
    }


def _tables(found: Audit, told: dict[str, Any]) -> None:
    rows = [
        (
            f"{each['topic']}/{each['partition']}/{each['offset']}",
            each["time"],
            each["type"] + (" (repeated)" if each["repeated"] else ""),
            each["id"],
            each["does"],
        )
        for each in told["events"]
    ]
    output.table(f"{told['sku']}: {len(found.touches)} events in the log", COLUMNS, rows)
    output.table("findings", ("what", "expected", "found"), found.findings)
    if found.unproven:
        output.line(f"the log tells too little of: {', '.join(found.unproven)}")
    if not found.findings:
        output.line("audit: every figure agrees")
