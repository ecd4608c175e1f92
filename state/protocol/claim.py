"""SKUs that are due, claimed and settled: the other side of `functions/claim.lua` and `functions/settle.lua`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from state.events.order_key import US
from state.protocol.common import StalePolicy
from state.protocol.figures import Position, decode_head, decode_position, emitted_of

OPEN: Final = 1
TRUSTED: Final = 2
FIRST: Final = 4
"""Flags of `open` in a claimed head: in flight; what was emitted before can be trusted; nothing ever was emitted."""

DUE_VALUES: Final = 3
"""Of each claimed SKU in the answer: SKU, head, what was emitted last."""

_encode = msgspec.msgpack.Encoder().encode


class Gate(NamedTuple):
    """A channel that has no level for a SKU until all these locations were counted for it."""

    needle: str
    """How the channel stands among levels that were emitted: `"shopee":`. Once it does, it is open."""
    locations: tuple[str, ...]


class Claim(NamedTuple):
    """Ask for up to `limit` SKUs that are due, for as long as the lease."""

    now_us: int
    lease_ms: int
    revision: int
    sums_revision: int
    business_ms: int
    """The caller's business time: by it a check falls due."""
    limit: int
    silent: tuple[str, ...] = ()
    """Silent locations, whose positions are returned with each SKU: their stock does not count now."""
    gates: tuple[Gate, ...] = ()


class Due(NamedTuple):
    """One claimed SKU: its figures now, what was emitted last, and whether that can be trusted."""

    sku: str
    token: int
    trust: bool
    first: bool
    """Nothing was ever emitted for it."""
    base: int
    unrouted: int
    held: int
    sums: tuple[int, ...]
    cause_ms: int
    """Log timestamp of the oldest change not yet emitted, 0 when none."""
    demand: tuple[tuple[int, int], ...]
    """(UTC day, units) of the newest days with demand."""
    available: int
    levels: str
    """As `settle` stored them, empty when never settled."""
    ads: str
    alerts: tuple[tuple[str, str], ...]
    """(kind and location, figures and cause) not yet reported."""
    silent: tuple["Position", ...] = ()
    """Of the silent locations of the claim those where the SKU is known."""
    closed: int = 0
    """A bit for each gate of the claim, set when it is closed."""


class Claimed(NamedTuple):
    """What a claim got."""

    generation: int
    recovered: bool
    """This shard has been through a recovery at least once."""
    business_ms: int
    """The newest business time that caller or shard has seen."""
    due: tuple[Due, ...]
    stale: tuple[str, ...]
    """SKUs whose class sums were made under another policy: rebuild them."""
    expired: int = 0
    """Holds whose time was over: their units are back in the pool."""


class Settle(NamedTuple):
    """What was emitted under a token; void if the token is no longer the latest of its SKU."""

    sku: str
    token: int
    generation: int
    available: int
    levels: str
    ads: str
    next_due_ms: int
    next_look_ms: int
    """Business time of the next check, 0 for none."""
    alerts: tuple[tuple[str, str], ...] = ()
    """Alerts that were reported: forgotten if they are still the same."""


SETTLE_VALUES: Final = len(Settle._fields) - 1
"""Of each settled SKU in the call: levels and ads are one."""

Settles: TypeAlias = Mapping[int, Sequence[Settle]]
"""What was emitted, by shard."""


class Hasten(NamedTuple):
    """Let SKUs be due from `now_ms` on, if they are not due sooner."""

    now_ms: int
    skus: tuple[str, ...]


def encode_settle(now_us: int, revision: int, items: Sequence[Settle]) -> bytes:
    """Return the argument of `settle.lua`."""
    flat: list[Any] = []
    for sku, token, generation, available, levels, ads, due_ms, look_ms, alerts in items:
        flat += (
            sku, token, generation, available, f"{levels}{US}{ads}", due_ms, look_ms, alerts
        )  # fmt: skip
    return _encode((now_us, revision, flat))


def decode_claimed(reply: Sequence[Any]) -> Claimed | StalePolicy:
    """Return what `claim.lua` answered."""
    if reply[0] == b"REFUSED":
        return StalePolicy(reply[1])
    _, generation, recovered, business_ms, stale, due, alerts, expired, looked = reply
    by_sku = dict(zip(alerts[::2], alerts[1::2], strict=True))
    around = dict(zip(looked[::3], zip(looked[1::3], looked[2::3], strict=True), strict=True))
    return Claimed(
        generation,
        bool(recovered),
        business_ms,
        tuple(
            _due(sku, head, emitted, by_sku.get(sku, ()), around.get(sku) if around else None)
            for sku, head, emitted in zip(
                *(due[i::DUE_VALUES] for i in range(DUE_VALUES)), strict=True
            )
        ),
        tuple(sku.decode() for sku in stale),
        expired,
    )


def _due(
    sku: bytes,
    head_text: bytes,
    emitted: bytes,
    alerts: Sequence[bytes],
    around: tuple[Sequence[int], Sequence[bytes]] | None,
) -> Due:
    head = decode_head(head_text)
    claim = head.claim
    levels, ads = emitted_of(emitted.decode())
    silent, closed = _looked(*around) if around is not None else ((), 0)
    return Due(
        sku.decode(), head.version, bool(claim.open & TRUSTED), bool(claim.open & FIRST),
        head.base, head.unrouted, head.held, head.sums, claim.cause_ms, head.demand,
        claim.available, levels, ads, tuple(sorted(_texts(alerts))) if alerts else (),
        silent, closed,
    )  # fmt: skip


def _looked(gates: Sequence[int], texts: Sequence[bytes]) -> tuple[tuple[Position, ...], int]:
    """Return the positions at silent locations, and a bit for each closed gate."""
    silent = tuple(
        decode_position(location.decode(), text).position
        for location, text in zip(texts[::2], texts[1::2], strict=True)
    )
    return silent, sum(1 << gate for gate in gates)


def _texts(flat: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    for name, text in zip(flat[::2], flat[1::2], strict=True):
        yield name.decode(), text.decode()
