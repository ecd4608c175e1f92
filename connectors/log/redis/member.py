"""Which member reads which partitions, for a log on Redis: a sorted set of members by when they end."""

from collections.abc import Mapping

import redis

from connectors.log.base import MEMBER_LIFE_MS, Partition
from connectors.log.redis.topics import registered, unavailable
from state.protocol.keys import Keys


class RedisMember:
    """A member of a group."""

    def __init__(
        self, client: redis.Redis, keys: Keys, group: str, topics: tuple[str, ...], member_id: str
    ) -> None:
        self._client = client
        self._keys = keys
        self._group = keys.log_members(group)
        self._topics = tuple(sorted(topics))
        self._id = member_id

    def heartbeat(self, now_ms: int) -> frozenset[Partition]:
        """Stay a member; return the partitions to read now: partition k goes to member k mod n."""
        with unavailable(), self._client.pipeline(transaction=True) as pipe:
            pipe.zadd(self._group, {self._id: now_ms + MEMBER_LIFE_MS})
            pipe.zremrangebyscore(self._group, "-inf", now_ms)
            pipe.zrange(self._group, 0, -1)
            pipe.hmget(self._keys.log_topics(), list(self._topics))
            *_, members, entries = pipe.execute()
        ordered = sorted(members)
        mine = ordered.index(self._id.encode())
        every = (
            Partition(topic, n)
            for topic, entry in zip(self._topics, entries, strict=True)
            for n in range(registered(topic, entry).partitions)
        )
        return frozenset(p for k, p in enumerate(every) if k % len(ordered) == mine)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """The watermarks say it already, and no tool asks this log."""

    def leave(self) -> None:
        """Give the partitions up at once."""
        with unavailable():
            self._client.zrem(self._group, self._id)
