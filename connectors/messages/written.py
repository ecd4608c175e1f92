"""The messages that Penstock writes for others, declared member by member.

Nothing here runs when a message is written: `flows.publish.messages` and `connectors.messages.dead_letters` build
their JSON themselves. A test decodes what they emit with these types, strictly, so that a member that is
written and not declared fails, and one that is declared and not written too; docs/reference/messages.md is written
from them (`python -m tools.pages`).

No member is ever left out. Where there is nothing to say it is null, and its description says when.
"""

from typing import Annotated, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from msgspec import Meta, Struct

from state.events.messages import Id

UNIT: Final = "unit"
"""Under this stands the unit of a figure."""
UNITS: Final = {UNIT: "units"}
LEVELS: Final = {UNIT: "units, or packs where the channel sells packs"}
VERSION_MAX: Final = 2**53 - 1
"""Every JSON reader holds integers up to here exactly."""

Data = TypeVar("Data")

Time: TypeAlias = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
Sku: TypeAlias = Annotated[Id, Meta(description="the SKU")]
Version: TypeAlias = Annotated[
    int,
    Meta(
        ge=1,
        le=VERSION_MAX,
        description="rises with every emission of the SKU, also over a failover; only greater or less means anything",
        extra={UNIT: "µs since 1970"},
    ),
]
Place: TypeAlias = Annotated[int, Meta(ge=0)]


