"""The composition root: what one process works with, built from its settings and its `penstock.yaml`."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, TypeVar

import orjson
import redis
import stamina
import structlog

from connectors.config import policy_file as config
from connectors.config.settings import Settings
from connectors.log.base import (
    INPUT_TOPICS,
    OUTPUT_TOPICS,
    Log,
    LogError,
    LogRefused,
    LogUnavailable,
)
from connectors.log.kafka.log import KafkaLog
from connectors.log.redis.log import Cap, RedisLog
from connectors.redis.cluster import is_cluster
from connectors.redis.server import NO_LOG_ON_A_CLUSTER, SKEW_MAX_MS, Server, ServerError, server
from flows import stop
from flows.clock import Clock
from flows.ending import Ending
from monitoring import metrics
from state.events.codes import CodeTable, codes
from state.policy.channel_rules import goes_by_lag
from state.policy.compiled import Compiled, compiled
from state.policy.overlay import Overlay, laid_over, silent
from state.protocol.calls import Gate, Place, Recover
from state.protocol.keys import GUARD_ALLOWANCE_MS, HOUR_MS, LAYOUT, Keys
from state.store import policy as policy_store
from state.store import push_lag
from state.store.shards import Store

TOPICS = INPUT_TOPICS + OUTPUT_TOPICS

RECOVER_CHUNK = 500
CODES_AHEAD_MS = 5_000
"""A new code holds from a little later, so that every reader has it by then."""


class RefusedForNow(Exception):
    """A server refuses for a while; in its own words."""


AWAY = (
    RefusedForNow,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    LogUnavailable,
)
"""Errors after which a call is repeated; `is_away` knows more, of which the library makes no classes."""

_REFUSED_FOR_NOW = re.compile(r"(?:^|: )(?:BUSY|MISCONF|NOREPLICAS) ")

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)

now_us, now_ms = Clock().now_us, Clock().now_ms
"""The time by the clock of this machine, where no runtime is at hand."""


class Stopped(Exception):
    """Raised out of a repeated call when the process was asked to stop."""


class StoreMismatch(ServerError):
    """The store was made with other settings than this process has."""


def is_away(error: BaseException) -> bool:
    """Say whether a server is away, or refuses for now, so that the call may be repeated.

    For now: while a long script runs (BUSY), its disk is full (MISCONF), its memory is, or too few of its
    replicas follow (NOREPLICAS).
    """
    return isinstance(error, AWAY) or (
        isinstance(error, redis.ResponseError) and _REFUSED_FOR_NOW.search(str(error)) is not None
    )


def insist(call: Callable[[], Answer]) -> Answer:
    """Repeat a call that may be repeated for as long as a server is away, or refuses for now.

    Raises:
        Stopped: the process was asked to stop meanwhile.
    """
    for attempt in stamina.retry_context(
        on=is_away, attempts=None, timeout=None, wait_initial=0.05, wait_max=1.0
    ):
        with attempt:
            if attempt.num > 1 and stop.wanted():
                raise Stopped
            try:
                return call()
            except redis.ResponseError as error:
                _note_away(error, attempt.num)
                if isinstance(error, AWAY) or not is_away(error):
                    raise
                # The library's own class would tell a log nothing of the reason.
                raise RefusedForNow(str(error)) from error
            except AWAY as error:
                _note_away(error, attempt.num)
                raise
    raise AssertionError("a retry without end ended")


def insistent(begin: Callable[[], Callable[[], Answer]]) -> Callable[[], Answer]:
    """Begin a call now; what is returned waits for its answer, and makes the call again as `insist` does.

    What was under way when the connection broke may be done or not: all of it is sent again.
    """
    under_way = [begin()]

    def answer() -> Answer:
        receive = under_way.pop() if under_way else begin()
        return receive()

    return partial(insist, answer)


def _note_away(error: Exception, attempt: int) -> None:
    """Count a call that is made again, and log the first time of each call: it is waited for until it works."""
    if not is_away(error):
        return
    server = "log" if isinstance(error, LogError) else "store"
    metrics.RETRIES.labels(server).inc()
    if attempt == 1:
        _log.warning("server away", server=server, error=f"{type(error).__name__}: {error}")


class PolicyInForce:
    """The policy as this process knows it, with what the hot path asks of it."""

    def __init__(self, found: policy_store.InForce, table: CodeTable) -> None:
        self.revision = found.revision
        self.sums_revision = found.sums_revision
        """The revision that class sums belong to: a change of classes or floors begins another."""
        self.standing = (found.revision, len(table))
        """Revision and number of code rows."""
        self.of_file = found.policy
        self.overlay = found.overlay
        """What was decided at run time, and lies over the policy of the file."""
        self.compiled: Compiled = compiled(laid_over(found.policy, found.overlay))
        self.silent: tuple[str, ...] = silent(found.policy, found.overlay)
        """Locations whose stock does not count now."""
        self.gates: tuple[tuple[str, Gate], ...] = tuple(_gates(self.compiled, found.overlay))
        """Channels that are not open for every SKU yet, and what each waits for."""
        self.codes = codes(self.compiled, table)
        self._class = {name: index for index, name in enumerate(self.compiled.classes)}
        self.goes_by_lag = goes_by_lag(self.compiled)
        self.place: Callable[[str, str], Place]
        """The place of a SKU at a location."""
        if found.policy.overrides:
            self.place = lru_cache(maxsize=1 << 17)(self._place)
        else:
            # Only an override tells SKUs apart; without any, one entry serves all SKUs of a location.
            anywhere = lru_cache(maxsize=1 << 17)(partial(self._place, ""))
            self.place = lambda _sku, location: anywhere(location)

    def _place(self, sku: str, location: str) -> Place:
        where, name, floor, base = self.compiled.place(sku, location)
        return Place(where, self._class[name], floor, base)


def _gates(rules: Compiled, overlay: Overlay) -> Iterator[tuple[str, Gate]]:
    complete = frozenset(overlay.complete)
    for channel in rules.policy.channels:
        if channel.opening == "counted" and channel.mode in {"live", "frozen"}:
            sellable = rules.sellable_from(channel.id)
            if waits_for := tuple(each for each in sellable if each not in complete):
                needle = orjson.dumps(channel.id).decode() + ":"
                yield channel.id, Gate(needle, waits_for)


@dataclass(slots=True)
class Runtime:
    """Everything that the flows and commands of one process share."""

    settings: Settings
    server: Server
    keys: Keys
    store: Store
    log: Log
    policy: PolicyInForce
    policy_before: PolicyInForce | None = None
    """The one that was in force when this process brought its own."""
    problems: dict[str, str | None] = field(default_factory=dict)
    """Named checks for readiness: None = fine."""
    ending: Ending = field(default_factory=Ending)
    clock: Clock = field(default_factory=Clock)
    push_lags: Mapping[str, int] = field(default_factory=dict)
    """How long channels take to show a level (ms), where that was measured and a buffer goes by it."""
    codes_until_ms: int = 0
    """No message of the log before this time is read by other code tables than those known."""

    @property
    def guard_ms(self) -> int:
        """How long a set of the duplicate guard lives after its last entry."""
        return self.settings.dedup_h * HOUR_MS + GUARD_ALLOWANCE_MS

    def slice_of(self, timestamp_ms: int) -> int:
        """Return the slice of the duplicate guard for a log timestamp."""
        return timestamp_ms // (self.settings.dedup_h * HOUR_MS)

    def follow_policy(self) -> None:
        """Take up the policy and the code tables of the store if they are newer than those known.

        Not only when a shard tells of a revision: who brought it may have died before any shard heard of it.
        """
        client, looked_ms = self.server.client, self.clock.now_ms()
        if policy_store.standing(client, self.keys) > self.policy.standing:
            found = policy_store.in_force(client, self.keys)
            if found is not None:
                table = policy_store.read_codes(client, self.keys)
                self.policy = PolicyInForce(found, table)
        if self.policy.goes_by_lag:
            self.push_lags = push_lag.measured(client, self.keys)
        # What was added after this look holds from later on, whosever clock it went by.
        self.codes_until_ms = looked_ms + CODES_AHEAD_MS - 2 * SKEW_MAX_MS

    def recover(self, shard: int, begin: int) -> None:
        """Carry a shard through a recovery (1) or its repetition (2)."""
        servers = insist(lambda: self.server.identities(self.store.shards))
        call = Recover(self.clock.now_us(), servers[shard], begin, SKEW_MAX_MS, RECOVER_CHUNK)
        insist(lambda: self.store.recover(shard, call))
        metrics.RECOVERIES.inc()

    def business_ms(self, newest_ms: int) -> int:
        """Return the time that business rules run on: the system's, or the newest event's."""
        return newest_ms if self.settings.clock == "event" else self.clock.now_ms()

    def business_now_ms(self) -> int:
        """Return the business time of this moment; where events set it, the system's until there is one."""
        newest_ms = self.store.business_ms() if self.settings.clock == "event" else 0
        return newest_ms or self.clock.now_ms()


