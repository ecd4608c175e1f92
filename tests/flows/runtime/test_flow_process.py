"""The flows as processes: many at once, stopped, killed, and started by Bytewax itself."""

import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.flows.shop import Shop, end_state_alone, event, lines, rows, running, trading
from tests.patience import PATIENCE_S, eventually


class Process(NamedTuple):
    pid: int
    parent: int
    command: str


def processes() -> list[Process]:
    """All of this machine that are alive."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    )
    found = (line.split(None, 3) for line in listed.stdout.splitlines())
    return [
        Process(int(pid), int(parent), " ".join(command))
        for pid, parent, state, *command in found
        if not state.startswith("Z")
    ]


def children_of(flow: subprocess.Popen[bytes]) -> list[Process]:
    """The processes that it started and that are alive."""
    return [each for each in processes() if each.parent == flow.pid]


def test_two_of_each_flow_end_where_one_of_each_does(shop: Shop, tmp_path: Path) -> None:
    events = trading(1_500)
    shop.emit(*events)
    roles = ("ingest", "publish") * 2
    with running(shop, *(("run", role) for role in roles)):
        assert shop.penstock("wait", "--idle", "--timeout", f"{PATIENCE_S:g}").returncode == 0

    assert shop.end_state() == end_state_alone(tmp_path / "alone", events)
    assert shop.stock("A1")["unrouted"] > 0


@pytest.mark.parametrize("workers", [(), ("-w", "2")])
def test_bytewax_runs_the_same_flow(shop: Shop, workers: tuple[str, ...]) -> None:
    flow = shop.start("flows.ingest:flow", *workers, module="bytewax.run")
    try:
        shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
        assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
        assert shop.stock("A")["available"] == 5
    finally:
        flow.send_signal(signal.SIGTERM)
        said = flow.communicate(timeout=PATIENCE_S)[1]
    assert (flow.returncode, said) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_flow_that_is_asked_to_stop_ends_cleanly(shop: Shop, number: signal.Signals) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
    flow = shop.start("run")
    assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    flow.send_signal(number)
    said = flow.communicate(timeout=PATIENCE_S)[1]
    assert (flow.returncode, said) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_flows_that_are_stopped_before_they_have_a_handler_end_cleanly(
    shop: Shop, number: signal.Signals
) -> None:
    flow = shop.start("run")
    assert eventually(lambda: len(children_of(flow)) == 2)
    for child in children_of(flow):
        os.kill(child.pid, number)
    said = flow.communicate(timeout=PATIENCE_S)[1]
    assert (flow.returncode, said) == (0, b"")


def test_a_hangup_before_they_have_a_handler_does_not_end_flows(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
    flow = shop.start("run")
    assert eventually(lambda: len(children_of(flow)) == 2)
    for pid in (flow.pid, *(child.pid for child in children_of(flow))):
        os.kill(pid, signal.SIGHUP)
    assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    flow.send_signal(signal.SIGTERM)
    said = flow.communicate(timeout=PATIENCE_S)[1]
    assert (flow.returncode, said) == (0, b"")


def test_flows_do_not_outlive_the_run_that_started_them(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
    flow = shop.start("run")
    assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    children = {each.pid for each in children_of(flow)}
    assert len(children) == 2
    flow.kill()
    flow.communicate(timeout=PATIENCE_S)
    assert eventually(lambda: not children & {each.pid for each in processes()})


def test_a_killed_flow_is_noticed_and_the_other_one_stopped(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
    flow = shop.start("run")
    assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    (publish,) = [child.pid for child in children_of(flow) if " publish" in child.command]
    os.kill(publish, signal.SIGKILL)
    said = flow.communicate(timeout=PATIENCE_S)[1]
    assert (flow.returncode, said) == (1, b"penstock run: a flow was ended by signal 9\n")


def test_the_embedded_store_starts_with_a_command_and_keeps_what_it_did(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
    (kept,) = rows(shop.penstock("tail", "wms.receipts", "--from-start", "--until-idle"))
    assert kept["value"]["data"]["lines"] == lines(A=5)
