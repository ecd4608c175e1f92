"""The services of docker-compose.yml as processes of this machine, started in the order of depends_on."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from connectors.redis.embedded import EmbeddedError, server_program
from tests.deploy.compose import ROOT, Outside, in_order, outside, seconds, services
from tests.patience import PATIENCE_S, eventually
from tests.servers.kafka import TOOLS, ServerMissing, bound_to_us, class_path

TIMEOUT_S = 1.5 * PATIENCE_S
SUCCESS = {"kafka": 128 + signal.SIGTERM}
"""A Java virtual machine that a signal ended in good order says so; everything else ends with 0."""

# What the image brings for its tools; the setup of the image looks for it.
TOOLS_LOG4J = "Configuration:\n  Loggers:\n    Root:\n      level: WARN\n"
IMAGE_TOOLS = "/opt/kafka/bin"


class Stack:
    """All replicas of all services; what they keep lies in `folder` and outlives a stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside = outside(folder)
        self.programs = folder / "programs"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._lay_out_programs()

    def up(self, *names: str) -> None:
        """Start what does not run yet, each once those that it waits for are healthy or done."""
        for name in in_order(services()):
            if name not in names:
                continue
            for number, replica in enumerate(self.outside[name], 1):
                if replica.service["restart"] == "no":
                    done = self.run(self._command(replica), replica.environment)
                    assert done.returncode == 0, f"{name}: {done.stderr}"
                elif f"{name}-{number}" not in self.running:
                    self.running[f"{name}-{number}"] = self._start(replica, f"{name}-{number}")
                    self._await_health(replica, f"{name}-{number}")

    def stop(self) -> dict[str, int]:
        """Stop all as Compose does, the last one first; return the exit codes."""
        codes = {}
        for label in reversed(list(self.running)):
            process = self.running.pop(label)
            process.terminate()
            try:
                codes[label] = process.wait(self.outside[label.rpartition("-")[0]][0].grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[label] = -process.wait()
        return codes

    def healthy(self, replica: Outside) -> bool:
        """Run the command of its health check once."""
        return self.run(replica.check, replica.environment).returncode == 0

    def run(
        self, words: list[str], environment: Mapping[str, str], given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        words = [word.replace(IMAGE_TOOLS, str(self.programs)) for word in words]
        return subprocess.run(
            words, env=self._surroundings(environment), cwd=self.folder, input=given,
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip

    def penstock(self, *args: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `penstock` as somebody does who is outside of the containers, by published ports."""
        environment = {
            "PENSTOCK_CONFIG": str(ROOT / "deploy" / "penstock.yaml"),
            "PENSTOCK_KAFKA": f"127.0.0.1:{self.port('kafka', '9094')}",
            "PENSTOCK_REDIS": f"redis://127.0.0.1:{self.port('valkey', '6379')}/0",
        }
        return self.run(["penstock", *args], environment, given)

    def port(self, name: str, inside: str) -> int:
        """The port of loopback that stands for a port of the service's first replica."""
        return self.outside[name][0].ports[inside]

    def said(self, label: str) -> str:
        """What a process wrote, its last lines."""
        log = self.folder / f"{label}.log"
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])

    def _start(self, replica: Outside, label: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{label}.log").open("ab") as log:
            return subprocess.Popen(
                [*bound_to_us(), *self._command(replica)],
                env=self._surroundings(replica.environment), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _await_health(self, replica: Outside, label: str) -> None:
        told = replica.service["healthcheck"]
        process = self.running[label]
        healthy = eventually(
            lambda: process.poll() is not None or self.healthy(replica),
            max(seconds(told["start_period"]), 2 * PATIENCE_S),
        )
        assert healthy, f"{label} does not become healthy: {self.said(label)}"
        assert process.poll() is None, f"{label} ended: {self.said(label)}"

    def _command(self, replica: Outside) -> list[str]:
        """What its container would run: the entry point of the image, then the command."""
        if replica.name == "kafka":
            return self._kafka(replica)
        if replica.name == "valkey":
            return [*replica.command, "--bind", "127.0.0.1"]
        if replica.name == "prometheus":
            found = [self._found_by_name(replica, word) for word in replica.command]
            listen = f"--web.listen-address=127.0.0.1:{replica.ports['9090']}"
            return ["prometheus", *found, listen]
        return ["penstock", *replica.command]

    def _kafka(self, replica: Outside) -> list[str]:
        """Do what the image does: its own program makes the properties, and formats the storage."""
        defaults = self.folder / "image"
        defaults.mkdir(exist_ok=True)
        (defaults / "tools-log4j2.yaml").write_text(TOOLS_LOG4J)
        final = replica.paths["/opt/kafka/config"]
        setup = self.run(
            [*_java(), "kafka.docker.KafkaDockerWrapper", "setup",
             "--default-configs-dir", str(defaults),
             "--mounted-configs-dir", str(replica.paths["/mnt/shared/config"]),
             "--final-configs-dir", str(final)],
            replica.environment,
        )  # fmt: skip
        said = setup.stdout + setup.stderr
        assert setup.returncode == 0 or "already formatted" in said, said
        heap = shlex.split(replica.environment["KAFKA_HEAP_OPTS"])
        log = f"-Dlog4j2.configurationFile={final / 'log4j2.yaml'}"
        return [*_java(*heap, log), "kafka.Kafka", str(final / "server.properties")]

    def _found_by_name(self, prometheus: Outside, word: str) -> str:
        """Where names of services are looked up, put the addresses that would be found."""
        config = ROOT / "deploy" / "prometheus.yml"
        if str(config) not in word:
            return word
        told: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
        for job in told["scrape_configs"]:
            targets = [
                f"127.0.0.1:{replica.ports[str(looked_up['port'])]}"
                for looked_up in job.pop("dns_sd_configs")
                for name in looked_up["names"]
                for replica in self.outside[name]
            ]
            job["static_configs"] = [{"targets": targets}]
        told["rule_files"] = [prometheus.text(path) for path in told["rule_files"]]
        written = self.folder / "prometheus.yml"
        written.write_text(yaml.safe_dump(told))
        return word.replace(str(config), str(written))

    def _surroundings(self, environment: Mapping[str, str]) -> dict[str, str]:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **environment}

    def _lay_out_programs(self) -> None:
        """Put the programs of the images where a command finds them by name."""
        self.programs.mkdir()
        lines = {
            "python": shlex.join([sys.executable]),
            "penstock": shlex.join([sys.executable, "-m", "flows.cli"]),
            "valkey-server": shlex.join([server_program()]),
            "valkey-cli": shlex.join([needed("valkey-cli", "redis-cli")]),
        }
        for name, class_name in TOOLS.items():
            java = shlex.join(["-XX:TieredStopAtLevel=1", "-cp", class_path(), class_name])
            lines[f"kafka-{name}.sh"] = f"java $KAFKA_HEAP_OPTS {java}"
        for name, line in lines.items():
            program = self.programs / name
            program.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            program.chmod(0o700)


def _java(*options: str) -> list[str]:
    return ["java", "-XX:+UseSerialGC", *options, "-cp", class_path()]


def needed(*names: str) -> str:
    """Return the first of these programs that there is.

    Raises:
        ServerMissing: there is none.
    """
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise ServerMissing(" or ".join(names))


MISSING = (ServerMissing, EmbeddedError)
