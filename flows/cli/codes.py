"""`penstock codes`: other systems' codes for our SKUs, as the store keeps them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes, session
from flows.services import bad_file
from flows.services.policy import code_table
from state.events.codes import CodeRow
from state.events.timestamps import ms_rfc3339

app = typer.Typer(add_completion=False, help="Other systems' codes for our SKUs.")

COLUMNS = ("system", "code", "sku", "units", "valid_from")


@app.command()
@command("codes add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="system,code,sku,units.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be new.")] = False,
    as_json: Json = False,
) -> int:
    """Add codes, and change what they stand for from now on; running processes follow by themselves.

    Example: `penstock codes add codes.csv --dry-run`
    """
    try:
        mappings = code_table.read_file(file)
        with session.reached_or_made() as run:
            rows = code_table.add(run, mappings, dry_run=dry_run)
    except (bad_file.BadFile, code_table.UnknownSystem) as error:
        output.fault("codes add", str(error))
        return exit_codes.USAGE
    _print(rows, as_json=as_json)
    added = 0 if dry_run else len(rows)
    output.fault("codes add", f"read={len(mappings)} new={len(rows)} added={added}")
    return exit_codes.OK


@app.command("list")
@command("codes list")
def list_codes(*, as_json: Json = False) -> int:
    """List every code, with what it stood for and since when.

    Example: `penstock codes list`
    """
    with session.reached_or_made() as run:
        _print(code_table.rows(run), as_json=as_json)
    return exit_codes.OK


@app.command()
@command("codes show")
def show(
    code: Annotated[str, typer.Argument(metavar="CODE", help="A code, or a SKU.")],
    *,
    as_json: Json = False,
) -> int:
    """Show what a code stands for, or which codes stand for a SKU; exit 1 if nothing is known.

    Example: `penstock codes show 4711`
    """
    with session.reached_or_made() as run:
        rows = code_table.rows(run, code)
    _print(rows, as_json=as_json)
    if not rows:
        output.fault("codes show", f"expected a code, or a SKU with codes, got {code!r}")
        return exit_codes.FINDING
    return exit_codes.OK


def _print(rows: Sequence[CodeRow], *, as_json: bool) -> None:
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
