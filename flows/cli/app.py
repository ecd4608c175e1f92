"""The command line: `penstock`, also `python -m flows.cli`.

Exit codes: 0 ok, 1 a finding, 2 usage or configuration, 3 a service is away. What goes wrong is
told in lines on standard error.
"""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import cli_by_hand, cli_explain, cli_golive, cli_holds, cli_policy
from flows.cli.command import Json
from flows.cli.command import do as _do

INTERRUPTED = 130

app = typer.Typer(
    name="penstock",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(help="Look at the configuration.")
letters_app = typer.Typer(help="Messages that could not be used.")
app.add_typer(config_app, name="config")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(cli_holds.app, name="hold")
app.add_typer(cli_policy.app, name="policy")
cli_golive.register(app)
app.add_typer(cli_by_hand.app)
app.add_typer(cli_explain.app)


class Usage(typer.TyperException):
    """The command line is not one that this program understands."""

    exit_code = 2


class Role(StrEnum):
    """Which flows a process runs."""

    ingest = "ingest"
    publish = "publish"
    all = "all"


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


@app.command()
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
) -> None:
    """Make functions and topics, bring the policy in force, tell what is there. Idempotent.

    Examples: `penstock init`, `penstock init --from latest`
    """
    from flows.cli.init import init as work

    _do("init", lambda: work(begin, as_json=as_json))


@app.command()
def run(
    role: Annotated[
        Role, typer.Argument(help="Which flows; `all` runs each as a process.")
    ] = Role.all,
    *,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Leave once all is applied and emitted, for 2 s.")
    ] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Run the flows until stopped (SIGTERM or Ctrl-C: what is in hand is finished, exit 0).

    Examples: `penstock run`, `penstock run ingest`, `penstock run --until-idle`
    """
    from flows.cli.run import end_with_parent, run_all, run_flow

    if role is Role.all:
        _do("run", lambda: run_all(until_idle=until_idle))
    if with_parent:
        end_with_parent()
    if role is Role.ingest:
        _do("run", lambda: run_flow("ingest", until_idle=until_idle))
    _do("run", lambda: run_flow("publish", until_idle=until_idle))


@app.command()
def wait(
    *,
    idle: Annotated[bool, typer.Option("--idle", help="Until nothing is left to do.")] = False,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait at most.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Wait until all that was appended is applied and emitted; exit 1 if it takes too long.

    Example: `penstock wait --idle --timeout 30`
    """
    from flows.cli.wait import wait as work

    if not idle:
        raise Usage("wait: expected --idle, what to wait for; see `penstock wait --help`")
    _do("wait", lambda: work(timeout, as_json=as_json))


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check Python, settings, configuration, server, functions, topics, lag and due queue.

    Example: `penstock doctor`; exit 1 if a check fails.
    """
    from flows.cli.doctor import doctor as work

    _do("doctor", lambda: work(as_json=as_json))


@app.command()
def top(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST:PORT",
            help="Where metrics are served. Default: PENSTOCK_METRICS and the nine ports above.",
        ),
    ] = None,
    *,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds from one look to the next.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Leave after one interval.")] = False,
    as_json: Json = False,
) -> None:
    """Watch the flows: traffic, freshness, lag, what is oversold, paused or silent. `q` leaves.

    Piped, each interval is a line of JSON. Exit 3 if --once is given and nothing answers.

    Examples: `penstock top`, `penstock top --once --json`, `penstock top shop1:9464 shop2:9464`
    """
    from flows.cli.top import top as work

    _do("top", lambda: work(addresses or [], interval, once=once, as_json=as_json))


@config_app.command("check")
def config_check(
    file: Annotated[
        Path | None, typer.Argument(help="Default: PENSTOCK_CONFIG, or penstock.yaml.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Tell every problem of a configuration with its line; exit 1 if there is one.

    Examples: `penstock config check`, `penstock config check other.yaml`
    """
    from flows.cli.config import check

    _do("config check", lambda: check(file, as_json=as_json))


@app.command()
def emit(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="Lines to append; - is stdin.")],
    *,
    topic: Annotated[
        str | None, typer.Option(help="Append the bytes of each line to this topic as they are.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Key of every message.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Header; may come again.")
    ] = None,
) -> None:
    """Append each line as a message: a CloudEvent goes where its type says, or to --topic.

    Examples: `penstock emit events.jsonl`, `cat raw | penstock emit - --topic pos.sales --key s001`
    """
    from flows.cli.emit import emit as work

    _do("emit", lambda: work(source, topic, key, header or []))


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="Such as stock.updates or ads.signals.")],
    *,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Also what is there already.")
    ] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Leave when nothing new came for 1 s.")
    ] = False,
) -> None:
    """Print the messages of a topic as they come, each as one line of JSON.

    Examples: `penstock tail ads.signals`, `penstock tail stock.updates --from-start --until-idle`
    """
    from flows.cli.tail import tail as work

    _do("tail", lambda: work(topic, from_start=from_start, until_idle=until_idle))


@app.command()
def stock(
    sku: Annotated[
        str | None, typer.Argument(metavar="SKU|-", help="A SKU; - reads them from stdin.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every SKU, one line of JSON each.")] = False,
    as_json: Json = False,
) -> None:
    """Show positions, levels and ad states of a SKU; exit 1 if it is unknown.

    Examples: `penstock stock A1`, `penstock stock A1 --json`, `penstock stock --all`
    """
    from flows.cli.stock import stock as work

    _do("stock", lambda: work(sku, every=every, as_json=as_json))


@letters_app.command("list")
def letters_list(*, as_json: Json = False) -> None:
    """List every dead letter, the oldest first.

    Example: `penstock dead-letters list`
    """
    from flows.cli.dead_letters import list_letters

    _do("dead-letters list", lambda: list_letters(as_json=as_json))


@letters_app.command("show")
def letters_show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Show one dead letter: why, from where, and the message itself.

    Example: `penstock dead-letters show 2f1c.../0/42`
    """
    from flows.cli.dead_letters import show

    _do("dead-letters show", lambda: show(letter, as_json=as_json))


@letters_app.command("replay")
def letters_replay(
    letter: Annotated[str | None, typer.Argument(metavar="ID", help="As `list` shows it.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All not replayed before.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Also if it takes much stock away at once.")
    ] = False,
) -> None:
    """Put messages back on their topics, after what they fell over was mended.

    Examples: `penstock dead-letters replay --all`, `penstock dead-letters replay 2f1c.../0/42 --accept`
    """
    from flows.cli.dead_letters import replay

    _do("dead-letters replay", lambda: replay(letter, every=every, accept=accept))


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def demo(context: typer.Context) -> None:
    """Play a year of real grocery trading through the engine, then check every unit of it."""
    from flows.demo.command import demo_command

    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    inner.command()(demo_command)
    raise typer.Exit(inner(context.args, prog_name="penstock demo", standalone_mode=False) or 0)


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
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("penstock")
    except PackageNotFoundError:
        return "of a source tree that is not installed"
