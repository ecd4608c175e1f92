"""`penstock codes`: other systems' codes for our SKUs, as the store keeps them."""

from collections import Counter
from pathlib import Path

from connectors.config.codes_file import read_csv
from connectors.config.yaml_reader import Lint
from flows.cli import output
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from flows.runtime.exit_codes import FINDING, OK, USAGE
from flows.runtime.policy_follower import follow_policy
from flows.runtime.session import reached_or_made
from state.events.codes import CodeRow, additions
from state.events.timestamps import ms_rfc3339

COLUMNS = ("system", "code", "sku", "units", "valid_from")


def add(path: Path, *, dry_run: bool, as_json: bool) -> int:
    """Append what a file says anew; running processes take it up by themselves."""
    lint = Lint(path.name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        output.fault("codes add", f"{path}: expected a readable file in UTF-8, got {error}")
        return USAGE
    mappings = tuple(read_csv(text, lint))
    if lint.problems:
        output.fault("codes add", "\n".join(map(str, lint.problems)))
        return USAGE
    with reached_or_made() as run:
        follow_policy(run)
        unmapped = _systems_without_codes(run, {mapping.system for mapping in mappings})
        if unmapped:
            told = ", ".join(sorted(unmapped))
            output.fault(
                "codes add",
                f"system: expected one of a source with `codes` in the policy in force, got {told}",
            )
            return USAGE
        policies = run.shared.policy

        def from_ms() -> int:
            return run.clock.now_ms() + CODES_AHEAD_MS

        rows = (
            additions(policies.codes(), mappings, from_ms())
            if dry_run
            else policies.add_codes(mappings, from_ms)[1]
        )
    _tell(rows, as_json=as_json)
    added = 0 if dry_run else len(rows)
    output.fault("codes add", f"read={len(mappings)} new={len(rows)} added={added}")
    return OK


def show(code: str | None, *, as_json: bool) -> int:
    """Show the rows of a code or of a SKU, or of all."""
    with reached_or_made() as run:
        table = run.shared.policy.codes()
    rows = [row for row in table.rows() if code is None or code in {row.code, row.sku}]
    _tell(sorted(rows, key=_in_order), as_json=as_json)
    if code is not None and not rows:
        output.fault("codes show", f"expected a code, or a SKU with codes, got {code!r}")
        return FINDING
    return OK


def _in_order(row: CodeRow) -> tuple[str, str, int]:
    return row.system, row.code, row.valid_from_ms


def _systems_without_codes(run: Runtime, systems: set[str]) -> set[str]:
    sources = run.policy.compiled.policy.sources
    return systems - {source.system for source in sources if source.has_codes}


def _tell(rows: list[CodeRow], *, as_json: bool) -> None:
    shown = [
        (
            row.system,
            row.code,
            row.sku,
            row.units,
            ms_rfc3339(row.valid_from_ms) if row.valid_from_ms else None,
        )
        for row in rows
    ]
    if output.wants_json(asked=as_json):
        for row in shown:
            output.json_line(dict(zip(COLUMNS, row, strict=True)))
    else:
        systems = Counter(row[0] for row in shown)
        title = ", ".join(f"{system}: {count}" for system, count in sorted(systems.items()))
        output.table(title or "no codes", COLUMNS, shown)
