"""What exceptions of a real WebSocket attempt say, and a socket that is cut."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidUpgrade
from websockets.frames import Close

from pipeline.agents.core.evidence import Evidence, Source
from pipeline.agents.core.heartbeat import payload, read_payload
from pipeline.agents.core.options import ConnectOptions
from pipeline.agents.reference_server import ReferenceServer
from pipeline.agents.transports.base import AttemptError, SocketError
from pipeline.agents.transports.ws import WebSocketSocket, evidence_of_close, evidence_of_error, open_websocket


class Ears:
    def __init__(self) -> None:
        self.heard_times = 0
        self.pongs: asyncio.Queue[bytes] = asyncio.Queue()

    def heard(self) -> None:
        self.heard_times += 1

    def ponged(self, payload: bytes) -> None:
        self.pongs.put_nowait(payload)


async def attempt(url: str, ears: Ears | None = None, options: ConnectOptions | None = None) -> WebSocketSocket:
    return await open_websocket(
        url, ears or Ears(), options or ConnectOptions(), headers=(), wall=lambda: 1_800_000_000_000
    )


async def failure(url: str) -> Evidence:
    with pytest.raises(AttemptError) as caught:
        await attempt(url)
    return caught.value.evidence


async def end_of(connection: WebSocketSocket) -> Evidence:
    while True:
        try:
            await asyncio.wait_for(connection.receive(), 5)
        except SocketError as lost:
            return lost.evidence


async def test_messages_come_back_and_any_byte_is_heard():
    ears = Ears()
    async with ReferenceServer() as server:
        connection = await attempt(f"ws://127.0.0.1:{server.port}/", ears)
        await connection.send("text")
        await connection.send(b"bytes")
        assert [await connection.receive(), await connection.receive()] == ["text", b"bytes"]
        assert ears.heard_times > 0
        await connection.close(1000)
        assert await end_of(connection) == Evidence(Source.PEER_CLOSE, code=1000)
    assert server.messages == 2


async def test_a_pong_brings_our_own_payload_back():
    ears = Ears()
    async with ReferenceServer() as server:
        connection = await attempt(f"ws://127.0.0.1:{server.port}/", ears)
        await connection.ping(payload(7, 99))
        assert read_payload(await asyncio.wait_for(ears.pongs.get(), 5)) == (7, 99)
        connection.abort()
        await connection.ping(payload(8, 99))  # a lost socket is told by receive, not here
        assert (await end_of(connection)).source is Source.SYSTEM


async def test_a_port_that_nobody_listens_on_is_refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await failure(f"ws://127.0.0.1:{port}/") == Evidence(Source.SYSTEM, reason="ECONNREFUSED")


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (503, "7", Evidence(Source.HTTP, code=503, reason="HTTP 503", retry_after_ms=7_000)),
        (
            429,
            "Fri, 15 Jan 2027 08:00:10 GMT",
            Evidence(Source.HTTP, code=429, reason="HTTP 429", retry_after_ms=10_000),
        ),
        (429, "when I say so", Evidence(Source.HTTP, code=429, reason="HTTP 429")),
        (403, None, Evidence(Source.HTTP, code=403, reason="HTTP 403")),
    ],
)
async def test_a_refused_upgrade_is_a_status_and_what_it_asks_for(status, header, expected):
    async with ReferenceServer() as server:
        server.faults.status, server.faults.retry_after = status, header
        assert await failure(f"ws://127.0.0.1:{server.port}/") == expected


async def test_a_peer_that_speaks_no_http_breaks_the_protocol_and_one_that_hangs_up_is_lost():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(words)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    for words, source in ((b"220 mail ready\r\n\r\n", Source.OUR_CLOSE), (b"", Source.SYSTEM)):
        server = await asyncio.start_server(lambda r, w, words=words: answer(r, w, words), "127.0.0.1", 0)  # type: ignore[misc]  # bound now
        assert (await failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")).source is source
        server.close()
        await server.wait_closed()


async def test_a_redirect_to_another_host_is_not_followed():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://localhost:1/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    seen = await failure(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert seen == Evidence(Source.HTTP, code=302, reason="HTTP 302")
    server.close()
    await server.wait_closed()


async def test_a_message_beyond_the_limit_closes_with_1009_from_our_side():
    async with ReferenceServer() as server:
        connection = await attempt(f"ws://127.0.0.1:{server.port}/", options=ConnectOptions(max_message_bytes=100))
        await connection.send("x" * 101)
        seen = await end_of(connection)
        assert (seen.source, seen.code) == (Source.OUR_CLOSE, 1009)
        with pytest.raises(SocketError):
            await connection.send("more")


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4999])
async def test_a_close_frame_of_the_peer_is_what_counts(code):
    async with ReferenceServer() as server:
        server.faults.close_code = code
        connection = await attempt(f"ws://127.0.0.1:{server.port}/")
        assert await end_of(connection) == Evidence(Source.PEER_CLOSE, code=code, reason="closed by a fault switch")


async def test_a_killed_server_ends_the_stream_without_a_close_frame():
    server = ReferenceServer()
    await server.start()
    connection = await attempt(f"ws://127.0.0.1:{server.port}/")
    server.abort()
    seen = await end_of(connection)
    assert (seen.source, seen.code) == (Source.SYSTEM, 1006)


async def test_a_dead_peer_cannot_hold_up_a_cut():
    async with ReferenceServer() as server:
        server.faults.mute = True
        connection = await attempt(f"ws://127.0.0.1:{server.port}/")
        started = time.monotonic()
        connection.abort()
        assert (await end_of(connection)).source is Source.SYSTEM
        assert time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Evidence(Source.SYSTEM, reason="ECONNREFUSED")),
        (OSError(errno.EMFILE, "x"), Evidence(Source.LOCAL, reason="EMFILE")),
        (OSError("Multiple exceptions: [Errno 111] … ('10.0.0.1', 80)"), Evidence(Source.SYSTEM, reason="OSError")),
        (TimeoutError(errno.ETIMEDOUT, "x"), Evidence(Source.TIMER, reason="ETIMEDOUT")),
        (socket.gaierror(-2, "Name or service not known"), Evidence(Source.NAME, reason="Name or service not known")),
        (ssl.SSLError(1, "handshake failure"), Evidence(Source.TLS, reason="handshake failure")),
        (InvalidUpgrade("Upgrade", "h2c"), Evidence(Source.OUR_CLOSE, code=1002, reason="invalid Upgrade header: h2c")),
        (InvalidMessage("nothing came"), Evidence(Source.SYSTEM, reason="nothing came")),
        (EOFError(), Evidence(Source.SYSTEM, reason="EOFError")),
        (KeyError("odd"), Evidence(Source.UNKNOWN, reason="'odd'")),
    ],
)
def test_each_error_of_an_attempt_is_evidence(error, expected):
    assert evidence_of_error(error, 0) == expected


@pytest.mark.parametrize(
    ("received", "sent", "ours_first", "expected"),
    [
        (Close(1001, "bye"), Close(1001, ""), True, Evidence(Source.PEER_CLOSE, code=1001, reason="bye")),
        (Close(1000, ""), Close(1000, ""), False, Evidence(Source.PEER_CLOSE, code=1000)),
        (None, Close(1002, "bad frame"), None, Evidence(Source.OUR_CLOSE, code=1002, reason="bad frame")),
        (Close(1002, ""), Close(1002, "bad frame"), False, Evidence(Source.OUR_CLOSE, code=1002, reason="bad frame")),
        (None, Close(1000, ""), None, Evidence(Source.SYSTEM, code=1006, reason="stream ended without a close frame")),
        (None, None, None, Evidence(Source.SYSTEM, code=1006, reason="stream ended without a close frame")),
    ],
)
def test_each_end_of_a_socket_is_evidence_of_who_began_it(received, sent, ours_first, expected):
    assert evidence_of_close(ConnectionClosedError(received, sent, ours_first)) == expected
