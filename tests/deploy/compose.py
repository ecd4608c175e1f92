"""docker-compose.yml as a test reads it, and as it is outside of containers.

Outside, a service listens on free ports of loopback, a named volume or tmpfs is a temporary folder,
a mounted file is the file itself. Nothing else of an environment or a command is changed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.servers.kafka import free_ports

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PASSWORD = {"GRAFANA_ADMIN_PASSWORD": "of-a-test"}

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::\?[^}]*)?\}")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def services() -> dict[str, dict[str, Any]]:
    """The services by name, variables filled in."""
    found: dict[str, dict[str, Any]] = _filled(document()["services"])
    return found


def document() -> Any:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def seconds(duration: str) -> int:
    """Turn "30s" or "2m" into seconds."""
    return int(duration[:-1]) * _UNITS_S[duration[-1]]


def interpolated(text: str) -> str:
    """Fill in variables as Compose does; `$$` is a dollar sign."""
    return _VARIABLE.sub(lambda found: PASSWORD[found[1]] if found[1] else "$", text)


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    return interpolated(value) if isinstance(value, str) else value


def waits_for(service: Mapping[str, Any]) -> dict[str, str]:
    """The services that it depends on, each with the condition."""
    return {name: told["condition"] for name, told in service.get("depends_on", {}).items()}


def in_order(named: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The services, each after those that it depends on."""
    order: list[str] = []
    while len(order) < len(named):
        ready = [n for n in named if n not in order and waits_for(named[n]).keys() <= set(order)]
        if not ready:
            raise ValueError("services depend on each other in a circle")
        order += ready
    return order


def mounts(service: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(source, path in the container, mode) of each volume."""
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        yield source, target, mode[0] if mode else "rw"


@dataclass(frozen=True)
class Outside:
    """A replica of a service outside of a container."""

    name: str
    service: dict[str, Any]
    folder: Path
    ports: dict[str, int]
    hosts: dict[str, int]
    """host:port of the services -> the port of loopback that stands for it."""

    @cached_property
    def paths(self) -> dict[str, Path]:
        """A path in the container -> the folder or file that stands for it."""
        found = {}
        for source, target, _mode in mounts(self.service):
            named = not source.startswith(".")
            found[target] = self.folder / "volumes" / source if named else ROOT / source
        for target in (each.partition(":")[0] for each in self.service.get("tmpfs", [])):
            found[target] = self.folder / "tmpfs" / self.name / target.strip("/").replace("/", "-")
        for path in found.values():
            if not path.is_relative_to(ROOT):
                path.mkdir(parents=True, exist_ok=True)
        return found

    def text(self, text: str) -> str:
        """Put what stands for them outside in the place of hosts, ports and paths."""
        for host, free in self.hosts.items():
            text = re.sub(rf"(?<![\w.]){re.escape(host)}\b", f"127.0.0.1:{free}", text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - what is replaced is all interfaces
        for port, free in self.ports.items():
            text = re.sub(rf"(?<![\w.]){port}\b", str(free), text)
        if not self.paths:
            return text
        # In one go: a folder that stands for a path may lie under another path of the container.
        longest_first = "|".join(map(re.escape, sorted(self.paths, key=len, reverse=True)))
        pattern = rf"(?<![\w/])({longest_first})(?![\w-])"
        return re.sub(pattern, lambda found: str(self.paths[found[1]]), text)

    @property
    def environment(self) -> dict[str, str]:
        told = self.service.get("environment", {})
        return {name: self.text(value) for name, value in told.items()}

    @property
    def command(self) -> list[str]:
        return [self.text(word) for word in self.service.get("command", [])]

    @property
    def check(self) -> list[str]:
        """The command of the health check, as a list of words to run."""
        kind, *words = self.service["healthcheck"]["test"]
        words = [self.text(word) for word in words]
        return ["sh", "-c", *words] if kind == "CMD-SHELL" else words

    @property
    def grace_s(self) -> int:
        return seconds(self.service["stop_grace_period"])


def outside(folder: Path) -> dict[str, list[Outside]]:
    """Every service with its replicas; those of one service share its volumes."""
    named = services()
    own = {
        name: [_free(service) for _ in range(replicas(service))] for name, service in named.items()
    }
    hosts = {
        f"{name}:{port}": free
        for name, some in own.items()
        for port, free in (some[0] if some else {}).items()
    }
    return {
        name: [Outside(name, named[name], folder, ports, hosts) for ports in some]
        for name, some in own.items()
    }


def replicas(service: Mapping[str, Any]) -> int:
    return int(service.get("deploy", {}).get("replicas", 1))


def _free(service: Mapping[str, Any]) -> dict[str, int]:
    """A free port for each that the service listens on."""
    told = [port.rpartition(":")[2] for port in service.get("ports", [])]
    told += service.get("expose", [])
    for value in service.get("environment", {}).values():
        told += re.findall(r"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)", value)
    names = sorted(set(told))
    return dict(zip(names, free_ports(len(names)), strict=True))
