"""What the servers that keep the stock say of themselves.

Answers are by server: `host:port` of each primary of a cluster, the empty text for the one server that there is.
Errors are those of `state.store.shards`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from state.protocol.keys import Keys
from state.protocol.sharding import SLOTS
from state.store.client import Client
from state.store.library import library_source

ONE: Final = ""

Library = Literal["absent", "another", "current"]
"""The function library of a server: not loaded, of another version, or the one of this process."""


@runtime_checkable
class ClusterTopology(Protocol):
    """What a client of a cluster offers beside `Client`."""

    def ask(self, *command: str) -> dict[str, Any]:
        """Return the answer of every primary."""

    def node_of(self, key: str) -> str:
        """Return the primary of a key."""


class AppendOnlyFile(NamedTuple):
    """Whether the append-only file is on, and whether it was written the last time."""

    is_on: bool
    is_written: bool


class Slots(NamedTuple):
    """How many slots of the cluster are served, as one primary sees it, and the state that it gives."""

    served: int
    state: str

    @property
    def are_whole(self) -> bool:
        """Whether every slot is served."""
        return self.served >= SLOTS and self.state == "ok"


class ServerHealth:
    """Asks every server."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._cluster = client if isinstance(client, ClusterTopology) else None

    @property
    def is_cluster(self) -> bool:
        """Whether the shards are on a cluster."""
        return self._cluster is not None

    def versions(self) -> Mapping[str, str]:
        """Return name and version, such as `valkey 8.1.0`."""
        return {name: _version(info) for name, info in self._ask("INFO", "server").items()}

    def append_only_files(self) -> Mapping[str, AppendOnlyFile]:
        """Return the state of the append-only files."""
        return {
            name: AppendOnlyFile(
                bool(info.get("aof_enabled")), info.get("aof_last_write_status") == "ok"
            )
            for name, info in self._ask("INFO", "persistence").items()
        }

    def libraries(self) -> Mapping[str, Library]:
        """Return the state of the function libraries."""
        replies = self._ask("FUNCTION", "LIST", "LIBRARYNAME", "penstock", "WITHCODE")
        return {name: _library(reply) for name, reply in replies.items()}

    def slots(self) -> Mapping[str, Slots]:
        """Return the slots of a cluster, nothing of one server."""
        if self._cluster is None:
            return {}
        infos = self._cluster.ask("CLUSTER INFO").items()
        return {name: Slots(int(i["cluster_slots_ok"]), i["cluster_state"]) for name, i in infos}

    def shards_by_server(self, shards: int) -> Mapping[str, int]:
        """Return how many shards are on each server."""
        if self._cluster is None:
            return {ONE: shards}
        cluster = self._cluster
        counts = Counter(cluster.node_of(self._keys.shard(n, "meta")) for n in range(shards))
        return {name: counts[name] for name in sorted(cluster.ask("PING"))}

    def _ask(self, *command: str) -> dict[str, Any]:
        if self._cluster is not None:
            return self._cluster.ask(*command)
        return {ONE: self._client.execute_command(*command)}


def _version(info: Mapping[str, Any]) -> str:
    name = info.get("server_name", "redis")
    return f"{name} {info.get('valkey_version') or info.get('redis_version')}"


def _library(reply: object) -> Library:
    if not reply:
        return "absent"
    return "current" if library_source().encode() in _values(reply) else "another"


def _values(reply: object) -> Iterator[object]:
    """Yield every value of a reply, which has another form in each version of the protocol."""
    if isinstance(reply, dict):
        for value in reply.values():
            yield from _values(value)
    elif isinstance(reply, list | tuple):
        for value in reply:
            yield from _values(value)
    else:
        yield reply
