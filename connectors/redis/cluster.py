"""A Redis Cluster behind the verbs of a client for one server.

The slot table and the clients of the nodes are the library's. Its pipelines ask a server for the keys of
each function call; these know where a key stands, so that a batch is one round trip: its commands are
grouped by node, sent to all nodes, and only then read.

A command whose slot has moved (MOVED) is sent again to where it went. A function call is never sent after a
slot that is on its way (ASK): of the keys that it will touch only some are there yet, and it would take the
others for absent. It fails with `TryAgainError` until the slot has arrived. What failed otherwise is left to
the caller, who knows whether it may be repeated; the slot table is rebuilt before.

Errors:
    redis.ConnectionError, redis.TimeoutError, redis.exceptions.ClusterDownError, TryAgainError: repeat it.
    redis.ResponseError: the server refused.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisClusterException,
    TryAgainError,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from connectors.redis.pipelining import Command, Exchange, Pipeline, Reply

SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
PORT = 6379
TURNS_MAX = 5
"""So often a command is sent after its slot."""

_STALE = (redis.ConnectionError, redis.TimeoutError, ClusterDownError, ReadOnlyError)
"""Errors after which the slot table may be another."""


def is_cluster(url: str | None) -> bool:
    """Whether a URL names a cluster."""
    return url is not None and urlsplit(url).scheme in SCHEMES


class ClusterClient(redis.RedisCluster):
    """A client of a cluster (bytes in, bytes out). All commands go to primaries."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        connect_timeout_s: float,
        on_connect: Callable[[Any], None] | None = None,
    ) -> None:
        """Ask a seed of the URL for the slot table. `on_connect` is called with each connection to a node.

        Raises:
            RedisClusterException: no seed returns it; the cause is what the last one said.
        """
        first, *others = _seeds(url)
        super().__init__(
            url=urlunsplit(first),
            startup_nodes=[_node(*_address(seed)) for seed in others],
            # Calls are repeated where it is known to be safe, not by the client.
            retry=Retry(NoBackoff(), 0),
            require_full_coverage=False,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
            socket_timeout=timeout_s,
            socket_connect_timeout=connect_timeout_s,
            redis_connect_func=on_connect,
        )
        self._seeds = [_address(seed) for seed in (first, *others)]
        self.moved = 0
        """Commands that met a slot elsewhere than the table said."""
        self.asked = 0
        """Commands that met a slot on its way."""

    def pipeline(self, transaction: Any = False, shard_hint: Any = None) -> Any:  # noqa: ARG002, FBT002 - its signature
        """Return what gathers commands for one round trip; as a transaction it cannot span nodes."""
        if transaction:
            raise ValueError("pipeline: expected no transaction, got one; use `transaction`")
        return Pipeline(self)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command on the node of its key; one without a key where the library sends it."""
        names = {str(args[0]).upper(), " ".join(map(str, args[:2])).upper()}
        if "target_nodes" in options or names & self.command_flags.keys():
            with _cluster_errors():
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        (reply,) = self.send([Command(args, options)])
        return _value(reply)

    def transaction(
        self, func: Callable[[redis.client.Pipeline], None], *watches: Any, **options: Any
    ) -> Any:
        """Run a transaction on the node of its keys, which have to be in one slot."""
        for _ in range(TURNS_MAX):
            try:
                node = self._node_of_key(watches[0])
                return self.get_redis_connection(node).transaction(func, *watches, **options)
            except MovedError as error:
                self._follow(error)
            except AskError as error:
                raise self._on_its_way() from error
            except _STALE:
                self.refresh()
                raise
        raise TryAgainError("the slot moved again and again")

    def ping(self, **_options: Any) -> bool:
        """Return True when every primary answers."""
        return all(self.ask("PING").values())

    def ask(self, *args: Any) -> dict[str, Any]:
        """Run a command on every primary, in one round trip. Return the answers by `host:port`."""
        commands = [Command(args, {}, node) for node in self._primaries()]
        replies = self.send(commands)
        return {
            command.node.name: _value(reply)
            for command, reply in zip(commands, replies, strict=True)
            if command.node is not None
        }

    def primaries(self) -> list[redis.Redis]:
        """Return a client for each primary."""
        return [self.get_redis_connection(node) for node in self._primaries()]

    def node_of(self, key: str) -> str:
        """Return `host:port` of the primary that keeps a key, as the table says."""
        return str(self._node_of_key(key).name)

    def refresh(self) -> None:
        """Rebuild the slot table. Raises `redis.ConnectionError` if no node returns it."""
        with _cluster_errors():
            self.nodes_manager.initialize(
                additional_startup_nodes_info=self._seeds, disconnect_startup_nodes_pools=False
            )

    def send(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands, each where it belongs. Return the replies, errors among them, in order."""
        return self.begin(commands)()

    def begin(self, commands: Sequence[Command]) -> Callable[[], list[Reply]]:
        """Send commands, each where it belongs; what is returned waits for the replies of `send`."""
        written = self._written(commands)

        def replies() -> list[Reply]:
            _read(written)
            pending = self._to_repeat(commands)
            for _ in range(TURNS_MAX - 1):
                if not pending:
                    break
                _read(self._written(pending))
                pending = self._to_repeat(pending)
            for command in pending:
                command.reply = TryAgainError("the slot moved again and again")
            return [command.reply for command in commands]

        return replies

    def _written(self, commands: Iterable[Command]) -> list[Exchange]:
        """Send commands. Return the exchanges that wait for replies."""
        work: dict[str, Exchange] = {}
        for command in commands:
            try:
                node = command.node or self._node_of_key(command.key)
            except ClusterDownError as error:
                command.reply = error
                continue
            if node.name not in work:
                work[node.name] = Exchange(self.get_redis_connection(node))
            work[node.name].commands.append(command)
        for each in work.values():
            each.write()
        return list(work.values())

    def _to_repeat(self, commands: Iterable[Command]) -> list[Command]:
        """Return what has to be sent elsewhere; learn from the errors where that is."""
        again: list[Command] = []
        stale = False
        for command in commands:
            error = command.reply
            if isinstance(error, MovedError):
                self._follow(error)
                command.node, command.asking = None, False
                again.append(command)
            elif isinstance(error, AskError):
                if command.is_function_call:
                    command.reply = self._on_its_way()
                else:
                    self.asked += 1
                    command.node, command.asking = self._node_at(error.host, error.port), True
                    again.append(command)
            elif isinstance(error, _STALE):
                stale = True
        if stale:
            self.refresh()
        return again

    def _follow(self, error: MovedError) -> None:
        self.moved += 1
        self.nodes_manager.move_slot(error)

    def _on_its_way(self) -> TryAgainError:
        self.asked += 1
        return TryAgainError("the slot is on its way to another node")

    def _primaries(self) -> list[ClusterNode]:
        found: list[ClusterNode] = self.nodes_manager.get_nodes_by_server_type("primary")
        return found

    def _node_at(self, host: str, port: int) -> ClusterNode:
        """Return a node by its address. One that has no slots yet is not in the table."""
        node = _node(host, port)
        return self.nodes_manager.nodes_cache.setdefault(node.name, node)

    def _node_of_key(self, key: Any) -> ClusterNode:
        slot = key_slot(key.encode() if isinstance(key, str) else key)
        nodes = self.nodes_manager.slots_cache.get(slot)
        if not nodes:
            raise ClusterDownError("no node serves the slot")
        return nodes[0]


Client: TypeAlias = redis.Redis | ClusterClient
"""What reaches the store: one server, or a cluster."""


def _read(exchanges: Sequence[Exchange]) -> None:
    """Take the replies of all exchanges."""
    try:
        for each in exchanges:
            each.read()
    finally:
        for each in exchanges:
            each.close()


@contextmanager
def _cluster_errors() -> Iterator[None]:
    """Raise what the library says of the cluster as a whole as the errors that may be repeated."""
    try:
        yield
    except RedisClusterException as error:
        raise redis.ConnectionError(str(error)) from error


def _seeds(url: str) -> list[SplitResult]:
    """Return, for each node that the URL of a cluster names, the URL of that node."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    scheme = SCHEMES[parts.scheme]
    return [
        SplitResult(scheme, user + at + host, parts.path, parts.query, "")
        for host in hosts.split(",")
    ]


def _node(host: str, port: int) -> ClusterNode:
    return ClusterNode(host, port)  # type: ignore[no-untyped-call]


def _address(seed: SplitResult) -> tuple[str, int]:
    return seed.hostname or "", seed.port or PORT


def _value(reply: Reply) -> Any:
    if isinstance(reply, redis.RedisError):
        raise reply
    return reply
