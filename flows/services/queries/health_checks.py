"""Health checks: what this process works with, from Python to the due queue. They only read.

Each check is a function that returns an `Outcome`; those of `SERVER_CHECKS` want a session.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

from connectors.config import policy_file
from connectors.config import settings as environment
from connectors.config.settings import Settings
from connectors.config.yaml_reader import Problem
from connectors.log.base import TopicFault, UnknownTopic
from connectors.redis.server import SKEW_MAX_MS
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import verdict
from flows.runtime.idle import lags
from flows.runtime.session import TOPICS, connected
from state.protocol.sharding import SLOTS
from state.store.health import AppendOnlyFile, Library, Slots

PYTHONS: Final = ((3, 11), (3, 12))

Status = Literal["ok", "warn", "fail"]
"""`fail` stops the engine or loses stock, `warn` is worth checking."""
GRAVITY: Final[tuple[Status, ...]] = ("ok", "warn", "fail")

Answer = TypeVar("Answer")


class Outcome(NamedTuple):
    """What a check came to, and why."""

    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check that was made."""

    check: str
    status: Status
    detail: str


def health_checks() -> Iterator[HealthCheck]:
    """Make every check that can be made with the settings of the environment."""
    yield HealthCheck("python", *python())
    try:
        settings = environment.load()
    except environment.SettingsError as error:
        yield HealthCheck("settings", "fail", "; ".join(error.problems))
        return
    yield HealthCheck("settings", *variables())
    yield HealthCheck("config", *configuration(settings))
    try:
        with connected(settings) as run:
            yield from server_checks(run)
    except Exception as error:  # noqa: BLE001 - why the server cannot be reached is the finding
        yield HealthCheck("server", "fail", verdict(error)[1])


def server_checks(run: Runtime) -> Iterator[HealthCheck]:
    """Make the checks that want a session; one that raises has failed."""
    for name, check in SERVER_CHECKS.items():
        try:
            outcome = check(run)
        except UnknownTopic as error:
            outcome = Outcome("fail", f"{error}; run `penstock init`")
        except Exception as error:  # noqa: BLE001 - what a check meets is its finding
            outcome = Outcome("fail", f"{type(error).__name__}: {error}")
        yield HealthCheck(name, *outcome)


def python() -> Outcome:
    """Check the version of Python."""
    version = sys.version_info[:2]
    text = f"{version[0]}.{version[1]}"
    if version in PYTHONS:
        return Outcome("ok", text)
    return Outcome("fail", f"expected 3.11 or 3.12, got {text}")


def variables() -> Outcome:
    """Check that every variable `PENSTOCK_...` is a setting."""
    unknown = environment.unknown_variables()
    return Outcome("fail", "; ".join(unknown)) if unknown else Outcome("ok", "all known")


def configuration(settings: Settings) -> Outcome:
    """Check the policy file."""
    path = settings.config or policy_file.DEFAULT_PATH
    if settings.config is None and not path.exists():
        return Outcome("warn", f"{path}: not there; the defaults know no location and no channel")
    problems, warnings = problems_of(path)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Outcome("fail", f"{problems[0]}{more}")
    return Outcome("warn", str(warnings[0])) if warnings else Outcome("ok", str(path))


def problems_of(file: Path) -> tuple[list[Problem], list[Problem]]:
    """Return problems and warnings of a policy file; with a problem, no warnings are looked for."""
    try:
        policy_file.load_with_codes(file)
    except policy_file.ConfigError as error:
        return error.problems, []
    text = file.read_text(encoding="utf-8-sig")
    return [], policy_file.warnings(text, file.name, file.parent)


def server(run: Runtime) -> Outcome:
    """Check that the servers may keep stock."""
    try:
        run.primaries.check()
    except Exception as error:  # noqa: BLE001 - its text is the finding
        return Outcome("fail", str(error))
    where = "embedded" if run.primaries.store is not None else "PENSTOCK_REDIS"
    return _worst(
        run.shared.server_health().versions(), lambda version: Outcome("ok", f"{version}, {where}")
    )


def shards(run: Runtime) -> Outcome:
    """Check the slots of a cluster, and where the shards are."""
    health = run.shared.server_health()
    if not health.is_cluster:
        return Outcome("ok", f"{run.store.shards} on one server")
    served = _worst(health.slots(), _of_slots)
    if served.status != "ok":
        return served
    by_server = health.shards_by_server(run.store.shards).items()
    return Outcome("ok", ", ".join(f"{name} {count}" for name, count in by_server))


