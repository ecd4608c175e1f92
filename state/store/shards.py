"""The state in Redis: the typed wrapper around the function library.

The only module of `state` that talks to Redis. Each method takes the calls of a whole batch, one per
shard, and sends them in one round trip. All verbs may be repeated after a lost answer: they are
fenced (`apply`, `tick`), tokened (`settle`) or idempotent.

Errors:
    redis.ConnectionError, redis.TimeoutError: unknown whether the calls ran; repeat them.
    redis.exceptions.TryAgainError: the slot of a shard is on its way to another node; repeat them.
    redis.ResponseError: Redis refused, say when out of memory; nothing of that call was done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, TypeVar, cast

import msgspec
import redis

from state.protocol.apply import Applied, Apply, decode_applied, encode_apply
from state.protocol.claim import Claim, Claimed, Hasten, Settles, decode_claimed, encode_settle
from state.protocol.common import Behind, StalePolicy, encode_call
from state.protocol.control import Rebuild, Recover, Tick, Ticked, decode_ticked
from state.protocol.inspect import (
    AskPromises,
    Inspect,
    Inspected,
    Promises,
    decode_inspected,
    decode_promises,
)
from state.protocol.keys import Keys
from state.store import library
from state.store.client import Client
from state.store.reads import Reads

Call = TypeVar("Call")

_decode = msgspec.msgpack.Decoder().decode


class Store(Reads):
    """All shards of one namespace behind one client.

    `observe(verb, seconds)` is called with the time of each round trip, for the metrics.
    """

    def __init__(
        self,
        client: Client,
        keys: Keys,
        shards: int,
        observe: Callable[[str, float], None] | None = None,
    ) -> None:
        super().__init__(client, keys, shards)
        self._observe = observe or (lambda _verb, _seconds: None)

    def load_functions(self) -> None:
        """Load the function library, replacing an older one. Idempotent."""
        self.client.execute_command("FUNCTION", "LOAD", "REPLACE", library.library_source())

    def begin(self, servers: Sequence[str]) -> None:
        """Record at each shard of a new store its server. From now on one that knows of none has lost all it had."""
        pipeline = self.client.pipeline(transaction=False)
        for meta, server in zip(self._meta, servers, strict=True):
            pipeline.hsetnx(meta, "server", server)
        pipeline.execute()

    def apply(self, calls: Mapping[int, Apply]) -> dict[int, Applied | Behind]:
        """Apply each shard's part of a batch.

        Each shard answers for itself: one may be lost, the others applied.
        """
        packed = {shard: encode_apply(call) for shard, call in calls.items()}
        return {
            shard: decode_applied(_decode(reply)) for shard, reply in self.send("apply", packed)
        }

    def begin_apply(
        self, rounds: Sequence[Mapping[int, Apply]]
    ) -> Callable[[], list[dict[int, Applied | Behind]]]:
        """Send rounds of calls, one after the other; what is returned waits for the answers, round by round.

        The calls of a shard are run in the order of the rounds. What is returned raises as `apply` does; then
        all rounds are to be applied again.
        """
        began = perf_counter()
        places = [(turn, shard) for turn, calls in enumerate(rounds) for shard in calls]
        receive = self._sent(
            "apply", ((shard, encode_apply(rounds[turn][shard])) for turn, shard in places)
        )
        sending_s = perf_counter() - began

        def answers() -> list[dict[int, Applied | Behind]]:
            began = perf_counter()
            found: list[dict[int, Applied | Behind]] = [{} for _ in rounds]
            replies = receive()
            self._observe("apply", sending_s + perf_counter() - began)
            if any(map(_is_without_functions, replies)):
                # What did run is known again; the others find the functions loaded.
                return [self.apply(calls) for calls in rounds]
            for (turn, shard), reply in zip(places, replies, strict=True):
                if isinstance(reply, Exception):
                    raise reply
                found[turn][shard] = decode_applied(_decode(reply))
            return found

        return answers

    def tick(self, calls: Mapping[int, Tick]) -> dict[int, Ticked | Behind]:
        """Report to each shard that nothing more is in a stretch of the log; learn how it stands."""
        packed = {shard: encode_call(call) for shard, call in calls.items()}
        return {shard: decode_ticked(_decode(reply)) for shard, reply in self.send("tick", packed)}

    def hasten(self, calls: Mapping[int, Hasten]) -> None:
        """Let SKUs be due sooner, those that the shard knows."""
        pipeline = self.client.pipeline(transaction=False)
        for shard, call in calls.items():
            scores = dict.fromkeys(call.skus, call.now_ms)
            pipeline.zadd(self.keys.shard(shard, "due"), scores, xx=True, lt=True)
        pipeline.execute()

    def recover(self, shard: int, call: Recover) -> int:
        """Begin (or go on with) a recovery and carry it through. Return the generation."""
        while True:
            ((_, packed),) = self.send("recover", {shard: encode_call(call)})
            reply = _decode(packed)
            if reply[1]:
                return cast("int", reply[2])
            call = call._replace(begin=0)

    def claim(self, calls: Mapping[int, Claim]) -> dict[int, Claimed | StalePolicy]:
        """Claim SKUs that are due, in each shard."""
        return self.begin_claim(calls)()

    def begin_claim(
        self, calls: Mapping[int, Claim]
    ) -> Callable[[], dict[int, Claimed | StalePolicy]]:
        """Send claims as `claim` does; what is returned waits for the answers, and raises as `claim` does."""
        receive = self._begin("claim", {shard: encode_call(call) for shard, call in calls.items()})
        return lambda: {shard: decode_claimed(reply) for shard, reply in receive()}

    def settle(self, now_us: int, revision: int, items: Settles) -> int:
        """Settle claims by shard, made under a policy. Return how many were still the latest of their SKU."""
        return self.begin_settle(now_us, revision, items)()

    def begin_settle(self, now_us: int, revision: int, items: Settles) -> Callable[[], int]:
        """Send what `settle` sends; what is returned waits for the answers, and raises as `settle` does."""
        packed = {shard: encode_settle(now_us, revision, mine) for shard, mine in items.items()}
        receive = self._begin("settle", packed)
        return lambda: sum(_decode(reply)[1] for _, reply in receive())

    def rebuild(self, shard: int, call: Rebuild) -> int | StalePolicy:
        """Rebuild the class sums of SKUs. Return how many were rebuilt."""
        ((_, packed),) = self.send("rebuild", {shard: encode_call(call)})
        reply = _decode(packed)
        return StalePolicy(reply[1]) if reply[0] == "REFUSED" else cast("int", reply[1])

    def inspect(self, shard: int, call: Inspect, places: bytes) -> Inspected:
        """Look at SKUs of a shard; `places` are those of its locations, encoded."""
        ((_, packed),) = self.send("inspect", {shard: encode_call(call)}, places)
        return decode_inspected(_decode(packed))

    def promises(self, shard: int, call: AskPromises) -> Promises:
        """Ask what records of orders of a shard hold promised."""
        ((_, packed),) = self.send("promises", {shard: encode_call(call)})
        return decode_promises(_decode(packed))

    def send(self, verb: str, calls: Mapping[int, bytes], *more: bytes) -> list[tuple[int, Any]]:
        """Call `verb` on each shard in one round trip; return the raw answers."""
        return self._begin(verb, calls, *more)()

    def _begin(
        self, verb: str, calls: Mapping[int, bytes], *more: bytes
    ) -> Callable[[], list[tuple[int, Any]]]:
        """Send calls of `verb`; what is returned waits for the raw answers, and raises the first error."""
        began = perf_counter()
        receive = self._sent(verb, calls.items(), *more)
        sending_s = perf_counter() - began

        def answers() -> list[tuple[int, Any]]:
            began = perf_counter()
            replies = dict(zip(calls, receive(), strict=True))
            if any(map(_is_without_functions, replies.values())):
                # Restarted without them, or a primary that joined the cluster since.
                self.load_functions()
                failed = {
                    s: calls[s] for s, reply in replies.items() if _is_without_functions(reply)
                }
                again = self._sent(verb, failed.items(), *more)()
                replies |= dict(zip(failed, again, strict=True))
            for reply in replies.values():
                if isinstance(reply, redis.exceptions.ReadOnlyError):
                    # No primary any more; behind the same address there may be another server by now.
                    self.client.close()
                if isinstance(reply, Exception):
                    raise reply
            self._observe(verb, sending_s + perf_counter() - began)
            return list(replies.items())

        return answers

    def _sent(
        self, verb: str, calls: Iterable[tuple[int, bytes]], *more: bytes
    ) -> Callable[[], list[Any]]:
        """Send calls, each to its shard; what is returned waits for the replies, errors among them."""
        pipeline = self.client.pipeline(transaction=False)
        for shard, argument in calls:
            name, meta = f"penstock_{verb}", self._meta[shard]
            pipeline.execute_command("FCALL", name, 1, meta, argument, *more)
        if hasattr(pipeline, "send"):
            receive: Callable[[], list[Any]] = pipeline.send()
            return receive
        return partial(pipeline.execute, raise_on_error=False)


def _is_without_functions(reply: Any) -> bool:
    return isinstance(reply, redis.ResponseError) and "Function not found" in str(reply)
