"""Revisions of the policy: activate the next, list them, return their documents."""

from pathlib import Path
from typing import NamedTuple

from flows.runtime.context import Runtime
from flows.services.policy.activate import activate
from state.policy.document import Policy
from state.store.policy_history import By, Entry


class Activation(NamedTuple):
    """The active revision, whether the file changed it, and whether all class sums are recomputed for it."""

    revision: int
    changed: bool
    rebuilds_sums: bool


class NoSuchRevision(LookupError):
    """The document of a revision cannot be had; the text says why."""


def store_exists(run: Runtime) -> bool:
    """Say whether `penstock init` or a flow has made a store."""
    return run.shared.record.read().shards is not None


def activate_file(run: Runtime, file: Path | None, by: str, why: str) -> Activation:
    """Activate the policy of a file for all running processes of the store.

    Raises:
        ConfigError: the file has problems; nothing was changed.
    """
    sums_revision = run.policy.sums_revision
    changed = activate(run, file, By(by, why))
    rebuilds_sums = changed and run.policy.sums_revision != sums_revision
    return Activation(run.policy.revision, changed, rebuilds_sums)


def history(run: Runtime) -> list[Entry]:
    """Return the known revisions, the newest first."""
    return run.shared.policy.history()[::-1]


def document(run: Runtime, revision: int | None) -> Policy:
    """Return the policy of a revision; without one, the active policy.

    Raises:
        NoSuchRevision: it is not known, or only its digest is kept.
    """
    if revision is None:
        return run.policy.of_file
    entry = next((each for each in history(run) if each.revision == revision), None)
    if entry is None:
        raise NoSuchRevision(f"expected one of `penstock policy history`, got {revision}")
    policy = run.shared.policy.document(entry)
    if policy is None:
        raise NoSuchRevision(f"its document is not kept any more, only its digest {entry.digest}")
    return policy
