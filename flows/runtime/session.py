"""A session: the composition root of one process or command."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from connectors.config import policy_file
from connectors.config import settings as environment
from connectors.config.settings import Settings
from connectors.log.base import INPUT_TOPICS, OUTPUT_TOPICS, Log, LogRefused
from connectors.log.kafka.log import KafkaLog
from connectors.log.redis.log import Cap, RedisLog
from connectors.redis.cluster import is_cluster
from connectors.redis.server import NO_LOG_ON_A_CLUSTER, Server, ServerError, server
from connectors.redis.server import beside as side_connection
from connectors.redis.stores import shards_of, shared_of
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.clock import now_ms
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from monitoring import metrics
from state.events.codes import CodeTable
from state.protocol.keys import LAYOUT
from state.store.policy import PolicyRecord
from state.store.record import StoreFacts
from state.store.shards import Store
from state.store.shared import Shared

TOPICS = INPUT_TOPICS + OUTPUT_TOPICS


class StoreMismatch(ServerError):
    """The store was made with other settings than this process has."""


@contextmanager
def connected(settings: Settings) -> Iterator[Runtime]:
    """Reach the servers, and take the policy that is active there; nothing is made or changed."""
    if settings.kafka is None and is_cluster(settings.redis):
        raise ServerError(NO_LOG_ON_A_CLUSTER)
    with (
        server(settings.redis, settings.data) as primaries,
        closing(_log_of(settings, primaries)) as log,
    ):
        log.reach()
        store, shared = _stores(settings, primaries)
        _check(shared.record.read(), settings.shards)
        active = shared.policy.active() or PolicyRecord(0, policy_file.load(settings.config), 0)
        policy = ActivePolicy(active, CodeTable())
        yield Runtime(settings, primaries, store, shared, log, policy)


@contextmanager
def beside(run: Runtime) -> Iterator[Runtime]:
    """Reach the same servers by connections of their own, for another thread of the process.

    Raises:
        ServerAway: they do not answer.
    """
    with side_connection(run.primaries) as primaries:
        store, shared = _stores(run.settings, primaries)
        yield replace(run, primaries=primaries, store=store, shared=shared)


@contextmanager
def runtime(settings: Settings) -> Iterator[Runtime]:
    """Reach the servers, make what is missing there, and activate this process's policy."""
    policy, mappings = policy_file.load_with_codes(settings.config)
    with connected(settings) as run:
        initialise(run)
        policies = run.shared.policy
        table, rows = policies.add_codes(mappings, lambda: now_ms() + CODES_AHEAD_MS)
        active = policies.activate(policy, now_ms(), new_revision=bool(rows))
        run.policy, run.policy_before = ActivePolicy(active, table), run.policy
        yield run


def initialise(run: Runtime) -> None:
    """Make functions, topics and the record of the store. Idempotent.

    Raises:
        LogRefused: a topic is kept in a way that would lose or double events.
    """
    run.primaries.check()
    run.store.load_functions()
    if run.shared.record.begin():
        run.store.begin(run.primaries.identities(run.store.shards))
    run.shared.record.finish(run.settings.shards)
    for topic in TOPICS:
        run.log.create(topic, run.settings.partitions)
    faults = [fault for topic in TOPICS for fault in run.log.faults(topic)]
    if fatal := [fault.text for fault in faults if fault.fatal]:
        raise LogRefused("\n".join(fatal))


def _log_of(settings: Settings, primaries: Server) -> Log:
    """Return the log that the settings name."""
    if settings.kafka is None:
        return RedisLog(primaries.one, settings.namespace, Cap(bytes=settings.log_bytes))
    return KafkaLog(
        settings.kafka, settings.kafka_options, settings.namespace, settings.log_retention_ms
    )


def _stores(settings: Settings, primaries: Server) -> tuple[Store, Shared]:
    """Return the wrappers of what the servers keep for the namespace of the settings."""
    name, shards = settings.namespace, settings.shards
    return shards_of(primaries, name, shards, _observe), shared_of(primaries, name, shards)


def _check(record: StoreFacts, shards: int) -> None:
    """Refuse a store that was made with another layout, or another number of shards."""
    if record.shards is None:
        return
    if record.layout != LAYOUT:
        raise StoreMismatch(
            f"store: expected layout {LAYOUT}, got {record.layout or '1'}: another version of penstock made it, "
            "with other keys; go on with that version, or begin with an empty store"
        )
    if record.shards != shards:
        raise StoreMismatch(
            f"PENSTOCK_SHARDS: expected {record.shards}, with which this store was made, got {shards}"
        )


def _observe(verb: str, seconds: float) -> None:
    metrics.REDIS_TIME.labels(verb).observe(seconds)


@contextmanager
def reached() -> Iterator[Runtime]:
    """Reach the servers and change nothing there."""
    with connected(environment.load()) as run:
        yield run


@contextmanager
def reached_or_made() -> Iterator[Runtime]:
    """Reach the servers, and make functions and topics, but no policy, in a store that is new."""
    with reached() as run:
        if run.shared.record.read().shards is None:
            initialise(run)
        yield run
