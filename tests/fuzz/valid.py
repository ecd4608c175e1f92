"""Messages that are right: drawn from the declarations of `state.events.messages`, for hypothesis."""

from typing import Any

import orjson
from hypothesis import strategies as st
from msgspec import inspect

from connectors.log.base import Record
from state.events.messages import TYPES
from tests.fuzz.seeds import LOG_MS

LINES_DRAWN = 4
LOCATIONS = ("s001", "wh-ec", "sup-a", "dc")
CHANNELS = ("shopee", "shop")
TIMES = ("2026-12-01T08:00:00Z", "2026-12-01t16:00:00.123456+08:00", "1970-01-01T00:00:00z")

_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("location", "from", "to", "pickup"), st.sampled_from(LOCATIONS)),
    "channel": st.sampled_from(CHANNELS),
    **dict.fromkeys(("counted_at", "as_of", "expected_at"), st.sampled_from(TIMES)),
    "sku": st.sampled_from(("A1", "A2", "B1", "ß{7}")) | _TEXT.filter(lambda text: text[0] != "C"),
}


def _of(name: str, shape: inspect.Type) -> st.SearchStrategy[Any]:
    if name in _BY_NAME:
        return _BY_NAME[name]
    match shape:
        case inspect.Metadata():
            return _of(name, shape.type)
        case inspect.StructType():
            required = {
                f.encode_name: _of(f.encode_name, f.type) for f in shape.fields if f.required
            }
            optional = {
                f.encode_name: _of(f.encode_name, f.type) for f in shape.fields if not f.required
            }
            return st.fixed_dictionaries(required, optional=optional)
        case inspect.VarTupleType():
            return st.lists(_of("", shape.item_type), min_size=1, max_size=LINES_DRAWN)
        case inspect.IntType():
            return st.integers(shape.ge, shape.le).filter(bool) | st.integers(1, 9)
        case inspect.FloatType():
            return st.floats(shape.ge, shape.le)
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType():
            return st.sampled_from(shape.values)
        case inspect.UnionType():
            return _of(name, shape.types[0])
        case _:
            return _TEXT


def _is_right(data: dict[str, Any]) -> bool:
    """Say whether the rules over several members hold, for those who map codes and those who do not."""
    skus = [line["sku"] for line in data.get("lines", ())]
    absolute = "counted_at" in data or "as_of" in data
    bare = {sku.rstrip("0123456789") for sku in skus}
    sums = sum(abs(line["quantity"]) for line in data.get("lines", ()))
    return (
        data.get("from", "") != data.get("to")
        and not (absolute and len(bare) < len(skus))
        and sums <= 10**9
        and ("lines" in data or "order" in data or data.get("final", False))
    )


def _in_a_mode(kind: str, data: dict[str, Any], is_binary: bool, time: str, name: str) -> Record:  # noqa: FBT001 - drawn
    attributes = {"specversion": "1.0", "id": name, "source": "/s", "type": kind, "time": time}
    if is_binary:
        headers = tuple((f"ce_{key}", text.encode()) for key, text in attributes.items())
        return Record("pos.sales", 0, 7, LOG_MS, None, headers, orjson.dumps(data))
    value = orjson.dumps({**attributes, "data": data})
    return Record("pos.sales", 0, 7, LOG_MS, None, (), value)


right_messages = st.sampled_from(sorted(TYPES)).flatmap(
    lambda kind: st.builds(
        _in_a_mode,
        st.just(kind),
        _of("", inspect.type_info(TYPES[kind])).filter(_is_right),
        st.booleans(),
        st.sampled_from(TIMES),
        _TEXT.filter(
            lambda text: (
                not any(ord(c) & 0xFFFE == 0xFFFE or "\ufdd0" <= c <= "\ufdef" for c in text)
            )
        ),
    )
)
