"""A TCP fault proxy in the demo's own process: one port per link, so that a link is cut by its number.

Transparent until told otherwise. Nothing is random here: who is cut is the weather's business.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Final, Self

__all__ = ["FaultProxy"]

_CHUNK: Final = 64 * 1024
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class _Lane:
    """What happens to one link, and its open connections."""

    cut: bool = False
    hole: bool = False
    delay_s: float = 0.0
    server: asyncio.Server | None = None
    port: int = 0
    flows: set[asyncio.Task[None]] = field(default_factory=set)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    accepted: int = 0


class FaultProxy:
    """``async with FaultProxy("127.0.0.1", 8765, links=60) as proxy``: link n connects to ``proxy.ports[n]``."""

    def __init__(self, upstream_host: str, upstream_port: int, *, links: int, host: str = "127.0.0.1") -> None:
        self._upstream = (upstream_host, upstream_port)
        self._host = host
        self._lanes = [_Lane() for _ in range(links)]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def ports(self) -> tuple[int, ...]:
        """Where link 0, 1, … connects to."""
        return tuple(lane.port for lane in self._lanes)

    @property
    def urls(self) -> tuple[str, ...]:
        """The same as WebSocket URLs."""
        return tuple(f"ws://{self._host}:{port}/" for port in self.ports)

    @property
    def open_links(self) -> tuple[int, ...]:
        """Links with a connection through the proxy now."""
        return tuple(number for number, lane in enumerate(self._lanes) if lane.flows)

    @property
    def accepted(self) -> tuple[int, ...]:
        """Connections taken so far, by link; those refused are among them."""
        return tuple(lane.accepted for lane in self._lanes)

    async def start(self) -> None:
        """Listen on a free port for each link."""
        for lane in self._lanes:
            lane.server = await asyncio.start_server(partial(self._accept, lane), self._host, 0)
            lane.port = lane.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop everything and stop listening."""
        self.drop(range(len(self._lanes)))
        flows = [flow for lane in self._lanes for flow in lane.flows]
        for lane in self._lanes:
            if lane.server is not None:
                lane.server.close()
                lane.server = None
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    def cut(self, links: Collection[int]) -> None:
        """Reset the connections of these links, and each new one, until ``heal``."""
        for number in links:
            self._lanes[number].cut = True
        self.drop(links)

    def heal(self, links: Iterable[int] | None = None) -> None:
        """Let these links through again (all of them if none are named): neither cut nor swallowed nor late."""
        for number in range(len(self._lanes)) if links is None else links:
            lane = self._lanes[number]
            lane.cut, lane.hole, lane.delay_s = False, False, 0.0

    def drop(self, links: Iterable[int]) -> None:
        """Reset the connections of these links once; they may come back at once."""
        for number in links:
            for writer in tuple(self._lanes[number].writers):
                _reset(writer)

    def delay(self, links: Iterable[int], *, each_way_ms: int) -> None:
        """Hold each byte of these links back, in either direction."""
        for number in links:
            self._lanes[number].delay_s = each_way_ms / 1000

    def swallow(self, links: Iterable[int]) -> None:
        """Take bytes of these links and pass none on, in either direction, until ``heal``: a half-open connection."""
        for number in links:
            self._lanes[number].hole = True

    async def _accept(self, lane: _Lane, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane.accepted += 1
        if lane.cut:
            _reset(writer)
            return
        flow = asyncio.current_task()
        if flow is None:
            return
        lane.flows.add(flow)
        lane.writers.add(writer)
        try:
            await self._carry(lane, reader, writer)
        except asyncio.CancelledError:
            # Only stop() cancels. asyncio's stream server would report a cancelled handler as an unhandled error.
            return
        finally:
            lane.flows.discard(flow)
            lane.writers.discard(writer)
            _reset(writer)

    async def _carry(self, lane: _Lane, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        except OSError:
            return
        lane.writers.add(up_writer)
        there = asyncio.create_task(_pump(lane, reader, up_writer))
        back = asyncio.create_task(_pump(lane, up_reader, writer))
        try:
            # A WebSocket's end is the end of both directions: the first that ends ends the other.
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            lane.writers.discard(up_writer)
            up_writer.close()


async def _pump(lane: _Lane, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on, each after its delay and in order; return at the end of the stream, when all is passed on."""
    loop = asyncio.get_running_loop()
    late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1_000)
    passing = asyncio.create_task(_pass_on(lane, late, writer))
    try:
        while True:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                return
            await late.put((loop.time() + lane.delay_s, data))
            if not data:
                await passing
                return
    finally:
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)


async def _pass_on(lane: _Lane, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await late.get()
        wait = due - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        if not data:
            return
        if lane.hole:
            continue
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            return


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a broken network does: RST, no FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()
