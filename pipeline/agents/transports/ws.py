"""WebSocket, by ``websockets`` 17.4.

One ``connect()`` per attempt. Not its ``async for`` reconnect: there accept-then-close gives 1187 connects in 2 s, 429
is fatal and ``Retry-After`` is not read. Not its keepalive: the pings are ours. Cut by ``transport.abort()``, because
``close()`` waits for a dead peer.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException

from pipeline.agents.core.evidence import Evidence, Source, retry_after
from pipeline.agents.core.options import ConnectOptions
from schemas.types import Instant

from .base import AttemptError, Ears, SocketError

__all__ = ["WebSocketSocket", "evidence_of_close", "evidence_of_error", "open_websocket"]

_CLOSE_TIMEOUT_S: Final = 1.0
_HINT_CAP_MS: Final = 600_000
_OURS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}
)


class _Hearing(ClientConnection):
    """A connection that tells when bytes come in: any of them is a sign of life."""

    ears: Ears | None = None

    def data_received(self, data: bytes) -> None:
        if self.ears is not None:
            self.ears.heard()
        super().data_received(data)


class _ConnectOnce(connect):
    """Follows redirects on the same host only; credentials and trust do not travel."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        old = urlsplit(self.uri)
        target = super().process_redirect(exc)
        if isinstance(target, str):
            new = urlsplit(target)
            if (new.scheme, new.netloc) != (old.scheme, old.netloc):
                return exc
        return target


class WebSocketSocket:
    """An open WebSocket."""

    def __init__(self, connection: ClientConnection, ears: Ears) -> None:
        self._connection = connection
        self._ears = ears

    async def receive(self) -> str | bytes:
        """The next message."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as closed:
            raise SocketError(evidence_of_close(closed)) from closed

    async def send(self, message: str | bytes) -> None:
        """Write one message, waiting while the socket's buffer is full."""
        try:
            await self._connection.send(message)
        except ConnectionClosed as closed:
            raise SocketError(evidence_of_close(closed)) from closed

    async def ping(self, payload: bytes) -> None:
        """Write a ping; its pong is told to the ears."""
        with suppress(ConnectionClosed):
            waiter = await self._connection.ping(payload)
            # The waiter is a future, though its type says awaitable. Its latency is not used: ours is in the payload.
            asyncio.ensure_future(waiter).add_done_callback(lambda done: self._ponged(done, payload))

    def _ponged(self, done: asyncio.Future[float], payload: bytes) -> None:
        if not done.cancelled() and done.exception() is None:
            self._ears.ponged(payload)

    async def close(self, code: int) -> None:
        """Close with this code; the wait for the peer is bounded."""
        await self._connection.close(code)

    def abort(self) -> None:
        """Cut."""
        self._connection.transport.abort()


async def open_websocket(
    url: str, ears: Ears, options: ConnectOptions, *, headers: tuple[tuple[str, str], ...], wall: Callable[[], Instant]
) -> WebSocketSocket:
    """One attempt: DNS, TCP, TLS, upgrade. The time-out is the machine's, not ours."""
    try:
        connection = await _ConnectOnce(
            url,
            additional_headers=list(headers),
            compression=None,
            create_connection=_Hearing,
            open_timeout=None,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_S,
            max_size=options.max_message_bytes,
            proxy=options.proxy,
        )
    except (OSError, WebSocketException, EOFError) as error:
        raise AttemptError(evidence_of_error(error, wall())) from error
    if isinstance(connection, _Hearing):
        connection.ears = ears
    return WebSocketSocket(connection, ears)


def evidence_of_error(error: BaseException, now: Instant) -> Evidence:
    """What an exception of the attempt says."""
    reason = _words(error)
    if isinstance(error, InvalidStatus):
        return _evidence_of_status(error, now)
    if isinstance(error, InvalidMessage):
        # The answer never came, or was not HTTP at all. What is underneath tells which.
        broken = isinstance(error.__cause__, (EOFError, OSError)) or error.__cause__ is None
        return Evidence(Source.SYSTEM if broken else Source.OUR_CLOSE, reason=_words(error.__cause__ or error))
    if isinstance(error, InvalidHandshake):
        return Evidence(Source.OUR_CLOSE, code=1002, reason=reason)
    if isinstance(error, socket.gaierror):
        return Evidence(Source.NAME, reason=reason)
    if isinstance(error, ssl.SSLError):
        return Evidence(Source.TLS, reason=reason)
    if isinstance(error, TimeoutError):
        return Evidence(Source.TIMER, reason=reason)
    if isinstance(error, OSError) and error.errno in _OURS:
        return Evidence(Source.LOCAL, reason=reason)
    if isinstance(error, (OSError, EOFError, ConnectionClosed)):
        return Evidence(Source.SYSTEM, reason=reason)
    return Evidence(Source.UNKNOWN, reason=reason)


def evidence_of_close(closed: ConnectionClosed) -> Evidence:
    """What the end of a WebSocket says: the peer's close frame before ours, ours before the bare end of the stream."""
    if closed.rcvd is not None and (closed.sent is None or closed.rcvd_then_sent):
        return Evidence(Source.PEER_CLOSE, code=int(closed.rcvd.code), reason=closed.rcvd.reason)
    if closed.sent is not None and closed.sent.code in {1002, 1003, 1007, 1009}:
        return Evidence(Source.OUR_CLOSE, code=int(closed.sent.code), reason=closed.sent.reason)
    if closed.rcvd is not None:
        return Evidence(Source.PEER_CLOSE, code=int(closed.rcvd.code), reason=closed.rcvd.reason)
    return Evidence(Source.SYSTEM, code=1006, reason=_words(closed.__cause__) or "stream ended without a close frame")


def _evidence_of_status(error: InvalidStatus, now: Instant) -> Evidence:
    response = error.response
    header = _first(response.headers, "Retry-After")
    return Evidence(
        Source.HTTP,
        code=response.status_code,
        reason=f"HTTP {response.status_code}",
        retry_after_ms=retry_after(header, now_s=now / 1000, date_s=_date_s(header), cap_ms=_HINT_CAP_MS),
        challenged=_first(response.headers, "WWW-Authenticate") is not None,
    )


def _first(headers: Any, name: str) -> str | None:
    values: list[str] = headers.get_all(name)
    return values[0] if values else None


def _date_s(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header.strip()).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _words(error: BaseException | None) -> str:
    """An error in words: its system text if it has one, never the addresses of the machine."""
    if error is None:
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, (socket.gaierror, ssl.SSLError)):
        return str(error.strerror)
    if isinstance(error, OSError):
        # The text of asyncio's "multiple exceptions" and of its connect errors contains addresses and ports.
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return type(error).__name__ if not str(error) else str(error)
