"""`penstock audit`."""

import orjson

from connectors.config.settings import Settings
from flows.runtime.session import connected
from state.events.ops import MOVE
from state.protocol.apply import Apply, Part, ShardEvent
from state.protocol.sharding import shard_of
from tests.flows.shop import Shop, event, rows


def test_an_audit_lists_what_touched_a_sku_and_agrees_with_the_log(stocked: Shop) -> None:
    stocked.emit(event(5, "order.cancelled", order="o1"))
    stocked.settle()
    (found,) = rows(stocked.penstock("audit", "A"))
    assert found["findings"] == []
    assert found["whole_log"]
    assert sorted((each["type"], each["does"], each["repeated"]) for each in found["events"]) == [
        ("order.cancelled", "order o1: given up", False),
        ("order.placed", "order o1: 2 asked for", False),
        ("pos.sale", "s1: on_hand -1", False),
        ("pos.sale", "s1: on_hand -1", True),
        ("wms.receipt", "s1: on_hand +4; s1: incoming -4 under r2", False),
        ("wms.receipt", "wh: on_hand +10; wh: incoming -10 under r1", False),
    ]
    (short,) = rows(stocked.penstock("audit", "A", "--limit", "1"))
    assert len(short["events"]) == 1
    assert stocked.penstock("audit", "none").returncode == 1


def test_an_audit_finds_a_figure_that_the_log_does_not_give(stocked: Shop) -> None:
    settings = Settings(data=stocked.folder / "data", config=stocked.config, metrics="off")
    with connected(settings) as run:
        place = run.policy.locate("A", "wh")
        stray = ShardEvent(7, "1", 5, 1, 1, 1, "", ((MOVE, "A", 0, 1, 0, 0),))
        part = Part("elsewhere/0", -1, 7, (stray,))
        call = Apply(run.clock.now_us(), run.policy.sums_revision, 9_000_000, (place,), (part,))
        run.store.apply({shard_of("A", run.store.shards): call})
    done = stocked.penstock("audit", "A")
    assert done.returncode == 1
    (found,) = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert {"what": "wh: on_hand", "expected": "10 by the log", "found": "11"} in found["findings"]
