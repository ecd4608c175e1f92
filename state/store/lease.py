"""A leader lease: one process of a store holds it, for as long as it renews it."""

from state.store.client import Client


class Lease:
    """A lease on one key, for one owner. Between the check and the write it may end: then two hold it for a moment."""

    def __init__(self, client: Client, key: str, owner: str, life_ms: int) -> None:
        self._client, self._key, self._owner, self._life_ms = client, key, owner.encode(), life_ms

    def hold(self) -> bool:
        """Take the lease, or renew it; say whether this owner holds it."""
        client = self._client
        if client.execute_command("SET", self._key, self._owner, "NX", "PX", self._life_ms):
            return True
        if client.execute_command("GET", self._key) != self._owner:
            return False
        client.execute_command("PEXPIRE", self._key, self._life_ms)
        return True

    def release(self) -> None:
        """End the lease if this owner holds it, so that another process need not wait for it."""
        if self._client.execute_command("GET", self._key) == self._owner:
            self._client.execute_command("DEL", self._key)