@contextmanager
def connected(settings: Settings) -> Iterator[Runtime]:
    """Reach the servers, and take the policy that is in force there; nothing is made or changed."""
    if settings.kafka is None and is_cluster(settings.redis):
        raise ServerError(NO_LOG_ON_A_CLUSTER)
    with server(settings.redis, settings.data) as found, closing(_log_of(settings, found)) as log:
        keys = Keys(settings.namespace)
        log.reach()
        store = Store(found.client, keys, _shards(found, keys, settings), _observe)
        policy = policy_store.in_force(found.client, keys) or policy_store.InForce(
            0, config.load(settings.config), 0
        )
        yield Runtime(settings, found, keys, store, log, PolicyInForce(policy, CodeTable()))


@contextmanager
def runtime(settings: Settings) -> Iterator[Runtime]:
    """Reach the servers, make what is missing there, and bring this process's policy in force."""
    policy, mappings = config.load_with_codes(settings.config)
    with connected(settings) as run:
        initialise(run)
        client = run.server.client
        table, rows = policy_store.add_codes(
            client, run.keys, mappings, lambda: now_ms() + CODES_AHEAD_MS
        )
        brought = policy_store.bring_in_force(client, run.keys, policy, now_ms(), anew=bool(rows))
        run.policy, run.policy_before = PolicyInForce(brought, table), run.policy
        yield run


