"""Both sinks behind one local HTTP server, with faults by script and everything received on file.

``GET /state`` shows messages, threads and incidents; ``POST /faults`` takes a list of faults.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from .pagerduty import PagerDutySink
from .script import Fault, Script
from .slack import SlackSink

__all__ = ["Sinks"]

_MAX_BODY = 2 * 1024 * 1024


class Sinks:
    """Fake Slack and PagerDuty on a port of loopback.

    Use: ``sinks = Sinks(); await sinks.start(); … sinks.slack_url … await sinks.stop()``.
    """

    def __init__(
        self,
        *,
        record_to: Path | None = None,
        clock: Callable[[], float] = time.time,
        slack: SlackSink | None = None,
        pagerduty: PagerDutySink | None = None,
    ) -> None:
        """``record_to`` is the file of everything received, one JSON object a line."""
        self._clock = clock
        self._record_to = record_to
        self.slack = slack or SlackSink(clock)
        self.pagerduty = pagerduty or PagerDutySink(clock)
        self.script = Script()
        self.received: list[dict[str, Any]] = []
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def base(self) -> str:
        """Of the server itself."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def slack_url(self) -> str:
        """What to set as Slack's base URL."""
        return f"{self.base}/api/"

    @property
    def pagerduty_url(self) -> str:
        """What to set as PagerDuty's base URL."""
        return self.base

    @property
    def allowed(self) -> tuple[str, ...]:
        """What ``allow_insecure_receivers`` must name."""
        return (f"127.0.0.1:{self.port}",)

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 is a free one."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_get("/state", self._on_state)
        app.router.add_post("/faults", self._on_faults)
        app.router.add_route("*", "/api/{method}", self._on_slack)
        app.router.add_post("/v2/enqueue", self._on_pagerduty)
        app.router.add_post("/v2/change/enqueue", self._on_pagerduty)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def state(self) -> dict[str, Any]:
        """What people would see."""
        return {
            "slack": {"messages": self.slack.state()},
            "pagerduty": {
                "incidents": self.pagerduty.incidents,
                "changes": self.pagerduty.changes,
                "ignored": self.pagerduty.ignored,
            },
            "received": len(self.received),
        }

    async def _on_state(self, _request: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _on_faults(self, request: web.Request) -> web.Response:
        try:
            faults = [Fault.of(one) for one in await request.json()]
        except (ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.script.add(*faults)
        return web.json_response({"taken": len(faults)})

    async def _on_slack(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        raw = await request.read()
        arguments = _arguments(raw, dict(request.query), request.content_type)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()

        def processed() -> tuple[int, dict[str, str], dict[str, Any]]:
            return self.slack.call(method, token, arguments)

        return await self._answered(request, method, arguments, processed)

    async def _on_pagerduty(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        quiet = request.path.endswith("change/enqueue")

        def processed() -> tuple[int, dict[str, str], dict[str, Any]]:
            status, body = (self.pagerduty.change if quiet else self.pagerduty.enqueue)(raw)
            return status, {}, body

        return await self._answered(request, request.path.removeprefix("/"), _arguments(raw, {}, ""), processed)

    async def _answered(
        self,
        request: web.Request,
        endpoint: str,
        arguments: dict[str, Any],
        processed: Callable[[], tuple[int, dict[str, str], dict[str, Any]]],
    ) -> web.StreamResponse:
        fault = self.script.next_for(endpoint)
        if fault is None:
            status, headers, body = processed()
            self._record(endpoint, arguments, status, body)
            return web.json_response(body, status=status, headers=headers)
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        answers_itself = fault.status is not None or fault.error is not None or fault.body is not None
        answers_itself = answers_itself or fault.location is not None or fault.answer_bytes > 0
        status, headers = 0, dict[str, str]()
        plain: dict[str, Any] = {}
        if fault.cut == "after" or fault.process or not (answers_itself or fault.cut):
            status, headers, plain = processed()
        if fault.cut is not None:
            self._record(endpoint, arguments, 0, {"cut": fault.cut, **plain})
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if not answers_itself:
            self._record(endpoint, arguments, status, plain)
            return web.json_response(plain, status=status, headers=headers)
        return self._scripted(endpoint, arguments, fault)

    def _scripted(self, endpoint: str, arguments: dict[str, Any], fault: Fault) -> web.StreamResponse:
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        if fault.location is not None:
            headers["Location"] = fault.location
        status = fault.status or (302 if fault.location is not None else 200)
        self._record(endpoint, arguments, status, {"scripted": True, "error": fault.error})
        if fault.answer_bytes:
            return web.Response(status=status, headers=headers, body=b" " * fault.answer_bytes)
        if fault.body is not None:
            return web.Response(status=status, headers=headers, text=fault.body, content_type="text/html")
        return web.json_response({"ok": False, "error": fault.error or "scripted"}, status=status, headers=headers)

    def _record(self, endpoint: str, arguments: dict[str, Any], status: int, body: dict[str, Any]) -> None:
        hidden = {name: value for name, value in arguments.items() if name not in {"routing_key", "token"}}
        entry = {"at": self._clock(), "endpoint": endpoint, "status": status, "request": hidden, "answer": body}
        self.received.append(entry)
        if self._record_to is not None:
            with self._record_to.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _arguments(raw: bytes, query: dict[str, Any], content_type: str) -> dict[str, Any]:
    """A request's arguments: JSON body, form or query; for the record, so never an error."""
    if raw and content_type != "application/x-www-form-urlencoded":
        try:
            body = json.loads(raw)
        except ValueError:
            body = {"unreadable_bytes": len(raw)}
        return {**query, **body} if isinstance(body, dict) else {**query, "body": body}
    return query
