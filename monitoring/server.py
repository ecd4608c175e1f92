"""The HTTP side of monitoring: /metrics for Prometheus, /healthz and /readyz for a supervisor.

/healthz  200 as long as the process answers at all
/readyz   200 when every named check passes, else 503; JSON gives the reason of each failure

It answers from a thread of its own, so that a slow scrape never holds up the flow.
"""

import socket
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import orjson
import structlog
from prometheus_client.exposition import choose_encoder

from monitoring.metrics import REGISTRY

Checks = Mapping[str, str | None]
"""Name of a check -> None when it passes, else why it does not."""

PORTS_TRIED: Final = 10
REQUEST_TIMEOUT_S: Final = 5

_log = structlog.get_logger(__name__)


class AddressUnavailableError(OSError):
    """No port at or shortly above the configured one could be opened."""


class MetricsServer:
    """A running server. `port` is the port it really listens on."""

    def __init__(self, http: ThreadingHTTPServer) -> None:
        self._http = http
        self._thread = Thread(target=http.serve_forever, args=(0.1,), name="metrics", daemon=True)
        self._thread.start()
        self.port: int = http.server_address[1]

    def stop(self) -> None:
        """Close the socket and wait for the thread to end."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def serve(address: str, ready: Callable[[], Checks]) -> MetricsServer:
    """Serve at `address` ("host:port"; "[::1]:9464" for IPv6; port 0 takes any free one).

    When the port is taken, by a second process on the same machine, the nine above it are tried
    and the one found is logged.

    Args:
        address: where to listen.
        ready: called for each /readyz, from another thread; should answer fast.

    Raises:
        ValueError: the address is not of that form.
        AddressUnavailableError: the host is not of this machine, or all ten ports are taken.
    """
    host, port = _split(address)
    ports = range(port, min(port + PORTS_TRIED, 65_536)) if port else (0,)
    reason = ""
    for candidate in ports:
        try:
            server = MetricsServer(_http_server(host, candidate, ready))
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        if candidate != port:
            _log.warning("metrics port taken", configured=port, used=candidate)
        return server
    raise AddressUnavailableError(
        f"PENSTOCK_METRICS: expected an address with a free port among {ports[0]}..{ports[-1]}, "
        f"got {address!r} ({reason})"
    )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if host and port.isascii() and port.isdigit() and int(port) < 65_536:  # noqa: PLR2004 - ports
        return host.removeprefix("[").removesuffix("]"), int(port)
    raise ValueError(f"PENSTOCK_METRICS: expected host:port, got {address!r}")


def _http_server(host: str, port: int, ready: Callable[[], Checks]) -> ThreadingHTTPServer:
    class Http(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            # The client has hung up, as a scraper does after its time-out: nothing to act on.
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on

    class Handler(_Handler):
        checks = staticmethod(ready)

    return Http((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT_S
    server_version = "penstock"
    sys_version = ""
    checks: Callable[[], Checks]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(REGISTRY))
        elif path == "/healthz":
            self._answer(HTTPStatus.OK, "text/plain; charset=utf-8", b"alive\n")
        elif path == "/readyz":
            self._answer_ready()
        else:
            text = b"not here; there are /metrics, /healthz, /readyz\n"
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_ready(self) -> None:
        try:
            checks = dict(self.checks())
        except Exception as error:  # noqa: BLE001 - a check that fails to run is itself a finding
            checks = {"checks": f"{type(error).__name__}: {error}"}
        ready = all(reason is None for reason in checks.values())
        body = {"ready": ready, "checks": {name: _say(why) for name, why in checks.items()}}
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        text = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
        self._answer(status, "application/json", text)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - given by the base
        """Normal operation logs nothing."""


def _say(reason: str | None) -> str:
    return "ok" if reason is None else reason or "no reason given"
