"""The Redis or Valkey server, or cluster: how it is reached, and what it is checked for before it may keep stock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, RedisClusterException
from redis.retry import Retry

from connectors.redis.cluster import Client, ClusterClient, is_cluster
from connectors.redis.embedded import Embedded, embedded
from connectors.redis.standalone import OneClient
from state.protocol.keys import Keys

SOCKET_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
OLDEST_MAJOR = 7
"""Functions, and what they use, came with Redis 7; every Valkey has them."""

SKEW_MAX_MS = 1_000
"""A clock that is further off the server's may not write: versions would run ahead of a failover's floor."""

_ALONE = ""
_UNLINK_MAX = 1_000


class ServerError(Exception):
    """The server cannot be used as it is; the text says what to change."""


class ServerAway(Exception):
    """The server does not answer."""


NO_LOG_ON_A_CLUSTER = (
    "PENSTOCK_REDIS, PENSTOCK_KAFKA: expected PENSTOCK_KAFKA beside a cluster, got none: a log on Redis has to lie "
    "on one server with all shards, so that they roll back together"
)


@dataclass(slots=True)
class Connections:
    """Counts the connections that a client made: behind a new one may be a server that has gone back."""

    made: int = 0

    def count(self, _connection: Any) -> None:
        """Count one."""
        self.made += 1

    def count_and_greet(self, connection: Any) -> None:
        """Count one, and do on it what the library does on a new one by default."""
        self.made += 1
        connection.on_connect()


@dataclass(frozen=True, slots=True)
class Server:
    """What keeps the stock, and a client for it (bytes in, bytes out; one per thread is wise under load)."""

    url: str
    client: Client
    store: Embedded | None
    connections: Connections = field(default_factory=Connections)

    @property
    def one(self) -> redis.Redis:
        """The client of the one server that there is.

        Raises:
            ServerError: there are several.
        """
        if isinstance(self.client, ClusterClient):
            raise ServerError(NO_LOG_ON_A_CLUSTER)
        return self.client

    def ask(self, *command: str) -> dict[str, Any]:
        """Return what every server that keeps stock answers, all asked at once.

        By `host:port`, or by the empty text when there is but one.
        """
        client: Any = self.client
        if isinstance(client, ClusterClient):
            return client.ask(*command)
        return {_ALONE: client.execute_command(*command)}

    def identities(self, shards: int) -> list[str]:
        """Return for each shard what changes when it may have gone back: `run_id:master_replid` of its server.

        The embedded store reports by itself whether its last end was clean.
        """
        if self.store is not None:
            return [self.store.identity] * shards
        client = self.client
        found = self.ask("INFO", "server", "replication")
        if not isinstance(client, ClusterClient):
            return [_identity(found[_ALONE])] * shards
        if any(info["role"] != "master" for info in found.values()):
            client.refresh()
            raise ClusterDownError("a primary has become a replica")
        names = (client.node_of(Keys().shard(shard, "meta")) for shard in range(shards))
        return [_identity(found[name]) for name in names]

    def keys_like(self, pattern: str, count: int) -> Iterator[list[bytes]]:
        """Yield the keys that match a pattern, some at a time, each piece from a call over `count` keys.

        A key that is there from the first call to the last comes at least once, unless it moves from one node of
        a cluster to another meanwhile.
        """
        client = self.client
        nodes = client.primaries() if isinstance(client, ClusterClient) else [client]
        for node in nodes:
            cursor: int | None = None
            while cursor != 0:
                cursor, found = cast("Any", node).scan(cursor or 0, match=pattern, count=count)
                yield found

    def skews_ms(self, now_ms: int) -> dict[str, int]:
        """Return by how much this machine's clock is ahead of each server's; by server, as `ask` does."""
        clocks = self.ask("TIME").items()
        return {name: int(now_ms - s * 1000 - micros // 1000) for name, (s, micros) in clocks}

    def skew_ms(self, now_ms: int) -> int:
        """Return by how much this machine's clock is ahead of the server's that is furthest off."""
        return max(self.skews_ms(now_ms).values(), key=abs)

    def ping(self) -> str | None:
        """Return why the servers cannot be reached, None when they answer."""
        try:
            self.client.ping()
        except redis.RedisError as error:
            return f"no answer ({type(error).__name__})"
        return None

    def remove_keys(self, prefix: str) -> None:
        """Remove every key that begins with a prefix, some at a time."""
        client, found = self.client, list[Any]()
        for key in client.scan_iter(match=f"{prefix}*", count=_UNLINK_MAX):
            found.append(key)
            if len(found) >= _UNLINK_MAX:
                client.unlink(*found)
                found.clear()
        if found:
            client.unlink(*found)

    def never_rewrite(self) -> None:
        """Let the append-only file grow, for a store that is thrown away soon: a rewrite would take time from it."""
        self.client.config_set("auto-aof-rewrite-percentage", 0)

    def check(self) -> None:
        """Refuse servers that may throw stock away.

        Raises:
            ServerError: too old, evicting keys when its memory is full, or a node of a cluster that was
                given as a server.
        """
        for name, info in self.ask("INFO", "server").items():
            version = str(info.get("redis_version", "0"))
            if int(version.partition(".")[0]) < OLDEST_MAJOR:
                raise ServerError(
                    f"{_called(name)}: expected Redis 7 or Valkey 8 or newer, got {version}"
                )
            if info.get("redis_mode") == "cluster" and name == _ALONE:
                raise ServerError(
                    "PENSTOCK_REDIS: expected redis+cluster:// or rediss+cluster:// for a node of a "
                    "cluster, got the URL of a server"
                )
        try:
            policies = self.ask("CONFIG GET", "maxmemory-policy")
        except redis.ResponseError:
            return  # a hosted server may keep its configuration to itself
        for name, found in policies.items():
            policy = _config(found).get("maxmemory-policy", "noeviction")
            if policy != "noeviction":
                raise ServerError(
                    f"{_called(name)}: expected maxmemory-policy noeviction, got {policy}; "
                    "it would throw stock away"
                )


@contextmanager
def server(url: str | None, data: Path) -> Iterator[Server]:
    """Use the server or cluster at `url`, or the embedded one of the data folder when there is none.

    Raises:
        ServerError: the URL names something that cannot be used.
        ServerAway: it does not answer.
        EmbeddedError: the embedded store cannot be had.
    """
    connections = Connections()
    if url is None:
        with embedded(data) as store:
            client = _client(store.url, connections)
            try:
                yield Server(store.url, client, store, connections)
            finally:
                client.close()
        return
    found = _reached_cluster(url, connections) if is_cluster(url) else _reached(url, connections)
    try:
        yield Server(url, found, None, connections)
    finally:
        found.close()


@contextmanager
def beside(server: Server) -> Iterator[Server]:
    """Reach the same servers by a client of its own, for another thread.

    Raises:
        ServerAway: they do not answer.
    """
    connections, url = Connections(), server.url
    client = _reached_cluster(url, connections) if is_cluster(url) else _reached(url, connections)
    try:
        yield replace(server, client=client, connections=connections)
    finally:
        client.close()


def _reached(url: str, connections: Connections) -> redis.Redis:
    client = _client(url, connections)
    try:
        client.ping()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ServerAway(
            f"PENSTOCK_REDIS: no answer from the server ({type(error).__name__})"
        ) from None
    return client


def _reached_cluster(url: str, connections: Connections) -> ClusterClient:
    try:
        return ClusterClient(
            url,
            timeout_s=SOCKET_TIMEOUT_S,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            on_connect=connections.count,
        )
    except RedisClusterException as error:
        # A seed that answers but knows no cluster, or an option that has no meaning there.
        if not isinstance(error.__cause__, redis.RedisError | OSError):
            got = error.__cause__ or error
            raise ServerError(f"PENSTOCK_REDIS: expected a cluster, got {got}") from None
        why: BaseException = error.__cause__
    except (redis.ConnectionError, redis.TimeoutError, ClusterDownError) as error:
        why = error
    raise ServerAway(f"PENSTOCK_REDIS: no answer from the cluster ({type(why).__name__})")


def _client(url: str, connections: Connections) -> redis.Redis:
    # Calls are repeated where it is known to be safe, not by the client.
    return OneClient.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        redis_connect_func=connections.count_and_greet,
    )


def _identity(info: Mapping[str, Any]) -> str:
    return f"{info['run_id']}:{info['master_replid']}"


def _config(reply: Any) -> dict[str, str]:
    """Return the answer of CONFIG GET as text, whichever version of the protocol it came by."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _called(name: str) -> str:
    return f"server {name}" if name else "server"
