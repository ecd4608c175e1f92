"""`penstock top` as a process, before real processes and before what is none of ours."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from monitoring import metrics
from monitoring.server import MetricsServer, serve
from tests.flows.shop import Shop, event, lines, rows, running
from tests.patience import PATIENCE_S, eventually
from tests.servers.prometheus import neighbours

STYLE = re.compile(rb"\x1b\[[0-9;]*m")
AWAY = 3
USAGE = 2


@pytest.fixture
def stand(tmp_path: Path) -> Shop:
    """A folder to run commands in; nothing is stored there."""
    return Shop(tmp_path)


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    """The metrics of this process, served as a flow does."""
    served = serve("127.0.0.1:0", dict)
    yield served
    served.stop()


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of a server that is no Penstock."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>{ nothing of the kind\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - given by the base
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Page) as served:
        threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{served.server_address[1]}"
        served.shutdown()


def closed_port() -> int:
    """The first of ten ports where nothing answers."""
    return neighbours(10)[0]


def test_two_flows_are_shown_with_what_they_did(shop: Shop) -> None:
    first = closed_port()
    shop.env["PENSTOCK_METRICS"] = f"127.0.0.1:{first}"
    with running(shop, ("run",)):
        shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))

        def both() -> bool:
            done = shop.penstock("top", "--once", "--json", "--interval", "0.1")
            found = orjson.loads(done.stdout)["processes"] if done.returncode == 0 else []
            return sorted(flow for each in found for flow in each["flows"]) == ["ingest", "publish"]

        assert eventually(both)
        watch = shop.start("top", "--interval", "0.2")
        assert watch.stdout is not None
        printed = [orjson.loads(watch.stdout.readline())]
        shop.emit(event(2, "pos.sale", location="wh", receipt="2", lines=lines(A=1)))
        for line in watch.stdout:
            printed.append(orjson.loads(line))
            if any(each["publish"]["updates_per_s"] for each in printed):
                break
        watch.send_signal(signal.SIGTERM)
        # Read to the end: what writes into a full pipe does not get to its end.
        said = watch.communicate(timeout=PATIENCE_S)[1]
        assert (watch.returncode, said) == (0, b"")
    assert any(each["ingest"]["events_per_s"].get("applied") for each in printed)
    assert any(each["publish"]["log_to_emitted"]["p99_s"] for each in printed)
    assert {process["address"] for process in printed[-1]["processes"]} <= {
        f"127.0.0.1:{first + n}" for n in range(10)
    }
    assert "claim" in printed[-1]["redis"]


def test_gauges_of_a_named_address_are_told_as_they_are(stand: Shop, server: MetricsServer) -> None:
    metrics.DUE_DEPTH.set(41)
    done = stand.penstock("top", f"127.0.0.1:{server.port}", "--once", "--interval", "0.1")
    (found,) = rows(done)
    assert found["publish"]["due_skus"] == 41
    assert [process["address"] for process in found["processes"]] == [f"127.0.0.1:{server.port}"]


def test_a_named_address_that_is_silent_is_told(stand: Shop, server: MetricsServer) -> None:
    away = f"127.0.0.1:{closed_port()}"
    done = stand.penstock("top", f"127.0.0.1:{server.port}", away, "--once", "--interval", "0.1")
    assert rows(done)[0]["silent"] == [away]


def test_what_is_no_penstock_is_passed_over(stand: Shop, stranger: str) -> None:
    done = stand.penstock("top", stranger, "--once")
    assert (done.returncode, done.stdout) == (AWAY, "")
    assert done.stderr.startswith(f"penstock top: no Penstock answers at {stranger}; is ")


def test_where_nothing_answers_it_says_where_it_looked(stand: Shop) -> None:
    port = closed_port()
    done = stand.penstock("top", "--once", PENSTOCK_METRICS=f"127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (AWAY, "")
    assert f"no Penstock answers at 127.0.0.1:{port} to 127.0.0.1:{port + 9}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "penstock top: expected host:port, got 'nowhere'"),
        ((), "penstock top: PENSTOCK_METRICS is off: expected the addresses to look at"),
        (("--interval", "0"), "0.1"),
    ],
)
def test_what_cannot_be_watched_is_refused_in_words(
    stand: Shop, arguments: tuple[str, ...], said: str
) -> None:
    done = stand.penstock("top", *arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert said in done.stderr


class Screen:
    """`penstock top` on a terminal."""

    def __init__(self, stand: Shop, *arguments: str) -> None:
        self.ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "top", *arguments],
            cwd=stand.folder, env=stand.env | {"TERM": "xterm"},
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True,
        )  # fmt: skip

    def shows(self, word: bytes, within_s: float = PATIENCE_S) -> bool:
        """Wait until a word was shown."""
        deadline = time.monotonic() + within_s
        while word not in STYLE.sub(b"", self.seen):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self.ours], [], [], left_s)[0]:
                return False
            self.seen += os.read(self.ours, 65_536)
        return True

    def ends(self, within_s: float = PATIENCE_S) -> int | None:
        """Return the exit code, None if it goes on. What it still writes is read, or it would wait for that."""

        def over() -> bool:
            while select.select([self.ours], [], [], 0)[0]:
                self.seen += os.read(self.ours, 65_536)
            return self.process.poll() is not None

        return self.process.returncode if eventually(over, within_s) else None

    def restored(self) -> bool:
        """Say whether the terminal is as it was found."""
        return bool(termios.tcgetattr(self.theirs) == self.before)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def opened(stand: Shop) -> Iterator[Callable[..., Screen]]:
    """Open `penstock top` on a terminal of its own."""
    screens: list[Screen] = []

    def open_(*arguments: str) -> Screen:
        screens.append(Screen(stand, *arguments))
        return screens[-1]

    yield open_
    for screen in screens:
        screen.close()


@pytest.mark.parametrize("leave", [b"q", signal.SIGINT, signal.SIGTERM])
def test_a_screen_renews_itself_until_it_is_left_and_leaves_the_terminal_as_it_was(
    opened: Any, server: MetricsServer, leave: Any
) -> None:
    metrics.DUE_DEPTH.set(17)
    screen = opened(f"127.0.0.1:{server.port}", "--interval", "0.1")
    assert screen.shows(b"SKUs due 17"), screen.seen
    metrics.DUE_DEPTH.set(23)
    assert screen.shows(b"SKUs due 23"), screen.seen
    assert b"\x1b[1m" in screen.seen
    if leave == b"q":
        os.write(screen.ours, b"xq")
    else:
        screen.process.send_signal(leave)
    assert screen.ends() == 0
    assert screen.restored()


def test_a_screen_waits_for_processes_that_are_not_there_yet(opened: Any) -> None:
    port = closed_port()
    screen = opened(f"127.0.0.1:{port}", "--interval", "0.1")
    assert screen.shows(b"no Penstock answers at"), screen.seen
    server = serve(f"127.0.0.1:{port}", dict)
    try:
        assert screen.shows(b"1 process,"), screen.seen
    finally:
        server.stop()


def test_one_look_on_a_terminal_is_for_people(opened: Any, server: MetricsServer) -> None:
    screen = opened(f"127.0.0.1:{server.port}", "--once", "--interval", "0.1")
    assert screen.shows(b"PROCESSES"), screen.seen
    assert screen.ends() == 0
    assert b"{" not in screen.seen


def test_colours_are_left_out_where_they_are_not_wanted(
    opened: Any, stand: Shop, server: MetricsServer
) -> None:
    metrics.UNSETTLED_AGE.since(1, by="a test")
    try:
        stand.env["NO_COLOR"] = "1"
        screen = opened(f"127.0.0.1:{server.port}", "--once", "--interval", "0.1")
        assert screen.shows(b"PROCESSES"), screen.seen
    finally:
        metrics.UNSETTLED_AGE.forget(by="a test")
    assert b"\x1b[31m" not in screen.seen
    assert b";31m" not in screen.seen
