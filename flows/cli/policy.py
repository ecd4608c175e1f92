"""`penstock policy`: bring a policy in force, see what it would change, who brought which and why."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from connectors.config import policy_file as config
from connectors.config import settings as environment
from flows.cli import output
from flows.cli.progress import bar
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.session import reached
from flows.services.policy.activate import activate
from flows.services.policy.impact_report import Comparison, Move, compare
from state.events.codes import CodeTable
from state.events.timestamps import ms_rfc3339
from state.policy.document import to_json
from state.policy.sums_digest import layout_digest
from state.store import policy as policy_store
from state.store.policy_history import By, Entry


def apply(file: Path | None, said: By, *, as_json: bool) -> int:
    """Bring the policy of a file in force for all processes of the store."""
    with reached() as run:
        if not _is_made(run):
            return USAGE
        before = run.policy
        changed = activate(run, file or environment.load().config, said)
        rebuilds = changed and run.policy.sums_revision != before.sums_revision
        found = {
            "revision": run.policy.revision,
            "changed": changed,
            "rebuilds_sums": rebuilds,
        }
    if output.wants_json(asked=as_json):
        output.json_line(found)
    elif not changed:
        output.line(f"revision {found['revision']} says the same already")
    else:
        also = "; class sums are made anew, SKU by SKU" if rebuilds else ""
        output.line(f"revision {found['revision']} is in force{also}")
    return OK


def dry_run(file: Path | None, *, as_json: bool, as_csv: bool) -> int:
    """Show which levels the policy of a file would move, from live figures; change nothing."""
    with reached() as run, _moves(as_csv=as_csv) as moves:
        if not _is_made(run):
            return USAGE
        policy = config.load(file or environment.load().config)
        known = run.policy
        rebuilds = layout_digest(policy) != layout_digest(known.of_file)
        other = ActivePolicy(
            policy_store.PolicyRecord(known.revision + 1, policy, 0, known.overlay), CodeTable()
        )
        total = run.store.due_by(1 << 50, -1)
        with bar("deriving levels", total) as told:
            found = compare(run, other, told, moves)
    if not as_csv:
        _tell(found, rebuilds=rebuilds, as_json=as_json)
    return OK


def history(*, as_json: bool) -> int:
    """List the revisions of the policy that are known, the newest first."""
    with reached() as run:
        rows = [_row(entry) for entry in reversed(run.shared.policy.history())]
    if output.wants_json(asked=as_json):
        for row in rows:
            output.json_line(row)
    else:
        output.table(
            "policy", tuple(rows[0]) if rows else ("revision",), [[*r.values()] for r in rows]
        )
    return OK


def show(revision: int | None) -> int:
    """Print the policy in force, or that of a revision, as JSON."""
    with reached() as run:
        policies = run.shared.policy
        if revision is None:
            policy = run.policy.of_file
        else:
            entries = {entry.revision: entry for entry in policies.history()}
            if revision not in entries:
                output.fault(
                    "policy show",
                    f"revision: expected one of `penstock policy history`, got {revision}",
                )
                return FINDING
            kept = policies.document(entries[revision])
            if kept is None:
                told = f"revision: its document is not kept any more, only its digest {entries[revision].digest}"
                output.fault("policy show", told)
                return FINDING
            policy = kept
    document = orjson.loads(to_json(policy))
    if output.wants_json(asked=False):
        output.json_line(document)
    else:
        output.line(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    return OK


def _is_made(run: Runtime) -> bool:
    """Say whether there is a store; tell what to do where there is none."""
    if run.shared.record.read().shards is not None:
        return True
    output.fault("policy", "expected a store, got none: see `penstock init`")
    return False


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "revision": entry.revision,
        "at": ms_rfc3339(entry.at_ms),
        "by": entry.by,
        "why": entry.why,
        "sums_revision": entry.sums_revision,
        "digest": entry.digest,
    }


@contextmanager
def _moves(*, as_csv: bool) -> Iterator[Callable[[Move], None]]:
    """Return what takes each level that would change: a row of CSV, or nothing."""
    if not as_csv:
        yield lambda _move: None
        return
    rows = csv.writer(sys.stdout)
    rows.writerow(("sku", "channel", "before", "after"))
    yield rows.writerow


def _tell(found: Comparison, *, rebuilds: bool, as_json: bool) -> None:
    channels = {name: asdict(found.channels[name]) for name in sorted(found.channels)}
    if output.wants_json(asked=as_json):
        top = [move._asdict() for move in found.top]
        told = {"skus": found.skus, "moved_skus": found.moved_skus, "rebuilds_sums": rebuilds}
        output.json_line({**told, "channels": channels, "top": top})
        return
    columns = ("fall", "rise", "to_zero", "units_before", "units_after")
    rows = [[name, *(counted[each] for each in columns)] for name, counted in channels.items()]
    output.table("levels that would move", ("channel", *columns), rows)
    output.table("the largest", ("sku", "channel", "before", "after"), found.top)
    also = "; class sums would be made anew" if rebuilds else ""
    output.line(f"{found.moved_skus} of {found.skus} SKUs would move{also}; nothing was changed")
