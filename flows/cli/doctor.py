"""`penstock doctor`: what this process would work with, checked from Python to the due queue."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import redis

from connectors.config import policy_file as config
from connectors.config import settings as environment
from connectors.config.settings import Settings
from connectors.log.base import Fault, UnknownTopic
from connectors.redis.cluster import ClusterClient
from connectors.redis.server import SKEW_MAX_MS
from flows.cli import output
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import FINDING, OK, verdict
from flows.runtime.idle import lags
from flows.runtime.retry import AWAY
from flows.runtime.session import TOPICS, connected
from state.protocol.sharding import SLOTS
from state.store.library import library_source

PYTHONS = ((3, 11), (3, 12))


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `fail` stops the engine or loses stock, `warn` is worth a look."""

    check: str
    status: Literal["ok", "warn", "fail"]
    detail: str


Answer = tuple[Literal["ok", "warn", "fail"], str]
GRAVITY = ("ok", "warn", "fail")


def doctor(*, as_json: bool) -> int:
    """Run every check that can be run, tell each, and return a finding if any failed."""
    found = list(_all())
    if output.wants_json(asked=as_json):
        for finding in found:
            output.json_line(asdict(finding))
    else:
        rows = [(finding.check, finding.status, finding.detail) for finding in found]
        output.table("penstock doctor", ("check", "status", "detail"), rows)
    return FINDING if any(finding.status == "fail" for finding in found) else OK


def _all() -> Iterator[Finding]:
    yield Finding("python", *_python())
    try:
        settings = environment.load()
    except environment.SettingsError as error:
        yield Finding("settings", "fail", "; ".join(error.problems))
        return
    unknown = environment.unknown_variables()
    yield Finding("settings", "fail" if unknown else "ok", "; ".join(unknown) or "all known")
    yield Finding("config", *_config(settings))
    try:
        with connected(settings) as run:
            for name, check in SERVER_CHECKS.items():
                yield Finding(name, *_of(check, run))
    except Exception as error:  # noqa: BLE001 - whatever keeps the server away is what it tells
        yield Finding("server", "fail", verdict(error)[1])


def _of(check: Callable[[Runtime], Answer], run: Runtime) -> Answer:
    try:
        return check(run)
    except UnknownTopic as error:
        return "fail", f"{error}; run `penstock init`"
    except (*AWAY, redis.RedisError) as error:
        return "fail", f"{type(error).__name__}: {error}"


def _python() -> Answer:
    version = sys.version_info[:2]
    text = f"{version[0]}.{version[1]}"
    return ("ok", text) if version in PYTHONS else ("fail", f"expected 3.11 or 3.12, got {text}")


def _config(settings: Settings) -> Answer:
    path = settings.config or config.DEFAULT_PATH
    if settings.config is None and not path.exists():
        return "warn", f"{path}: not there; the defaults know no location and no channel"
    try:
        config.load_with_codes(path)
    except config.ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        return "fail", f"{error.problems[0]}{more}"
    warnings = config.warnings(path.read_text(encoding="utf-8-sig"), path.name, path.parent)
    return ("warn", str(warnings[0])) if warnings else ("ok", str(path))


def _server(run: Runtime) -> Answer:
    try:
        run.primaries.check()
    except Exception as error:  # noqa: BLE001 - its text is the finding
        return "fail", str(error)
    where = "embedded" if run.primaries.store is not None else "PENSTOCK_REDIS"
    return _each(
        run.primaries.ask("INFO", "server"), lambda info: ("ok", f"{_version(info)}, {where}")
    )


def _version(info: dict[str, Any]) -> str:
    name = info.get("server_name", "redis")
    return f"{name} {info.get('valkey_version') or info.get('redis_version')}"


def _shards(run: Runtime) -> Answer:
    """Where the shards lie, of a cluster."""
    client, keys = run.primaries.client, run.store.keys
    if not isinstance(client, ClusterClient):
        return "ok", f"{run.store.shards} on one server"
    served = _each(client.ask("CLUSTER INFO"), _slots_of)
    if served[0] != "ok":
        return served
    lie = Counter(client.node_of(keys.shard(shard, "meta")) for shard in range(run.store.shards))
    return "ok", ", ".join(f"{name} {lie[name]}" for name in sorted(client.ask("PING")))


