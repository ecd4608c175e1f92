"""Running the flows: one in this process, or both as child processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Literal

import structlog

from connectors.config import policy_file as config
from connectors.config import settings as environment
from connectors.config.settings import PORT_MAX, Settings
from flows.engine.run import Flow, run
from flows.ingest.flow import BACKGROUND as INGEST_BACKGROUND
from flows.ingest.flow import build as build_ingest
from flows.publish.flow import BACKGROUND as PUBLISH_BACKGROUND
from flows.publish.flow import build as build_publish
from flows.runtime import signals as stop
from flows.runtime.exit_codes import FINDING, OK, verdict
from flows.runtime.process import Background, running

Role = Literal["ingest", "publish"]

GRACE_S = 30.0
WATCH_S = 0.05
FLOWS: dict[Role, tuple[Callable[..., Flow], Sequence[Background]]] = {
    "ingest": (build_ingest, INGEST_BACKGROUND),
    "publish": (build_publish, PUBLISH_BACKGROUND),
}
ROLES = tuple(FLOWS)

_log = structlog.get_logger(__name__)


def run_flow(role: Role, *, until_idle: bool) -> int:
    """Run one flow in this process until it is stopped, or idle. Return the exit code."""
    try:
        build, background = FLOWS[role]
        with running(background) as runtime:
            runtime.failure.defers = _has_words
            run(build(runtime, until_idle=until_idle), runtime.failure)
    except Exception as error:  # noqa: BLE001 - the edge: every failure becomes words and an exit code
        code, text = verdict(error)
        if code == FINDING:
            _log.exception("flow failed", flow=role)
        sys.stderr.write(f"penstock {role}: {text}\n")
        return code
    return OK


def _has_words(error: Exception) -> bool:
    return verdict(error)[0] != FINDING


def run_all(*, until_idle: bool) -> int:
    """Run both flows as children until they end, and return the exit code; failed means both end.

    Raises:
        SettingsError, ConfigError: told once here, not by each child.
    """
    stop.install()
    settings = environment.load()
    config.load_with_codes(settings.config)
    with stop.held():
        children = [_start(role, settings, until_idle=until_idle) for role in ROLES]
        _pass_on_hangups(children)
    try:
        while None in (codes := [child.poll() for child in children]):
            if any(codes) or stop.wait(WATCH_S):
                break
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        ended = [_end(child) for child in children]
    failed = next((code for code in ended if code), OK)
    if failed < 0:
        sys.stderr.write(f"penstock run: a flow was ended by signal {-failed}\n")
    return FINDING if failed < 0 else failed


def end_with_parent() -> None:
    """Stop this process when the one that started it is gone: standard input closes then."""

    def watch() -> None:
        os.read(0, 1)
        stop.ask()

    threading.Thread(target=watch, name="with-parent", daemon=True).start()


def _start(role: Role, settings: Settings, *, until_idle: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flows.cli", "run", role, "--with-parent"]
    if until_idle:
        command.append("--until-idle")
    surroundings = dict(os.environ)
    address = settings.metrics_address
    if address is not None and 0 < address[1] < PORT_MAX:
        # A port for each; a taken one would be passed over with a warning.
        host, port = settings.metrics.rpartition(":")[0], address[1] + ROLES.index(role)
        surroundings["PENSTOCK_METRICS"] = f"{host}:{port}"
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=surroundings)  # noqa: S603 - our own program


def _pass_on_hangups(children: list[subprocess.Popen[bytes]]) -> None:
    """Let SIGHUP reach a flow, which reads the policy file again for all; at a terminal it ends the program."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGHUP)

    if not stop.at_terminal():
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
