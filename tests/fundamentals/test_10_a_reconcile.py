"""To reconcile is to compare the pool with a list of another system, and to correct the differences with a trace.

The list is of one moment (`as_of`), and trading goes on while it is made. So the pool is compared as it was
*then*: movements since are left out, and a position that was counted since is left alone. A correction is never
a write into the store. It is an event like any other (`wms.adjustment`, with a reason and a name) that goes
through the log, is applied once, survives a failover, and can be audited later.
"""

from pathlib import Path

from flows.services.corrections.manual_events import send
from flows.services.corrections.reconcile import Difference, differences, rows_of
from state.events.timestamps import rfc3339_ms
from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import at, run_flows


def test_a_difference_at_the_time_of_the_list_is_corrected_by_an_event_and_later_sales_stay(
    penstock: Engine, tmp_path: Path
) -> None:
    penstock.send_at(at("08:00"), "wms.receipt", location="wh", reference="d1", lines=lines(A=10))
    penstock.send_at(at("12:30"), "pos.sale", location="wh", receipt="1", lines=lines(A=2))
    run_flows(penstock)
    noon_ms = rfc3339_ms(at("12:00"))
    listed = tmp_path / "wms.csv"
    listed.write_text("location,sku,on_hand\nwh,A,9\n")
    (rows,) = rows_of(listed, "/wms", penstock.run)
    (found,) = differences(penstock.run, rows, noon_ms)
    assert found == Difference("wh", "A", theirs=9, ours=10, counted_since=False)

    correction = {"location": "wh", "reason": "lost", "actor": "ana", "lines": lines(A=found.delta)}
    send(penstock.run, "wms.adjustment", "/reconcile", noon_ms, correction, key="wh")
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 7}, "9 at noon, less the 2 sold since"
    assert list(differences(penstock.run, rows, noon_ms)) == []