def append_only(run: Runtime) -> Outcome:
    """Check that a restart of a server loses nothing."""
    return _worst(run.shared.server_health().append_only_files(), _of_append_only_file)


def clock(run: Runtime) -> Outcome:
    """Check the clock of this machine against those of the servers."""
    return _worst(run.primaries.skews_ms(run.clock.now_ms()), _of_skew)


def functions(run: Runtime) -> Outcome:
    """Check that the function library is loaded, in the version of this process."""
    return _worst(run.shared.server_health().libraries(), _of_library)


def topics(run: Runtime) -> Outcome:
    """Check that every topic is there, and kept in a way that loses nothing."""
    counts = {topic: run.log.partitions(topic) for topic in TOPICS}
    faults = [fault for topic in TOPICS for fault in run.log.faults(topic)]
    if faults:
        fatal = [fault for fault in faults if fault.fatal]
        return Outcome("fail" if fatal else "warn", _by_text(fatal or faults))
    return Outcome("ok", ", ".join(f"{topic} {count}" for topic, count in counts.items()))


def policy(run: Runtime) -> Outcome:
    """Check that the active policy is that of the file."""
    active = run.shared.policy.active()
    if active is None:
        return Outcome("warn", "none in force; run `penstock init`")
    if active.policy != policy_file.load(run.settings.config):
        different = "is not the file's; a start brings the file in"
        return Outcome("warn", f"revision {active.revision} {different}")
    return Outcome("ok", f"revision {active.revision}")


def lag(run: Runtime) -> Outcome:
    """Check that ingest has applied all of the log."""
    behind = lags(run)
    texts = [f"{topic}/{n}: {count} to apply" for (topic, n), count in sorted(behind.items())]
    return Outcome("warn", ", ".join(texts)) if behind else Outcome("ok", "none")


def due(run: Runtime) -> Outcome:
    """Check that no SKU waits to be published."""
    count = run.store.due_by(run.clock.now_ms(), run.business_now_ms())
    if count:
        return Outcome("warn", f"{count} SKUs wait for a publisher")
    return Outcome("ok", "none")


SERVER_CHECKS: Final[Mapping[str, Callable[[Runtime], Outcome]]] = {
    "server": server,
    "shards": shards,
    "append-only": append_only,
    "clock": clock,
    "functions": functions,
    "topics": topics,
    "policy": policy,
    "lag": lag,
    "due": due,
}


def _of_slots(slots: Slots) -> Outcome:
    text = f"{slots.served} of {SLOTS} slots are served, state {slots.state}"
    return Outcome("ok" if slots.are_whole else "fail", text)


def _of_append_only_file(file: AppendOnlyFile) -> Outcome:
    if not file.is_on:
        text = "append-only file is off: a restart of the server loses what it holds"
        return Outcome("warn", text)
    if not file.is_written:
        return Outcome("fail", "the last write of the append-only file failed")
    return Outcome("ok", "on")


def _of_skew(skew_ms: int) -> Outcome:
    if abs(skew_ms) > SKEW_MAX_MS:
        expected = f"expected within {SKEW_MAX_MS} ms of the server's"
        return Outcome("fail", f"{expected}, got {skew_ms} ms")
    return Outcome("ok", f"{skew_ms} ms ahead")


def _of_library(library: Library) -> Outcome:
    if library == "absent":
        return Outcome("fail", "not loaded; run `penstock init`")
    if library == "another":
        text = "of another version; run `penstock init`, or update this process"
        return Outcome("fail", text)
    return Outcome("ok", "loaded, of this version")


def _worst(answers: Mapping[str, Answer], check: Callable[[Answer], Outcome]) -> Outcome:
    """Check the answer of each server; return the worst, with the names of the servers of each detail."""
    outcomes = {name: check(answer) for name, answer in answers.items()}
    worst = max((outcome.status for outcome in outcomes.values()), key=GRAVITY.index)
    names: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        if outcome.status == worst:
            names.setdefault(outcome.detail, []).append(name)
    if len(answers) == 1:
        return Outcome(worst, next(iter(names)))
    details = (f"{detail} ({', '.join(those)})" for detail, those in names.items())
    return Outcome(worst, "; ".join(details))


def _by_text(faults: Iterable[TopicFault]) -> str:
    """Return the faults in words, one that many topics have once."""
    topics: dict[str, list[str]] = {}
    for fault in faults:
        topic, _, text = fault.text.partition(": ")
        topics.setdefault(text, []).append(topic)
    return "; ".join(f"{', '.join(those)}: {text}" for text, those in topics.items())
