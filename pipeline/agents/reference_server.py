"""The reference server: echo or broadcast over WebSocket, in memory, with a switch per fault.

What ``iskra agent serve`` runs, and the peer of the demo and the tests. Later it learns the session protocol.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self, TypeAlias

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["Faults", "Mode", "ReferenceServer"]

Mode: TypeAlias = Literal["echo", "broadcast"]

_HEALTH_PATH = "/health"


@dataclass(slots=True)
class Faults:
    """What the server does wrong, from now on. Change the fields while it runs."""

    status: int | None = None
    """Refuse the upgrade with this status."""
    retry_after: str | None = None
    """The header that goes with it, verbatim."""
    close_code: int | None = None
    """Close each new connection with this code."""
    close_after_ms: int = 0
    """How long a connection lives before that; 0: at once after the upgrade."""
    mute: bool = False
    """Upgrade, then neither read nor answer."""


class ReferenceServer:
    """``async with ReferenceServer(port=0) as server``; ``server.port`` is the port it got."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, mode: Mode = "echo", max_message_bytes: int = 1024 * 1024
    ) -> None:
        self.host = host
        self.port = port
        self.mode = mode
        self.faults = Faults()
        self.attempts = 0
        """Upgrades asked for since the start."""
        self.messages = 0
        self._max_message_bytes = max_message_bytes
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def connections(self) -> tuple[ServerConnection, ...]:
        """Those open now."""
        return tuple(self._server.connections) if self._server is not None else ()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = await serve(
            self._serve,
            self.host,
            self.port,
            process_request=self._answer,
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_size=self._max_message_bytes,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, code: int = 1001) -> None:
        """Close all connections with this code, and end."""
        if self._server is None:
            return
        for connection in self.connections:
            if self.faults.mute:
                connection.transport.abort()
        self._server.close(code=code)
        await self._server.wait_closed()
        self._server = None

    def abort(self) -> None:
        """End as a killed process does: every socket is dropped without a word, and nobody listens."""
        if self._server is None:
            return
        for connection in self.connections:
            connection.transport.abort()
        self._server.close(close_connections=False)
        self._server = None

    async def close_all(self, code: int, reason: str = "") -> None:
        """Close the open connections with this code; go on listening."""
        await asyncio.gather(*(connection.close(code, reason) for connection in self.connections))

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == _HEALTH_PATH:
            return connection.respond(HTTPStatus.OK, "ok\n")
        self.attempts += 1
        if self.faults.status is None:
            return None
        response = connection.respond(HTTPStatus(self.faults.status), "refused by a fault switch\n")
        if self.faults.retry_after is not None:
            response.headers["Retry-After"] = self.faults.retry_after
        return response

    async def _serve(self, connection: ServerConnection) -> None:
        faults = self.faults
        if faults.mute:
            # Nothing is read any more, so not even a ping is answered.
            connection.transport.pause_reading()
            await connection.wait_closed()
            return
        if faults.close_code is not None:
            await asyncio.sleep(faults.close_after_ms / 1000)
            await connection.close(faults.close_code, "closed by a fault switch")
            return
        with suppress(ConnectionClosed):
            async for message in connection:
                self.messages += 1
                if self.mode == "echo":
                    await connection.send(message)
                elif self._server is not None:
                    broadcast(self._server.connections, message)
