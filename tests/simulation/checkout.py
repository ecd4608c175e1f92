"""The checkouts and tills of the simulation: holds made and ended on the shards, whatever befalls these meanwhile."""

import random
from collections.abc import Sequence
from dataclasses import replace

from flows.runtime.active_policy import PolicyInForce
from state.events.codes import CodeTable
from state.events.order_key import order_key
from state.protocol.holds import Hold, HoldRequest, Keep, LocationLine, PoolLine, PoolRule, Release
from state.protocol.sharding import shard_of
from state.store.policy import InForce
from tests.simulation.scenario import Happening, Message
from tests.simulation.shop import CHANNELS, LOCATIONS, SKUS
from tests.simulation.store import Servers

HOLDS = 6
NAMED_PCT = 40
"""Orders and sales that use a hold up."""
LONGEST_MS = 3_000
_STREAM = 0x401D


def happenings(seed: int, until_ms: int) -> list[Happening]:
    """Draw what checkouts do. They have a stream of chance of their own."""
    chance = random.Random(seed ^ _STREAM)
    return [
        Happening(
            chance.randint(300, until_ms), chance.choice(("hold", "hold", "tend")),
            chance.randrange(1 << 16), chance.choice((20, 300, LONGEST_MS)), chance.randrange(HOLDS),
        )
        for _ in range(chance.choice((0, 5, 20)))
    ]  # fmt: skip


def using_holds_up(seed: int, messages: Sequence[Message]) -> list[Message]:
    """Let some orders and sales name a hold."""
    chance = random.Random(seed ^ _STREAM ^ 1)
    found = []
    for message in messages:
        may = message.kind in {"order.placed", "pos.sale"} and message.raw is None
        if may and not message.is_bad and chance.randrange(100) < NAMED_PCT:
            hold = f"h{chance.randrange(HOLDS)}"
            message = replace(message, data={**message.data, "hold": hold})  # noqa: PLW2901 - with it
        found.append(message)
    return found


def act(servers: Servers, happening: Happening) -> str:
    """Do what a checkout does. Return what it was, for the trace."""
    now_us, which = servers.world.true_us, happening.which
    which, sku_at = divmod(which, len(SKUS))
    which, where = divmod(which, 1 + len(LOCATIONS))
    sku, name = SKUS[sku_at], f"h{happening.extra}"
    shard = shard_of(sku, len(servers.shards))
    expiry_ms = now_us // 1000 + happening.ms
    if happening.kind == "tend":
        order = order_key(CHANNELS[which % 2], f"o{which % 3}")
        if where % 2:
            reply = servers.run("keep", shard, Keep(now_us, name, order, expiry_ms))
        else:
            reply = servers.run("release", shard, now_us, [Release(name)])
        return f"{name} on s{shard}: {reply}"
    policy = PolicyInForce(
        InForce(servers.revision, servers.policy, servers.sums_revision), CodeTable()
    )
    units = 1 + which % 3
    line: PoolLine | LocationLine
    if where < len(LOCATIONS):
        location = LOCATIONS[where]
        _, klass, floor, base = policy.locate(sku, location)
        line = LocationLine(sku, units, klass, floor, base)
    else:
        location = ""
        classes = policy.compiled.eligible(CHANNELS[which % 2])
        line = PoolLine(sku, units, PoolRule(0, 10_000, 0, 0, classes))
    request = HoldRequest(
        name, f"{sku} {units} {location}", expiry_ms, which % 5 == 0, location or "shop", location,
        (shard,), (line,),
    )  # fmt: skip
    call = Hold(now_us, servers.revision, servers.sums_revision, (request,))
    return (
        f"{name} of {units} {sku} at {location or 'the pool'}: {servers.run('hold', shard, call)}"
    )
