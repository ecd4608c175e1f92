"""What must hold when a run has come to rest."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from connectors.log.base import INPUT_TOPICS, Partition, Record
from state.events.timestamps import rfc3339_ms
from state.protocol.sharding import shard_of
from tests.simulation.consumer import Consumer, ad_states, data_of
from tests.simulation.log import Broker
from tests.simulation.rules import Rule
from tests.simulation.scenario import Scenario
from tests.simulation.shop import LOCATIONS, SKUS, TILL, levels_of
from tests.simulation.store import Servers
from tests.simulation.truth import Fact, Truth, truth_of
from tests.simulation.world import Violation

SOON_MS = 60_000


def unfinished(servers: Servers, broker: Broker) -> str:
    """Say what is still to be done; "" = nothing is."""
    soon_ms = servers.world.true_us // 1000 + SOON_MS
    newest = broker.newest()
    for n, shard in enumerate(servers.shards):
        pool = shard.pool
        for mark, offset in newest.items():
            if pool.watermarks.get(mark, -1) < offset:
                return f"s{n} stands at {pool.watermarks.get(mark, -1)} of {offset} of {servers.names[mark]}"
        if pool.server != shard.identity:
            return f"s{n} does not know its server {shard.identity}"
        if pool.touching or pool.revision != servers.revision:
            return f"s{n} is to take over policy {servers.revision}"
        for sku, due_ms in pool.due.items():
            if due_ms <= soon_ms:
                return f"{sku} of s{n} is due"
        if pool.holds.records:
            return f"s{n} has holds"
        if any(look_ms <= soon_ms for look_ms in pool.look.values()):
            return f"s{n} has a look to take"
        for sku, out in pool.outs.items():
            if out.open:
                return f"{sku} of s{n} is claimed"
    return ""


def judge(
    scenario: Scenario, servers: Servers, broker: Broker, rule: Rule, *, early: bool = False
) -> None:
    """Compare where all ended with where it had to end.

    `early`: before recoveries were repeated. What was told of a shard that went back twice is right only after that.

    Raises:
        Violation: with what differs.
    """
    every = [r for p, records in broker.records.items() if p.topic in INPUT_TOPICS for r in records]
    bad = {message.id for message in scenario.messages if message.is_bad}
    truth = truth_of(_facts(every, bad, servers))
    differs = [
        *_stock(truth, servers),
        *_told(truth, servers, broker, scenario, rule, early=early),
        *_dead_letters(every, bad, broker),
        *_versions(servers, broker),
    ]
    if differs:
        raise Violation("; ".join(differs[:4]))


def _facts(records: list[Record], bad: set[str], servers: Servers) -> Iterator[Fact]:
    """Yield each distinct good event once."""
    seen: set[str] = set()
    for record in records:
        if _is_bytes(record):
            continue
        event = orjson.loads(record.value or b"")
        if event["id"] in seen | bad:
            continue
        seen.add(event["id"])
        data = dict(event["data"])
        if "counted_at" in data:
            data["counted_at"] = rfc3339_ms(data["counted_at"])
        lines = tuple(
            (_sku(line["sku"], event["source"], record.timestamp_ms, servers), line["quantity"])
            for line in data.get("lines", ())
        )
        yield Fact(event["type"], rfc3339_ms(event["time"]), data, lines)


def _sku(code: str, source: str, timestamp_ms: int, servers: Servers) -> str:
    """Return what a code meant when the log took the message."""
    if source != TILL:
        return code
    rows = [row for row in servers.codes if row.code == code and row.valid_from_ms <= timestamp_ms]
    return rows[-1].sku


def _is_bytes(record: Record) -> bool:
    return record.value is None or record.value.startswith(b"{not")


def _stock(truth: Truth, servers: Servers) -> Iterator[str]:
    for sku in SKUS:
        pool = servers.shards[shard_of(sku, len(servers.shards))].pool
        found = pool.skus.get(sku)
        for location in LOCATIONS:
            position = found.positions.get(location) if found else None
            got = (
                (position.on_hand, position.unavailable, position.incoming)
                if position
                else (0, 0, 0)
            )
            wanted = truth.position(sku, location)
            if got != wanted:
                yield f"{sku} at {location}: expected (on_hand, unavailable, incoming) {wanted}, got {got}"
        for order in sorted(truth.orders()):
            record = pool.orders.get(order)
            is_open = record.unrouted.get(sku, 0) if record else 0
            if is_open != truth.open(order, sku):
                yield f"order {order}: expected {truth.open(order, sku)} of {sku} open, got {is_open}"
        kept = [found.held, *(p.reserved for p in found.positions.values())] if found else []
        if any(kept):
            yield f"{sku}: expected nothing held and reserved, got {kept}"
        unrouted = sum(truth.open(order, sku) for order in truth.orders())
        if (found.unrouted if found else 0) != unrouted:
            yield f"{sku}: expected {unrouted} unrouted, got {found.unrouted if found else 0}"


def _told(
    truth: Truth, servers: Servers, broker: Broker, scenario: Scenario, rule: Rule, *, early: bool
) -> Iterator[str]:
    consumer = Consumer(rule.consumer)
    consumer.take_all(broker.records[Partition("stock.updates", 0)], scenario.forgets)
    ads = ad_states(broker.records[Partition("ads.signals", 0)])
    for sku in SKUS:
        shard = servers.shards[shard_of(sku, len(servers.shards))]
        pool = shard.pool
        if early and shard.epoch > 1:
            continue
        if sku not in pool.skus:
            if sku in consumer.levels:
                yield f"{sku}: told, and not known"
            continue
        atp = {}
        for location in LOCATIONS:
            on_hand, unavailable, _ = truth.position(sku, location)
            atp[location] = on_hand - unavailable
        unrouted = sum(truth.open(order, sku) for order in truth.orders())
        wanted: Mapping[str, int] = levels_of(servers.variant, atp, unrouted)
        got = consumer.levels.get(sku)
        if got != wanted:
            yield f"{sku}: consumers should keep {wanted}, keep {got} of version {consumer.versions.get(sku)}"
        available = sum(max(0, units) for units in atp.values()) - unrouted
        if consumer.available.get(sku) != available:
            yield f"{sku}: expected {available} available, told {consumer.available.get(sku)}"
        kept = orjson.loads(pool.outs[sku].ads)
        state = next(iter(kept.values()))[0] if kept else "active"
        if ads.get(sku, "active") != state:
            yield f"{sku}: its ads are {state}, told {ads.get(sku)}"


def _dead_letters(records: list[Record], bad: set[str], broker: Broker) -> Iterator[str]:
    wanted = {
        (record.topic, record.partition, record.offset)
        for record in records
        if _is_bytes(record) or orjson.loads(record.value or b"")["id"] in bad
    }
    letters = map(data_of, broker.records[Partition("dead.letters", 0)])
    got = {(data["topic"], data["partition"], data["offset"]) for data in letters}
    if got != wanted:
        yield f"dead letters: missing {sorted(wanted - got)}, not planted {sorted(got - wanted)}"


def _versions(servers: Servers, broker: Broker) -> Iterator[str]:
    """One version, one content: of every SKU, unless its shard went back and could not be known to."""
    contents: dict[tuple[str, int], Any] = {}
    for record in broker.records[Partition("stock.updates", 0)]:
        data = data_of(record)
        sku, content = data["sku"], (data["available"], data["levels"])
        if servers.shards[shard_of(sku, len(servers.shards))].was_late:
            continue
        if contents.setdefault((sku, data["version"]), content) != content:
            yield f"{sku}: version {data['version']} was told with two contents"
