"""The modelled shards: the memory pool, with a guard that forgets as Redis does, and a history to go back in.

A shard is a pure function of the calls that reached it, so its history is the list of them: to go back is to begin
anew and to repeat the calls up to that moment.
"""

from contextlib import suppress
from typing import Any

import redis

from state.memory.shard import MemoryShard
from state.protocol.apply import Applied, Apply
from state.protocol.common import Behind

FIRST_SERVER = "server"


class Pool(MemoryShard):
    """The rules of a shard. A set of the guard is gone some time after its last entry."""

    ends_ms: dict[int, int]

    def apply(self, call: Apply) -> Applied | Behind:
        ends_ms, now_ms = self.ends_ms, call.now_us // 1000
        for name in [name for name in self.seen if ends_ms.get(name, now_ms) < now_ms]:
            del self.seen[name]
        reply = super().apply(call)
        for part in call.parts:
            for event in part.events:
                if event.slice in self.seen:
                    ends_ms[event.slice] = now_ms + call.guard_ms
        return reply


def pool(kind: type[Pool]) -> Pool:
    made = kind()
    made.ends_ms = {}
    return made


class Shard:
    """A shard, its history, and the server that it lies on."""

    def __init__(self, kind: type[Pool]) -> None:
        self._kind = kind
        self.pool = pool(kind)
        self.pool.server = FIRST_SERVER
        self._history: list[tuple[int, str, tuple[Any, ...]]] = []
        self.epoch = 0
        """Times that it went back, which its server's identity tells."""
        self.told = 0
        """The identity as it is told: after `epoch`, at times late."""
        self.was_late = False
        """Whether it ever was: nobody can know then that the shard went back, and it may repeat a version."""

    @property
    def identity(self) -> str:
        return f"server-{self.told}" if self.told else FIRST_SERVER

    def call(self, now_us: int, verb: str, *arguments: Any) -> Any:
        """Run a call, and remember it."""
        self._history.append((now_us, verb, arguments))
        return getattr(self.pool, verb)(*arguments)

    def roll_back(self, to_us: int) -> int:
        """Go back to a time of the run: before the first call it is as empty as a replica that never had anything.

        Return how many calls were undone.
        """
        history = self._history
        kept = [call for call in history if call[0] <= to_us]
        self.pool = pool(self._kind)
        if kept:
            self.pool.server = FIRST_SERVER
        for _, verb, arguments in kept:
            with suppress(redis.RedisError):
                getattr(self.pool, verb)(*arguments)
        self._history = kept
        self.epoch += 1
        return len(history) - len(kept)
