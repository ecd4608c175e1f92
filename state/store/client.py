"""What the store uses of a client of Redis."""

from typing import Any, Protocol


class Client(Protocol):
    """What is used of a redis-py client (bytes in, bytes out)."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command."""

    def pipeline(self, transaction: Any = True) -> Any:  # noqa: FBT002 - its signature
        """Return what gathers commands for one round trip."""

    def close(self) -> None:
        """Drop the connections; the next command makes new ones."""
