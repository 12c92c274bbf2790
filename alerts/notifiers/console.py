"""The console: a line each. The default when nothing is configured."""

from __future__ import annotations

import hashlib
from typing import TextIO

from alerts.calling import CallBody
from alerts.rendering.lines import line_of

from .base import Delivered, Outcome, Refused

__all__ = ["ConsoleNotifier"]


class ConsoleNotifier:
    """Writes to a stream."""

    def __init__(self, stream: TextIO) -> None:
        """The stream is given, never guessed."""
        self._stream = stream

    async def send(self, order: CallBody) -> Outcome:
        """Write it. Never raises."""
        line = line_of(order.intent)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            return Refused("transient", f"console: {type(error).__name__}")
        return Delivered({}, hashlib.sha256(line.encode()).hexdigest())
