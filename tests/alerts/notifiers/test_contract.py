"""One contract for all notifiers: each row of the table of classes, and nothing that should not leave."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from alerts.calling import CallBody
from alerts.notifiers.base import Delivered, Notifier, Refused
from alerts.notifiers.http import guarded_session
from alerts.notifiers.pagerduty import PagerDutyNotifier
from alerts.notifiers.slack import ERROR_CLASSES, SlackNotifier
from alerts.sinks import Fault, Sinks
from tests.alerts.saying import intent

TOKEN = "xoxb-canary-0123456789"
KEY = "canary-routing-key-0123456789abcdef"
IDS = {"channel": "C1", "ts": "1.000001"}


class Rig:
    """The sinks and a notifier of each kind against them."""

    def __init__(self, sinks: Sinks, slack: Notifier, pagerduty: Notifier) -> None:
        self.sinks, self.slack, self.pagerduty = sinks, slack, pagerduty

    def of(self, kind: str) -> tuple[Notifier, str]:
        return (self.slack, "chat.postMessage") if kind == "slack" else (self.pagerduty, "v2/enqueue")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    sinks = Sinks()
    await sinks.start()
    session = guarded_session(sinks.allowed, total_s=0.5)
    slack = SlackNotifier(token=TOKEN, channel="C1", base_url=sinks.slack_url, session=session)
    pagerduty = PagerDutyNotifier(routing_key=KEY, base_url=sinks.pagerduty_url, session=session)
    yield Rig(sinks, slack, pagerduty)
    await session.close()
    await sinks.stop()


def order(**more: Any) -> CallBody:
    plain = {name: more.pop(name) for name in ("ids", "look_first", "minimal") if name in more}
    return CallBody(intent=intent(**more), **plain)


CASES: list[tuple[str, str, Fault, Refused]] = [
    # kind, what, fault, refused (text is checked on its own)
    ("both", "throttled", Fault("*", status=429, retry_after="7"), Refused("throttled", "", "7")),
    ("both", "throttled, no word when", Fault("*", status=429), Refused("throttled", "")),
    ("both", "throttled, garbage", Fault("*", status=429, retry_after="soon"), Refused("throttled", "", "soon")),
    ("both", "server error", Fault("*", status=500), Refused("transient", "", seen=True)),
    ("both", "server error in HTML", Fault("*", status=503, body="<h1>down</h1>"), Refused("transient", "", seen=True)),
    ("both", "not allowed", Fault("*", status=401), Refused("config", "")),
    ("both", "forbidden", Fault("*", status=403), Refused("config", "")),
    ("both", "redirect", Fault("*", status=302, location="http://127.0.0.1:1/steal"), Refused("config", "")),
    ("both", "permanent redirect", Fault("*", status=308, location="https://evil.example/"), Refused("config", "")),
    ("both", "cut before it took effect", Fault("*", cut="before"), Refused("ambiguous", "", seen=True)),
    ("both", "cut after it took effect", Fault("*", cut="after"), Refused("ambiguous", "", seen=True)),
    ("both", "too slow", Fault("*", delay_s=1.5), Refused("ambiguous", "", seen=True)),
    ("both", "a login page", Fault("*", status=200, body="<html>sign in</html>"), Refused("unknown", "", seen=True)),
    ("both", "an empty 200", Fault("*", status=200, body=""), Refused("unknown", "", seen=True)),
    ("both", "10 MB with 200", Fault("*", status=200, answer_bytes=10_000_000), Refused("unknown", "", seen=True)),
    ("both", "10 MB with 500", Fault("*", status=500, answer_bytes=10_000_000), Refused("transient", "", seen=True)),
    ("pagerduty", "bad event", Fault("*", status=400, body='{"errors":["payload.summary is missing"]}'), Refused("payload", "")),
    ("pagerduty", "bad dedup key", Fault("*", status=400, body='{"errors":["dedup_key is invalid"]}'), Refused("payload", "")),
    ("pagerduty", "wrong key", Fault("*", status=400, body='{"errors":["Routing key is invalid"]}'), Refused("config", "")),
    ("pagerduty", "too large", Fault("*", status=413), Refused("payload", "")),
    ("pagerduty", "ok instead of accepted", Fault("*", status=200, body='{"status":"success"}'), Refused("unknown", "", seen=True)),
    ("slack", "an error nobody knows", Fault("*", error="new_error"), Refused("unknown", "", seen=True)),
    ("slack", "plain text ok", Fault("*", status=200, body="ok"), Refused("unknown", "", seen=True)),
    *(
        ("slack", name, Fault("*", times=2, error=name), Refused(kind, "", seen=kind == "transient"))
        for name, kind in ERROR_CLASSES.items()
    ),
]  # fmt: skip
EACH = [
    pytest.param(kind, fault, refused, id=f"{kind}: {what}")
    for only, what, fault, refused in CASES
    for kind in ("slack", "pagerduty")
    if only in {"both", kind}
]


@pytest.mark.parametrize(("kind", "fault", "refused"), EACH)
async def test_each_answer_has_its_class(
    rig: Rig, kind: str, fault: Fault, refused: Refused, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    notifier, _ = rig.of(kind)
    rig.sinks.script.add(fault)
    outcome = await notifier.send(order())
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.retry_after, outcome.seen) == (refused.kind, refused.retry_after, refused.seen)
    assert 0 < len(outcome.text) <= 4_096
    for secret in (TOKEN, KEY):
        assert secret not in outcome.text + caplog.text + repr(notifier) + repr(outcome)


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
async def test_an_echoed_secret_is_redacted(rig: Rig, kind: str) -> None:
    notifier, endpoint = rig.of(kind)
    rig.sinks.script.add(Fault(endpoint, status=400, body=f"unknown {KEY} {TOKEN} Bearer {TOKEN}"))
    outcome = await notifier.send(order())
    assert isinstance(outcome, Refused)
    assert KEY not in outcome.text
    assert TOKEN not in outcome.text


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
async def test_nobody_listening_is_transient_and_surely_unseen(rig: Rig, kind: str) -> None:
    notifier, _ = rig.of(kind)
    await rig.sinks.stop()
    outcome = await notifier.send(order())
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.seen) == ("transient", False)


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
async def test_each_action_is_accepted(rig: Rig, kind: str) -> None:
    notifier, _ = rig.of(kind)
    opened = await notifier.send(order())
    assert isinstance(opened, Delivered)
    for action in ("update", "note", "resolve", "good"):
        outcome = await notifier.send(
            order(action=action, notification_id=action, ids=dict(opened.ids), duration=36_000)
        )
        assert isinstance(outcome, Delivered), action


async def test_pagerduty_resolves_by_the_same_key_and_never_pages_for_good_news(rig: Rig) -> None:
    for action in ("open", "update", "resolve", "good", "odd"):
        await rig.pagerduty.send(order(action=action, kind="pagerduty", duration=1))
    [incident] = rig.sinks.pagerduty.incidents
    assert (incident["status"], incident["triggers"], incident["dedup_key"]) == ("resolved", 2, "iskra:1")
    assert len(rig.sinks.pagerduty.changes) == 2
    assert rig.sinks.pagerduty.ignored == []


async def test_the_proxy_of_the_environment_is_not_used(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    session = guarded_session(rig.sinks.allowed)
    slack = SlackNotifier(token=TOKEN, channel="C1", base_url=rig.sinks.slack_url, session=session)
    assert isinstance(await slack.send(order()), Delivered)
    await session.close()


Made = Callable[[str], Notifier]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9", "[::1]:9", "169.254.169.254", "10.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0:9",
     "2130706433:9", "0x7f.1:9", "[::ffff:127.0.0.1]:9", "224.0.0.1", "localhost:9"],
)  # fmt: skip
async def test_addresses_that_are_not_public_are_never_reached(host: str) -> None:
    session = guarded_session(())
    for notifier in (
        SlackNotifier(token=TOKEN, channel="C1", base_url=f"http://{host}/api/", session=session),
        PagerDutyNotifier(routing_key=KEY, base_url=f"http://{host}", session=session),
    ):
        outcome = await notifier.send(order())
        assert isinstance(outcome, Refused)
        assert outcome.kind == "config"
        assert "not a public one" in outcome.text or "not a canonical IPv4 address" in outcome.text
    await session.close()


async def test_the_allow_list_is_exact(rig: Rig) -> None:
    session = guarded_session((f"127.0.0.1:{rig.sinks.port + 1}",))
    pagerduty = PagerDutyNotifier(routing_key=KEY, base_url=rig.sinks.pagerduty_url, session=session)
    outcome = await pagerduty.send(order())
    assert isinstance(outcome, Refused)
    assert outcome.kind == "config"
    assert rig.sinks.received == []
    await session.close()
