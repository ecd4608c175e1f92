"""Who brought which policy in force, when and why: the last of them, with the document of the newest.

It lies in the key of the policy, as fields of their own, so that it changes in the same transaction.
"""

import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

import msgspec

from state.policy.document import Policy, from_json
from state.protocol.keys import Keys
from state.store.client import Client

ENTRIES_MAX: Final = 100
DOCUMENTS_MAX: Final = 20
"""So many of the newest revisions can be shown whole."""
TEXT_MAX: Final = 500
FIELD: Final = "history"


class By(NamedTuple):
    """Who decided, and why."""

    by: str
    why: str


class Entry(msgspec.Struct, frozen=True):
    """One revision of the policy. `digest` is that of its document: equal ones are the same policy."""

    revision: int
    sums_revision: int
    at_ms: int
    by: str
    why: str
    digest: str


def entries_of(text: bytes | None) -> list[Entry]:
    """Return what the field holds, the oldest first."""
    return [] if text is None else msgspec.json.decode(text, type=list[Entry])


def digest_of(document: bytes) -> str:
    """Return a digest of the document of a policy."""
    return blake2b(document, digest_size=8).hexdigest()


def added(
    kept: bytes | None, revision: int, sums_revision: int, now_ms: int, said: By, document: bytes
) -> tuple[dict[str, bytes], list[str]]:
    """Return the fields to set, and those to delete, for one more revision."""
    digest = digest_of(document)
    by, why = said.by[:TEXT_MAX], said.why[:TEXT_MAX]
    before = entries_of(kept)
    entries = [*before, Entry(revision, sums_revision, now_ms, by, why, digest)][-ENTRIES_MAX:]
    whole = {entry.digest for entry in entries[-DOCUMENTS_MAX:]}
    gone = sorted({entry.digest for entry in before} - whole)
    fields = {FIELD: msgspec.json.encode(entries), _field(digest): zlib.compress(document)}
    return fields, [_field(each) for each in gone]


def read(client: Client, keys: Keys) -> list[Entry]:
    """Return the revisions of the policy that are known, the oldest first."""
    return entries_of(cast("bytes | None", client.hget(keys.policy(), FIELD)))


def document(client: Client, keys: Keys, entry: Entry) -> Policy | None:
    """Return the policy of a revision, None when it is not kept any more."""
    found = cast("Sequence[Any]", client.hmget(keys.policy(), _field(entry.digest)))
    return None if found[0] is None else from_json(zlib.decompress(found[0]))


def _field(digest: str) -> str:
    return f"document:{digest}"
