"""Redis servers as local processes: one alone, and a cluster of three primaries with a replica each.

They listen on loopback and keep their files in a folder of the test run. On Linux they end with the
thread that started them, so that nothing stays behind when pytest is killed: start them in the main one.
"""

import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.patience import PATIENCE_S
from tests.servers.kafka import ServerMissing

PORTS = range(17_000, 17_200)
STARTS_MAX = 3
ENDS_MAX = 180
END_AGAIN_S = 0.5
POLL_S = 0.005
SLOTS = 16_384
NODE_TIMEOUT_MS = 1_000
PRIMARIES = 3
MIGRATED_AT_ONCE = 100


def server_program() -> str:
    """Return the path of the server that the system has installed."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    raise ServerMissing("redis-server or valkey-server on the PATH")


def free_ports() -> Iterator[int]:
    """Yield ports on which nobody listens, in random order."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait until a condition holds. An error of Redis counts as not yet."""
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if condition():
                return
        except redis.RedisError as error:
            last = f"; at last {error}"
        time.sleep(POLL_S)
    raise TimeoutError(f"expected within {seconds:g} s: {what}{last}")


class RedisServer:
    """A server with an append-only file, on a port of loopback that was free.

    `program` is the one to run, that which the system has installed if none is given.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, program: str = ""
    ) -> None:
        self.folder = folder
        self.program = program or server_program()
        self.settings = dict(settings or {})
        self.port = 0
        self.client = redis.Redis()
        """In bytes mode, of this server alone."""
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """Host and port, as a cluster names its nodes."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address for a Redis client."""
        return f"redis://{self.name}"

    @property
    def lives(self) -> bool:
        """Whether the process is there and runs."""
        return self._process is not None and self._process.poll() is None and not self._paused

    def start(self) -> None:
        """Start on a free port, and wait until it answers."""
        for _ in range(STARTS_MAX):
            ports = free_ports()
            self.port = next(ports)
            if "cluster-enabled" in self.settings:
                self.settings["cluster-port"] = str(next(ports))
            self.client = redis.Redis(port=self.port, socket_timeout=5)
            self._spawn()
            until(lambda: not self.lives or self._answers(), "an answer of the server")
            if self.lives:
                return
        log = self.folder / "server.log"
        raise TimeoutError(f"the server does not start: {log.read_text()[-500:]}")

    def restart(self) -> None:
        """Start it again, ended first if it lives, on the same port with what its files hold."""
        self.stop()
        self._spawn()
        until(self._answers, "an answer of the server")

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep it from running within the block; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._paused = True
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)
            self._paused = False

    def do(self, *words: object) -> Any:
        """Run a command on this server."""
        client: Any = self.client
        return client.execute_command(*words)

    def _spawn(self) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "logfile": str(self.folder / "server.log"),
            "appendonly": "yes",
            "save": "",
            **self.settings,
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [*_ending_with_us(), self.program, *words], stdin=subprocess.DEVNULL
        )

    def _answers(self) -> bool:
        # Another's server on this port would answer too.
        info = self.client.info("server")
        return self._process is not None and info["process_id"] == self._process.pid

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        # A server that writes its first append-only file refuses to end, and has to be asked again.
        for _ in range(ENDS_MAX):
            process.send_signal(number)
            try:
                process.wait(END_AGAIN_S)
            except subprocess.TimeoutExpired:
                continue
            return
        raise TimeoutError(f"the server does not end; see {self.folder}/server.log")


