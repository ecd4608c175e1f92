import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from threading import Event, active_count

import pytest

from monitoring.server import AddressUnavailableError, Checks, MetricsServer, serve
from tests.patience import PATIENCE_S, eventually


class Readiness:
    """The checks that the server under test is told, changed by the test."""

    def __init__(self) -> None:
        self.checks: Checks = {}
        self.error: Exception | None = None

    def __call__(self) -> Checks:
        if self.error is not None:
            raise self.error
        return self.checks


@pytest.fixture
def readiness() -> Readiness:
    return Readiness()


@pytest.fixture
def server(readiness: Readiness) -> Iterator[MetricsServer]:
    running = serve("127.0.0.1:0", readiness)
    yield running
    running.stop()


def ask(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    with closing(
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    ) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def test_metrics_are_served_in_the_text_format(server: MetricsServer) -> None:
    status, content_type, body = ask(server, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert b"# TYPE penstock_due_depth gauge" in body


def test_a_query_string_does_not_hide_the_page(server: MetricsServer) -> None:
    assert ask(server, "/metrics?debug=1")[0] == 200


def test_a_living_process_is_healthy_even_when_it_is_not_ready(
    server: MetricsServer, readiness: Readiness
) -> None:
    readiness.checks = {"redis": "connection refused"}
    assert ask(server, "/healthz")[0] == 200


def test_ready_is_said_when_every_check_passes(server: MetricsServer, readiness: Readiness) -> None:
    readiness.checks = {"redis": None, "clock": None}
    status, content_type, body = ask(server, "/readyz")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body) == {"ready": True, "checks": {"redis": "ok", "clock": "ok"}}


def test_not_ready_comes_with_the_reason(server: MetricsServer, readiness: Readiness) -> None:
    readiness.checks = {"redis": None, "clock": "1400 ms off the store's clock"}
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "checks": {"redis": "ok", "clock": "1400 ms off the store's clock"},
    }


def test_an_empty_reason_still_means_not_ready(server: MetricsServer, readiness: Readiness) -> None:
    readiness.checks = {"redis": ""}
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body)["checks"] == {"redis": "no reason given"}


def test_a_check_that_breaks_is_a_finding_and_the_server_goes_on(
    server: MetricsServer, readiness: Readiness
) -> None:
    readiness.error = RuntimeError("no route")
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body)["checks"] == {"checks": "RuntimeError: no route"}
    readiness.error = None
    assert ask(server, "/readyz")[0] == 200


def test_one_who_hangs_up_before_the_answer_leaves_no_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked, gone, before = Event(), Event(), active_count()

    def slow() -> Checks:
        asked.set()
        gone.wait(PATIENCE_S)
        return {}

    running = serve("127.0.0.1:0", slow)
    with socket.create_connection(("127.0.0.1", running.port)) as scraper:
        scraper.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert asked.wait(PATIENCE_S)
        # Reset, so that the answer meets nobody.
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.set()
    running.stop()
    assert eventually(lambda: active_count() == before)
    assert capfd.readouterr().err == ""


def test_another_path_names_those_that_there_are(server: MetricsServer) -> None:
    status, _, body = ask(server, "/")
    assert status == 404
    assert b"/metrics, /healthz, /readyz" in body


def test_a_head_request_gets_the_header_alone(server: MetricsServer) -> None:
    assert ask(server, "/healthz", "HEAD") == (200, "text/plain; charset=utf-8", b"")


def test_a_taken_port_gives_way_to_one_of_the_next(taken_port: int, readiness: Readiness) -> None:
    second = serve(f"127.0.0.1:{taken_port}", readiness)
    try:
        assert taken_port < second.port < taken_port + 10
        assert ask(second, "/healthz")[0] == 200
    finally:
        second.stop()


def test_an_address_of_another_machine_is_told_with_its_setting(readiness: Readiness) -> None:
    with pytest.raises(AddressUnavailableError, match=r"PENSTOCK_METRICS: .* got '192\.0\.2\.1:9"):
        serve("192.0.2.1:9464", readiness)


@pytest.mark.parametrize(
    "address", ["", "9464", ":9464", "localhost", "localhost:", "a:b", "a:65536"]
)
def test_what_is_no_address_is_refused_with_exact_words(address: str, readiness: Readiness) -> None:
    with pytest.raises(ValueError, match="PENSTOCK_METRICS: expected host:port, got") as caught:
        serve(address, readiness)
    assert repr(address) in str(caught.value)


def test_ipv6_is_served_where_the_machine_has_it(readiness: Readiness) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = serve("[::1]:0", readiness)
    with closing(http.client.HTTPConnection("::1", server.port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    server.stop()


def test_a_stopped_server_frees_its_port(readiness: Readiness) -> None:
    first = serve("127.0.0.1:0", readiness)
    first.stop()
    second = serve(f"127.0.0.1:{first.port}", readiness)
    assert second.port == first.port
    second.stop()
