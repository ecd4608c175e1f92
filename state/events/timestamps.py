"""Times as text and as integers: RFC 3339 in messages, milliseconds since 1970 UTC elsewhere."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LAST_MS = 253_402_300_799_999
_FORM = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_DIGITS = 5
_BASES_MAX = 1 << 12
_bases: dict[str, int] = {}
"""What is left of a time without its seconds and milliseconds -> their base in ms since 1970."""


def rfc3339_ms(text: str) -> int:
    """Return the milliseconds since 1970 UTC of a time such as `2026-12-01T08:00:00.5+08:00`.

    The date, the seconds and the offset must be there; a finer fraction is cut to milliseconds; the
    leap second `:60` is refused.

    Raises:
        ValueError: with what was expected, to stand between `expected` and `, got ...`.
    """
    # Most times are of a minute that was met before: only seconds and milliseconds are left to read.
    digits, around = text[17:19] + text[20:23], text[:17] + text[23:]
    has_three = (
        text[19:20] == "." and len(digits) == _DIGITS and digits.isascii() and digits.isdecimal()
    )
    if has_three and around in _bases and digits < "60000":
        return _bases[around] + int(digits)
    ms = _read(text)
    if has_three and not text[23].isdecimal():
        if len(_bases) >= _BASES_MAX:
            _bases.clear()
        _bases[around] = ms - int(digits)
    return ms


def _read(text: str) -> int:
    if _FORM.fullmatch(text) is None:
        raise ValueError("an RFC 3339 time with an offset")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # Some releases of Python read neither `t` nor `z`; anything else is no time of any day.
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            raise ValueError("a time that exists") from None
    ms = (moment - _EPOCH) // _MS
    if not 0 <= ms <= _LAST_MS:
        raise ValueError("a time in the years 1970 to 9999 UTC")
    return ms


def local_ms(moment: datetime, zone: ZoneInfo) -> int:
    """Return the milliseconds since 1970 UTC of a time of day in a zone, given without an offset.

    Raises:
        ValueError: clocks that go forward skip it, or clocks that go back show it twice; with what was expected.
    """
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset(), second.utcoffset()
    if before != after:
        if before is not None and after is not None and before > after:
            raise ValueError(f"a time that {zone.key} has once, or an offset")
        raise ValueError(f"a time that {zone.key} has")
    ms = (first - _EPOCH) // _MS
    if not 0 <= ms <= _LAST_MS:
        raise ValueError("a time in the years 1970 to 9999 UTC")
    return ms


def ms_rfc3339(ms: int) -> str:
    """Return the time in UTC with three decimals, such as `2026-12-01T00:00:00.500Z`.

    Raises:
        ValueError: `ms` is not in the years 1970 to 9999.
    """
    if not 0 <= ms <= _LAST_MS:
        raise ValueError(f"expected milliseconds in the years 1970 to 9999, got {ms}")
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")[:23] + "Z"
