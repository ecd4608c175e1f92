"""A real Apache Kafka for tests: one KRaft node on loopback, with a data folder of its own.

The jars come by Maven (`pom.xml` beside this file) and are kept in `.servers/` of the project.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
POM = Path(__file__).with_name("pom.xml")
PORTS = range(18_000, 20_000)
START_S = PATIENCE_S
STOP_S = PATIENCE_S
HEAP = "-Xmx512m"

TOOLS = {
    "acls": "org.apache.kafka.tools.AclCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "configs": "kafka.admin.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "storage": "kafka.tools.StorageTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
}
"""The class behind each `kafka-<name>.sh` of the distribution."""

LOG4J = """
status = error
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""


class ServerMissing(Exception):
    """The server cannot be had on this machine; the text says what is missing."""


@cache
def class_path() -> str:
    """Return the class path of Kafka, bringing the jars if they are not there yet.

    Raises:
        ServerMissing: no Java, no Maven, or no repository to bring them from.
    """
    if shutil.which("java") is None:
        raise ServerMissing("java (17 or newer), for Apache Kafka")
    found = ET.parse(POM).find(".//{*}kafka.version")  # noqa: S314 - our own file
    version = found.text if found is not None else None
    folder = ROOT / ".servers" / f"kafka-{version}"
    if not folder.exists():
        if shutil.which("mvn") is None:
            raise ServerMissing("mvn, to bring Apache Kafka")
        draft = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}")
        command = ["mvn", "-q", "-B", "-ntp", "-f", str(POM), "dependency:copy-dependencies"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={draft}"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServerMissing(f"the jars of Apache Kafka: {done.stdout[-400:]}")
        # Whole or not at all: another run may do the same.
        if folder.exists():
            shutil.rmtree(draft)
        else:
            draft.rename(folder)
    return str(folder / "*")


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that are free now, and that the kernel gives to nobody who does not ask for them.

    Among those that it deals out, the port of a server that is away would be lost to the next connection, perhaps to
    one of those who try to reach it.
    """
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


class Kafka:
    """One broker, its own controller. `properties` are set over those below."""

    def __init__(self, folder: Path, properties: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port, controller = free_ports(2)
        self.properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "2",
            "auto.create.topics.enable": "false",
        } | dict(properties or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address of the listener without encryption."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the broker. It must be running."""
        if self._process is None:
            raise RuntimeError("the broker is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the broker and wait until it answers; its data is kept from the last time."""
        config = self._write("server.properties", self.properties)
        if not (self.folder / "data").exists():
            # Not one that begins with a dash, which the tool would take for an option.
            cluster_id = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
            self.tool("storage", "format", "-t", cluster_id, "-c", str(config), bare=True)
        (self.folder / "log4j2.properties").write_text(LOG4J)
        with (self.folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*bound_to_us(), *self._java("kafka.Kafka"), str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(),
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka does not start:\n{self._last_words()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the broker as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker without a goodbye."""
        self._end(signal.SIGKILL)

    def command(self, name: str) -> list[str]:
        """Return the words of a shell command that runs one of Kafka's own tools."""
        return self._java(TOOLS[name])

    def tool(self, name: str, *args: str, bare: bool = False) -> str:
        """Run one of Kafka's own tools; return what it printed. `bare`: it speaks to no broker."""
        where = () if bare else ("--bootstrap-server", self.bootstrap)
        done = subprocess.run(
            [*self._java(TOOLS[name]), *where, *args], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"kafka-{name} {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _java(self, program: str) -> list[str]:
        quick = ["-XX:TieredStopAtLevel=1"] if program != "kafka.Kafka" else []
        return ["java", HEAP, "-XX:+UseSerialGC", *quick, "-cp", class_path(), program]

    def _environment(self) -> dict[str, str]:
        options = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return {**os.environ, "JDK_JAVA_OPTIONS": options}

    def _write(self, name: str, properties: Mapping[str, str]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        return path

    def _answers(self) -> bool:
        with closing(socket.socket()) as client:
            client.settimeout(1.0)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def _last_words(self) -> str:
        log = (self.folder / "kafka.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(log.splitlines()[-20:])


def running_kafka(
    folder: Path, properties: Mapping[str, str] | None = None
) -> Generator[Kafka, None, None]:
    """Yield a broker that runs until the block ends."""
    made = Kafka(folder, properties)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def bound_to_us() -> list[str]:
    """Words before a command that let it end with this process, however that ends (on Linux)."""
    if sys.platform != "linux" or shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--pdeathsig", "TERM"]
