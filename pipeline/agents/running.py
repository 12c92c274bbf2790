"""``iskra agent run`` and ``iskra agent serve``: an agent and a server in the foreground, until a signal.

stdout is data (events, if they are asked for there), stderr is talk.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

from schemas.events import ConnectionEvent

from .agent import Agent, PublisherKind
from .core.options import AgentOptions, KafkaTarget
from .reference_server import Mode, ReferenceServer

__all__ = ["EXIT_CLEAN", "EXIT_EVENTS_LEFT", "run", "serve", "words"]

EXIT_CLEAN: Final = 0
EXIT_EVENTS_LEFT: Final = 3


async def run(
    urls: Sequence[str],
    *,
    name: str = "agent",
    options: AgentOptions | None = None,
    publisher: PublisherKind = "kafka",
    kafka: KafkaTarget | None = None,
    talk: TextIO | None = None,
) -> int:
    """Watch these URLs, one link each, until SIGTERM or SIGINT. Payloads are counted and discarded.

    Shape: links are called ``link-1``, ``link-2``, … in the order of the URLs. Returns the exit code: 0, or 3 when
    events were left that Kafka did not take; their number is said on ``talk`` (stderr).
    Errors: ValueError for a URL or name that does not fit, before anything is started.
    """
    out = talk if talk is not None else sys.stderr
    agent = Agent(name, options=options, publisher=publisher, kafka=kafka, on_event=lambda event: _tell(out, event))
    stop = _until_signal()
    agent.start()
    try:
        for number, url in enumerate(urls, start=1):
            await agent.open(f"link-{number}", [url], keep_messages=False)
        await stop.wait()
    finally:
        left = await agent.close()
    if left:
        _say(out, f"{left} events were not taken by Kafka")
        return EXIT_EVENTS_LEFT
    return EXIT_CLEAN


async def serve(host: str, port: int, *, mode: Mode = "echo", talk: TextIO | None = None) -> int:
    """Run the reference server until SIGTERM or SIGINT. Raises OSError when the port is taken."""
    out = talk if talk is not None else sys.stderr
    stop = _until_signal()
    async with ReferenceServer(host, port, mode=mode) as server:
        shown = f"[{host}]" if ":" in host else host
        _say(out, f"serving {mode} on ws://{shown}:{server.port}/")
        await stop.wait()
    return EXIT_CLEAN


def _until_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def words(event: ConnectionEvent) -> str | None:
    """An event as a line for people; None for what says nothing new. Names of deltas stay with the data."""
    data = event.data.model_dump() if event.data is not None else {}
    place, error = data.get("endpoint"), data.get("error_category")
    match event.delta:
        case "connection_established":
            return f"proved by {data['proof']} in {data['connect_ms']} ms, {place}"
        case "connection_recovered":
            return f"proved again by {data['proof']} after {data['outage_ms'] / 1000:.1f} s, {place}"
        case "connection_stable":
            return "stable again"
        case "connection_suspended":
            return f"no service for {data['down_ms'] / 1000:.0f} s: retrying slowly"
        case "connection_abandoned":
            return f"given up, needs a human: {error}: {data.get('reason')}"
        case "connection_closed":
            return "closed"
        case "heartbeat_missed":
            return f"a ping was not answered within {data['waited_ms'] / 1000:.1f} s, trying once more"
        case "telemetry_dropped":
            return f"{data['dropped']} events dropped"
        case "local_stall_detected":
            return f"this process stood still for {data['lag_ms'] / 1000:.1f} s"
    if error is None:
        return None
    retry = data.get("retry_in_ms")
    again = f"; next attempt in {retry / 1000:.1f} s" if retry is not None else ""
    return f"down: {error}: {data.get('reason') or data.get('close_code')}{again}"


def _tell(out: TextIO, event: ConnectionEvent) -> None:
    line = words(event)
    if line is not None:
        _say(out, f"{event.connection_id}  {line}", at=event.ts)


def _say(out: TextIO, line: str, *, at: int | None = None) -> None:
    clock = f"{datetime.fromtimestamp(at / 1000, tz=UTC):%H:%M:%S}  " if at is not None else ""
    try:
        print(f"{clock}{line}", file=out, flush=True)
    except (OSError, ValueError):
        return
