"""A small world in memory: partitioned logs, committed state, a clock moved by hand, the real stages and sinks.

It honours what the runtime promises: outputs, state and position commit together; a call starts only after the
commit that announced it; a crash leaves what was committed and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from zlib import crc32

from alerts.policy.model import AlertRules
from alerts.sender import AnyReceiver, PagerDutyReceiver, Sender, SlackReceiver
from alerts.sinks import Sinks
from alerts.sinks.pagerduty import PagerDutySink
from alerts.sinks.slack import SlackSink
from alerts.stages import dispatcher_stage, intake_stage, router_stage
from pipeline.runtime.contract import Answer, Assignment, Call, CallingProcessor, Effects, LogRecord, Output, Stage
from pipeline.runtime.contract import StateRecord as State
from schemas.voices import VoiceRecord

from .saying import voice_bytes_of

__all__ = ["CHANNEL", "ROUTING_KEY", "START", "TOKEN", "Crashed", "World"]

START = 1_700_000_000_000
TOKEN = "xoxb-canary-0123456789"
ROUTING_KEY = "canary-routing-key-0123456789abcdef"
CHANNEL = "C1"
_PARTITIONS = {"voices.v1": 2, "routing.v1": 1, "intents.v1": 2}


class Crashed(Exception):  # noqa: N818 - an event of the story
    """A lane's process is gone."""


@dataclass(slots=True)
class Lane:
    """One processor on one partition, and what of it is committed."""

    world: World
    stage: Stage
    partition: int
    state: dict[bytes, bytes] = field(default_factory=dict)
    position: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    processor: Any = None
    answers: list[Answer] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def open(self) -> None:
        """Start anew from what is committed."""
        partitions = {name: self.world.partitions(name) for name in (self.stage.source, *self.stage.outputs)}
        self.processor = self.stage.factory(Assignment(self.partition, partitions))
        self.processor.restore([State(key, value) for key, value in self.state.items()])
        self.answers, self.outputs, self.calls = [], [], []

    async def turn(self) -> bool:
        """Read, fold, commit, call; whether anything happened."""
        log = self.world.logs[self.stage.source, self.partition]
        batch = log[self.position : self.position + 500]
        now = self.world.now
        counts: dict[str, int] = defaultdict(int)
        for answer in self.answers:
            assert isinstance(self.processor, CallingProcessor)
            self._collect(self.processor.answered(answer, now), {})
        self.answers = []
        if batch:
            self._collect(self.processor.apply(batch, now), counts)
            assert sum(counts.values()) == len(batch), "an outcome for each record"
        self._collect(self.processor.tick(now, at_end=True), {})
        changed = list(self.processor.snapshot())
        if not (batch or self.outputs or self.calls or changed):
            return False
        self.world.crash(self, "before commit")
        self._commit(batch, changed, counts)
        self.world.crash(self, "after commit")
        calls, self.calls = self.calls, []
        for call in calls:
            assert self.stage.perform is not None
            answer = await self.stage.perform(call)
            self.world.performed.append(call.call_id)
            self.world.crash(self, "after the reply")
            self.answers.append(answer)
        return True

    def _collect(self, effects: Effects, counts: dict[str, int]) -> None:
        self.outputs.extend(effects.outputs)
        self.calls.extend(effects.calls)
        for name, count in effects.counts.items():
            counts[name] = counts.get(name, 0) + count

    def _commit(self, batch: Sequence[LogRecord], changed: list[State], counts: dict[str, int]) -> None:
        for output in self.outputs:
            assert output.topic in self.stage.outputs
            self.world.append(output.topic, output.key, output.value)
        self.outputs = []
        for record in changed:
            assert not record.key.startswith(b"!")
            if record.value is None:
                self.state.pop(record.key, None)
            else:
                self.state[record.key] = record.value
        self.position += len(batch)
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count


class World:
    """Logs, lanes, sinks and a clock."""

    def __init__(
        self,
        *,
        rules: AlertRules | None = None,
        crash: Callable[[str, str], bool] | None = None,
        receivers: Callable[[Sinks], Sequence[AnyReceiver]] | None = None,
        strict_slack: bool = False,
    ) -> None:
        """``crash`` is asked at each point, with stage and point, whether that process dies there."""
        self.now = START
        self.logs: dict[tuple[str, int], list[LogRecord]] = defaultdict(list)
        self.performed: list[str] = []
        self.kills = 0
        self._crash = crash or (lambda _stage, _point: False)
        self._rules = rules or AlertRules()
        self._receivers = receivers
        clock = self._seconds
        slack = SlackSink(
            clock, tokens=frozenset({TOKEN}), channels=frozenset({CHANNEL}), burst=1 if strict_slack else 3
        )
        self.sinks = Sinks(clock=clock, slack=slack, pagerduty=PagerDutySink(clock, keys=frozenset({ROUTING_KEY})))
        self.lanes: list[Lane] = []
        self._sender: Sender | None = None

    async def __aenter__(self) -> Self:
        await self.sinks.start()
        receivers: Sequence[AnyReceiver] = (
            PagerDutyReceiver(ROUTING_KEY, self.sinks.pagerduty_url),
            SlackReceiver(TOKEN, CHANNEL, self.sinks.slack_url),
        )
        if self._receivers is not None:
            receivers = self._receivers(self.sinks)
        self._sender = Sender(receivers, allow_insecure_receivers=self.sinks.allowed)
        stages = (
            intake_stage(self._rules),
            router_stage(receivers, self._rules),
            dispatcher_stage(receivers, sender=self._sender),
        )
        for stage in stages:
            for partition in range(self.partitions(stage.source)):
                lane = Lane(self, stage, partition)
                lane.open()
                self.lanes.append(lane)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sender is not None:
            await self._sender.close()
        await self.sinks.stop()

    def partitions(self, topic: str) -> int:
        return _PARTITIONS.get(topic, 1)

    def append(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """As the broker does it: by key, with its own clock."""
        partition = crc32(key or b"") % self.partitions(topic)
        log = self.logs[topic, partition]
        log.append(LogRecord(topic, partition, len(log), self.now, key, value))

    def say(self, *records: VoiceRecord) -> None:
        """Publish voice records."""
        for record in records:
            self.append("voices.v1", record.subject.encode(), voice_bytes_of(record))

    def topic(self, name: str) -> list[LogRecord]:
        """All records of a topic."""
        return [record for (topic, _), log in sorted(self.logs.items()) if topic == name for record in log]

    def crash(self, lane: Lane, point: str) -> None:
        """Die here if the scenario says so."""
        if self._crash(lane.stage.name, point):
            self.kills += 1
            raise Crashed

    async def run(self, seconds: float, *, step_ms: int = 500) -> None:
        """Let time pass; after each step all lanes work until nothing is left to do."""
        for _ in range(max(1, int(seconds * 1_000 / step_ms))):
            self.now += step_ms
            await self.work()

    async def work(self) -> None:
        """Let all lanes work at this instant."""
        for _ in range(200):
            busy = False
            for lane in self.lanes:
                try:
                    busy = await lane.turn() or busy
                except Crashed:
                    lane.open()
                    busy = True
            if not busy:
                return
        message = "the lanes never come to rest"
        raise AssertionError(message)

    def _seconds(self) -> float:
        return self.now / 1_000
