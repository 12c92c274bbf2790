"""``/healthz``, ``/readyz`` and ``/metrics`` of a worker, on loopback.

healthz: the loop turns. readyz: something is assigned, all of it restored, and the broker answers; what is not so is
said in one line each. GET changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .lane import LaneState, now_ms
from .lanes import Lanes

__all__ = ["Probes", "not_ready"]

TURNED_WITHIN_S = 5.0
ACKED_WITHIN_MS = 10_000
_TURN_EVERY = 0.5


def not_ready(lanes: Lanes) -> list[str]:
    """Why the worker should get no traffic yet, a line each; empty: it is ready."""
    if lanes.ended is not None:
        return [f"ending: {lanes.ended[1]}"]
    if lanes.surroundings.trouble is not None:
        return [lanes.surroundings.trouble.reason]
    if not lanes.ready:
        return ["no assignment restored yet"]
    reasons = []
    for lane in lanes.lanes:
        place = f"{lane.to.stage.name} partition {lane.to.partition}"
        if lane.failing is not None:
            reasons.append(f"{place}: the last checkpoint failed: {lane.failing}")
        elif lane.state is not LaneState.RUNNING:
            reasons.append(f"{place}: {lane.state.value}")
        elif now_ms() - lane.fetched_at > ACKED_WITHIN_MS:
            reasons.append(f"{place}: the broker has not answered for 10 s")
    if lanes.assigned_at is None:
        reasons.append("rebalancing")
    return reasons


class Probes(Service):
    """The small web server of a worker."""

    def __init__(self, lanes: Lanes, port: int, host: str = "127.0.0.1", **kwargs: Any) -> None:
        """Not listening yet; port 0 takes a free one."""
        super().__init__(**kwargs)
        self.port = port
        self._host = host
        self._lanes = lanes
        self._turned = time.monotonic()
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def on_stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @Service.task
    async def _turning(self) -> None:
        while not self.should_stop:
            self._turned = time.monotonic()
            await asyncio.sleep(_TURN_EVERY)

    async def _healthz(self, _: web.Request) -> web.Response:
        still = time.monotonic() - self._turned
        if still > TURNED_WITHIN_S:
            return web.Response(status=503, text=f"the loop has not turned for {still:.1f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = not_ready(self._lanes)
        if reasons:
            return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
        return web.Response(text="ready\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._lanes.instruments.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
