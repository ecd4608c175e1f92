"""Where reading resumes, and where it must not."""

from collections.abc import Sequence

from connectors.log.base import INPUT_TOPICS, Partition
from connectors.redis.server import ServerError
from flows.runtime.context import Runtime
from state.protocol.apply import Part
from state.protocol.common import ABSENT
from state.protocol.control import Tick


class LogLost(ServerError):
    """The log is not the one that the marks speak of; reading on would skip or repeat events."""


def check_resume(partition: Partition, marks: Sequence[int], start: int, end: int) -> None:
    """Refuse to read where the marks and the log do not belong together.

    `marks` are those of all shards, `start` the oldest offset kept, `end` the next to be written.

    Raises:
        LogLost: with what to do about it.
    """
    if max(marks) > max(end - 1, ABSENT):
        raise LogLost(
            f"{partition.topic}/{partition.n}: expected the log to reach offset {max(marks)}, which was "
            f"applied, got its end at {end}: the log lost its tail and would give offsets out again"
        )
    resume = min(marks)
    if resume + 1 >= start:
        return
    if max(marks) == ABSENT:
        raise LogLost(
            f"{partition.topic}/{partition.n}: nothing was ever applied and the log starts at {start}; "
            "say where to begin with `penstock init --from earliest|latest|OFFSET`"
        )
    raise LogLost(
        f"{partition.topic}/{partition.n}: expected the log from offset {resume + 1} on, got its start at "
        f"{start}: events were trimmed before every shard had applied them"
    )


def begin_at(runtime: Runtime, where: str) -> dict[Partition, int]:
    """Set the marks of partitions of which nothing was applied: `earliest`, `latest` or an offset.

    Returns the mark set per partition. Partitions with marks are left alone.

    Raises:
        ValueError: `where` is none of these.
    """
    if where not in {"earliest", "latest"} and not where.isdigit():
        raise ValueError(f"--from: expected earliest, latest or an offset, got {where!r}")
    marks, log = runtime.store.marks(), runtime.log
    chosen: dict[Partition, int] = {}
    parts: list[Part] = []
    for topic in INPUT_TOPICS:
        starts, ends, log_id = log.start_offsets(topic), log.end_offsets(topic), log.log_id(topic)
        for n, start in starts.items():
            mark = f"{log_id}/{n}"
            if any(mark in shard for shard in marks):
                continue
            first = {"earliest": start, "latest": ends[n]}.get(where)
            first = int(where) if first is None else first
            chosen[Partition(topic, n)] = first - 1
            parts.append(Part(mark, ABSENT, first - 1))
    servers = runtime.server.identities(runtime.store.shards)
    runtime.store.tick(
        {
            shard: Tick(runtime.clock.now_us(), server, runtime.policy.revision, 0, tuple(parts))
            for shard, server in enumerate(servers)
        }
    )
    return chosen
