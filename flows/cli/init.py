"""`penstock init`: functions, topics and policy, created or there already."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.config import settings
from flows.cli import output
from flows.cli.command import Json, command
from flows.ingest import resume
from flows.runtime import exit_codes, session
from flows.services.queries import inventory

app = typer.Typer(add_completion=False)


@app.command()
@command("init")
def init(
    *,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="earliest|latest|OFFSET",
            help="Where to begin partitions of which nothing was applied yet.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Create functions and topics, activate the policy, show what is there. Idempotent.

    Examples: `penstock init`, `penstock init --from latest`
    """
    begun: dict[str, int] = {}
    with session.runtime(settings.load()) as run:
        if begin is not None:
            try:
                watermarks = resume.begin_at(run, begin)
            except ValueError as error:
                output.fault("init", str(error))
                return exit_codes.USAGE
            begun = {f"{topic}/{n}": offset + 1 for (topic, n), offset in watermarks.items()}
        found = inventory.inventory(run)
    if output.wants_json(asked=as_json):
        output.json_line({**found._asdict(), "begun": begun})
    else:
        _tables(found, begun)
    return exit_codes.OK


def _tables(found: inventory.Inventory, begun: dict[str, int]) -> None:
    output.table("topics", ("topic", "partitions"), found.topics.items())
    facts: dict[str, Any] = {
        "functions": " ".join(found.functions),
        "shards": found.shards,
        "policy": f"revision {found.policy_revision}",
    }
    output.fields(facts)
    if begun:
        output.table("reading begins", ("partition", "offset"), begun.items())