def _slots_of(info: dict[str, Any]) -> Answer:
    served = int(info["cluster_slots_ok"])
    fault = served < SLOTS or info["cluster_state"] != "ok"
    told = f"{served} of {SLOTS} slots are served, state {info['cluster_state']}"
    return ("fail", told) if fault else ("ok", told)


def _append_only(run: Runtime) -> Answer:
    return _each(run.primaries.ask("INFO", "persistence"), _append_only_of)


def _append_only_of(info: dict[str, Any]) -> Answer:
    if not info.get("aof_enabled"):
        return "warn", "append-only file is off: a restart of the server loses what it holds"
    if info.get("aof_last_write_status") != "ok":
        return "fail", "the last write of the append-only file failed"
    return "ok", "on"


def _clock(run: Runtime) -> Answer:
    return _each(run.primaries.skews_ms(now_ms()), _clock_of)


def _clock_of(skew_ms: int) -> Answer:
    fault = abs(skew_ms) > SKEW_MAX_MS
    expected = f"expected within {SKEW_MAX_MS} ms of the server's, got "
    return ("fail", f"{expected}{skew_ms} ms") if fault else ("ok", f"{skew_ms} ms ahead")


def _functions(run: Runtime) -> Answer:
    command = ("FUNCTION", "LIST", "LIBRARYNAME", "penstock", "WITHCODE")
    return _each(run.primaries.ask(*command), _functions_of)


def _functions_of(found: object) -> Answer:
    if not found:
        return "fail", "not loaded; run `penstock init`"
    if library_source().encode() not in _flat(found):
        return "fail", "of another version; run `penstock init`, or update this process"
    return "ok", "loaded, of this version"


def _each(found: Mapping[str, Any], check: Callable[[Any], Answer]) -> Answer:
    """Check what each server answered. Return the worst, with the names of those that it is said of."""
    answers = {name: check(reply) for name, reply in found.items()}
    worst = max((status for status, _ in answers.values()), key=GRAVITY.index)
    names: dict[str, list[str]] = {}
    for name, (status, detail) in answers.items():
        if status == worst:
            names.setdefault(detail, []).append(name)
    if len(found) == 1:
        return worst, next(iter(names))
    return worst, "; ".join(f"{detail} ({', '.join(those)})" for detail, those in names.items())


def _flat(reply: object) -> Iterator[object]:
    """Yield every value of a reply, which has another form in each version of the protocol."""
    if isinstance(reply, dict):
        for value in reply.values():
            yield from _flat(value)
    elif isinstance(reply, list | tuple):
        for value in reply:
            yield from _flat(value)
    else:
        yield reply


def _topics(run: Runtime) -> Answer:
    counts = {topic: run.log.partitions(topic) for topic in TOPICS}
    faults = [fault for topic in TOPICS for fault in run.log.faults(topic)]
    if faults:
        fatal = [fault for fault in faults if fault.fatal]
        return ("fail" if fatal else "warn"), _together(fatal or faults)
    return "ok", ", ".join(f"{topic} {count}" for topic, count in counts.items())


def _together(faults: Iterable[Fault]) -> str:
    """Tell faults, those of many topics that are the same once."""
    topics: dict[str, list[str]] = {}
    for fault in faults:
        topic, _, told = fault.text.partition(": ")
        topics.setdefault(told, []).append(topic)
    return "; ".join(f"{', '.join(those)}: {told}" for told, those in topics.items())


def _policy(run: Runtime) -> Answer:
    found = run.shared.policy.active()
    if found is None:
        return "warn", "none in force; run `penstock init`"
    if found.policy != config.load(run.settings.config):
        return "warn", f"revision {found.revision} is not the file's; a start brings the file in"
    return "ok", f"revision {found.revision}"


def _lag(run: Runtime) -> Answer:
    behind = lags(run)
    texts = [f"{topic}/{n}: {lag} to apply" for (topic, n), lag in sorted(behind.items())]
    return ("warn", ", ".join(texts)) if behind else ("ok", "none")


def _due(run: Runtime) -> Answer:
    due = run.store.due_by(now_ms(), run.business_now_ms())
    return ("warn", f"{due} SKUs wait for a publisher") if due else ("ok", "none")


SERVER_CHECKS: dict[str, Callable[[Runtime], Answer]] = {
    "server": _server,
    "shards": _shards,
    "append-only": _append_only,
    "clock": _clock,
    "functions": _functions,
    "topics": _topics,
    "policy": _policy,
    "lag": _lag,
    "due": _due,
}
