"""Times on the wire: RFC 3339 text with an offset, or integer milliseconds since the epoch."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from .types import Instant

__all__ = ["EARLIEST_INTEGER", "LATEST_INTEGER", "instant_of_integer", "instant_of_text"]

EARLIEST_INTEGER: Final[Instant] = 10**11
"""1973. Smaller numbers are seconds by mistake."""

LATEST_INTEGER: Final[Instant] = 10**14
"""5138. Larger numbers are microseconds by mistake."""

_RFC3339 = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})[Tt]"
    r"(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,30}))?"
    r"(?:[Zz]|(?P<sign>[+-])(?P<ahead>(?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY, _HOUR, _MINUTE, _SECOND = 86_400_000, 3_600_000, 60_000, 1000

_SECONDS: Final = {f":{second:02d}": second * _SECOND for second in range(60)}
_FRACTIONS: Final = {f".{fraction:03d}": fraction for fraction in range(1000)}
_UTC: Final = frozenset({"Z", "+00:00"})
_ENDS: Final = {f"{text}{zone}": fraction for text, fraction in {"": 0, **_FRACTIONS}.items() for zone in _UTC}
_MEMO_LIMIT: Final = 4096
_minutes: Final[dict[str, Instant]] = {}
"""The first 16 characters of times that were read, and when that minute began in UTC. Memo, bounded."""


def instant_of_integer(number: int) -> Instant | None:
    """The instant, or None if this cannot be milliseconds. Both ends of the range belong to it."""
    return number if EARLIEST_INTEGER <= number <= LATEST_INTEGER else None


def instant_of_text(text: str) -> Instant | None:
    """The instant, or None if this is no RFC 3339 time.

    Errors: None without an offset, for an impossible date, the year 0, a leap second, another separator than T.
    Units: a fraction of at most 30 digits is cut to milliseconds, not rounded.
    """
    # Most times are in UTC, to the second, millisecond or microsecond, and of a minute that was read before.
    minute, second = _minutes.get(text[:16]), _SECONDS.get(text[16:19])
    if minute is not None and second is not None:
        fraction = _ENDS.get(text[19:])
        if fraction is None and f".{text[23:26]}" in _FRACTIONS and text[26:] in _UTC:
            fraction = _FRACTIONS.get(text[19:23])
        if fraction is not None:
            return minute + second + fraction
    return _parsed(text)


def _parsed(text: str) -> Instant | None:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, ahead = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    except ValueError:  # 30 February, month 13, year 0000
        return None
    begun = days * _DAY + int(hour) * _HOUR + int(minute) * _MINUTE
    if len(_minutes) >= _MEMO_LIMIT:
        _minutes.clear()
    _minutes[text[:16]] = begun
    local = begun + int(second) * _SECOND
    if fraction:
        local += int(fraction[:3].ljust(3, "0"))
    if ahead is None:
        return local
    offset = int(ahead[:2]) * _HOUR + int(ahead[3:]) * _MINUTE
    return local + offset if sign == "-" else local - offset
