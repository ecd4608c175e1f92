"""The wrappers of `state.store` over a server or a cluster: what flows get instead of a client."""

from collections.abc import Callable

from connectors.redis.server import Server
from state.protocol.keys import Keys
from state.store.shards import Store
from state.store.shared import Shared


def shards_of(
    server: Server,
    namespace: str,
    shards: int,
    observe: Callable[[str, float], None] | None = None,
) -> Store:
    """Return the shards of a namespace; `observe(verb, seconds)` is called for each round trip."""
    return Store(server.client, Keys(namespace), shards, observe)


def shared_of(server: Server, namespace: str, shards: int) -> Shared:
    """Return what the processes of a namespace share beside the shards."""
    return Shared.over(server.client, Keys(namespace), shards)
