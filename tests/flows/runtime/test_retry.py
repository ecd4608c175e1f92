"""A server that refuses for now is waited for; one that refuses for good is not."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from connectors.log.base import LogUnavailable
from connectors.redis.embedded import server_program
from flows.runtime.retry import retry_until_available
from monitoring import metrics
from tests.patience import PATIENCE_S, eventually
from tests.servers.redis_servers import RedisServer, until

ENDLESS = """#!lua name=endless
redis.register_function('endless', function()
  while true do
  end
end)
"""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose settings a test may spoil."""
    settings = {"appendonly": "no", "save": "3600 100000", "maxmemory-policy": "noeviction"}
    server = RedisServer(tmp_path / "server", settings, server_program())
    server.start()
    yield server
    server.kill()


def refused_then_done(server: RedisServer, says: str, mend: Callable[[], Any]) -> None:
    """Set a key while the server refuses that; it must be set as soon as the server is mended."""
    met: list[str] = []
    refused = threading.Event()

    def attempt() -> Any:
        try:
            return server.do("SET", "key", "value")
        except redis.RedisError as error:
            met.append(str(error))
            refused.set()
            raise

    thread = threading.Thread(target=retry_until_available, args=(attempt,), daemon=True)
    thread.start()
    assert refused.wait(PATIENCE_S)
    mend()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert says in met[0]
    assert server.do("GET", "key") == b"value"


def test_a_server_that_misses_its_replicas_is_waited_for(own_server: RedisServer) -> None:
    server = own_server
    server.do("CONFIG", "SET", "min-replicas-to-write", 1)
    mend = ("CONFIG", "SET", "min-replicas-to-write", 0)
    refused_then_done(server, "NOREPLICAS", lambda: server.do(*mend))


def test_a_server_out_of_memory_is_waited_for(own_server: RedisServer) -> None:
    server = own_server
    server.do("CONFIG", "SET", "maxmemory", 1)
    mend = ("CONFIG", "SET", "maxmemory", 0)
    refused_then_done(server, "used memory > 'maxmemory'", lambda: server.do(*mend))


def test_a_server_that_cannot_write_its_file_is_waited_for_and_the_log_tells_why(
    own_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = own_server

    in_its_place = server.folder / "dump.rdb"

    def save(status: str) -> None:
        server.do("BGSAVE")
        until(
            lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == status,
            f"a save that ends with {status}",
        )

    def mend() -> None:
        in_its_place.rmdir()
        save("ok")

    in_its_place.mkdir()
    save("err")
    refused_then_done(server, "MISCONF", mend)
    assert "MISCONF" in capsys.readouterr().out


def retries(reason: str) -> float:
    return metrics.REGISTRY.get_sample_value("penstock_retries_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (redis.ConnectionError("gone"), "store"),
        (redis.ResponseError("BUSY a script runs"), "store"),
        (LogUnavailable("gone"), "log"),
    ],
)
def test_a_server_that_is_away_is_told_once_and_repetitions_are_counted(
    error: Exception, reason: str
) -> None:
    answers: Iterator[Exception | str] = iter([error, error, error, "done"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    before = retries(reason)
    with structlog.testing.capture_logs() as said:
        assert retry_until_available(call) == "done"
    assert retries(reason) - before == 3
    logged = [line for line in said if line["event"] == "server away"]
    assert [(line["server"], line["log_level"]) for line in logged] == [(reason, "warning")]
    assert str(error) in logged[0]["error"]


def test_a_server_that_runs_a_long_script_is_waited_for(own_server: RedisServer) -> None:
    server = own_server
    server.do("CONFIG", "SET", "busy-reply-threshold", 10)
    server.do("FUNCTION", "LOAD", ENDLESS)
    ended = threading.Event()

    def run() -> None:
        with redis.Redis(port=server.port) as client, pytest.raises(redis.ResponseError):
            client.fcall("endless", 0)
        ended.set()

    def is_busy() -> bool:
        try:
            server.client.ping()
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
        return False

    def end() -> None:
        server.do("FUNCTION", "KILL")
        assert ended.wait(PATIENCE_S)

    threading.Thread(target=run, daemon=True).start()
    assert eventually(is_busy)
    refused_then_done(server, "BUSY", end)


def test_a_call_that_is_refused_for_good_is_not_repeated(own_server: RedisServer) -> None:
    own_server.do("SET", "text", "no list")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        retry_until_available(lambda: own_server.do("LPUSH", "text", 1))
