"""The command line: `penstock`, also `python -m flows.cli`.

Exit codes: 0 ok, 1 a finding, 2 usage or configuration, 3 a service is unavailable. Errors are lines on standard error.
"""

import sys
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from flows.cli.lazy import CommandEntry, LazyGroup

INTERRUPTED = 130


COMMANDS: Final[Mapping[str, CommandEntry]] = {
    "init": CommandEntry(
        "flows.cli.init",
        "Create functions and topics, activate the policy, show what is there. Idempotent.",
    ),
    "run": CommandEntry(
        "flows.cli.run",
        "Run the flows until stopped (SIGTERM or Ctrl-C: work in flight is finished, exit 0).",
    ),
    "wait": CommandEntry(
        "flows.cli.wait",
        "Wait until all that was appended is applied and emitted; exit 1 if it takes too long.",
    ),
    "doctor": CommandEntry(
        "flows.cli.doctor",
        "Check Python, settings, configuration, server, functions, topics, lag and due queue.",
    ),
    "top": CommandEntry(
        "flows.cli.top",
        "Watch the flows: traffic, freshness, lag, what is oversold, paused or silent. `q` leaves.",
    ),
    "config": CommandEntry("flows.cli.config", "Look at the configuration."),
    "policy": CommandEntry("flows.cli.policy", "The active policy: apply, history, show."),
    "channel": CommandEntry(
        "flows.cli.channel", "Override channels: freeze, zero, resume, resync."
    ),
    "codes": CommandEntry("flows.cli.codes", "Other systems' codes for our SKUs."),
    "import": CommandEntry(
        "flows.cli.import_",
        "Load positions, as counts in the log: all of a file, or nothing if a line is wrong.",
    ),
    "emit": CommandEntry(
        "flows.cli.emit",
        "Append each line as a message: a CloudEvent goes where its type says, or to --topic.",
    ),
    "tail": CommandEntry(
        "flows.cli.tail",
        "Print the messages of a topic as they come, each as one line of JSON.",
    ),
    "dead-letters": CommandEntry(
        "flows.cli.dead_letters",
        "The dead-letter queue: messages that could not be used.",
    ),
    "stock": CommandEntry(
        "flows.cli.stock",
        "Show positions, levels and ad states of a SKU; exit 1 if it is unknown.",
    ),
    "explain": CommandEntry(
        "flows.cli.explain",
        "Explain why a channel may show what it shows: locations, rules, promises; exit 1 if they do not add up.",
    ),
    "hold": CommandEntry("flows.cli.hold", "Short reservations, before there is an order."),
    "adjust": CommandEntry(
        "flows.cli.adjust",
        "Correct the books by an event in the log; show the figures before and after.",
    ),
    "audit": CommandEntry(
        "flows.cli.audit",
        "Compare the figures of a SKU with each other and with the log; exit 1 on a finding.",
    ),
    "reconcile": CommandEntry(
        "flows.cli.reconcile",
        "Show where a list of another system and the pool differ; exit 1 if they do and nothing is corrected.",
    ),
    "shadow-report": CommandEntry(
        "flows.cli.shadow_report",
        "Compare what today's system shows with the pool; exit 1 if they differ.",
    ),
    "export": CommandEntry(
        "flows.cli.export",
        "Write out positions, levels, what is oversold, or the sales that the log still holds.",
    ),
    "demo": CommandEntry(
        "flows.demo.command",
        "Play a year of real grocery trading through the engine, then check every unit of it.",
    ),
}
"""In the order of help."""


class Commands(LazyGroup):
    """The commands of `penstock`."""

    entries = COMMANDS


app = typer.Typer(
    cls=Commands,
    name="penstock",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Usage(typer.TyperException):
    """The command line is not one that this program understands."""

    exit_code = 2


@app.callback(invoke_without_command=True)
def penstock(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Real-time stock: one pool, many sales channels, no oversell.

    Sales, receipts and orders go in; channel levels and ad signals come out.

    Settings are variables `PENSTOCK_...` of the environment, the policy is `penstock.yaml`.

    Begin with `penstock demo`, or with `penstock init` and `penstock run`.
    """
    if version:
        print(f"penstock {_version()}")  # noqa: T201 - what was asked for
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise Usage("expected a command; see `penstock --help`")


def main() -> None:
    """Enter the program."""
    try:
        code = app(prog_name="penstock", standalone_mode=False) or 0
    except typer.Abort:
        code = INTERRUPTED
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context is not None else ""
        sys.stderr.write(f"penstock: {error.format_message().rstrip('.')}{hint}\n")
        code = error.exit_code
    sys.exit(code)


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - slow, and of use to nothing else

    try:
        return metadata.version("penstock")
    except metadata.PackageNotFoundError:
        return "of a source tree that is not installed"
