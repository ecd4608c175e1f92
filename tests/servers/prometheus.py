"""A real Prometheus for tests: on loopback, with a data folder of its own."""

import math
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from tests.patience import PATIENCE_S
from tests.servers.kafka import ServerMissing, bound_to_us, free_ports

START_S = ASK_S = PATIENCE_S


class Line(NamedTuple):
    """What a query found for one set of labels: (time in s, value), without values that are no number."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


class Prometheus:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **words: str) -> Any:
        """Return the data that the API answers with.

        Raises:
            RuntimeError: Prometheus refuses the question; its words are repeated.
        """
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=ASK_S) as answer:  # noqa: S310 - our own address
                return orjson.loads(answer.read())["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{words}: {orjson.loads(error.read())['error']}") from None

    def lines(self, query: str, begin_s: float, end_s: float, step_s: float) -> list[Line]:
        """Return what a query finds from begin to end, moment by moment; lines without a number are left out."""
        words = {"query": query, "start": str(begin_s), "end": str(end_s), "step": str(step_s)}
        found = [
            Line(each["metric"], [p for p in _points(each["values"]) if math.isfinite(p[1])])
            for each in self.ask("query_range", **words)["result"]
        ]
        return [line for line in found if line.points]

    def up(self) -> int:
        """Return how many targets were answering when they were last scraped."""
        found = self.ask("query", query="sum(up)")["result"]
        return int(float(found[0]["value"][1])) if found else 0

    def ready(self) -> bool:
        """Say whether it answers queries."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=ASK_S):  # noqa: S310 - our own address
                return True
        except OSError:
            return False


def _points(values: Sequence[tuple[float, str]]) -> Iterator[tuple[float, float]]:
    return ((float(at), float(value)) for at, value in values)


def neighbours(count: int) -> list[int]:
    """Return ports of loopback that are free now, one beside the other.

    They lie below those that a system gives to connections on their way out: none of these takes one meanwhile.
    """
    while True:
        ports = range(first := random.randrange(20_000, 30_000), first + count)
        with ExitStack() as stack:
            try:
                for port in ports:
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return list(ports)


@contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    *,
    scrape: str = "1s",
    rules: Sequence[Path] = (),
) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the addresses of each job, until the block ends.

    It evaluates the rule files as often as it scrapes.

    Raises:
        ServerMissing: there is no `prometheus` on the PATH.
    """
    if shutil.which("prometheus") is None:
        raise ServerMissing("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "global": {
            "scrape_interval": scrape,
            "scrape_timeout": scrape,
            "evaluation_interval": scrape,
        },
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
            for job, addresses in targets.items()
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    (port,) = free_ports(1)
    command = [
        *bound_to_us(), "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        found = Prometheus(port)
        deadline = time.monotonic() + START_S
        while not found.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, f"prometheus is not ready within {START_S:.0f} s"
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait()
