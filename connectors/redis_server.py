"""The Redis or Valkey server: how it is reached, and what it is checked for before it may keep stock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.embedded import Embedded, embedded

SOCKET_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
OLDEST_MAJOR = 7
"""Functions, and what they use, came with Redis 7; every Valkey has them."""

SKEW_MAX_MS = 1_000
"""A clock that is further off the server's may not write: versions would run ahead of a failover's floor."""


class ServerError(Exception):
    """The server cannot be used as it is; the text says what to change."""


class ServerAway(Exception):
    """The server does not answer."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server and a client for it (bytes in, bytes out; one per thread is wise under load)."""

    url: str
    client: redis.Redis
    store: Embedded | None

    def identity(self) -> str:
        """Return what changes when the server's memory may have gone back: `run_id:master_replid`.

        The embedded store tells by itself whether its last end was clean.
        """
        if self.store is not None:
            return self.store.identity
        pipeline = self.client.pipeline(transaction=False)
        pipeline.info("server")
        pipeline.info("replication")
        server, replication = pipeline.execute()
        return f"{server['run_id']}:{replication['master_replid']}"

    def skew_ms(self, now_ms: int) -> int:
        """Return by how much this machine's clock is ahead of the server's."""
        seconds, micros = self.client.time()
        return int(now_ms - (seconds * 1000 + micros // 1000))

    def check(self) -> None:
        """Refuse a server that may throw stock away.

        Raises:
            ServerError: too old, or it evicts keys when its memory is full.
        """
        info: dict[str, Any] = self.client.info("server")
        version = str(info.get("redis_version", "0"))
        if int(version.partition(".")[0]) < OLDEST_MAJOR:
            raise ServerError(f"server: expected Redis 7 or Valkey 8 or newer, got {version}")
        try:
            policy = self.client.config_get("maxmemory-policy").get(
                "maxmemory-policy", "noeviction"
            )
        except redis.ResponseError:
            return  # a hosted server may keep its configuration to itself
        if policy != "noeviction":
            raise ServerError(
                f"server: expected maxmemory-policy noeviction, got {policy}; it would throw stock away"
            )


@contextmanager
def server(url: str | None, data: Path) -> Iterator[Server]:
    """Use the server at `url`, or the embedded one of the data folder when there is none.

    Raises:
        ServerError: the URL names something that this version cannot use.
        ServerAway: it does not answer.
        EmbeddedError: the embedded store cannot be had.
    """
    if url is None:
        with embedded(data) as store:
            client = _client(store.url)
            try:
                yield Server(store.url, client, store)
            finally:
                client.close()
        return
    if urlsplit(url).scheme == "redis+cluster":
        raise ServerError("PENSTOCK_REDIS: expected redis://, rediss:// or unix://, got redis+cluster:// "
                          "(not available in this version)")  # fmt: skip
    client = _client(url)
    try:
        client.ping()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerAway(
            f"PENSTOCK_REDIS: no answer from the server ({type(error).__name__})"
        ) from None
    try:
        yield Server(url, client, None)
    finally:
        client.close()


def _client(url: str) -> redis.Redis:
    # Calls are repeated where it is known to be safe, not by the client.
    return redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
