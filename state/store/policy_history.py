"""The history of the policy: each activation with revision, author, time and reason, with the documents of the newest.

It is kept in fields of the policy's key, so that it changes in the same transaction.
"""

import zlib
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from state.policy.document import Policy, from_json

ENTRIES_MAX: Final = 100
DOCUMENTS_MAX: Final = 20
"""So many of the newest revisions can be shown whole."""
TEXT_MAX: Final = 500
FIELD: Final = "history"


class By(NamedTuple):
    """The author, and the reason."""

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
    kept: bytes | None, revision: int, sums_revision: int, now_ms: int, by: By, document: bytes
) -> tuple[dict[str, bytes], list[str]]:
    """Return the fields to set, and those to delete, for one more revision."""
    digest = digest_of(document)
    who, why = by.by[:TEXT_MAX], by.why[:TEXT_MAX]
    before = entries_of(kept)
    entries = [*before, Entry(revision, sums_revision, now_ms, who, why, digest)][-ENTRIES_MAX:]
    whole = {entry.digest for entry in entries[-DOCUMENTS_MAX:]}
    dropped = sorted({entry.digest for entry in before} - whole)
    fields = {FIELD: msgspec.json.encode(entries), field_of(digest): zlib.compress(document)}
    return fields, [field_of(each) for each in dropped]


def policy_of(text: bytes | None) -> Policy | None:
    """Return the policy that a document's field holds, None when it is not kept any more."""
    return None if text is None else from_json(zlib.decompress(text))


def field_of(digest: str) -> str:
    """Return the field of a document."""
    return f"document:{digest}"
