"""Running the flows: one in this process, or both as child processes."""

import subprocess
import sys
import time
from datetime import timedelta
from typing import Literal

import structlog
from bytewax.run import cli_main

from flows import ingest, publish, stop
from flows.process import FINDING, OK, running, verdict

Role = Literal["ingest", "publish"]

EPOCH = timedelta(milliseconds=100)
"""Inside an epoch nothing holds a source of Bytewax back, so epochs are short."""
GRACE_S = 30.0

_log = structlog.get_logger(__name__)


def run_flow(role: Role, *, until_idle: bool) -> int:
    """Run one flow in this process until it is stopped, or idle. Return the exit code."""
    try:
        with running() as runtime:
            build = ingest.build if role == "ingest" else publish.build
            cli_main(build(runtime, until_idle=until_idle), epoch_interval=EPOCH)
    except Exception as error:  # the edge: every failure becomes words and an exit code
        code, text = verdict(error)
        if code == FINDING:
            _log.exception("flow failed", flow=role)
        sys.stderr.write(f"penstock {role}: {text}\n")
        return code
    return OK


def run_all(*, until_idle: bool) -> int:
    """Run both flows as children until they end; if one fails the other is stopped. Return the exit code."""
    stop.install()
    flag = ["--until-idle"] if until_idle else []
    children = [
        subprocess.Popen([sys.executable, "-m", "flows.cli", "run", role, *flag])  # noqa: S603 - our own program
        for role in ("ingest", "publish")
    ]
    codes: list[int] = []
    try:
        while any(child.poll() is None for child in children):
            codes = [child.returncode for child in children if child.returncode is not None]
            if stop.wanted() or any(codes):
                break
            time.sleep(0.05)
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        ended = [_end(child) for child in children]
    return next((code for code in ended if code), OK)


def _end(child: subprocess.Popen[bytes]) -> int:
    try:
        return child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
