from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession

from alerts.sinks import Fault, Sinks


async def test_state_faults_and_record_over_http(tmp_path: Path) -> None:
    sinks = Sinks(record_to=tmp_path / "received.jsonl")
    await sinks.start()
    message = {"channel": "C1", "text": "hello"}
    headers = {"Authorization": "Bearer xoxb-canary"}
    async with ClientSession() as session:
        taken = await session.post(
            f"{sinks.base}/faults", json=[{"endpoint": "chat.postMessage", "status": 503, "retry_after": "9"}]
        )
        assert await taken.json() == {"taken": 1}
        assert (await session.post(f"{sinks.base}/faults", json=[{"nonsense": 1}])).status == 400
        first = await session.post(f"{sinks.slack_url}chat.postMessage", json=message, headers=headers)
        assert (first.status, first.headers["Retry-After"]) == (503, "9")
        second = await session.post(f"{sinks.slack_url}chat.postMessage", json=message, headers=headers)
        assert (await second.json())["ok"] is True
        await session.post(
            f"{sinks.pagerduty_url}/v2/enqueue",
            json={"routing_key": "canary", "event_action": "resolve", "dedup_key": "k"},
        )
        state = await (await session.get(f"{sinks.base}/state")).json()
    await sinks.stop()
    assert [one["text"] for one in state["slack"]["messages"]] == ["hello"]
    assert len(state["pagerduty"]["ignored"]) == 1
    text = (tmp_path / "received.jsonl").read_text()
    assert [(one["endpoint"], one["status"]) for one in map(json.loads, text.splitlines())] == [
        ("chat.postMessage", 503),
        ("chat.postMessage", 200),
        ("v2/enqueue", 202),
    ]
    assert "canary" not in text


def test_faults_are_used_up_in_order() -> None:
    sinks = Sinks()
    sinks.script.add(Fault("a", times=2, status=500), Fault("*", status=501), Fault("b"))
    assert [fault.status if (fault := sinks.script.next_for(name)) else None for name in "aaab"] == [
        500,
        500,
        501,
        None,
    ]
    sinks.script.add(Fault("a"))
    sinks.script.clear()
    assert sinks.script.next_for("a") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_sinks_run_as_a_process_and_end_when_asked(tmp_path: Path, number: int) -> None:
    port_file = tmp_path / "ports.json"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "alerts.sinks", "--port-file", str(port_file))
    try:
        async with asyncio.timeout(20):
            while not port_file.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        where = json.loads(port_file.read_text())
        async with ClientSession() as session:
            answer = await session.post(where["slack"] + "auth.test", headers={"Authorization": "Bearer xoxb-1"})
            assert (await answer.json())["ok"] is True
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
