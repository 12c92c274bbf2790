"""Voices to people: few, explainable messages that arrive.

``policy`` decides (pure), ``intake``, ``router`` and ``dispatcher`` are processors of the runtime, ``rendering``
words it, ``notifiers`` deliver it, ``sinks`` are stand-ins for Slack and PagerDuty. ``stages`` puts them together.
"""

from __future__ import annotations

__all__ = ["DISTRIBUTION"]

DISTRIBUTION = "iskra-voices"
"""Whose package this is; those above check it on import."""
