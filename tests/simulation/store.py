"""The modelled store: what the flows ask of `Store`, `Server` and its client, each call on the wire."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

import msgspec
import redis

from connectors.redis.server import Connections
from state.events.codes import CodeRow
from state.policy.document import Policy, to_json
from state.policy.sums_digest import layout_digest
from state.protocol.apply import Applied, Apply, Part
from state.protocol.claim import Claim, Claimed, Hasten, Settles
from state.protocol.common import Behind, StalePolicy
from state.protocol.control import REPETITION, Rebuild, Recover, Tick, Ticked
from state.protocol.figures import SkuState
from state.protocol.sharding import shard_of
from state.store.shards import Store
from tests.simulation.shards import Pool, Shard
from tests.simulation.shop import FIRST_CODES, POLICIES
from tests.simulation.wire import Refusal, Silence, Wire
from tests.simulation.world import World

Answer = TypeVar("Answer")

SKUS_OF_ONE = 2_000
"""A SKU of the model takes the time of so many, when SKUs come up one after the other."""


@dataclass(slots=True)
class Servers:
    """All that is kept on servers: the shards, the policy in force, the code table."""

    world: World
    shards: list[Shard]
    names: dict[str, str]
    """Mark -> how the trace calls it."""
    revision: int = 1
    sums_revision: int = 1
    variant: int = 0
    codes: list[CodeRow] = field(default_factory=lambda: list(FIRST_CODES))

    @property
    def policy(self) -> Policy:
        return POLICIES[self.variant]

    def bring(self, variant: int, now_ms: int) -> None:
        """Bring a policy in force, as `state.store.policy` does."""
        layout = layout_digest(self.policy)
        self.variant = variant
        self.revision = max(self.revision + 1, now_ms)
        if layout_digest(self.policy) != layout:
            self.sums_revision = self.revision

    def run(self, verb: str, shard: int, *arguments: Any) -> Any:
        """Run a call on a shard."""
        return self.shards[shard].call(self.world.now_us, verb, *arguments)


def servers(world: World, kind: type[Pool], names: dict[str, str]) -> Servers:
    return Servers(world, [Shard(kind) for _ in range(world.scenario.shards)], names)


class SimStore(Store):
    """The store as one process sees it."""

    def __init__(self, wire: Wire, behind: Servers) -> None:
        self.shards = len(behind.shards)
        self._wire = wire
        self._servers = behind

    def apply(self, calls: Mapping[int, Apply]) -> dict[int, Applied | Behind]:
        replies: dict[int, Applied | Behind] = self._ask("apply", calls)
        return replies

    def begin_apply(
        self, rounds: Sequence[Mapping[int, Apply]]
    ) -> Callable[[], list[dict[int, Applied | Behind]]]:
        return lambda: [self.apply(calls) for calls in rounds]

    def tick(self, calls: Mapping[int, Tick]) -> dict[int, Ticked | Behind]:
        spread = {
            shard: call._replace(pace_us=call.pace_us * SKUS_OF_ONE)
            for shard, call in calls.items()
        }
        replies: dict[int, Ticked | Behind] = self._ask("tick", spread)
        return replies

    def recover(self, shard: int, call: Recover) -> int:
        generation: int = self._ask("recover", {shard: call})[shard]
        return generation

    def claim(self, calls: Mapping[int, Claim]) -> dict[int, Claimed | StalePolicy]:
        replies: dict[int, Claimed | StalePolicy] = self._ask("claim", calls)
        return replies

    def begin_claim(
        self, calls: Mapping[int, Claim]
    ) -> Callable[[], dict[int, Claimed | StalePolicy]]:
        return self._begun(lambda: self.claim(calls))

    def settle(self, now_us: int, revision: int, items: Settles) -> int:
        frozen = {shard: (now_us, revision, tuple(mine)) for shard, mine in items.items()}
        return sum(self._ask("settle", frozen).values())

    def begin_settle(self, now_us: int, revision: int, items: Settles) -> Callable[[], int]:
        return self._begun(lambda: self.settle(now_us, revision, items))

    def rebuild(self, shard: int, call: Rebuild) -> int | StalePolicy:
        reply: int | StalePolicy = self._ask("rebuild", {shard: call})[shard]
        return reply

    def scan(self, cursors: Mapping[int, int]) -> dict[int, tuple[int, list[str]]]:
        return self._read(
            lambda: "looks through the SKUs", tuple(cursors), lambda s: (0, list(self._pool(s).due))
        )

    def hasten(self, calls: Mapping[int, Hasten]) -> None:
        self._ask("hasten", calls)

    def marks(self) -> list[dict[str, int]]:
        return list(
            self._read(
                lambda: "reads the marks",
                range(self.shards),
                lambda s: dict(self._pool(s).watermarks),
            ).values()
        )

    def read_many(self, skus: Sequence[str]) -> Iterator[SkuState | None]:
        found = self._read(
            lambda: f"reads {' '.join(skus)}",
            tuple(skus),
            lambda sku: self._pool(shard_of(sku, self.shards)).read(sku),
        )
        return iter([found[sku] for sku in skus])

    def _pool(self, shard: int) -> Pool:
        return self._servers.shards[shard].pool

    def _begun(self, call: Callable[[], Answer]) -> Callable[[], Answer]:
        """Let a call that is begun now arrive now, or as late as it is waited for: one as often as the other."""
        if not self._wire.tosses():
            return call
        try:
            found = call()
        except redis.RedisError as error:
            return partial(_raised, error)
        return lambda: found

    def _ask(self, verb: str, calls: Mapping[int, Any]) -> Any:
        world, name = self._servers.world, self._wire.worker.name

        def run(shard: int) -> Any:
            call = calls[shard]
            arguments = call if verb == "settle" else (call,)
            reply = self._servers.run(verb, shard, *arguments)
            if world.tracing and (told := self._told(verb, shard, call, reply)):
                world.note(name, told)
            return reply

        def say() -> str:
            return f"{verb} to {_names(calls)}"

        return self._on_the_wire(say, tuple(calls), run, is_look=verb == "claim")

    def _read(self, say: Any, parts: Sequence[Any], run: Any) -> dict[Any, Any]:
        return self._on_the_wire(say, parts, run, is_look=True, at_once=True)

    def _on_the_wire(self, say: Any, parts: Sequence[Any], run: Any, **how: bool) -> dict[Any, Any]:
        try:
            return self._wire.ask(say, parts, run, **how)
        except Silence:
            raise redis.TimeoutError("no answer") from None
        except Refusal:
            raise redis.exceptions.OutOfMemoryError("out of memory") from None

    def _told(self, verb: str, shard: int, call: Any, reply: Any) -> str:
        """Tell a call in the trace, where there is something to tell."""
        if isinstance(reply, StalePolicy):
            return f"{verb} s{shard} refused: the policy is {reply.revision} by now"
        version = self._servers.world.version
        if isinstance(reply, Behind):
            stands = ", ".join(f"{self._name(mark)} {at}" for mark, at in reply.watermarks)
            return f"{verb} s{shard} {self._parts(call.parts)} -> LOST, it stands at {stands}"
        if verb in {"apply", "tick"}:
            return f"{verb} s{shard} {parts}" if (parts := self._parts(call.parts)) else ""
        if verb == "recover":
            again = ", once more" if call.begin == REPETITION else ""
            return f"recover s{shard}{again}: generation {version(reply)}"
        if verb == "claim":
            due = " ".join(
                f"{due.sku} {version(due.token)}{'' if due.trust else ' (no trust)'}"
                for due in reply.due
            )
            stale = f" stale {' '.join(reply.stale)}" if reply.stale else ""
            return f"claim s{shard}: {due}{stale}" if due or stale else ""
        if verb == "settle":
            told = " ".join(f"{item.sku} {version(item.token)} {item.levels}" for item in call[2])
            return f"settle s{shard} {told} -> {reply} settled"
        return f"{verb} s{shard} {' '.join(call.skus)}"

    def _parts(self, parts: Sequence[Part]) -> str:
        return ", ".join(
            f"{self._name(part.watermark)} ({part.after},{part.upto}]"
            + (f" = {' '.join(str(event.offset) for event in part.events)}" if part.events else "")
            for part in parts
            if part.events or part.after != part.upto
        )

    def _name(self, mark: str) -> str:
        return self._servers.names.get(mark, mark)


def _raised(error: Exception) -> NoReturn:
    raise error


class SimServer:
    """What is asked of `Server`: identities, the clock, and the client that the policy is read with."""

    def __init__(self, wire: Wire, behind: Servers) -> None:
        self._wire = wire
        self._servers = behind
        self.client = self

    @property
    def connections(self) -> Connections:
        """Return how many were made: a shard that goes back takes its connections with it."""
        return Connections(sum(shard.epoch for shard in self._servers.shards))

    def identities(self, shards: int) -> list[str]:
        found = self._ask(
            "asks who the servers are", range(shards), lambda s: self._servers.shards[s].identity
        )
        return list(found.values())

    def skew_ms(self, now_ms: int) -> int:
        return now_ms - self._servers.world.true_us // 1000

    def hmget(self, _key: str, *_fields: str) -> list[bytes | None]:
        """Return revision, document and sums revision of the policy in force, with nothing laid over it."""

        def read(_part: int) -> list[bytes | None]:
            behind = self._servers
            sums = str(behind.sums_revision).encode()
            return [str(behind.revision).encode(), to_json(behind.policy), sums, None]

        found: list[bytes | None] = self._ask("reads the policy", (0,), read)[0]
        return found

    def lrange(self, _key: str, _first: int, _last: int) -> list[bytes]:
        """Return the rows of the code table."""
        rows: list[bytes] = self._ask(
            "reads the codes",
            (0,),
            lambda _part: [msgspec.json.encode(row) for row in self._servers.codes],
        )[0]
        return rows

    def pipeline(self, *, transaction: bool) -> "SimServer":
        """Return what gathers `hget` and `llen`: the standing of policy and codes."""
        assert not transaction
        return self

    def hget(self, key: str, field: str) -> None:
        """Ask for the revision."""

    def llen(self, key: str) -> None:
        """Ask for the number of code rows."""

    def execute(self) -> list[int]:
        """Return both."""
        found: list[int] = self._ask(
            "asks for the policy's revision",
            (0,),
            lambda _part: [self._servers.revision, len(self._servers.codes)],
        )[0]
        return found

    def _ask(self, say: str, parts: Sequence[int], run: Any) -> Any:
        try:
            return self._wire.ask(lambda: say, parts, run, is_look=True, at_once=True)
        except (Silence, Refusal):
            raise redis.TimeoutError("no answer") from None


def _names(calls: Mapping[int, Any]) -> str:
    return " ".join(f"s{shard}" for shard in calls)
