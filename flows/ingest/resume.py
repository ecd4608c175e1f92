"""Resume: from which offset a reader goes on, and when it must not."""

from collections.abc import Mapping, Sequence
from functools import partial

from connectors.log.base import INPUT_TOPICS, Partition
from connectors.redis.server import ServerError
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from flows.runtime.shard_tick import calls_of
from state.protocol.apply import Part
from state.protocol.common import ABSENT
from state.protocol.pack import Chain


class LogLost(ServerError):
    """The log is not the one that the watermarks belong to; reading on would skip or repeat events."""


def log_ids_of(runtime: Runtime) -> dict[str, str]:
    """Return the log id of each input topic; a topic that is created again has another."""
    return {
        topic: retry_until_available(partial(runtime.log.log_id, topic)) for topic in INPUT_TOPICS
    }


def check_log_ids(runtime: Runtime, known: Mapping[str, str]) -> None:
    """Refuse to read on when a topic has another log id than is known of it.

    Raises:
        LogLost: with both.
    """
    for topic, log_id in log_ids_of(runtime).items():
        if log_id != known[topic]:
            raise LogLost(
                f"{topic}: expected the log {known[topic]}, got {log_id}: "
                "the topic was made again while it was read; start again to read the new one"
            )


def opened(
    runtime: Runtime, log_ids: Mapping[str, str], partitions: frozenset[Partition]
) -> dict[Partition, Chain]:
    """Return the offset chains of partitions, each after the minimum of its watermarks over all shards.

    Raises:
        LogLost: log and watermarks do not belong together.
    """
    if not partitions:
        return {}
    check_log_ids(runtime, log_ids)
    marks = retry_until_available(runtime.store.marks)
    topics = sorted({partition.topic for partition in partitions})
    starts = {
        topic: retry_until_available(partial(runtime.log.start_offsets, topic)) for topic in topics
    }
    ends = {
        topic: retry_until_available(partial(runtime.log.end_offsets, topic)) for topic in topics
    }
    chains = {}
    for partition in sorted(partitions):
        mark = f"{log_ids[partition.topic]}/{partition.n}"
        applied = [shard.get(mark, ABSENT) for shard in marks]
        start, end = starts[partition.topic][partition.n], ends[partition.topic][partition.n]
        check_resume(partition, applied, start, end)
        chains[partition] = Chain.starting(mark, min(applied), runtime.store.shards)
    return chains


def check_resume(partition: Partition, marks: Sequence[int], start: int, end: int) -> None:
    """Refuse to read where the watermarks and the log do not belong together.

    `marks` are the watermarks of all shards, `start` the oldest offset kept, `end` the next to be written.

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
    """Set the watermarks of partitions of which nothing was applied: `earliest`, `latest` or an offset.

    Returns the watermark set per partition. Partitions with watermarks are left alone.

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
    servers = runtime.primaries.identities(runtime.store.shards)
    runtime.store.tick(calls_of(runtime, servers, lambda _shard: tuple(parts)))
    return chosen
