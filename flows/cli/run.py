"""`penstock run`: one flow in this process, or both as child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from enum import StrEnum
from types import FrameType
from typing import Annotated, Final

import structlog
import typer

import flows.ingest.flow as ingest_flow
import flows.publish.flow as publish_flow
from connectors.config import policy_file, settings
from flows.cli.command import command
from flows.engine import run as engine
from flows.runtime import exit_codes, process, signals

app = typer.Typer(add_completion=False)

GRACE_S: Final = 30.0
WATCH_S: Final = 0.05


class Role(StrEnum):
    """Which flows a process runs."""

    ingest = "ingest"
    publish = "publish"
    all = "all"


ROLES: Final = (Role.ingest, Role.publish)


@app.command()
@command("run")
def run(
    role: Annotated[
        Role, typer.Argument(help="Which flows; `all` runs each as a process.")
    ] = Role.all,
    *,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Leave once all is applied and emitted, for 1 s.")
    ] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> int:
    """Run the flows until stopped (SIGTERM or Ctrl-C: work in flight is finished, exit 0).

    Examples: `penstock run`, `penstock run ingest`, `penstock run --until-idle`
    """
    if role is Role.all:
        return _run_all(until_idle=until_idle)
    if with_parent:
        _end_with_parent()
    return _run_flow(role, until_idle=until_idle)


def _run_flow(role: Role, *, until_idle: bool) -> int:
    """Run one flow in this process until it is stopped, or idle. Return the exit code."""
    flow = ingest_flow if role is Role.ingest else publish_flow
    try:
        with process.running(flow.BACKGROUND) as runtime:
            runtime.failure.defers = _has_words
            engine.run(flow.build(runtime, until_idle=until_idle), runtime.failure)
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes words and an exit code
        code, text = exit_codes.verdict(error)
        if code == exit_codes.FINDING:
            _log = structlog.get_logger(__name__)
            _log.exception("flow failed", flow=role)
        sys.stderr.write(f"penstock {role}: {text}\n")
        return code
    return exit_codes.OK


def _has_words(error: Exception) -> bool:
    return exit_codes.verdict(error)[0] != exit_codes.FINDING


def _run_all(*, until_idle: bool) -> int:
    """Run both flows as children until they end, and return the exit code; failed means both end.

    Raises:
        SettingsError, ConfigError: reported once here, not by each child.
    """
    signals.install()
    found = settings.load()
    policy_file.load_with_codes(found.config)
    with signals.held():
        children = [_start(role, found, until_idle=until_idle) for role in ROLES]
        _pass_on_hangups(children)
    try:
        while None in (codes := [child.poll() for child in children]):
            if any(codes) or signals.wait(WATCH_S):
                break
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        ended = [_end(child) for child in children]
    failed = next((code for code in ended if code), exit_codes.OK)
    if failed < 0:
        sys.stderr.write(f"penstock run: a flow was ended by signal {-failed}\n")
    return exit_codes.FINDING if failed < 0 else failed


def _end_with_parent() -> None:
    """Stop this process when the one that started it is gone: standard input closes then."""

    def watch() -> None:
        os.read(0, 1)
        signals.ask()

    threading.Thread(target=watch, name="with-parent", daemon=True).start()


def _start(role: Role, found: settings.Settings, *, until_idle: bool) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "flows.cli", "run", role.value, "--with-parent"]
    if until_idle:
        words.append("--until-idle")
    environment = dict(os.environ)
    address = found.metrics_address
    if address is not None and 0 < address[1] < settings.PORT_MAX:
        # A port for each; a taken one would be passed over with a warning.
        host, port = found.metrics.rpartition(":")[0], address[1] + ROLES.index(role)
        environment["PENSTOCK_METRICS"] = f"{host}:{port}"
    return subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)  # noqa: S603 - our own program


def _pass_on_hangups(children: list[subprocess.Popen[bytes]]) -> None:
    """Let SIGHUP reach a flow, which reads the policy file again for all; at a terminal it ends the program."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGHUP)

    if not signals.at_terminal():
        signal.signal(signal.SIGHUP, ask)


def _end(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
    finally:
        if child.stdin is not None:
            child.stdin.close()
