"""What must hold when a run has come to rest: the checks of `tests.oracle`, fed with the modelled log and shards."""

from collections.abc import Iterator
from itertools import chain

from connectors.log.base import INPUT_TOPICS, Partition, Record
from flows.runtime.active_policy import ActivePolicy
from state.events.codes import CodeTable
from state.protocol.sharding import shard_of
from state.store.policy import PolicyRecord
from tests.evidence import Json, event_of, shown
from tests.oracle.case import Case, case_of
from tests.oracle.compare import (
    check_contents,
    check_last_messages,
    check_levels,
    check_orders,
    check_positions,
    check_skus,
    check_versions,
)
from tests.oracle.compare_ads import check_ads
from tests.oracle.stream import marked
from tests.oracle.topics import signals_of, updates_of
from tests.oracle.verdict import Check
from tests.simulation.consumer import Consumer, data_of
from tests.simulation.log import Broker
from tests.simulation.rules import Rule
from tests.simulation.scenario import Scenario
from tests.simulation.shop import CHANNELS, DOCUMENTS, SKUS, TILL
from tests.simulation.store import Servers
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
    events = [_event(record, bad, servers) for record in every]
    case = case_of(marked(events), DOCUMENTS[servers.variant], _stock(servers))
    checks = (
        check_positions(case.expected, case.snapshot.positions),
        check_orders(case.expected, _open_orders(servers)),
        check_skus(case.expected, case.snapshot.figures),
        *_told(case, servers, broker, Consumer(rule.consumer, scenario.forgets), early=early),
    )
    planted = [record for record, event in zip(every, events, strict=True) if not event]
    differs = [
        *chain.from_iterable(check.examples for check in checks),
        *_dead_letters(planted, broker),
    ]
    if differs:
        raise Violation("; ".join(differs[:4]))


def _event(record: Record, bad: set[str], servers: Servers) -> Json:
    """Return an event in our own SKUs; one that belongs on dead.letters is empty."""
    if record.value is None or record.value.startswith(b"{not"):
        return {}
    event = event_of(record)
    if event["id"] in bad:
        return {}
    if event["source"] == TILL:
        for line in event["data"]["lines"]:
            line["sku"] = _sku(line["sku"], record.timestamp_ms, servers)
    return event


def _sku(code: str, timestamp_ms: int, servers: Servers) -> str:
    """Return what a code meant when the log took the message."""
    rows = [row for row in servers.codes if row.code == code and row.valid_from_ms <= timestamp_ms]
    return rows[-1].sku


def _stock(servers: Servers) -> Iterator[Json]:
    found = PolicyRecord(servers.revision, servers.policy, servers.sums_revision)
    states = (shard.pool.read(sku) for shard in servers.shards for sku in shard.pool.skus)
    return shown(states, ActivePolicy(found, CodeTable()))


def _open_orders(servers: Servers) -> dict[tuple[str, str], int]:
    return {
        (order, sku): units
        for shard in servers.shards
        for order, record in shard.pool.orders.items()
        for sku, units in record.unrouted.items()
    }


def _told(
    case: Case, servers: Servers, broker: Broker, consumer: Consumer, *, early: bool
) -> Iterator[Check]:
    """Compare what the outside keeps, and what it was told."""
    shards = {sku: servers.shards[shard_of(sku, len(servers.shards))] for sku in SKUS}
    told = [data_of(record) for record in broker.records[Partition("stock.updates", 0)]]
    signals = signals_of(map(event_of, broker.records[Partition("ads.signals", 0)]))
    left_out = {sku for sku in SKUS if early and shards[sku].epoch > 1}
    expected = case.expected.without(left_out)
    kept = updates_of(
        (each for each in consumer.keeps(told) if each["sku"] not in left_out), CHANNELS
    )
    yield check_last_messages(expected, kept, case.policy)
    yield from check_ads(expected, case.policy, case.snapshot, signals, None)
    yield check_levels(expected, case.snapshot.levels, case.policy)
    yield check_versions(expected, kept, case.snapshot.figures, one_emits=False)
    # A shard that went back when nobody could know may give a version out again.
    yield check_contents(
        updates_of((each for each in told if not shards[each["sku"]].was_late), CHANNELS)
    )


def _dead_letters(planted: list[Record], broker: Broker) -> Iterator[str]:
    wanted = {(record.topic, record.partition, record.offset) for record in planted}
    letters = map(data_of, broker.records[Partition("dead.letters", 0)])
    got = {(data["topic"], data["partition"], data["offset"]) for data in letters}
    if got != wanted:
        yield f"dead letters: missing {sorted(wanted - got)}, not planted {sorted(got - wanted)}"
