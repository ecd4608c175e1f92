"""The command line: `penstock`, also `python -m flows.cli`."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def penstock() -> None:
    """Real-time stock: one pool, many sales channels, no oversell."""


@app.command()
def run(
    role: Annotated[str, typer.Argument(help="ingest, publish or all")] = "all",
    *,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Leave once idle.")] = False,
) -> None:
    """Run the flows."""
    from flows.run import run_all, run_flow  # noqa: PLC0415 - the engine takes long to import

    if role == "all":
        raise typer.Exit(run_all(until_idle=until_idle))
    if role not in {"ingest", "publish"}:
        raise typer.BadParameter(f"expected ingest, publish or all, got {role!r}")
    raise typer.Exit(run_flow(role, until_idle=until_idle))


def main() -> None:
    """Enter the program."""
    app()


if __name__ == "__main__":
    main()
