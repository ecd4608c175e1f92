"""One Redis or Valkey server, by the library's client, with pipelines that need not be waited for."""

from collections.abc import Callable, Sequence
from typing import Any

import redis

from connectors.redis.pipelining import Command, Exchange, Pipeline, Reply


class OneClient(redis.Redis):
    """A client of one server (bytes in, bytes out)."""

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Any:  # noqa: FBT002 - its signature
        """Return what gathers commands for one round trip."""
        return super().pipeline(transaction, shard_hint) if transaction else Pipeline(self)

    def begin(self, commands: Sequence[Command]) -> Callable[[], list[Reply]]:
        """Send commands; what is returned waits for their replies, errors among them."""
        exchange = Exchange(self)
        exchange.commands = list(commands)
        exchange.write()

        def replies() -> list[Reply]:
            try:
                exchange.read()
            finally:
                exchange.close()
            return [command.reply for command in commands]

        return replies
