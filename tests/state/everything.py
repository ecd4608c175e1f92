"""The whole state of a shard as plain values, so that the two back ends can be compared."""

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TypeAlias, cast

from connectors.redis.cluster import Client
from state.memory.holds import HoldRecord
from state.memory.orders import OrderRecord
from state.memory.shard import MemoryShard, OutRecord
from state.memory.sku import SkuRecord
from state.protocol.figures import decode_emitted, decode_head, decode_position
from state.protocol.keys import Keys

UNIT = "\x1f"

Facts: TypeAlias = dict[str, str]


@dataclass(slots=True)
class Figures:
    """One SKU. `sums` and `available` say nothing while the revision is 0, and are left out."""

    version: int
    newest_ms: int
    unrouted: int
    held: int
    base: int
    sums: list[int]
    cause_ms: int
    revision: int
    demand: list[int]
    positions: dict[str, list[int | None]]
    """[on_hand, reserved, unavailable, incoming, evicted], then time and quantity of the count."""
    movements: dict[str, list[tuple[int, int]]]
    """By location, newest first."""
    alerts: dict[str, str]


@dataclass(slots=True)
class Everything:
    meta: dict[str, int | str]
    marks: dict[str, int]
    due: dict[str, int]
    look: dict[str, int]
    seen: dict[int, set[str]]
    skus: dict[str, Figures]
    outs: dict[str, tuple[int | str, ...]]
    orders: dict[str, Facts]
    references: dict[str, dict[str, int]]
    holds: dict[str, tuple[object, ...]]
    """Fingerprint, by, shards, order, expiry, then what it keeps, with the place that it was taken from."""
    expiries: dict[str, int]
    ended: dict[str, str]


def of_memory(shard: MemoryShard) -> Everything:
    return Everything(
        meta={
            "generation": shard.generation,
            "floor": shard.floor,
            "revision": shard.revision,
            "server": shard.server,
            "t": shard.business_ms,
            "again": shard.again_ms,
            "recovered": int(shard.recovered),
            "touching": int(shard.touching),
            "applied": shard.applied,
            "duplicates": shard.duplicates,
        },
        marks=dict(shard.watermarks),
        due=dict(shard.due),
        look=dict(shard.look),
        seen={slice_: set(hashes) for slice_, hashes in shard.seen.items()},
        skus={name: _memory_sku(sku) for name, sku in shard.skus.items()},
        outs={name: _memory_out(out) for name, out in shard.outs.items()},
        orders={order: _memory_order(record) for order, record in shard.orders.items()},
        references={
            reference: found
            for reference, nets in shard.references.items()
            if (found := _memory_reference(nets))
        },
        holds={name: _memory_hold(record) for name, record in shard.holds.records.items()},
        expiries={name: record.expiry_ms for name, record in shard.holds.records.items()},
        ended=dict(shard.holds.ended),
    )


def _memory_hold(record: HoldRecord) -> tuple[object, ...]:
    lines = {
        f"l:{sku}{UNIT}{location}" if location else f"u:{sku}": (
            f"{units} {place.klass} {place.floor} {place.base} {revision}"
            if location
            else str(units)
        )
        for (sku, location), (units, place, revision) in record.lines.items()
    }
    shards = ",".join(map(str, record.shards))
    return record.fingerprint, record.by, shards, record.order, record.expiry_ms, lines


def _memory_sku(sku: SkuRecord) -> Figures:
    return Figures(
        version=sku.version,
        newest_ms=sku.newest_ms,
        unrouted=sku.unrouted,
        held=sku.held,
        base=sku.base if sku.revision else 0,
        sums=list(sku.vector()) if sku.revision else [],
        cause_ms=sku.cause_ms,
        revision=sku.revision,
        demand=[figure for day in sku.days() for figure in day],
        positions={
            location: [
                p.on_hand, p.reserved, p.unavailable, p.incoming, p.evicted_ms, *(p.counted or ())
            ]
            for location, p in sku.positions.items()
        },
        movements={location: list(p.movements[::-1]) for location, p in sku.positions.items()},
        alerts=dict(sku.alerts),
    )  # fmt: skip


def _memory_reference(nets: dict[tuple[str, str], int]) -> dict[str, int]:
    """Return the nets that are kept, the closed locations, and how many nets are above 0."""
    found = {UNIT.join(name): net for name, net in nets.items() if net}
    if open_nets := sum(net > 0 for (sku, _), net in nets.items() if sku):
        found["+"] = open_nets
    return found


def _memory_out(out: OutRecord) -> tuple[int | str, ...]:
    return (
        out.token, int(out.open), out.generation, out.available, out.cause_ms, out.levels, out.ads,
    )  # fmt: skip


