"""Client libraries tell each attempt of an outage, sixty a second; a line of a kind now and then says as much."""

from __future__ import annotations

import logging
import time

__all__ = ["Seldom"]

_LIBRARIES = ("aiokafka", "faust", "mode")
_EVERY_S = 60.0


class Seldom(logging.Filter):
    """Of libraries' warnings and errors lets one of a kind pass per minute; it says how many were held back before it.

    A kind is a logger and its message before the arguments are put in.
    """

    def __init__(self) -> None:
        """Nothing was said yet."""
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be written."""
        if record.name.partition(".")[0] not in _LIBRARIES:
            return True
        kind = (record.name, str(record.msg))
        now = time.monotonic()
        at, held_back = self._said.get(kind, (now - _EVERY_S, 0))
        if now - at < _EVERY_S:
            self._said[kind] = (at, held_back + 1)
            return False
        self._said[kind] = (now, 0)
        if held_back:
            record.held_back = held_back
        return True
