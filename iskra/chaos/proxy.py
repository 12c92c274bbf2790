"""A TCP fault proxy in its owner's process: one port per link, so that a link is cut, slowed or halved by its number.

Transparent until told otherwise. The demo puts it between agents and their server, a proof run between the workers and
each broker. Who is hit, and when, is not decided here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import partial
from random import Random
from types import TracebackType
from typing import Final, Self

__all__ = ["FaultProxy", "Way"]

_CHUNK: Final = 64 * 1024
_LINGER_NONE: Final = struct.pack("ii", 1, 0)
_SLICES_AT_ONCE: Final = 64
"""So many slices of a chunk go out with a turn of the loop between; the rest as one, or a record of a megabyte would
take minutes."""


class Way(Flag):
    """A direction through the proxy."""

    THERE = auto()
    """From who connected to the upstream."""
    BACK = auto()
    BOTH = THERE | BACK


_NO_WAY: Final = Way(0)


@dataclass(slots=True, eq=False)
class _Lane:
    """What happens to one link, and its open connections."""

    upstream: tuple[str, int]
    cut: bool = False
    hole: Way = _NO_WAY
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_a_s: float | None = None
    slice_bytes: int | None = None
    limit_bytes: int | None = None
    server: asyncio.Server | None = None
    port: int = 0
    flows: set[asyncio.Task[None]] = field(default_factory=set)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    accepted: int = 0
    touched: int = 0


class FaultProxy:
    """``async with FaultProxy("127.0.0.1", 8765, links=60) as proxy``: link n connects to ``proxy.ports[n]``."""

    def __init__(self, upstream_host: str, upstream_port: int, *, links: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._dice = Random(links)  # noqa: S311 jitter, the same each time
        self._lanes = [_Lane((upstream_host, upstream_port)) for _ in range(links)]

    @classmethod
    def before(cls, upstreams: Sequence[tuple[str, int]]) -> Self:
        """A proxy with a link for each of these, in their order."""
        proxy = cls("", 0, links=0)
        proxy._lanes = [_Lane(upstream) for upstream in upstreams]
        return proxy

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

    @property
    def touched(self) -> tuple[int, ...]:
        """How often a fault met something so far, by link: a connection reset or refused, a piece held back or lost."""
        return tuple(lane.touched for lane in self._lanes)

    async def start(self) -> None:
        """Listen on a free port for each link."""
        await self.up(range(len(self._lanes)))

    async def stop(self) -> None:
        """Drop everything and stop listening."""
        self.down(range(len(self._lanes)))
        flows = [flow for lane in self._lanes for flow in lane.flows]
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    async def up(self, links: Iterable[int]) -> None:
        """Listen again, on the ports of before."""
        for number in links:
            lane = self._lanes[number]
            if lane.server is None:
                lane.server = await asyncio.start_server(partial(self._accept, lane), self._host, lane.port)
                lane.port = lane.server.sockets[0].getsockname()[1]

    def down(self, links: Iterable[int]) -> None:
        """Reset these links and stop listening until ``up``: who connects is refused."""
        for number in links:
            lane = self._lanes[number]
            if lane.server is not None:
                lane.server.close()
                lane.server = None
            self.drop([number])

    def cut(self, links: Collection[int]) -> None:
        """Reset the connections of these links, and each new one, until ``heal``."""
        for number in links:
            self._lanes[number].cut = True
        self.drop(links)

    def heal(self, links: Iterable[int] | None = None) -> None:
        """Let these links through again (all of them if none are named), as fast and whole as they come."""
        for number in range(len(self._lanes)) if links is None else links:
            lane = self._lanes[number]
            lane.cut, lane.hole, lane.delay_s, lane.jitter_s = False, _NO_WAY, 0.0, 0.0
            lane.bytes_a_s = lane.slice_bytes = lane.limit_bytes = None

    def drop(self, links: Iterable[int]) -> None:
        """Reset the connections of these links once; they may come back at once."""
        for number in links:
            lane = self._lanes[number]
            lane.touched += len(lane.flows)
            for writer in tuple(lane.writers):
                _reset(writer)

    def delay(self, links: Iterable[int], *, each_way_ms: int, jitter_ms: int = 0) -> None:
        """Hold each byte of these links back, in either direction, by this time plus or minus the jitter."""
        for number in links:
            self._lanes[number].delay_s = each_way_ms / 1000
            self._lanes[number].jitter_s = jitter_ms / 1000

    def narrow(self, links: Iterable[int], *, bits_a_s: int) -> None:
        """Let no more than this through, for each connection and direction."""
        for number in links:
            self._lanes[number].bytes_a_s = bits_a_s / 8

    def slice(self, links: Iterable[int], *, size: int = 1) -> None:
        """Pass bytes on in pieces of this size: what a reader must put together again."""
        for number in links:
            self._lanes[number].slice_bytes = size

    def limit(self, links: Iterable[int], *, after_bytes: int) -> None:
        """Reset each connection of these links once so many bytes went one way."""
        for number in links:
            self._lanes[number].limit_bytes = after_bytes

    def swallow(self, links: Iterable[int], way: Way = Way.BOTH) -> None:
        """Take bytes of these links and pass none on until ``heal``: a half-open connection, or half of one."""
        for number in links:
            self._lanes[number].hole = way

    async def _accept(self, lane: _Lane, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lane.accepted += 1
        if lane.cut:
            lane.touched += 1
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
            up_reader, up_writer = await asyncio.open_connection(*lane.upstream)
        except OSError:
            return
        lane.writers.add(up_writer)
        there = asyncio.create_task(self._pump(lane, Way.THERE, reader, up_writer))
        back = asyncio.create_task(self._pump(lane, Way.BACK, up_reader, writer))
        try:
            # A WebSocket's end is the end of both directions: the first that ends ends the other.
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            lane.writers.discard(up_writer)
            up_writer.close()

    async def _pump(self, lane: _Lane, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on, each after its delay and in order; return at the end of the stream, when all is passed on."""
        loop = asyncio.get_running_loop()
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1_000)
        passing = asyncio.create_task(_pass_on(lane, way, late, writer))
        try:
            while True:
                try:
                    data = await reader.read(_CHUNK)
                except OSError:
                    return
                wait = lane.delay_s
                if wait:
                    lane.touched += 1
                    wait = max(0.0, wait + self._dice.uniform(-lane.jitter_s, lane.jitter_s))
                await late.put((loop.time() + wait, data))
                if not data:
                    await passing
                    return
        finally:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)


async def _pass_on(
    lane: _Lane, way: Way, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
) -> None:
    loop = asyncio.get_running_loop()
    passed = 0
    while True:
        due, data = await late.get()
        wait = due - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        if not data:
            return
        if way in lane.hole:
            lane.touched += 1
            continue
        passed += len(data)
        if lane.limit_bytes is not None and passed > lane.limit_bytes:
            lane.touched += 1
            _reset(writer)
            return
        if lane.bytes_a_s is not None:
            lane.touched += 1
            await asyncio.sleep(len(data) / lane.bytes_a_s)
        try:
            for piece in _pieces(lane, data):
                writer.write(piece)
                await writer.drain()
                if len(piece) < len(data):
                    await asyncio.sleep(0)
        except OSError:
            return


def _pieces(lane: _Lane, data: bytes) -> list[bytes]:
    """The chunk as it goes out: whole, or its beginning in slices and then its rest."""
    size = lane.slice_bytes
    if size is None or len(data) <= size:
        return [data]
    lane.touched += 1
    sliced = min(len(data), size * _SLICES_AT_ONCE)
    return [data[at : at + size] for at in range(0, sliced, size)] + ([data[sliced:]] if sliced < len(data) else [])


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a broken network does: RST, no FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()
