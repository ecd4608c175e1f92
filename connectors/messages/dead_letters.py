"""Dead letters: messages that could not be used, kept whole, with the reason and the place.

One letter per message: its key on `dead.letters` is where the message is, `<log
id>/<partition>/<offset>`, so that a letter written again after a crash is the same letter. A letter
that was replayed gets a second message, `message.replayed`, under the same key.

Delivery: a letter is appended at least once, before the watermark passes its message. A replay puts
the message back at least once too: an event that was used after all is stopped by the duplicate
guard.
"""

import base64
import json
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from connectors.log.base import AppendFailed, Log, Outgoing, Record, history
from connectors.messages.cloudevents import STRUCTURED, structured

TOPIC = "dead.letters"
REJECTED = "message.rejected"
REPLAYED = "message.replayed"

_SOURCE = "/penstock/dead-letters"
_REPLAY_BATCH = 100


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that could not be used. `step` is where: decode, normalise or apply."""

    reason: str
    step: str
    topic: str
    partition: int
    offset: int
    log_id: str
    payload: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def id(self) -> str:
        """The position of the message: `<log id>/<partition>/<offset>`."""
        return f"{self.log_id}/{self.partition}/{self.offset}"

    @property
    def place(self) -> tuple[str, int, int]:
        """The position of the message, as a sort key."""
        return self.topic, self.partition, self.offset


class ListedLetter(msgspec.Struct, frozen=True):
    """A letter with when it was written (log time, ms) and whether it was replayed since."""

    letter: DeadLetter
    timestamp_ms: int
    replayed: bool


class Replay(NamedTuple):
    """How many letters were put back, passed over as replayed before, failed, or are unknown."""

    replayed: int = 0
    skipped: int = 0
    failed: int = 0
    unknown: int = 0


class NotADeadLetter(ValueError):
    """A record of `dead.letters` that is no `message.rejected`."""


class _Data(msgspec.Struct, frozen=True):
    reason: str
    step: str
    topic: str
    partition: int
    offset: int
    payload_base64: bytes | None = None
    key_base64: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class _Event(msgspec.Struct, frozen=True):
    type: str
    id: str
    data: msgspec.Raw


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_data = msgspec.json.Decoder(_Data).decode


def from_rejected(record: Record, log_id: str, step: str, reason: str) -> DeadLetter:
    """Return the letter for a record that was rejected at `step`."""
    return DeadLetter(
        reason=reason,
        step=step,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        log_id=log_id,
        payload=record.value,
        key=record.key,
        headers=record.headers,
    )


def to_message(letter: DeadLetter, now_ms: int) -> Outgoing:
    """Return the letter as a `message.rejected` event."""
    data = {
        "reason": letter.reason,
        "step": letter.step,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "payload_base64": _base64(letter.payload),
        "key_base64": _base64(letter.key),
        "headers": [[name, _base64(value)] for name, value in letter.headers],
    }
    value = structured(letter.id, _SOURCE, REJECTED, now_ms, data)
    return Outgoing(TOPIC, letter.id.encode(), value, STRUCTURED)


def from_record(record: Record) -> DeadLetter:
    """Return the letter that a record of `dead.letters` holds.

    Raises:
        NotADeadLetter: the record is another event, or none.
    """
    try:
        event = _decode_event(record.value or b"")
        if event.type != REJECTED:
            raise NotADeadLetter(f"type: expected {REJECTED}, got {json.dumps(event.type)}")
        data = _decode_data(event.data)
    except msgspec.DecodeError as error:
        raise NotADeadLetter(f"value: expected a {REJECTED} event ({error})") from error
    log_id = event.id.rsplit("/", 2)[0]
    return DeadLetter(
        reason=data.reason,
        step=data.step,
        topic=data.topic,
        partition=data.partition,
        offset=data.offset,
        log_id=log_id,
        payload=data.payload_base64,
        key=data.key_base64,
        headers=data.headers,
    )


def listing(log: Log) -> list[ListedLetter]:
    """Return every letter once, the oldest first; once replayed, a letter stays replayed.

    Raises:
        UnknownTopic: `dead.letters` was never created.
    """
    letters: dict[bytes | None, ListedLetter] = {}
    replayed: set[bytes | None] = set()
    for record in history(log, TOPIC):
        try:
            letter = from_record(record)
        except NotADeadLetter:
            if _is_replayed(record):
                replayed.add(record.key)
            continue
        letters.setdefault(record.key, ListedLetter(letter, record.timestamp_ms, replayed=False))
    found = [
        msgspec.structs.replace(listed, replayed=key in replayed) for key, listed in letters.items()
    ]
    return sorted(found, key=lambda listed: (listed.timestamp_ms, *listed.letter.place))


def replay(
    log: Log,
    ids: Collection[str] | None,
    now_ms: int,
    more: tuple[tuple[str, bytes], ...] = (),
) -> Replay:
    """Append the messages of these letters to their topics again: same bytes, key and headers, and `more` of these.

    Without `ids`, all letters that were not replayed yet; a letter that is named is replayed again.
    """
    every = listing(log)
    if ids is None:
        wanted = [listed.letter for listed in every if not listed.replayed]
        counts = Replay(skipped=len(every) - len(wanted))
    else:
        wanted = [listed.letter for listed in every if listed.letter.id in ids]
        counts = Replay(unknown=len(set(ids)) - len(wanted))
    for start in range(0, len(wanted), _REPLAY_BATCH):
        batch = wanted[start : start + _REPLAY_BATCH]
        results = log.append(
            [
                Outgoing(
                    x.topic, x.key, x.payload, (*(h for h in x.headers if h not in more), *more)
                )
                for x in batch
            ]
        )
        back = [
            to_replayed(letter, result.partition, result.offset, now_ms)
            for letter, result in zip(batch, results, strict=True)
            if not isinstance(result, AppendFailed)
        ]
        log.append(back)
        counts = counts._replace(
            replayed=counts.replayed + len(back), failed=counts.failed + len(batch) - len(back)
        )
    return counts


def to_replayed(letter: DeadLetter, partition: int, offset: int, now_ms: int) -> Outgoing:
    """Return the `message.replayed` event for a letter whose message was put back at this place."""
    place = {"topic": letter.topic, "partition": partition, "offset": offset}
    event_id = f"{letter.id}/replayed/{partition}/{offset}"
    value = structured(event_id, _SOURCE, REPLAYED, now_ms, place)
    return Outgoing(TOPIC, letter.id.encode(), value, STRUCTURED)


def _is_replayed(record: Record) -> bool:
    try:
        return _decode_event(record.value or b"").type == REPLAYED
    except msgspec.DecodeError:
        return False


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