class _WrittenValue(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all parts of a message."""


class WrittenEvent(_WrittenValue, Generic[Data], frozen=True):
    """The envelope: a CloudEvents 1.0 event in structured mode."""

    specversion: Annotated[Literal["1.0"], Meta(description="of CloudEvents")]
    id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=512,
            description="unique per `source`; a message that comes a second time has the same one",
        ),
    ]
    source: Annotated[
        Literal["/penstock", "/penstock/dead-letters"], Meta(description="which writer it is from")
    ]
    type: Annotated[str, Meta(description="one of the types below")]
    time: Annotated[Time, Meta(description="when it was written, by the clock of the writer")]
    datacontenttype: Annotated[Literal["application/json"], Meta(description="of `data`")]
    data: Annotated[Data, Meta(description="what the type says")]


class StockUpdated(_WrittenValue, frozen=True):
    """The levels of a SKU, for every channel that has one."""

    sku: Sku
    version: Version
    available: Annotated[
        int,
        Meta(description="what all channels together may sell; below 0 = oversold", extra=UNITS),
    ]
    levels: Annotated[
        dict[Id, Annotated[int, Meta(ge=0)]],
        Meta(
            description="channel -> what it may show, always whole. A channel that is not there has no level: it is in "
            "`shadow`, or the SKU was not counted for it yet (`opening: counted`). Leave alone what it shows",
            extra=LEVELS,
        ),
    ]
    changed: Annotated[
        tuple[Id, ...],
        Meta(
            description="the channels whose level is not the one emitted before, or that have none any more, or for "
            "which a resync was asked. A hint: empty when levels are repeated, because an earlier emission may be lost"
        ),
    ]
    cause_time: Annotated[
        Time,
        Meta(
            description="the log's timestamp of the oldest change that the update covers; `time` when no event "
            "caused it"
        ),
    ]


class AdSignal(_WrittenValue, frozen=True):
    """The state that an ad rule wants for a SKU, and the figures that decided."""

    rule: Annotated[Id, Meta(description="the ad rule of the policy")]
    sku: Sku
    channel: Annotated[Id, Meta(description="where the ads lead to; its level decides")]
    version: Version
    reason: Annotated[
        Literal["low_level", "low_cover", "recovered", "restated"],
        Meta(
            description="`low_level`, `low_cover`: that figure is at or below `threshold`; `recovered`: the level is "
            "at or above it, and cover is no reason any more; `restated`: nothing changed, but an earlier signal may "
            "be lost, so the state is emitted again"
        ),
    ]
    level: Annotated[int, Meta(ge=0, description="of the channel", extra=LEVELS)]
    available: Annotated[
        int,
        Meta(description="what all channels together may sell; below 0 = oversold", extra=UNITS),
    ]
    days_of_cover: Annotated[
        float | None,
        Meta(
            description="how long the level lasts at the present velocity; null: for ever, because nothing sells, or "
            "because no rule looks at cover",
            extra={UNIT: "days, to the thousandth"},
        ),
    ]
    threshold: Annotated[
        float,
        Meta(
            ge=0,
            description="the mark of the rule that was crossed; of a `restated` signal the mark of its state in units",
            extra={UNIT: "days for `low_cover`, else as `level`"},
        ),
    ]


class Cause(_WrittenValue, frozen=True):
    """The place in the log of the event that touched the SKU last."""

    log_id: Annotated[
        str,
        Meta(min_length=1, description="of the topic: the topic id of Kafka, or a UUID on Redis"),
    ]
    partition: Annotated[Place, Meta(description="of that topic")]
    offset: Annotated[Place, Meta(description="in that partition")]


Because: TypeAlias = Annotated[Cause, Meta(description="the event that caused it")]


class StockOversold(_WrittenValue, frozen=True):
    """More is promised than there is."""

    sku: Sku
    version: Version
    available: Annotated[
        int, Meta(le=-1, description="as in `stock.updated`, when it fell below 0", extra=UNITS)
    ]
    cause: Because


class StockNegative(_WrittenValue, frozen=True):
    """A shelf went below zero."""

    sku: Sku
    version: Version
    location: Annotated[Id, Meta(description="whose shelf")]
    on_hand: Annotated[
        int, Meta(le=-1, description="what the books say, when it fell below 0", extra=UNITS)
    ]
    cause: Because


class StockDrift(_WrittenValue, frozen=True):
    """A count is older than movements that are no longer kept: the figure of that location is not certain."""

    sku: Sku
    version: Version
    location: Annotated[Id, Meta(description="which was counted")]
    counted_at: Annotated[Time, Meta(description="the moment of the count")]
    cause: Because


class StockOverreturned(_WrittenValue, frozen=True):
    """More came back of an order than was shipped of it; the rest is no stock."""

    sku: Sku
    version: Version
    order: Annotated[Id, Meta(description="the number of the order")]
    units: Annotated[
        int, Meta(ge=1, description="how many more, over all its returns so far", extra=UNITS)
    ]
    cause: Because


class ChannelFrozen(_WrittenValue, frozen=True):
    """The circuit breaker froze a channel: too many of its SKUs would have gone to zero at once."""

    channel: Annotated[Id, Meta(description="the channel")]
    by: Annotated[Literal["breaker"], Meta(description="who froze it")]
    why: Annotated[
        str,
        Meta(
            min_length=1, description="how many SKUs of how many, and the share allowed; for people"
        ),
    ]


class MessageRejected(_WrittenValue, frozen=True):
    """A message that could not be used, whole, with the reason."""

    reason: Annotated[
        str, Meta(min_length=1, description="`where: expected ..., got ...`, one printable line")
    ]
    step: Annotated[
        Literal["decode", "normalise"],
        Meta(description="`decode`: it cannot be read; `normalise`: the policy does not take it"),
    ]
    topic: Annotated[
        str, Meta(min_length=1, description="where the message is, without `PENSTOCK_NAMESPACE`")
    ]
    partition: Annotated[Place, Meta(description="of that topic")]
    offset: Annotated[Place, Meta(description="in that partition")]
    payload_base64: Annotated[
        bytes | None, Meta(description="its value, byte by byte; null: it had none, a tombstone")
    ]
    key_base64: Annotated[bytes | None, Meta(description="its key; null: it had none")]
    headers: Annotated[
        tuple[tuple[str, bytes], ...],
        Meta(
            description="its headers in their order, each a pair of name and value; a name may come twice"
        ),
    ]


class MessageReplayed(_WrittenValue, frozen=True):
    """A rejected message was put back. The log holds it once more, and this says where."""

    topic: Annotated[str, Meta(min_length=1, description="as in `message.rejected`")]
    partition: Annotated[Place, Meta(description="of its new place")]
    offset: Annotated[Place, Meta(description="of its new place")]


class Written(NamedTuple):
    """A type of message: where it goes, and under what. `{member}` in `key` and `id` stands for its value.

    Beside the members of the data these are `key`, `time_ms` (`time` in ms since 1970) and `log_id` (of the topic in
    `data`).
    """

    name: str
    data: type[_WrittenValue]
    topic: str
    key: str
    id: str
    source: str
    when: str


_SKU: Final = "{sku}:{version}"
_SIGNAL: Final = "{rule}:{sku}"
_CAUSE: Final = "{cause.log_id}/{cause.partition}/{cause.offset}"
_LETTER: Final = "{log_id}/{partition}/{offset}"
_PUBLISH, _LETTERS = "/penstock", "/penstock/dead-letters"

WRITTEN: Final = (
    Written(
        "stock.updated", StockUpdated, "stock.updates", "{sku}", _SKU, _PUBLISH,
        "`available` or any level is not what was emitted last, or an earlier emission may still be under way",
    ),
    Written(
        "ad.pause", AdSignal, "ads.signals", _SIGNAL, _SIGNAL + ":{version}", _PUBLISH,
        "ads of the SKU are to stop: its level or its days of cover are at or below a pause mark",
    ),
    Written(
        "ad.resume", AdSignal, "ads.signals", _SIGNAL, _SIGNAL + ":{version}", _PUBLISH,
        "ads of the SKU may run: both are back at their resume marks, and the pause has lasted for `dwell_s`",
    ),
    Written(
        "stock.oversold", StockOversold, "stock.alerts", "{sku}", "{sku}:oversold::" + _CAUSE, _PUBLISH,
        "`available` falls below zero; not again while it stays there",
    ),
    Written(
        "stock.negative", StockNegative, "stock.alerts", "{sku}", "{sku}:negative:{location}:" + _CAUSE, _PUBLISH,
        "`on_hand` of a location falls below zero; not again while it stays there",
    ),
    Written(
        "stock.drift", StockDrift, "stock.alerts", "{sku}", "{sku}:drift:{location}:" + _CAUSE, _PUBLISH,
        "a count comes so late that movements after it are no longer kept one by one (the newest 32, of 72 h, are)",
    ),
    Written(
        "stock.overreturned", StockOverreturned, "stock.alerts", "{sku}", "{sku}:overreturned:{order}:" + _CAUSE,
        _PUBLISH, "more units of the SKU came back than were shipped under the number of the order",
    ),
    Written(
        "channel.frozen", ChannelFrozen, "stock.alerts", "channel:{channel}", "{channel}:{time_ms}", _PUBLISH,
        "the circuit breaker trips; `penstock channel resume` ends it",
    ),
    Written(
        "message.rejected", MessageRejected, "dead.letters", _LETTER, _LETTER, _LETTERS,
        "a message is not taken; before its batch is applied",
    ),
    Written(
        "message.replayed", MessageReplayed, "dead.letters", "{key}", "{key}/replayed/{partition}/{offset}", _LETTERS,
        "`penstock dead-letters replay` has put the message back, under the key of its letter",
    ),
)  # fmt: skip
"""Every message that Penstock writes for others, in the order of the reference page."""
