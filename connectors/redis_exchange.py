"""Commands on their way to the nodes of a cluster: one round trip for any number of nodes."""

from typing import Any, TypeAlias

import redis
from redis.cluster import ClusterNode

_FUNCTION_CALLS = frozenset({"FCALL", "FCALL_RO"})
_KEY_OF_FUNCTION_CALL = 3
_ASKING = ("ASKING",)

Reply: TypeAlias = Any
"""What a server answered: a value, or the error that it is."""


class Command:
    """A command, where it has to go, and what came back."""

    __slots__ = ("args", "asking", "node", "options", "reply")

    def __init__(
        self, args: tuple[Any, ...], options: dict[str, Any], node: ClusterNode | None = None
    ) -> None:
        self.args = args
        self.options = options
        self.node = node
        """None = where its key lies."""
        self.asking = False
        """The node is asked although the slot is not its own yet."""
        self.reply: Reply = None

    @property
    def is_function_call(self) -> bool:
        """Whether it touches more keys than it names."""
        return self.args[0] in _FUNCTION_CALLS

    @property
    def key(self) -> Any:
        """The key that says where it goes."""
        return self.args[_KEY_OF_FUNCTION_CALL if self.is_function_call else 1]


class Exchange:
    """The commands of one round trip for one node. `write`, then `read`, then, in any case, `close`.

    A node that does not answer is the reply of its commands; errors are never raised.
    """

    __slots__ = ("_client", "_connection", "_owed", "commands")

    def __init__(self, client: redis.Redis) -> None:
        self.commands: list[Command] = []
        self._client: Any = client
        self._connection: Any = None
        self._owed = False

    def write(self) -> None:
        """Send all commands."""
        wire: list[tuple[Any, ...]] = []
        for command in self.commands:
            if command.asking:
                wire.append(_ASKING)
            wire.append(command.args)
        try:
            self._connection = self._client.connection_pool.get_connection()
            self._owed = True
            self._connection.send_packed_command(self._connection.pack_commands(wire))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._fail(self.commands, error)

    def read(self) -> None:
        """Take the replies."""
        if not self._owed:
            return
        parse = self._client.parse_response
        for i, command in enumerate(self.commands):
            try:
                if command.asking:
                    parse(self._connection, "ASKING")
                command.reply = parse(self._connection, command.args[0], **command.options)
            except redis.ResponseError as error:
                command.reply = error
            except (redis.ConnectionError, redis.TimeoutError) as error:
                self._fail(self.commands[i:], error)
                return
        self._owed = False

    def close(self) -> None:
        """Give the connection back. One that still owes replies is dropped."""
        if self._connection is None:
            return
        if self._owed:
            self._connection.disconnect()
        self._client.connection_pool.release(self._connection)

    def _fail(self, commands: list[Command], error: redis.RedisError) -> None:
        for command in commands:
            command.reply = error
        if self._connection is not None:
            self._connection.disconnect()
        self._owed = False
        # The others of the pool lead to the same node.
        self._client.connection_pool.disconnect(inuse_connections=False)
