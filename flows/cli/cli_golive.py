"""Commands for going live and for steering channels."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that help comes at once

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from flows.cli.command import Json, do

By = Annotated[str, typer.Option("--by", metavar="WHO", help="Who decides; kept in the history.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; kept in the history.")]
ChannelId = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its id in the configuration.")]

channel_app = typer.Typer(help="Steer channels: freeze, zero, resume, resync.")


def register(app: typer.Typer) -> None:
    """Add the commands to those of the program."""
    app.command("import")(import_positions)
    app.command("shadow-report")(shadow_report)
    app.add_typer(channel_app, name="channel")


def import_positions(
    file: Annotated[Path, typer.Argument(help="CSV: location,sku,on_hand,unavailable.")],
    *,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TIME", help="When it lay there. Default: now."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, and send nothing.")] = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="What the file does not name is not at its locations."),
    ] = False,
    empty: Annotated[
        list[str] | None,
        typer.Option(metavar="LOCATION", help="Nothing lies there; may come again."),
    ] = None,
    by: By = "",
    timeout: Annotated[
        float,
        typer.Option(min=0.0, help="With --complete: seconds to wait until it is applied."),
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Load what lies where, as counts in the log: all of a file, or nothing if a line is wrong.

    Example: `penstock import positions.csv --as-of 2026-11-23T06:00:00+08:00 --complete`
    """
    from flows.cli.import_ import Wanted, import_file

    wanted = Wanted(
        file, as_of, dry_run, complete, tuple(empty or ()), by, timeout, as_json
    )  # fmt: skip
    do("import", lambda: import_file(wanted))


def shadow_report(
    against: Annotated[
        Path, typer.Option("--against", metavar="FILE", help="CSV: channel,sku,quantity.")
    ],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every difference as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Compare what today's system shows with the pool; exit 1 if they differ.

    Example: `penstock shadow-report --against today.csv`
    """
    from flows.cli.shadow_report import shadow_report as work

    do("shadow-report", lambda: work(against, as_csv=as_csv, as_json=as_json))


@channel_app.command("list")
def list_channels(*, as_json: Json = False) -> None:
    """Show every channel with its mode, who holds it and why, and what was decided last.

    Example: `penstock channel list`
    """
    from flows.cli.channel import list_channels as work

    do("channel list", lambda: work(as_json=as_json))


def _steer(what: str, channel: str, by: str, why: str) -> NoReturn:
    from flows.cli.channel import steer_channel

    do(f"channel {what}", lambda: steer_channel(what, channel, by, why))


@channel_app.command()
def freeze(channel: ChannelId, *, by: By = "", why: Why = "") -> None:
    """Keep what the channel shows now, whatever happens to the stock.

    Example: `penstock channel freeze shopee --by ana --why "prices are wrong"`
    """
    _steer("freeze", channel, by, why)


@channel_app.command()
def zero(channel: ChannelId, *, by: By = "", why: Why = "") -> None:
    """Show 0 for every SKU of the channel.

    Example: `penstock channel zero shopee --by ana --why "site is down"`
    """
    _steer("zero", channel, by, why)


@channel_app.command()
def resume(channel: ChannelId, *, by: By = "", why: Why = "") -> None:
    """Go back to the mode of the file; what the breaker stopped is let through.

    Example: `penstock channel resume shopee --by ana --why "policy is mended"`
    """
    _steer("resume", channel, by, why)


@channel_app.command()
def resync(channel: ChannelId, *, by: By = "", why: Why = "") -> None:
    """Emit every level of the channel once more, also those that did not change.

    Example: `penstock channel resync shopee --by ana --why "they restored a backup"`
    """
    _steer("resync", channel, by, why)