def _memory_order(record: OrderRecord) -> Facts:
    facts = {f"e:{event}": "1" for event in record.events}
    facts |= {f"p:{by}": f"{event}{UNIT}{at}" for by, (event, at) in record.placed.items()}
    facts |= {f"a:{UNIT.join(key)}": str(n) for key, n in record.asked.items()}
    facts |= {f"c:{UNIT.join(key)}": str(n) for key, n in record.cancelled.items()}
    facts |= {f"s:{UNIT.join(key)}": str(n) for key, n in record.shipped.items()}
    facts |= {
        f"r:{back.sku}{UNIT}{back.time_ms}{UNIT}{back.location}{UNIT}{'sd'[back.is_damaged]}": str(
            n
        )
        for back, n in record.returned.items()
    }
    facts |= {f"n:{UNIT.join(map(str, key))}": str(n) for key, n in record.netted.items()}
    facts |= {f"v:{channel}": "1" for channel in record.voided}
    facts |= {f"u:{sku}": str(n) for sku, n in record.unrouted.items()}
    return facts


def of_redis(client: Client, keys: Keys) -> Everything:
    """Read shard 0. The layout is told in `state/functions/*.lua`."""
    prefix = keys.shard(0, "")
    names = sorted(name.decode() for name in client.scan_iter(match=f"{prefix}*", count=1000))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        kind = name.removeprefix(prefix).partition(":")[0]
        if kind in {"due", "look", "holds"}:
            pipeline.zrange(name, 0, -1, withscores=True)
        elif kind == "seen":
            pipeline.smembers(name)
        elif kind == "ended":
            pipeline.get(name)
        else:
            pipeline.hgetall(name)
    found: dict[str, dict[str, object]] = defaultdict(dict)
    for name, value in zip(names, pipeline.execute(), strict=True):
        kind, _, rest = name.removeprefix(prefix).partition(":")
        found[kind][rest] = value
    meta = _texts(found["meta"].get("", {}))
    return Everything(
        meta={
            "server": meta.get("server", ""),
            "touching": int("touch" in meta),
            **{
                name: int(meta.get(name, 0))
                for name in (
                    "generation", "floor", "revision", "t", "again", "recovered", "applied",
                    "duplicates",
                )
            },
        },
        marks={mark: int(at) for mark, at in _texts(found["mark"].get("", {})).items()},
        due=_scores(found["due"].get("", [])),
        look=_scores(found["look"].get("", [])),
        seen={
            int(name): {member.decode() for member in cast("set[bytes]", hashes)}
            for name, hashes in found["seen"].items()
        },
        skus={
            name: _redis_sku(cast("dict[bytes, bytes]", pos)) for name, pos in found["pos"].items()
        },
        outs={
            name: out
            for name, pos in found["pos"].items()
            if (out := _redis_out(cast("dict[bytes, bytes]", pos)))
        },
        orders={order: _texts(record) for order, record in found["order"].items()},
        references={
            reference: {name: int(net) for name, net in _texts(nets).items()}
            for reference, nets in found["ref"].items()
        },
        holds={name: _redis_hold(_texts(record)) for name, record in found["hold"].items()},
        expiries=_scores(found["holds"].get("", [])),
        ended={name: cast("bytes", how).decode() for name, how in found["ended"].items()},
    )  # fmt: skip


def _redis_hold(record: Facts) -> tuple[object, ...]:
    head = [record.pop(name) for name in "fbsox"]
    return (*head[:4], int(head[4]), record)


def _texts(flat: object) -> Facts:
    return {
        name.decode(): value.decode() for name, value in cast("dict[bytes, bytes]", flat).items()
    }


def _scores(pairs: object) -> dict[str, int]:
    return {name.decode(): int(at) for name, at in cast("list[tuple[bytes, float]]", pairs)}


def _redis_sku(pos: dict[bytes, bytes]) -> Figures:
    head = decode_head(pos[b"="])
    positions, movements = {}, {}
    for field, value in pos.items():
        if field.startswith(b"l:"):
            location = field[2:].decode()
            stored = decode_position(location, value)
            _, *quantities, counted_at_ms = stored.position
            counted = () if counted_at_ms is None else (counted_at_ms, stored.counted)
            positions[location] = [*quantities, stored.evicted_ms, *counted]
            movements[location] = list(stored.movements)
    return Figures(
        version=head.version,
        newest_ms=head.newest_ms,
        unrouted=head.unrouted,
        held=head.held,
        base=head.base if head.sums_revision else 0,
        sums=list(head.sums) if head.sums_revision else [],
        cause_ms=head.cause_ms,
        revision=head.sums_revision,
        demand=[figure for day in head.demand for figure in day],
        positions=positions,
        movements=movements,
        alerts={
            field[1:].decode(): text.decode()
            for field, text in pos.items()
            if field.startswith(b"!")
        },
    )


def _redis_out(pos: dict[bytes, bytes]) -> tuple[int | str, ...]:
    """Return the claim, and what was emitted; nothing of a SKU that was never claimed."""
    token, is_open, *figures = decode_head(pos[b"="]).claim
    return (token, is_open & 1, *figures, *decode_emitted(pos)) if token else ()


def differences(expected: Everything, found: Everything) -> dict[str, tuple[object, object]]:
    """Return what differs, by name, for a readable failure."""
    return {
        f"{part.name} {name}": (wanted.get(name), got.get(name))
        for part in fields(Everything)
        for wanted, got in [(getattr(expected, part.name), getattr(found, part.name))]
        for name in {*wanted, *got}
        if wanted.get(name) != got.get(name)
    }
