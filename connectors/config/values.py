"""The values that `penstock.yaml` is written in: how each is read, and what is said of one that is not."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from connectors.config.codes_file import id_problem
from connectors.config.yaml_reader import Mismatch, Value, did_you_mean
from state.events.messages import QUANTITY_MAX
from state.events.timestamps import rfc3339_ms
from state.policy.opening_hours import Hours, parse_hours
from state.rules.risk_buffer import PPM

DAYS_MAX = 365

_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?", re.ASCII)


def integer(low: int, high: int) -> Value:
    """Return the shape of a whole number written in plain digits."""

    def parse(text: str, is_string: bool) -> int:  # noqa: FBT001
        if is_string or not re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text, re.ASCII):
            raise Mismatch
        if not low <= int(text) <= high:
            raise Mismatch
        return int(text)

    return Value(f"integer {low}..{high}", parse)


def choice(*words: str, later: tuple[str, ...] = ()) -> Value:
    """Return the shape of one of some words; `later` ones are known and not available yet."""

    def parse(text: str, _is_string: bool) -> str:  # noqa: FBT001
        if text in words:
            return text
        if text in later:
            raise Mismatch(", which is not available in this version")
        raise Mismatch(did_you_mean(text, list(words)))

    return Value(" or ".join(words), parse)


def number(low: int, high: int) -> Value:
    """Return the shape of a decimal number."""
    return Value(
        f"number {low}..{high}", lambda text, is_string: float(_decimal(text, is_string, low, high))
    )


def _decimal(text: str, is_string: bool, low: int, high: int) -> Decimal:  # noqa: FBT001
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Mismatch from None
    if is_string or not value.is_finite() or not low <= value <= high:
        raise Mismatch
    return value


def _mdays(text: str, is_string: bool) -> int:  # noqa: FBT001
    mdays = _decimal(text, is_string, 0, DAYS_MAX) * 1000
    if mdays != mdays.to_integral_value():
        raise Mismatch
    return int(mdays)


def _id(text: str, is_string: bool) -> str:  # noqa: FBT001
    if not is_string:
        raise Mismatch(": put it in quotes")
    problem = id_problem(text)
    if problem:
        raise Mismatch(f": {problem}")
    return text


def _text(text: str, is_string: bool) -> str:  # noqa: FBT001
    return text if not text and is_string else _id(text, is_string)


def _timezone(text: str, _is_string: bool) -> str:  # noqa: FBT001
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Mismatch(did_you_mean(text, sorted(available_timezones()))) from None


def _moment(text: str, _is_string: bool) -> int | datetime:  # noqa: FBT001
    """Return milliseconds, or without an offset what has yet to be placed in the time zone of the file."""
    if _LOCAL.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise Mismatch from None
    try:
        return rfc3339_ms(text)
    except ValueError:
        raise Mismatch from None


def _risk(text: str, is_string: bool) -> int:  # noqa: FBT001
    ppm = _decimal(text, is_string, 0, 1) * PPM
    if ppm != ppm.to_integral_value() or not 1 <= ppm <= PPM // 2:
        raise Mismatch
    return int(ppm)


def _truth(text: str, is_string: bool) -> bool:  # noqa: FBT001
    if is_string or text not in {"true", "false"}:
        raise Mismatch
    return text == "true"


def _hours(text: str, _is_string: bool) -> Hours:  # noqa: FBT001
    try:
        return parse_hours(text)
    except ValueError:
        raise Mismatch from None


TRUTH = Value("true or false", _truth)
TIMEZONE = Value("IANA time zone", _timezone)
HOURS = Value("opening hours such as mon-fri 09:00-21:30, sat 10:00-18:00", _hours)
ID = Value("string of 1..128 characters", _id)
TEXT = Value("string of 0..128 characters", _text)
COVER = Value(f"days 0..{DAYS_MAX}, at most 3 decimals", _mdays)
MOMENT = Value("RFC 3339 time, or one of `timezone` without an offset", _moment)
RISK = Value("number 0.000001..0.5, at most 6 decimals", _risk)
QUANTITY = integer(0, QUANTITY_MAX)
