"""Readings: what each process says at /metrics, asked at the same time."""

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from connectors.config.settings import PORT_MAX
from monitoring.server import PORTS_TRIED

TIMEOUT_S: Final = 1.0
BYTES_MAX: Final = 8 << 20
"""A page is some tens of kilobytes; what is longer is none of ours."""
OURS: Final = "penstock_build_info"
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):([0-9]{1,5})", re.ASCII)

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""
Samples: TypeAlias = Mapping[str, Mapping[Labels, float]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one process said, and when: `at_s` is of a clock that never goes back."""

    address: str
    at_s: float
    samples: Samples

    def value(self, name: str) -> float | None:
        """Return the value of a metric without labels, None where it is not served."""
        return self.samples.get(name, {}).get(())

    def began_s(self) -> float | None:
        """Return when the process began, in seconds since 1970."""
        return self.value("process_start_time_seconds")


def place(address: str) -> tuple[str, int]:
    """Return host and port of an address, `host:port` or `[::1]:port`.

    Raises:
        ValueError: it is of another form.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) <= PORT_MAX:
        raise ValueError(f"expected host:port, got {address!r}")
    return found[1].strip("[]"), int(found[2])


def span(address: str) -> list[str]:
    """Return the addresses at which the processes of a setting may serve: its port and the nine above."""
    host, _, port = address.rpartition(":")
    ports = range(int(port), min(int(port) + PORTS_TRIED, PORT_MAX + 1))
    return [f"{host}:{n}" for n in ports]


def read_all(addresses: Sequence[str]) -> list[Reading]:
    """Ask all addresses at once; return the readings of those where a Penstock answers, in their order."""
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        return [found for found in pool.map(read, addresses) if found is not None]


def read(address: str) -> Reading | None:
    """Ask one address; None when no Penstock answers there."""
    host, port = place(address)
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        body = answer.read(BYTES_MAX)
        if answer.status != HTTPStatus.OK:
            return None
        samples = parsed(body.decode())
    except (OSError, HTTPException, ValueError):
        # ValueError: another program serves there, whose page is no text of metrics.
        return None
    finally:
        connection.close()
    return Reading(address, time.monotonic(), samples) if OURS in samples else None


def parsed(text: str) -> Samples:
    """Return the samples of a page by their names.

    Raises:
        ValueError: the text is not in the format of Prometheus.
    """
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found
