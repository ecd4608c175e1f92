"""`penstock reconcile`: what another system says lies where, against the pool; the differences, and mending them."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from flows.cli import output
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK, USAGE
from flows.runtime.policy_follower import follow_policy
from flows.runtime.session import reached_or_made
from flows.services.corrections.manual_events import (
    Refused,
    Sent,
    rejected,
    send,
    wait_until_applied,
)
from flows.services.corrections.reconcile import BadFile, Difference, differences, rows_of
from state.events.adjustment_reasons import AdjustReason
from state.events.messages import LINES_MAX
from state.events.timestamps import ms_rfc3339, rfc3339_ms

SOURCE = "/penstock/reconcile"
COLUMNS = ("location", "sku", "theirs", "ours", "delta", "counted_since")


def reconcile(
    path: Path,
    source: str,
    as_of: str | None,
    reason: AdjustReason | None,
    by: str,
    timeout_s: float,
    *,
    apply: bool,
    as_json: bool,
) -> int:
    """Tell where a file and the pool differ; with `apply` add the differences as adjustments of that moment."""
    stop.install()
    if apply and not (reason and by):
        output.fault("reconcile", "expected --reason and --by with --apply")
        return USAGE
    with reached_or_made() as run:
        follow_policy(run)
        try:
            as_of_ms = rfc3339_ms(as_of) if as_of else run.business_now_ms()
            # The whole file is read before anything is sent.
            chunks = list(rows_of(path, source, run))
        except (BadFile, OSError, UnicodeDecodeError) as error:
            output.fault("reconcile", str(error))
            return USAGE
        except ValueError:
            output.fault(
                "reconcile", f"--as-of: expected RFC 3339 time with an offset, got {as_of!r}"
            )
            return USAGE
        found = [each for rows in chunks for each in differences(run, rows, as_of_ms)]
        _tell(found, as_json=as_json)
        compared, open_ = sum(map(len, chunks)), [each for each in found if not each.counted_since]
        told = f"compared={compared} differ={len(found)} counted_since={len(found) - len(open_)}"
        if not (apply and open_):
            output.fault("reconcile", f"{told} as_of={ms_rfc3339(as_of_ms)} applied=0")
            return FINDING if found else OK
        return _apply(run, open_, as_of_ms, reason, by, source, timeout_s, told)


def _apply(
    run: Runtime,
    found: list[Difference],
    as_of_ms: int,
    reason: AdjustReason | None,
    by: str,
    source: str,
    timeout_s: float,
    told: str,
) -> int:
    sent: list[Sent] = []
    by_location: dict[str, list[Difference]] = defaultdict(list)
    for each in found:
        by_location[each.location].append(each)
    try:
        for location, mine in by_location.items():
            for first in range(0, len(mine), LINES_MAX):
                lines = [
                    {"sku": each.sku, "quantity": each.delta}
                    for each in mine[first : first + LINES_MAX]
                ]
                data: dict[str, Any] = {
                    "location": location,
                    "reason": reason,
                    "actor": by,
                    "note": f"reconciled with {source}"[:1000],
                    "lines": lines,
                }
                sent.append(send(run, "wms.adjustment", SOURCE, as_of_ms, data, location))
    except Refused as refused:
        output.fault("reconcile", f"{told} events={len(sent)}: {refused}")
        return USAGE
    if not wait_until_applied(run, sent, [each.sku for each in found], timeout_s):
        output.fault(
            "reconcile",
            f"{told} events={len(sent)}: in the log, not applied within {timeout_s:g} s",
        )
        return AWAY_EXIT
    dead = rejected(run, sent)
    for reason_told in dead.values():
        output.fault("reconcile", f"rejected: {reason_told}")
    output.fault("reconcile", f"{told} events={len(sent)} applied={len(sent) - len(dead)}")
    return FINDING if dead else OK


def _tell(found: list[Difference], *, as_json: bool) -> None:
    rows = [
        (each.location, each.sku, each.theirs, each.ours, each.delta, each.counted_since)
        for each in found
    ]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(dict(zip(COLUMNS, row, strict=True)))
    elif rows:
        output.table("differences", COLUMNS, rows)
