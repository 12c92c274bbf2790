"""A record on which a processor raised: how the place is told without the record's text, and how many are too many."""

from __future__ import annotations

import traceback
from collections import deque
from hashlib import sha256

from schemas.types import Millis

__all__ = ["Refusals", "stack_digest", "where_raised"]

_MOST = 100
_WITHIN_MS: Millis = 60_000


def stack_digest(error: BaseException) -> str:
    """Equal for errors of one kind from one place, whatever the record was: 16 hex digits."""
    frames = [
        f"{_module(frame)}:{frame.f_code.co_name}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return sha256("\n".join([type(error).__name__, *frames]).encode()).hexdigest()[:16]


def where_raised(error: BaseException) -> str:
    """Kind and innermost place of an error; never its message, which may quote the record."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = f" in {_module(frame)}:{line}"
    return f"{type(error).__name__}{place}"


def _module(frame: object) -> str:
    names = getattr(frame, "f_globals", {})
    return str(names.get("__name__", "?"))


class Refusals:
    """How many records of a worker were refused lately. One is an accident, a hundred a minute a broken version."""

    def __init__(self) -> None:
        """None yet."""
        self._at: deque[Millis] = deque(maxlen=_MOST + 1)

    def too_many(self, elapsed: Millis) -> bool:
        """Count one at this monotonic time; whether that makes more than 100 in 60 s."""
        self._at.append(elapsed)
        return len(self._at) > _MOST and elapsed - self._at[0] <= _WITHIN_MS
