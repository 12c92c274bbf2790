"""The reference server's modes and switches, with a plain client."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pipeline.agents.reference_server import ReferenceServer


def url(server: ReferenceServer, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


async def test_echo_answers_the_sender_and_broadcast_answers_all():
    async with ReferenceServer() as server, connect(url(server)) as one, connect(url(server)) as two:
        await one.send("a")
        assert await one.recv() == "a"
        server.mode = "broadcast"
        await one.send("b")
        assert (await one.recv(), await two.recv()) == ("b", "b")
        assert (server.attempts, server.messages, len(server.connections)) == (2, 2, 2)


async def test_a_status_switch_refuses_upgrades_until_it_is_turned_off():
    async with ReferenceServer() as server:
        server.faults.status, server.faults.retry_after = 503, "3"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url(server))
        assert (refused.value.response.status_code, refused.value.response.headers["Retry-After"]) == (503, "3")
        server.faults.status = None
        async with connect(url(server)):
            pass


async def test_health_is_answered_even_while_upgrades_are_refused():
    async with ReferenceServer() as server:
        server.faults.status = 503
        with pytest.raises(InvalidStatus) as answer:
            await connect(url(server, "/health"))
        assert answer.value.response.status_code == 200


async def test_a_close_switch_closes_each_new_connection():
    async with ReferenceServer() as server:
        server.faults.close_code, server.faults.close_after_ms = 4001, 20
        async with connect(url(server)) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001


async def test_a_mute_server_upgrades_and_answers_no_ping():
    async with ReferenceServer() as server:
        server.faults.mute = True
        client = await connect(url(server), close_timeout=0.1)
        pong = await client.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.2)
        client.transport.abort()


async def test_a_stop_closes_with_a_code_and_frees_the_port_and_a_second_stop_does_nothing():
    server = ReferenceServer()
    await server.start()
    async with connect(url(server)) as client:
        await server.stop(code=1012)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    await server.stop()
    server.abort()
    assert server.connections == ()
    async with ReferenceServer(port=server.port):
        pass
