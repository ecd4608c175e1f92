"""The code table: other systems' codes for our SKUs. It only grows; running processes follow it by themselves."""

from collections.abc import Sequence
from pathlib import Path

from connectors.config.codes_file import read_csv
from connectors.config.yaml_reader import Lint
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from flows.runtime.policy_follower import follow_policy
from flows.services.bad_file import BadFile
from state.events.codes import CodeRow, Mapping, additions


class UnknownSystem(ValueError):
    """A system that no source of the active policy reads by codes."""


def read_file(file: Path) -> tuple[Mapping, ...]:
    """Return the mappings of a CSV file `system,code,sku,units`.

    Raises:
        BadFile: with every problem.
    """
    lint = Lint(file.name)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{file}: expected a readable file in UTF-8, got {error}") from None
    mappings = tuple(read_csv(text, lint))
    if lint.problems:
        raise BadFile(*map(str, lint.problems))
    return mappings


def add(run: Runtime, mappings: tuple[Mapping, ...], *, dry_run: bool) -> list[CodeRow]:
    """Append what the table does not hold yet, valid from a moment later; return those rows. `dry_run` appends none.

    Raises:
        UnknownSystem: with what was expected; nothing was added.
    """
    follow_policy(run)
    _check_systems(run, mappings)
    policies = run.shared.policy

    def from_ms() -> int:
        return run.clock.now_ms() + CODES_AHEAD_MS

    if dry_run:
        return additions(policies.codes(), mappings, from_ms())
    return policies.add_codes(mappings, from_ms)[1]


def rows(run: Runtime, text: str | None = None) -> list[CodeRow]:
    """Return the rows of a code or of a SKU, or all, by system, code and time."""
    table = run.shared.policy.codes()
    found = [row for row in table.rows() if text is None or text in {row.code, row.sku}]
    return sorted(found, key=lambda row: (row.system, row.code, row.valid_from_ms))


def _check_systems(run: Runtime, mappings: Sequence[Mapping]) -> None:
    with_codes = {each.system for each in run.policy.compiled.policy.sources if each.has_codes}
    if unknown := {mapping.system for mapping in mappings} - with_codes:
        expected = "expected one of a source with `codes` in the policy in force"
        raise UnknownSystem(f"system: {expected}, got {', '.join(sorted(unknown))}")
