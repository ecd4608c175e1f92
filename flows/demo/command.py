"""`penstock demo`: a year of real grocery trading through the whole engine, and a check of every unit."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.demo.show import Options, Plant, run_demo
from flows.runtime import signals as stop
from flows.runtime.exit_codes import verdict

app = typer.Typer(add_completion=False)


@app.command()
def demo_command(
    *,
    speed: Annotated[str, typer.Option(help="Events per second, or `max`.")] = "2000",
    months: Annotated[
        int | None, typer.Option(min=1, max=12, help="Only the first months of the year.")
    ] = None,
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="A small made-up chain: a quick look.")
    ] = False,
    dump: Annotated[
        Path | None, typer.Option(help="Also write the stream to this file, as JSON lines.")
    ] = None,
    plant: Annotated[
        Plant | None, typer.Option(help="Plant a fault; the self-check must find it and exit 1.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep stream, snapshot and topics in this folder.")
    ] = None,
) -> None:
    """Play a year of real grocery trading through the engine, then check every unit of it.

    Sales, receipts, transfers and orders of 433 shops go in; channel levels and ad signals come out. The
    self-check recomputes every position, level and ad state from the stream, with code of its own.

    Examples: `penstock demo`, `penstock demo --months 1 --speed max`, `penstock demo --plant drop`.
    """
    options = Options(_speed(speed), months, synthetic, dump, plant, keep)
    stop.install()
    try:
        code = run_demo(options, Console(stderr=True))
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes words and an exit code
        code, text = verdict(error)
        sys.stderr.write(f"penstock demo: {text}\n")
    raise typer.Exit(code)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(
            f"--speed: expected a number of events per second above 0, or max, got {text!r}"
        )
    return speed
