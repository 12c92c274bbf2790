"""What is wrong around a running worker: decided, told once, over."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from pipeline.runtime.instruments import Instruments
from pipeline.runtime.surroundings import Surroundings, Trouble, changed_topics


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"p.a": 2, "p.b": 1, "p.other": 9}, None),
        ({"p.b": 1}, "topics gone: p.a. Nothing is made anew by itself"),
        ({}, "topics gone: p.a, p.b. "),
        ({"p.a": 3, "p.b": 1}, "partitions changed: p.a has 3, had 2. "),
        ({"p.a": 3}, "topics gone: p.b. "),  # the worse first
    ],
)
def test_topics_are_compared_with_those_of_the_start(found: Mapping[str, int], says: str | None):
    reason = changed_topics({"p.a": 2, "p.b": 1}, found)
    assert reason is None if says is None else (reason or "").startswith(says)


class Cluster:
    """Answers what it is told to, and has a clock that is moved by hand."""

    def __init__(self) -> None:
        self.answer: Mapping[str, int] | Exception = {"p.a": 1}
        self.elapsed = 5_000
        self.takes = 0
        self.instruments = Instruments("r")
        self.surroundings = Surroundings(self.ask, "b:1", self.instruments, lambda: self.elapsed)
        self.surroundings.expected = {"p.a": 1}

    async def ask(self) -> Mapping[str, int]:
        self.elapsed += self.takes
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def waiting(self) -> dict[str, float | None]:
        value = self.instruments.registry.get_sample_value
        return {kind: value("iskra_waiting", {"on": kind}) for kind in ("broker", "topics")}


async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(caplog: pytest.LogCaptureFixture):
    cluster = Cluster()
    caplog.set_level(logging.INFO, "iskra.r")
    assert await cluster.surroundings.look() is None
    cluster.answer = OSError("refused")
    for _ in range(3):
        cluster.elapsed += 1_000
        await cluster.surroundings.look()
    assert cluster.surroundings.trouble == Trouble("broker", "waiting for a broker at b:1: OSError", 6_000)
    assert cluster.waiting() == {"broker": 1.0, "topics": None}
    cluster.answer = {"p.a": 1}
    cluster.elapsed += 4_500
    assert await cluster.surroundings.look() is None
    assert cluster.waiting() == {"broker": 0.0, "topics": None}
    assert [record.message for record in caplog.records] == ["broker_away", "resumed"]
    assert vars(caplog.records[1])["seconds"] == 6.5


async def test_whether_a_broker_was_away_while_something_went_on():
    cluster = Cluster()
    assert not cluster.surroundings.outage_since(0)
    cluster.answer = OSError()
    await cluster.surroundings.look()
    assert cluster.surroundings.outage_since(99_999)
    cluster.elapsed = 20_000
    cluster.answer = {"p.a": 1}
    await cluster.surroundings.look()
    assert cluster.surroundings.outage_since(19_999)
    assert not cluster.surroundings.outage_since(20_001)


async def test_a_look_that_this_process_slept_through_says_nothing():
    cluster = Cluster()
    cluster.answer, cluster.takes = OSError(), 12_001
    assert await cluster.surroundings.look() is None
    cluster.takes = 12_000
    assert await cluster.surroundings.look() is not None


async def test_who_waits_goes_on_when_it_is_over_and_one_trouble_may_follow_another():
    cluster = Cluster()
    changes: list[str | None] = []
    cluster.surroundings.on_change = lambda over: changes.append(None if over is None else over.kind)
    cluster.answer = OSError()
    await cluster.surroundings.look()
    cluster.answer = {}
    await cluster.surroundings.look()
    assert cluster.waiting() == {"broker": 0.0, "topics": 1.0}
    assert not cluster.surroundings._clear.is_set()
    cluster.answer = {"p.a": 1}
    await cluster.surroundings.look()
    await cluster.surroundings.clear()
    assert changes == [None, None, "topics"]
    assert cluster.surroundings.over_at == 5_000
