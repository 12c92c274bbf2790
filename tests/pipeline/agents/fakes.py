"""What tests of the agent's shells listen with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pipeline.agents.core.options import (
    AgentOptions,
    BackoffOptions,
    ConnectOptions,
    HeartbeatOptions,
    StopOptions,
    TelemetryOptions,
)
from pipeline.agents.ring import Dropped
from schemas.events import ConnectionEvent
from schemas.types import Millis

__all__ = ["FAST", "Notebook", "until"]

FAST = AgentOptions(
    connect=ConnectOptions(open_timeout_ms=2_000, proof_timeout_ms=500, stable_after_ms=10_000),
    backoff=BackoffOptions(floor_ms=20, single_ms=(50, 100), collective_ms=(100, 200)),
    heartbeat=HeartbeatOptions(
        interval_ms=200, pong_timeout_least_ms=400, pong_timeout_most_ms=800, lag_tick_ms=50, lag_limit_ms=200
    ),
    telemetry=TelemetryOptions(report_ms=200),
    stop=StopOptions(drain_ms=1_000, flush_ms=1_000),
)
"""The same machine with short times, for real sockets."""


class Notebook:
    """A publisher that writes everything down."""

    def __init__(self) -> None:
        self.events: list[ConnectionEvent] = []
        self.started = False
        self.dropped: Dropped | None = None
        self.stale = False
        self.left = 0

    def start(self) -> None:
        self.started = True

    def publish(self, event: ConnectionEvent) -> None:
        self.events.append(event)

    def take_dropped(self) -> Dropped | None:
        dropped, self.dropped = self.dropped, None
        return dropped

    def take_stale(self) -> bool:
        stale, self.stale = self.stale, False
        return stale

    def stop(self, within_ms: Millis) -> int:
        return self.left

    def deltas(self, connection_id: str) -> list[str]:
        """What was said of a connection, routine left out."""
        routine = {"heartbeat_summary", "agent_report", "link_reported_up", "link_reported_down"}
        return [
            event.delta for event in self.events if event.connection_id == connection_id and event.delta not in routine
        ]


async def until(check: Callable[[], Any], within_s: float = 8.0) -> None:
    """Let the loop turn until the check holds."""
    async with asyncio.timeout(within_s):
        while not check():  # noqa: ASYNC110 - any condition, of parts that know nothing of tests
            await asyncio.sleep(0.005)
