"""Kafka's clients: which options they run with, which a user may not set, and their errors as those of a log.

Options are those of librdkafka. What a user gives in `PENSTOCK_KAFKA_OPTIONS` goes to every client, and may
change anything but what a guarantee rests on.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from connectors.log.base import LogError, LogRefused, LogUnavailable, UnknownTopic

REQUEST_S = 10.0
"""How long a question to the brokers may take."""
SESSION_MS = 6_000
"""A worker that is silent for so long loses its partitions: the least that a broker allows by default."""
DELIVERY_MS = 20_000
MESSAGE_BYTES_MAX = 32 * 1024 * 1024
"""A message of 16 MiB, the most that an input topic takes, is a third larger as a dead letter."""
_SECRET_MIN = 4

KafkaOptions = Mapping[str, str | int | float | bool]
Config = dict[str, Any]

OURS = frozenset(
    {
        "acks",
        "allow.auto.create.topics",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.protocol",
        "isolation.level",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.send.max.retries",
        "metadata.broker.list",
        "partition.assignment.strategy",
        "request.required.acks",
        "retries",
        "transactional.id",
    }
)
"""Options on which a guarantee rests."""

_UNKNOWN = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - so named by the library
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_ID,
}
_REFUSED = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.INVALID_CONFIG,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.POLICY_VIOLATION,
    KafkaError.MSG_SIZE_TOO_LARGE,
}


class KafkaClients:
    """What all clients of one process have in common: servers, options, and the last thing that went wrong.

    Raises:
        LogRefused: an option is one of `OURS`.
    """

    def __init__(self, bootstrap: str, options: KafkaOptions) -> None:
        for name in sorted(OURS & options.keys()):
            raise LogRefused(f"PENSTOCK_KAFKA_OPTIONS: expected no {name}, which Penstock sets")
        self._bootstrap = bootstrap
        self._options = {name: str(value) if isinstance(value, float) else value
                         for name, value in options.items()}  # fmt: skip
        self._fault: KafkaError | None = None
        self._is_down = False

    def config(self, **more: Any) -> Config:
        """Return the options of one client; `more` has underscores for dots."""
        common = {
            "bootstrap.servers": self._bootstrap,
            "client.id": "penstock",
            "error_cb": self._note,
            # Errors are reported by `LogUnavailable`, not by lines on standard error.
            "log_level": 0,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        ours = {name.replace("_", "."): value for name, value in more.items()}
        return common | ours | self._options

    def make(self, kind: Any, **more: Any) -> Any:
        """Make a client of a kind.

        Raises:
            LogRefused: an option is unknown, or has no such value.
        """
        try:
            return kind(self.config(**more))
        except KafkaException as error:
            # librdkafka names the option, and may repeat what was given for it.
            reason = _without(error.args[0].str(), self._options.values())
            raise LogRefused(f"PENSTOCK_KAFKA_OPTIONS: {reason}") from None

    @property
    def is_cut_off(self) -> bool:
        """Whether no broker could be reached, or none lets this client in, since `begin_anew`."""
        return self._is_down or not self.is_let_in

    def begin_anew(self) -> None:
        """Forget what went wrong so far."""
        self._fault, self._is_down = None, False

    @property
    def is_let_in(self) -> bool:
        """Whether the last thing that went wrong, if any, was not a login or an encryption."""
        return self._fault is None or self._fault.code() not in _REFUSED

    @property
    def fault_text(self) -> str:
        """What went wrong last, without the client and the broker that librdkafka names first."""
        return self._fault.str().split(": ", 1)[-1][:300] if self._fault is not None else ""

    @contextmanager
    def asking(self, topic: str = "") -> Iterator[None]:
        """Raise every error of Kafka within the block as one of the log."""
        try:
            yield
        except KafkaException as error:
            raise self.log_error(error.args[0], topic) from error

    def log_error(self, error: KafkaError, topic: str = "") -> LogError:
        """Return an error of Kafka as one of the log."""
        code = error.code()
        if code in _UNKNOWN:
            return UnknownTopic(topic)
        if code in _REFUSED:
            return LogRefused(f"PENSTOCK_KAFKA: {error.str()}")
        because = f" ({self.fault_text})" if self._fault is not None else ""
        return LogUnavailable(f"kafka: {error.str()}{because}")

    def _note(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._is_down = True
        elif self._fault is None or self.is_let_in:
            self._fault = error


def _without(text: str, values: Iterable[Any]) -> str:
    """Return a text with values masked, which may be secrets; short ones only where they are quoted."""
    for value in sorted(map(str, values), key=len, reverse=True):
        text = text.replace(f'"{value}"', "***")
        if len(value) >= _SECRET_MIN:
            text = text.replace(value, "***")
    return text