class RedisCluster:
    """Three primaries of a third of the slots each, and a replica for each."""

    def __init__(self, folder: Path) -> None:
        settings = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            # A replica takes over however long it was cut off, and however small the cluster is.
            "cluster-replica-validity-factor": "0",
            "cluster-allow-replica-migration": "no",
            "repl-diskless-sync-delay": "0",
            "repl-ping-replica-period": "1",
        }
        self.nodes = [RedisServer(folder / str(n), settings) for n in range(2 * PRIMARIES)]

    @property
    def url(self) -> str:
        """The address for `PENSTOCK_REDIS`, with every node as a seed."""
        return "redis+cluster://" + ",".join(node.name for node in self.nodes)

    @property
    def primaries(self) -> list[RedisServer]:
        """The nodes that keep slots now, by their slots."""
        owners = sorted((first, node) for first, _, node, _ in self._ranges())
        return [self.node(name) for name in dict.fromkeys(name for _, name in owners)]

    def start(self) -> None:
        """Start the nodes and make them a cluster."""
        for node in self.nodes:
            node.start()
        for n, node in enumerate(self.nodes[:PRIMARIES]):
            bounds = [round(SLOTS * k / PRIMARIES) for k in (n, n + 1)]
            node.do("CLUSTER ADDSLOTSRANGE", bounds[0], bounds[1] - 1)
            node.do("CLUSTER SET-CONFIG-EPOCH", n + 1)
        first, *others = self.nodes
        for node in others:
            first.do("CLUSTER MEET", "127.0.0.1", node.port, node.settings["cluster-port"])
        until(self._all_know_all, "nodes that know each other")
        for primary, replica in zip(self.nodes[:PRIMARIES], self.nodes[PRIMARIES:], strict=True):
            replica.do("CLUSTER REPLICATE", self.id_of(primary))
        self.settle()

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.kill()

    def heal(self) -> None:
        """Start what was ended, and wait until every primary has its replica again."""
        for node in self.nodes:
            if not node.lives:
                node.restart()
        self.settle()

    def settle(self) -> None:
        """Wait until all nodes agree that all slots are served and all replicas follow."""
        until(lambda: all(self._is_well(node) for node in self.nodes), "a cluster that is well")

    def node(self, name: str) -> RedisServer:
        """Return the node at an address."""
        return next(node for node in self.nodes if node.name == name)

    def id_of(self, node: RedisServer) -> str:
        """Return the id of a node within the cluster."""
        return str(node.do("CLUSTER MYID").decode())

    def slot_of(self, key: str) -> int:
        """Return the slot of a key."""
        return int(key_slot(key.encode()))

    def primary_of(self, slot: int) -> RedisServer:
        """Return the node that serves a slot."""
        return self.node(next(name for a, b, name, _ in self._ranges() if a <= slot <= b))

    def replica_of(self, primary: RedisServer) -> RedisServer:
        """Return the replica of a primary."""
        return self.node(next(r[0] for _, _, name, r in self._ranges() if name == primary.name))

    def kill(self, node: RedisServer) -> None:
        """End a node at once."""
        node.kill()

    def promote(self, replica: RedisServer) -> None:
        """Let a replica take its primary's place, the two agreeing on it."""
        replica.do("CLUSTER FAILOVER")
        until(lambda: replica in self.primaries, "a promoted replica")
        self.settle()

    def begin_migration(self, slot: int, target: RedisServer) -> RedisServer:
        """Open a slot towards another primary. Return the one that has it."""
        source = self.primary_of(slot)
        importing = (slot, "IMPORTING", self.id_of(source))
        target.do("CLUSTER SETSLOT", *importing)
        source.do("CLUSTER SETSLOT", slot, "MIGRATING", self.id_of(target))
        return source

    def migrate_keys(self, slot: int, target: RedisServer, count: int) -> int:
        """Move so many keys of an open slot. Return how many there were to move."""
        source = self.primary_of(slot)
        keys: list[bytes] = source.do("CLUSTER GETKEYSINSLOT", slot, count)
        if keys:
            where = ("127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            source.do("MIGRATE", *where)
        return len(keys)

    def end_migration(self, slot: int, target: RedisServer) -> None:
        """Give an emptied slot to its new primary, and let all nodes know."""
        for node in [target, *(node for node in self.primaries if node is not target)]:
            node.do("CLUSTER SETSLOT", slot, "NODE", self.id_of(target))
        until(lambda: self.primary_of(slot) is target, "a slot in its new place")

    def migrate(self, slot: int, target: RedisServer) -> None:
        """Move a slot and its keys to another primary, as `redis-cli --cluster reshard` does."""
        self.begin_migration(slot, target)
        while self.migrate_keys(slot, target, MIGRATED_AT_ONCE):
            continue
        self.end_migration(slot, target)

    def _ranges(self) -> list[tuple[int, int, str, list[str]]]:
        """First and last slot, primary and replicas, as a living node knows them."""
        living = next(node for node in self.nodes if node.lives)
        return [(first, last, *_names(nodes)) for first, last, *nodes in living.do("CLUSTER SLOTS")]

    def _all_know_all(self) -> bool:
        known = [node.do("CLUSTER INFO") for node in self.nodes]
        return all(int(info["cluster_known_nodes"]) == len(self.nodes) for info in known)

    def _is_well(self, node: RedisServer) -> bool:
        info = node.do("CLUSTER INFO")
        slots = node.do("CLUSTER SLOTS")
        links = node.client.info("replication")
        return (
            info["cluster_state"] == "ok"
            and {len(nodes) for _, _, *nodes in slots} == {2}
            and links.get("master_link_status", "up") == "up"
            and (links["role"] == "slave" or links["connected_slaves"] == 1)
        )


def _ending_with_us() -> list[str]:
    """Words before a command that end it with this thread, however that ends (on Linux)."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def _names(nodes: list[list[Any]]) -> tuple[str, list[str]]:
    primary, *replicas = (f"{host.decode()}:{port}" for host, port, *_ in nodes)
    return primary, replicas
