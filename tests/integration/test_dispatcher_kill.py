"""kill -9 of the dispatcher between announce, request, reply and ledger, with Slack's and PagerDuty's rules enforced."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from ..alerts.saying import spoken
from .processes import ROOT, WorkerProcess, environment, eventually, iskra, worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PREFIX = "dispatch"
ENTRY = "iskra.chaos.crashing"
GREEN = "#2EB67D"

POINTS = (
    "intent.received:1",
    "sending.committed:1",
    "request.sent:1",
    "request.sent:2",
    "reply.ok:1",
    "commit.acked:2",
)
"""A point and how often it is passed before the kill: announce, request, reply, and the commits with the ledger in them."""

REPEATING = ("request.sent", "reply.ok")
"""Only here nobody can know whether Slack took the post."""


class Receivers:
    """The fake vendors as a process of their own."""

    def __init__(self, directory: Path) -> None:
        where = directory / "sinks.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "alerts.sinks", "--port-file", str(where)], env=environment({}), cwd=ROOT
        )
        eventually(where.exists, within_s=20, what="the sinks")
        self.urls = json.loads(where.read_text())

    def state(self) -> dict[str, Any]:
        """Messages and incidents as people would see them."""
        with urllib.request.urlopen(f"{self.urls['base']}/state", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def messages(self, seam: str) -> list[dict[str, Any]]:
        """Root messages about this seam."""
        return [message for message in self.state()["slack"]["messages"] if seam in message["first_text"]]

    def incidents(self, seam: str) -> list[dict[str, Any]]:
        """Incidents about this seam."""
        return [one for one in self.state()["pagerduty"]["incidents"] if seam in one["payload"]["summary"]]


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    running = Receivers(tmp_path_factory.mktemp("sinks"))
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture(scope="module")
def settings(broker: str, receivers: Receivers) -> dict[str, str]:
    return {
        "ISKRA_PROFILE": "demo",
        "ISKRA_KAFKA__BOOTSTRAP": broker,
        "ISKRA_KAFKA__TOPIC_PREFIX": PREFIX,
        "ISKRA_ALERTS__SLACK__TOKEN": "xoxb-canary",
        "ISKRA_ALERTS__SLACK__CHANNEL": "C0ONCALL",
        "ISKRA_ALERTS__SLACK__BASE_URL": receivers.urls["slack"],
        "ISKRA_ALERTS__PAGERDUTY__ROUTING_KEY": "canary",
        "ISKRA_ALERTS__PAGERDUTY__BASE_URL": receivers.urls["pagerduty"],
    }


@pytest.fixture(scope="module")
def say(broker: str, settings: dict[str, str]) -> Iterator[Callable[..., None]]:
    """Puts a voice on the voice topic, with a router at work."""
    assert iskra("topics", "apply", "--partitions", "1", settings=settings).returncode == 0
    producer = KafkaProducer(bootstrap_servers=broker, acks="all")

    def said(what: str, seam: str, end: int, **more: Any) -> None:
        record = spoken(what, subject=f"seam:{seam}", end=end, **more)
        value = record.model_dump_json(by_alias=True, exclude_none=True).encode()
        producer.send(f"{PREFIX}.voices.v1", key=f"seam:{seam}".encode(), value=value).get(10)

    with worker("router-0", settings):
        yield said
    producer.close()


def _crashed(settings: dict[str, str], at: str, speak: Callable[[], None]) -> None:
    """A dispatcher that dies by SIGKILL at this point of the work that ``speak`` makes."""
    victim = WorkerProcess("dispatcher-0", {**settings, "CRASH_AT": at}, ENTRY)
    try:
        victim.wait_ready()
        speak()
        eventually(
            lambda: victim.process.poll() is not None, within_s=20, what=lambda: f"killed at {at}\n{victim.tail()}"
        )
        assert victim.process.returncode == -9, victim.tail()
    finally:
        victim.kill()


@pytest.mark.parametrize("at", POINTS)
def test_a_kill_costs_at_most_one_repeated_post_never_an_incident_never_a_resolve(
    at: str, settings: dict[str, str], say: Callable[..., None], receivers: Receivers
) -> None:
    seam = f"seam_{at.replace('.', '_').replace(':', '_')}"
    end = int(time.time() * 1000)

    _crashed(settings, at, lambda: say("raise", seam, end, episode=f"episode-{seam}"))
    with worker("dispatcher-0", settings) as dispatcher:
        eventually(lambda: receivers.messages(seam) and receivers.incidents(seam), within_s=30, what=dispatcher.tail)
        assert dispatcher.terminate() == 0
    _crashed(
        settings, at, lambda: say("clear", seam, end + 2_000, since=end, episode=f"episode-{seam}", pain=0.2, trust=0.8)
    )
    with worker("dispatcher-0", settings) as dispatcher:

        def over() -> bool:
            last = receivers.messages(seam)[-1]
            green = any(bar.get("color") == GREEN for bar in last["attachments"])
            return green and receivers.incidents(seam)[0]["status"] == "resolved"

        eventually(over, within_s=30, what=lambda: f"{receivers.messages(seam)}\n{dispatcher.tail()}")
        assert dispatcher.terminate() == 0
    assert len(receivers.messages(seam)) <= (2 if at.startswith(REPEATING) else 1)
    assert len(receivers.incidents(seam)) == 1
