"""From the JSON of a message to its typed data, or to the exact reason why not.

The fast path is msgspec's decoder. Where it refuses, the slow path reads the JSON once more, walks
it beside the same declarations (`state.events.messages`) and names the first member that breaks one:
unknown members of an object first, then its members as declared. Of a key that stands twice in an
object the last counts, as in most JSON readers.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import msgspec
from msgspec import inspect

from state.events.messages import NO_CONTROLS, SAYS, TYPES, Data
from state.events.rejection import Number, Rejection, named, shown

__all__ = ["DEPTH_MAX", "Rejection", "decode"]

DEPTH_MAX = 64
"""Deepest nesting of arrays and objects that is read at all; our messages need 3."""

_DECODERS: Mapping[str, msgspec.json.Decoder[Data]] = {
    name: msgspec.json.Decoder(data) for name, data in TYPES.items()
}
_SHAPES: Mapping[str, inspect.Type] = {
    name: inspect.type_info(data) for name, data in TYPES.items()
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_JSON = re.compile(rb"\\(?:u00[0189]|u007[fF]|[bfnrt])|\x7f|\xc2[\x80-\x9f]")
_BRACKET_OR_TEXT = re.compile(rb'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_INTEGER_DIGITS = 20


def decode(type_name: str, raw: bytes | msgspec.Raw) -> Data | Rejection:
    """Decode the data of an event of type `type_name` from JSON, and check it whole.

    Never raises: whatever is wrong with `raw` comes back as a Rejection.
    """
    decoder = _DECODERS.get(type_name)
    if decoder is None:
        expected = ", ".join(sorted(TYPES))
        return Rejection(f"type: expected one of {expected}, got {shown(type_name)}")
    text = raw if type(raw) is bytes else bytes(raw)
    try:
        data = decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_slowly(type_name, decoder, text)
    # A control character reaches an id only by an escape or as one of these bytes.
    if (b"\\" in text or b"\xc2" in text or b"\x7f" in text) and _CONTROL_IN_JSON.search(text):
        return _decode_slowly(type_name, decoder, text)
    return data


def _decode_slowly(
    type_name: str, decoder: msgspec.json.Decoder[Data], text: bytes
) -> Data | Rejection:
    value = _read(text)
    if isinstance(value, Rejection):
        return value
    for reason in _walk("", _SHAPES[type_name], value):
        return Rejection(reason)
    try:
        return decoder.decode(json.dumps(value).encode())
    except msgspec.ValidationError as error:
        # Only a rule over several members is left; its ValueError carries the whole reason.
        return Rejection(str(error.__cause__ or error))


def _read(text: bytes) -> Any:
    """Return the plain JSON value of `text`, or a Rejection of it."""
    if _is_too_deep(text):
        return Rejection(f"data: expected at most {DEPTH_MAX} levels of nesting, got more")
    try:
        return json.loads(
            text.decode(), parse_int=_integer, parse_float=Number, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        return Rejection(f"data: expected UTF-8, got byte 0x{text[error.start]:02x}")
    except json.JSONDecodeError as error:
        return Rejection(f"data: expected JSON, got at character {error.pos}: {error.msg}")
    except ValueError as error:
        return Rejection(f"data: expected JSON, got {error}")


def _integer(text: str) -> int | Number:
    return int(text) if len(text) < _INTEGER_DIGITS else Number(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _is_too_deep(text: bytes) -> bool:
    depth = 0
    for match in _BRACKET_OR_TEXT.finditer(text):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def _walk(path: str, shape: inspect.Type, value: Any) -> Iterator[str]:
    """Yield a reason for each place of `value` that is not of its declared shape."""
    match shape:
        case inspect.StructType():
            yield from _walk_object(path, shape, value)
        case inspect.Metadata(type=inspect.StrType() as bounds):
            yield from _walk_text(path, shape, bounds, value)
        case inspect.Metadata():
            yield from _walk(path, shape.type, value)
        case inspect.StrType():
            yield from _walk_text(path, shape, shape, value)
        case inspect.IntType():
            yield from _walk_integer(path, shape, value)
        case inspect.FloatType():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not (shape.ge or 0) <= value <= (shape.le or 0):
                yield _expected(path, _say(shape), value)
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield _expected(path, _say(shape), value)
        case inspect.LiteralType():
            if value not in shape.values:
                yield _expected(path, _say(shape), value)
        case inspect.VarTupleType():
            yield from _walk_lines(path, shape, value)
        case inspect.UnionType():
            yield from _walk(path, shape.types[0], value)
        case _:
            msg = f"{path}: no rule for the declared shape {shape}"
            raise TypeError(msg)


def _walk_object(path: str, shape: inspect.StructType, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _expected(path, _say(shape), value)
        return
    names = {field.encode_name for field in shape.fields}
    for name in value:
        if name not in names:
            near = difflib.get_close_matches(name[:128], sorted(names), n=1)
            hint = f"; did you mean {named(near[0])}?" if near else ""
            yield f"{path or 'data'}: unknown field {named(name)}{hint}"
    for field in shape.fields:
        inner = f"{path}.{field.encode_name}" if path else field.encode_name
        if field.encode_name in value:
            yield from _walk(inner, field.type, value[field.encode_name])
        elif field.required:
            yield f"{inner}: expected {_say(field.type)}, got nothing"


def _walk_text(
    path: str, shape: inspect.Type, bounds: inspect.StrType, value: Any
) -> Iterator[str]:
    extra = shape.extra or {} if isinstance(shape, inspect.Metadata) else {}
    low, high = bounds.min_length or 0, bounds.max_length or 0
    if not isinstance(value, str) or not low <= len(value) <= high:
        yield _expected(path, _say(shape), value)
    elif extra.get(NO_CONTROLS) and _CONTROL.search(value):
        yield _expected(path, "no control characters", value)
    elif any("\ud800" <= character <= "\udfff" for character in value):
        yield f"{path}: expected Unicode text, got half of a surrogate pair"


def _walk_integer(path: str, shape: inspect.IntType, value: Any) -> Iterator[str]:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    is_long = isinstance(value, Number) and value.text.lstrip("-").isdecimal()
    if (is_integer or is_long) and value > (shape.le or 0):
        yield _expected(path, f"integer <= {shape.le}", value)
    elif not is_integer or value < (shape.ge or 0):
        yield _expected(path, _say(shape), value)


def _walk_lines(path: str, shape: inspect.VarTupleType, value: Any) -> Iterator[str]:
    if not isinstance(value, list):
        yield _expected(path, _say(shape), value)
    elif not (shape.min_length or 0) <= len(value) <= (shape.max_length or 0):
        yield f"{path}: expected {shape.min_length} to {shape.max_length} lines, got {len(value)}"
    else:
        for at, line in enumerate(value):
            yield from _walk(f"{path}[{at}]", shape.item_type, line)


def _say(shape: inspect.Type) -> str:
    match shape:
        case inspect.Metadata():
            return str((shape.extra or {}).get(SAYS) or _say(shape.type))
        case inspect.UnionType():
            return _say(shape.types[0])
        case inspect.StrType() if shape.min_length:
            return f"text of {shape.min_length} to {shape.max_length} characters"
        case inspect.StrType():
            return f"text of at most {shape.max_length} characters"
        case inspect.IntType():
            return f"integer >= {shape.ge}"
        case inspect.FloatType():
            return f"number from {shape.ge} to {shape.le}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return "one of " + ", ".join(sorted(named(str(value)) for value in shape.values))
        case inspect.VarTupleType():
            return f"array of {shape.min_length} to {shape.max_length} lines"
        case _:
            return "object"


def _expected(path: str, expected: str, value: Any) -> str:
    return f"{path or 'data'}: expected {expected}, got {shown(value)}"
