"""How fast a destination may be spoken to: one number per bucket (generic cell rate algorithm).

Pace before sending: above its rate Slack may hide messages without an error. Vendor limits; no clock scales them.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.types import Instant, Millis

__all__ = ["PAGERDUTY", "SLACK_EDITS", "SLACK_MESSAGE_EDIT_MS", "SLACK_POSTS", "UNLIMITED", "Limit", "free_at", "taken"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One call each ``interval_ms``, ``burst`` of them at once."""

    interval_ms: Millis
    burst: int


SLACK_POSTS = Limit(1_000, 3)
"""chat.postMessage, per channel. Source: docs.slack.dev, rate limits."""
SLACK_EDITS = Limit(1_500, 5)
"""chat.update, 40 a minute per token (tier 3 grants 50)."""
SLACK_MESSAGE_EDIT_MS: Millis = 10_000
"""Between two edits of the same message; a resolve does not wait for it."""
PAGERDUTY = Limit(600, 20)
"""Events v2, 100 a minute per key (120 are granted)."""
UNLIMITED = Limit(0, 1)


def free_at(mark: Instant, limit: Limit) -> Instant:
    """From when on the next call is allowed. ``mark`` is the bucket's state, 0 when new."""
    return mark - (limit.burst - 1) * limit.interval_ms


def taken(mark: Instant, limit: Limit, now: Instant) -> Instant:
    """The bucket's state after a call now."""
    return max(mark, now) + limit.interval_ms
