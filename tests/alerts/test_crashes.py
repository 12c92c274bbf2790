"""Kill any processor at any point of a story, once or often: no lost resolve, no second incident, few repeats."""

from __future__ import annotations

import random

import pytest

from alerts.sender import SlackReceiver
from alerts.sinks import Fault

from .saying import spoken
from .world import CHANNEL, START, TOKEN, World

SEAM = "seam:network_infrastructure"
POINTS = [
    (stage, point, nth)
    for stage in ("intake", "router", "dispatcher")
    for point in ("before commit", "after commit", *(("after the reply",) if stage == "dispatcher" else ()))
    for nth in range(1, 6)
]


class Once:
    """Dies the n-th time that a stage passes a point."""

    def __init__(self, stage: str, point: str, nth: int) -> None:
        self._at, self._left = (stage, point), nth

    def __call__(self, stage: str, point: str) -> bool:
        if (stage, point) != self._at:
            return False
        self._left -= 1
        return self._left == 0


async def story(world: World) -> None:
    """Alarm, still Alarm, only Concern, Alarm again, over, verified."""
    end = START + 30_000
    world.say(spoken("raise", "Concern", SEAM, end=end, trust=0.2))
    await world.run(40, step_ms=2_000)
    world.say(spoken("change", "Alarm", SEAM, end=end + 30_000))
    await world.run(4, step_ms=1_000)
    world.say(spoken("hold", "Alarm", SEAM, end=end + 60_000, since=end + 30_000, pain=0.9))
    await world.run(72, step_ms=3_000)
    world.say(spoken("change", "Concern", SEAM, end=end + 90_000, since=end, trust=0.25))
    await world.run(4, step_ms=1_000)
    world.say(spoken("clear", "Concern", SEAM, end=end + 120_000, since=end, trust=0.6))
    await world.run(30, step_ms=2_000)
    world.say(spoken("celebrate", "Celebration", SEAM, end=end + 500_000, trust=0.8))
    await world.run(200, step_ms=5_000)


def check(world: World, *, faults: int = 0) -> None:
    roots = world.sinks.slack.state()
    calm = world.kills + faults
    assert 1 <= len(roots) <= 1 + calm
    replies = [reply["text"] for root in roots for reply in root["replies"]]
    verified = [text for text in replies if text.startswith("★")]
    escalated = [text for text in replies if "From Concern to Alarm" in text]
    assert len(verified) >= 1
    assert len(escalated) >= 1
    assert len(roots) + len(replies) <= 3 + calm
    last = [root for root in roots if root["attachments"][0]["text"] == "verified"]
    assert len(last) == 1, "the message people look at is the one that was carried on"
    assert [one["status"] for one in world.sinks.pagerduty.incidents] == ["resolved"]
    keys = [record.key for record in world.topic("notifications.v1")]
    assert len(keys) == len(set(keys)) == len(world.topic("intents.v1"))
    assert world.topic("notifications.dead.v1") == []


async def test_the_story_without_a_kill_is_three_posts_and_one_incident() -> None:
    async with World() as world:
        await story(world)
        check(world)
        assert world.kills == 0
        [root] = world.sinks.slack.state()
        assert [reply["text"].partition(":")[0] for reply in root["replies"]] == [
            "▲ From Concern to Alarm",
            "★ Verified",
        ]
        assert root["replies"][0]["broadcast"] is True


@pytest.mark.parametrize(("stage", "point", "nth"), POINTS)
async def test_a_kill_costs_at_most_one_repeat_and_never_an_incident(stage: str, point: str, nth: int) -> None:
    async with World(crash=Once(stage, point, nth)) as world:
        await story(world)
        assert world.kills == 1
        check(world)
        if stage != "dispatcher":
            assert len(world.sinks.slack.messages) == 3, "only the dispatcher talks to the outside"


@pytest.mark.parametrize("nth", range(1, 6))
async def test_a_kill_after_the_reply_repeats_nothing_when_the_channel_can_be_read(nth: int) -> None:
    async with World(crash=Once("dispatcher", "after the reply", nth)) as world:
        await story(world)
        assert len(world.sinks.slack.messages) == 3


@pytest.mark.parametrize("seed", range(6))
async def test_many_kills_and_cuts_cost_no_more_than_one_repeat_each(seed: int) -> None:
    dice = random.Random(seed)
    async with World(crash=lambda _stage, _point: dice.random() < 0.02) as world:
        cuts = dice.randrange(1, 4)
        for _ in range(cuts):
            endpoint = dice.choice(["chat.postMessage", "chat.update", "v2/enqueue"])
            world.sinks.script.add(Fault(endpoint, cut=dice.choice(["before", "after"])))
        await story(world)
        check(world, faults=cuts)


async def test_a_repeat_that_cannot_be_excluded_is_marked() -> None:
    only_slack = lambda sinks: (SlackReceiver(TOKEN, CHANNEL, sinks.slack_url),)  # noqa: E731 - one line says it
    async with World(crash=Once("dispatcher", "after the reply", 1), receivers=only_slack) as world:
        world.sinks.slack._can_read = False
        world.say(spoken("raise", "Alarm", SEAM, end=START))
        await world.run(5)
        texts = [message["text"] for message in world.sinks.slack.messages]
        assert ["possible duplicate" in text for text in texts] == [False, True]


async def test_slack_down_for_two_hours_holds_up_nobody_else_and_ends_green() -> None:
    async with World() as world:
        world.sinks.script.add(Fault("chat.postMessage", times=900, status=503))
        world.say(spoken("raise", "Alarm", SEAM, end=START))
        await world.run(2)
        assert [one["status"] for one in world.sinks.pagerduty.incidents] == ["triggered"]
        await world.run(3_600, step_ms=40_000)
        world.say(spoken("clear", "Alarm", SEAM, end=START + 3_600_000, since=START))
        await world.run(3_600, step_ms=40_000)
        assert [one["status"] for one in world.sinks.pagerduty.incidents] == ["resolved"]
        world.sinks.script.clear()
        await world.run(130, step_ms=1_000)
        assert [root["attachments"][0]["text"] for root in world.sinks.slack.state()] == ["over"]


async def test_pagerduty_throttled_for_ten_minutes_uses_no_attempt_and_keeps_the_order() -> None:
    async with World() as world:
        world.sinks.script.add(Fault("v2/enqueue", times=20, status=429, retry_after="600"))
        world.say(spoken("raise", "Alarm", SEAM, end=START))
        await world.run(2)
        world.sinks.script.clear()
        await world.run(290, step_ms=1_000)
        assert world.sinks.pagerduty.incidents == []
        await world.run(30, step_ms=1_000)
        world.say(spoken("clear", "Alarm", SEAM, end=START + 60_000, since=START))
        await world.run(10)
        assert [one["status"] for one in world.sinks.pagerduty.incidents] == ["resolved"]
        assert world.sinks.pagerduty.ignored == []


async def test_an_open_overtaken_by_its_own_resolve_is_never_sent() -> None:
    async with World() as world:
        world.sinks.script.add(Fault("v2/enqueue", status=429, retry_after="60"))
        world.say(spoken("raise", "Alarm", SEAM, end=START))
        await world.run(2)
        world.say(spoken("clear", "Alarm", SEAM, end=START + 30_000, since=START))
        await world.run(120, step_ms=1_000)
        assert world.sinks.pagerduty.incidents == []
        assert world.sinks.pagerduty.ignored == []
        assert b'"reason":"overtaken"' in b"".join(record.value or b"" for record in world.topic("notifications.v1"))