def initialise(run: Runtime) -> None:
    """Make functions, topics and the record of the store. Idempotent.

    Raises:
        LogRefused: a topic is kept in a way that would lose or double events.
    """
    run.server.check()
    run.store.load_functions()
    if run.server.client.hsetnx(run.keys.store(), "layout", LAYOUT):
        run.store.begin(run.server.identities(run.store.shards))
    run.server.client.hsetnx(run.keys.store(), "shards", run.settings.shards)
    for topic in TOPICS:
        run.log.create(topic, run.settings.partitions)
    faults = [fault for topic in TOPICS for fault in run.log.faults(topic)]
    if fatal := [fault.text for fault in faults if fault.fatal]:
        raise LogRefused("\n".join(fatal))


def _log_of(settings: Settings, found: Server) -> Log:
    """Return the log that the settings name."""
    if settings.kafka is None:
        return RedisLog(found.one, settings.namespace, Cap(bytes=settings.log_bytes))
    return KafkaLog(
        settings.kafka, settings.kafka_options, settings.namespace, settings.log_retention_ms
    )


def _shards(found: Server, keys: Keys, settings: Settings) -> int:
    """Return the number of shards, which is fixed when the store is made."""
    kept: list[Any] = found.client.hmget(keys.store(), "shards", "layout")
    made, layout = kept
    if made is not None and layout != LAYOUT.encode():
        raise StoreMismatch(
            f"store: expected layout {LAYOUT}, got {(layout or b'1').decode()}: another version of penstock made it, "
            "with other keys; go on with that version, or begin with an empty store"
        )
    if made is not None and int(made) != settings.shards:
        raise StoreMismatch(
            f"PENSTOCK_SHARDS: expected {int(made)}, with which this store was made, got {settings.shards}"
        )
    return settings.shards


def _observe(verb: str, seconds: float) -> None:
    metrics.REDIS_TIME.labels(verb).observe(seconds)
