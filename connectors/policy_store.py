"""The policy and the code tables as the processes of one store share them.

A process that starts brings the policy of its file in force: if that differs from the one in the store,
it gets the next revision. A running process never brings in its own; when a shard tells it of a newer
revision it takes that one from the store. So all processes follow the one that was started last.
"""

from typing import NamedTuple, cast

import msgspec
import redis

from connectors.codes import CodeRow, CodeTable, Mapping, additions
from connectors.redis_cluster import Client
from state.keys import Keys
from state.policy import Policy, from_json, to_json

_encode_row = msgspec.json.Encoder().encode
_decode_row = msgspec.json.Decoder(CodeRow).decode


class InForce(NamedTuple):
    """A policy and its revision, which rises with every change."""

    revision: int
    policy: Policy


def bring_in_force(
    client: Client, keys: Keys, policy: Policy, now_ms: int, *, anew: bool = False
) -> InForce:
    """Make this the policy of the store, under a new revision if it is not the one already.

    `anew` gives it a new revision in any case: running processes take up policy and code tables together.
    """
    document = to_json(policy)

    brought = InForce(0, policy)

    def change(pipeline: redis.client.Pipeline) -> None:
        nonlocal brought
        found = cast("list[bytes | None]", pipeline.hmget(keys.policy(), "revision", "document"))
        revision, current = found
        if current == document and not anew:
            brought = InForce(int(revision or 0), policy)
            pipeline.multi()
            return
        # Time takes part, so that a store that rolled back never gives a revision out again.
        following = max(int(revision or 0) + 1, now_ms)
        brought = InForce(following, policy)
        pipeline.multi()
        pipeline.hset(keys.policy(), mapping={"revision": following, "document": document})

    client.transaction(change, keys.policy())
    return brought


def in_force(client: Client, keys: Keys) -> InForce | None:
    """Return the policy of the store, None before any process brought one."""
    found = cast("list[bytes | None]", client.hmget(keys.policy(), "revision", "document"))
    revision, document = found
    if revision is None or document is None:
        return None
    return InForce(int(revision), from_json(document))


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
    client: Client, keys: Keys, mappings: tuple[Mapping, ...], now_ms: int
) -> tuple[CodeTable, bool]:
    """Append what a file says anew to the code table. Return it whole, and whether it has grown."""
    grown = False

    def change(pipeline: redis.client.Pipeline) -> None:
        nonlocal grown
        table = CodeTable(_decode_row(row) for row in pipeline.lrange(keys.codes(), 0, -1))
        rows = additions(table, mappings, now_ms)
        grown = bool(rows)
        pipeline.multi()
        if rows:
            pipeline.rpush(keys.codes(), *(_encode_row(row) for row in rows))

    client.transaction(change, keys.codes())
    return read_codes(client, keys), grown
