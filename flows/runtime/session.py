"""A session: the composition root of one process or command."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from connectors.config import policy_file as config
from connectors.config import settings as environment
from connectors.config.settings import Settings
from connectors.log.base import INPUT_TOPICS, OUTPUT_TOPICS, Log, LogRefused
from connectors.log.kafka.log import KafkaLog
from connectors.log.redis.log import Cap, RedisLog
from connectors.redis.cluster import is_cluster
from connectors.redis.server import NO_LOG_ON_A_CLUSTER, Server, ServerError, server
from flows.runtime.active_policy import PolicyInForce
from flows.runtime.clock import now_ms
from flows.runtime.context import CODES_AHEAD_MS, Runtime
from monitoring import metrics
from state.events.codes import CodeTable
from state.protocol.keys import LAYOUT, Keys
from state.store import policy as policy_store
from state.store.shards import Store

TOPICS = INPUT_TOPICS + OUTPUT_TOPICS


class StoreMismatch(ServerError):
    """The store was made with other settings than this process has."""


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


@contextmanager
def reached() -> Iterator[Runtime]:
    """Reach the servers and change nothing there."""
    with connected(environment.load()) as run:
        yield run


@contextmanager
def reached_or_made() -> Iterator[Runtime]:
    """Reach the servers, and make functions and topics, but no policy, in a store that is new."""
    with reached() as run:
        if not run.server.client.hexists(run.keys.store(), "shards"):
            initialise(run)
        yield run
