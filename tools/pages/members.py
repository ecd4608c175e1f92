"""The members of a message, from the types that declare them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import inspect

from connectors.messages.written import UNIT
from state.events.messages import NO_CONTROLS, RFC3339, SAYS
from tools.pages.markdown import codes


class Member(NamedTuple):
    """A member of an object: its path, what it may be, whether it must be there, its unit, its meaning."""

    path: str
    kind: str
    required: bool
    unit: str
    meaning: str


def members(data: type) -> list[Member]:
    """Return the members of a struct, those of inner objects behind their own."""
    return list(_members("", inspect.type_info(data)))


def _members(path: str, shape: inspect.Type) -> Iterator[Member]:
    match shape:
        case inspect.Metadata():
            yield from _members(path, shape.type)
        case inspect.VarTupleType():
            yield from _members(f"{path}[]", shape.item_type)
        case inspect.StructType():
            for field in shape.fields:
                here = f"{path}.{field.encode_name}" if path else field.encode_name
                yield _member(here, field)
                yield from _members(here, field.type)
        case _:
            return


def _member(path: str, field: inspect.Field) -> Member:
    said, extra = _noted(field.type)
    return Member(path, _kind(field.type), field.required, extra.get(UNIT, ""), said)


def _noted(shape: inspect.Type) -> tuple[str, dict[str, Any]]:
    """Return the description of a member, and what else is noted with its type."""
    if isinstance(shape, inspect.Metadata):
        return str((shape.extra_json_schema or {}).get("description", "")), shape.extra or {}
    return "", {}


def _kind(shape: inspect.Type) -> str:
    """Return what a value may be, with its bounds."""
    match shape:
        case inspect.Metadata():
            return _special(shape) or _kind(shape.type)
        case inspect.UnionType():
            return " or ".join(map(_kind, shape.types))
        case inspect.LiteralType():
            return " or ".join(codes(map(str, shape.values)).rsplit(", ", 1))
        case inspect.IntType() | inspect.FloatType():
            return _number(shape)
        case inspect.VarTupleType() | inspect.TupleType():
            return _list(shape)
        case inspect.DictType():
            return f"object: {_kind(shape.key_type)} -> {_kind(shape.value_type)}"
        case inspect.StrType():
            return f"text, at most {shape.max_length:,}" if shape.max_length else "text"
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.BytesType():
            return "base64"
        case inspect.NoneType():
            return "null"
        case _:
            return "object"


def _special(shape: inspect.Metadata) -> str:
    extra = shape.extra or {}
    if extra.get(NO_CONTROLS):
        return "id"
    is_time = isinstance(shape.type, inspect.StrType) and shape.type.pattern
    return "time" if extra.get(SAYS) == RFC3339 or is_time else ""


def _number(shape: inspect.IntType | inspect.FloatType) -> str:
    name = "integer" if isinstance(shape, inspect.IntType) else "number"
    low, high = shape.ge, shape.le
    if low is not None and high is not None:
        return f"{name}, {low:,} to {high:,}"
    if low is not None:
        return f"{name} >= {low:,}"
    return f"{name} <= {high:,}" if high is not None else name


def _list(shape: inspect.VarTupleType | inspect.TupleType) -> str:
    if isinstance(shape, inspect.TupleType):
        return f"[{', '.join(map(_kind, shape.item_types))}]"
    if shape.max_length:
        return f"list of {shape.min_length} to {shape.max_length:,}"
    return f"list of {_kind(shape.item_type)}"
