"""Agents with real sockets: the reference server, the fault proxy, short times."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from iskra.chaos.proxy import FaultProxy
from pipeline.agents.agent import Agent, Link, LinkClosedError, LinkFailedError, SendError
from pipeline.agents.core.link import Phase
from pipeline.agents.core.options import AgentOptions, HeartbeatOptions
from pipeline.agents.reference_server import ReferenceServer
from pipeline.agents.ring import Dropped

from .fakes import FAST, Notebook, until

ROOT = Path(__file__).resolve().parents[3]


class Scene:
    def __init__(self, server: ReferenceServer, proxy: FaultProxy, agent: Agent, notebook: Notebook) -> None:
        self.server, self.proxy, self.agent, self.notebook = server, proxy, agent, notebook

    async def link(self, number: int = 0) -> Link:
        return await self.agent.open(f"l{number}", [self.proxy.urls[number]])


@asynccontextmanager
async def scene(*, links: int = 1, options: AgentOptions = FAST) -> AsyncIterator[Scene]:
    notebook = Notebook()
    async with (
        ReferenceServer() as server,
        FaultProxy("127.0.0.1", server.port, links=links) as proxy,
        Agent("t", options=options, publisher=notebook) as agent,
    ):
        yield Scene(server, proxy, agent, notebook)


async def test_messages_are_iterated_across_reconnects():
    async with scene() as s:
        link = await s.link()
        got = []
        await link.send("one")
        got.append(await anext(link))
        s.proxy.drop([0])
        await until(lambda: link.state is not Phase.CONNECTED)
        await link.send("two")
        async for message in link:
            got.append(message)
            break
        assert got == ["one", "two"]
        assert s.notebook.deltas("t/l0") == ["connection_established", "connection_lost", "connection_recovered"]


async def test_nothing_is_sent_before_the_proof():
    async with scene() as s:
        s.server.faults.mute = True
        link = await s.link()
        sending = asyncio.create_task(link.send("hello"))
        await until(lambda: "connection_unproved" in s.notebook.deltas("t/l0"))
        assert (s.server.messages, sending.done()) == (0, False)
        s.server.faults.mute = False
        receipt = await sending
        assert receipt.session_id.startswith(f"{s.agent.agent_id}/l0.")
        await until(lambda: s.server.messages == 1)


async def test_a_send_that_the_socket_does_not_survive_says_so_and_is_not_repeated():
    async with scene() as s:
        s.server.faults.mute = False
        link = await s.link()
        await link.connected()
        # A peer that takes nothing: the write waits for room until the socket is cut.
        s.server.connections[0].transport.pause_reading()
        sending = asyncio.gather(*(link.send("x" * 900_000) for _ in range(20)), return_exceptions=True)
        await asyncio.sleep(0.05)
        s.proxy.drop([0])
        results = await sending
        assert any(isinstance(result, SendError) for result in results)
        assert SendError("x").retriable


async def test_a_killed_server_is_one_loss_and_one_recovery_within_three_seconds_of_its_return():
    notebook = Notebook()
    server = ReferenceServer()
    await server.start()
    async with Agent("t", publisher=notebook) as agent:  # the times of the product
        link = await agent.open("l0", [f"ws://127.0.0.1:{server.port}/"])
        await asyncio.wait_for(link.connected(), 2)
        server.abort()
        await until(lambda: "connection_failed" in notebook.deltas("t/l0"))
        again = ReferenceServer(port=server.port)
        await again.start()
        await asyncio.wait_for(link.connected(), 3)
        deltas = notebook.deltas("t/l0")
        assert (deltas[0], deltas[1], deltas[-1]) == (
            "connection_established",
            "connection_lost",
            "connection_recovered",
        )
        assert set(deltas[2:-1]) == {"connection_failed"}
        await link.close()
        await again.stop()


async def test_a_stopping_server_announces_itself_and_is_no_harm():
    notebook = Notebook()
    async with ReferenceServer() as server, Agent("t", options=FAST, publisher=notebook) as agent:
        link = await agent.open("l0", [f"ws://127.0.0.1:{server.port}/"])
        await link.connected()
        await server.close_all(1001, "going\x07away")
        await until(lambda: "connection_recovered" in notebook.deltas("t/l0"))
        lost = next(event for event in notebook.events if event.delta == "connection_closed_by_peer")
        assert lost.data is not None
        assert (lost.data.close_code, lost.data.reason) == (1001, "going\\x07away")


async def test_a_half_open_socket_is_found_and_replaced():
    async with scene() as s:
        link = await s.link()
        await link.connected()
        await asyncio.sleep(0.3)
        s.proxy.swallow([0])
        await until(lambda: "zombie_detected" in s.notebook.deltas("t/l0"))
        s.proxy.heal()
        await until(lambda: link.state is Phase.CONNECTED)
        told = s.notebook.deltas("t/l0")
        assert told[told.index("heartbeat_missed") :][:2] == ["heartbeat_missed", "zombie_detected"]
        assert told[-1] == "connection_recovered"


async def test_cut_links_are_refused_until_healed_and_the_others_never_notice():
    async with scene(links=6) as s:
        links = [await s.link(number) for number in range(6)]
        await asyncio.gather(*(link.connected() for link in links))
        s.proxy.cut([0, 1, 2, 3])
        await until(lambda: all("connection_failed" in s.notebook.deltas(f"t/l{n}") for n in range(4)))
        assert [link.state is Phase.CONNECTED for link in links] == [False] * 4 + [True] * 2
        s.proxy.heal()
        await asyncio.gather(*(link.connected() for link in links))
        await until(lambda: "correlated_loss" in s.notebook.deltas("agent:t"))
        assert s.notebook.deltas("t/l4") == ["connection_established"]
        collective = next(event for event in s.notebook.events if event.delta == "correlated_loss")
        assert collective.data is not None
        assert collective.data.model_dump()["links_lost"] == 4


async def test_a_user_who_stops_reading_costs_no_reconnect():
    async with scene() as s:
        link = await s.link()
        await link.connected()
        for number in range(1_100):
            await link.send(f"{number}")
        await asyncio.sleep(1.5)  # ten heartbeats
        assert s.notebook.deltas("t/l0") == ["connection_established"]
        assert [await anext(link) for _ in range(1_100)] == [f"{number}" for number in range(1_100)]


async def test_a_standing_loop_is_our_fault_and_is_told_as_such():
    options = replace(FAST, heartbeat=HeartbeatOptions(interval_ms=300, pong_timeout_least_ms=200, lag_tick_ms=50))
    async with scene(options=options) as s:
        link = await s.link()
        await link.connected()
        await asyncio.sleep(0.4)
        time.sleep(1.2)  # noqa: ASYNC251 - the fault itself
        await asyncio.sleep(0.5)
        assert s.notebook.deltas("agent:t") == ["agent_started", "local_stall_detected"]
        assert s.notebook.deltas("t/l0")[:1] == ["connection_established"]
        assert not {"heartbeat_missed", "zombie_detected"} & set(s.notebook.deltas("t/l0"))


async def test_a_link_that_needs_a_human_says_so_to_its_user():
    async with scene() as s:
        s.server.faults.status = 401
        link = await s.link()
        with pytest.raises(LinkFailedError, match="l0: auth: HTTP 401"):
            await anext(link)
        with pytest.raises(LinkFailedError):
            await link.send("x")
        assert s.notebook.deltas("t/l0") == ["auth_rejected", "auth_rejected", "connection_abandoned"]
        s.server.faults.status = None
        link.reopen()
        await link.connected()


async def test_closing_a_link_ends_its_iteration_and_its_sends():
    async with scene() as s:
        link = await s.link()
        await link.send("last")
        await until(lambda: link.state is Phase.CONNECTED and s.server.messages == 1)
        await link.close()
        assert [message async for message in link] in ([], ["last"])
        with pytest.raises(LinkClosedError):
            await link.send("x")
        assert s.notebook.deltas("t/l0") == ["connection_established", "connection_closed"]
        await until(lambda: not s.server.connections)


async def test_the_end_of_an_agent_closes_every_link_and_says_so_last():
    async with scene(links=3) as s:
        for number in range(3):
            await (await s.link(number)).connected()
    assert [event.delta for event in s.notebook.events][-4:] == ["connection_closed"] * 3 + ["agent_stopped"]
    assert [event.seq for event in s.notebook.events] == list(range(len(s.notebook.events)))
    assert await s.agent.close() == 0  # a second time changes nothing
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in tasks if "link" in task.get_name()] == []


async def test_each_link_and_the_agent_speak_once_per_interval():
    async with scene(links=2) as s:
        for number in range(2):
            await (await s.link(number)).connected()
        await asyncio.sleep(1.3)
        for connection, delta in (("t/l0", "heartbeat_summary"), ("agent:t", "agent_report")):
            count = sum(event.connection_id == connection and event.delta == delta for event in s.notebook.events)
            assert 3 <= count <= 7


async def test_dropped_telemetry_is_announced_and_every_link_restates_itself():
    async with scene() as s:
        await (await s.link()).connected()
        s.notebook.dropped = Dropped({"connection_lost": 2, "heartbeat_summary": 1}, ((3, 4), (9, 9)))
        await until(lambda: "telemetry_dropped" in s.notebook.deltas("agent:t"))
        told = next(event for event in s.notebook.events if event.delta == "telemetry_dropped")
        assert told.data is not None
        assert told.data.model_dump() == {
            "dropped": 3,
            "seq_ranges": "3-4, 9-9",
            "dropped_connection_lost": 2,
            "dropped_heartbeat_summary": 1,
        }
        place = s.notebook.events.index(told)
        assert s.notebook.events[place + 1].delta == "link_reported_up"


async def test_what_others_saw_is_reported_and_checked():
    async with scene() as s:
        said = s.agent.observe("connection_lost", connection_id="c-17", omega=0.9, data={"close_code": 1006})
        assert s.notebook.events[-1] is said
        assert said.model_dump(mode="json", exclude={"ts", "seq", "event_id"}) == {
            "delta": "connection_lost",
            "omega": 0.9,
            "connection_id": "c-17",
            "agent_id": s.agent.agent_id,
            "data": {"close_code": 1006},
            "schema_version": "1.0",
        }
        with pytest.raises(ValueError, match=r"\$\.omega: "):
            s.agent.observe("connection_lost", connection_id="c-17", omega=1.5)
        with pytest.raises(ValueError, match=r"\$\.data\.close_code: "):
            s.agent.observe("connection_lost", connection_id="c-17", data={"close_code": 12})
        following = s.agent.observe(
            "own_delta",
            connection_id="c-17",
            dimension=2,
            omega=0.5,
            lambda_="look_again",
            seam_id="ours",
            voice_pain=0.4,
        )
        assert following.seq == (said.seq or 0) + 1


@pytest.mark.parametrize(
    ("link_id", "urls", "message"),
    [
        ("a", [], "at least one"),
        ("a", "ws://h/", "a list"),
        ("a", ["http://h/"], "http://h/: ws://"),
        ("a", ["ws:///x"], "and a host"),
        ("a", ["ws://user:secret@h/"], "url ws://h/: no user information"),
        ("", ["ws://h/"], "link id"),
        ("a/b", ["ws://h/"], "link id"),
        ("l" * 65, ["ws://h/"], "link id"),
    ],
)
async def test_what_cannot_be_a_link_is_refused_before_anything_starts(link_id, urls, message):
    async with Agent("t", options=FAST, publisher=Notebook()) as agent:
        with pytest.raises(ValueError, match=message) as caught:
            await agent.open(link_id, urls)
        assert "secret" not in str(caught.value)
        assert agent.links == {}


async def test_ids_are_unique_and_queries_are_not_told():
    async with scene() as s:
        url = f"{s.proxy.urls[0]}?token=secret"
        link = await s.agent.open("a", [url], connection_id="c-1")
        await link.connected()
        with pytest.raises(ValueError, match="taken"):
            await s.agent.open("a", [url])
        with pytest.raises(ValueError, match="connection id"):
            await s.agent.open("b", [url], connection_id="x\n")
        assert link.connection_id == "c-1"
        assert "secret" not in "".join(event.model_dump_json() for event in s.notebook.events)


async def test_an_agent_that_does_not_run_opens_nothing():
    agent = Agent("t", publisher=Notebook())
    with pytest.raises(RuntimeError, match="async with"):
        await agent.open("a", ["ws://h/"])
    with pytest.raises(ValueError, match="name"):
        Agent("a/b", publisher=Notebook())


def test_importing_the_agent_loads_neither_faust_nor_aiohttp_nor_kafka():
    code = "import sys; from iskra import Agent; print([m for m in ('faust', 'mode', 'aiohttp', 'aiokafka', 'kafka') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout == "[]\n"


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_serve_and_run_prove_in_two_seconds_and_end_cleanly_on_sigterm():
    serve = "import asyncio; from pipeline.agents.running import serve; raise SystemExit(asyncio.run(serve('127.0.0.1', 0)))"
    run = "import asyncio, sys; from pipeline.agents.running import run; raise SystemExit(asyncio.run(run(sys.argv[1:], publisher='stdout')))"
    server = subprocess.Popen([sys.executable, "-c", serve], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    agent = None
    try:
        assert server.stderr is not None
        url = server.stderr.readline().split()[-1]
        agent = subprocess.Popen(
            [sys.executable, "-c", run, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert agent.stderr is not None
        line = agent.stderr.readline()
        assert "proved" in line
        # 2 s by itself; it is reckoned in the time of the processor, for other tests may run beside this one.
        assert _processor_seconds(agent.pid) < 2
        agent.terminate()
        out, _ = agent.communicate(timeout=10)
        deltas = [json.loads(text)["delta"] for text in out.splitlines()]
        assert deltas == ["agent_started", "connection_established", "connection_closed", "agent_stopped"]
        assert agent.returncode == 0
        server.terminate()
        assert server.wait(10) == 0
    finally:
        for process in (server, agent):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.communicate()


def test_events_that_kafka_did_not_take_make_exit_code_three_and_a_number():
    run = (
        "import asyncio; from pipeline.agents.running import run; from pipeline.agents.core.options import *; "
        "raise SystemExit(asyncio.run(run(['ws://127.0.0.1:1/'], kafka=KafkaTarget('127.0.0.1:1'), "
        "options=AgentOptions(stop=StopOptions(flush_ms=200)))))"
    )
    agent = subprocess.Popen([sys.executable, "-c", run], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert agent.stderr is not None
        assert "down: network: ECONNREFUSED" in agent.stderr.readline()
        agent.terminate()
        _, talk = agent.communicate(timeout=20)
        assert agent.returncode == 3
        assert "events were not taken by Kafka" in talk
    finally:
        if agent.poll() is None:
            agent.kill()
        agent.communicate()
