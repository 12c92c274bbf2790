"""The fault proxy, with plain TCP on both sides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from iskra.chaos.proxy import FaultProxy, Way


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1_000):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxied(links: int) -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with FaultProxy("127.0.0.1", server.sockets[0].getsockname()[1], links=links) as proxy:
        yield proxy
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, proxy: FaultProxy, link: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.ports[link]))

    async def ask(self, words: bytes) -> bytes:
        self.writer.write(words)
        return await asyncio.wait_for(self.reader.readexactly(len(words)), 5)

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 5) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.writer.close()


async def test_bytes_pass_both_ways_and_the_end_passes_too():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        assert await client.ask(b"hello") == b"hello"
        assert (proxy.open_links, proxy.accepted) == ((0,), (1,))
        client.writer.write_eof()
        assert await client.ended()
        client.close()


async def test_a_cut_takes_the_chosen_links_and_refuses_them_until_they_are_healed():
    async with proxied(4) as proxy:
        clients = [await Client.to(proxy, link) for link in range(4)]
        for client in clients:
            await client.ask(b"x")
        proxy.cut([1, 3])
        assert await clients[1].ended()
        assert await clients[3].ended()
        assert [await clients[link].ask(b"y") for link in (0, 2)] == [b"y", b"y"]
        refused = await Client.to(proxy, 1)
        assert await refused.ended()
        proxy.heal([1])
        healed = await Client.to(proxy, 1)
        assert await healed.ask(b"z") == b"z"
        assert await (await Client.to(proxy, 3)).ended()
        for client in (*clients, refused, healed):
            client.close()


async def test_a_drop_is_once():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        await client.ask(b"x")
        proxy.drop([0])
        assert await client.ended()
        again = await Client.to(proxy, 0)
        assert await again.ask(b"y") == b"y"
        again.close()


async def test_a_delay_holds_bytes_back_each_way_in_order():
    async with proxied(2) as proxy:
        slow, quick = await Client.to(proxy, 0), await Client.to(proxy, 1)
        await slow.ask(b"x")
        proxy.delay([0], each_way_ms=100)
        started = time.monotonic()
        assert await slow.ask(b"0123456789") == b"0123456789"
        assert 0.2 <= time.monotonic() - started < 2
        slow.writer.write(b"first")
        await asyncio.sleep(0.02)
        proxy.heal()
        slow.writer.write(b"second")
        assert await asyncio.wait_for(slow.reader.readexactly(11), 5) == b"firstsecond"
        assert await quick.ask(b"y") == b"y"
        slow.close()
        quick.close()


async def test_a_swallowed_link_takes_bytes_and_gives_none():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        await client.ask(b"x")
        proxy.swallow([0])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ask(b"y"), 0.2)
        client.close()


async def test_half_a_link_hears_but_is_not_heard():
    async with proxied(2) as proxy:
        unheard, deaf = await Client.to(proxy, 0), await Client.to(proxy, 1)
        await unheard.ask(b"x")
        await deaf.ask(b"x")
        proxy.swallow([0], Way.THERE)
        proxy.swallow([1], Way.BACK)
        before = proxy.touched
        for client in (unheard, deaf):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.ask(b"y"), 0.2)
        assert proxy.touched == tuple(times + 1 for times in before)
        proxy.heal([0])
        assert await unheard.ask(b"z") == b"z"  # the y never reached the server: it would come back first
        unheard.close()
        deaf.close()


async def test_a_narrow_link_passes_no_more_than_its_bits_a_second():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        await client.ask(b"x")
        proxy.narrow([0], bits_a_s=80_000)
        started = time.monotonic()
        assert await client.ask(b"x" * 1_000) == b"x" * 1_000  # 0.1 s there, 0.1 s back
        assert 0.2 <= time.monotonic() - started < 2
        client.close()


async def test_sliced_bytes_come_piece_by_piece_and_whole():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        proxy.slice([0], size=1)
        words = bytes(range(256)) * 4
        assert await client.ask(words) == words
        assert proxy.touched[0] > 0
        client.close()


async def test_a_limited_connection_is_reset_after_its_bytes():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        await client.ask(b"x" * 10)
        proxy.limit([0], after_bytes=15)
        assert await client.ask(b"y" * 5) == b"y" * 5
        client.writer.write(b"z")
        assert await client.ended()
        client.close()


async def test_a_link_that_is_down_refuses_and_comes_back_on_its_port():
    async with proxied(1) as proxy:
        client = await Client.to(proxy, 0)
        await client.ask(b"x")
        port = proxy.ports[0]
        proxy.down([0])
        assert await client.ended()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await proxy.up([0])
        assert proxy.ports == (port,)
        again = await Client.to(proxy, 0)
        assert await again.ask(b"y") == b"y"
        client.close()
        again.close()


async def test_each_link_may_have_an_upstream_of_its_own():
    servers = [await asyncio.start_server(_shout(word), "127.0.0.1", 0) for word in (b"a", b"b")]
    async with FaultProxy.before([server.sockets[0].getsockname() for server in servers]) as proxy:
        clients = [await Client.to(proxy, link) for link in (0, 1)]
        assert [await client.reader.readexactly(1) for client in clients] == [b"a", b"b"]
        for client in clients:
            client.close()
    for server in servers:
        server.close()


def _shout(word: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    return lambda _reader, writer: writer.write(word)


async def test_an_upstream_that_is_gone_ends_the_connection_and_a_stop_leaves_nothing():
    async with FaultProxy("127.0.0.1", 1, links=1) as proxy:
        client = await Client.to(proxy, 0)
        assert await client.ended()
        client.close()
        port = proxy.ports[0]
        assert proxy.urls == (f"ws://127.0.0.1:{port}/",)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
