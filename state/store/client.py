"""What the store uses of a client of Redis, for one server or a cluster alike."""

from collections.abc import Callable
from typing import Any, Protocol


class Client(Protocol):
    """The part of a redis-py client that is used (bytes in, bytes out)."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command."""

    def pipeline(self, transaction: Any = True) -> Any:  # noqa: FBT002 - its signature
        """Return what gathers commands for one round trip."""

    def close(self) -> None:
        """Drop the connections; the next command makes new ones."""

    def transaction(self, func: Callable[[Any], None], *watches: Any) -> Any:
        """Run `func` on a pipeline that watches keys of one slot; again if one of them changed meanwhile."""

    def hget(self, name: Any, key: Any) -> Any:
        """Return a field of a hash."""

    def hmget(self, name: Any, keys: Any, *args: Any) -> Any:
        """Return some fields of a hash."""

    def hgetall(self, name: Any) -> Any:
        """Return all fields of a hash."""

    def hkeys(self, name: Any) -> Any:
        """Return the names of all fields of a hash."""

    def hlen(self, name: Any) -> Any:
        """Return the number of fields of a hash."""

    def hset(self, name: Any, key: Any = None, value: Any = None, mapping: Any = None) -> Any:
        """Set a field of a hash, or several."""

    def hsetnx(self, name: Any, key: Any, value: Any) -> Any:
        """Set a field of a hash that is not there yet."""

    def hdel(self, name: Any, *keys: Any) -> Any:
        """Delete fields of a hash."""

    def lrange(self, name: Any, start: Any, end: Any) -> Any:
        """Return a stretch of a list."""
