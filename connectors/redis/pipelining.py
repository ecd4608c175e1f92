"""Commands on their way to servers: one round trip for any number of them, and work to be done meanwhile."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeAlias

import redis
from redis.cluster import ClusterNode
from redis.commands import CoreCommands
from redis.event import EventDispatcher

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
        """None = on the node of its key."""
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


class Sender(Protocol):
    """A client that can go on between sending and waiting."""

    def begin(self, commands: Sequence[Command]) -> Callable[[], list[Reply]]:
        """Send commands; what is returned waits for their replies, errors among them."""


class Pipeline(CoreCommands):
    """Commands gathered for one round trip to all servers that they concern."""

    _event_dispatcher = EventDispatcher()

    def __init__(self, client: Sender) -> None:
        self._client = client
        self._commands: list[Command] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._commands.clear()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Gather a command. It has a key, the first argument or that of a function call."""
        self._commands.append(Command(args, options))
        return self

    def send(self) -> Callable[[], list[Reply]]:
        """Send what was gathered; what is returned waits for the replies, errors among them. Call it once."""
        commands, self._commands = self._commands, []
        return self._client.begin(commands)

    def execute(self, raise_on_error: bool = True) -> list[Reply]:  # noqa: FBT001, FBT002 - its signature
        """Run what was gathered. Return the replies; errors are among them if they are not to be raised.

        Raises:
            redis.RedisError: the first error. A node that did not answer is raised in any case.
        """
        replies = self.send()()
        for reply in replies:
            if isinstance(reply, redis.RedisError) and (
                raise_on_error or not isinstance(reply, redis.ResponseError)
            ):
                raise reply
        return replies
