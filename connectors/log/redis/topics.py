"""The register of topics that a log on Redis keeps, and its errors as those of any log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis

from connectors.log.base import LogError, LogFull, LogUnavailable, UnknownTopic


class Topic(NamedTuple):
    """What the register says of a topic: `<log id> <partitions>`."""

    log_id: str
    partitions: int


def registered(topic: str, entry: Any) -> Topic:
    """Return what an entry of the register says. Raises `UnknownTopic` if there is none."""
    if entry is None:
        raise UnknownTopic(topic)
    log_id, partitions = entry.decode().split()
    return Topic(log_id, int(partitions))


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise every error of Redis within the block as an error of the log."""
    try:
        yield
    except redis.RedisError as error:
        raise log_error(error) from error


def log_error(error: Exception) -> LogError:
    """Return an error of Redis as one of the log."""
    text = str(error)
    if text.startswith(("FULLLOG", "OOM")):
        return LogFull(text)
    return LogUnavailable(text)
