"""The policy and the code tables, as the processes of one store share them.

A process that starts activates the policy of its file: if that differs from the one in the store, it gets the next
revision. A running process never activates its own; when a shard names a newer revision, the process takes that one
from the store. So all processes follow the one that started last.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec

from state.events.codes import CodeRow, CodeTable, Mapping, additions
from state.policy import overlay
from state.policy.document import Policy, from_json, to_json
from state.policy.overlay import Overlay
from state.policy.sums_digest import layout_digest
from state.protocol.keys import Keys
from state.store import policy_history
from state.store.client import Client
from state.store.policy_history import By, Entry

_FIELDS = ("revision", "document", "sums_revision", "overlay")

STARTED = By("start", "the file of a process that started")

_encode_row = msgspec.json.Encoder().encode
_decode_row = msgspec.json.Decoder(CodeRow).decode


class NoPolicy(Exception):
    """The store has no policy yet, so there is nothing that an overlay could be applied to."""


class PolicyRecord(NamedTuple):
    """The active policy of a store, and its revision, which rises with every change."""

    revision: int
    policy: Policy
    sums_revision: int
    """The revision at which classes or floors last changed: class sums belong to it."""
    overlay: Overlay = Overlay()
    """What was decided at run time, applied over the policy."""


class PolicyStore:
    """Policy, overlay, history and code tables of one namespace. Each change is one transaction."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client, self._key, self._codes = client, keys.policy(), keys.codes()

    def activate(
        self, policy: Policy, now_ms: int, *, new_revision: bool = False, by: By = STARTED
    ) -> PolicyRecord:
        """Make this the policy of the store, under a new revision if it is not the one already.

        `new_revision` gives it one in any case: running processes take up policy and code tables together. `by`
        gives the author and the reason; it goes into the history.
        """
        document = to_json(policy)
        active = PolicyRecord(0, policy, 0)

        def change(pipeline: Any) -> None:
            nonlocal active
            found: Any = pipeline.hmget(self._key, *_FIELDS, policy_history.FIELD)
            *known, history = found
            before = _record(known)
            if before is not None and before.policy == policy and not new_revision:
                active = before
                pipeline.multi()
                return
            # Time takes part, so that a store that rolled back never gives a revision out again.
            following = max(before.revision + 1 if before else 1, now_ms)
            sums = following
            if before is not None and layout_digest(before.policy) == layout_digest(policy):
                sums = before.sums_revision
            decided = before.overlay if before is not None else Overlay()
            active = PolicyRecord(following, policy, sums, decided)
            kept, dropped = policy_history.added(history, following, sums, now_ms, by, document)
            fields: Any = {"revision": following, "document": document, "sums_revision": sums}
            pipeline.multi()
            pipeline.hset(self._key, mapping=fields | kept)
            if dropped:
                pipeline.hdel(self._key, *dropped)

        self._client.transaction(change, self._key)
        return active

    def active(self) -> PolicyRecord | None:
        """Return the active policy, None before any process activated one."""
        return _record(self._client.hmget(self._key, *_FIELDS))

    def change_overlay(self, now_ms: int, change: Callable[[Overlay], Overlay]) -> bool:
        """Change the overlay, under a new revision; return whether anything changed.

        `change` gets the overlay as it is; it may be called more than once. Class sums stay: none of them depends on
        it.

        Raises:
            NoPolicy: no process activated a policy yet.
        """
        changed = False

        def decide(pipeline: Any) -> None:
            nonlocal changed
            before = _record(pipeline.hmget(self._key, *_FIELDS))
            if before is None:
                raise NoPolicy("no policy is in force yet: see `penstock init`")
            after = change(before.overlay)
            changed = after != before.overlay
            pipeline.multi()
            if changed:
                following = max(before.revision + 1, now_ms)
                fields = {
                    "revision": following,
                    "sums_revision": before.sums_revision,
                    "overlay": overlay.to_json(after),
                }
                pipeline.hset(self._key, mapping=fields)

        self._client.transaction(decide, self._key)
        return changed

    def stamp(self) -> tuple[int, int]:
        """Return what differs when policy or codes have changed: the active revision, and the number of code rows."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hget(self._key, "revision")
        pipeline.llen(self._codes)
        revision, rows = pipeline.execute()
        return int(revision or 0), int(rows)

    def history(self) -> list[Entry]:
        """Return the revisions of the policy that are known, the oldest first."""
        text = cast("bytes | None", self._client.hget(self._key, policy_history.FIELD))
        return policy_history.entries_of(text)

    def document(self, entry: Entry) -> Policy | None:
        """Return the policy of a revision, None when it is not kept any more."""
        (found,) = self._client.hmget(self._key, policy_history.field_of(entry.digest))
        return policy_history.policy_of(found)

    def codes(self) -> CodeTable:
        """Return the code table."""
        return CodeTable(_decode_row(row) for row in self._client.lrange(self._codes, 0, -1))

    def add_codes(
        self, mappings: tuple[Mapping, ...], from_ms: Callable[[], int]
    ) -> tuple[CodeTable, list[CodeRow]]:
        """Append what is new in some mappings to the code table. Return it whole, and the new rows.

        `from_ms` returns from when on a new row holds. It is called inside the transaction, at each attempt: called
        before, a row could come to hold earlier than one that another process appended meanwhile.
        """
        rows: list[CodeRow] = []

        def change(pipeline: Any) -> None:
            nonlocal rows
            table = CodeTable(_decode_row(row) for row in pipeline.lrange(self._codes, 0, -1))
            rows = additions(table, mappings, from_ms())
            pipeline.multi()
            if rows:
                pipeline.rpush(self._codes, *(_encode_row(row) for row in rows))

        self._client.transaction(change, self._codes)
        return self.codes(), rows


def _record(found: Any) -> PolicyRecord | None:
    """Read the fields of the policy's key. A store of an older version made all sums under the last revision."""
    revision, document, sums_revision, decided = cast("list[bytes | None]", found)
    if revision is None or document is None:
        return None
    return PolicyRecord(
        int(revision),
        from_json(document),
        int(sums_revision or revision),
        overlay.from_json(decided),
    )
