from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from alerts.calling import CallBody
from alerts.notifiers.base import Delivered, Refused
from alerts.notifiers.http import guarded_session
from alerts.notifiers.slack import SlackNotifier
from alerts.sinks import Fault, Sinks
from alerts.sinks.slack import SlackSink
from tests.alerts.saying import intent


class Channel:
    """A notifier, its channel, and what stands there."""

    def __init__(self, sinks: Sinks, slack: SlackNotifier) -> None:
        self.sinks, self.slack = sinks, slack

    async def send(self, **more: Any) -> Delivered:
        plain = {name: more.pop(name) for name in ("ids", "look_first", "minimal") if name in more}
        outcome = await self.slack.send(CallBody(intent=intent(**more), **plain))
        assert isinstance(outcome, Delivered), outcome
        return outcome

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(one["endpoint"], one["answer"].get("error", "ok")) for one in self.sinks.received]


@pytest.fixture
async def channel(request: pytest.FixtureRequest) -> AsyncIterator[Channel]:
    options = getattr(request, "param", {})
    sinks = Sinks(slack=SlackSink(lambda: 1_000.0, burst=100, **options))
    await sinks.start()
    session = guarded_session(sinks.allowed)
    yield Channel(sinks, SlackNotifier(token="xoxb-1", channel="C1", base_url=sinks.slack_url, session=session))
    await session.close()
    await sinks.stop()


async def test_the_message_is_edited_in_place_and_notes_go_to_its_thread(channel: Channel) -> None:
    ids = dict((await channel.send()).ids)
    assert ids == {"channel": "C1", "ts": "1000.000001"}
    await channel.send(action="note", why="escalated", told_voice="Concern", notification_id="n-2", ids=ids)
    await channel.send(action="resolve", why="all_resolved", notification_id="n-3", ids=ids, duration=36_000)
    [root] = channel.sinks.slack.state()
    assert (root["edits"], root["attachments"][0]["text"]) == (2, "over")
    assert [(one["text"], one["broadcast"]) for one in root["replies"]] == [
        ("▲ From Concern to Alarm: pain .68 → .81 is above .70.", True)
    ]


@pytest.mark.parametrize("channel", [{"charts": False}], indirect=True)
async def test_a_workspace_without_charts_gets_text_and_is_remembered(channel: Channel) -> None:
    await channel.send()
    await channel.send(notification_id="n-2")
    assert channel.calls == [
        ("chat.postMessage", "invalid_blocks"),
        ("chat.postMessage", "ok"),
        ("chat.postMessage", "ok"),
    ]
    texts = [block["text"]["text"] for block in channel.sinks.slack.messages[0]["blocks"] if block["type"] == "section"]
    assert texts[1] == "`pain  ▆▇ .81`\n`chaos ▁▁ .12`\n`trust ▅▄ .44`"


async def test_a_message_that_arrived_is_found_and_not_posted_again(channel: Channel) -> None:
    first = await channel.send()
    assert await channel.send(look_first=True) == Delivered(first.ids)
    assert len(channel.sinks.slack.messages) == 1


async def test_a_reply_that_arrived_is_found_in_its_thread(channel: Channel) -> None:
    ids = dict((await channel.send()).ids)
    note = {"action": "note", "why": "stale", "notification_id": "n-2", "ids": ids}
    await channel.send(**note)
    await channel.send(**note, look_first=True)
    assert len(channel.sinks.slack.messages) == 2


async def test_a_message_that_is_not_found_is_posted_again_and_marked(channel: Channel) -> None:
    await channel.send(notification_id="other")
    await channel.send(look_first=True)
    assert ["possible duplicate" in one["text"] for one in channel.sinks.slack.messages] == [False, True]


@pytest.mark.parametrize("channel", [{"can_read": False}], indirect=True)
async def test_without_the_right_to_read_it_is_posted_again_and_marked(channel: Channel) -> None:
    await channel.send()
    await channel.send(look_first=True)
    assert ["possible duplicate" in one["text"] for one in channel.sinks.slack.messages] == [False, True]


async def test_looking_that_fails_posts_nothing(channel: Channel) -> None:
    channel.sinks.script.add(Fault("conversations.history", status=429, retry_after="3"))
    outcome = await channel.slack.send(CallBody(intent=intent(), look_first=True))
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.retry_after) == ("throttled", "3")
    assert channel.sinks.slack.messages == []


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_a_message_that_cannot_be_edited_is_followed_by_one_that_links_back(channel: Channel, error: str) -> None:
    ids = dict((await channel.send()).ids)
    channel.sinks.script.add(Fault("chat.update", error=error))
    moved = await channel.send(action="resolve", why="all_resolved", notification_id="n-2", ids=ids, duration=36_000)
    assert moved.ids["ts"] == "1000.000002"
    context = channel.sinks.slack.messages[1]["blocks"][-1]["elements"][0]["text"]
    assert context.endswith("goes on from <https://sink.slack.example/archives/C1/p1000000001|an earlier message>")


async def test_minimal_is_text_alone(channel: Channel) -> None:
    await channel.send(minimal=True)
    [message] = channel.sinks.slack.messages
    assert (message["blocks"], message["attachments"]) == ([], [])
    assert message["text"] == "▲ Alarm · seam network_infrastructure: Pain .81 is above .70. 36 of 60 links hurt."


async def test_mentions_and_links_in_names_are_inert(channel: Channel) -> None:
    await channel.send(voice={"subject": "seam:<!channel>", "worst_child": "<http://evil|x> `<@U1>`"})
    [message] = channel.sinks.slack.messages
    shown = [message["text"], message["blocks"][1]["text"]["text"], message["blocks"][-1]["elements"][0]["text"]]
    assert not any("<" in text for text in shown)
    assert "&lt;!channel&gt;" in message["text"]
    assert "`&lt;http://evil|x&gt; '&lt;@U1&gt;'`" in message["blocks"][1]["text"]["text"]
