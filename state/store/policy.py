"""The policy and the code tables as the processes of one store share them.

A process that starts brings the policy of its file in force: if that differs from the one in the store,
it gets the next revision. A running process never brings in its own; when a shard tells it of a newer
revision it takes that one from the store. So all processes follow the one that was started last.
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
from state.store.policy_history import By

_FIELDS = ("revision", "document", "sums_revision", "overlay")

STARTED = By("start", "the file of a process that started")

_encode_row = msgspec.json.Encoder().encode
_decode_row = msgspec.json.Decoder(CodeRow).decode


class NoPolicy(Exception):
    """The store has no policy yet, so there is nothing that an overlay could be applied to."""


class InForce(NamedTuple):
    """A policy and its revision, which rises with every change."""

    revision: int
    policy: Policy
    sums_revision: int
    """The revision at which classes or floors last changed: class sums belong to it."""
    overlay: Overlay = Overlay()
    """What was decided at run time; it lies over the policy."""


def bring_in_force(
    client: Client,
    keys: Keys,
    policy: Policy,
    now_ms: int,
    *,
    anew: bool = False,
    said: By = STARTED,
) -> InForce:
    """Make this the policy of the store, under a new revision if it is not the one already.

    `anew` gives it a new revision in any case: running processes take up policy and code tables together. Who
    decided and why, `said`, goes into the history.
    """
    document = to_json(policy)

    brought = InForce(0, policy, 0)

    def change(pipeline: Any) -> None:
        nonlocal brought
        found: Any = pipeline.hmget(keys.policy(), *_FIELDS, policy_history.FIELD)
        *known, history = found
        before = _in_force(known)
        if before is not None and before.policy == policy and not anew:
            brought = before
            pipeline.multi()
            return
        # Time takes part, so that a store that rolled back never gives a revision out again.
        following = max(before.revision + 1 if before else 1, now_ms)
        sums = following
        if before is not None and layout_digest(before.policy) == layout_digest(policy):
            sums = before.sums_revision
        decided = before.overlay if before is not None else Overlay()
        brought = InForce(following, policy, sums, decided)
        kept, gone = policy_history.added(history, following, sums, now_ms, said, document)
        fields: Any = {"revision": following, "document": document, "sums_revision": sums}
        pipeline.multi()
        pipeline.hset(keys.policy(), mapping=fields | kept)
        if gone:
            pipeline.hdel(keys.policy(), *gone)

    client.transaction(change, keys.policy())
    return brought


def in_force(client: Client, keys: Keys) -> InForce | None:
    """Return the policy of the store, None before any process brought one."""
    return _in_force(client.hmget(keys.policy(), *_FIELDS))


def _in_force(found: Any) -> InForce | None:
    """Read the fields of the policy's key. A store of an older version made all sums under the last revision."""
    revision, document, sums_revision, decided = cast("list[bytes | None]", found)
    if revision is None or document is None:
        return None
    return InForce(
        int(revision),
        from_json(document),
        int(sums_revision or revision),
        overlay.from_json(decided),
    )


def change_overlay(
    client: Client, keys: Keys, now_ms: int, change: Callable[[Overlay], Overlay]
) -> bool:
    """Change what lies over the policy, under a new revision; return whether anything changed.

    `change` gets the overlay as it is; it may be asked more than once. Class sums stay: none of them depends on it.

    Raises:
        NoPolicy: no process brought a policy yet.
    """
    changed = False

    def decide(pipeline: Any) -> None:
        nonlocal changed
        before = _in_force(pipeline.hmget(keys.policy(), *_FIELDS))
        if before is None:
            raise NoPolicy("no policy is in force yet: see `penstock init`")
        after = change(before.overlay)
        changed = after != before.overlay
        pipeline.multi()
        if changed:
            following = max(before.revision + 1, now_ms)
            pipeline.hset(
                keys.policy(),
                mapping={
                    "revision": following,
                    "sums_revision": before.sums_revision,
                    "overlay": overlay.to_json(after),
                },
            )

    client.transaction(decide, keys.policy())
    return changed


def standing(client: Client, keys: Keys) -> tuple[int, int]:
    """Return what tells whether either has changed: the revision in force, and the number of code rows."""
    pipeline = client.pipeline(transaction=False)
    pipeline.hget(keys.policy(), "revision")
    pipeline.llen(keys.codes())
    revision, rows = pipeline.execute()
    return int(revision or 0), int(rows)


def read_codes(client: Client, keys: Keys) -> CodeTable:
    """Return the code table of the store."""
    return CodeTable(_decode_row(row) for row in client.lrange(keys.codes(), 0, -1))


def add_codes(
    client: Client, keys: Keys, mappings: tuple[Mapping, ...], from_ms: Callable[[], int]
) -> tuple[CodeTable, list[CodeRow]]:
    """Append what a file says anew to the code table. Return it whole, and the rows that are new.

    `from_ms` tells from when on a new row holds. It is asked inside the transaction, anew at each attempt: asked
    before, a row could come to hold earlier than one that another process appended meanwhile.
    """
    rows: list[CodeRow] = []

    def change(pipeline: Any) -> None:
        nonlocal rows
        table = CodeTable(_decode_row(row) for row in pipeline.lrange(keys.codes(), 0, -1))
        rows = additions(table, mappings, from_ms())
        pipeline.multi()
        if rows:
            pipeline.rpush(keys.codes(), *(_encode_row(row) for row in rows))

    client.transaction(change, keys.codes())
    return read_codes(client, keys), rows
