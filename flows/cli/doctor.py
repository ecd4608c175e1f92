"""`penstock doctor`: what this process would work with, checked from Python to the due queue."""

from dataclasses import asdict

import typer

from flows.cli import output
from flows.cli.command import Json, command
from flows.runtime import exit_codes
from flows.services.queries import health_checks

app = typer.Typer(add_completion=False)


@app.command()
@command("doctor")
def doctor(*, as_json: Json = False) -> int:
    """Check Python, settings, configuration, server, functions, topics, lag and due queue.

    Example: `penstock doctor`; exit 1 if a check fails.
    """
    checks = list(health_checks.health_checks())
    if output.wants_json(asked=as_json):
        for check in checks:
            output.json_line(asdict(check))
    else:
        rows = [(each.check, each.status, each.detail) for each in checks]
        output.table("penstock doctor", ("check", "status", "detail"), rows)
    has_failed = any(each.status == "fail" for each in checks)
    return exit_codes.FINDING if has_failed else exit_codes.OK
