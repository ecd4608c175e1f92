"""Settings of the process, from the environment. Every variable is declared and documented here alone.

`load` reads `os.environ` once, at an entry point. A wrong value prints as
`PENSTOCK_TICK_MS: expected integer 1..10000, got 'x'`.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic import Field as Declared
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from connectors.config.yaml_reader import did_you_mean, shortened

PREFIX = "PENSTOCK_"
PORT_MAX = 65_535
WALK_PERCENT_MAX = 50
KafkaOptions: TypeAlias = dict[str, str | int | float | bool]

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_REDIS_SCHEMES = {"redis", "rediss", "redis+cluster", "rediss+cluster", "unix"}


class SettingsError(Exception):
    """The environment cannot be used. `problems` are lines, one for each variable that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _whole(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    if type(value) is not int:
        raise ValueError
    return value


Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]


def _integer(default: int, low: int, high: int, about: str) -> Any:
    """Declare an integer variable."""
    extra: dict[str, Any] = {"expected": f"integer {low}..{high}"}
    return Declared(default, ge=low, le=high, description=about, json_schema_extra=extra)


def _declared(default: Any, expected: str, about: str, example: str = "") -> Any:
    """Declare a variable of another form. Where none is the default, it may hold a password."""
    extra: dict[str, Any] = {"expected": expected, "example": example}
    shown = default not in (None, {})
    return Declared(default, description=about, json_schema_extra=extra, repr=shown)


def _redis(text: str) -> str:
    parts = urlsplit(text)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if parts.scheme not in _REDIS_SCHEMES or (len(hosts) > 1 and "+cluster" not in parts.scheme):
        raise ValueError
    for host in [] if parts.scheme == "unix" else hosts:
        address = urlsplit(f"//{host}")
        _ = address.port  # raises ValueError when it is no number
        if not address.hostname:
            raise ValueError
    return text


def _kafka(text: str) -> str:
    servers = [server.strip() for server in text.split(",")]
    if not all(re.fullmatch(r"[^\s,/@]+:[0-9]{1,5}", server, re.ASCII) for server in servers):
        raise ValueError
    return ",".join(servers)


def _kafka_options(value: object) -> object:
    options = json.loads(value) if isinstance(value, str) else value
    if isinstance(options, dict) and all(
        isinstance(option, str | int | float) for option in options.values()
    ):
        return options
    raise ValueError


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,64}", text, re.ASCII):
        raise ValueError
    return text


def _span_ms(value: object) -> int:
    if not isinstance(value, str):
        return _whole(value)
    match = re.fullmatch(r"([0-9]{1,12})(ms|s|m|h|d|w)", value, re.ASCII)
    if match is None:
        raise ValueError
    span_ms = int(match[1]) * _UNIT_MS[match[2]]
    if not _UNIT_MS["m"] <= span_ms <= 3650 * _UNIT_MS["d"]:
        raise ValueError
    return span_ms


def _metrics(text: str) -> str:
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text, re.ASCII)
    if text != "off" and (match is None or int(match[2]) > PORT_MAX):
        raise ValueError
    return text


def _switch(text: str) -> str:
    if text not in {"0", "1"}:
        raise ValueError
    return text


def _walk(text: str) -> str:
    match = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%", text, re.ASCII)
    if text != "off" and (match is None or not 0 < float(match[1]) <= WALK_PERCENT_MAX):
        raise ValueError
    return text


