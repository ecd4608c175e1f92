"""`penstock wait --idle`: return once all that is in the log is applied and emitted."""

import time

from flows.cli import output
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import AWAY_EXIT, FINDING, OK
from flows.runtime.idle import LOOK_EVERY_S, Idle, Open, open_work
from flows.runtime.retry import is_away
from flows.runtime.session import reached_or_made


def wait(timeout_s: float, *, as_json: bool) -> int:
    """Wait until all has been quiet for `Idle.QUIET_S`; tell what is open when time runs out."""
    stop.install()
    with reached_or_made() as run:
        return _wait(run, timeout_s, as_json=as_json)


def _wait(run: Runtime, timeout_s: float, *, as_json: bool) -> int:
    began = time.monotonic()
    quiet_since: float | None = None
    while True:
        found = _look(run)
        now = time.monotonic()
        if isinstance(found, Open) and not found:
            quiet_since = now if quiet_since is None else quiet_since
            if now - quiet_since >= Idle.QUIET_S:
                _tell(found, as_json=as_json)
                return OK
        else:
            quiet_since = None
        if now - began >= timeout_s or stop.wanted():
            break
        stop.wait(min(LOOK_EVERY_S, max(0.0, began + timeout_s - now)))
    if isinstance(found, Exception):
        output.fault("wait", f"a server is away: {found}")
        return AWAY_EXIT
    _tell(found, as_json=as_json)
    why = "stopped" if stop.wanted() else f"not idle within {timeout_s:g} s"
    open_still = str(found) if found else f"quiet for less than {Idle.QUIET_S:g} s"
    output.fault("wait", f"{why}; open: {open_still}")
    return FINDING


def _look(run: Runtime) -> Open | Exception:
    try:
        return open_work(run)
    except Exception as error:
        if not is_away(error):
            raise
        return error


def _tell(found: Open, *, as_json: bool) -> None:
    if output.wants_json(asked=as_json):
        lag = {f"{topic}/{n}": count for (topic, n), count in sorted(found.lag.items())}
        output.json_line({"idle": not found, "lag": lag, "due": found.due})
    elif not found:
        output.line("idle")
