"""Lag in seconds, from where the log ended when.

Pure. A record's own timestamp may be a sender's clock; when its offset was first seen behind the end of the log is not.
"""

from __future__ import annotations

from collections import deque

from schemas.types import Millis

__all__ = ["LagClock"]

_SAMPLES = 512


class LagClock:
    """Remembers where the end of one partition's log was seen. Mutable."""

    __slots__ = ("_every", "_seen")

    def __init__(self, every: Millis = 1_000) -> None:
        """Ends seen within ``every`` of each other are one sample."""
        self._every = every
        self._seen: deque[tuple[Millis, int]] = deque(maxlen=_SAMPLES)

    def lag(self, position: int, end: int, elapsed: Millis) -> Millis:
        """How long ago the log first reached beyond ``position``; 0 when nothing waits.

        Shape: the end of the log as of now, monotonic time rising from call to call. A backlog that was there at the
        first call counts from then.
        """
        seen = self._seen
        while seen and seen[0][1] <= position:
            seen.popleft()
        if end <= position:
            return 0
        if not seen or (end > seen[-1][1] and elapsed - seen[-1][0] >= self._every and len(seen) < _SAMPLES):
            seen.append((elapsed, end))
        return elapsed - seen[0][0]
