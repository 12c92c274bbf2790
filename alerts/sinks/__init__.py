"""Stand-ins for Slack and PagerDuty that enforce the vendors' rules: for the demo, tests and trying things out."""

from __future__ import annotations

from .script import Fault
from .server import Sinks

__all__ = ["Fault", "Sinks"]