class Settings(BaseSettings):
    """What the environment says. Frozen; secrets are left out of `repr`, and masked by `shown`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", populate_by_name=True
    )

    config: Path | None = _declared(
        None, "path", "the policy; unset = `./penstock.yaml` if it is there", "/etc/penstock.yaml"
    )
    redis: Annotated[str, AfterValidator(_redis)] | None = _declared(
        None,
        "redis://, rediss://, redis+cluster://, rediss+cluster:// or unix:// URL",
        "where the stock is kept; of a cluster, one node or several, separated by commas; "
        "unset = an embedded Valkey under `PENSTOCK_DATA`",
        "redis://redis:6379/0",
    )
    kafka: Annotated[str, AfterValidator(_kafka)] | None = _declared(
        None,
        "host:port, separated by commas",
        "bootstrap servers; unset = the log is kept on Redis",
        "kafka-1:9092,kafka-2:9092",
    )
    kafka_options: Annotated[KafkaOptions, NoDecode, BeforeValidator(_kafka_options)] = _declared(
        {},
        "JSON object of strings, numbers and booleans",
        "options of the Kafka client, for SASL and TLS",
        '{"security.protocol": "SSL"}',
    )
    data: Path = _declared(
        Path(".penstock"), "path", "folder of the embedded store", "/var/lib/penstock"
    )
    clock: Literal["system", "event"] = _declared(
        "system",
        "system or event",
        "the clock of business rules; `event` = the newest event time seen, for replays",
        "event",
    )
    namespace: Annotated[str, AfterValidator(_namespace)] = _declared(
        "", "0..64 of A-Z a-z 0-9 . _ -", "prefixes every topic and key", "staging"
    )
    partitions: Whole = _integer(4, 1, 1_000, "partitions of a topic when it is created")
    shards: Whole = _integer(16, 1, 1_024, "shards of the stock; fixed when the store is created")
    tick_ms: Whole = _integer(20, 1, 10_000, "how long a publisher gathers changes of a SKU")
    log_retention_ms: Annotated[int, BeforeValidator(_span_ms)] = Declared(
        default=7 * _UNIT_MS["d"],
        validation_alias=PREFIX + "LOG_RETENTION",
        description="how long the embedded log keeps what is applied",
        json_schema_extra={
            "expected": "whole number and unit (ms s m h d w), 1m..3650d",
            "example": "36h",
            "default": "7d",
        },
    )
    log_bytes: Whole = _integer(
        2 << 30, 1 << 20, 1 << 40, "size cap of one partition of the embedded log, in bytes"
    )
    dedup_h: Whole = _integer(24, 1, 168, "how long the id of an event is remembered, in hours")
    metrics: Annotated[str, AfterValidator(_metrics)] = _declared(
        "127.0.0.1:9464", "host:port or off", "where `/metrics` and the probes are served", "off"
    )
    walk: Annotated[str, AfterValidator(_walk)] = _declared(
        "1%",
        "off, or above 0% up to 50%",
        "how much of one core looking through the pool for faults may take, with the server's time for it; of all "
        "publishers one does it at a time",
        "off",
    )
    config_watch: Annotated[str, AfterValidator(_switch)] = _declared(
        "0",
        "0 or 1",
        "1: a running flow brings the policy file in force when it changes; else at SIGHUP, at a start, or by "
        "`penstock policy apply`",
        "1",
    )
    refresh_s: Whole = _integer(
        86_400, 60, 2_592_000, "a SKU without changes is looked at again after so many seconds"
    )
    batch_bytes: Whole = _integer(
        262_144, 4_096, 16_777_216, "most bytes of messages that are applied as one batch"
    )
    batch_events: Whole = _integer(1_000, 1, 100_000, "most messages that are applied as one batch")
    lease_ms: Whole = _integer(
        5_000, 100, 600_000, "a publisher that is silent for so long loses the SKUs it claimed"
    )

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Return host and port of the metrics server; None = it is off."""
        if self.metrics == "off":
            return None
        host, _, port = self.metrics.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def walk_share(self) -> float | None:
        """Return the share of one core that the walk may take; None = it is off."""
        return None if self.walk == "off" else float(self.walk.rstrip("%")) / 100

    def shown(self) -> dict[str, str]:
        """Return every variable with its value as text, passwords masked."""
        values = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "redis" and value:
                value = _without_password(value)
            elif name == "kafka_options":
                value = json.dumps(dict.fromkeys(sorted(value), "***"))
            elif name == "log_retention_ms":
                value = f"{value}ms"
            values[variable(name)] = "" if value is None else str(value)
        return values


def load() -> Settings:
    """Return the settings of this process.

    Raises:
        SettingsError: a variable is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(sorted({_problem(item) for item in error.errors()})) from None


def unknown_variables(names: list[str] | None = None) -> list[str]:
    """Return a warning for each `PENSTOCK_` variable that is not declared here.

    `names` stands in for those of the environment.
    """
    known = [variable(name) for name in Settings.model_fields]
    warnings = []
    for name in sorted(os.environ if names is None else names):
        if name.startswith(PREFIX) and name not in known:
            hint = did_you_mean(name, known, common=PREFIX)
            warnings.append(f"{name}: expected a known variable{hint}")
    return warnings


def variable(name: str) -> str:
    """Return the environment variable of a field of `Settings`."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else PREFIX + name.upper()


def expected(name: str) -> dict[str, Any]:
    """Return what is declared beside a field: `expected`, and `example` and `default` if given."""
    extra = Settings.model_fields[name].json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def _problem(error: Any) -> str:
    place = str(error["loc"][0])
    name = next((name for name in Settings.model_fields if variable(name) == place), place)
    # A URL and the options of a client may hold a password: what came is not repeated.
    hidden = name in {"redis", "kafka_options"}
    got = "another form" if hidden else repr(shortened(str(error["input"])))
    return f"{variable(name)}: expected {expected(name)['expected']}, got {got}"


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username or ''}:***@" if parts.password else parts.netloc[: -len(host) or None]
    query = re.sub(r"(?i)(pass[^=&]*=)[^&]*", r"\1***", parts.query)
    return urlunsplit((parts.scheme, user + host if host else "", parts.path, query, ""))
