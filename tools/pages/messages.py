"""The page of messages: what Penstock reads, and what it writes."""

import re
from inspect import getdoc
from pathlib import Path

import orjson

from connectors.log.base import OUTPUT_TOPICS
from connectors.log.kafka.topics import COMPACTED, DEAD_LETTERS_DAYS_MIN
from connectors.messages.written import WRITTEN, Written, WrittenEvent
from flows.services.corrections import adjust as adjusting
from flows.services.corrections import import_counts as importing
from flows.services.corrections import reconcile as reconciling
from flows.services.holds import confirm as confirming
from state.events.messages import TYPES
from tools.pages.examples import incoming, outgoing, shaped
from tools.pages.markdown import code, codes, filled, table
from tools.pages.members import members

_TEMPLATE = Path(__file__).with_name("messages.md")
_SECTION = re.compile(r"^### (\S+)\n\n?(.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
_OWN = (
    (adjusting.SOURCE, ("wms.adjustment",), "penstock adjust"),
    (reconciling.SOURCE, ("wms.adjustment",), "penstock reconcile --apply"),
    (importing.SOURCE, ("wms.count", "wms.quality"), "penstock import"),
    (confirming.SOURCE, ("order.placed",), "penstock hold confirm"),
)
_OF_THE_LETTER = "{key}"
_BY_NAME = {written.name: written for written in WRITTEN}


def page() -> str:
    """Return the page in Markdown. A section of the template that is headed by a type is completed."""
    text = filled(
        _TEMPLATE,
        own=table(
            ("source", "types", "command"),
            ((code(source), codes(types), code(command)) for source, types, command in _OWN),
        ),
        envelope=_written_table(WrittenEvent),
        topics=table(
            ("topic", "types", "key", "kept on Kafka", "kept on Redis Streams"),
            map(_topic, OUTPUT_TOPICS),
        ),
    )
    headed = [name for name, _ in _SECTION.findall(text)]
    expected = [*TYPES, *_BY_NAME]
    if headed != expected:
        raise ValueError(f"{_TEMPLATE.name}: expected sections {expected}, got {headed}")
    return (
        _SECTION.sub(lambda found: _section(found[1], found[2].strip()), text).rstrip("\n") + "\n"
    )


def _section(name: str, notes: str) -> str:
    parts = _read(name, notes) if name in TYPES else _written(_BY_NAME[name], notes)
    return "\n".join(f"{part.rstrip()}\n" for part in (f"### {name}", *parts) if part) + "\n"


def _read(name: str, notes: str) -> list[str]:
    rows = [
        (code(each.path), each.kind, "yes" if each.required else "no", each.meaning)
        for each in members(TYPES[name])
    ]
    return [
        getdoc(TYPES[name]) or "",
        notes,
        table(("member", "type", "required", "meaning"), rows),
        f"```json\n{shaped(incoming()[name])}\n```",
    ]


def _written(written: Written, notes: str) -> list[str]:
    twin = next(each for each in WRITTEN if each.data is written.data)
    when = f"Written when {written.when}."
    under = f"Key: {_pattern(written.key)}. `id`: {_pattern(written.id)}."
    event = orjson.loads(outgoing()[written.name].value or b"")
    return [
        (getdoc(written.data) or "") if twin is written else "",
        f"{when}\n{under}",
        notes,
        _written_table(written.data)
        if twin is written
        else f"The members are those of `{twin.name}`.",
        f"```json\n{shaped(event)}\n```",
    ]


def _written_table(data: type) -> str:
    rows = [(code(each.path), each.kind, each.unit, each.meaning) for each in members(data)]
    return table(("member", "type", "unit", "meaning"), rows)


def _pattern(text: str) -> str:
    if text == _OF_THE_LETTER:
        return "that of the letter"
    return code(re.sub(r"\{(?:\w+\.)?(\w+)\}", r"<\1>", text))


def _topic(topic: str) -> tuple[str, ...]:
    written = [each for each in WRITTEN if each.topic == topic]
    keys = ", ".join(
        dict.fromkeys(_pattern(each.key) for each in written if each.key != _OF_THE_LETTER)
    )
    days = f", at least {DEAD_LETTERS_DAYS_MIN} days" if topic == "dead.letters" else ""
    kept = (
        "compacted: the last record of each key, for ever"
        if topic in COMPACTED
        else f"`PENSTOCK_LOG_RETENTION`{days}"
    )
    types = codes(each.name for each in written) or "none yet"
    return code(topic), types, keys, kept, "`PENSTOCK_LOG_RETENTION`"
