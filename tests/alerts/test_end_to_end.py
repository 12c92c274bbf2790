from __future__ import annotations

import json
from collections import Counter

from alerts.policy.model import AlertRules
from alerts.sinks import Fault
from schemas.types import Level

from .saying import spoken
from .world import ROUTING_KEY, START, TOKEN, World

SEAM = "seam:network_infrastructure"


def messages(world: World) -> list[tuple[str, int, list[str]]]:
    """Title, edits and replies of each Slack message."""
    return [
        (message["blocks"][0]["text"]["text"], message["edits"], [reply["text"] for reply in message["replies"]])
        for message in world.sinks.slack.state()
    ]


def incidents(world: World) -> list[tuple[str, int]]:
    return [(one["status"], one["triggers"]) for one in world.sinks.pagerduty.incidents]


def balance(world: World) -> tuple[int, int]:
    """Intents, and intents that are settled or wait."""
    dispatchers = [lane for lane in world.lanes if lane.stage.name == "dispatcher"]
    settled = world.topic("notifications.v1")
    assert max(Counter(record.key for record in settled).values(), default=1) == 1
    return len(world.topic("intents.v1")), len(settled) + sum(lane.processor.waiting() for lane in dispatchers)


async def test_an_alarm_is_one_message_and_one_incident_and_its_end_turns_both() -> None:
    async with World() as world:
        end = START + 30_000
        world.say(spoken("raise", "Alarm", SEAM, end=end))
        await world.run(2)
        assert messages(world) == [("▲ Alarm · seam network_infrastructure", 0, [])]
        assert incidents(world) == [("triggered", 1)]
        world.say(spoken("clear", "Alarm", SEAM, end=end + 36_000, since=end, pain=0.2))
        await world.run(2)
        assert messages(world) == [("✓ Recovered · seam network_infrastructure", 1, [])]
        assert incidents(world) == [("resolved", 1)]
        [message] = world.sinks.slack.state()
        assert message["text"] == "✓ Recovered · seam network_infrastructure: Recovered after 36 s."
        assert message["attachments"][0]["color"] == "#2EB67D"
        world.say(spoken("celebrate", "Celebration", SEAM, end=end + 400_000, trust=0.74))
        await world.run(2)
        assert messages(world) == [
            (
                "★ Verified · seam network_infrastructure",
                2,
                ["★ Verified: at least 95 % of its links have trust above .70. Well done."],
            )
        ]
        assert world.sinks.pagerduty.ignored == []
        assert balance(world) == (5, 5)


async def test_thirty_six_cut_links_are_one_message_and_one_incident() -> None:
    rules = AlertRules(levels=(Level.CONNECTION, Level.SEAM, Level.ECOSYSTEM, Level.PIPELINE))
    async with World(rules=rules) as world:
        end = START + 30_000
        for link in range(36):
            world.say(spoken("raise", "Alarm", f"connection:c-{link}", end=end))
        await world.run(1)
        world.say(
            spoken("raise", "Alarm", SEAM, end=end, children=60, children_over={"pain": 36, "chaos": 0, "distrust": 0})
        )
        world.say(
            spoken(
                "raise",
                "Alarm",
                "ecosystem:iskra",
                end=end,
                children=1,
                worst_child=SEAM,
                children_over={"pain": 1, "chaos": 0, "distrust": 0},
            )
        )
        await world.run(60)
        for link in range(36):
            world.say(spoken("clear", "Alarm", f"connection:c-{link}", end=end + 60_000, since=end))
        world.say(spoken("clear", "Alarm", SEAM, end=end + 60_000, since=end))
        await world.run(1)
        world.say(spoken("clear", "Alarm", "ecosystem:iskra", end=end + 60_000, since=end))
        await world.run(60)
        assert len(messages(world)) == 1
        assert messages(world)[0][0] == "✓ Recovered · seam network_infrastructure"
        assert incidents(world) == [("resolved", 1)]
        intents, accounted = balance(world)
        assert intents == accounted


async def test_no_secret_is_in_any_record_or_request() -> None:
    async with World() as world:
        world.sinks.script.add(*_echoes())
        world.say(spoken("raise", "Alarm", SEAM, end=START))
        await world.run(130)
        everything = b"".join((record.value or b"") for log in world.logs.values() for record in log)
        everything += b"".join(value for lane in world.lanes for value in lane.state.values())
        everything += json.dumps(world.sinks.received).encode() + json.dumps(world.sinks.state()).encode()
        assert TOKEN.encode() not in everything
        assert ROUTING_KEY.encode() not in everything


def _echoes() -> list[Fault]:
    return [
        Fault("v2/enqueue", status=500, body=f"no such key {ROUTING_KEY}"),
        Fault("chat.postMessage", status=503, body=f"Bearer {TOKEN}"),
    ]
